//! The attempts to connect that are under way, and how many more may begin.
//!
//! A machine that is off does not say so: an attempt to reach it ends when the patience for a handshake does, after many seconds. A
//! list of a whole fleet is mostly such machines while the fleet starts, so an attempt without a quick answer keeps nobody waiting: it
//! goes on, and the next address is tried beside it. Addresses that only neighbours named are tried at a steady pace, because whoever
//! names them decides whom we send packets to.
//!
//! Invariant: attempts under way never exceed [`DIALS_AT_ONCE`], and those on hearsay eight a second.
//!
//! Not here: which addresses are due (`candidates`), dialling itself (`connect`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::candidates::Origin;
use super::zones::Missing;
use crate::units::Time;

/// How long an attempt counts as a neighbour to be (500 ms: QUIC's handshake and the hello take two round trips, and those between
/// continents take 300 ms at most).
const PROMISING: Duration = Duration::from_millis(500);
/// The most attempts at once (128: a few packets a second each, and half of what a peer would let wait in handshakes).
const DIALS_AT_ONCE: usize = 128;
/// The pace of attempts on addresses that neighbours named: eight a second, so that nobody can make a fleet scan or flood others.
const GOSSIP_EVERY: Duration = Duration::from_millis(125);
/// Time that may be saved up for several of them at once: a second, so that eight neighbours are found at the first news.
const GOSSIP_SAVED: Duration = Duration::from_secs(1);

/// How many attempts may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// In all.
    pub(super) all: usize,
    /// On addresses that only neighbours named.
    pub(super) gossip: usize,
    /// On those in our own zone, or of which nobody knows.
    pub(super) near: usize,
    /// On those in other zones.
    pub(super) far: usize,
}

/// The attempts under way, each with its beginning.
#[derive(Debug, Default)]
pub(super) struct Dials {
    under_way: BTreeMap<SocketAddr, Time>,
    /// Until then the attempts on hearsay use up their pace.
    gossip_until: Time,
}

impl Dials {
    /// An attempt begins.
    pub(super) fn begin(&mut self, address: SocketAddr, origin: Origin, now: Time) {
        self.under_way.insert(address, now);
        if origin == Origin::Gossip {
            self.gossip_until = self.gossip_until.max(now) + GOSSIP_EVERY;
        }
    }

    /// An attempt ended, well or not.
    pub(super) fn end(&mut self, address: SocketAddr) {
        self.under_way.remove(&address);
    }

    /// Attempts under way.
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// How many more may begin at `now`, when so many neighbours are `missing`.
    pub(super) fn room(&self, missing: Missing, now: Time) -> Room {
        let promising = self.under_way.values().filter(|began| now - **began < PROMISING).count();
        let all = (missing.near + missing.far).saturating_sub(promising).min(DIALS_AT_ONCE.saturating_sub(self.len()));
        let saved = GOSSIP_SAVED.saturating_sub(self.gossip_until - now);
        let paced = usize::try_from(saved.as_nanos() / GOSSIP_EVERY.as_nanos()).unwrap_or(0);
        Room { all, gossip: paced.min(all), near: missing.near.min(all), far: missing.far.min(all) }
    }

    /// When the next attempt on hearsay may begin.
    pub(super) fn gossip_from(&self) -> Time {
        let ahead = u64::try_from((GOSSIP_SAVED - GOSSIP_EVERY).as_nanos()).unwrap_or(0);
        Time::from_nanos(self.gossip_until.as_nanos().saturating_sub(ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: Missing = Missing { near: 8, far: 0 };
    const THREE: Missing = Missing { near: 3, far: 0 };

    fn begin(dials: &mut Dials, ports: std::ops::Range<u16>, now: Time) {
        ports.for_each(|port| dials.begin(SocketAddr::from(([127, 0, 0, 1], port)), Origin::Listed, now));
    }

    #[test]
    fn machines_that_do_not_answer_do_not_keep_others_from_being_tried() {
        let (mut dials, mut now) = (Dials::default(), Time::ZERO);
        begin(&mut dials, 0..8, now);
        assert_eq!(dials.room(MISSING, now).all, 0, "these may all become neighbours");
        now = now + PROMISING;
        assert_eq!(dials.room(MISSING, now).all, 8);
        assert_eq!(dials.room(THREE, now).all, 3);
        begin(&mut dials, 9..10, now);
        assert_eq!(dials.room(THREE, now).all, 2);
        dials.end(SocketAddr::from(([127, 0, 0, 1], 9)));
        assert_eq!(dials.room(THREE, now).all, 3);
    }

    #[test]
    fn a_list_of_dead_machines_is_not_dialled_all_at_once() {
        let mut dials = Dials::default();
        begin(&mut dials, 0..126, Time::ZERO);
        assert_eq!(dials.room(MISSING, Time::ZERO + PROMISING).all, 2);
        begin(&mut dials, 126..128, Time::ZERO);
        assert_eq!(dials.room(MISSING, Time::ZERO + PROMISING).all, 0);
    }

    #[test]
    fn hearsay_is_tried_eight_times_a_second_and_not_more() {
        let (mut dials, mut now, mut begun) = (Dials::default(), Time::ZERO, 0_u16);
        for _ in 0..1000 {
            for _ in 0..dials.room(MISSING, now).gossip {
                let address = SocketAddr::from(([127, 0, 0, 1], begun));
                dials.begin(address, Origin::Gossip, now);
                // Each fails at once.
                dials.end(address);
                begun += 1;
            }
            assert!(dials.room(MISSING, now).gossip == 0 && dials.room(MISSING, now).all == MISSING.near);
            assert!(dials.gossip_from() > now, "the loop would never sleep");
            now = now + Duration::from_millis(10);
        }
        assert!((80..=88).contains(&begun), "{begun} in ten seconds");
        assert_eq!(dials.room(MISSING, dials.gossip_from()).gossip, 1);
    }
}
