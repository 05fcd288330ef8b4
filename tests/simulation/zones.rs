//! Zones: each chunk crosses once, and whatever happens to whoever brings it, everybody becomes complete.
//!
//! Not here: the efficiency of large swarms behind thin links (`table`).

use std::time::Duration;

use strew::sim::{self, Crossing, Host, Outage, Rate, Report, Scenario, Shape};
use strew::units::Bytes;

use super::failures::last_change;
use super::{GIB, KIB, MIB};

/// What may pass beside the transfers after the last change: the longest pause before neighbours are looked for again, as without zones.
const PATIENCE: Duration = Duration::from_secs(15);
/// Rate of every machine here.
const RATE: Rate = Rate(50 * MIB);
/// A thin link between the zones: an eighth of that, and a round trip across the Atlantic.
const THIN: Crossing = Crossing { rate: RATE.over(8), round_trip: Duration::from_millis(80) };

/// A publisher and three peers in one zone, four peers in another behind a thin link; hosts 4 to 7 are these.
fn two_zones() -> Scenario {
    let mut hosts = vec![Host::new(RATE); 8];
    hosts[0].publisher = true;
    hosts[..4].iter_mut().for_each(|host| host.zone = 1);
    hosts[4..].iter_mut().for_each(|host| host.zone = 2);
    let mut scenario = Scenario::new(Bytes(64 * MIB), Bytes(256 * KIB), hosts);
    scenario.crossing = Some(THIN);
    scenario.check = true;
    scenario
}

/// Runs it with a few seeds and asserts that everybody becomes complete, at most so much later than it has to and with so many copies
/// across.
fn assert_complete(scenario: &Scenario, later: Duration, crossings: f64) {
    for seed in 0..5 {
        let report = sim::run(scenario, seed);
        assert!(report.converged() && report.lost == 0, "seed {seed}: {}", report.shortfall());
        let most = report.bound + later;
        assert!(report.makespan <= most, "seed {seed}: {:?} instead of {most:?}", report.makespan);
        assert!(report.crossings <= crossings, "seed {seed}: {:.3} copies crossed", report.crossings);
    }
}

/// The thin link is used to the full: some round trips of beginning and end beside the bound.
const RAMP: Duration = Duration::from_millis(500);

#[test]
fn each_chunk_crosses_a_thin_link_once() {
    assert_complete(&two_zones(), RAMP, 1.03);
}

#[test]
fn zones_spare_the_thin_link_what_it_carries_without_them() {
    let with = sim::run(&Scenario::shaped(Shape::TwoRegions, 32, Bytes(GIB / 8), Bytes(256 * KIB), 1), 1);
    let mut scenario = Scenario::shaped(Shape::TwoRegions, 32, Bytes(GIB / 8), Bytes(256 * KIB), 1);
    scenario.steering = false;
    let without = sim::run(&scenario, 1);
    assert!(with.crossings <= 1.03, "{:.3}", with.crossings);
    assert!(without.crossings > 1.3, "{:.3}", without.crossings);
    assert!(with.makespan < without.makespan, "{:?} beside {:?}", with.makespan, without.makespan);
}

#[test]
fn a_zone_of_many_knows_its_members_well_enough_for_one_crossing() {
    let report = sim::run(&Scenario::shaped(Shape::TwoRegions, 64, Bytes(64 * MIB), Bytes(64 * KIB), 1), 1);
    assert!(report.converged() && report.crossings <= 1.03, "{:.3}", report.crossings);
}

/// What a lost owner costs: half a second until those who owe it something know, and a second's stall with a few shorter ones after it for
/// chunks whose first successors do not.
const STANDING_IN: Duration = Duration::from_secs(3);
/// And in copies: what it had brought and not passed on crosses again, and so does what several stand in for at once.
const BROUGHT_AGAIN: f64 = 1.15;

#[test]
fn an_owner_that_dies_is_stood_in_for() {
    let mut scenario = two_zones();
    scenario.hosts[5].outages = vec![Outage::death(Duration::from_secs(3))];
    assert_complete(&scenario, RAMP + STANDING_IN, BROUGHT_AGAIN);
}

#[test]
fn an_owner_that_freezes_is_stood_in_for() {
    let mut scenario = two_zones();
    scenario.hosts[5].outages = vec![Outage::freeze(Duration::from_secs(3))];
    assert_complete(&scenario, RAMP + STANDING_IN, BROUGHT_AGAIN);
}

#[test]
fn one_machine_with_a_way_out_brings_everything_for_the_others() {
    let mut scenario = two_zones();
    scenario.hosts[5..].iter_mut().for_each(|host| host.shut_in = true);
    assert_complete(&scenario, RAMP, 1.03);
}

