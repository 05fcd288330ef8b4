//! Outcome: what a run showed, computed from its trail after everything has ended.
//!
//! Here copies are verified and moments become figures. Nothing is measured any more, so this may take its time.
//!
//! Invariant: a copy that does not equal its source makes the run a failure, whatever the contender said.
//!
//! Not here: several runs (`table`).

use std::collections::BTreeSet;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::bound;
use super::data::Tree;
use super::events::{self, Totals};
use super::plan::Plan;
use super::race::Trail;
use super::record::{BUSY_MAX, Cost, HostRecord, Record, Wave};
use super::scenario::Role;

/// A gigabyte as the figure of CPU per GB has it.
const GB: f64 = 1e9;
/// A megabyte as the figure of system calls has it.
const MB: f64 = 1e6;

/// The record of a run.
pub(crate) fn of(plan: &Plan<'_>, trail: &Trail) -> Record {
    let totals: Vec<Option<Totals>> = trail.lanes.iter().map(|lane| totals(plan, lane.end.as_ref())).collect();
    let differences: Vec<Option<String>> = (0..trail.lanes.len()).map(|host| difference(plan, trail, host)).collect();
    let hosts: Vec<HostRecord> =
        (0..trail.lanes.len()).map(|host| host_record(plan, trail, host, differences[host].is_none())).collect();
    let problem = trail.problem.clone().map(|problem| with_words(&problem, plan, trail));
    let problem = problem.or_else(|| unequal(plan, &differences)).or_else(|| overrun(trail));
    let transport = plan.contender.transport;
    let mtu = plan.scenario.mtu;
    let bytes = plan.scenario.size.0;
    let judged: Vec<usize> = judged(plan).collect();
    let delivered = judged.len() as f64 * bytes as f64;
    let waves = (1..=plan.scenario.waves()).map(|number| wave(plan, trail, number)).collect();
    let last = trail.samples.last();
    let counted = |host: usize| last.map_or(0.0, |sample| transport.payload(sample.hosts[host].sent));
    let told = |host: usize| totals[host].as_ref();
    let all_told: Option<Vec<&Totals>> = judged.iter().map(|host| told(*host)).collect();
    let full = bytes as f64 / transport.payload_share(mtu);
    let received: f64 = judged.iter().map(|host| hosts[*host].received as f64 - full).sum();
    let arrived: u64 = last.map_or(0, |sample| sample.hosts.iter().map(|host| host.received.packets).sum());
    let dropped: u64 = last.map_or(0, |sample| sample.hosts.iter().map(|host| host.dropped + host.lost).sum());
    Record {
        v: 1,
        scenario: plan.scenario.name.clone(),
        calm: plan.calm,
        data: plan.data.name(),
        contender: plan.contender.name.clone(),
        run: plan.run,
        began: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        bytes,
        judged: judged.len(),
        payload_share: transport.payload_share(mtu),
        payload_formula: transport.formula(mtu),
        problem,
        waves,
        copies_counted: counted(0) / bytes as f64,
        copies_told: told(0).map(|totals| totals.uploaded as f64 / bytes as f64),
        crossings_counted: crossings_counted(plan, trail),
        crossings_told: crossings_told(plan, trail, &totals),
        repeated: all_told.map(|all| {
            let sum = |of: fn(&Totals) -> u64| all.iter().map(|totals| of(totals)).sum::<u64>() as f64;
            sum(|totals| totals.repeated) / sum(|totals| totals.received).max(1.0)
        }),
        cpu_per_gb: hosts.iter().map(|host| host.cpu).sum::<f64>() / (delivered / GB),
        cost: cost(&hosts, delivered, told(0).map(|totals| totals.uploaded)),
        memory: hosts.iter().map(|host| host.memory).max().unwrap_or(0),
        control: received / (judged.len() as f64 * full),
        dropped: dropped as f64 / (arrived + dropped).max(1) as f64,
        busy: trail.busy,
        cpu_bound: trail.busy > BUSY_MAX,
        late: trail.strain.map(|strain| strain.late as f64 / strain.packets.max(1) as f64),
        hosts,
    }
}

