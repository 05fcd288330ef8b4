//! Candidates: addresses that might become neighbours, and when to try them.
//!
//! Addresses come from the peer list and from neighbours; most of them are right, some are dead, one may be our own. Each has
//! its own back-off, so that a dead entry costs a packet now and then and never delays the others.
//!
//! Invariant: an address that is connected, being dialled, banned or our own is never due.
//!
//! Not here: resolving names (`discovery`), dialling (`net`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::units::{Rng, Time};

/// The first pause after a failed attempt; it doubles with each further one.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// The longest pause: a peer that restarts is found again within this time.
const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// A neighbour that stayed so long was no failure: whoever turns us away at once must not be knocked at twice a second.
const STABLE: Duration = Duration::from_secs(30);
/// The pause before somebody is tried again who follows another content (20 s: below the 30 s after which a transfer without news is given
/// up, so that a publisher that comes back with our content is found).
const OTHER_CONTENT_PAUSE: Duration = Duration::from_secs(20);
/// The most addresses kept; neighbours may name any number of them.
const KNOWN_MAX: usize = 3000;

/// The state of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not connected; try again at `due`.
    Idle { due: Time, failures: u32 },
    /// An attempt is under way.
    Dialling { failures: u32 },
    /// A neighbour, after so many failures.
    Connected { since: Time, failures: u32 },
    /// Never again: ourselves, or banned.
    Barred,
}

/// Where a candidate was heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// The user named it.
    Listed,
    /// A neighbour named it.
    Gossip,
}

/// All known addresses.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    known: BTreeMap<SocketAddr, (Origin, State)>,
    /// No address is due earlier; asked with every event, so it is not worth a walk each time.
    next_due: Option<Time>,
}

impl Candidates {
    /// Adds an address; one that is known keeps its state.
    pub(super) fn add(&mut self, address: SocketAddr, origin: Origin, now: Time) {
        let is_new = !self.known.contains_key(&address);
        if is_new && (self.known.len() < KNOWN_MAX || origin == Origin::Listed) {
            self.known.insert(address, (origin, State::Idle { due: now, failures: 0 }));
            self.expect(now);
        }
    }

    /// Picks up to `most` addresses to dial now, those that failed least first and else at random, and counts them as being dialled.
    pub(super) fn dial(&mut self, most: usize, now: Time, rng: &mut Rng) -> Vec<SocketAddr> {
        let mut due: Vec<(u32, SocketAddr)> = self
            .known
            .iter()
            .filter_map(|(address, (_, state))| match state {
                State::Idle { due, failures } if *due <= now => Some((*failures, *address)),
                _ => None,
            })
            .collect();
        rng.shuffle(&mut due);
        due.sort_by_key(|(failures, _)| *failures);
        due.truncate(most);
        let due: Vec<SocketAddr> = due.into_iter().map(|(_, address)| address).collect();
        for address in &due {
            if let Some((_, state)) = self.known.get_mut(address)
                && let State::Idle { failures, .. } = *state
            {
                *state = State::Dialling { failures };
            }
        }
        let waiting = self.known.values().filter_map(|(_, state)| match state {
            State::Idle { due, .. } => Some(*due),
            _ => None,
        });
        self.next_due = waiting.min();
        due
    }

    /// An attempt failed, or a neighbour was lost: try again after a pause that grows with each failure.
    pub(super) fn failed(&mut self, address: SocketAddr, now: Time, rng: &mut Rng) {
        let Some((_, state)) = self.known.get_mut(&address) else { return };
        let failures = match *state {
            State::Dialling { failures } | State::Idle { failures, .. } => failures + 1,
            State::Connected { since, .. } if now - since >= STABLE => 1,
            State::Connected { failures, .. } => failures + 1,
            State::Barred => return,
        };
        let pause = BACKOFF_FIRST.saturating_mul(1 << (failures - 1).min(8)).min(BACKOFF_MAX);
        // A fifth up or down, so that a fleet which lost its seeder does not knock in step.
        let pause = pause.mul_f64(0.8 + 0.4 * rng.f64());
        *state = State::Idle { due: now + pause, failures };
        self.expect(now + pause);
    }

    /// Whoever is there follows another content: try again after a long pause, however well the address answered.
    pub(super) fn put_off(&mut self, address: SocketAddr, now: Time, rng: &mut Rng) {
        let Some((_, State::Idle { due, .. })) = self.known.get_mut(&address) else { return };
        *due = now + OTHER_CONTENT_PAUSE.mul_f64(0.8 + 0.4 * rng.f64());
        let due = *due;
        self.expect(due);
    }

    /// The address is a neighbour now.
    pub(super) fn connected(&mut self, address: SocketAddr, now: Time) {
        let Some((_, state)) = self.known.get_mut(&address) else { return };
        let failures = match *state {
            State::Idle { failures, .. } | State::Dialling { failures } | State::Connected { failures, .. } => failures,
            State::Barred => return,
        };
        *state = State::Connected { since: now, failures };
    }

    /// Never dial this address again: it is our own, or a banned peer's.
    pub(super) fn bar(&mut self, address: SocketAddr, now: Time) {
        self.add(address, Origin::Gossip, now);
        if let Some((_, state)) = self.known.get_mut(&address) {
            *state = State::Barred;
        }
    }

    /// When an address may be due, if any is waiting: never too late, and too early once at most.
    pub(super) const fn deadline(&self) -> Option<Time> {
        self.next_due
    }

    fn expect(&mut self, due: Time) {
        self.next_due = Some(self.next_due.map_or(due, |earlier| earlier.min(due)));
    }

