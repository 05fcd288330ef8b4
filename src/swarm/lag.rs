//! Lag: neighbours that bring so little, compared with others, that they hardly count.
//!
//! Whoever has the bad luck that half of its neighbours are slow is among the last to be complete, however quick it is itself: the few quick
//! ones serve it in turn with all of theirs. So the owner, who looks for neighbours, is told how many of them count. What a neighbour
//! brings says more than how long it takes: a slow peer has hardly anything that a quick one lacks, so it is seldom asked at all.
//! Only the last few chunks are compared, so that everybody may change. Publishers and sources in other zones are not: how much one of
//! those is asked for is decided elsewhere.
//!
//! Invariant: where all bring alike nobody lags, however little it is; nobody lags for whoever lacks nothing.
//!
//! Not here: whom to connect to (`node`), silence (`silence`); who lags is asked like anybody else.

use crate::swarm::Swarm;
use crate::swarm::event::SourceId;
use crate::swarm::source::Source;

/// Whoever brings less than this part of what a good one brings lags: half is the luck of a draw, a tenth is a slow link.
const LAG_PART: u32 = 4;

/// The good one that others are compared with is the fourth part from the best: the median may itself be slow where half are.
const GOOD_PART: usize = 4;

/// Chunks of one neighbour after which all counts are halved. A neighbour that brings nothing any more falls from the good one's count, which
/// is then between half of this and all of it, below a quarter of it with the third halving.
const HALVED_AT: u32 = 16;

impl Swarm {
    /// Number of sources that count as neighbours: neither silent nor of so little use that somebody else had better be found.
    #[must_use]
    pub fn counted_on(&self) -> usize {
        let least = self.least_brought();
        self.board.sources().values().filter(|source| !lags(source, least) && source.silent.is_none()).count()
    }

    /// Takes in that a source brought a chunk.
    pub(super) fn credit(&mut self, id: SourceId) {
        let Some(source) = self.board.source_mut(id).filter(|source| compares(source)) else { return };
        source.brought += 1;
        if source.brought >= HALVED_AT {
            self.board.sources_mut().for_each(|(_, source)| source.brought /= 2);
        }
    }

    /// Gives a newcomer the count of a good one, which it has to keep.
    pub(super) fn trust_newcomer(&mut self, id: SourceId) {
        let good = self.good();
        if let Some(source) = self.board.source_mut(id) {
            source.brought = good;
        }
    }

    /// Chunks that a neighbour must have brought of late not to lag.
    pub(super) fn least_brought(&self) -> u32 {
        if self.complete { 0 } else { self.good() / LAG_PART }
    }

    /// What a good neighbour brought.
    fn good(&self) -> u32 {
        let peers = self.board.sources().values().filter(|source| compares(source));
        let mut brought: Vec<u32> = peers.map(|source| source.brought).collect();
        if brought.is_empty() {
            return 0;
        }
        let good = brought.len() - 1 - brought.len() / GOOD_PART;
        *brought.select_nth_unstable(good).1
    }
}

/// Whether `source` brought less than `least`.
pub(super) fn lags(source: &Source, least: u32) -> bool {
    compares(source) && source.brought < least
}

/// Whether what `source` brings says what it is worth.
const fn compares(source: &Source) -> bool {
    source.spreads() && !source.far
}
