//! Zones: what the labels of places mean to this node.
//!
//! The swarm knows numbers, so labels are numbered here, and what its members say of each other passes through. And neighbours are looked
//! for by place: most in our own zone, where links are cheap, and a few outside, through which everything comes in.
//!
//! Invariant: without a label of our own, or of theirs, everybody is near.
//!
//! Not here: what is asked across (`swarm`), and which address is dialled (`candidates`).

use super::Node;
use super::content::OUR_INDEX;
use super::dials::Room;
use super::links::{ACCEPT_MAX, DIAL_TARGET};
use crate::swarm::{Input, Member, SourceId, Zone};
use crate::units::Time;
use crate::wire::{List, Message, Reach};

/// Neighbours outside that a node dials for: one that goes is not missed, and more bring nothing that the owners of chunks need.
const FAR_TARGET: usize = 2;
/// One in so many places is kept for neighbours of our own zone: who comes from far shall not fill a publisher before they come.
const KEPT_FOR_NEAR: usize = 4;
/// One in so many is kept for others, two of a dozen: through them everything comes in.
const KEPT_FOR_FAR: usize = 6;

/// Labels that are told apart (1024: more places than anybody has); further ones count as none.
const ZONES_MAX: usize = 1024;

/// Zone labels, numbered for the swarm in the order of their first appearance.
#[derive(Debug, Default)]
pub(super) struct Zones(Vec<String>);

impl Zones {
    /// The number of this label; zero for the empty one.
    pub(super) fn number(&mut self, label: &str) -> Zone {
        if label.is_empty() {
            return Zone::default();
        }
        let known = self.0.iter().position(|known| known == label);
        let at = known.or_else(|| {
            (self.0.len() < ZONES_MAX).then(|| {
                self.0.push(label.to_owned());
                self.0.len() - 1
            })
        });
        at.map_or_else(Zone::default, |at| Zone(u32::try_from(at + 1).unwrap_or(0)))
    }
}

impl Node {
    /// Our own zone.
    pub(super) fn zone(&mut self) -> Zone {
        self.zones.number(self.config.zone.as_deref().unwrap_or_default())
    }

    /// Whether a label is that of another zone.
    pub(super) fn is_far(&self, label: &str) -> bool {
        let ours = self.config.zone.as_deref().unwrap_or_default();
        !ours.is_empty() && !label.is_empty() && ours != label
    }

    /// Tells a neighbour what the swarm says of the members of our zone.
    pub(super) fn tell_members(&self, source: SourceId, members: Vec<Member>) {
        let Some(link) = self.links.link(source) else { return };
        let reach = |member: Member| Reach { member: member.id, stamp: member.stamp, reaches: member.reaches };
        for list in List::split(members.into_iter().map(reach)) {
            link.tell(&Message::Members { content: OUR_INDEX, list });
        }
    }

    /// A neighbour says something of the members of its zone.
    pub(super) fn on_members(&mut self, source: SourceId, list: &[Reach]) {
        let member = |reach: &Reach| Member { id: reach.member, stamp: reach.stamp, reaches: reach.reaches };
        self.tell_swarm(Input::Members { source, members: list.iter().map(member).collect() });
    }

    /// Neighbours that count, in our zone and in others.
    fn counted_by_place(&self) -> (usize, usize) {
        let is_far = |source: &SourceId| self.links.link(*source).is_some_and(|link| self.is_far(&link.hello.zone));
        let (far, near): (Vec<SourceId>, Vec<SourceId>) = self.counted_on().into_iter().partition(is_far);
        (near.len(), far.len())
    }

    /// How many addresses may be dialled now. Whoever does not answer takes no place, and a leecher to whom nothing comes looks further.
    pub(super) fn room_to_dial(&self) -> Room {
        let target = if self.is_starving() { ACCEPT_MAX } else { DIAL_TARGET };
        let (near, far) = self.counted_by_place();
        let missing = wanted(target, near, far, self.config.zone.is_some(), self.candidates.may_be_near());
        self.dials.room(missing, self.clock.now())
    }

    /// When to dial next, if more neighbours are wanted.
    pub(super) fn dial_deadline(&self) -> Option<Time> {
        let room = self.room_to_dial();
        if room.all == 0 {
            return None;
        }
        self.candidates.deadline(self.dials.gossip_from(), room)
    }

    /// Whether all places here are taken, and whether somebody in such a zone finds none: neither kind may take all of them.
    pub(super) fn room_for(&self, label: &str) -> (bool, bool) {
        let crowded = self.is_full();
        if crowded || self.config.zone.is_none() {
            return (crowded, crowded);
        }
        let far = self.is_far(label);
        let like = self.links.iter().filter(|(_, link)| self.is_far(&link.hello.zone) == far).count();
        let most = self.places();
        let kept = most / if far { KEPT_FOR_NEAR } else { KEPT_FOR_FAR };
        (crowded, like >= most - kept)
    }
}

/// How many neighbours are missing, near and far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) near: usize,
    pub(super) far: usize,
}

/// What is missing to `target` neighbours in our zone and a few outside. Whoever is not `zoned` has none outside, and where nobody
/// else `may_be_near`, those outside make up the number.
fn wanted(target: usize, near: usize, far: usize, zoned: bool, may_be_near: bool) -> Missing {
    let outside = FAR_TARGET.saturating_sub(far);
    match (zoned, may_be_near) {
        (false, _) => Missing { near: target.saturating_sub(near + far), far: 0 },
        (true, true) => Missing { near: target.saturating_sub(near), far: outside },
        (true, false) => {
            Missing { near: target.saturating_sub(near), far: outside.max(target.saturating_sub(near + far)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_neighbours_are_looked_for_outside_and_more_where_nobody_is_near() {
        let missing = |near, far| Missing { near, far };
        assert_eq!(wanted(8, 0, 0, true, true), missing(8, 2));
        assert_eq!(wanted(8, 5, 3, true, true), missing(3, 0));
        assert_eq!(wanted(8, 1, 2, true, false), missing(7, 5));
        assert_eq!(wanted(8, 8, 0, true, false), missing(0, 2));
        assert_eq!(wanted(8, 3, 0, false, true), missing(5, 0), "without a label everybody is near");
    }

    #[test]
    fn equal_labels_are_one_zone_and_no_label_is_none() {
        let mut zones = Zones::default();
        let [east, west] = ["east", "west"].map(|label| zones.number(label));
        assert_ne!(east, west);
        assert_eq!(zones.number("east"), east);
        assert_eq!(zones.number(""), Zone::default());
    }

    #[test]
    fn made_up_labels_do_not_fill_the_memory() {
        let mut zones = Zones::default();
        for n in 0..2 * ZONES_MAX {
            zones.number(&n.to_string());
        }
        assert_eq!(zones.0.len(), ZONES_MAX);
        assert_eq!(zones.number("one more"), Zone::default());
        assert_ne!(zones.number("7"), Zone::default());
    }
}
