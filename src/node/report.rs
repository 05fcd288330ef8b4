//! What a node tells whoever runs it. `cli` makes lines and events of it; a program that uses the library reads the channel.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::snapshot::Snapshot;
use super::totals::SourceTotals;
use crate::identity::{Identity, SwarmId};
use crate::manifest::{ContentId, Digest, Entries};
use crate::store::Named;
use crate::units::Bytes;

/// News of a run, in the order of happening.
#[derive(Clone, Debug)]
pub enum Report {
    /// The node listens.
    Started {
        /// The address that it listens on, with the port that it got.
        listen: SocketAddr,
        /// The swarm that it belongs to.
        swarm: SwarmId,
        /// Its own certificate's identity.
        identity: Identity,
    },
    /// The content is known: walked by a publisher, agreed on by everybody else.
    Content {
        /// What it is.
        id: ContentId,
        /// Bytes of all files.
        bytes: Bytes,
        /// Number of files.
        files: u64,
        /// Number of chunks.
        chunks: u32,
        /// Bytes of a chunk.
        chunk_size: Bytes,
        /// Bytes that were here already.
        kept: Bytes,
    },
    /// The digest of every chunk is known, and so is their root.
    Root {
        /// The content.
        content: ContentId,
        /// The root: it stands for every byte.
        root: Digest,
    },
    /// The list of peers that changes is there for the first time, or has changed.
    Listed {
        /// Peers on it now.
        peers: u32,
        /// Some of those that are new on it.
        added: Vec<String>,
        /// Some of those that are not on it any more.
        removed: Vec<String>,
    },
    /// A neighbour was gained.
    Joined {
        /// Where it listens.
        address: SocketAddr,
        /// Its certificate's identity.
        identity: Identity,
        /// Whether it publishes.
        publisher: bool,
        /// Neighbours now.
        peers: u32,
    },
    /// A neighbour was lost.
    Left {
        /// Where it listened.
        address: SocketAddr,
        /// Why.
        reason: String,
        /// Neighbours now.
        peers: u32,
    },
    /// Somebody was not taken as a neighbour, or was dropped for good: another key, another content, bad chunks.
    Refused {
        /// Where it listens, or from where it knocked.
        address: SocketAddr,
        /// Why.
        reason: String,
        /// Neighbours now.
        peers: u32,
    },
    /// The counters, about five times a second while something moves.
    Progress(Snapshot),
    /// Every byte is here, verified, durable and under its final name.
    Complete(Snapshot),
    /// Files became final, with [`NodeConfig::tell_files`](super::NodeConfig::tell_files): verified, durable and under their final names.
    /// Those that were final before this run are told right before [`Report::Complete`].
    Final {
        /// The entries of the content.
        entries: Arc<Entries>,
        /// Which of them.
        files: Vec<Named>,
    },
    /// What each source gave and took: the last report of a run.
    Totals(Vec<SourceTotals>),
    /// Key or certificates on the disk were renewed, and new connections use them.
    Renewed {
        /// Our identity from now on.
        identity: Identity,
    },
    /// Something that the user should know and that does not stop the job.
    Warning(String),
}

/// Where a node reports to. Nobody needs to listen.
#[derive(Clone, Debug)]
pub struct Reports(mpsc::UnboundedSender<Report>);

impl Reports {
    /// A channel of reports. Unbounded, because reports are few (five a second) and must never slow the node.
    #[must_use]
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Report>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    pub(super) fn send(&self, report: Report) {
        // Whoever dropped the other end does not want to know.
        let _ = self.0.send(report);
    }
}

/// How a run ended, when it did not end in an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The counters at the end.
    pub snapshot: Snapshot,
    /// Whether everything is here (always true for a publisher whose source was walked).
    pub complete: bool,
}
