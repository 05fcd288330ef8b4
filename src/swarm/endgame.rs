//! End game: the last chunks are asked of two sources, so that the slowest source does not decide when we are complete.
//!
//! It begins when every missing chunk is in flight, and only idle sources take part: whoever still has something of its own to
//! give is not disturbed, nor is a source in another zone. The second request is for the chunk that has waited longest, those that have not begun first, as there the
//! second sender can win most. It asks from the end, so that the two meet and hardly a byte comes twice.
//!
//! Invariant: at most two requests claim a chunk.
//!
//! Not here: requests that are stuck (`hedge` takes their claim, which makes their chunks free again).

use crate::chunk::ChunkId;
use crate::swarm::Swarm;
use crate::swarm::event::{Part, SourceId};
use crate::units::Time;

/// Sources asked for one chunk at a time: one more bounds the waste at one chunk per late chunk.
pub(super) const SOURCES_PER_CHUNK: u16 = 2;

impl Swarm {
    /// Gives idle sources a second request each, once nothing is left to be asked for the first time.
    pub(super) fn fill_twice(&mut self, now: Time) {
        // While chunks are withheld nobody knows whether these are the last.
        if !self.board.taken().is_full() || !self.board.withheld().is_empty() || self.complete {
            return;
        }
        let idle: Vec<SourceId> = (self.board.sources().iter())
            .filter(|(_, source)| source.fetching.is_empty() && source.has_room() && !source.known.is_empty())
            // Behind a thin link a second request waits for the first, and what both bring has crossed twice.
            .filter(|(_, source)| !source.far)
            .map(|(id, _)| *id)
            .collect();
        for id in idle {
            if let Some(chunk) = self.latest_chunk(id) {
                self.fetch(now, id, chunk, Part::RestFromEnd, true);
            }
        }
    }

    /// The chunk in flight that `id` holds and that is likely to be last.
    fn latest_chunk(&self, id: SourceId) -> Option<ChunkId> {
        let known = &self.board.source(id)?.known;
        let others = self.board.sources().iter().filter(|(other, _)| **other != id);
        let candidates = others.flat_map(|(_, source)| &source.fetching).filter(|f| {
            f.claims
                && known.contains(f.chunk)
                && self.board.claims(f.chunk) < SOURCES_PER_CHUNK
                && !self.board.is_alone(f.chunk)
                && !self.board.is_verifying(f.chunk)
        });
        candidates.min_by_key(|f| (f.arriving, f.since, f.chunk)).map(|f| f.chunk)
    }
}
