//! The policy under simulation: safety, liveness, efficiency, determinism.
//!
//! The very machines that the node runs, on a virtual clock. Every figure is a ratio to a bound, and every run follows from its
//! seed: a failure prints the command that repeats it.
//!
//! Not here: sockets, disks, digests. `tests/transfer.rs` and its neighbours have them.

use std::time::Duration;

use strew::sim::{self, Scenario, Shape};
use strew::units::Bytes;

#[path = "simulation/failures.rs"]
mod failures;
#[path = "simulation/scale.rs"]
mod scale;
#[path = "simulation/table.rs"]
mod table;
#[path = "simulation/textbook.rs"]
mod textbook;
#[path = "simulation/zones.rs"]
mod zones;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

#[test]
fn a_long_path_is_filled() {
    let mut scenario = Scenario::shaped(Shape::Homogeneous, 1, Bytes(GIB), Bytes(MIB), 1);
    scenario.round_trip = Duration::from_millis(100);
    let report = sim::run(&scenario, 1);
    assert!(report.efficiency() > 0.9, "{:.3}", report.efficiency());
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let run = |seed| sim::run(&Scenario::shaped(Shape::Freezing, 16, Bytes(64 * MIB), Bytes(256 * KIB), 5), seed);
    let (once, again, other) = (run(7), run(7), run(8));
    assert_eq!(once, again);
    assert_ne!(once.trace, other.trace);
}

#[test]
fn a_random_run_can_be_repeated_to_the_last_event() {
    for seed in 0..20 {
        let run = || sim::run(&Scenario::random(seed), seed);
        assert_eq!(run(), run(), "seed {seed}");
    }
}
