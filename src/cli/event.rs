//! What a run tells to programs: one JSON object a line (`--output json`).
//!
//! One vocabulary for everything that is worth telling, and people read sentences made of the same events, so the two can
//! never tell different stories. `docs/events.md` documents every field; a test holds the two together.
//!
//! Invariant: a line is written whole or not at all, fields are only ever added while [`SCHEMA`] stays the same, byte counts
//! are integers, and a path that is not UTF-8 is told without loss.
//!
//! Not here: when an event is due ([`super::Reporter`]), and the clock, which is passed in.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

mod list;

pub use list::PeerList;

use super::exit::ExitCode;
use crate::admin::Counters;
pub use crate::admin::PhaseName;
use crate::node::Snapshot;

mod hook;
mod path;

pub use hook::{Hook, HookName, HookState};
pub use path::EventPath;

/// The version of the schema, in every line as `v`. It changes when a field is taken away or changes its meaning.
pub const SCHEMA: u32 = 1;

/// An event with its frame, as it stands on a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// [`SCHEMA`].
    pub v: u32,
    /// Milliseconds since 1970-01-01 UTC.
    pub ts: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The node listens; the first event of a run that gets so far.
    Start(Box<Start>),
    /// It is known what is replicated.
    Manifest(Manifest),
    /// The digest of every chunk is known.
    Root(Root),
    /// A list of peers came, or changed.
    PeerList(PeerList),
    /// A neighbour came, went, or was refused.
    Peer(Peer),
    /// How far it is.
    Progress(Progress),
    /// Every byte is there, verified, durable and under its final name.
    Complete(Complete),
    /// A hook began or ended.
    Hook(Hook),
    /// New keys or certificates are in use.
    Renewed(Renewed),
    /// Something that the user should know, and that does not end the run.
    Warning(Warning),
    /// Why the run ends.
    Error(Failure),
    /// The totals; the last event of a run that had a [`Event::Start`].
    Summary(Summary),
}

/// The node listens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The version of strew.
    pub version: String,
    /// What the node is to do.
    pub role: Role,
    /// The public id of the swarm.
    pub swarm: String,
    /// The hash of this node's certificate key.
    pub identity: String,
    /// The UDP address that it listens on.
    pub listen: String,
    /// The TCP address for probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// What it publishes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<EventPath>,
    /// Where the content goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<EventPath>,
    /// The peers of the peer list, each with its port.
    pub peers: Vec<String>,
    /// Where the list of further peers is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_list: Option<String>,
}

/// What a node is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Publish a source.
    Seed,
    /// Fetch from peers, and serve.
    Pull,
    /// Publish a source and replicate it into a directory of this machine.
    Copy,
}

/// What is replicated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The content id.
    pub content: String,
    /// Regular files.
    pub files: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Chunks.
    pub chunks: u32,
    /// Bytes of a chunk; the last one may be shorter.
    pub chunk_size: u64,
}

/// The digest of every chunk is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Root {
    /// The content id.
    pub content: String,
    /// The root of all digests: it stands for every byte.
    pub root: String,
}

/// A neighbour came, went, or was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// Which of the three.
    pub state: PeerState,
    /// Its UDP address.
    pub address: String,
    /// The hash of its certificate key, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Why it went or was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Neighbours connected after this.
    pub peers: u32,
}

/// What became of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// It is authenticated and takes part.
    Connected,
    /// It is gone.
    Disconnected,
    /// It never took part, or does not any more: another key, another content, bad chunks.
    Refused,
}

