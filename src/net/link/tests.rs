use std::net::SocketAddr;

use tokio::time::pause;

use super::*;
use crate::manifest::ContentId;
use crate::net::testing::{Pair, hello, pair, within};
use crate::wire::{ContentIndex, List, Text, VERSION};

/// Both ends of a connection after their hellos.
async fn greeted(pair: &Pair) -> (Greeted, Greeted) {
    let (ours, theirs) = (hello(1), hello(2));
    let both =
        async { tokio::join!(greet(pair.dialling.clone(), true, &ours), greet(pair.dialled.clone(), false, &theirs)) };
    let (dialling, dialled) = within(both).await;
    (dialling.unwrap(), dialled.unwrap())
}

/// What a peer sees that behaves as `peer` does towards a node that greets it, and what the node sees.
async fn greet_with(peer: impl AsyncFnOnce(&Connection)) -> (LinkError, ConnectionError) {
    let pair = pair().await;
    let ours = hello(1);
    pause();
    let peer = async {
        peer(&pair.dialling).await;
        pair.dialling.closed().await
    };
    let (error, seen) = within(async { tokio::join!(greet(pair.dialled.clone(), false, &ours), peer) }).await;
    (error.unwrap_err(), seen)
}

fn reason(seen: &ConnectionError) -> Reason {
    match seen {
        ConnectionError::ApplicationClosed(close) => {
            Reason::from_code(u8::try_from(close.error_code.into_inner()).unwrap())
        }
        other => panic!("not closed by the node: {other}"),
    }
}

fn peer(port: u16) -> PeerAddr {
    PeerAddr { addr: SocketAddr::from(([10, 0, 0, 1], port)), peer: None, zone: Text::default() }
}

#[tokio::test]
async fn two_that_greet_each_other_know_each_other() {
    let pair = pair().await;
    let (dialling, dialled) = greeted(&pair).await;
    assert_eq!((dialling.hello, dialling.dialled), (hello(2), true));
    assert_eq!((dialled.hello, dialled.dialled), (hello(1), false));
}

#[tokio::test]
async fn a_silent_peer_is_given_up_and_told() {
    let (error, seen) = greet_with(async |_| {}).await;
    assert!(matches!(error, LinkError::Silent), "{error}");
    assert_eq!(reason(&seen), Reason::Protocol);
}

#[tokio::test]
async fn a_peer_that_does_not_welcome_us_is_given_up() {
    let (error, seen) = greet_with(async |connection| {
        let mut send = connection.open_uni().await.unwrap();
        frames::write(&mut send, &Message::Hello(hello(2))).await.unwrap();
        connection.closed().await;
    })
    .await;
    assert!(matches!(error, LinkError::Silent), "{error}");
    assert_eq!(reason(&seen), Reason::Protocol);
}

#[tokio::test]
async fn a_peer_that_begins_with_anything_else_is_given_up() {
    let (error, seen) = greet_with(async |connection| {
        let mut send = connection.open_uni().await.unwrap();
        frames::write(&mut send, &Message::Welcome).await.unwrap();
        connection.closed().await;
    })
    .await;
    assert!(matches!(error, LinkError::Manners), "{error}");
    assert_eq!(reason(&seen), Reason::Protocol);
}

#[tokio::test]
async fn a_peer_of_another_version_is_told_so() {
    let (error, seen) = greet_with(async |connection| {
        let mut send = connection.open_uni().await.unwrap();
        let mut later = hello(2);
        later.version = VERSION + 1;
        frames::write(&mut send, &Message::Hello(later)).await.unwrap();
        connection.closed().await;
    })
    .await;
    assert!(matches!(error, LinkError::Version(WireError::OtherVersion(_))), "{error}");
    assert_eq!(reason(&seen), Reason::OtherVersion);
}

