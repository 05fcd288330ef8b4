//! Members: who of our zone can fetch from outside, and who of them comes first for which chunk.
//!
//! Only those who have a neighbour outside can bring anything in, so only they are owners. Each says so itself, the word goes from
//! neighbour to neighbour through the whole zone, and whoever loses such a neighbour says that too on its behalf. Knowing only one's
//! neighbours, and theirs, is not enough: a third of a zone of 64 is then unknown to each, so every third chunk has two owners.
//!
//! Owners follow by rendezvous hashing: the members in the order of a hash of member and chunk. A member that comes or goes changes the
//! order of no two others. In a large zone only sixteen are owners, the *gateways*, and the rest come after them: 64 owners of 1024 chunks
//! kept so many requests waiting at a thin link that each took two seconds, owned 16 chunks each give or take four, and the last
//! of them left the link idle at the end (94 % of the bound and 1.06 crossings among 128 peers at 1 MiB).
//!
//! Invariant: of two statements about one member the higher stamp counts, and of equal stamps the one that it does not reach outside. So
//! statements may come in any order and by any way, and everybody ends with the same. Only a member itself raises its stamp.
//!
//! Not here: what an owner may do (`border`), and how long its successors wait (`zone`).

use std::collections::{BTreeMap, BTreeSet};

use crate::chunk::ChunkId;
use crate::swarm::event::Member;
use crate::swarm::footprint::{list, set, tree};

/// Parts that chunks are dealt into, each with its own order of gateways: enough that all own about as much, and few enough that a
/// newcomer costs some ten thousand hashes however large the content is.
const PARTS_MAX: u32 = 4096;

/// Members that are owners. Together they can take in what a publisher sends while each is as fast as a sixteenth of it.
const GATEWAYS: usize = 16;

/// Members that are remembered, gone ones included: more machines than any zone has, and 64 KiB of what somebody made up.
const MEMBERS_MAX: usize = 4096;

/// What a statement about a member was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    /// It says something new.
    News,
    /// We know better.
    Outdated(Member),
    /// It is as we know it, or there is no room for it.
    Nothing,
}

/// See the module's text.
#[derive(Clone, Debug)]
pub(super) struct Members {
    ours: Member,
    others: BTreeMap<u64, Member>,
    /// Neighbours that are not relied upon. They stay members for everybody else.
    apart: BTreeSet<u64>,
    /// All that count, and ourselves, by a hash of their ids: the first are gateways.
    order: BTreeSet<(u64, u64)>,
    parts: usize,
    /// For each part, the gateways that come before us; empty while we are none.
    ahead: Vec<u16>,
    /// How many come before us for every chunk, while we are none.
    place: u16,
}

impl Members {
    /// Of a machine with this id, which knows nobody yet, for so many chunks.
    pub(super) fn new(id: u64, chunks: u32) -> Self {
        let parts = chunks.clamp(1, PARTS_MAX) as usize;
        let mut members = Self {
            ours: Member { id, stamp: 0, reaches: false },
            others: BTreeMap::new(),
            apart: BTreeSet::new(),
            order: BTreeSet::from([(weight(id, 0), id)]),
            parts,
            ahead: Vec::new(),
            place: 0,
        };
        members.settle();
        members
    }

    /// How many members come before us for `chunk`.
    pub(super) fn ahead(&self, chunk: ChunkId) -> u16 {
        self.ahead.get(chunk.as_usize() % self.parts).copied().unwrap_or(self.place)
    }

    /// Other members that count.
    pub(super) fn count(&self) -> u16 {
        u16::try_from(self.order.len() - 1).unwrap_or(u16::MAX)
    }

    /// Everything that is known, ourselves included, for somebody who has just come.
    pub(super) fn all(&self) -> Vec<Member> {
        let ours = Some(self.ours).filter(|ours| ours.stamp > 0);
        ours.into_iter().chain(self.others.values().copied()).collect()
    }

    /// Takes in whether we reach outside; the statement to make if that is new.
    pub(super) fn set_reaches(&mut self, reaches: bool) -> Option<Member> {
        if self.ours.reaches == reaches {
            return None;
        }
        self.ours.reaches = reaches;
        self.ours.stamp = self.ours.stamp.saturating_add(u32::from(reaches));
        Some(self.ours)
    }

