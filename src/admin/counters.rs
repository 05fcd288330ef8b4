//! Counters: what a node counted, as a summary and its state both tell it.
//!
//! Invariant: they are the node's own numbers, in bytes unless a name says otherwise.
//!
//! Not here: what only one of the two tells, and rates.

use serde::{Deserialize, Serialize};

use crate::node::Snapshot;

/// See the module's text. In JSON they stand among the other fields of whoever tells them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Bytes that are here and verified.
    pub bytes_done: u64,
    /// Bytes of the content; 0 until it is known.
    pub bytes_total: u64,
    /// Bytes that were here before this run.
    pub bytes_kept: u64,
    /// Bytes of chunks that came from neighbours.
    pub received: u64,
    /// Bytes that came in vain, because another neighbour had brought them already.
    pub repeated: u64,
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
    /// Chunks that went to neighbours.
    pub chunks_uploaded: u64,
    /// Chunks that were thrown away because they did not match their signed digest.
    pub chunks_bad: u64,
    /// Neighbours that were connected at any time.
    pub peers_seen: u32,
    /// How many times a publisher sent the whole content; absent for everybody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher_copies: Option<f64>,
}

impl From<&Snapshot> for Counters {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            bytes_done: snapshot.bytes_done.0,
            bytes_total: snapshot.bytes_total.0,
            bytes_kept: snapshot.bytes_kept.0,
            received: snapshot.received.0,
            repeated: snapshot.repeated.0,
            copied: snapshot.copied.0,
            uploaded: snapshot.uploaded.0,
            wire_received: snapshot.wire_received.0,
            wire_uploaded: snapshot.wire_uploaded.0,
            chunks_uploaded: snapshot.chunks_uploaded,
            chunks_bad: snapshot.chunks_bad,
            peers_seen: snapshot.peers_seen,
            publisher_copies: snapshot.publisher_copies(),
        }
    }
}
