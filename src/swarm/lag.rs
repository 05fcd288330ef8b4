//! Lag: sources that bring chunks so much later than others that they hardly count as neighbours.
//!
//! Whoever has the bad luck that half of its neighbours are slow is among the last to be complete, however quick it is itself: the few quick
//! ones serve it in turn with all of theirs. So the owner, who looks for neighbours, is told how many of them count. Among a thousand peers of
//! which a tenth is slow, the unluckiest had five slow neighbours of ten and ended 8 % later than nearly everybody else (simulated).
//!
//! Invariant: with equal sources nobody lags, however slow all of them are.
//!
//! Not here: whom to connect to (`node`), silence (`silence`); a slow source is asked like any other.

use std::time::Duration;

use crate::swarm::Swarm;
use crate::swarm::source::Source;

/// A source whose chunks take this many times as long as a quick one's lags: queues and paths on a LAN differ by less, and a tenth of the
/// rate shows as ten.
const LAG_FACTOR: u32 = 4;

/// The quick one that others are compared with is the fourth part from the quickest: the median may itself be slow where half are.
const QUICK_PART: usize = 4;

impl Swarm {
    /// Number of sources that count as neighbours: neither silent nor so slow that somebody else had better be found.
    #[must_use]
    pub fn counted_on(&self) -> usize {
        let limit = self.lag_limit();
        self.board.sources().values().filter(|source| !lags(source, limit) && source.silent.is_none()).count()
    }

    /// The time for a chunk beyond which a source lags; `None` while nobody can be compared.
    pub(super) fn lag_limit(&self) -> Option<Duration> {
        // A publisher's time says how many wait there, not what its path is worth.
        let peers = self.board.sources().values().filter(|s| s.spreads());
        let mut times: Vec<Duration> = peers.filter_map(|s| s.fetch_time).collect();
        if times.len() < 2 {
            return None;
        }
        let quick = times.len() / QUICK_PART;
        Some(LAG_FACTOR * *times.select_nth_unstable(quick).1)
    }
}

/// Whether chunks from `source` take longer than `limit`, or so long that they are fetched elsewhere before they have come.
pub(super) fn lags(source: &Source, limit: Option<Duration>) -> bool {
    let is_late = |limit| source.fetch_time.is_some_and(|time| time > limit);
    source.spreads() && limit.is_some_and(|limit| source.overdue || is_late(limit))
}
