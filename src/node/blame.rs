//! Blame: what a node does about bad chunks that it got.
//!
//! Invariant: only the sole sender of a bad chunk is blamed, and a banned peer does not become a neighbour again in this run.
//!
//! Not here: how long a source is not asked (the swarm), who is remembered (`bans`), bad chunks of our own (`recheck`).

use super::Node;
use super::bans::{Offender, Wrong};
use super::content::OUR_INDEX;
use crate::chunk::ChunkId;
use crate::manifest::Digest;
use crate::swarm::{Input, SourceId};
use crate::wire::{Message, Reason};

impl Node {
    /// A chunk does not match its signed digest: whoever sent all of it is to blame, and of several nobody. Neither is who sent what a
    /// publisher had vouched for that was dropped since.
    pub(super) fn on_wrong(&mut self, chunk: ChunkId, digest: &Digest, from: &[(SourceId, u32)]) {
        let Some(content) = &self.content else { return };
        let outdated = content.proofs.was_vouched_for(chunk, digest);
        self.throw_away(chunk, from, outdated, "it does not match its signed digest");
    }

    /// What came packed does not unpack to a chunk, which needs no digest to be wrong.
    pub(super) fn on_garbled(&mut self, chunk: ChunkId, from: &[(SourceId, u32)]) {
        self.throw_away(chunk, from, false, "what came packed does not unpack to it");
    }

    /// Throws away a bad chunk; its only sender is to blame unless it was right once.
    fn throw_away(&mut self, chunk: ChunkId, from: &[(SourceId, u32)], outdated: bool, why: &str) {
        let Some(content) = &mut self.content else { return };
        content.snapshot.chunks_bad += 1;
        self.end_requests_for(chunk);
        let addresses: Vec<_> = from.iter().filter_map(|(source, _)| Some(self.links.link(*source)?.address)).collect();
        tracing::warn!(chunk = chunk.index(), ?addresses, why, "a chunk is thrown away");
        self.tell_swarm(match from {
            [(source, _)] if !outdated => Input::Corrupt { source: *source, chunk },
            _ => Input::Mixed { chunk },
        });
    }

    /// Nobody vouched for a chunk in time. It is fetched again, and its senders are not blamed for bytes that may be right.
    ///
    /// But whoever says that it has a chunk must have shown the proof first. When it got lost, a new connection brings it: everybody begins
    /// with all proofs that it has. Who comes back again and again with nothing to show has never had any.
    pub(super) fn on_unproven(&mut self, chunk: ChunkId, from: &[(SourceId, u32)]) {
        self.end_requests_for(chunk);
        self.tell_swarm(Input::Mixed { chunk });
        for (source, _) in from {
            let Some(offender) = self.offender(*source) else { continue };
            if self.bans.note(offender, Wrong::Unproven) {
                self.ban(*source);
            } else {
                self.violation(*source, "it sent a chunk that nobody vouches for");
            }
        }
    }

    /// Ends what still waits for the verdict on a chunk, which the swarm has given up long ago unless the sender of the last byte left.
    fn end_requests_for(&mut self, chunk: ChunkId) {
        if let Some(content) = &mut self.content {
            content.fetching.retain(|(_, asked), _| *asked != chunk);
            content.assemblies.forget(chunk);
        }
    }

    /// Drops what is not brought any more, so that its memory is there for what is.
    pub(super) fn review_assemblies(&self) {
        if let Some(content) = &self.content {
            content.assemblies.review(self.budget.is_contested());
        }
    }

    /// Tells a neighbour that a chunk which only it sent was bad, so that it looks at its disk. If it did so before, over this
    /// connection or another, it is banned.
    pub(super) fn blame(&mut self, source: SourceId, chunk: ChunkId) {
        let (Some(link), Some(offender)) = (self.links.link(source), self.offender(source)) else { return };
        link.tell(&Message::BadChunk { content: OUR_INDEX, chunk: chunk.index() });
        if self.bans.note(offender, Wrong::Bad) {
            self.ban(source);
        }
    }

    /// Drops a neighbour for the rest of the run.
    pub(super) fn ban(&mut self, source: SourceId) {
        let (Some(link), Some(offender)) = (self.links.link(source), self.offender(source)) else { return };
        let (address, aliases, identity) = (link.address, link.aliases.clone(), link.identity);
        tracing::warn!(%address, %identity, "banned: it sent bad chunks");
        self.bans.ban(offender);
        if let Some(content) = &self.content {
            content.assemblies.disown(source);
        }
        self.drop_link(source, Reason::BadChunks, "it sent bad chunks");
        for address in aliases.into_iter().chain([address]) {
            self.candidates.bar(address, self.clock.now());
        }
        self.report_refused(address, "it sent bad chunks".to_owned());
    }

    /// Whom a wrong of this neighbour is remembered of. A certificate is shared when it is ours too, or another neighbour's.
    fn offender(&self, source: SourceId) -> Option<Offender> {
        let link = self.links.link(source)?;
        let (identity, peer) = (link.identity, link.hello.peer);
        let shared = identity == self.credentials.identity()
            || self.links.iter().any(|(_, other)| other.identity == identity && other.hello.peer != peer);
        Some(if shared { Offender::Address(link.address) } else { Offender::Identity(identity) })
    }
}
