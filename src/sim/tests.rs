//! Checks of the model itself, against what can be computed by hand.

use std::time::Duration;

use super::*;
use crate::units::Bytes;

const MIB: u64 = 1 << 20;

/// One publisher and peers with these uplinks and downlinks, in bytes per second; the first pair is the publisher's.
fn scenario(links: &[(u64, u64)], chunk: u64) -> Scenario {
    let host = |(up, down): &(u64, u64)| Host { up: Rate(*up), down: Rate(*down), ..Host::new(Rate(0)) };
    let mut hosts: Vec<Host> = links.iter().map(host).collect();
    hosts[0].publisher = true;
    let mut scenario = Scenario::new(Bytes(64 * MIB), Bytes(chunk), hosts);
    scenario.check = true;
    scenario
}

fn close(a: Duration, b: Duration) -> bool {
    (a.as_secs_f64() / b.as_secs_f64() - 1.0).abs() < 0.02
}

#[test]
fn stop_and_wait_loses_a_round_trip_per_chunk() {
    let mut scenario = scenario(&[(100 * MIB, 100 * MIB), (100 * MIB, 100 * MIB)], MIB);
    scenario.config.window_max = 1;
    scenario.round_trip = Duration::from_millis(10);
    let report = run(&scenario, 1);
    // A chunk takes 10 ms at the uplink, and an eighth of that for its last packet run at the downlink, beside the round trip.
    let expected = 64 * (Duration::from_millis(10) + Duration::from_micros(1250) + Duration::from_millis(10));
    assert!(close(report.makespan, expected), "{:?} instead of {expected:?}", report.makespan);
}

#[test]
fn a_downlink_bounds_what_several_senders_bring() {
    let mut scenario = scenario(&[(100 * MIB, 1), (1, 50 * MIB)], MIB / 4);
    scenario.hosts.push(scenario.hosts[0].clone());
    let report = run(&scenario, 1);
    assert!(close(report.makespan, Duration::from_millis(1280)), "{:?}", report.makespan);
}

#[test]
fn an_uplink_bounds_what_several_receivers_get() {
    let mut scenario = scenario(&[(50 * MIB, 1), (1, 100 * MIB), (1, 100 * MIB)], MIB / 4);
    scenario.proof_delay = Duration::ZERO;
    let report = run(&scenario, 1);
    assert!(
        report.makespan >= Duration::from_millis(1280 * 2),
        "{:?}: both copies leave the publisher",
        report.makespan
    );
}

#[test]
fn a_chunk_does_not_count_before_its_proof_arrives() {
    let mut scenario = scenario(&[(100 * MIB, 100 * MIB), (100 * MIB, 100 * MIB)], MIB);
    scenario.proof_delay = Duration::from_secs(3);
    assert!(run(&scenario, 1).makespan > Duration::from_secs(3));
}

#[test]
fn a_returning_machine_fetches_only_what_it_lacks() {
    let mut scenario = scenario(&[(100 * MIB, 100 * MIB), (100 * MIB, 100 * MIB)], MIB);
    scenario.hosts[1].outages = vec![Outage::death(Duration::from_millis(400)).until(Duration::from_secs(20))];
    let report = run(&scenario, 1);
    assert_eq!(report.incomplete, []);
    assert!((64..70).contains(&report.fetched), "{} chunks fetched of 64", report.fetched);
}

#[test]
fn the_report_names_what_was_lost_with_the_only_publisher() {
    let mut scenario = scenario(&[(100 * MIB, 100 * MIB), (100 * MIB, 100 * MIB)], MIB);
    scenario.hosts[0].outages = vec![Outage::death(Duration::from_millis(300))];
    scenario.limit = Duration::from_secs(60);
    let report = run(&scenario, 1);
    assert_eq!(report.incomplete, [Shortfall { host: 1, missing: report.lost }]);
    assert!(report.lost > 0 && report.converged());
    assert!(report.shortfall().contains("machine 1 lacks"));
}

#[test]
fn liars_are_banned_and_everybody_else_completes() {
    let mut scenario = scenario(&[(50 * MIB, 50 * MIB); 6], MIB);
    scenario.hosts[3].lie = Some(Lie::Corrupts);
    let report = run(&scenario, 1);
    assert_eq!(report.incomplete, []);
    assert!(report.makespan < Duration::from_secs(10), "nobody waits for a quarantine to end: {:?}", report.makespan);
}