fn totals(plan: &Plan<'_>, end: Option<&super::process::End>) -> Option<Totals> {
    end.filter(|_| plan.contender.events).and_then(|end| events::totals(&end.lines))
}

/// Machines whose copies count.
fn judged(plan: &Plan<'_>) -> impl Iterator<Item = usize> {
    (1..plan.machines.len()).filter(|host| plan.machines[*host].group.judged)
}

fn host_record(plan: &Plan<'_>, trail: &Trail, host: usize, is_equal: bool) -> HostRecord {
    let (machine, lane) = (&plan.machines[host], &trail.lanes[host]);
    let since = |at: Option<Instant>| Some(at?.saturating_duration_since(origin(trail)?).as_secs_f64());
    let counters = trail.samples.last().map(|sample| sample.hosts[host]).unwrap_or_default();
    HostRecord {
        name: machine.name.clone(),
        zone: machine.group.zone.clone(),
        wave: machine.group.wave,
        judged: machine.group.role == Role::Peer && machine.group.judged,
        started: since(lane.started),
        complete: since(lane.complete),
        verified: lane.complete.filter(|_| plan.contender.copies).map(|_| is_equal),
        received: counters.received.bytes,
        sent: counters.sent.bytes,
        cpu: lane.end.as_ref().map_or(0.0, |end| end.cpu),
        memory: lane.end.as_ref().map_or(0, |end| end.peak),
        calls: lane.calls,
    }
}

/// What moving the data cost on each side. Where the seeder does not tell what it sent, it is taken to have sent all.
fn cost(hosts: &[HostRecord], delivered: f64, told: Option<u64>) -> Cost {
    let sent = told.map_or(delivered, |told| told as f64);
    let ready = hosts.iter().filter(|host| host.judged).filter_map(|host| Some(host.complete? - host.started?));
    let slowest = ready.fold(0.0, f64::max);
    let calls: Option<u64> = hosts.iter().map(|host| host.calls).sum();
    Cost {
        gbit: if slowest > 0.0 { delivered * 8.0 / 1e9 / slowest } else { 0.0 },
        seeder: hosts[0].cpu / (sent / GB),
        peers: hosts.iter().filter(|host| host.judged).map(|host| host.cpu).sum::<f64>() / (delivered / GB),
        seeder_memory: hosts[0].memory,
        calls_per_mb: calls.map(|calls| calls as f64 / (delivered / MB)),
    }
}

/// The start of the first peer.
pub(crate) fn origin(trail: &Trail) -> Option<Instant> {
    trail.lanes[1..].iter().filter_map(|lane| lane.started).min()
}

/// In which way the copy of a machine that called itself complete is not the source.
fn difference(plan: &Plan<'_>, trail: &Trail, host: usize) -> Option<String> {
    trail.lanes[host].complete?;
    let contender = plan.contender;
    if !contender.copies {
        return None;
    }
    match Tree::read(&plan.copy(host).join(&contender.inside), &contender.leaves, contender.modes) {
        Ok(copy) => plan.tree.difference(&copy),
        Err(error) => Some(format!("it cannot be read: {error}")),
    }
}

/// The first judged copy that is not the source.
fn unequal(plan: &Plan<'_>, differences: &[Option<String>]) -> Option<String> {
    judged(plan).find_map(|host| {
        let how = differences[host].as_ref()?;
        Some(format!("the copy of {} is not the source: {how}", plan.machines[host].name))
    })
}

/// Packets that the emulator never read were lost by this machine and not by a link.
fn overrun(trail: &Trail) -> Option<String> {
    let overrun = trail.strain.map_or(0, |strain| strain.overrun);
    (overrun > 0)
        .then(|| format!("the emulator could not keep up and lost {overrun} packets; use lower rates or fewer hosts"))
}

