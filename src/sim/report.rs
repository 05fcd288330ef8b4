//! Report: what a run showed.
//!
//! Efficiency is measured against the fluid bound, because that is what no policy can beat; everything else says where the
//! rest went.
//!
//! Invariant: two runs of one scenario with one seed give equal reports, the trace's hash included.
//!
//! Not here: charts.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::bitfield::Bitfield;
use crate::chunk::ChunkId;
use crate::sim::scenario::{Host, Rate, Scenario};
use crate::sim::world::World;
use crate::swarm::{Swarm, Tally};
use crate::units::{Bytes, Time};

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
    /// Bytes that left publishers, in copies of the content.
    pub publisher_copies: f64,
    /// Chunks that the first publisher to have nothing unserved had sent by then, in copies; `None` when that did not happen.
    pub first_pass_copies: Option<f64>,
    /// Bytes of chunks that crossed into zones without a publisher, in copies of the content for each of them.
    pub crossings: f64,
    /// Bytes of chunks that crossed into zones with one, in copies: what their publishers had sent to other zones only.
    pub returned: f64,
    /// Control traffic of all machines.
    pub control: Bytes,
    /// Bytes of the chunks that peers got and hold.
    pub gained: Bytes,
    /// Chunks fetched by machines that held them, or were verifying them.
    pub duplicates: u64,
    /// Chunks fetched in all.
    pub fetched: u64,
    /// Bytes that left uplinks in vain, as a share of those that made a chunk count somewhere: the price of the end game, of
    /// hedging, of departures and of lies.
    pub waste: f64,
    /// Honest machines that are up at the end and not complete.
    pub incomplete: Vec<Shortfall>,
    /// Chunks that no honest machine that is up at the end holds.
    pub lost: u32,
    /// Honest machines that somebody banned, once for each time.
    pub wronged: Vec<usize>,
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

    /// Control traffic as a share of the data that it moved.
    #[must_use]
    pub fn control_share(&self) -> f64 {
        ratio(self.control.0, self.gained.0)
    }

    /// Whether everybody who could become complete did, and nobody honest was banned.
    #[must_use]
    pub fn converged(&self) -> bool {
        (self.incomplete.is_empty() || self.lost > 0) && self.wronged.is_empty()
    }

    /// What is missing, in a sentence.
    #[must_use]
    pub fn shortfall(&self) -> String {
        let machines: Vec<String> =
            self.incomplete.iter().map(|s| format!("machine {} lacks {}", s.host, s.missing)).collect();
        let lost = format!("{} chunks are held by nobody who is up; {}", self.lost, machines.join(", "));
        if self.wronged.is_empty() { lost } else { format!("{lost}; banned without reason: {:?}", self.wronged) }
    }
}

/// What the lives of a machine did that are over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Past {
    duplicates: u64,
    fetched: u64,
}

impl Past {
    pub(super) const fn add(&mut self, tally: &Tally) {
        self.duplicates += tally.duplicates;
        self.fetched += tally.fetched;
    }
}

impl World<'_> {
    pub(super) fn report(self) -> Report {
        let counted = counts(self.scenario);
        let up = || (0..self.hosts.len()).filter(|h| self.is_awake(*h) && self.scenario.hosts[*h].lie.is_none());
        let have = |host: usize| self.hosts[host].swarm.as_ref().map(Swarm::have);
        let missing = |host: usize| have(host).map_or(0, |have| self.layout.count() - have.len());
        let incomplete: Vec<Shortfall> =
            up().map(|host| Shortfall { host, missing: missing(host) }).filter(|s| s.missing > 0).collect();
        let held = |chunk: &ChunkId| up().any(|host| have(host).is_some_and(|have| have.contains(*chunk)));
        let lost = self.layout.chunks().filter(|chunk| !held(chunk)).count();
        let end = self.queue.now();
        let makespan = counted.iter().map(|h| self.hosts[*h].complete_at.unwrap_or(end)).max().unwrap_or(end);
        let lives = |host: usize| {
            let mut all = self.hosts[host].past;
            self.hosts[host].swarm.iter().for_each(|swarm| all.add(swarm.tally()));
            all
        };
        let hosts = || 0..self.hosts.len();
        let published: u64 = hosts().filter(|h| self.scenario.hosts[*h].publisher).map(|h| self.hosts[h].sent).sum();
        let sent: u64 = hosts().map(|h| self.hosts[h].sent).sum();
        let gained: u64 = hosts().filter(|h| !self.scenario.hosts[*h].begins_whole()).map(|h| self.held_bytes(h)).sum();
        let fed = zones_to_feed(self.scenario);
        let crossed = |into_fed: bool| -> u64 {
            self.crossed.iter().filter(|((_, into), _)| fed.contains(into) == into_fed).map(|(_, bytes)| bytes).sum()
        };
        Report {
            makespan: makespan.since(Time::ZERO),
            bound: fluid_bound(self.scenario, &counted),
            publisher_copies: ratio(published, self.scenario.total.0),
            first_pass_copies: self.first_pass_copies,
            crossings: ratio(crossed(true), self.scenario.total.0 * fed.len().max(1) as u64),
            returned: ratio(crossed(false), self.scenario.total.0),
            control: Bytes(self.control),
            gained: Bytes(gained),
            duplicates: hosts().map(|h| lives(h).duplicates).sum(),
            fetched: hosts().map(|h| lives(h).fetched).sum(),
            waste: ratio(sent.saturating_sub(gained), gained),
            incomplete,
            lost: u32::try_from(lost).unwrap_or(u32::MAX),
            wronged: self.wronged,
            events: self.queue.pushed(),
            trace: self.trace,
        }
    }

    /// Bytes of the chunks that `host` holds, or held when it died.
    fn held_bytes(&self, host: usize) -> u64 {
        let machine = &self.hosts[host];
        let have = machine.swarm.as_ref().map(Swarm::have).or(machine.kept.as_ref());
        have.into_iter().flat_map(Bitfield::iter).map(|chunk| self.layout.len(chunk)).sum()
    }
}

