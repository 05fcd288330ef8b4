//! Press: how a publisher signs digests while the data is being read.
//!
//! Chunks are hashed when somebody asks for them, and the rest in path order in the background. Digests gather for a moment and go
//! out in signed batches; a chunk that leaves before its batch carries a signature of its own. When all are known, the list is
//! signed once more in large batches, for newcomers, and closed with a content root.
//!
//! Invariant: no two digests for one chunk are ever signed; a second one that differs means that the source changed.
//!
//! Not here: reading and hashing (`upload`, `background`), passing on (`gossip`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::chunk::{ChunkId, Layout};
use crate::manifest::{ContentId, ContentRoot, DatasetKey, Digest, SignedBatch};
use crate::units::Time;

/// A batch is signed when it has so many digests (64: two kilobytes, so that a signature costs little per chunk) …
const BATCH_FULL: usize = 64;
/// … or when its first digest has waited so long (50 ms: news of proofs stays below the time of a few chunks).
const BATCH_DELAY: Duration = Duration::from_millis(50);

/// The digests of a chunk disagree: it was read twice with different bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Changed(pub(super) ChunkId);

/// See the module's text.
#[derive(Debug)]
pub(super) struct Press {
    key: Arc<DatasetKey>,
    content: ContentId,
    layout: Layout,
    /// What this source's chunks were when they were read. Other publishers' word is no measure of our own source.
    own: Vec<Option<Digest>>,
    hashed: u32,
    pending: BTreeMap<ChunkId, Digest>,
    /// When the oldest pending digest came.
    since: Option<Time>,
    /// The next chunk for the background.
    cursor: u32,
    closed: bool,
}

impl Press {
    /// A press of which `known` is signed already: what needed no reading.
    pub(super) fn new(
        key: Arc<DatasetKey>,
        content: ContentId,
        layout: Layout,
        known: &BTreeMap<ChunkId, Digest>,
    ) -> Self {
        let own: Vec<Option<Digest>> = layout.chunks().map(|chunk| known.get(&chunk).copied()).collect();
        let hashed = u32::try_from(known.len()).expect("no more than all chunks");
        Self { key, content, layout, own, hashed, pending: BTreeMap::new(), since: None, cursor: 0, closed: false }
    }

    /// The key, for whoever signs a single chunk on its way out.
    pub(super) fn key(&self) -> Arc<DatasetKey> {
        Arc::clone(&self.key)
    }

    /// Takes the digest of a chunk that was read.
    pub(super) fn take(&mut self, chunk: ChunkId, digest: Digest, now: Time) -> Result<(), Changed> {
        match self.own[chunk.as_usize()].replace(digest) {
            Some(before) if before != digest => Err(Changed(chunk)),
            Some(_) => Ok(()),
            None => {
                self.hashed += 1;
                self.pending.insert(chunk, digest);
                self.since.get_or_insert(now);
                Ok(())
            }
        }
    }

    /// What a chunk was when it was read, if it was.
    pub(super) fn digest(&self, chunk: ChunkId) -> Option<Digest> {
        self.own[chunk.as_usize()]
    }

    /// When the pending digests must go out.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.since.map(|since| since + BATCH_DELAY)
    }

    /// Signs what is pending if it is due.
    pub(super) fn print(&mut self, now: Time) -> Vec<SignedBatch> {
        let due = self.pending.len() >= BATCH_FULL || self.deadline().is_some_and(|due| due <= now);
        if !due {
            return Vec::new();
        }
        self.since = None;
        SignedBatch::sign_all(&self.key, self.content, &std::mem::take(&mut self.pending))
    }

    /// Chunks for the background to hash next, in path order, about `bytes` bytes of them.
    pub(super) fn next_unhashed(&mut self, bytes: u64) -> Vec<ChunkId> {
        let mut chunks = Vec::new();
        let mut len = 0;
        while let Some(chunk) = self.layout.chunk(self.cursor) {
            if len >= bytes {
                break;
            }
            self.cursor += 1;
            if self.own[chunk.as_usize()].is_none() {
                len += self.layout.len(chunk);
                chunks.push(chunk);
            }
        }
        chunks
    }

    /// Once, when every digest is signed: the same digests in as few batches as can be, and the root that closes the list.
    pub(super) fn close(&mut self) -> Option<(Vec<SignedBatch>, ContentRoot)> {
        if self.closed || self.hashed < self.layout.count() || !self.pending.is_empty() {
            return None;
        }
        self.closed = true;
        let digests =
            self.layout.chunks().zip(&self.own).filter_map(|(chunk, digest)| Some((chunk, (*digest)?))).collect();
        let root = Digest::of_list(self.own.iter().flatten().copied());
        Some((
            SignedBatch::sign_all(&self.key, self.content, &digests),
            ContentRoot::sign(&self.key, self.content, root),
        ))
    }
}
