use std::time::Duration;

use quinn::SendStream;
use tokio::sync::oneshot;
use tokio::time::{pause, resume, sleep};

use super::*;
use crate::net::testing::{Pair, pair, within};
use crate::swarm::Part;
use crate::wire::{ContentIndex, Refusal, StreamCode, Trailer};

const CHUNK: u64 = 64 << 10;
/// Bytes of the chunk that is answered.
const LEN: u32 = 64 << 10;

fn layout() -> Layout {
    Layout::new(10 * CHUNK, CHUNK).unwrap()
}

fn data_of(chunk: u32, length: u32) -> Answer {
    Answer::Data { chunk, ranges: Ranges::WHOLE, encoding: Encoding::Raw, length }
}

/// What came of a request: the end of the answer, and the chunk if it is whole.
type Outcome = (Result<Fetched, FetchError>, Option<Whole>);

const SOURCE: SourceId = SourceId(7);

/// Asks for chunk 3, and tells through `arriving` what comes.
async fn ask(connection: &Connection, budget: &Budget, arriving: impl FnOnce(ChunkId)) -> Outcome {
    let begin = |chunk| {
        arriving(chunk);
        Arc::new(Assembly::new(layout(), chunk))
    };
    ask_for(connection, budget, Ranges::WHOLE, false, begin).await
}

/// Asks for parts of chunk 3.
async fn ask_for(
    connection: &Connection,
    budget: &Budget,
    ranges: Ranges,
    exact: bool,
    arriving: impl FnOnce(ChunkId) -> Arc<Assembly>,
) -> Outcome {
    let request = Request { content: ContentIndex(0), chunk: 3, ranges, exact, accepts: Accepts::Raw };
    ask_with(connection, budget, request, arriving).await
}

async fn ask_with(
    connection: &Connection,
    budget: &Budget,
    request: Request,
    arriving: impl FnOnce(ChunkId) -> Arc<Assembly>,
) -> Outcome {
    let mut whole = None;
    let fetch = Fetch { connection, source: SOURCE, request, layout: layout(), budget, delivery: &Delivery::default() };
    let fetched = fetch.run(arriving, &mut whole).await;
    (fetched, whole)
}

/// The stream on which the next request is to be answered.
async fn next_request(connection: &Connection) -> SendStream {
    let (send, mut recv) = within(connection.accept_bi()).await.unwrap();
    let Open::Chunk(request) = within(frames::read::<Open>(&mut recv)).await.unwrap() else { panic!("no chunk") };
    assert_eq!(request.chunk, 3);
    send
}

/// What comes of a request that is answered as `answer` does, and what became of the stream.
async fn answered(answer: impl AsyncFnOnce(&mut SendStream)) -> (Outcome, Option<u64>) {
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
    let ((fetched, whole), stopped) = answered(async |send| send_whole(send, 3).await).await;
    let whole = whole.unwrap();
    assert_eq!((whole.chunk.index(), fetched.unwrap().waiting), (3, 5));
    assert_eq!((whole.data, whole.from), (vec![7; LEN as usize], vec![(SOURCE, LEN)]));
    assert_eq!(stopped, None);
}

#[tokio::test]
async fn an_all_zero_chunk_comes_without_bytes() {
    let ((_, whole), _) = answered(async |send| {
        let zero = Answer::Data { chunk: 3, ranges: Ranges::WHOLE, encoding: Encoding::Zero, length: 0 };
        frames::write(send, &zero).await.unwrap();
        frames::write(send, &Trailer { proof: None, waiting: 0 }).await.unwrap();
        send.finish().unwrap();
    })
    .await;
    assert_eq!(whole.unwrap().data, vec![0; LEN as usize]);
}

