//! Tells what a node does: events for programs, or sentences and a progress line for people.
//!
//! Whoever runs the node says everything once, to a [`Reporter`]; which form it takes is decided here. The clock is passed in,
//! so that what is told when can be tested.
//!
//! Invariant: with `--output json` standard output carries nothing but events, and nothing is redrawn; an idle node that
//! serves says nothing at all, so that a seeder left alone for a week leaves no week of lines behind.
//!
//! Not here: what there is to tell, and the log (`logging.rs`).

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::config::{Config, Output};
use super::event::{Complete, Event, EventPath, EventWriter, Manifest, Progress, Role, Root, Start, Summary, Warning};
use super::exit::ExitCode;
use super::progress::{self, Rate, Work};
use super::screen::Screen;
use super::statistics;
use crate::admin::Counters;
use crate::node::{Phase, Snapshot, Task};
use crate::units::{Bytes, Time};

/// How often [`Reporter::tick`] is best called: five times a second looks alive, and costs nothing.
pub const TICK: Duration = Duration::from_millis(200);
/// Time between progress events: what a program needs to draw a curve.
const EVENT_INTERVAL: Duration = Duration::from_secs(1);
/// Time between progress lines where none can be redrawn: a log of an hour stays readable.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Tells what a node does.
pub struct Reporter {
    screen: Screen,
    /// `None` for people.
    events: Option<EventWriter<Box<dyn Write + Send>>>,
    statistics: bool,
    leaves_when_complete: bool,
    seeds_only: bool,
    publishes: bool,
    rate: Rate,
    /// The moment and the state of the last progress told.
    told: Option<(Time, Snapshot)>,
}

impl Reporter {
    /// A reporter in the form that `config` asks for; `out` is standard output.
    #[must_use]
    pub fn new(config: &Config, screen: Screen, out: Box<dyn Write + Send>) -> Self {
        Self {
            screen,
            events: (config.output == Output::Json).then(|| EventWriter::new(out)),
            statistics: config.statistics,
            leaves_when_complete: config.node.exit_complete,
            seeds_only: matches!(config.node.task, Task::Publish { .. }),
            publishes: config.source().is_some(),
            rate: Rate::default(),
            told: None,
        }
    }

    /// Tells an event that happened at `ts`, in milliseconds since 1970.
    pub fn tell(&mut self, ts: u64, event: &Event) {
        if let Some(events) = &mut self.events {
            events.write(ts, event);
        }
        let for_people = match event {
            // Where programs read standard output, people still read standard error.
            Event::Warning(_) | Event::Error(_) | Event::Hook(_) => true,
            _ => self.events.is_none(),
        };
        if let (true, Some(sentence)) = (for_people, self.sentence(event)) {
            self.screen.say(&sentence);
        }
    }

    /// Tells how far it is, when that is due. Call it every [`TICK`] and at every change of phase.
    pub fn tick(&mut self, now: Time, ts: u64, snapshot: &Snapshot) {
        let before = self.told.as_ref().map(|(_, before)| before.phase);
        let turned = before != Some(snapshot.phase);
        if turned && matches!(snapshot.phase, Phase::Verifying | Phase::Serving) {
            // Another counter from here on.
            self.rate = Rate::default();
        }
        self.rate.observe(now, Work::of(snapshot).counter);
        if self.events.is_none() && turned && snapshot.phase == Phase::Serving && self.seeds_only {
            self.screen.say("serving, Ctrl-C to stop");
        }
        if let (None, Some(width)) = (&self.events, self.screen.width()) {
            // The last column stays free: some terminals wrap as soon as it is written.
            self.screen.draw(&progress::line(snapshot, &self.rate, width.saturating_sub(1)));
            self.told = Some((now, snapshot.clone()));
        } else if turned || self.is_due(now, snapshot) {
            match &mut self.events {
                Some(events) => events.write(ts, &Event::Progress(progress_event(snapshot, &self.rate))),
                None => self.screen.say(&progress::line(snapshot, &self.rate, usize::MAX)),
            }
            self.told = Some((now, snapshot.clone()));
        }
    }

    /// Tells the totals and takes the progress line away. The last call of a run.
    pub fn finish(&mut self, ts: u64, summary: Summary) {
        self.screen.clear();
        let signals = [ExitCode::Interrupted, ExitCode::Terminated].map(ExitCode::number);
        if signals.contains(&summary.exit_code) && !self.seeds_only {
            self.screen.say(&stopped_sentence(&summary.counters));
        }
        if self.statistics && self.events.is_none() {
            self.screen.say(&statistics::text(&summary));
        }
        if let Some(events) = &mut self.events {
            let sources = if self.statistics { summary.sources } else { Vec::new() };
            events.write(ts, &Event::Summary(Summary { sources, ..summary }));
        }
    }

    fn is_due(&self, now: Time, snapshot: &Snapshot) -> bool {
        let interval = if self.events.is_some() { EVENT_INTERVAL } else { LINE_INTERVAL };
        match &self.told {
            None => true,
            Some((_, before)) if snapshot.phase == Phase::Serving && before == snapshot => false,
            Some((then, _)) => now.since(*then) >= interval,
        }
    }