    /// Takes in a statement of somebody.
    pub(super) fn learn(&mut self, said: Member) -> Worth {
        if said.id == self.ours.id {
            return self.learn_of_ourselves(said);
        }
        let known = self.others.get(&said.id).copied();
        let is_newer = known.is_none_or(|known| rank(said) > rank(known));
        match known {
            None if self.others.len() >= MEMBERS_MAX => return Worth::Nothing,
            Some(known) if !is_newer => {
                return if known == said { Worth::Nothing } else { Worth::Outdated(known) };
            }
            _ => {}
        }
        self.change(said.id, |members| _ = members.others.insert(said.id, said));
        Worth::News
    }

    /// What is known of a member, ourselves included.
    pub(super) fn of(&self, id: u64) -> Option<Member> {
        if id == self.ours.id { Some(self.ours) } else { self.others.get(&id).copied() }
    }

    /// Somebody takes us for gone, or remembers less of us than there is.
    fn learn_of_ourselves(&mut self, said: Member) -> Worth {
        // Beyond the last stamp there is nothing that we could answer.
        if said == self.ours || said.stamp == u32::MAX {
            return Worth::Nothing;
        }
        if rank(said) < rank(self.ours) {
            return Worth::Outdated(self.ours);
        }
        let stamp = said.stamp.saturating_add(u32::from(self.ours.reaches));
        self.ours.stamp = stamp;
        Worth::News
    }

    /// Takes in that a neighbour is gone; the statement to make for it, if it was a member.
    pub(super) fn leave(&mut self, id: u64) -> Option<Member> {
        self.set_apart(id, false);
        let gone = self.others.get(&id).filter(|member| member.reaches)?;
        let gone = Member { reaches: false, ..*gone };
        self.change(id, |members| _ = members.others.insert(id, gone));
        Some(gone)
    }

    /// Takes in whether a neighbour is not relied upon, which we alone know of it; whether that changes the order.
    pub(super) fn set_apart(&mut self, id: u64, apart: bool) -> bool {
        self.change(id, |members| {
            _ = if apart { members.apart.insert(id) } else { members.apart.remove(&id) };
        })
    }

    /// Does something that may make a member count or count no more, and puts the order right; whether it changed.
    fn change(&mut self, id: u64, what: impl FnOnce(&mut Self)) -> bool {
        let before = self.counts(id);
        what(self);
        let after = self.counts(id);
        if before != after {
            let place = (weight(id, 0), id);
            _ = if after { self.order.insert(place) } else { self.order.remove(&place) };
        }
        before != after
    }

    /// Finds our place anew, after members have changed.
    pub(super) fn settle(&mut self) {
        let ours = self.ours.id;
        let place = self.order.range(..(weight(ours, 0), ours)).count();
        self.place = u16::try_from(place).unwrap_or(u16::MAX);
        self.ahead.clear();
        if place < GATEWAYS {
            let others: Vec<u64> = self.gateways().filter(|id| *id != ours).collect();
            let before = |part: usize| others.iter().filter(|id| is_ahead(**id, ours, part)).count();
            self.ahead.extend((1..=self.parts).map(|part| u16::try_from(before(part)).unwrap_or(u16::MAX)));
        }
    }

    fn gateways(&self) -> impl Iterator<Item = u64> + '_ {
        self.order.iter().take(GATEWAYS).map(|(_, id)| *id)
    }

    fn counts(&self, id: u64) -> bool {
        self.others.get(&id).is_some_and(|member| member.reaches) && !self.apart.contains(&id)
    }

    /// Bytes that they have allocated.
    pub(super) fn footprint(&self) -> usize {
        tree(&self.others) + set(&self.apart) + set(&self.order) + list(&self.ahead)
    }

    pub(super) fn check_invariants(&self) {
        let counted = self.others.keys().filter(|id| self.counts(**id)).chain([&self.ours.id]);
        let order: BTreeSet<(u64, u64)> = counted.map(|id| (weight(*id, 0), *id)).collect();
        assert_eq!(order, self.order, "members that count are in order");
        let mut settled = self.clone();
        settled.settle();
        assert_eq!(
            (settled.place, settled.ahead),
            (self.place, self.ahead.clone()),
            "our place is found after changes"
        );
    }
}

/// What decides between two statements about one member.
const fn rank(said: Member) -> (u32, bool) {
    (said.stamp, !said.reaches)
}

/// Whether one member comes before another for the chunks of a part.
fn is_ahead(one: u64, other: u64, part: usize) -> bool {
    (weight(one, part), one) > (weight(other, part), other)
}

