//! Fleet: several traces of one transfer together: how the nodes differ, and how long news travelled between them.
//!
//! Nodes find each other by the peer that each one is in its run, and moments by the wall clock of each header. On one machine that
//! is one clock; between machines the delay of haves is wrong by as much as their clocks are.
//!
//! Not here: one run on its own (`text`).

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use super::Run;
use super::spans::{Spans, millis, secs};
use super::text::percent;
use crate::chunk::ChunkId;
use crate::units::Time;

/// The steps of a chunk's way, as they are called for people.
const WAYS: [&str; 4] = ["asked to arriving", "arriving to fetched", "fetched to verified", "verified to announced"];

/// What all runs show together, in lines for people.
#[must_use]
pub fn summary(runs: &[&Run]) -> String {
    let mut text = String::new();
    write_summary(&mut text, runs).expect("a string takes everything");
    text
}

/// How long each have of one of these nodes was under way to another one. What seems to have come before it was sent, by clocks that
/// disagree, is left out.
#[must_use]
pub fn have_delay(runs: &[&Run]) -> Spans {
    let mut announced: BTreeMap<(&str, ChunkId), u128> = BTreeMap::new();
    for run in runs {
        for (at, chunk) in &run.announced {
            announced.entry((run.header.peer.as_str(), *chunk)).or_insert_with(|| wall(run, *at));
        }
    }
    let delays = |run: &&Run| {
        let delay = |(at, source, chunk): &(Time, _, ChunkId)| {
            let said = announced.get(&(run.sources.peer(*source)?, *chunk))?;
            let nanos = wall(run, *at).checked_sub(*said)?;
            Some(Duration::from_nanos(u64::try_from(nanos).ok()?))
        };
        run.heard.iter().filter_map(delay).collect::<Vec<_>>()
    };
    runs.iter().flat_map(delays).collect()
}

/// A moment of a run by the wall clock, in nanoseconds since 1970.
fn wall(run: &Run, at: Time) -> u128 {
    u128::from(run.header.wall) + u128::from(at.as_nanos())
}

fn write_summary(text: &mut String, runs: &[&Run]) -> fmt::Result {
    writeln!(text, "{} runs together:{:39}{:>10} {:>10} {:>10}", runs.len(), "", "least", "median", "most")?;
    write_moments(text, runs)?;
    write_requests(text, runs)?;
    writeln!(text, "  announced to heard    {}", have_delay(runs))?;
    for run in runs.iter().filter(|run| run.uplink.requested > 0) {
        let uplink = &run.uplink;
        let (listen, span) = (&run.header.listen, secs(uplink.span));
        let (share, queue) = (percent(uplink.active, uplink.span), uplink.queue_mean());
        writeln!(text, "  uplink of {listen:<21} sending {share:>5.1} % of {span}, queue {queue:.1} on average")?;
    }
    Ok(())
}

/// When what was there, over all that had something to fetch.
fn write_moments(text: &mut String, runs: &[&Run]) -> fmt::Result {
    let fetchers = || runs.iter().copied().filter(|run| run.progress.kept < run.progress.count);
    let mut row = |name: &str, of: &dyn Fn(&Run) -> Option<Duration>, show: fn(Duration) -> String| {
        let spans: Spans = fetchers().filter_map(of).collect();
        if spans.is_empty() {
            return Ok(());
        }
        let (least, median, most) = (spans.percentile(0), spans.percentile(50), spans.longest());
        writeln!(text, "  {name:<53} {:>10} {:>10} {:>10}", show(least), show(median), show(most))
    };
    let since = |moment: Option<Time>| Some(moment?.since(Time::ZERO));
    row("content known", &|run| since(Some(run.progress.begun)), secs)?;
    row("first request", &|run| since(run.progress.asked), secs)?;
    row("first verified chunk", &|run| since(run.progress.first()), secs)?;
    row("complete", &|run| since(run.progress.complete), secs)?;
    let end = |run: &Run, percent| Some(run.progress.complete?.since(run.progress.reached(percent)?));
    row("from 95 % to the end", &|run| end(run, 95), secs)?;
    row("from 99 % to the end", &|run| end(run, 99), secs)?;
    let gap = |run: &Run| Some(run.progress.longest_gap(run.progress.first()?, run.end).0);
    row("longest time without a verified chunk", &gap, millis)
}

/// What was asked for by all, and how long it took.
fn write_requests(text: &mut String, runs: &[&Run]) -> fmt::Result {
    let total = |of: fn(&Run) -> u64| runs.iter().map(|run| of(run)).sum::<u64>();
    writeln!(
        text,
        "  requests of all: {} made, {} chunks came, {} of them in vain; {} redirected, {} given up, {} refused, {} bad",
        total(|run| run.requests.asked),
        total(|run| run.requests.fetched),
        total(|run| run.requests.duplicates),
        total(|run| run.requests.redirected),
        total(|run| run.requests.cancelled),
        total(|run| run.requests.refused),
        total(|run| run.requests.bad),
    )?;
    let (hedges, doubled) = (total(|run| run.requests.hedges), total(|run| run.requests.doubled));
    writeln!(text, "  asked twice: {hedges} as too old, {doubled} at the end")?;
    for (step, name) in WAYS.iter().enumerate() {
        let spans = |run: &&Run| {
            let requests = &run.requests;
            let of = [&requests.to_arriving, &requests.to_fetched, &requests.to_verified, &requests.to_announced];
            of[step].iter().collect::<Vec<_>>()
        };
        writeln!(text, "  {name:<21} {}", runs.iter().flat_map(spans).collect::<Spans>())?;
    }
    Ok(())
}
