//! The state of a node, as `/status` tells it.
//!
//! The counters have the names that they have in events, so that whoever knows one form knows the other; `docs/probes.md` documents every
//! field, and a test holds the two together.
//!
//! Invariant: fields are only ever added while [`SCHEMA`] stays the same; byte counts are integers.
//!
//! Not here: when a state is noted, and what of it is shown to people (`cli`).

use serde::{Deserialize, Serialize};

use super::Counters;
use crate::node::{Phase, Snapshot};

/// The version of the form, in every answer as `v`.
pub const SCHEMA: u32 = 1;

/// What a node is, and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`SCHEMA`].
    pub v: u32,
    /// The version of strew.
    pub version: String,
    /// The UDP address that it listens on; empty before it does.
    pub listen: String,
    /// The content id; absent until it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The root of all digests; absent until it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// What the node is busy with.
    pub phase: PhaseName,
    /// Whether every byte is there, verified, durable and under its final name.
    pub complete: bool,
    /// Milliseconds since the start of the run.
    pub elapsed_ms: u64,
    /// What was counted.
    #[serde(flatten)]
    pub counters: Counters,
    /// Chunks that are here and verified.
    pub chunks_done: u32,
    /// Chunks of the content; 0 until it is known.
    pub chunks_total: u32,
    /// Regular files of the content; 0 until it is known.
    pub files: u64,
    /// Smoothed rate of what the phase is about: bytes that come, are read back, or (serving) go.
    pub bytes_per_second: u64,
    /// Milliseconds until the phase is over at that rate; absent while it cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_ms: Option<u64>,
    /// Neighbours connected now.
    pub peers: u32,
}

/// What a node is busy with, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the variants are those of `Phase`, which documents them
pub enum PhaseName {
    Connecting,
    Manifest,
    Transferring,
    EndGame,
    Finishing,
    Verifying,
    Serving,
}

impl From<Phase> for PhaseName {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Connecting => Self::Connecting,
            Phase::Manifest => Self::Manifest,
            Phase::Transferring => Self::Transferring,
            Phase::EndGame => Self::EndGame,
            Phase::Finishing => Self::Finishing,
            Phase::Verifying => Self::Verifying,
            Phase::Serving => Self::Serving,
        }
    }
}

impl Status {
    /// The state of a node of which only these counters are known.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        Self {
            v: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listen: String::new(),
            content: None,
            root: None,
            phase: snapshot.phase.into(),
            complete: snapshot.is_complete(),
            elapsed_ms: 0,
            counters: snapshot.into(),
            chunks_done: snapshot.chunks_done,
            chunks_total: snapshot.chunks_total,
            files: snapshot.files_total,
            bytes_per_second: 0,
            eta_ms: None,
            peers: snapshot.peers,
        }
    }
}
