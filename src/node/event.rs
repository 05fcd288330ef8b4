//! What the node's own tasks report to its loop.

use std::future::Future;
use std::net::SocketAddr;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::download::{Fetched, Hashed, Written};
use super::obtain::Ready;
use super::recheck::Found;
use super::renewal::Look;
use super::upload::UploadError;
use crate::chunk::ChunkId;
use crate::discovery::{Listing, News, PeerName, PollError, ResolveError};
use crate::manifest::{Digest, Manifest};
use crate::net::{Echo, FetchError, Greeted, LinkError, ObtainError};
use crate::store::StoreError;
use crate::swarm::{RequestId, SourceId};

/// Something that a task of the node did or found.
#[derive(Debug)]
pub(super) enum Event {
    /// A task panicked.
    Panicked,
    /// A name of the peer list was looked up.
    Resolved { name: PeerName, outcome: Result<Vec<SocketAddr>, ResolveError> },
    /// The list of peers that changes was asked for.
    Polled(Result<Listing, PollError>),
    /// The registry was told of us, or could not be.
    Announced(News),
    /// A connection is there and hellos are exchanged. `address` is what we dialled, if we did.
    Greeted { greeted: Box<Greeted>, address: Option<SocketAddr> },
    /// No neighbour came of a connection.
    NotGreeted { address: SocketAddr, dialled: bool, error: LinkError },
    /// What became of datagrams to a listed peer that does not answer.
    Probed { address: SocketAddr, echo: Echo },
    /// A neighbour sent us the manifest, or could not.
    Obtained { source: SourceId, outcome: Result<Manifest, ObtainError> },
    /// The destination is ready for a content.
    Ready(Box<Result<Ready, StoreError>>),
    /// A neighbour began to answer.
    Arriving { source: SourceId, asked: ChunkId, chunk: ChunkId },
    /// All bytes of a chunk came.
    Fetched(Fetched),
    /// A request ended without a chunk.
    Refused { source: SourceId, asked: ChunkId, error: FetchError },
    /// What came packed from these is no chunk.
    Garbled { chunk: ChunkId, from: Vec<(SourceId, u32)> },
    /// A chunk was hashed.
    Hashed(Hashed),
    /// A chunk could not be read from the local source.
    LocalFailed(StoreError),
    /// A verified chunk was written, or could not be.
    Written(Written),
    /// An upload's last byte was handed to the transport; its digest when it was hashed on the way.
    UploadWritten { request: RequestId, chunk: ChunkId, digest: Option<Digest> },
    /// An upload of so many bytes is acknowledged, or ended otherwise.
    UploadEnded { source: SourceId, request: RequestId, chunk: ChunkId, outcome: Result<u64, UploadError> },
    /// The background hashed these chunks.
    Background(Result<Vec<(ChunkId, Digest)>, StoreError>),
    /// Chunks that lay in the destination were read; for each the signed digest that it matches, if it does.
    Proved(Result<Vec<(ChunkId, Option<Digest>)>, StoreError>),
    /// These chunks were made zeros, or could not be.
    Zeroed { chunks: Vec<ChunkId>, outcome: Result<(), StoreError> },
    /// A chunk of ours that somebody found bad was read again.
    Rechecked { chunk: ChunkId, outcome: Result<Found, StoreError> },
    /// A chunk that counts no more was given up.
    GivenUp { chunk: ChunkId, outcome: Result<(), StoreError> },
    /// A group of files became final, or could not.
    Committed(Result<(), StoreError>),
    /// Everything is final and durable, or could not be made so.
    Finished(Result<(), StoreError>),
    /// The files of our credentials were looked at.
    Looked(Box<Look>),
    /// Everything was read back; the first chunk that differs, if one does.
    ReadBack(Result<Option<ChunkId>, StoreError>),
}

/// Where tasks report to. Unbounded, because every event belongs to a job that the loop started, and those are bounded.
#[derive(Clone, Debug)]
pub(super) struct Events(mpsc::UnboundedSender<Event>);

impl Events {
    pub(super) fn channel() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Whether the node is still there.
    pub(super) fn is_heard(&self) -> bool {
        !self.0.is_closed()
    }

    /// Starts a task of the node. When it panics, the node ends instead of waiting for ever for what the task would have reported.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let watch = PanicWatch(self.clone());
        let task = tokio::spawn(async move {
            let _watch = watch;
            task.await;
        });
        task.abort_handle()
    }

    /// Reports; a node that is gone needs no reports.
    pub(super) fn send(&self, event: Event) {
        let _ = self.0.send(event);
    }
}

/// Reports when it is dropped by a panic.
struct PanicWatch(Events);

impl Drop for PanicWatch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.send(Event::Panicked);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_task_is_reported() {
        let (events, mut inbox) = Events::channel();
        events.spawn(async {});
        events.spawn(async { panic!("this one is part of the test") });
        assert!(matches!(inbox.recv().await, Some(Event::Panicked)));
    }
}
