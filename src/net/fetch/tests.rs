use quinn::SendStream;
use tokio::sync::oneshot;
use tokio::time::{pause, resume, sleep};

use super::*;
use crate::net::testing::{Pair, pair, within};
use crate::wire::{ContentIndex, Ranges, Refusal};

const CHUNK: u64 = 64 << 10;
/// Bytes of the chunk that is answered.
const LEN: u32 = 64 << 10;

fn layout() -> Layout {
    Layout::new(10 * CHUNK, CHUNK).unwrap()
}

fn data_of(chunk: u32, length: u32) -> Answer {
    Answer::Data { chunk, ranges: Ranges::WHOLE, encoding: Encoding::Raw, length }
}

/// Asks for chunk 3, and tells through `arriving` what comes.
async fn ask(connection: &Connection, budget: &Budget, arriving: impl FnOnce(ChunkId)) -> Result<Fetched, FetchError> {
    let request = Request { content: ContentIndex(0), chunk: 3, ranges: Ranges::WHOLE, exact: false };
    fetch(connection, request, layout(), budget, arriving).await
}

/// The stream on which the next request is to be answered.
async fn next_request(connection: &Connection) -> SendStream {
    let (send, mut recv) = within(connection.accept_bi()).await.unwrap();
    let Open::Chunk(request) = within(frames::read::<Open>(&mut recv)).await.unwrap() else { panic!("no chunk") };
    assert_eq!(request.chunk, 3);
    send
}

/// What comes of a request that is answered as `answer` does, and what became of the stream.
async fn answered(answer: impl AsyncFnOnce(&mut SendStream)) -> (Result<Fetched, FetchError>, Option<u64>) {
    let pair = pair().await;
    let budget = Budget::new(CHUNK);
    let serving = async {
        let mut send = next_request(&pair.dialled).await;
        // From here on time passes only where everybody waits for it.
        pause();
        answer(&mut send).await;
        send.stopped().await.unwrap().map(u64::from)
    };
    let outcome = within(async { tokio::join!(ask(&pair.dialling, &budget, |_| {}), serving) }).await;
    resume();
    outcome
}

async fn send_whole(send: &mut SendStream, chunk: u32) {
    frames::write(send, &data_of(chunk, LEN)).await.unwrap();
    send.write_all(&vec![7; LEN as usize]).await.unwrap();
    frames::write(send, &Trailer { proof: None, waiting: 5 }).await.unwrap();
    send.finish().unwrap();
}

#[tokio::test]
async fn a_chunk_comes_whole() {
    let (fetched, stopped) = answered(async |send| send_whole(send, 3).await).await;
    let fetched = fetched.unwrap();
    assert_eq!((fetched.chunk.index(), fetched.waiting), (3, 5));
    assert_eq!(fetched.data, vec![7; LEN as usize]);
    assert_eq!(stopped, None);
}

#[tokio::test]
async fn an_all_zero_chunk_comes_without_bytes() {
    let (fetched, _) = answered(async |send| {
        let zero = Answer::Data { chunk: 3, ranges: Ranges::WHOLE, encoding: Encoding::Zero, length: 0 };
        frames::write(send, &zero).await.unwrap();
        frames::write(send, &Trailer { proof: None, waiting: 0 }).await.unwrap();
        send.finish().unwrap();
    })
    .await;
    assert_eq!(fetched.unwrap().data, vec![0; LEN as usize]);
}

#[tokio::test]
async fn another_chunk_than_the_one_asked_is_named_before_its_bytes_come() {
    let pair = pair().await;
    let budget = Budget::new(CHUNK);
    let (arriving, arrived) = oneshot::channel();
    let serving = async {
        let mut send = next_request(&pair.dialled).await;
        frames::write(&mut send, &data_of(8, LEN)).await.unwrap();
        assert_eq!(within(arrived).await.unwrap(), 8);
        send.write_all(&vec![7; LEN as usize]).await.unwrap();
        frames::write(&mut send, &Trailer { proof: None, waiting: 0 }).await.unwrap();
    };
    let asking = ask(&pair.dialling, &budget, |chunk| arriving.send(chunk.index()).unwrap());
    let (fetched, ()) = within(async { tokio::join!(asking, serving) }).await;
    assert_eq!(fetched.unwrap().chunk.index(), 8);
}

#[tokio::test]
async fn an_answer_that_does_not_fit_the_content_is_refused() {
    for answer in [data_of(3, LEN - 1), data_of(3, LEN + 1), data_of(10, LEN)] {
        let (fetched, stopped) = answered(async |send| frames::write(send, &answer).await.unwrap()).await;
        assert!(matches!(fetched, Err(FetchError::Mismatch)), "{answer:?}");
        assert!(stopped.is_some(), "its bytes are not wanted");
    }
}

