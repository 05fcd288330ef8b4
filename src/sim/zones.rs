//! Zones: who meets whom where places are far from each other.
//!
//! As a node with a label looks for neighbours: most of them in its own zone, and a few outside, whoever publishes among them. Machines that
//! are not told their zones meet at random.
//!
//! Invariant: nobody meets who cannot reach the other.
//!
//! Not here: what crosses (`link`) and what is asked across (`swarm`).

use std::collections::BTreeSet;

use crate::sim::graph;
use crate::sim::world::World;

/// Neighbours in other zones: two, so that one that goes is not missed.
const OUTSIDE: usize = 2;
/// A publisher's share of neighbours outside, as far as there are others.
const PUBLISHER_OUTSIDE: usize = 4;

impl World<'_> {
    /// Whether machines know that they are in several zones, or cannot all reach each other.
    pub(super) fn has_zones(&self) -> bool {
        let first = self.scenario.hosts.first().map_or(0, |host| host.zone);
        self.scenario.hosts.iter().any(|host| host.zone != first || host.shut_in) && self.scenario.steering
    }

    /// The edges among those who are there from the beginning.
    pub(super) fn edges_of_zones(&mut self, publishers: &[usize], peers: &[usize]) -> BTreeSet<(usize, usize)> {
        let inside = self.scenario.degree.saturating_sub(OUTSIDE).max(1);
        let all: Vec<usize> = publishers.iter().chain(peers).copied().collect();
        let zones: BTreeSet<u32> = all.iter().map(|host| self.scenario.hosts[*host].zone).collect();
        let mut edges = BTreeSet::new();
        for zone in zones {
            let of = |hosts: &[usize]| -> Vec<usize> {
                hosts.iter().copied().filter(|host| self.scenario.hosts[*host].zone == zone).collect()
            };
            let (publishers, peers) = (of(publishers), of(peers));
            edges.extend(graph::edges(&publishers, &peers, inside, self.scenario.publisher_degree, &mut self.rng));
        }
        let mut order = all.clone();
        self.rng.shuffle(&mut order);
        // So far, all stay in their zones.
        let mut outside = vec![0; self.hosts.len()];
        for &host in &order {
            self.add_outside(host, &all, &mut edges, &mut outside);
        }
        edges
    }

    /// Gives `host` neighbours in other zones, or anywhere when it has no label, those first who have few; `outside` says how many each has.
    fn add_outside(&mut self, host: usize, all: &[usize], edges: &mut BTreeSet<(usize, usize)>, outside: &mut [usize]) {
        let is_outside = |other: usize| {
            let differs = self.scenario.hosts[host].zone != self.scenario.hosts[other].zone;
            differs && self.scenario.can_meet(host, other)
        };
        let mut others: Vec<usize> = all.iter().copied().filter(|other| is_outside(*other)).collect();
        // As many as have room, each with its own chance.
        let mut ranked: Vec<(usize, u64, usize)> = Vec::new();
        for other in others.drain(..) {
            let room = if self.scenario.hosts[other].publisher { PUBLISHER_OUTSIDE } else { OUTSIDE };
            ranked.push((outside[other].saturating_sub(room - 1), self.rng.u64(..), other));
        }
        ranked.sort_unstable();
        let is_alone = !all.iter().any(|other| *other != host && !self.scenario.are_apart(host, *other));
        let wanted = match self.scenario.hosts[host].publisher {
            true => PUBLISHER_OUTSIDE,
            // As when others are looked for later: where nobody is near, those outside make up the number.
            false if is_alone => self.scenario.degree,
            false => OUTSIDE,
        };
        let missing = wanted.saturating_sub(outside[host]);
        for (_, _, other) in ranked.into_iter().take(missing) {
            if edges.insert((host.min(other), host.max(other))) {
                outside[host] += 1;
                outside[other] += 1;
            }
        }
    }

    /// Whether a machine with a label has no neighbour outside though somebody is there.
    pub(super) fn is_cut_off(&self, host: usize) -> bool {
        let far = |other: usize| self.scenario.are_apart(host, other) && self.scenario.can_meet(host, other);
        self.scenario.steering
            && !self.hosts[host].connections.iter().any(|c| far(self.other_end(*c, host)))
            && (0..self.hosts.len()).any(far)
    }

    /// Puts those first whom `host` would rather have as neighbours, and says how many of them it takes.
    pub(super) fn choose_by_zone(&self, host: usize, strangers: &mut [usize]) -> usize {
        let missing = self.wanted(host).saturating_sub(self.counted_on(host));
        if !self.has_zones() {
            return missing;
        }
        let neighbours = || self.hosts[host].connections.iter().map(|c| self.other_end(*c, host));
        let outside = neighbours().filter(|other| self.scenario.are_apart(host, *other)).count();
        let mut wanted = OUTSIDE.saturating_sub(outside);
        let first: Vec<usize> = (strangers.iter().copied())
            .filter(|other| {
                let far = self.scenario.are_apart(host, *other);
                let taken = far && wanted > 0;
                wanted -= usize::from(taken);
                taken
            })
            .collect();
        strangers.sort_by_key(|other| (!first.contains(other), self.scenario.are_apart(host, *other)));
        // Those outside make up the number only where nobody is near, as in a node.
        let is_near = |other: &usize| *other != host && !self.scenario.are_apart(host, *other);
        if !(0..self.hosts.len()).any(|other| is_near(&other)) {
            return missing.max(first.len());
        }
        first.len() + strangers.iter().filter(|other| is_near(other)).count().min(missing.saturating_sub(first.len()))
    }
}