/// What comes of a request for chunk 3, which is answered with this frame.
async fn answered_with_a_frame(accepts: Accepts, frame: Vec<u8>, length: u32, budget: &Budget) -> Outcome {
    let pair = pair().await;
    let serving = async {
        let mut send = next_request(&pair.dialled).await;
        let answer = Answer::Data { chunk: 3, ranges: Ranges::WHOLE, encoding: Encoding::Zstd, length };
        frames::write(&mut send, &answer).await.unwrap();
        // Whoever does not want it has stopped the stream.
        let _ = send.write_all(&frame).await;
        let _ = frames::write(&mut send, &Trailer { proof: None, waiting: 5 }).await;
        let _ = send.finish();
        send
    };
    let request = Request { content: ContentIndex(0), chunk: 3, ranges: Ranges::WHOLE, exact: false, accepts };
    let begin = |chunk| Arc::new(Assembly::new(layout(), chunk));
    let asking = ask_with(&pair.dialling, budget, request, begin);
    within(async { tokio::join!(asking, serving) }).await.0
}

#[tokio::test]
async fn a_packed_chunk_comes_as_it_was_packed_and_counts_as_what_it_is() {
    let budget = Budget::new(2 * CHUNK);
    let frame = vec![9; 1000];
    for accepts in [Accepts::Packed, Accepts::Quicker { delivery: 0 }] {
        let (fetched, whole) = answered_with_a_frame(accepts, frame.clone(), 1000, &budget).await;
        let whole = whole.unwrap();
        assert_eq!((whole.packed, &whole.data, whole.from), (true, &frame, vec![(SOURCE, LEN)]));
        assert_eq!(fetched.unwrap().waiting, 5);
        assert!(budget.free() < CHUNK, "there is room for what it unpacks to");
        drop(whole.permit);
    }
    assert_eq!((budget.arrived(), budget.travelled(), budget.free()), (2 * CHUNK, 2000, 2 * CHUNK));
}

#[tokio::test]
async fn a_packed_chunk_that_nobody_asked_for_or_that_is_longer_than_the_chunk_is_refused() {
    let budget = Budget::new(2 * CHUNK);
    for (accepts, length) in [(Accepts::Raw, 1000), (Accepts::Packed, LEN), (Accepts::Packed, 100 << 20)] {
        let (fetched, whole) = answered_with_a_frame(accepts, vec![9; 1000], length, &budget).await;
        assert!(fetched.unwrap_err().is_violation() && whole.is_none(), "{accepts:?} {length}");
    }
    assert_eq!((budget.arrived(), budget.free()), (0, 2 * CHUNK));
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
    let ((_, whole), ()) = within(async { tokio::join!(asking, serving) }).await;
    assert_eq!(whole.unwrap().chunk.index(), 8);
}

#[tokio::test]
async fn an_answer_that_does_not_fit_the_content_is_refused() {
    for answer in [data_of(3, LEN - 1), data_of(3, LEN + 1), data_of(10, LEN)] {
        let ((fetched, _), stopped) = answered(async |send| frames::write(send, &answer).await.unwrap()).await;
        assert!(fetched.unwrap_err().is_violation(), "{answer:?}");
        assert!(stopped.is_some(), "its bytes are not wanted");
    }
}

