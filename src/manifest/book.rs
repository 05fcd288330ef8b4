//! What one dataset key has signed: for each chunk the largest batch that lists it.
//!
//! A chunk may travel with a batch of its own, signed in a hurry, and appear again in a batch of hundreds. The larger one replaces
//! the smaller ones that it covers, so the batches of a book tend to the few that a newcomer needs.
//!
//! Invariant: every batch here verified, lists only chunks of the layout, and is the best one for at least one chunk; no two
//! batches disagree about a chunk.
//!
//! Not here: who may sign, and what happens when two keys disagree (`proofs`).

use super::batch::SignedBatch;
use super::digest::Digest;
use super::endorsement::{ContentRoot, Endorsement};
use super::key::DatasetKeyId;
use crate::chunk::{ChunkId, Layout};

/// Stands for "no batch lists this chunk".
const NONE: u32 = u32::MAX;

/// The statements of one dataset key about one content.
#[derive(Debug)]
pub(super) struct Book {
    /// Whose statements these are: the newest endorsement of the key.
    pub(super) endorsement: Endorsement,
    /// The earliest time of an endorsement of the key.
    since: u64,
    /// The closing statement, once there is one.
    pub(super) root: Option<ContentRoot>,
    /// For each chunk the slot of its best batch; empty until the first batch comes.
    best: Vec<u32>,
    slots: Vec<Option<Held>>,
    free: Vec<u32>,
    bytes: usize,
}

/// A batch and the number of chunks for which it is the best.
#[derive(Debug)]
struct Held {
    batch: SignedBatch,
    uses: u32,
}

impl Book {
    /// An empty book.
    pub(super) const fn new(endorsement: Endorsement) -> Self {
        Self {
            since: endorsement.time,
            endorsement,
            root: None,
            best: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
            bytes: 0,
        }
    }

    /// Whose book it is.
    pub(super) const fn key(&self) -> DatasetKeyId {
        self.endorsement.key
    }

    /// What decides between two publishers who disagree: the smaller was there first.
    pub(super) const fn seniority(&self) -> (u64, DatasetKeyId) {
        (self.since, self.endorsement.key)
    }

    /// Takes an endorsement of the same key if it is newer: its signer's certificate was renewed. The seniority stays.
    pub(super) fn renew(&mut self, endorsement: Endorsement) -> bool {
        self.since = self.since.min(endorsement.time);
        let newer = endorsement.time > self.endorsement.time;
        if newer {
            self.endorsement = endorsement;
        }
        newer
    }

    /// Bytes of all batches.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The largest batch that lists the chunk with this index.
    pub(super) fn batch(&self, index: u32) -> Option<&SignedBatch> {
        let slot = *self.best.get(index as usize)?;
        let held = self.slots.get(slot as usize)?.as_ref();
        held.map(|held| &held.batch)
    }

    /// The digest that this key signed for the chunk with this index.
    pub(super) fn digest(&self, index: u32) -> Option<Digest> {
        self.batch(index)?.digest(index)
    }

    /// The first chunk about which the batch says otherwise.
    pub(super) fn dispute(&self, batch: &SignedBatch) -> Option<u32> {
        batch
            .entries()
            .find(|(index, digest)| self.digest(*index).is_some_and(|d| d != *digest))
            .map(|(index, _)| index)
    }

    /// Whether the batch says nothing new and is of no more use than what is here: it need not be verified.
    pub(super) fn is_repeated_by(&self, batch: &SignedBatch) -> bool {
        batch.entries().all(|(index, digest)| self.digest(index) == Some(digest))
            && batch.indices().any(|index| self.batch(index).is_some_and(|held| held.len() >= batch.len()))
    }

    /// Takes a batch that verified and disputes nothing, unless it is of no use.
    pub(super) fn insert(&mut self, batch: &SignedBatch, layout: Layout) {
        if self.best.is_empty() {
            self.best = vec![NONE; layout.count() as usize];
        }
        let better: Vec<u32> =
            batch.indices().filter(|index| self.batch(*index).is_none_or(|held| held.len() < batch.len())).collect();
        let Ok(uses @ 1..) = u32::try_from(better.len()) else { return };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1)
                .expect("every batch is the best for a chunk, so there are no more than chunks")
        });
        self.slots[slot as usize] = Some(Held { batch: batch.clone(), uses });
        self.bytes += batch.as_bytes().len();
        for index in better {
            let old = std::mem::replace(&mut self.best[index as usize], slot);
            self.release(old);
        }
    }

    /// The chunks that this key signed for, ascending.
    pub(super) fn chunks(&self, layout: Layout) -> impl Iterator<Item = ChunkId> + '_ {
        self.best.iter().zip(layout.chunks()).filter(|(slot, _)| **slot != NONE).map(|(_, chunk)| chunk)
    }

    /// One chunk less uses the batch in this slot; an unused batch goes.
    fn release(&mut self, slot: u32) {
        let Some(entry) = self.slots.get_mut(slot as usize) else { return };
        let Some(held) = entry else { return };
        held.uses -= 1;
        if held.uses == 0 {
            self.bytes -= held.batch.as_bytes().len();
            *entry = None;
            self.free.push(slot);
        }
    }
}
