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

/// Times that the patience with a chunk doubles: 64 times half a second are enough for 16 MiB, the largest automatic chunk, at 4 Mbit/s.
const DOUBLINGS: u32 = 6;

impl Swarm {
    /// When the next request will be too old to keep its claim.
    pub(super) fn next_hedge(&self) -> Option<Time> {
        let sources = self.board.sources().values();
        let claims = sources.flat_map(|s| s.fetching.iter().filter(|f| f.claims).map(move |f| (s, f)));
        let allowed = self.allowed_fetch_time();
        claims.map(|(s, f)| f.progress + self.patience_with(s, f, allowed)).min()
    }

    /// The time without progress after which a request is too old. A chunk that is fetched from one source at a time is begun anew
    /// with each request, so there the time doubles with every request that was given up: any link that is not dead brings it at last.
    /// Before anything has arrived nothing is lost by asking somebody else, so until then the quickest holder's time is the measure:
    /// with that of a source that has never brought anything, a liar cost a peer of random run 590 a minute.
    fn patience_with(&self, source: &Source, fetching: &Fetching, allowed: Duration) -> Duration {
        let doublings = self.board.given_up_alone(fetching.chunk).min(DOUBLINGS);
        let quickest = || {
            let holders =
                self.board.sources().values().filter(|s| s.silent.is_none() && s.known.contains(fetching.chunk));
            holders.filter_map(|s| s.fetch_time).min()
        };
        let begun = fetching.arriving || !self.board.is_alone(fetching.chunk);
        let usual = if begun { source.fetch_time } else { quickest().or(source.fetch_time) };
        self.patience(usual).max(allowed) * (1 << doublings)
    }

    /// Takes the claims of requests that are too old, so that their chunks are asked elsewhere as well.
    pub(super) fn give_up_claims(&mut self, now: Time) {
        let allowed = self.allowed_fetch_time();
        let is_old = |s: &Source, f: &Fetching| f.progress + self.patience_with(s, f, allowed) <= now;
        let stuck: Vec<(SourceId, ChunkId, bool)> = (self.board.sources().iter())
            .flat_map(|(id, s)| {
                let old = s.fetching.iter().filter(|f| f.claims && is_old(s, f));
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

    /// Takes the claim of a request. One that may have no second beside it is cancelled instead.
    pub(super) fn give_up(&mut self, id: SourceId, asked: ChunkId) {
        let Some(chunk) = self.board.source_mut(id).and_then(|s| s.fetching(asked)).map(|f| f.chunk) else { return };
        if self.board.is_alone(chunk) {
            self.board.give_up_alone(chunk);
            self.cancel(id, asked);
        } else {
            self.board.set_claim(id, asked, chunk, false);
        }
    }

    /// The age at which something that usually takes so long is taken for stuck.
    pub(super) fn patience(&self, usual: Option<Duration>) -> Duration {
        self.config.hedge_after.max(self.usual(usual) * self.config.hedge_factor)
    }

    /// The time that a chunk usually takes: here, anywhere, or at the slowest rate that is expected.
    pub(super) fn usual(&self, here: Option<Duration>) -> Duration {
        let guess = || Duration::from_millis(1000 * self.board.layout().chunk_size() / SLOWEST_EXPECTED);
        here.or(self.fetch_time).unwrap_or_else(guess)
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
