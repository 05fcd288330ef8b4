//! The policy under simulation: safety, liveness, efficiency, determinism.
//!
//! Every figure is a ratio to the fluid bound, on 1 GiB at 1 Gbit/s with 0.5 ms between any two machines. The targets are those of
//! the reference simulation of the algorithm; a run may fall short of them by two points at most. A failing seed prints
//! the command that repeats it with every invariant checked.

use std::time::Duration;

use strew::sim::{self, Host, Rate, Report, Scenario, Shape};
use strew::units::Bytes;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The seeds whose median counts: nothing is special about them.
const SEEDS: [u64; 5] = [11, 23, 37, 41, 59];

/// Points by which a median may fall short of its target.
const SLACK: f64 = 2.0;

fn shaped(shape: Shape, peers: usize, chunk: u64, seed: u64) -> Report {
    let report = sim::run(&Scenario::shaped(shape, peers, Bytes(GIB), Bytes(chunk), seed), seed);
    let (name, _) = Shape::ALL.into_iter().find(|(_, other)| *other == shape).expect("every shape has a name");
    assert!(
        report.incomplete.is_empty(),
        "{}; repeat with: cargo run --release --example simulate -- --shape {name} --peers {peers} --chunk {chunk} \
         --seed {seed} --check",
        report.shortfall()
    );
    report
}

/// Asserts that the median efficiency of the named seeds, in percent, is within `SLACK` of the target for chunks of 256 KiB and of
/// 1 MiB, and that the publisher sent little more than one copy.
fn assert_efficient(shape: Shape, peers: usize, targets: [f64; 2]) {
    for (chunk, target) in [256 * KIB, MIB].into_iter().zip(targets) {
        let reports: Vec<Report> = SEEDS.iter().map(|seed| shaped(shape, peers, chunk, *seed)).collect();
        let mut efficiencies: Vec<f64> = reports.iter().map(|report| 100.0 * report.efficiency()).collect();
        efficiencies.sort_by(f64::total_cmp);
        let median = efficiencies[SEEDS.len() / 2];
        assert!(
            median >= target - SLACK,
            "{shape:?}, {peers} peers, chunk {chunk}: {efficiencies:.1?}, target {target}"
        );
        for report in &reports {
            assert!(report.efficiency() <= 1.0, "nothing beats the bound");
            assert!(report.publisher_copies < 1.05, "{} copies left the publisher", report.publisher_copies);
            assert!(report.first_pass_copies.is_some_and(|copies| copies <= 1.01), "no second copy in the first pass");
            assert!(report.duplicates * 200 <= report.fetched, "less than half a percent is fetched in vain");
            assert!(report.control.0 * 1000 <= GIB * peers as u64, "less than a thousandth is control traffic");
        }
    }
}

#[test]
fn equal_links_are_used_to_within_two_points_of_the_target_by_8_peers() {
    assert_efficient(Shape::Homogeneous, 8, [99.4, 98.8]);
}

#[test]
fn equal_links_are_used_to_within_two_points_of_the_target_by_32_peers() {
    assert_efficient(Shape::Homogeneous, 32, [99.0, 97.0]);
}

/// `cargo test --release --test simulation -- --ignored 128`
#[test]
#[ignore = "most of a minute without optimisation"]
fn equal_links_are_used_to_within_two_points_of_the_target_by_128_peers() {
    assert_efficient(Shape::Homogeneous, 128, [98.5, 95.8]);
}

#[test]
fn a_thin_publisher_is_used_to_within_two_points_of_the_target_by_8_peers() {
    assert_efficient(Shape::SeederQuarter, 8, [99.9, 99.6]);
}

#[test]
fn a_thin_publisher_is_used_to_within_two_points_of_the_target_by_32_peers() {
    assert_efficient(Shape::SeederQuarter, 32, [99.8, 99.6]);
}

/// `cargo test --release --test simulation -- --ignored 128`
#[test]
#[ignore = "most of a minute without optimisation"]
fn a_thin_publisher_is_used_to_within_two_points_of_the_target_by_128_peers() {
    assert_efficient(Shape::SeederQuarter, 128, [99.8, 99.6]);
}

#[test]
fn slow_and_dying_peers_hold_up_nobody_else() {
    for shape in [Shape::Slow, Shape::SlowUplinks, Shape::Failing] {
        let mut efficiencies = SEEDS.map(|seed| 100.0 * shaped(shape, 32, 256 * KIB, seed).efficiency());
        efficiencies.sort_by(f64::total_cmp);
        assert!(efficiencies[SEEDS.len() / 2] >= 97.0, "{shape:?}: {efficiencies:.1?}");
    }
}

#[test]
fn a_long_path_is_filled() {
    let mut scenario = Scenario::shaped(Shape::Homogeneous, 1, Bytes(GIB), Bytes(MIB), 1);
    scenario.round_trip = Duration::from_millis(100);
    let report = sim::run(&scenario, 1);
    assert!(report.efficiency() > 0.9, "{:.3}", report.efficiency());
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let run = |seed| sim::run(&Scenario::shaped(Shape::Failing, 16, Bytes(64 * MIB), Bytes(256 * KIB), 5), seed);
    let (once, again, other) = (run(7), run(7), run(8));
    assert_eq!(once, again);
    assert_ne!(once.trace, other.trace);
}

#[test]
fn a_seeder_sends_each_of_four_chunks_once_to_three_peers() {
    for seed in 0..50 {
        // Its uplink is thin, so that the peers have time to trade.
        let mut hosts = vec![Host::new(Rate::GIGABIT); 4];
        hosts[0] = Host::publisher(Rate::GIGABIT.over(16));
        let mut scenario = Scenario::new(Bytes(4 * MIB), Bytes(MIB), hosts);
        scenario.check = true;
        let report = sim::run(&scenario, seed);
        assert!(report.incomplete.is_empty(), "seed {seed}: {}", report.shortfall());
        assert_eq!(report.first_pass_copies, Some(1.0), "seed {seed}");
        assert!(
            report.publisher_copies <= 1.25,
            "seed {seed}: only the last chunk may be asked of it again, meanwhile"
        );
    }
}

#[test]
fn every_random_run_that_keeps_its_publisher_completes_without_a_broken_invariant() {
    for seed in 0..300 {
        let scenario = Scenario::random(seed);
        let run = std::panic::catch_unwind(|| sim::run(&scenario, seed));
        let repeat = format!("cargo run --release --example simulate -- --shape random --chunk 1KiB --seed {seed}");
        let report = run.unwrap_or_else(|_| panic!("an invariant broke; repeat with: {repeat}"));
        assert_eq!(report.lost, 0, "the publisher stays, so nothing can be lost; repeat with: {repeat}");
        assert!(report.incomplete.is_empty(), "{}; repeat with: {repeat}", report.shortfall());
    }
}
