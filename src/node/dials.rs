//! The attempts to connect that are under way, and how many more may begin.
//!
//! A machine that is off does not say so: an attempt to reach it ends when the patience for a handshake does, after many seconds. A
//! list of a whole fleet is mostly such machines while the fleet starts, so an attempt without a quick answer keeps nobody waiting: it
//! goes on, and the next address is tried beside it.
//!
//! Invariant: attempts under way never exceed [`DIALS_AT_ONCE`].
//!
//! Not here: which addresses are due (`candidates`), dialling itself (`connect`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::links::DIAL_TARGET;
use crate::units::Time;

/// How long an attempt counts as a neighbour to be (500 ms: QUIC's handshake and the hello take two round trips, and those between
/// continents take 300 ms at most).
const PROMISING: Duration = Duration::from_millis(500);
/// The most attempts at once (128: a few packets a second each, and half of what a peer would let wait in handshakes).
const DIALS_AT_ONCE: usize = 128;

/// The attempts under way, each with its beginning.
#[derive(Debug, Default)]
pub(super) struct Dials {
    under_way: BTreeMap<SocketAddr, Time>,
}

impl Dials {
    /// An attempt begins.
    pub(super) fn begin(&mut self, address: SocketAddr, now: Time) {
        self.under_way.insert(address, now);
    }

    /// An attempt ended, well or not.
    pub(super) fn end(&mut self, address: SocketAddr) {
        self.under_way.remove(&address);
    }

    /// Attempts under way.
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// How many more may begin at `now` beside so many neighbours.
    pub(super) fn room(&self, neighbours: usize, now: Time) -> usize {
        let promising = self.under_way.values().filter(|began| now - **began < PROMISING).count();
        DIAL_TARGET.saturating_sub(neighbours + promising).min(DIALS_AT_ONCE.saturating_sub(self.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(dials: &mut Dials, ports: std::ops::Range<u16>, now: Time) {
        ports.for_each(|port| dials.begin(SocketAddr::from(([127, 0, 0, 1], port)), now));
    }

    #[test]
    fn machines_that_do_not_answer_do_not_keep_others_from_being_tried() {
        let (mut dials, mut now) = (Dials::default(), Time::ZERO);
        begin(&mut dials, 0..8, now);
        assert_eq!(dials.room(0, now), 0, "these may all become neighbours");
        now = now + PROMISING;
        assert_eq!(dials.room(0, now), DIAL_TARGET);
        assert_eq!(dials.room(5, now), 3);
        dials.begin(SocketAddr::from(([127, 0, 0, 1], 9)), now);
        assert_eq!(dials.room(5, now), 2);
        dials.end(SocketAddr::from(([127, 0, 0, 1], 9)));
        assert_eq!(dials.room(5, now), 3);
    }

    #[test]
    fn a_list_of_dead_machines_is_not_dialled_all_at_once() {
        let mut dials = Dials::default();
        begin(&mut dials, 0..126, Time::ZERO);
        assert_eq!(dials.room(0, Time::ZERO + PROMISING), 2);
        begin(&mut dials, 126..128, Time::ZERO);
        assert_eq!(dials.room(0, Time::ZERO + PROMISING), 0);
    }
}