/// `a` over `b`, or zero where there is no `b`.
pub(super) fn ratio(a: u64, b: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)] // for people
    let ratio = if b == 0 { 0.0 } else { a as f64 / b as f64 };
    ratio
}

/// The zones that have everything from others.
fn zones_to_feed(scenario: &Scenario) -> BTreeSet<u32> {
    let zones = |publishers: bool| -> BTreeSet<u32> {
        scenario.hosts.iter().filter(|host| host.publisher == publishers).map(|host| host.zone).collect()
    };
    zones(false).difference(&zones(true)).copied().collect()
}

/// The machines whose completion counts: those that stay, and whose downlink is at least half of the fastest. The slow ones end when
/// their own links let them, and would hide how the others fared.
pub(super) fn counts(scenario: &Scenario) -> Vec<usize> {
    let stays = |h: &&Host| !h.begins_whole() && !h.goes_for_good() && h.lie.is_none();
    let peers = || scenario.hosts.iter().enumerate().filter(move |(_, h)| stays(h));
    let fastest = peers().map(|(_, h)| h.down).max().unwrap_or(Rate(0));
    peers().filter(|(_, h)| h.down >= fastest.over(2)).map(|(index, _)| index).collect()
}

/// When a machine can have everything that its downlink has to bring while it is up.
fn earliest(host: &Host, total: u64) -> Duration {
    host.outages.iter().fold(host.joins + host.down.time(total), |at, outage| match outage.until {
        Some(until) if outage.at < at => at + until.saturating_sub(outage.at),
        _ => at,
    })
}

/// `max(F/u_s, F/d_min, N F/(u_s + sum u_i), earliest_i)` over the machines that count (Kumar and Ross, 2006), and the time that
/// everything takes across all links to a zone without a publisher.
pub(super) fn fluid_bound(scenario: &Scenario, counted: &[usize]) -> Duration {
    let total = scenario.total.0;
    let seeded: u64 = scenario.hosts.iter().filter(|h| h.begins_whole()).map(|h| h.up.0).sum();
    let peers = || counted.iter().map(|index| &scenario.hosts[*index]);
    let uplinks = seeded + peers().map(|h| h.up.0).sum::<u64>();
    let own = peers().map(|h| earliest(h, total)).max().unwrap_or_default();
    // When peers arrive late, the swarm's uplinks are not all there from the start, so the sum does not bound from below.
    let staggered = peers().any(|h| !h.joins.is_zero());
    let all = if staggered { Duration::ZERO } else { Rate(uplinks).time(total * counted.len() as u64) };
    let zones: BTreeSet<u32> = scenario.hosts.iter().map(|host| host.zone).filter(|zone| *zone != 0).collect();
    let is_fed = |zone: &u32| peers().any(|host| host.zone == *zone && !host.shut_in);
    // A machine without a label takes no crossing, so whoever shares a zone with nobody else is no bound to others.
    let open = scenario.hosts.iter().any(|host| host.zone == 0);
    let across = scenario.crossing.filter(|_| !open && zones_to_feed(scenario).iter().any(is_fed));
    let links = zones.len().saturating_sub(1).max(1) as u64;
    let across = across.map_or(Duration::ZERO, |crossing| Rate(crossing.rate.0 * links).time(total));
    Rate(seeded).time(total).max(own).max(all).max(across)
}
