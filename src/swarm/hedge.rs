//! Hedge: requests that take too long are asked elsewhere as well.
//!
//! A request that is old beyond what its source usually needs loses its claim, so its chunk may be asked for again, and the second
//! source begins at the other end: whatever the first one still brings is not brought twice. So hedging costs a slow but honest
//! link hardly a byte, and can come early.
//!
//! Invariant: a request without a claim keeps its source from being asked for anything else, until it ends or is answered.
//!
//! Not here: sources that are not heard of at all (`silence`), and the last chunks (`endgame`).

use std::time::Duration;

use crate::chunk::ChunkId;
use crate::swarm::Swarm;
use crate::swarm::event::{Part, SourceId};
use crate::swarm::source::{Fetching, Source};
use crate::units::Time;

/// Rate in bytes per second below which a request looks lost while nothing has been measured: 1 MiB/s, a slow office line.
const SLOWEST_EXPECTED: u64 = 1 << 20;

/// Doublings of the patience with a source that is to bring a chunk alone (6: half a minute at least, the time after which the
/// owner of the swarm gives up on an answer that stands still).
const ALONE_CHANGES_MAX: u32 = 6;

impl Swarm {
    /// When the next request will be too old to keep its claim.
    pub(super) fn next_hedge(&self) -> Option<Time> {
        let sources = self.board.sources().values();
        sources.flat_map(|s| s.fetching.iter().filter(|f| f.claims).map(|f| self.too_old_at(s, f))).min()
    }

    /// Takes the claims of requests that are too old, so that their chunks are asked elsewhere as well.
    pub(super) fn give_up_claims(&mut self, now: Time) {
        let stuck: Vec<(SourceId, ChunkId, bool)> = (self.board.sources().iter())
            .flat_map(|(id, s)| {
                let old = s.fetching.iter().filter(|f| f.claims && self.too_old_at(s, f) <= now);
                old.map(|f| (*id, f.asked, f.arriving))
            })
            .collect();
        for (id, asked, arriving) in stuck {
            self.give_up(id, asked);
            if !arriving {
                self.doubt_late(now, id);
            }
        }
    }

    /// When a request is old beyond what its source usually needs.
    ///
    /// A chunk that is fetched from one source at a time starts anew with every change of the source, so each change doubles the
    /// patience with the next one; where every link is slower than expected, it would never come otherwise.
    fn too_old_at(&self, source: &Source, request: &Fetching) -> Time {
        let changes = if self.board.is_alone(request.chunk) { self.alone_changes.min(ALONE_CHANGES_MAX) } else { 0 };
        request.progress + self.patience(source.fetch_time) * (1 << changes)
    }

    /// Takes the claim of a request. One that may have no second beside it is cancelled instead.
    pub(super) fn give_up(&mut self, id: SourceId, asked: ChunkId) {
        let Some(chunk) = self.board.source_mut(id).and_then(|s| s.fetching(asked)).map(|f| f.chunk) else { return };
        if self.board.is_alone(chunk) {
            self.alone_changes += 1;
            self.cancel(id, asked);
        } else {
            self.board.set_claim(id, asked, chunk, false);
        }
    }

    /// The age at which something that usually takes so long is taken for stuck.
    pub(super) fn patience(&self, usual: Option<Duration>) -> Duration {
        let guess = || Duration::from_millis(1000 * self.board.layout().chunk_size() / SLOWEST_EXPECTED);
        let usual = usual.or(self.fetch_time).unwrap_or_else(guess);
        self.config.hedge_after.max(usual * self.config.hedge_factor)
    }

    /// Which bytes of `chunk` to ask for beside what other requests may still bring, and whether there are any such.
    pub(super) fn part_beside_others(&self, chunk: ChunkId) -> (Part, bool) {
        let (mut front, mut end) = (None, None);
        let fetching = self.board.sources().values().flat_map(|s| &s.fetching);
        for other in fetching.filter(|f| f.chunk == chunk && !f.cancelled) {
            let side = if other.part == Part::RestFromEnd { &mut end } else { &mut front };
            *side = (*side).max(Some(other.arriving));
        }
        let part = if front > end { Part::RestFromEnd } else { Part::Rest };
        (part, front.max(end).is_some())
    }
}