#[tokio::test]
async fn a_refusal_is_told_as_such() {
    let (fetched, _) = answered(async |send| {
        frames::write(send, &Answer::Rejected { reason: Refusal::Busy }).await.unwrap();
        send.finish().unwrap();
    })
    .await;
    assert!(matches!(fetched, Err(FetchError::Rejected)));
}

#[tokio::test]
async fn whoever_drops_a_request_stops_its_sender() {
    let pair = pair().await;
    let budget = Budget::new(CHUNK);
    let mut asking = Box::pin(ask(&pair.dialling, &budget, |_| {}));
    let begin = async {
        let mut send = next_request(&pair.dialled).await;
        frames::write(&mut send, &data_of(3, LEN)).await.unwrap();
        send
    };
    let send = tokio::select! {
        send = begin => send,
        _ = &mut asking => panic!("nothing came yet"),
    };
    drop(asking);
    assert!(within(send.stopped()).await.unwrap().is_some());
    assert_eq!(budget.semaphore.available_permits(), budget.total as usize, "its memory is free again");
}

/// Fetches a chunk that keeps its memory as long as the result lives.
async fn holding(pair: &Pair, budget: &Budget) -> Fetched {
    let serving = async { send_whole(&mut next_request(&pair.dialled).await, 3).await };
    let (held, ()) = within(async { tokio::join!(ask(&pair.dialling, budget, |_| {}), serving) }).await;
    held.unwrap()
}

#[tokio::test]
async fn a_chunk_waits_until_there_is_memory_for_it() {
    let pair = pair().await;
    let budget = Budget::new(CHUNK);
    let held = holding(&pair, &budget).await;
    let serving = async { send_whole(&mut next_request(&pair.dialled).await, 3).await };
    let mut second = Box::pin(ask(&pair.dialling, &budget, |_| {}));
    let until_contested = async {
        serving.await;
        while !budget.is_contested() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut second => panic!("there is no memory for it"),
        () = within(until_contested) => {}
    }
    drop(held);
    assert!(within(second).await.is_ok());
    assert!(!budget.is_contested());
}

#[tokio::test]
async fn an_answer_that_stands_still_is_cut_off() {
    for bytes in [0, LEN / 2, LEN] {
        let (fetched, stopped) = answered(async |send| {
            frames::write(send, &data_of(3, LEN)).await.unwrap();
            send.write_all(&vec![7; bytes as usize]).await.unwrap();
        })
        .await;
        assert!(matches!(fetched, Err(FetchError::Slow)), "after {bytes} bytes");
        assert_eq!(stopped, Some(StreamCode::TooSlow.code().into()));
    }
}

/// Sends a chunk in sixty-four parts, ten seconds apart.
async fn trickle(send: &mut SendStream) {
    frames::write(send, &data_of(3, LEN)).await.unwrap();
    for _ in 0..64 {
        sleep(Duration::from_secs(10)).await;
        if send.write_all(&[7; 1 << 10]).await.is_err() {
            return;
        }
    }
    frames::write(send, &Trailer { proof: None, waiting: 0 }).await.unwrap();
    send.finish().unwrap();
}

#[tokio::test]
async fn a_slow_line_gets_its_chunk_as_long_as_nobody_waits_for_the_memory() {
    let (fetched, _) = answered(trickle).await;
    assert_eq!(fetched.unwrap().data.len(), LEN as usize);
}

#[tokio::test]
async fn a_slow_sender_makes_room_for_others() {
    let pair = pair().await;
    let budget = Budget::new(CHUNK);
    let serving = async {
        let mut send = next_request(&pair.dialled).await;
        pause();
        let _waiting = Waiting::begin(&budget.waiting);
        trickle(&mut send).await;
        send.stopped().await.unwrap().map(u64::from)
    };
    let (fetched, stopped) = within(async { tokio::join!(ask(&pair.dialling, &budget, |_| {}), serving) }).await;
    assert!(matches!(fetched, Err(FetchError::Slow)));
    assert_eq!(stopped, Some(StreamCode::TooSlow.code().into()));
}

#[tokio::test]
async fn arriving_bytes_are_counted() {
    let pair = pair().await;
    let budget = Budget::new(CHUNK);
    drop(holding(&pair, &budget).await);
    drop(holding(&pair, &budget).await);
    assert_eq!(budget.arrived(), 2 * CHUNK);
}