/// New keys or certificates are in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Renewed {
    /// The hash of this node's certificate key from now on.
    pub identity: String,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What the node is busy with.
    pub phase: PhaseName,
    /// Bytes that are here and verified; in the phase `verifying` bytes that are read back.
    pub bytes_done: u64,
    /// Bytes of the content; 0 until the manifest is known.
    pub bytes_total: u64,
    /// Chunks that are here and verified.
    pub chunks_done: u32,
    /// Chunks of the content; 0 until the manifest is known.
    pub chunks_total: u32,
    /// Smoothed rate of what the phase is about: bytes that come, are read back, or (serving) go.
    pub bytes_per_second: u64,
    /// Milliseconds until the phase is over at that rate; absent while it cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_ms: Option<u64>,
    /// Neighbours connected now.
    pub peers: u32,
    /// Bytes of chunks that came from neighbours.
    pub received: u64,
    /// Bytes of chunks that were read from a source on this machine.
    pub copied: u64,
    /// Bytes of chunks that went to neighbours.
    pub uploaded: u64,
    /// Bytes of chunks that came, as they travelled.
    #[serde(default)]
    pub wire_received: u64,
    /// Bytes of chunks that went, as they travelled.
    #[serde(default)]
    pub wire_uploaded: u64,
}

/// Every byte is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Complete {
    /// The content id.
    pub content: String,
    /// The root of all digests: it stands for every byte.
    pub root: String,
    /// Regular files.
    pub files: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Bytes that were there before this run.
    pub bytes_kept: u64,
    /// Milliseconds since the start of the run.
    pub elapsed_ms: u64,
    /// Whether everything was read back and compared (`--verify-on-complete`).
    pub read_back: bool,
}

/// Something that the user should know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Warning {
    /// What, in a sentence.
    pub message: String,
    /// The file that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<EventPath>,
}

/// Why the run ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The exit code that follows.
    pub exit_code: u8,
    /// What went wrong and what helps, in a sentence.
    pub message: String,
}

/// The totals of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The exit code that follows.
    pub exit_code: u8,
    /// Milliseconds since the start of the run.
    pub elapsed_ms: u64,
    /// What was counted.
    #[serde(flatten)]
    pub counters: Counters,
    /// The totals of each source (`--statistics`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceTotals>,
}

/// What one source gave and took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceTotals {
    /// Its UDP address, or `local` for a path on this machine.
    pub name: String,
    /// Bytes of chunks that came from it.
    pub received: u64,
    /// Chunks that came from it.
    pub chunks_received: u64,
    /// Bytes of chunks that went to it.
    pub uploaded: u64,
    /// Chunks that went to it.
    pub chunks_uploaded: u64,
}

impl From<crate::node::SourceTotals> for SourceTotals {
    fn from(totals: crate::node::SourceTotals) -> Self {
        Self {
            name: totals.name,
            received: totals.received.0,
            chunks_received: totals.chunks_received,
            uploaded: totals.uploaded.0,
            chunks_uploaded: totals.chunks_uploaded,
        }
    }
}

impl Summary {
    /// The totals of a run that ends with `code` after `elapsed_ms` milliseconds.
    #[must_use]
    pub fn new(code: ExitCode, elapsed_ms: u64, totals: &Snapshot, sources: Vec<SourceTotals>) -> Self {
        Self { exit_code: code.number(), elapsed_ms, counters: totals.into(), sources }
    }
}

/// Writes events as lines.
pub struct EventWriter<W: Write> {
    /// `None` once nobody reads any more.
    out: Option<W>,
}

impl<W: Write> EventWriter<W> {
    /// A writer of lines to `out`.
    pub const fn new(out: W) -> Self {
        Self { out: Some(out) }
    }

    /// Writes one event with the time `ts`, in milliseconds since 1970. A reader that went away is no reason to end a
    /// transfer, so after the first failure nothing is written any more.
    pub fn write(&mut self, ts: u64, event: &Event) {
        let Some(out) = &mut self.out else { return };
        if write_line(out, ts, event).is_err() {
            self.out = None;
        }
    }
}

fn write_line(out: &mut impl Write, ts: u64, event: &Event) -> io::Result<()> {
    let mut line = serde_json::to_vec(&Line { v: SCHEMA, ts, event: event.clone() })?;
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}

#[cfg(test)]
mod tests;
