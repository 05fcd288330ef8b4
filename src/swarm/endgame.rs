//! End game: the last chunks are asked of two sources, so that the slowest source does not decide when we are complete.
//!
//! It begins when every missing chunk is in flight, and only idle sources take part: whoever still has something of its own to
//! give is not disturbed. A source in another zone takes part where the first request will take several times as long as one to it: behind a
//! thin link a second request would wait for the first, and what both bring would have crossed twice. The second request is for the chunk that has waited longest, those that have not begun first, as there the
//! second sender can win most. It asks from the end, so that the two meet and hardly a byte comes twice.
//!
//! Invariant: at most two requests claim a chunk.
//!
//! Not here: requests that are stuck (`hedge` takes their claim, which makes their chunks free again).

use std::time::Duration;

use crate::chunk::ChunkId;
use crate::swarm::Swarm;
use crate::swarm::event::{Part, SourceId};
use crate::swarm::source::{Fetching, Source};
use crate::units::Time;

/// Sources asked for one chunk at a time: one more bounds the waste at one chunk per late chunk.
pub(super) const SOURCES_PER_CHUNK: u16 = 2;

/// Times that a request to a source in another zone usually takes within which the first request is waited for.
const FAR_GAIN: u32 = 2;
/// The least that such a request is taken to last: before anything was asked of that source, what is usual inside says nothing about it.
const FAR_LEAST: Duration = Duration::from_millis(20);

impl Swarm {
    /// Gives idle sources a second request each, once nothing is left to be asked for the first time.
    pub(super) fn fill_twice(&mut self, now: Time) {
        // While chunks are withheld nobody knows whether these are the last.
        if !self.board.taken().is_full() || !self.board.withheld().is_empty() || self.complete {
            return;
        }
        let idle: Vec<SourceId> = (self.board.sources().iter())
            .filter(|(_, source)| source.fetching.is_empty() && source.has_room() && !source.known.is_empty())
            .map(|(id, _)| *id)
            .collect();
        for id in idle {
            if let Some(chunk) = self.latest_chunk(now, id) {
                self.fetch(now, id, chunk, Part::RestFromEnd, true);
            }
        }
    }

    /// The chunk in flight that `id` holds and that is likely to be last.
    fn latest_chunk(&self, now: Time, id: SourceId) -> Option<ChunkId> {
        let source = self.board.source(id)?;
        let known = &source.known;
        let worth = source.far.then(|| FAR_GAIN * self.usual(source.least_time).max(FAR_LEAST));
        let others = self.board.sources().iter().filter(|(other, _)| **other != id);
        let in_flight = others.flat_map(|(_, source)| source.fetching.iter().map(move |f| (source, f)));
        let late = in_flight.filter(|(s, f)| worth.is_none_or(|worth| self.expected(now, s, f) > worth));
        let candidates = late.map(|(_, f)| f).filter(|f| {
            f.claims
                && known.contains(f.chunk)
                && self.board.claims(f.chunk) < SOURCES_PER_CHUNK
                && !self.board.is_alone(f.chunk)
                && !self.board.is_verifying(f.chunk)
        });
        candidates.min_by_key(|f| (f.arriving, f.since, f.chunk)).map(|f| f.chunk)
    }

    /// The time that a request will still take: what is left of the usual one, and once that is over, as long again as it took.
    fn expected(&self, now: Time, source: &Source, fetching: &Fetching) -> Duration {
        let (usual, took) = (self.usual(source.fetch_time), now.since(fetching.since));
        usual.checked_sub(took).unwrap_or(took)
    }
}
