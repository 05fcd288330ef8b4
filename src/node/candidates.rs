//! Candidates: addresses that might become neighbours, and when to try them.
//!
//! Addresses come from the peer list and from neighbours; most of them are right, some are dead, one may be our own. Each has
//! its own back-off, so that a dead entry costs a packet now and then and never delays the others. What neighbours name is hearsay:
//! it is forgotten when nobody names it any more, and however much of it there is, half of the attempts are the peer list's.
//!
//! Invariant: an address that is connected, being dialled, banned or our own is never due, and an address of the peer list is not
//! forgotten as long as it is there.
//!
//! Not here: resolving names (`discovery`), dialling (`net`), which addresses a neighbour may name (`addresses`).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::dials::Room;
use crate::units::{Rng, Time};

/// The first pause after a failed attempt; it doubles with each further one.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// The longest pause: a peer that restarts is found again within this time.
const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// Whoever has no room for us is asked again after the pause of so many failures (8 s): room comes when somebody leaves.
const TURNED_AWAY: u32 = 5;
/// A neighbour that stayed so long was no failure: whoever turns us away at once must not be knocked at twice a second.
const STABLE: Duration = Duration::from_secs(30);
/// The pause before somebody is tried again who follows another content (20 s: below the 30 s after which a transfer without news is given
/// up, so that a publisher that comes back with our content is found).
const OTHER_CONTENT_PAUSE: Duration = Duration::from_secs(20);
/// The most addresses kept; neighbours may name any number of them.
const KNOWN_MAX: usize = 3000;
/// Addresses forgotten at once when there are too many (64: a message names 50, so one search makes room for it).
const FORGOTTEN_AT_ONCE: usize = 64;
/// An address that nobody named for so long is forgotten (30 min: longer than most transfers, and it is named again when it is
/// somebody's neighbour).
const FORGET_AFTER: Duration = Duration::from_secs(30 * 60);
/// One that failed [`HOPELESS`] times is forgotten so long after it was named last.
const FORGET_FAILING_AFTER: Duration = Duration::from_secs(2 * 60);
/// Failures after which hearsay was wrong (6: the pauses up to then are half a minute, and a silent address takes a minute more).
const HOPELESS: u32 = 6;

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

/// One address.
#[derive(Clone, Copy, Debug)]
struct Known {
    origin: Origin,
    state: State,
    /// It is in another zone, as far as anybody said.
    far: bool,
    /// Whether anybody said where it is.
    placed: bool,
    /// When somebody named it last, or it was a neighbour.
    seen: Time,
    /// The user's list named it and does so no more: it is forgotten when the attempt or the link ends, unless somebody names it.
    unlisted: bool,
}

impl Known {
    /// How often it failed, when it waits for an attempt.
    const fn idle_failures(&self) -> Option<u32> {
        match self.state {
            State::Idle { failures, .. } => Some(failures),
            _ => None,
        }
    }

    /// Whether it is hearsay that proved empty.
    fn is_stale(&self, now: Time) -> bool {
        let unseen = now - self.seen;
        self.origin == Origin::Gossip
            && self.idle_failures().is_some_and(|failures| {
                unseen > FORGET_AFTER || (failures >= HOPELESS && unseen > FORGET_FAILING_AFTER)
            })
    }
}

/// All known addresses.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    known: BTreeMap<SocketAddr, Known>,
    /// No address of each origin, near and far, is due earlier; asked with every event, so it is not worth a walk each time.
    next_due: [[Option<Time>; 2]; 2],
}

impl Candidates {
    /// Adds an address; one that is known keeps its state.
    pub(super) fn add(&mut self, address: SocketAddr, origin: Origin, now: Time) {
        if let Some(known) = self.known.get_mut(&address) {
            known.seen = now;
            known.unlisted = false;
            if origin < known.origin {
                known.origin = origin;
                self.recount();
            }
            return;
        }
        if origin == Origin::Gossip && self.known.len() >= KNOWN_MAX && !self.make_room() {
            return;
        }
        let state = State::Idle { due: now, failures: 0 };
        self.known.insert(address, Known { origin, state, far: false, placed: false, seen: now, unlisted: false });
        self.expect(origin, false, now);
    }

    /// The user's lists do not name these any more: they are not dialled again. A link that is there stays, and is hearsay from now on.
    pub(super) fn unlist(&mut self, addresses: &[SocketAddr]) {
        for address in addresses {
            let Some(known) = self.known.get_mut(address) else { continue };
            if known.idle_failures().is_some() {
                self.known.remove(address);
            } else {
                known.origin = Origin::Gossip;
                known.unlisted = true;
            }
        }
        self.recount();
    }

