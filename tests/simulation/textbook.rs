//! Four chunks, one publisher, three peers: small enough to be checked by hand.
//!
//! One upload at a time, uplinks that take a second for a chunk and everything else as good as free, so that a schedule is a number of
//! chunk times. A chunk can be passed on only when it is whole, so n peers have it no earlier than ⌈log2 n⌉ chunk times after the first of them,
//! and the last of m chunks leaves the publisher at m: m + ⌈log2 n⌉ when the publisher sends each chunk once. When it may send the last
//! one again, it joins in the doubling: m + ⌊log2 n⌋, the bound of Mundinger, Weber and Weiss (2008).

use std::time::Duration;

use strew::sim::{self, Host, Outage, Rate, Scenario};
use strew::units::Bytes;

const CHUNK: u64 = 1 << 20;
const CHUNKS: u64 = 4;
const CHUNK_TIME: Duration = Duration::from_secs(1);
/// 4 + ⌈log2 3⌉ chunk times.
const BOUND: u32 = 6;
/// Haves are up to 5 ms late, once for each of the three times that a chunk is passed on.
const NEWS: Duration = Duration::from_millis(15);
/// The packet run that is on an uplink when a request is withdrawn: an eighth of a chunk.
const RUN: Duration = CHUNK_TIME.checked_div(8).unwrap();

fn scenario() -> Scenario {
    let mut hosts = vec![Host::new(Rate(CHUNK)); 4];
    hosts[0].publisher = true;
    for host in &mut hosts {
        host.down = Rate(1_000_000 * CHUNK);
    }
    let mut scenario = Scenario::new(Bytes(CHUNKS * CHUNK), Bytes(CHUNK), hosts);
    scenario.round_trip = Duration::from_micros(10);
    scenario.proof_delay = Duration::ZERO;
    scenario.verify = Rate(1_000_000 * CHUNK);
    scenario.config.uploads_at_once = 1;
    scenario.check = true;
    scenario
}

/// Runs it and asserts what holds for every schedule: all have everything, and each chunk left once before any left again.
fn run(scenario: &Scenario, seed: u64) -> sim::Report {
    let report = sim::run(scenario, seed);
    assert!(report.incomplete.is_empty(), "seed {seed}: {}", report.shortfall());
    assert_eq!(report.first_pass_copies, Some(1.0), "seed {seed}: no second copy in the first pass");
    report
}

#[test]
fn four_chunks_reach_three_peers_in_six_chunk_times_and_leave_the_publisher_once() {
    let report = run(&scenario(), 1);
    assert_eq!(report.publisher_copies.to_bits(), 1.0_f64.to_bits(), "{}", report.publisher_copies);
    assert!(report.makespan >= BOUND * CHUNK_TIME, "nothing beats the bound: {:?}", report.makespan);
    assert!(report.makespan <= BOUND * CHUNK_TIME + NEWS, "{:?}", report.makespan);
}

#[test]
fn the_peers_exchange_all_the_rest_when_the_publisher_leaves_after_one_copy() {
    for seed in 0..50 {
        let mut scenario = scenario();
        scenario.hosts[0].outages = vec![Outage::death(4 * CHUNK_TIME + Duration::from_millis(1))];
        scenario.detection = Duration::from_millis(1);
        let report = run(&scenario, seed);
        assert_eq!(report.publisher_copies.to_bits(), 1.0_f64.to_bits(), "seed {seed}: {}", report.publisher_copies);
        let most = BOUND * CHUNK_TIME + RUN + NEWS;
        assert!(report.makespan <= most, "seed {seed}: {:?}", report.makespan);
    }
}

#[test]
fn a_thin_publisher_sends_each_of_four_chunks_once_and_the_peers_need_two_chunk_times_more() {
    for seed in 0..50 {
        let mut scenario = scenario();
        scenario.hosts[0].up = Rate(CHUNK / 4);
        let report = run(&scenario, seed);
        assert_eq!(report.publisher_copies.to_bits(), 1.0_f64.to_bits(), "seed {seed}: {}", report.publisher_copies);
        assert!(report.makespan <= (4 * 4 + 2) * CHUNK_TIME + NEWS, "seed {seed}: {:?}", report.makespan);
    }
}
