//! Link: an established connection to a neighbour, from the exchange of hellos to its end.
//!
//! TLS tells who may connect; only an answer tells that the other side took us, because a refused client still sees its
//! `connect()` succeed. So both sides open a control stream and say hello on it, and each welcomes the other once it has read the
//! other's hello: whoever is welcomed has a neighbour.
//!
//! Invariant: a link reports exactly one [`LinkEvent::Closed`]; requests that were being read may be reported after it.
//!
//! Not here: which neighbours to have (`node`), and what a message means.

use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, ConnectionError, RecvStream, SendStream, VarInt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::frames::{self, FrameError};
use super::pace::Pace;
use crate::swarm::SourceId;
use crate::wire::{Hello, Message, Open, PeerAddr, Peers, Reason, WireError, encode};

/// Both hellos must be through within this time after the handshake (10 s, as handshakes have).
const HELLO_TIME_MAX: Duration = Duration::from_secs(10);
/// A request stream must say what it wants within this time.
const OPEN_TIME_MAX: Duration = Duration::from_secs(10);
/// Control messages that may wait for a slow neighbour; beyond that it is dropped, since a queue without end is memory that
/// somebody else controls.
const CONTROL_QUEUE: usize = 4096;

/// Why two nodes did not become neighbours.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The connection could not be made or broke.
    #[error("cannot connect")]
    Connection(#[from] ConnectionError),
    /// The address cannot be dialled at all.
    #[error("cannot dial this address")]
    Dial(#[from] quinn::ConnectError),
    /// Connected, but no hello came.
    #[error("the peer sent no hello within {HELLO_TIME_MAX:?}")]
    Silent,
    /// What came is no hello.
    #[error("the peer's hello cannot be read")]
    Hello(#[source] FrameError),
    /// It began with something else than a hello, or did not welcome ours.
    #[error("the peer did not say hello as it should")]
    Manners,
    /// The peer speaks another version of the protocol, and was told so.
    #[error(transparent)]
    Version(WireError),
    /// Our hello could not be sent.
    #[error("cannot send a hello")]
    Send(#[from] quinn::WriteError),
}

/// A connection whose hellos are exchanged.
#[derive(Debug)]
pub struct Greeted {
    /// The connection.
    pub connection: Connection,
    /// Whether we dialled it.
    pub dialled: bool,
    /// What the other side said.
    pub hello: Hello,
    send: SendStream,
    recv: RecvStream,
}

/// What a link tells the node.
#[derive(Debug)]
pub enum LinkEvent {
    /// A control message came.
    Control(Message),
    /// A request stream was opened; the answer goes into `send`.
    Opened {
        /// What is asked for.
        open: Open,
        /// Where the answer goes.
        send: SendStream,
    },
    /// The link is over.
    Closed {
        /// Why, for the log.
        reason: String,
    },
}

/// Exchanges hellos on a new connection.
///
/// # Errors
/// [`LinkError`]; the connection is closed then.
pub async fn greet(connection: Connection, dialled: bool, ours: &Hello) -> Result<Greeted, LinkError> {
    let outcome = tokio::time::timeout(HELLO_TIME_MAX, exchange(&connection, ours)).await;
    match outcome.unwrap_or(Err(LinkError::Silent)) {
        Ok((send, recv, hello)) => Ok(Greeted { connection, dialled, hello, send, recv }),
        Err(error) => {
            let reason = if matches!(error, LinkError::Version(_)) { Reason::OtherVersion } else { Reason::Protocol };
            close(&connection, reason, &error.to_string());
            Err(error)
        }
    }
}

/// Hello and welcome, both ways.
async fn exchange(connection: &Connection, ours: &Hello) -> Result<(SendStream, RecvStream, Hello), LinkError> {
    // The connection's own reason for its end says more than a stream's.
    let refused = |error| match (connection.close_reason(), error) {
        (Some(reason), _) => LinkError::Connection(reason),
        (None, FrameError::Wire(version @ WireError::OtherVersion(_))) => LinkError::Version(version),
        (None, error) => LinkError::Hello(error),
    };
    let mut send = connection.open_uni().await?;
    // Above all data: news is worth more than the chunk it would wait behind. Fails only on a closed stream.
    let _ = send.set_priority(1);
    frames::write(&mut send, &Message::Hello(ours.clone())).await?;
    let mut recv = connection.accept_uni().await?;
    let Message::Hello(hello) = frames::read(&mut recv).await.map_err(refused)? else {
        return Err(LinkError::Manners);
    };
    frames::write(&mut send, &Message::Welcome).await?;
    match frames::read(&mut recv).await.map_err(refused)? {
        Message::Welcome => Ok((send, recv, hello)),
        _ => Err(LinkError::Manners),
    }
}

/// Closes a connection with a reason and a sentence for the other side's log.
pub fn close(connection: &Connection, reason: Reason, text: &str) {
    connection.close(VarInt::from_u32(u32::from(reason.code())), text.as_bytes());
}

/// Ends a link that there is no room for, after telling the other side where else to ask.
pub async fn turn_away(mut greeted: Greeted, elsewhere: Vec<PeerAddr>) {
    /// Long enough for the list to arrive on any path, short enough not to hold the connection.
    const LINGER: Duration = Duration::from_secs(2);
    for joined in crate::wire::List::split(elsewhere) {
        let peers = Peers { joined, ..Peers::default() };
        if frames::write(&mut greeted.send, &Message::Peers(peers)).await.is_err() {
            return;
        }
    }
    let _ = greeted.send.finish();
    let _ = tokio::time::timeout(LINGER, greeted.send.stopped()).await;
    close(&greeted.connection, Reason::TooMany, "no room for another neighbour");
}

/// The sending half of a link's control stream.
#[derive(Clone, Debug)]
pub struct ControlSender(mpsc::Sender<Bytes>);

impl ControlSender {
    /// Queues a message; false when the neighbour takes so little that its queue is full, or is gone.
    #[must_use]
    pub fn send(&self, message: &Message) -> bool {
        self.0.try_send(Bytes::from(encode(message))).is_ok()
    }
}

/// Starts the tasks of a link; its events carry `source`.
pub fn start(greeted: Greeted, source: SourceId, events: mpsc::Sender<(SourceId, LinkEvent)>) -> ControlSender {
    let Greeted { connection, send, recv, .. } = greeted;
    let (sender, queue) = mpsc::channel(CONTROL_QUEUE);
    tokio::spawn(write_control(send, queue));
    tokio::spawn(accept_requests(connection.clone(), source, events.clone()));
    tokio::spawn(async move {
        let end = read_control(recv, source, &events).await;
        let reason = match (connection.close_reason(), end) {
            (Some(reason), _) => reason.to_string(),
            (None, Ending::Broken(error)) => {
                close(&connection, Reason::Protocol, "the control stream ended");
                error_chain(&error)
            }
            (None, Ending::Flood) => {
                close(&connection, Reason::Protocol, FLOOD);
                FLOOD.to_owned()
            }
        };
        // A closed channel means that the node is gone itself.
        let _ = events.send((source, LinkEvent::Closed { reason })).await;
    });
    ControlSender(sender)
}

/// Why nothing more is read from a control stream.
enum Ending {
    /// The stream is over or makes no sense.
    Broken(FrameError),
    /// More messages came than any neighbour needs to send.
    Flood,
}

/// What a neighbour is told that says too much.
const FLOOD: &str = "control messages come faster than any neighbour needs to send them";

/// Passes control messages on until the stream ends.
async fn read_control(mut recv: RecvStream, source: SourceId, events: &mpsc::Sender<(SourceId, LinkEvent)>) -> Ending {
    let mut pace = Pace::new(Instant::now());
    loop {
        let message = match frames::read::<Message>(&mut recv).await {
            Ok(message) => message,
            Err(error) => return Ending::Broken(error),
        };
        if !pace.admits(&message, Instant::now()) {
            return Ending::Flood;
        }
        if events.send((source, LinkEvent::Control(message))).await.is_err() {
            return Ending::Broken(FrameError::End);
        }
    }
}

/// Writes control messages until the node drops the link or the stream breaks.
async fn write_control(mut send: SendStream, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(message) = queue.recv().await {
        if send.write_chunk(message).await.is_err() {
            return;
        }
    }
    // The stream may be gone already; then there is nobody to tell.
    let _ = send.finish();
}

/// Accepts request streams; each says what it wants in its own task, so that a slow one delays nobody.
async fn accept_requests(connection: Connection, source: SourceId, events: mpsc::Sender<(SourceId, LinkEvent)>) {
    while let Ok((send, mut recv)) = connection.accept_bi().await {
        let events = events.clone();
        tokio::spawn(async move {
            let open = tokio::time::timeout(OPEN_TIME_MAX, frames::read::<Open>(&mut recv)).await;
            if let Ok(Ok(open)) = open {
                let _ = events.send((source, LinkEvent::Opened { open, send })).await;
            }
        });
    }
}

/// An error and its causes in one line.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
