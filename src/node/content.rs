//! The content that a node takes part in: its manifest, its proofs, its swarm and the bytes on disk.
//!
//! Invariant: exactly one of `Tree`'s forms holds the bytes that the swarm says we have.

use std::collections::BTreeMap;
use std::sync::Arc;

use quinn::SendStream;
use tokio::sync::oneshot;

use super::assembly::Assemblies;
use super::config::NodeConfig;
use super::finals::Finals;
use super::forms::Forms;
use super::press::Press;
use super::prove::Found;
use super::recent::Recent;
use super::recheck::Recheck;
use super::snapshot::Snapshot;
use super::zero::Zeros;
use crate::bitfield::Bitfield;
use crate::chunk::ChunkId;
use crate::manifest::{ContentId, DatasetKey, DigestKind, EntryKind, Manifest, Proofs};
use crate::store::{Published, Replica, StoreError};
use crate::swarm::trace::Beginning;
use crate::swarm::{RequestId, SourceId, Swarm};
use crate::units::{Bytes, Time};
use crate::wire::{Accepts, ContentIndex, Ranges};

/// The index under which a node speaks of its content; one node has one content today.
pub(super) const OUR_INDEX: ContentIndex = ContentIndex(0);
/// The name by which the swarm knows the source tree of this machine.
pub(super) const LOCAL: SourceId = SourceId(0);

/// Where the chunks that we have lie.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    /// In the source that we publish.
    Published(Arc<Published>),
    /// In the destination that we fill.
    Replica(Arc<Replica>),
}

impl Tree {
    /// Reads bytes of the content; blocks.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        match self {
            Self::Published(source) => source.read_at(offset, buffer),
            Self::Replica(replica) => replica.read_at(offset, buffer),
        }
    }
}

/// A neighbour's request that is not answered yet.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) source: SourceId,
    pub(super) send: SendStream,
    /// The parts of the chunk that are wanted.
    pub(super) ranges: Ranges,
    /// How the neighbour takes it.
    pub(super) accepts: Accepts,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) manifest: Arc<Manifest>,
    pub(super) proofs: Proofs,
    pub(super) swarm: Swarm,
    pub(super) tree: Tree,
    /// The source that is copied from on this machine, if any.
    pub(super) local: Option<Arc<Published>>,
    /// Signs digests; only a publisher has one.
    pub(super) press: Option<Press>,
    pub(super) requests: BTreeMap<RequestId, Request>,
    pub(super) next_request: u64,
    /// Answers under way, with whom they go to.
    pub(super) sending: BTreeMap<RequestId, SourceId>,
    /// Requests of ours that are under way; dropping the sender cancels one.
    pub(super) fetching: BTreeMap<(SourceId, ChunkId), oneshot::Sender<()>>,
    /// What came of chunks that are not whole yet.
    pub(super) assemblies: Assemblies,
    /// Chunks that came before their proof, with the moment of their coming.
    pub(super) unproven: Vec<(Time, super::download::Hashed)>,
    /// Chunks that came a moment ago, for whoever asks for them now.
    pub(super) recent: Recent,
    /// Chunks of ours that somebody found bad.
    pub(super) recheck: Recheck,
    /// Chunks that may lie in the destination.
    pub(super) found: Found,
    /// What chunks of zeros digest to.
    pub(super) zeros: Zeros,
    /// Its chunks as they travel packed.
    pub(super) forms: Forms,
    /// The files that were told to be final.
    pub(super) finals: Finals,
    /// Counters of what went and came.
    pub(super) snapshot: Snapshot,
}

impl Content {
    /// A content whose machine begins as `beginning` says.
    pub(super) fn new(
        manifest: Arc<Manifest>,
        proofs: Proofs,
        tree: Tree,
        beginning: &Beginning,
        zeros: Zeros,
        node: &NodeConfig,
    ) -> Self {
        let Beginning { layout, have, config, seed: _ } = beginning;
        let layout = *layout;
        let kept = Bytes(have.iter().map(|chunk| layout.len(chunk)).sum());
        let files = manifest.entries().as_slice().iter().filter(|entry| matches!(entry.kind, EntryKind::File { .. }));
        let snapshot = Snapshot {
            bytes_total: Bytes(layout.total()),
            bytes_done: kept,
            bytes_kept: kept,
            chunks_total: layout.count(),
            chunks_done: have.len(),
            files_total: files.count() as u64,
            publisher: config.publisher,
            ..Snapshot::default()
        };
        Self {
            swarm: beginning.swarm(),
            manifest,
            proofs,
            tree,
            local: None,
            press: None,
            requests: BTreeMap::new(),
            next_request: 0,
            sending: BTreeMap::new(),
            fetching: BTreeMap::new(),
            assemblies: Assemblies::default(),
            unproven: Vec::new(),
            recent: Recent::new(node.memory.0),
            recheck: Recheck::default(),
            found: Found::new(Bitfield::none(layout)),
            zeros,
            forms: Forms::new(layout, node.memory.0, node.compress_level),
            finals: Finals::default(),
            snapshot,
        }
    }

    /// Whether an answer to this neighbour is under way.
    pub(super) fn is_sending_to(&self, source: SourceId) -> bool {
        self.sending.values().any(|to| *to == source)
    }

    /// Whether this node answers with other chunks than those asked for, in its first pass.
    pub(super) fn redirects(&self) -> bool {
        self.snapshot.publisher
    }

    /// The key that signs chunks on their way out: a publisher's that serves from its source.
    pub(super) fn signs_uploads(&self) -> Option<Arc<DatasetKey>> {
        self.press.as_ref().filter(|_| matches!(self.tree, Tree::Published(_))).map(Press::key)
    }

    /// What this content is.
    pub(super) fn id(&self) -> ContentId {
        self.manifest.id()
    }

    /// How its chunks are digested.
    pub(super) fn digest_kind(&self) -> DigestKind {
        self.manifest.digest_kind()
    }

    /// The destination, unless we only publish.
    pub(super) fn replica(&self) -> Option<&Arc<Replica>> {
        match &self.tree {
            Tree::Replica(replica) => Some(replica),
            Tree::Published(_) => None,
        }
    }

    /// The path of the file in which a chunk begins, for messages.
    pub(super) fn path_of(&self, chunk: ChunkId) -> String {
        let entries = self.manifest.entries();
        let start = self.manifest.layout().range(chunk).start;
        entries.as_slice()[entries.at(start)].path.to_string()
    }
}
