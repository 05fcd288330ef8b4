//! End: one end of a connection, and what the program there does: it writes without end, or reads whatever comes.
//!
//! Invariant: a receiver reads at once, so flow control never holds a sender back.
//!
//! Not here: time and packets (`world`).

use std::net::SocketAddr;

use bytes::Bytes;
use quinn_proto::{Connection, ConnectionHandle, Dir, Endpoint, StreamId};

use strew::units::Time;

/// Bytes that a sender hands over at once; they are all zero, and never copied.
const SEGMENT: usize = 64 << 10;
static ZEROS: [u8; SEGMENT] = [0; SEGMENT];

/// What the program at an end does.
pub(crate) enum Job {
    /// Nothing yet.
    Wait,
    /// Writes into one stream.
    Send {
        /// What is left; `None` never ends.
        left: Option<u64>,
    },
    /// Reads from the stream that the other side opens.
    Receive {
        /// That stream.
        stream: Option<StreamId>,
    },
}

/// One end.
pub(crate) struct End {
    pub(crate) endpoint: Endpoint,
    pub(crate) address: SocketAddr,
    pub(crate) connection: Option<(ConnectionHandle, Connection)>,
    pub(crate) job: Job,
    /// When the connection wants to be woken.
    pub(crate) timer: Option<Time>,
    /// Bytes that were read.
    pub(crate) received: u64,
    sends_on: Option<StreamId>,
}

impl End {
    pub(crate) const fn new(endpoint: Endpoint, address: SocketAddr) -> Self {
        Self { endpoint, address, connection: None, job: Job::Wait, timer: None, received: 0, sends_on: None }
    }

    /// Reads and writes what can be read and written, and lets endpoint and connection talk.
    pub(crate) fn work(&mut self) {
        let Some((handle, connection)) = &mut self.connection else { return };
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                connection.handle_event(event);
            }
        }
        while connection.poll().is_some() {}
        match &mut self.job {
            Job::Wait => {}
            Job::Send { left } if !connection.is_handshaking() => {
                self.sends_on = self.sends_on.or_else(|| connection.streams().open(Dir::Uni));
                if let Some(stream) = self.sends_on {
                    write(connection, stream, left);
                }
            }
            Job::Send { .. } => {}
            Job::Receive { stream } => {
                *stream = stream.or_else(|| connection.streams().accept(Dir::Uni));
                if let Some(stream) = *stream {
                    self.received += read(connection, stream);
                }
            }
        }
    }
}

fn write(connection: &mut Connection, stream: StreamId, left: &mut Option<u64>) {
    while left.is_none_or(|left| left > 0) {
        let most = left.map_or(SEGMENT, |left| usize::try_from(left).unwrap_or(SEGMENT).min(SEGMENT));
        let mut segment = [Bytes::from_static(&ZEROS).slice(..most)];
        let Ok(written) = connection.send_stream(stream).write_chunks(&mut segment) else { return };
        if let Some(left) = left {
            *left -= written.bytes as u64;
        }
    }
}

fn read(connection: &mut Connection, stream: StreamId) -> u64 {
    let mut bytes = 0;
    let mut receiver = connection.recv_stream(stream);
    let Ok(mut chunks) = receiver.read(false) else { return 0 };
    while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
        bytes += chunk.bytes.len() as u64;
    }
    // What it asks for, new credit, goes out with the next packet in any case.
    let _ = chunks.finalize();
    bytes
}