#[tokio::test]
async fn a_refusal_is_told_as_such() {
    let ((fetched, _), _) = answered(async |send| {
        frames::write(send, &Answer::Rejected { reason: Refusal::Busy }).await.unwrap();
        send.finish().unwrap();
    })
    .await;
    assert!(matches!(fetched, Err(FetchError::Rejected)));
    assert!(!FetchError::Rejected.is_violation());
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
async fn holding(pair: &Pair, budget: &Budget) -> Whole {
    let serving = async { send_whole(&mut next_request(&pair.dialled).await, 3).await };
    let ((_, whole), ()) = within(async { tokio::join!(ask(&pair.dialling, budget, |_| {}), serving) }).await;
    whole.unwrap()
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
    assert!(within(second).await.1.is_some());
    assert!(!budget.is_contested());
}

#[tokio::test]
async fn an_answer_that_stands_still_is_cut_off() {
    for bytes in [0, LEN / 2] {
        let ((fetched, _), stopped) = answered(async |send| {
            frames::write(send, &data_of(3, LEN)).await.unwrap();
            send.write_all(&vec![7; bytes as usize]).await.unwrap();
        })
        .await;
        assert!(matches!(fetched, Err(FetchError::Slow)), "after {bytes} bytes");
        assert_eq!(stopped, Some(StreamCode::TooSlow.code().into()));
    }
}

#[tokio::test]
async fn a_chunk_that_is_whole_does_not_wait_long_for_its_trailer() {
    let ((fetched, whole), _) = answered(async |send| {
        frames::write(send, &data_of(3, LEN)).await.unwrap();
        send.write_all(&vec![7; LEN as usize]).await.unwrap();
    })
    .await;
    assert!(matches!(fetched, Err(FetchError::Slow)));
    assert_eq!(whole.unwrap().data.len(), LEN as usize);
}

/// The ranges in which a source is asked for what another did not bring.
fn tail() -> Ranges {
    Ranges::new(&[LEN - 10..LEN, 20..LEN - 10]).unwrap()
}

#[tokio::test]
async fn what_one_source_left_another_brings_and_both_are_named() {
    let pair = pair().await;
    let budget = Budget::new(CHUNK);
    let assembly = Arc::new(Assembly::new(layout(), layout().chunk(3).unwrap()));
    assembly.admit(&budget).await.put(SourceId(1), 0, &[1; 20]);
    assert_eq!(assembly.ranges(Part::Rest).unwrap().iter().next(), Some(20..LEN));
    let serving = async {
        let mut send = next_request(&pair.dialled).await;
        let data = Answer::Data { chunk: 3, ranges: tail(), encoding: Encoding::Raw, length: LEN - 20 };
        frames::write(&mut send, &data).await.unwrap();
        let bytes = [vec![9; 10], vec![8; LEN as usize - 30]].concat();
        send.write_all(&bytes).await.unwrap();
        frames::write(&mut send, &Trailer { proof: None, waiting: 0 }).await.unwrap();
        send.finish().unwrap();
    };
    let asking = ask_for(&pair.dialling, &budget, tail(), true, |_| Arc::clone(&assembly));
    let ((_, whole), ()) = within(async { tokio::join!(asking, serving) }).await;
    let whole = whole.unwrap();
    assert_eq!(whole.data, [vec![1; 20], vec![8; LEN as usize - 30], vec![9; 10]].concat());
    assert_eq!(whole.from, [(SourceId(1), 20), (SOURCE, LEN - 20)]);
    assert_eq!((budget.repeated(), budget.arrived()), (0, u64::from(LEN) - 20));
}

#[tokio::test]
async fn ranges_that_were_not_asked_for_are_a_breach_and_so_is_an_early_end() {
    let other = Ranges::new(&[20..LEN - 10, LEN - 10..LEN]).unwrap();
    let of = |ranges, length| Answer::Data { chunk: 3, ranges, encoding: Encoding::Raw, length };
    let redirected = Answer::Data { chunk: 4, ranges: tail(), encoding: Encoding::Raw, length: LEN - 20 };
    let short = of(tail(), LEN - 21);
    for answer in [of(other, LEN - 20), of(Ranges::WHOLE, LEN), redirected, short, of(tail(), LEN - 20)] {
        let pair = pair().await;
        let budget = Budget::new(CHUNK);
        let serving = async {
            let mut send = next_request(&pair.dialled).await;
            frames::write(&mut send, &answer).await.unwrap();
            // The last of them announces what is right, and then ends too early; the others may be stopped already.
            let _ = send.write_all(&[7; 100]).await;
            let _ = send.finish();
        };
        let arriving = |chunk| Arc::new(Assembly::new(layout(), chunk));
        let asking = ask_for(&pair.dialling, &budget, tail(), true, arriving);
        let ((fetched, whole), ()) = within(async { tokio::join!(asking, serving) }).await;
        assert!(fetched.unwrap_err().is_violation(), "{answer:?}");
        assert!(whole.is_none());
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
    let ((_, whole), _) = answered(trickle).await;
    assert_eq!(whole.unwrap().data.len(), LEN as usize);
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
    let ((fetched, _), stopped) = within(async { tokio::join!(ask(&pair.dialling, &budget, |_| {}), serving) }).await;
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
