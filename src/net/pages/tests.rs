use tokio::time::pause;

use super::*;
use crate::manifest::{Entries, Entry, EntryKind, RelPath};
use crate::net::testing::{pair, within};

/// A manifest of five pages: names that share nothing.
fn manifest() -> Manifest {
    let entry = |n: u32| {
        let path = RelPath::parse(format!("{:08x}{}", n.reverse_bits(), "x".repeat(240)).as_bytes()).unwrap();
        Entry { path, kind: EntryKind::File { size: 1 }, mode: 0o644, mtime_secs: 0, mtime_nanos: 0 }
    };
    let entries = Entries::from_walk((0..17_000).map(entry).collect()).unwrap();
    Manifest::publish(entries, Some(1024)).unwrap()
}

async fn next_open(connection: &Connection) -> (SendStream, Open) {
    let (send, mut recv) = within(connection.accept_bi()).await.unwrap();
    (send, within(frames::read(&mut recv)).await.unwrap())
}

/// Answers the request for the header.
async fn answer_header(connection: &Connection, manifest: &Manifest) {
    let (mut send, open) = next_open(connection).await;
    assert_eq!(open, Open::Header { id: manifest.id() });
    answer(&mut send, Some(manifest.header_bytes().into())).await.unwrap();
}

/// What a neighbour gets that asks for the manifest when its pages are answered as `pages` does.
async fn obtained(manifest: &Manifest, pages: impl AsyncFnOnce(&Connection)) -> Result<Manifest, ObtainError> {
    let pair = pair().await;
    let serving = async {
        answer_header(&pair.dialled, manifest).await;
        pages(&pair.dialled).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        outcome = within(obtain(&pair.dialling, manifest.id())) => outcome,
        () = serving => unreachable!("it serves for ever"),
    }
}

fn page_of(open: &Open) -> u32 {
    match open {
        Open::Page { page, .. } => *page,
        other => panic!("not a page: {other:?}"),
    }
}

#[tokio::test]
async fn pages_are_asked_four_at_a_time_and_may_come_in_any_order() {
    let manifest = manifest();
    assert_eq!(manifest.header().pages().len(), 5);
    let got = obtained(&manifest, async |connection| {
        // As long as none of the first four is answered, there is no fifth; and all four come, or this waits for ever.
        let mut asked = Vec::new();
        for _ in 0..PAGES_AT_ONCE {
            asked.push(next_open(connection).await);
        }
        for (mut send, open) in asked.into_iter().rev() {
            answer(&mut send, manifest.page(page_of(&open)).map(Bytes::from)).await.unwrap();
        }
        let (mut send, open) = next_open(connection).await;
        answer(&mut send, manifest.page(page_of(&open)).map(Bytes::from)).await.unwrap();
    })
    .await
    .unwrap();
    assert_eq!(got.id(), manifest.id());
    assert_eq!(got.entries().as_slice(), manifest.entries().as_slice());
}

#[tokio::test]
async fn a_page_that_is_not_the_one_named_is_found_out() {
    let manifest = manifest();
    let got = obtained(&manifest, async |connection| {
        let (mut send, open) = next_open(connection).await;
        let mut page = manifest.page(page_of(&open)).unwrap();
        page[100] ^= 1;
        answer(&mut send, Some(page.into())).await.unwrap();
    });
    assert!(matches!(got.await, Err(ObtainError::Manifest(_))));
}

#[tokio::test]
async fn a_page_that_is_refused_ends_the_attempt() {
    let manifest = manifest();
    let got = obtained(&manifest, async |connection| {
        let (mut send, _) = next_open(connection).await;
        answer(&mut send, None).await.unwrap();
    });
    assert!(matches!(got.await, Err(ObtainError::Rejected)));
}

#[tokio::test]
async fn a_neighbour_that_stalls_is_not_waited_for() {
    let manifest = manifest();
    let got = obtained(&manifest, async |connection| {
        let (mut send, open) = next_open(connection).await;
        let page = manifest.page(page_of(&open)).unwrap();
        let length = u32::try_from(page.len()).unwrap();
        frames::write(&mut send, &Answer::Manifest { length }).await.unwrap();
        send.write_all(&page[..1000]).await.unwrap();
        pause();
        std::future::pending::<()>().await;
    });
    assert!(matches!(got.await, Err(ObtainError::Slow)));
}