/// A problem with what the machine that it names said last.
fn with_words(problem: &str, plan: &Plan<'_>, trail: &Trail) -> String {
    let named = plan.machines.iter().position(|machine| problem.split(' ').any(|word| word == machine.name));
    let end = named.and_then(|host| trail.lanes[host].end.as_ref());
    end.map_or_else(|| problem.to_owned(), |end| format!("{problem}: {}", end.told()))
}

fn wave(plan: &Plan<'_>, trail: &Trail, number: usize) -> Wave {
    let of_wave = |host: &usize| plan.machines[*host].group.wave == number;
    let starts = (1..plan.machines.len()).filter(of_wave).filter_map(|host| trail.lanes[host].started);
    let last_start = starts.max();
    let own: Vec<_> = judged(plan).filter(of_wave).map(|host| &trail.lanes[host]).collect();
    let completions: Option<Vec<Instant>> = own.iter().map(|lane| lane.complete).collect();
    let mut times: Vec<f64> = own
        .iter()
        .filter_map(|lane| Some(lane.complete?.saturating_duration_since(lane.started?).as_secs_f64()))
        .collect();
    times.sort_by(f64::total_cmp);
    let at = |index: usize| times.get(index).copied().unwrap_or(0.0);
    let last = completions.as_ref().and_then(|all| all.iter().max().copied());
    let first = completions.as_ref().and_then(|all| all.iter().min().copied());
    let makespan = last.zip(last_start).map(|(last, start)| last.saturating_duration_since(start).as_secs_f64());
    let bound = bound::of_wave(plan.scenario, number, plan.scenario.size.0).as_secs_f64();
    let share = plan.contender.transport.payload_share(plan.scenario.mtu);
    // Where no link has a rate there is no bound to compare with.
    let limited = makespan.filter(|_| bound > 0.0);
    let apart = last.zip(first).map(|(last, first)| last.saturating_duration_since(first).as_secs_f64());
    Wave {
        bound,
        makespan,
        efficiency_wire: limited.map(|makespan| bound / makespan),
        efficiency: limited.map(|makespan| bound / share / makespan),
        peers: [at(0), at(times.len() / 2), at(times.len().saturating_sub(1))],
        spread: apart.zip(makespan).map(|(apart, makespan)| apart / makespan),
    }
}

/// Zones with judged peers and without the seeder.
fn far_zones<'a>(plan: &'a Plan<'_>) -> BTreeSet<&'a String> {
    let seeders = &plan.machines[0].group.zone;
    let zones = judged(plan).filter_map(|host| plan.machines[host].group.zone.as_ref());
    zones.filter(|zone| seeders.as_ref() != Some(*zone)).collect()
}

fn crossings_counted(plan: &Plan<'_>, trail: &Trail) -> Option<f64> {
    let zones = far_zones(plan);
    let into = trail.between.iter().filter(|(_, to, _)| zones.contains(to));
    let payload: Vec<f64> = into.map(|(_, _, counters)| plan.contender.transport.payload(counters.received)).collect();
    (!payload.is_empty()).then(|| payload.iter().sum::<f64>() / plan.scenario.size.0 as f64 / zones.len() as f64)
}

fn crossings_told(plan: &Plan<'_>, trail: &Trail, totals: &[Option<Totals>]) -> Option<f64> {
    let zones = far_zones(plan);
    let zone_of = |at: usize| plan.machines[at].group.zone.as_ref();
    let inside = (1..plan.machines.len()).filter(|host| zone_of(*host).is_some_and(|zone| zones.contains(zone)));
    let mut bytes = 0;
    for host in inside {
        for (address, received) in &totals[host].as_ref()?.from {
            let from = trail.addresses.iter().position(|other| other == address)?;
            if zone_of(from) != zone_of(host) {
                bytes += received;
            }
        }
    }
    (!zones.is_empty()).then(|| bytes as f64 / plan.scenario.size.0 as f64 / zones.len() as f64)
}
