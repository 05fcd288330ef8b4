//! What a node looks like at one moment, for whoever shows it.
//!
//! One plain struct of counters and no callbacks: whoever shows it (a progress line, an event stream, a summary) asks at its
//! own pace, and showing can never slow the transfer down.
//!
//! Invariant: counters only grow within a run, except `peers` and what a lost chunk takes back from `chunks_done` and
//! `bytes_done`.
//!
//! Not here: rates, percentages and times; they need a clock and a second snapshot, and belong to the reader.

use crate::units::Bytes;

/// What the node is busy with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// No neighbour yet.
    #[default]
    Connecting,
    /// Connected, and waiting for the manifest (a publisher: walking its source).
    Manifest,
    /// Chunks are on their way.
    Transferring,
    /// Every missing chunk is asked for already.
    EndGame,
    /// Every chunk is verified; the last files get their final names.
    Finishing,
    /// Everything is read back and compared.
    Verifying,
    /// Complete, and there for others.
    Serving,
}

/// The counters of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// What the node is busy with.
    pub phase: Phase,
    /// Bytes of the content; zero until the manifest is known.
    pub bytes_total: Bytes,
    /// Bytes of the content that are here and verified, those of an earlier run included.
    pub bytes_done: Bytes,
    /// Bytes of the content that were here before this run and did not have to be fetched.
    pub bytes_kept: Bytes,
    /// Bytes that were read back and compared; only grows in [`Phase::Verifying`].
    pub bytes_read_back: Bytes,
    /// Chunks of the content; zero until the manifest is known.
    pub chunks_total: u32,
    /// Chunks that are here and verified.
    pub chunks_done: u32,
    /// Regular files of the content; zero until the manifest is known.
    pub files_total: u64,
    /// Bytes of chunks that came from neighbours, those thrown away included.
    pub received: Bytes,
    /// Bytes that arrived of chunks, unfinished ones included.
    pub arrived: Bytes,
    /// Bytes that came in vain, because another neighbour had brought them already.
    pub repeated: Bytes,
    /// Bytes of chunks that were read from a source on this machine.
    pub copied: Bytes,
    /// Bytes of chunks that went to neighbours; for a publisher, divided by `bytes_total`, the copies that it had to send.
    pub uploaded: Bytes,
    /// Bytes of chunks that were read from neighbours, as they travelled: compressed or not, those in vain and of unfinished chunks
    /// included.
    pub wire_received: Bytes,
    /// Bytes of chunks that were handed over for neighbours, as they travel.
    pub wire_uploaded: Bytes,
    /// Chunks that went to neighbours whole.
    pub chunks_uploaded: u64,
    /// Chunks that were thrown away because they did not match their signed digest.
    pub chunks_bad: u64,
    /// Neighbours connected now.
    pub peers: u32,
    /// Neighbours that were connected at any time in this run.
    pub peers_seen: u32,
    /// Whether this node publishes the content.
    pub publisher: bool,
}

impl Snapshot {
    /// How many times a publisher sent the whole content; `None` for everybody else and before anything is known.
    #[must_use]
    pub fn publisher_copies(&self) -> Option<f64> {
        #[allow(clippy::cast_precision_loss)] // two digits are shown
        let [sent, total] = [self.uploaded.0 as f64, self.bytes_total.0 as f64];
        (self.publisher && self.bytes_total.0 > 0).then(|| sent / total)
    }

    /// Whether every byte of a known content is here.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        matches!(self.phase, Phase::Serving)
    }
}
