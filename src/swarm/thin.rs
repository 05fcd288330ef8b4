//! Thin: sources of our zone that bring what they hold so slowly that it does not count as inside.
//!
//! What is inside is to be taken inside, but only at the pace of those who hold it: one machine with a thin uplink would otherwise be a
//! wall around whatever it brought in, and a finished copy behind a slow line one around everything. So whoever has an idle source
//! outside compares: how long each source of its zone needs for its part of what we lack, and how long those outside would. A source that needs
//! several times as long is *thin*: its chunks are again for those to bring in who own them, and it owns none. It is asked like anybody else,
//! and counts again when what is left with it would be here soon.
//!
//! Invariant: nobody becomes thin while no source outside is idle, or before the first answer is late.
//!
//! Not here: whose turn it is to bring in what a thin source holds (`members`), and the last chunks (`endgame`).

use std::time::Duration;

use crate::swarm::Swarm;
use crate::swarm::event::SourceId;
use crate::swarm::source::Source;
use crate::units::Time;

/// Time between two looks: a twentieth of what a stall costs, and a walk over the chunks that are left for each.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Words of the chunk sets that are looked at, spread over all of them: 16384 chunks, so that a look takes as long in any larger content.
const WORDS_MAX: usize = 256;
/// Times as long as from outside that something may take inside: what crosses is dear, and both times are guesses.
const SLOWER: u128 = 2;
/// What may take as long as this inside in any case: a quarter of what a stall costs, and beyond the usual rounds of a zone of gigabit links.
const NEAR_ENOUGH: Duration = Duration::from_millis(250);
/// The age up to which a first request says nothing about its source: a round trip around the world, or a queue of ten at a gigabit.
const FIRST_ANSWER: Duration = Duration::from_millis(100);
/// Parts in which a share of a chunk is counted.
const WHOLE: u128 = 1 << 16;

/// What sources outside could do.
struct Outside {
    /// Time of one chunk.
    first: Duration,
    /// Time between two of them.
    each: Duration,
}

impl Swarm {
    /// Sees which sources of our zone are thin.
    pub(super) fn mind_thin(&mut self, now: Time) {
        if self.board.border().is_none() || self.complete || now < self.watch.look {
            return;
        }
        self.watch.look = now + LOOK_EVERY;
        self.watch.looks = self.watch.looks.wrapping_add(1);
        let Some(outside) = self.outside(now) else { return };
        let near = self.board.sources().iter().filter(|(_, s)| !s.far && !s.profile.local && s.silent.is_none());
        let changed: Vec<(SourceId, bool)> = near
            .map(|(id, source)| (*id, source.thin, self.is_thin(now, source, &outside)))
            .filter(|(_, before, after)| before != after)
            .map(|(id, _, after)| (id, after))
            .collect();
        if changed.is_empty() {
            return;
        }
        for (id, thin) in changed {
            self.board.set_thin(id, thin);
            self.on_member_relied(id);
        }
        self.fill(now);
    }

    /// When to look next, while there is something to compare.
    pub(super) fn next_look(&self) -> Option<Time> {
        self.board.border().filter(|_| !self.complete)?;
        let sources = || self.board.sources().values();
        let idle = sources().any(|s| s.far && s.has_room() && !s.known.is_empty());
        let left = sources().any(|s| !s.far && s.want > 0) || self.board.taken().is_full();
        (idle && left).then_some(self.watch.look)
    }

    fn is_thin(&self, now: Time, source: &Source, outside: &Outside) -> bool {
        let Some(each) = time_of_each(now, source) else { return false };
        let (chunks, share) = self.left_with(source);
        if chunks == 0 {
            return false;
        }
        if source.paused_until.is_some() {
            return true; // it is not asked at all
        }
        let inside = each.as_nanos() * share / WHOLE / self.takers_beside(source);
        let most = SLOWER * (outside.first.as_nanos() + outside.each.as_nanos() * chunks);
        let most = most.max(NEAR_ENOUGH.as_nanos());
        // Whoever is thin has to be well below to count again.
        inside > if source.thin { most / 2 } else { most }
    }

    /// Machines inside that take from `source` what they pass on to each other, we among them.
    fn takers_beside(&self, source: &Source) -> u128 {
        let count = self.board.layout().count();
        let takes = |s: &&Source| !s.far && s.spreads() && s.is_relied_on() && s.known.len() < count;
        let others = self.board.sources().values().filter(takes).filter(|s| s.profile.order != source.profile.order);
        1 + others.count() as u128
    }

    /// Chunks that `source` holds, that we lack and that are outside too: their number, and the part of them that falls to it.
    fn left_with(&self, source: &Source) -> (u128, u128) {
        let Some(border) = self.board.border() else { return (0, 0) };
        let (known, taken) = (source.known.words(), self.board.taken().words());
        let step = known.len().div_ceil(WORDS_MAX).max(1);
        let (mut chunks, mut share) = (0, 0);
        for at in (self.watch.looks % step..known.len()).step_by(step) {
            let mut left = known[at] & !taken[at];
            while left != 0 {
                let index = u32::try_from(at).unwrap_or(u32::MAX) * 64 + left.trailing_zeros();
                left &= left - 1;
                let Some(chunk) = self.board.layout().chunk(index).filter(|chunk| border.is_outside(*chunk)) else {
                    continue;
                };
                let holders = border.holders(chunk) + u16::from(!source.is_relied_on());
                chunks += 1;
                share += WHOLE / u128::from(holders.max(1));
            }
        }
        (chunks * step as u128, share * step as u128)
    }

    /// What those sources outside could do that may be asked for more and have something for us.
    fn outside(&self, now: Time) -> Option<Outside> {
        let idle = self.board.sources().values().filter(|s| s.far && s.want > 0 && s.has_room());
        let mut outside: Option<Outside> = None;
        for source in idle {
            // Of one that was never asked, what a first answer may take is expected, or what is usual.
            let usual = || FIRST_ANSWER.max(self.fetch_time.unwrap_or_default()) / source.window.size();
            let each = time_of_each(now, source).unwrap_or_else(usual);
            let first = source.least_time.unwrap_or_else(|| each * source.window.size());
            let both = |a: Duration, b: Duration| {
                let product = a.as_nanos() * b.as_nanos();
                Duration::from_nanos(u64::try_from(product / (a + b).as_nanos().max(1)).unwrap_or(u64::MAX))
            };
            outside = Some(match outside {
                None => Outside { first, each },
                Some(other) => Outside { first: first.min(other.first), each: both(each, other.each) },
            });
        }
        outside
    }
}

/// The time between two chunks of a source, by those that it has brought and the one that it owes us for the longest; `None` when nothing is known.
fn time_of_each(now: Time, source: &Source) -> Option<Duration> {
    let oldest = source.fetching.iter().filter(|f| !f.cancelled).map(|f| now.since(f.since)).max().unwrap_or_default();
    let known = source.fetch_time.or_else(|| (oldest > FIRST_ANSWER).then_some(oldest))?;
    Some(known.max(oldest) / source.window.size())
}
