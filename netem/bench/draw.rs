//! What a run's picture shows: samples of counted packets as lines and strips.
//!
//! Invariant: time is zero at the start of the first peer, for every contender.
//!
//! Not here: SVG (`picture`).

use std::time::Instant;

use crate::lab::{Counters, Traffic};

use super::outcome;
use super::picture::{Lane, Picture};
use super::plan::Plan;
use super::race::Trail;
use super::record::Record;

/// The picture of a run.
pub(crate) fn picture(plan: &Plan<'_>, trail: &Trail, record: &Record) -> Option<Picture> {
    let origin = outcome::origin(trail)?;
    let seconds = |at: Instant| at.saturating_duration_since(origin).as_secs_f64();
    let wave = record.last()?;
    let began = trail.lanes.iter().filter_map(|lane| lane.started).max().map_or(0.0, seconds);
    let payload_bound = began + wave.bound / record.payload_share;
    let last = trail.lanes.iter().filter_map(|lane| lane.complete).max().map(seconds);
    let mut marks = vec![(payload_bound, format!("bound {payload_bound:.2} s"))];
    marks.extend(last.map(|last| (last, format!("last complete {last:.2} s"))));
    let end = last.unwrap_or(f64::INFINITY);
    let lanes = (0..plan.machines.len()).map(|host| {
        let samples = trail.samples.iter().map(|sample| (seconds(sample.at), sample.hosts[host]));
        let shown: Vec<(f64, Counters)> = samples.filter(|(at, _)| *at <= end + 0.2).collect();
        lane(plan, host, &shown, trail.lanes[host].complete.map(seconds))
    });
    let efficiency =
        wave.efficiency.map_or_else(|| "not complete".to_owned(), |share| format!("efficiency {share:.3}"));
    Some(Picture {
        title: format!("{} {}: {} (run {})", record.scenario, record.data, record.contender, record.run),
        subtitle: format!(
            "{efficiency} on payload rate, seeder sent {:.3} copies, machine busy {:.2}",
            record.copies(),
            record.busy
        ),
        marks,
        lanes: lanes.collect(),
    })
}

fn lane(plan: &Plan<'_>, host: usize, samples: &[(f64, Counters)], complete: Option<f64>) -> Lane {
    let (transport, bytes) = (plan.contender.transport, plan.scenario.size.0 as f64);
    let rate = plan.machines[host].group.up.bytes_per_second();
    let received = |traffic: Traffic| transport.payload(traffic) / bytes;
    let mut progress: Vec<(f64, f64)> = Vec::new();
    if host > 0 {
        progress.extend(samples.iter().map(|(at, counters)| (*at, received(counters.received).min(1.0))));
    }
    let use_of = |pair: &[(f64, Counters)]| {
        let (from, to) = (&pair[0], &pair[1]);
        let sent = to.1.sent.bytes.saturating_sub(from.1.sent.bytes) as f64;
        (to.0, sent / (rate * (to.0 - from.0).max(1e-6)))
    };
    Lane {
        name: plan.machines[host].name.clone(),
        progress,
        complete,
        uplink: samples.windows(2).map(use_of).collect(),
    }
}