    /// Takes in that an address is in another zone, or in ours.
    pub(super) fn place(&mut self, address: SocketAddr, far: bool) {
        let Some(known) = self.known.get_mut(&address) else { return };
        known.placed = true;
        if known.far != far {
            known.far = far;
            self.recount();
        }
    }

    /// Whether somebody could be tried who is in our zone, or who may be and was not tried in vain.
    pub(super) fn may_be_near(&self) -> bool {
        self.known.values().any(|known| {
            let fresh = matches!(known.state, State::Idle { failures: 0, .. } | State::Dialling { failures: 0 });
            !known.far && (fresh || known.placed && matches!(known.state, State::Idle { .. } | State::Dialling { .. }))
        })
    }

    /// Forgets some hearsay for newer one, the most hopeless first; false when there is none to forget.
    fn make_room(&mut self) -> bool {
        let mut idle: Vec<(Reverse<u32>, Time, SocketAddr)> = (self.known.iter())
            .filter(|(_, known)| known.origin == Origin::Gossip)
            .filter_map(|(address, known)| Some((Reverse(known.idle_failures()?), known.seen, *address)))
            .collect();
        idle.sort_unstable();
        idle.truncate(FORGOTTEN_AT_ONCE);
        for (.., address) in &idle {
            self.known.remove(address);
        }
        !idle.is_empty()
    }

    /// Forgets what nobody names any more, and what failed for long; called now and then.
    pub(super) fn expire(&mut self, now: Time) {
        self.known.retain(|_, known| !known.is_stale(now));
    }

    /// Picks addresses to dial now, as many as there is room for, and counts them as being dialled: half of them from the peer list
    /// if it has as many, those that failed least first and else at random.
    pub(super) fn dial(&mut self, room: Room, now: Time, rng: &mut Rng) -> Vec<(SocketAddr, Origin)> {
        let listed = self.due(Origin::Listed, room, now, rng);
        let mut gossip = self.due(Origin::Gossip, room, now, rng);
        gossip.truncate(room.gossip);
        // Of a single attempt nobody has a half.
        let share = if room.all == 1 { usize::from(rng.bool()) } else { room.all.div_ceil(2) };
        let from_list = share.max(room.all.saturating_sub(gossip.len())).min(listed.len());
        let named = listed.into_iter().take(from_list).map(|address| (address, Origin::Listed));
        let heard = gossip.into_iter().take(room.all - from_list).map(|address| (address, Origin::Gossip));
        let mut left = [room.near, room.far];
        let fits = |(address, _): &(SocketAddr, Origin)| {
            let far = self.known.get(address).is_some_and(|known| known.far);
            let left = &mut left[usize::from(far)];
            let fits = *left > 0;
            *left -= usize::from(fits);
            fits
        };
        let chosen: Vec<(SocketAddr, Origin)> = named.chain(heard).filter(fits).collect();
        for (address, _) in &chosen {
            if let Some(known) = self.known.get_mut(address)
                && let Some(failures) = known.idle_failures()
            {
                known.state = State::Dialling { failures };
            }
        }
        self.recount();
        chosen
    }

    /// The addresses of one origin that are due, in the order of trying, as many near and far as there is room for.
    fn due(&self, origin: Origin, room: Room, now: Time, rng: &mut Rng) -> Vec<SocketAddr> {
        let mut due: Vec<(u32, bool, SocketAddr)> = (self.known.iter())
            .filter_map(|(address, known)| match known.state {
                State::Idle { due, failures } if known.origin == origin && due <= now => {
                    Some((failures, known.far, *address))
                }
                _ => None,
            })
            .collect();
        rng.shuffle(&mut due);
        due.sort_by_key(|(failures, ..)| *failures);
        let mut left = [room.near, room.far];
        due.retain(|(_, far, _)| {
            let left = &mut left[usize::from(*far)];
            let fits = *left > 0;
            *left -= usize::from(fits);
            fits
        });
        due.into_iter().map(|(.., address)| address).collect()
    }

    /// An attempt failed, or a neighbour was lost: try again after a pause that grows with each failure.
    pub(super) fn failed(&mut self, address: SocketAddr, now: Time, rng: &mut Rng) {
        self.pause(address, 1, now, rng);
    }

    /// It has no room for us, or made room for somebody else: no use to ask again soon.
    pub(super) fn turned_away(&mut self, address: SocketAddr, now: Time, rng: &mut Rng) {
        self.pause(address, TURNED_AWAY, now, rng);
    }

    /// A neighbour says that it left. That may be a lie, so it only takes what was never tried out of the first row.
    pub(super) fn left(&mut self, address: SocketAddr, now: Time, rng: &mut Rng) {
        if self.known.get(&address).is_some_and(|known| known.idle_failures() == Some(0)) {
            self.pause(address, 1, now, rng);
        }
    }