#[test]
fn a_zone_whose_ways_out_die_one_after_the_other_still_becomes_complete() {
    let mut scenario = two_zones();
    scenario.hosts[7].shut_in = true;
    scenario.hosts[6].joins = Duration::from_secs(14);
    for (host, secs) in [(4, 2), (5, 3)] {
        scenario.hosts[host].outages = vec![Outage::death(Duration::from_secs(secs))];
    }
    // Nobody has a way out until the third one joins, which then brings what is missing, and what died with the first two again.
    assert_complete(&scenario, Duration::from_secs(14) + RAMP, 1.3);
}

#[test]
fn a_machine_alone_in_its_zone_or_without_one_becomes_complete() {
    let mut scenario = two_zones();
    scenario.hosts[5].zone = 3;
    scenario.hosts[6].zone = 0;
    // Three zones: two without a publisher, and one machine whose bytes cross nothing.
    assert_complete(&scenario, THIN.rate.time(64 * MIB), 1.1);
}

#[test]
fn a_publisher_in_the_same_zone_is_asked_by_all() {
    let mut scenario = two_zones();
    scenario.hosts.iter_mut().for_each(|host| host.zone = 1);
    assert_complete(&scenario, Duration::from_millis(200), 0.0);
}

#[test]
fn two_zones_with_a_publisher_each_take_hardly_anything_from_each_other() {
    let mut scenario = two_zones();
    scenario.hosts[4].publisher = true;
    assert_complete(&scenario, Duration::from_secs(2), 0.0);
    assert!(sim::run(&scenario, 1).returned < 0.1);
}

/// How much longer anything may take with zones than without them, or than it has to (the worst of these runs takes 1.41). What is left is that an
/// owner with a thin uplink is given its share no quicker than it passes it on, and that exact requests over a long path begin slowly.
const WALL: f64 = 1.45;

/// Asserts that telling machines their zones delays nobody in this shape.
fn assert_no_wall(shape: Shape, peers: usize) {
    for (seed, chunk) in [(1, 256 * KIB), (2, 256 * KIB), (3, MIB)] {
        let mut scenario = Scenario::shaped_at(RATE.over(2), shape, peers, Bytes(64 * MIB), Bytes(chunk), seed);
        scenario.check = true;
        let with = sim::run(&scenario, seed);
        scenario.steering = false;
        let without = sim::run(&scenario, seed);
        assert!(with.converged() && with.lost == 0, "seed {seed}: {}", with.shortfall());
        let most = without.makespan.max(without.bound).mul_f64(WALL);
        assert!(with.makespan <= most, "seed {seed}: {:?} instead of {most:?}", with.makespan);
    }
}

#[test]
fn one_machine_with_a_thin_uplink_does_not_hold_up_its_zone() {
    assert_no_wall(Shape::SlowInZone, 3);
    assert_no_wall(Shape::SlowInZone, 8);
}

#[test]
fn a_newcomer_beside_a_slow_finished_copy_takes_from_outside_what_that_one_cannot_give() {
    assert_no_wall(Shape::SlowCopyInZone, 2);
    assert_no_wall(Shape::SlowCopyInZone, 4);
}

#[test]
fn a_machine_alone_in_its_zone_does_not_wait_for_the_slowest_source_outside() {
    assert_no_wall(Shape::AloneInZone, 2);
    assert_no_wall(Shape::AloneInZone, 3);
}

#[test]
fn every_random_run_in_zones_converges_with_every_invariant_checked() {
    let mut lost = 0;
    for seed in 0..300 {
        let repeat = format!("repeat with: cargo run --release --example simulate -- seed {seed} --zones");
        let scenario = Scenario::random_with_zones(seed);
        let run = std::panic::catch_unwind(|| sim::run(&scenario, seed));
        let report: Report = run.unwrap_or_else(|_| panic!("an invariant broke; {repeat}"));
        assert!(report.converged(), "{}; {repeat}", report.shortfall());
        lost += u32::from(report.lost > 0);
        let across = scenario.crossing.map_or(Duration::ZERO, |crossing| crossing.rate.time(scenario.total.0));
        // Where a machine without a label stands between zones the bound knows no link; and members stand in for each other one by one.
        let most = last_change(&scenario) + 4 * (report.bound + across) + PATIENCE;
        assert!(report.lost > 0 || report.makespan <= most, "{:?} instead of {most:?}; {repeat}", report.makespan);
    }
    assert!(lost <= 30, "{lost} of 300 runs show nothing, as chunks were lost in them");
}
