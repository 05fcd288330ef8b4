//! The state of a node, as `/status` tells it.
//!
//! The counters have the names that they have in events, so that whoever knows one form knows the other; `docs/probes.md` documents every
//! field, and a test holds the two together.
//!
//! Invariant: fields are only ever added while [`SCHEMA`] stays the same; byte counts are integers.
//!
//! Not here: when a state is noted, and what of it is shown to people (`cli`).

use serde::{Deserialize, Serialize};

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
    /// Bytes that are here and verified.
    pub bytes_done: u64,
    /// Bytes of the content; 0 until it is known.
    pub bytes_total: u64,
    /// Bytes that were here before this run.
    pub bytes_kept: u64,
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
    /// Neighbours that were connected at any time.
    pub peers_seen: u32,
    /// Bytes of chunks that came from neighbours.
    pub received: u64,
    /// Bytes that came in vain.
    pub repeated: u64,
    /// Bytes of chunks that were read from a source on this machine.
    pub copied: u64,
    /// Bytes of chunks that went to neighbours.
    pub uploaded: u64,
    /// Bytes of chunks that came, as they travelled.
    pub wire_received: u64,
    /// Bytes of chunks that went, as they travelled.
    pub wire_uploaded: u64,
    /// Chunks that went to neighbours.
    pub chunks_uploaded: u64,
    /// Chunks that were thrown away because they did not match their signed digest.
    pub chunks_bad: u64,
    /// How many times a publisher sent the whole content; absent for everybody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher_copies: Option<f64>,
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
            bytes_done: snapshot.bytes_done.0,
            bytes_total: snapshot.bytes_total.0,
            bytes_kept: snapshot.bytes_kept.0,
            chunks_done: snapshot.chunks_done,
            chunks_total: snapshot.chunks_total,
            files: snapshot.files_total,
            bytes_per_second: 0,
            eta_ms: None,
            peers: snapshot.peers,
            peers_seen: snapshot.peers_seen,
            received: snapshot.received.0,
            repeated: snapshot.repeated.0,
            copied: snapshot.copied.0,
            uploaded: snapshot.uploaded.0,
            wire_received: snapshot.wire_received.0,
            wire_uploaded: snapshot.wire_uploaded.0,
            chunks_uploaded: snapshot.chunks_uploaded,
            chunks_bad: snapshot.chunks_bad,
            publisher_copies: snapshot.publisher_copies(),
        }
    }
}
