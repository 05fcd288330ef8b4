//! Neighbourhood: which neighbour to part with when somebody else would do more in its place.
//!
//! A node has about ten places. In a swarm of hundreds a newcomer may find all of them taken everywhere, while some are held by pairs
//! that have nothing left to give each other, and a leecher may sit among neighbours that all lack what it lacks. So a place can
//! change hands, slowly: a neighbour has its time to prove useful, a place changes hands at a bounded rate, and whoever is let go has
//! neighbours of its own and dials for another. Taking the place of an old, idle neighbour does not tear the swarm
//! apart: the newcomer is put between two that were joined.
//!
//! Invariant: pure; a neighbour younger than [`SETTLED`] is let go only when it has fallen silent, a publisher only then, and one
//! with requests under way never for anything else.
//!
//! Not here: closing the link and dialling (`connect`), what is known of a neighbour (`pulse`).

use std::time::Duration;

use crate::swarm::SourceId;
use crate::units::Time;

/// A neighbour that is not heard for so long does not answer (5 s: two keep-alives of two seconds were lost; QUIC itself gives up
/// after ten).
pub(super) const SILENT: Duration = Duration::from_secs(5);
/// How long a neighbour is left alone, however little it does (30 s: it has met others by then, and whoever has just come may still
/// be getting the manifest).
const SETTLED: Duration = Duration::from_secs(30);
/// Places of neighbours that are of no use change hands so often at most.
const USELESS_EVERY: Duration = Duration::from_secs(1);
/// Places of others change hands so often at most: a dozen places then take a minute, and who loses one finds another in a second.
const OTHERS_EVERY: Duration = Duration::from_secs(5);

/// How one neighbour stands with us.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) source: SourceId,
    /// How long it has been a neighbour.
    pub(super) age: Duration,
    /// How long nothing was heard of it.
    pub(super) silent: Duration,
    /// How long no chunk has gone or come.
    pub(super) idle: Duration,
    /// It holds something that we lack.
    pub(super) gives: bool,
    /// It lacks something that we hold.
    pub(super) takes: bool,
    /// A request is under way between us.
    pub(super) busy: bool,
    pub(super) publisher: bool,
}

/// Why a place is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// Somebody asks to become a neighbour who needs nothing from us and may have nothing for us.
    Visitor,
    /// Somebody asks to become a neighbour who lacks chunks.
    Needy,
    /// We lack chunks, and none came for a while.
    Starving,
}

/// How well a neighbour can be done without, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    /// It takes or gives, but not much.
    Idlest,
    /// It takes from us and has nothing for us, who lack everything that it lacks.
    TakesOnly,
    /// Neither gives anything to the other.
    Useless,
    /// It does not answer.
    Silent,
}

/// Remembers when places changed hands.
#[derive(Debug, Default)]
pub(super) struct Turnover {
    last: Option<Time>,
}

impl Turnover {
    /// The neighbour to part with for this occasion, if one may be; it counts as gone then.
    pub(super) fn choose(&mut self, standings: &[Standing], occasion: Occasion, now: Time) -> Option<SourceId> {
        let candidates = standings.iter().filter_map(|one| Some((loss(one, occasion)?, one.idle, one.source)));
        let (loss, _, source) = candidates.max()?;
        let pause = if loss >= Loss::Useless { USELESS_EVERY } else { OTHERS_EVERY };
        if self.last.is_some_and(|last| now - last < pause) {
            return None;
        }
        self.last = Some(now);
        Some(source)
    }
}

/// What would be lost with this neighbour; `None` when it stays whatever happens.
fn loss(one: &Standing, occasion: Occasion) -> Option<Loss> {
    if one.silent >= SILENT {
        return Some(Loss::Silent);
    }
    if one.age < SETTLED || one.busy || one.publisher {
        return None;
    }
    if !one.gives && !one.takes {
        // Two that are complete, or lack the same: if the visitor is no better, nothing is won.
        return (occasion != Occasion::Visitor).then_some(Loss::Useless);
    }
    match occasion {
        Occasion::Visitor => None,
        Occasion::Needy => Some(Loss::Idlest),
        Occasion::Starving => (!one.gives).then_some(Loss::TakesOnly),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A neighbour of old that gives and takes, idle for so many seconds.
    fn neighbour(id: u32, idle: u64) -> Standing {
        Standing {
            source: SourceId(id),
            age: Duration::from_secs(300),
            silent: Duration::ZERO,
            idle: Duration::from_secs(idle),
            gives: true,
            takes: true,
            busy: false,
            publisher: false,
        }
    }

    fn useless(id: u32) -> Standing {
        Standing { gives: false, takes: false, ..neighbour(id, 1) }
    }

    fn choose(standings: &[Standing], occasion: Occasion) -> Option<u32> {
        Turnover::default().choose(standings, occasion, Time::ZERO).map(|source| source.0)
    }

    #[test]
    fn whoever_neither_gives_nor_takes_goes_before_whoever_is_idle() {
        let all = [neighbour(1, 100), useless(2), neighbour(3, 200)];
        assert_eq!(choose(&all, Occasion::Needy), Some(2));
        assert_eq!(choose(&all, Occasion::Starving), Some(2));
    }

    #[test]
    fn whoever_does_not_answer_goes_first_of_all() {
        let frozen = Standing { silent: SILENT, age: SILENT, publisher: true, busy: true, ..neighbour(1, 0) };
        for occasion in [Occasion::Visitor, Occasion::Needy, Occasion::Starving] {
            assert_eq!(choose(&[useless(2), frozen, useless(3)], occasion), Some(1));
        }
    }

    #[test]
    fn among_useful_neighbours_a_newcomer_in_need_gets_the_place_of_the_idlest() {
        let all = [neighbour(1, 10), neighbour(2, 30), neighbour(3, 20)];
        assert_eq!(choose(&all, Occasion::Needy), Some(2));
        assert_eq!(choose(&all, Occasion::Visitor), None);
    }

    #[test]
    fn two_that_are_complete_do_not_change_places_with_a_third() {
        assert_eq!(choose(&[useless(1), useless(2)], Occasion::Visitor), None);
    }

    #[test]
    fn a_starving_leecher_parts_with_those_who_have_nothing_for_it_only() {
        let taker = Standing { gives: false, ..neighbour(2, 5) };
        assert_eq!(choose(&[neighbour(1, 100), taker], Occasion::Starving), Some(2));
        assert_eq!(choose(&[neighbour(1, 100), neighbour(3, 200)], Occasion::Starving), None);
    }

    #[test]
    fn young_busy_and_publishing_neighbours_stay() {
        let young = Standing { age: Duration::from_secs(29), ..useless(1) };
        let busy = Standing { busy: true, ..useless(2) };
        let publisher = Standing { publisher: true, ..useless(3) };
        assert_eq!(choose(&[young, busy, publisher], Occasion::Needy), None);
        assert_eq!(choose(&[], Occasion::Needy), None);
    }

    #[test]
    fn places_change_hands_at_a_bounded_rate() {
        let (mut turnover, mut gone) = (Turnover::default(), [0; 2]);
        for (n, standing) in [useless(1), neighbour(1, 50)].into_iter().enumerate() {
            // A minute of a hundred knocks a second.
            for tick in 0..6000 {
                let now = Time::ZERO + Duration::from_secs(1000 * n as u64) + Duration::from_millis(10 * tick);
                gone[n] += u32::from(turnover.choose(&[standing], Occasion::Needy, now).is_some());
            }
        }
        assert_eq!(gone, [60, 12]);
    }
}
