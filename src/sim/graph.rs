//! Graph: who is connected to whom.
//!
//! As discovery would make it: a full mesh while everybody fits, else a random graph in which every peer has about the same number of
//! neighbours. It is a union of random rings, so it is connected by construction, which independent random dials are not.
//!
//! Invariant: no machine is its own neighbour, and no edge occurs twice.
//!
//! Not here: deaths and late joins; `world` connects anew as they happen.

use std::collections::{BTreeMap, BTreeSet};

use crate::units::Rng;

/// The edges among `peers`, about `degree` at each, and from every one of `publishers` to the
/// others and to `publisher_degree` of the peers.
pub(super) fn edges(
    publishers: &[usize],
    peers: &[usize],
    degree: usize,
    publisher_degree: usize,
    rng: &mut Rng,
) -> BTreeSet<(usize, usize)> {
    let mut edges = BTreeSet::new();
    let mut order = peers.to_vec();
    if peers.len() <= degree + 1 {
        for (i, a) in peers.iter().enumerate() {
            peers[i + 1..].iter().for_each(|b| _ = edges.insert(edge(*a, *b)));
        }
    } else {
        for _ in 0..degree.div_ceil(2) {
            rng.shuffle(&mut order);
            order.windows(2).for_each(|two| _ = edges.insert(edge(two[0], two[1])));
            edges.insert(edge(order[0], order[order.len() - 1]));
        }
        top_up(&mut edges, &mut order, degree, rng);
    }
    for (i, publisher) in publishers.iter().enumerate() {
        publishers[i + 1..].iter().for_each(|other| _ = edges.insert(edge(*publisher, *other)));
        rng.shuffle(&mut order);
        order.iter().take(publisher_degree).for_each(|peer| _ = edges.insert(edge(*publisher, *peer)));
    }
    edges
}

/// Connects peers that got fewer neighbours, because their rings shared edges, with each other.
fn top_up(edges: &mut BTreeSet<(usize, usize)>, peers: &mut [usize], degree: usize, rng: &mut Rng) {
    rng.shuffle(peers);
    let mut degrees: BTreeMap<usize, usize> = peers.iter().map(|peer| (*peer, 0)).collect();
    for (a, b) in edges.iter() {
        degrees.entry(*a).and_modify(|d| *d += 1);
        degrees.entry(*b).and_modify(|d| *d += 1);
    }
    let short: Vec<usize> = peers.iter().copied().filter(|peer| degrees[peer] < degree).collect();
    for (i, a) in short.iter().enumerate() {
        for b in &short[i + 1..] {
            if degrees[a] < degree && degrees[b] < degree && edges.insert(edge(*a, *b)) {
                degrees.entry(*a).and_modify(|d| *d += 1);
                degrees.entry(*b).and_modify(|d| *d += 1);
            }
        }
    }
}

fn edge(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_swarm_is_a_full_mesh() {
        let peers: Vec<usize> = (1..12).collect();
        assert_eq!(edges(&[0], &peers, 10, 16, &mut Rng::with_seed(1)).len(), 12 * 11 / 2);
    }

    #[test]
    fn a_large_swarm_gives_everybody_about_ten_neighbours() {
        let peers: Vec<usize> = (1..129).collect();
        let edges = edges(&[0], &peers, 10, 16, &mut Rng::with_seed(1));
        let degree = |host| edges.iter().filter(|(a, b)| *a == host || *b == host).count();
        assert_eq!(degree(0), 16);
        assert!(
            peers.iter().all(|p| (7..=11).contains(&degree(*p))),
            "rings may share an edge, the publisher adds one"
        );
    }
}