/// A hash of a member and a part, or of a member alone with zero for the part: the finisher of `SplitMix64` (Steele, Lea and Flood, 2014), over both.
const fn weight(id: u64, part: usize) -> u64 {
    let mut hash = id ^ (part as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut round = 0;
    // Twice: ids of a simulation and parts are both small numbers, and once leaves them too much alike.
    while round < 2 {
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^= hash >> 31;
        round += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Layout;

    const CHUNKS: u32 = 1000;

    fn layout() -> Layout {
        Layout::new(u64::from(CHUNKS) * 1024, 1024).unwrap()
    }

    fn here(id: u64) -> Member {
        Member { id, stamp: 1, reaches: true }
    }

    /// What each of these members knows when all know of all.
    fn zone(ids: &[u64]) -> Vec<Members> {
        let one = |id: &u64| {
            let mut members = Members::new(*id, CHUNKS);
            ids.iter().filter(|other| *other != id).for_each(|other| _ = members.learn(here(*other)));
            members.settle();
            members.check_invariants();
            members
        };
        ids.iter().map(one).collect()
    }

    #[test]
    fn every_chunk_has_one_owner_and_one_successor_of_each_rank() {
        let zone = zone(&[3, 5, 8, 13]);
        for chunk in layout().chunks() {
            let mut places: Vec<u16> = zone.iter().map(|members| members.ahead(chunk)).collect();
            places.sort_unstable();
            assert_eq!(places, [0, 1, 2, 3]);
        }
    }

    #[test]
    fn members_own_about_the_same_number_of_chunks() {
        for members in zone(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) {
            let owned = layout().chunks().filter(|chunk| members.ahead(*chunk) == 0).count();
            assert!((70..130).contains(&owned), "{owned} of 1000 among ten");
        }
    }

    #[test]
    fn in_a_large_zone_sixteen_members_own_everything_and_the_rest_follow_in_an_order() {
        let zone = zone(&(0..50).collect::<Vec<_>>());
        for chunk in layout().chunks() {
            let mut places: Vec<u16> = zone.iter().map(|members| members.ahead(chunk)).collect();
            places.sort_unstable();
            assert_eq!(places, (0..50).collect::<Vec<_>>());
        }
        let owners = zone.iter().filter(|members| layout().chunks().any(|chunk| members.ahead(chunk) == 0)).count();
        assert_eq!(owners, GATEWAYS);
    }

    #[test]
    fn a_member_that_goes_leaves_its_chunks_to_their_successors_and_changes_no_other() {
        let mut zone = zone(&[3, 5, 8, 13]);
        let before = zone.clone();
        for members in &mut zone {
            members.leave(3);
            members.settle();
        }
        for chunk in layout().chunks() {
            let was_owner = |at: usize| before[at].ahead(chunk) == 0;
            let owners: Vec<usize> = (1..4).filter(|at| zone[*at].ahead(chunk) == 0).collect();
            assert_eq!(owners.len(), 1);
            assert!(was_owner(0) || was_owner(owners[0]));
        }
    }

    #[test]
    fn statements_count_in_whatever_order_they_come() {
        let [here, gone] = [true, false].map(|reaches| Member { id: 7, stamp: 2, reaches });
        let old = Member { id: 7, stamp: 1, reaches: true };
        for order in [[here, gone, old], [old, gone, here], [gone, old, here]] {
            let mut members = Members::new(1, CHUNKS);
            order.into_iter().for_each(|said| _ = members.learn(said));
            assert_eq!((members.count(), members.all()), (0, vec![gone]));
        }
    }

    #[test]
    fn whoever_is_taken_for_gone_says_that_it_is_there() {
        let mut members = Members::new(1, CHUNKS);
        let said = members.set_reaches(true).unwrap();
        let back = Member { stamp: said.stamp + 1, ..said };
        assert_eq!(members.learn(Member { reaches: false, ..said }), Worth::News);
        assert_eq!(members.of(1), Some(back));
        assert_eq!(members.learn(said), Worth::Outdated(back));
    }

    #[test]
    fn made_up_members_do_not_fill_the_memory() {
        let mut members = Members::new(0, 1);
        (1..=2 * MEMBERS_MAX as u64).for_each(|id| _ = members.learn(here(id)));
        assert_eq!(members.others.len(), MEMBERS_MAX);
    }
}
