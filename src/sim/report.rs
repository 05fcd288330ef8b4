//! Report: what a run showed.
//!
//! Efficiency is measured against the fluid bound, because that is what no policy can beat; everything else says where the
//! rest went.
//!
//! Invariant: two runs of one scenario with one seed give equal reports, the trace's hash included.
//!
//! Not here: charts.

use std::time::Duration;

use crate::sim::scenario::{Host, Rate, Scenario};
use crate::units::Bytes;

/// A machine that should have become complete and did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// Index of the machine.
    pub host: usize,
    /// Chunks that it lacks.
    pub missing: u32,
}

/// What a run showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Time until the last machine that counts was complete, or that of the run's end when one was not.
    pub makespan: Duration,
    /// The least time that any policy could take: the fluid bound over uplinks, downlinks and joins.
    pub bound: Duration,
    /// Bytes that publishers delivered, in copies of the content.
    pub publisher_copies: f64,
    /// The same at the moment when every chunk had left once; `None` when that did not happen.
    pub first_pass_copies: Option<f64>,
    /// Control traffic of all machines.
    pub control: Bytes,
    /// Chunks fetched by machines that held them, or were verifying them.
    pub duplicates: u64,
    /// Chunks fetched in all.
    pub fetched: u64,
    /// Machines that are alive at the end and not complete.
    pub incomplete: Vec<Shortfall>,
    /// Chunks that nobody alive holds at the end.
    pub lost: u32,
    /// Events that were simulated.
    pub events: u64,
    /// Hash over all of them, with their times.
    pub trace: u64,
}

impl Report {
    /// Bound over makespan, between 0 and 1.
    #[must_use]
    pub fn efficiency(&self) -> f64 {
        if self.makespan.is_zero() { 1.0 } else { self.bound.as_secs_f64() / self.makespan.as_secs_f64() }
    }

    /// Whether everybody who could become complete did.
    #[must_use]
    pub fn converged(&self) -> bool {
        self.incomplete.is_empty() || self.lost > 0
    }

    /// What is missing, in a sentence.
    #[must_use]
    pub fn shortfall(&self) -> String {
        let machines: Vec<String> =
            self.incomplete.iter().map(|s| format!("machine {} lacks {}", s.host, s.missing)).collect();
        format!("{} chunks are held by nobody alive; {}", self.lost, machines.join(", "))
    }
}

/// The machines whose completion counts: those that stay, and whose downlink is at least half of the fastest. The slow ones end when
/// their own links let them, and would hide how the others fared.
pub(super) fn counts(scenario: &Scenario) -> Vec<usize> {
    let peers = || scenario.hosts.iter().enumerate().filter(|(_, h)| !h.publisher && !dies_for_good(h) && !h.lies);
    let fastest = peers().map(|(_, h)| h.down).max().unwrap_or(Rate(0));
    peers().filter(|(_, h)| h.down >= fastest.over(2)).map(|(index, _)| index).collect()
}

const fn dies_for_good(host: &Host) -> bool {
    host.dies.is_some() && host.returns.is_none()
}

/// `max(F/u_s, F/d_min, N F/(u_s + sum u_i), joins_i + F/d_i)` over the machines that count (Kumar and Ross, 2006).
pub(super) fn fluid_bound(scenario: &Scenario, counted: &[usize]) -> Duration {
    let total = scenario.total.0;
    let seeded: u64 = scenario.hosts.iter().filter(|h| h.publisher).map(|h| h.up.0).sum();
    let peers = || counted.iter().map(|index| &scenario.hosts[*index]);
    let uplinks = seeded + peers().map(|h| h.up.0).sum::<u64>();
    let own = peers().map(|h| h.joins + h.down.time(total)).max().unwrap_or_default();
    // When peers arrive late, the swarm's uplinks are not all there from the start, so the sum does not bound from below.
    let staggered = peers().any(|h| !h.joins.is_zero());
    let all = if staggered { Duration::ZERO } else { Rate(uplinks).time(total * counted.len() as u64) };
    Rate(seeded).time(total).max(own).max(all)
}
