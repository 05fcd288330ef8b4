//! Four chunks, one publisher, three peers: small enough to be checked by hand.
//!
//! One upload at a time, uplinks that take an eighth of a second for a chunk and everything else as good as free, so that a schedule is a number of
//! chunk times. A chunk can be passed on only when it is whole, so n peers have it no earlier than ⌈log2 n⌉ chunk times after the first of them,
//! and the last of m chunks leaves the publisher at m: m + ⌈log2 n⌉ is the bound when the publisher sends each chunk once. If it goes on
//! sending the last one, it takes part in the doubling: m + ⌊log2 n⌋ (Mundinger, Weber and Weiss, 2008).
//!
//! Not here: contents and fleets of real sizes (`table`).

use std::time::Duration;

use strew::sim::{self, Host, Outage, Rate, Scenario};
use strew::units::Bytes;

const CHUNK: u64 = 1 << 20;
const CHUNKS: u64 = 4;
const CHUNK_TIME: Duration = Duration::from_millis(125);
/// What sends a chunk in that time.
const RATE: Rate = Rate(8 * CHUNK);
/// 4 + ⌈log2 3⌉ chunk times: the bound of whole chunks that leave the publisher once.
const WHOLE_CHUNKS: Duration = Duration::from_millis(6 * 125);
/// 4 + 1 + 1/2: two of the peers bring the last one its last chunk from both ends, which is the most that parts can save.
const PARTS: Duration = Duration::from_micros(5500 * 125);
/// 4 + ⌊log2 3⌋ chunk times: the bound when the publisher goes on.
const ANY_COPIES: Duration = Duration::from_millis(5 * 125);
/// Haves are up to 5 ms late, once for each of the three times that a chunk is passed on.
const NEWS: Duration = Duration::from_millis(15);
/// The packet run that is on an uplink when a request is withdrawn: an eighth of a chunk.
const RUN: Duration = CHUNK_TIME.checked_div(8).unwrap();

fn scenario() -> Scenario {
    let mut hosts = vec![Host::new(RATE); 4];
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
fn four_chunks_leave_the_publisher_once_and_three_peers_exchange_the_rest_in_six_chunk_times_at_most() {
    for seed in 0..50 {
        let mut scenario = scenario();
        // It leaves as soon as everything has left it.
        scenario.hosts[0].outages = vec![Outage::death(4 * CHUNK_TIME + Duration::from_millis(1))];
        scenario.detection = Duration::from_millis(1);
        let report = run(&scenario, seed);
        assert_eq!(report.publisher_copies.to_bits(), 1.0_f64.to_bits(), "seed {seed}: {}", report.publisher_copies);
        assert!(report.makespan >= PARTS, "seed {seed}: nothing beats the bound: {:?}", report.makespan);
        assert!(report.makespan <= WHOLE_CHUNKS + RUN + NEWS, "seed {seed}: {:?}", report.makespan);
    }
}

#[test]
fn a_publisher_that_stays_sends_parts_of_the_last_chunk_again_and_ends_it_sooner() {
    for seed in 0..50 {
        let report = run(&scenario(), seed);
        assert!(report.publisher_copies <= 1.5, "seed {seed}: {}", report.publisher_copies);
        assert!(report.makespan >= ANY_COPIES, "seed {seed}: nothing beats the bound: {:?}", report.makespan);
        assert!(report.makespan <= WHOLE_CHUNKS + NEWS, "seed {seed}: {:?}", report.makespan);
    }
}

#[test]
fn a_thin_publisher_sends_each_of_four_chunks_once_and_the_peers_need_two_chunk_times_more() {
    for seed in 0..50 {
        let mut scenario = scenario();
        scenario.hosts[0].up = RATE.over(4);
        let report = run(&scenario, seed);
        // In these two chunk times half a chunk more leaves it, of four.
        assert!(report.publisher_copies <= 1.125, "seed {seed}: {}", report.publisher_copies);
        assert!(report.makespan <= (4 * 4 + 2) * CHUNK_TIME + NEWS, "seed {seed}: {:?}", report.makespan);
    }
}