    /// An event in words; `None` for those that the progress line or the log show.
    fn sentence(&self, event: &Event) -> Option<String> {
        match event {
            Event::Start(start) => Some(start_sentence(start)),
            Event::Manifest(manifest) => Some(manifest_sentence(manifest)),
            // Whoever pulls reads it with the last line.
            Event::Root(root) => self.publishes.then(|| root_sentence(root)),
            Event::Complete(complete) => Some(self.complete_sentence(complete)),
            Event::Warning(Warning { message, path: None }) => Some(format!("warning: {}", printable(message))),
            Event::Warning(Warning { message, path: Some(path) }) => {
                Some(format!("warning: {}: {}", printable(&path.path), printable(message)))
            }
            Event::Error(failure) => Some(format!("strew: {}", printable(&failure.message))),
            Event::Hook(hook) => hook.failure(printable),
            Event::Renewed(renewed) => Some(format!("key or certificate renewed; identity {}", renewed.identity)),
            Event::Peer(_) | Event::PeerList(_) | Event::Progress(_) | Event::Summary(_) => None,
        }
    }

    fn complete_sentence(&self, complete: &Complete) -> String {
        let time = statistics::elapsed(Duration::from_millis(complete.elapsed_ms));
        let verified = if complete.read_back { "verified and read back" } else { "verified" };
        let kept = match complete.bytes_kept {
            0 => String::new(),
            kept => format!(" ({} were here)", Bytes(kept)),
        };
        let next = if self.leaves_when_complete { "complete; leaving" } else { "complete; serving, Ctrl-C to stop" };
        let size = Bytes(complete.bytes);
        let (files, Complete { content, root, .. }) = (files(complete.files), complete);
        format!("{files}, {size}{kept} in {time}, every byte {verified}\nid:{content} root:{root}\n{next}")
    }
}

fn start_sentence(start: &Start) -> String {
    let path = |path: &Option<EventPath>| path.as_ref().map(|path| printable(&path.path)).unwrap_or_default();
    let (source, destination) = (path(&start.source), path(&start.destination));
    let list = printable(start.peer_list.as_deref().unwrap_or_default());
    let beside = if list.is_empty() { String::new() } else { format!(" and those of {list}") };
    let task = match (start.role, start.peers.len()) {
        (Role::Seed, _) => format!("seeding {source}"),
        (Role::Copy, _) => format!("copying {source} to {destination}"),
        (Role::Pull, 0) if list.is_empty() => format!("serving what is in {destination}"),
        (Role::Pull, 0) => format!("replicating into {destination} from the peers of {list}"),
        (Role::Pull, 1) => format!("replicating into {destination} from 1 listed peer{beside}"),
        (Role::Pull, peers) => format!("replicating into {destination} from {peers} listed peers{beside}"),
    };
    format!("{task}; swarm {}, listening on {} (UDP)", start.swarm, start.listen)
}

fn manifest_sentence(manifest: &Manifest) -> String {
    let (size, chunk_size) = (Bytes(manifest.bytes), Bytes(manifest.chunk_size));
    let (files, chunks) = (files(manifest.files), manifest.chunks);
    format!("content {}: {files}, {size} in {chunks} chunks of {chunk_size}", manifest.content)
}

fn root_sentence(Root { root, .. }: &Root) -> String {
    format!("every chunk is hashed and signed; --expect root:{root} makes sure of every byte")
}

/// What whoever stopped a run before its end wants to know: whether that was in vain.
fn stopped_sentence(counters: &Counters) -> String {
    let (done, total) = (Bytes(counters.bytes_done), Bytes(counters.bytes_total));
    match done {
        Bytes(0) => "stopped before anything was here; run the same command again".to_owned(),
        _ => format!(
            "stopped; {done} of {total} are verified and stay: run the same command again, and it goes on from there"
        ),
    }
}

fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// Text from outside without control characters: a file's name must not command a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

fn progress_event(snapshot: &Snapshot, rate: &Rate) -> Progress {
    let work = Work::of(snapshot);
    let eta = rate.time_for(work.rest).filter(|_| snapshot.phase != Phase::Serving && work.rest.0 > 0);
    Progress {
        phase: snapshot.phase.into(),
        bytes_done: work.done.0,
        bytes_total: snapshot.bytes_total.0,
        chunks_done: snapshot.chunks_done,
        chunks_total: snapshot.chunks_total,
        bytes_per_second: rate.bytes_per_second().0,
        eta_ms: eta.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        peers: snapshot.peers,
        received: snapshot.received.0,
        copied: snapshot.copied.0,
        uploaded: snapshot.uploaded.0,
        wire_received: snapshot.wire_received.0,
        wire_uploaded: snapshot.wire_uploaded.0,
    }
}

impl Start {
    /// The start of what `config` asks for.
    #[must_use]
    pub fn new(config: &Config, swarm: String, identity: String, listen: String, health: Option<String>) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role: match config.node.task {
                Task::Publish { .. } => Role::Seed,
                Task::Pull { .. } => Role::Pull,
                Task::Copy { .. } => Role::Copy,
            },
            swarm,
            identity,
            listen,
            health,
            source: config.source().map(<&Path>::into),
            destination: config.destination().map(<&Path>::into),
            peers: config.node.peers.iter().map(ToString::to_string).collect(),
            peer_list: config.node.lists.provider.as_ref().map(ToString::to_string),
        }
    }
}

#[cfg(test)]
mod tests;
