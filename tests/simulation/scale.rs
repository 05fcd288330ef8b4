//! Scale: one machine costs as much among many as among few, and a fleet to which everything happens at once becomes complete.
//!
//! Not here: a thousand machines and more, and time (`docs/scale.md` has the figures and the commands).

use strew::sim::{self, Rate, Recording, Scenario, Shape};
use strew::units::Bytes;

use super::{KIB, MIB};

/// The last of `peers` equal peers, and what it was told while it became complete.
fn one_of(peers: usize) -> Recording {
    let scenario = Scenario::shaped(Shape::Homogeneous, peers, Bytes(8 * MIB), Bytes(64 * KIB), 1);
    let (report, mut recordings) = sim::record(&scenario, 1, &[peers]);
    assert!(report.converged(), "{}", report.shortfall());
    recordings.pop().expect("it was there from the beginning")
}

/// A machine whose ring shares an edge with another has a neighbour less, and one that the publisher met has one more: two in ten.
const LUCK: f64 = 1.2;

#[test]
fn a_machine_among_256_remembers_and_decides_no_more_than_one_among_32() {
    let [few, many] = [32, 256].map(one_of);
    let figures = |one: &Recording| {
        let memory = one.clone().peak().0 as f64;
        [("bytes", memory), ("inputs", one.inputs() as f64), ("neighbours", one.clone().neighbours() as f64)]
    };
    for ((name, few), (_, many)) in figures(&few).into_iter().zip(figures(&many)) {
        assert!(many <= few * LUCK, "{name}: {many} among 256 peers and {few} among 32");
    }
}

#[test]
fn a_recorded_machine_that_is_told_the_same_again_ends_where_it_ended() {
    assert!(one_of(16).repeat().is_complete());
}

/// Half of a gigabit, so that pauses and round trips take as little of the run as they do of a large one.
fn fleet(peers: usize, total: u64, seed: u64) -> Scenario {
    Scenario::fleet(Rate::GIGABIT.over(8), peers, Bytes(total), Bytes(256 * KIB), seed)
}

#[test]
fn a_fleet_with_joins_churn_liars_and_zones_becomes_complete_with_hardly_any_control_traffic() {
    for seed in 1..4 {
        let report = sim::run(&fleet(48, 64 * MIB, seed), seed);
        assert!(report.converged() && report.lost == 0, "seed {seed}: {}", report.shortfall());
        let share = report.control_share();
        assert!(share <= 0.005, "seed {seed}: {:.2} % of the data is control traffic", 100.0 * share);
        assert!(report.efficiency() <= 1.0, "seed {seed}: nothing beats the bound: {:.3}", report.efficiency());
    }
}