    /// One failure more, and at least so many.
    fn pause(&mut self, address: SocketAddr, least: u32, now: Time, rng: &mut Rng) {
        let Some(known) = self.known.get_mut(&address) else { return };
        if known.unlisted && known.state != State::Barred {
            self.known.remove(&address);
            return;
        }
        let failures = match known.state {
            State::Dialling { failures } | State::Idle { failures, .. } => failures + 1,
            State::Connected { since, failures } => {
                known.seen = now;
                if now - since >= STABLE { 1 } else { failures + 1 }
            }
            State::Barred => return,
        };
        let failures = failures.max(least);
        let pause = BACKOFF_FIRST.saturating_mul(1 << (failures - 1).min(8)).min(BACKOFF_MAX);
        // A fifth up or down, so that a fleet which lost its seeder does not knock in step.
        let pause = pause.mul_f64(0.8 + 0.4 * rng.f64());
        known.state = State::Idle { due: now + pause, failures };
        let (origin, far) = (known.origin, known.far);
        self.expect(origin, far, now + pause);
    }

    /// Whoever is there follows another content: try again after a long pause, however well the address answered.
    pub(super) fn put_off(&mut self, address: SocketAddr, now: Time, rng: &mut Rng) {
        let Some(known) = self.known.get_mut(&address) else { return };
        let State::Idle { due, .. } = &mut known.state else { return };
        *due = now + OTHER_CONTENT_PAUSE.mul_f64(0.8 + 0.4 * rng.f64());
        let (origin, far, due) = (known.origin, known.far, *due);
        self.expect(origin, far, due);
    }

    /// The address is a neighbour now.
    pub(super) fn connected(&mut self, address: SocketAddr, now: Time) {
        let Some(known) = self.known.get_mut(&address) else { return };
        let failures = match known.state {
            State::Idle { failures, .. } | State::Dialling { failures } | State::Connected { failures, .. } => failures,
            State::Barred => return,
        };
        known.state = State::Connected { since: now, failures };
    }

    /// Never dial this address again: it is our own, or a banned peer's.
    pub(super) fn bar(&mut self, address: SocketAddr, now: Time) {
        self.add(address, Origin::Gossip, now);
        if let Some(known) = self.known.get_mut(&address) {
            known.state = State::Barred;
        }
    }

    /// When an address may be due if any is waiting, hearsay not before `gossip_from`: never too late, and too early once at most.
    pub(super) fn deadline(&self, gossip_from: Time, room: Room) -> Option<Time> {
        let [listed, gossip] = self.next_due.map(|[near, far]| {
            [near.filter(|_| room.near > 0), far.filter(|_| room.far > 0)].into_iter().flatten().min()
        });
        [listed, gossip.map(|due| due.max(gossip_from))].into_iter().flatten().min()
    }

    fn expect(&mut self, origin: Origin, far: bool, due: Time) {
        let next = &mut self.next_due[origin as usize][usize::from(far)];
        *next = Some(next.map_or(due, |earlier| earlier.min(due)));
    }

    fn recount(&mut self) {
        let next = |origin: Origin, far: bool| {
            let waiting = self.known.values().filter(|known| known.origin == origin && known.far == far);
            let due = waiting.filter_map(|known| match known.state {
                State::Idle { due, .. } => Some(due),
                _ => None,
            });
            due.min()
        };
        self.next_due = [Origin::Listed, Origin::Gossip].map(|origin| [false, true].map(|far| next(origin, far)));
    }

    /// Whether somebody could be tried now who was not tried in vain before.
    pub(super) fn has_untried(&self) -> bool {
        self.known.values().any(|known| known.idle_failures() == Some(0))
    }

    /// Addresses of the peer list that were tried and are no neighbours.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let tried = |known: &Known| matches!(known.state, State::Dialling { .. } | State::Idle { failures: 1.., .. });
        let listed = self.known.iter().filter(move |(_, known)| known.origin == Origin::Listed && tried(known));
        listed.map(|(address, _)| *address)
    }

    /// Whether every address of the user's list was tried at least once.
    pub(super) fn all_listed_tried(&self) -> bool {
        let untried = |state| matches!(state, State::Idle { failures: 0, .. } | State::Dialling { failures: 0 });
        self.known.values().all(|known| known.origin != Origin::Listed || !untried(known.state))
    }

    /// Whether the user's list consists of barred or failing addresses only (there is at least one, and none is connected,
    /// untried or being tried for the first time).
    pub(super) fn all_listed_failed(&self) -> bool {
        let mut listed =
            self.known.values().filter(|known| known.origin == Origin::Listed && known.state != State::Barred);
        let failing = |known: &Known| {
            matches!(known.state, State::Idle { failures: 1.., .. } | State::Dialling { failures: 1.. })
        };
        listed.clone().next().is_some() && listed.all(failing)
    }
}

#[cfg(test)]
mod tests;
