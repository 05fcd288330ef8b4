//! The simulator: many real swarms on a virtual clock.
//!
//! It runs the very machines that the node runs, so that a rule is judged by what it does to the makespan and not by how it
//! looks. Links are modelled as what bounds a transfer: each machine has an uplink shared in turns by its uploads and a downlink that
//! takes what comes in order, between any two lies a delay, and between two zones a link that all their traffic shares. That is cheap enough to try thousands of seeds.
//!
//! Invariant: a scenario and a seed determine the run to the last event; the trace's hash says so.
//!
//! Not here: packet loss, congestion control, processors and disks. Read its figures as a ceiling for the policy, not as a
//! forecast; they leave a transport's ramp and losses to tests on real sockets.

mod effects;
mod fleet;
mod graph;
mod ladder;
mod lie;
mod link;
mod neighbours;
mod outage;
mod queue;
mod random;
mod record;
pub mod replay;
mod report;
mod scenario;
mod shape;
mod table;
#[cfg(test)]
mod tests;
mod transfer;
mod world;
mod zones;

pub use ladder::{Rung, RungError, read_loss};
pub use record::Recording;
pub use report::{Report, Shortfall};
pub use scenario::{Crossing, Failure, Host, Lie, Outage, Rate, Scenario};
pub use shape::Shape;
pub use table::{Cell, Measured, SEEDS, SLACK, cells};

/// Runs `scenario` with the chance that `seed` stands for.
///
/// # Panics
/// When the content cannot be cut as the scenario says, or when a machine's invariant is broken and `scenario.check` is set.
#[must_use]
pub fn run(scenario: &Scenario, seed: u64) -> Report {
    world::World::new(scenario, seed).run().0
}

/// The same, and what the machines `hosts` (ascending) were told, in this order; one that never began is left out.
///
/// # Panics
/// As [`run`] does.
#[must_use]
pub fn record(scenario: &Scenario, seed: u64, hosts: &[usize]) -> (Report, Vec<Recording>) {
    let mut world = world::World::new(scenario, seed);
    world.recorded = hosts.to_vec();
    world.run()
}
