//! Revoke: what happens when two publishers disagree and the later one is dropped.
//!
//! Chunks that counted on its word alone count no more. Most of them are right all the same, as trees that differ in one file agree in
//! all others; so they are treated like anything else that may lie in the destination already, and compared with the digests of those
//! who still count. Only what differs is fetched again.
//!
//! Invariant: no chunk counts, in the swarm or in the store, on a digest that counts no more.
//!
//! Not here: who was there first (`manifest::proofs`), comparing (`prove`), files under final names (`store`).

use super::Node;
use super::content::OUR_INDEX;
use super::error::NodeError;
use crate::bitfield::Bitfield;
use crate::chunk::ChunkId;
use crate::manifest::{DatasetKeyId, ProofError, SignedBatch, Update};
use crate::swarm::Input;
use crate::units::Bytes;
use crate::wire::{Form, Message};

impl Node {
    /// Takes batches that we signed ourselves.
    pub(super) fn take_own(&mut self, batches: &[SignedBatch]) -> Result<(), NodeError> {
        for batch in batches {
            let Some(content) = &mut self.content else { return Ok(()) };
            let update = content.proofs.insert_batch(batch).map_err(NodeError::Conflict)?;
            self.on_update(&update)?;
        }
        Ok(())
    }

    /// What a statement about digests changed.
    pub(super) fn on_update(&mut self, update: &Update) -> Result<(), NodeError> {
        for key in &update.dropped {
            tracing::warn!(%key, "two publishers disagree about a chunk; the later one no longer counts");
        }
        if !update.dropped.is_empty() {
            self.on_keys_dropped(&update.dropped)?;
        }
        self.revoke(&update.revoked);
        Ok(())
    }

    /// Publishers lost their say: what their batches proved to neighbours must be shown to them anew, and if we are one of these
    /// publishers ourselves, our source is not what the swarm has.
    fn on_keys_dropped(&mut self, dropped: &[DatasetKeyId]) -> Result<(), NodeError> {
        let ours = self.content.as_ref().and_then(|content| content.press.as_ref()).map(|press| press.key().id());
        if let Some(key) = ours.filter(|key| dropped.contains(key)) {
            return Err(NodeError::Conflict(ProofError::DroppedKey(key)));
        }
        for link in self.links.joined_mut() {
            link.told = None;
        }
        Ok(())
    }

    /// What each of these chunks must be is not known any more, or is something else.
    pub(super) fn revoke(&mut self, chunks: &[ChunkId]) {
        let Some(content) = &mut self.content else { return };
        // A publisher's own source is the measure of what it serves, whatever others said of it before.
        let Some(replica) = content.replica() else { return };
        replica.revoke(chunks);
        let mut doubtful = Bitfield::none(content.manifest.layout());
        for chunk in chunks.iter().filter(|chunk| content.swarm.have().contains(**chunk)) {
            doubtful.insert(*chunk);
            let len = content.manifest.layout().len(*chunk);
            let snapshot = &mut content.snapshot;
            snapshot.chunks_done -= 1;
            snapshot.bytes_done = Bytes(snapshot.bytes_done.0 - len);
        }
        if doubtful.is_empty() {
            return;
        }
        tracing::warn!(chunks = doubtful.len(), "chunks that only a dropped publisher vouched for are looked at again");
        content.found.doubt(&doubtful);
        (self.finished, self.finishing, self.completed_at) = (false, false, None);
        self.last_progress = self.clock.now();
        for chunk in doubtful.iter() {
            self.tell_swarm(Input::Lost { chunk });
        }
        self.tell_swarm(Input::Withheld { chunks: doubtful });
        // Neighbours that believe us to hold these would ask, be refused, and then believe nothing.
        if let Some(content) = &self.content {
            let holding = Message::Bitfield { content: OUR_INDEX, form: Form::of(content.swarm.have()) };
            self.links.joined_mut().for_each(|link| link.tell(&holding));
        }
        self.prove();
    }
}