    /// Whether every address of the user's list was tried at least once.
    pub(super) fn all_listed_tried(&self) -> bool {
        let untried = |state| matches!(state, State::Idle { failures: 0, .. } | State::Dialling { failures: 0 });
        self.known.values().all(|(origin, state)| *origin != Origin::Listed || !untried(*state))
    }

    /// Whether the user's list consists of barred or failing addresses only (there is at least one, and none is connected,
    /// untried or being tried for the first time).
    pub(super) fn all_listed_failed(&self) -> bool {
        let mut listed =
            self.known.values().filter(|(origin, state)| *origin == Origin::Listed && *state != State::Barred);
        let failing = |(_, state): &(Origin, State)| {
            matches!(state, State::Idle { failures: 1.., .. } | State::Dialling { failures: 1.. })
        };
        listed.clone().next().is_some() && listed.all(failing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_failing_address_is_tried_less_and_less_often() {
        let (mut candidates, mut rng) = (Candidates::default(), Rng::with_seed(1));
        candidates.add(address(1), Origin::Listed, at(0));
        let (mut now, mut pauses) = (at(0), Vec::new());
        for _ in 0..8 {
            assert_eq!(candidates.dial(8, now, &mut rng), [address(1)]);
            assert_eq!(candidates.dial(8, now, &mut rng), [], "it is being dialled already");
            assert_eq!(candidates.deadline(), None, "nothing is to be done before the attempt ends");
            candidates.failed(address(1), now, &mut rng);
            let due = candidates.deadline().unwrap();
            pauses.push(due - now);
            now = due;
        }
        assert!(pauses[0] >= Duration::from_millis(400) && pauses[0] <= Duration::from_millis(600));
        assert!(pauses[4] > pauses[1]);
        assert!(pauses.iter().all(|p| *p <= BACKOFF_MAX.mul_f64(1.2)));
    }

    #[test]
    fn what_was_never_tried_comes_before_what_failed() {
        let (mut candidates, mut rng) = (Candidates::default(), Rng::with_seed(1));
        for port in 1..=20 {
            candidates.add(address(port), Origin::Listed, at(0));
        }
        let tried = candidates.dial(19, at(0), &mut rng);
        tried.iter().for_each(|address| candidates.failed(*address, at(0), &mut rng));
        let next = candidates.dial(1, at(60_000), &mut rng);
        assert!(!tried.contains(&next[0]));
    }

    #[test]
    fn connected_and_barred_addresses_are_left_alone() {
        let (mut candidates, mut rng) = (Candidates::default(), Rng::with_seed(1));
        for port in 1..=3 {
            candidates.add(address(port), Origin::Listed, at(0));
        }
        candidates.bar(address(1), at(0));
        assert_eq!(candidates.dial(8, at(0), &mut rng).len(), 2);
        candidates.connected(address(2), at(0));
        candidates.failed(address(3), at(0), &mut rng);
        candidates.failed(address(1), at(0), &mut rng);
        assert_eq!(candidates.dial(8, at(60_000), &mut rng), [address(3)]);
    }

    #[test]
    fn a_peer_that_turns_us_away_again_and_again_is_asked_less_and_less_often() {
        let (mut candidates, mut rng) = (Candidates::default(), Rng::with_seed(1));
        candidates.add(address(1), Origin::Listed, at(0));
        let mut now = at(0);
        let mut knock = |candidates: &mut Candidates, stays: Duration| {
            assert_eq!(candidates.dial(8, now, &mut rng), [address(1)]);
            candidates.connected(address(1), now);
            let lost = now + stays;
            candidates.failed(address(1), lost, &mut rng);
            now = candidates.deadline().unwrap();
            now - lost
        };
        let pauses: Vec<Duration> = (0..6).map(|_| knock(&mut candidates, Duration::from_millis(3))).collect();
        assert!(pauses[5] > BACKOFF_MAX / 2, "{pauses:?}");
        assert!(knock(&mut candidates, STABLE) < BACKOFF_FIRST * 2, "a neighbour that stayed is looked for at once");
    }

    #[test]
    fn whoever_follows_another_content_is_left_alone_for_long_however_often_it_answered() {
        let (mut candidates, mut rng) = (Candidates::default(), Rng::with_seed(1));
        candidates.add(address(1), Origin::Listed, at(0));
        assert!(!candidates.all_listed_tried());
        candidates.dial(8, at(0), &mut rng);
        candidates.connected(address(1), at(0));
        candidates.failed(address(1), at(40_000), &mut rng);
        candidates.put_off(address(1), at(40_000), &mut rng);
        assert!(candidates.all_listed_tried());
        assert_eq!(candidates.dial(8, at(55_000), &mut rng), []);
        assert_eq!(candidates.dial(8, at(65_000), &mut rng), [address(1)]);
    }

    #[test]
    fn a_list_has_failed_when_every_entry_but_ourselves_has() {
        let (mut candidates, mut rng) = (Candidates::default(), Rng::with_seed(1));
        assert!(!candidates.all_listed_failed());
        candidates.add(address(1), Origin::Listed, at(0));
        candidates.add(address(2), Origin::Listed, at(0));
        candidates.bar(address(2), at(0));
        assert!(!candidates.all_listed_failed());
        candidates.dial(8, at(0), &mut rng);
        candidates.failed(address(1), at(0), &mut rng);
        assert!(candidates.all_listed_failed());
    }

    #[test]
    fn gossip_cannot_fill_the_memory() {
        let mut candidates = Candidates::default();
        let many = u16::try_from(KNOWN_MAX + 10).unwrap();
        for port in 1..=many {
            candidates.add(address(port), Origin::Gossip, at(0));
        }
        assert_eq!(candidates.known.len(), KNOWN_MAX);
    }
}