#[tokio::test]
async fn whoever_finds_no_room_learns_where_else_to_ask_and_why() {
    let pair = pair().await;
    let (mut dialling, dialled) = greeted(&pair).await;
    let elsewhere: Vec<PeerAddr> = (1..=70).map(peer).collect();
    let turned_away = tokio::spawn(turn_away(dialled, elsewhere.clone()));
    let mut named = Vec::new();
    while named.len() < elsewhere.len() {
        match within(frames::read(&mut dialling.recv)).await.unwrap() {
            Message::Peers(peers) => named.extend(peers.joined.into_vec()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(named, elsewhere);
    assert_eq!(reason(&within(dialling.connection.closed()).await), Reason::TooMany);
    turned_away.await.unwrap();
}

#[tokio::test]
async fn a_link_passes_on_messages_and_requests_and_reports_its_end_once() {
    let pair = pair().await;
    let (mut dialling, dialled) = greeted(&pair).await;
    let (sender, mut events) = mpsc::channel(16);
    let control = start(dialled, SourceId(7), sender);
    frames::write(&mut dialling.send, &Message::Bye { reason: Reason::Complete }).await.unwrap();
    assert!(matches!(
        within(events.recv()).await,
        Some((SourceId(7), LinkEvent::Control(Message::Bye { reason: Reason::Complete })))
    ));
    let (mut send, mut recv) = dialling.connection.open_bi().await.unwrap();
    frames::write(&mut send, &Open::Header { id: ContentId([1; 32]) }).await.unwrap();
    let Some((_, LinkEvent::Opened { mut send, .. })) = within(events.recv()).await else { panic!("no request") };
    frames::write(&mut send, &Message::Welcome).await.unwrap();
    assert_eq!(within(frames::read::<Message>(&mut recv)).await.unwrap(), Message::Welcome);
    assert!(control.send(&Message::Bye { reason: Reason::Stopped }));
    assert!(matches!(within(frames::read(&mut dialling.recv)).await, Ok(Message::Bye { reason: Reason::Stopped })));
    close(&dialling.connection, Reason::Complete, "done");
    assert!(matches!(within(events.recv()).await, Some((_, LinkEvent::Closed { .. }))));
    assert!(within(events.recv()).await.is_none(), "nothing follows, and no task stays behind");
}

#[tokio::test]
async fn a_request_that_does_not_say_what_it_wants_is_dropped_alone() {
    let pair = pair().await;
    let (dialling, dialled) = greeted(&pair).await;
    let (sender, mut events) = mpsc::channel(16);
    let _control = start(dialled, SourceId(7), sender);
    let (mut send, mut recv) = dialling.connection.open_bi().await.unwrap();
    send.write_all(&[9]).await.unwrap();
    pause();
    assert!(matches!(within(frames::read::<Message>(&mut recv)).await, Err(FrameError::End)));
    assert!(dialling.connection.close_reason().is_none());
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn a_flood_of_messages_ends_the_link() {
    let pair = pair().await;
    let (mut dialling, dialled) = greeted(&pair).await;
    let (sender, mut events) = mpsc::channel(1 << 16);
    let _control = start(dialled, SourceId(7), sender);
    while frames::write(&mut dialling.send, &Message::Offers(List::default())).await.is_ok() {}
    assert_eq!(reason(&within(dialling.connection.closed()).await), Reason::Protocol);
    let mut heard = 0;
    while let Some((_, LinkEvent::Control(_))) = within(events.recv()).await {
        heard += 1;
    }
    assert!(heard < 1000, "{heard} messages got through");
}

#[tokio::test]
async fn a_neighbour_that_does_not_read_is_noticed() {
    let pair = pair().await;
    let (_dialling, dialled) = greeted(&pair).await;
    let (sender, _events) = mpsc::channel(16);
    let control = start(dialled, SourceId(7), sender);
    let message = Message::BadChunk { content: ContentIndex(0), chunk: 0 };
    // Nothing is written before this test waits for something.
    assert_eq!((0..2 * CONTROL_QUEUE).filter(|_| control.send(&message)).count(), CONTROL_QUEUE);
}
