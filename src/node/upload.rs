//! Upload: answering one request with one chunk, or with parts of it in the order in which they were asked for.
//!
//! The chunk is read in segments on the disk pool and given to the stream as it is read, so that an upload needs a megabyte of memory
//! whatever the size of a chunk. A publisher hashes what it reads on the way and signs the digest into the trailer, which is how
//! the first byte can leave before anything was hashed.
//!
//! Invariant: a trailer is sent only after every byte of the chunk; whoever stops in the middle sees a broken stream, never a short chunk.
//!
//! Not here: whom to serve and with what (the swarm).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, SendStream, VarInt};

use super::content::Tree;
use super::forms::Forms;
use super::publish::hash_range;
use crate::chunk::{ChunkId, Layout};
use crate::manifest::{ContentId, DatasetKey, Digest, DigestKind, Hasher, SignedBatch};
use crate::net::{Gate, frames};
use crate::store::{Pool, StoreError};
use crate::wire::{Accepts, Answer, Encoding, Ranges, StreamCode, Trailer};

/// Bytes that are read, hashed and handed over at once (256 KiB: reading and hashing are at full speed, and what is handed over counts
/// against the send window until all of it is acknowledged).
pub(super) const SEGMENT: u64 = 256 << 10;
/// The least a connection may have buffered for sending, whatever its congestion window (512 KiB: two segments).
const SEND_WINDOW_MIN: u64 = 512 << 10;
/// The most on a short path, where the congestion window of a lossless link grows without meaning anything (2 MiB: 10 Gbit/s at 1.6 ms).
const SEND_WINDOW_NEAR: u64 = 2 << 20;
/// The most on a long path (16 MiB: 1 Gbit/s at 128 ms; sixteen such neighbours fill the budget of 256 MiB).
const SEND_WINDOW_FAR: u64 = 16 << 20;
/// From this round-trip time on a path is long.
const FAR: Duration = Duration::from_millis(5);

/// One answer to give.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) connection: Connection,
    pub(super) send: SendStream,
    pub(super) tree: Tree,
    pub(super) pool: Pool,
    /// Where all bytes of chunks pass that leave this node.
    pub(super) gate: Gate,
    pub(super) layout: Layout,
    pub(super) content: ContentId,
    pub(super) digest_kind: DigestKind,
    pub(super) chunk: ChunkId,
    /// The parts of it that are wanted; within the chunk.
    pub(super) ranges: Ranges,
    pub(super) waiting: u32,
    /// A publisher's key; it signs what the neighbour has no proof of.
    pub(super) key: Option<Arc<DatasetKey>>,
    /// Whether the neighbour has the chunk's proof already.
    pub(super) told: bool,
    /// The chunk's bytes, where they are in memory still.
    pub(super) recent: Option<Bytes>,
    /// Whether the chunk is all zeros, as its signed digest says.
    pub(super) zeros: bool,
    /// How the neighbour takes it.
    pub(super) accepts: Accepts,
    pub(super) forms: Forms,
}

/// Why an upload did not end well.
#[derive(Debug)]
pub(super) enum UploadError {
    /// The other side stopped it, or its connection is gone.
    Stopped,
    /// Our own disk.
    Store(StoreError),
}

impl From<quinn::WriteError> for UploadError {
    fn from(_: quinn::WriteError) -> Self {
        Self::Stopped
    }
}

impl Upload {
    /// Bytes to send.
    pub(super) fn bytes(&self) -> u64 {
        let len = self.layout.len(self.chunk);
        self.ranges.bytes_of(len).expect("ranges were compared with the chunk when they came")
    }

    /// Sends the chunk; returns its digest when all of it was hashed on the way, and the stream, whose acknowledgement is still to come.
    pub(super) async fn run(mut self) -> Result<(Option<Digest>, SendStream), UploadError> {
        // What is buffered beyond what is on the way would only wait here, out of the swarm's order. On a long path acknowledged bytes
        // behind a lost packet stay in the buffer for a round trip or two, and must not keep others from leaving.
        let path = self.connection.stats().path;
        let (buffered, most) = if path.rtt < FAR {
            (path.cwnd + path.cwnd / 4, SEND_WINDOW_NEAR)
        } else {
            (3 * path.cwnd, SEND_WINDOW_FAR)
        };
        self.connection.set_send_window(buffered.clamp(SEND_WINDOW_MIN, most));
        if self.zeros && self.told {
            return self.send_zeros().await;
        }
        let form = self.form().await;
        if form.is_err() {
            self.fail();
        }
        if let Some((form, digest)) = form? {
            return self.send_form(form, digest).await;
        }
        let length = u32::try_from(self.bytes()).expect("a chunk has at most 128 MiB");
        let (chunk, ranges) = (self.chunk.index(), self.ranges.clone());
        frames::write(&mut self.send, &Answer::Data { chunk, ranges, encoding: Encoding::Raw, length }).await?;
        let sent = self.send_data().await;
        if matches!(sent, Err(UploadError::Store(_))) {
            self.fail();
        }
        let digest = sent?;
        self.finish(digest, digest).await
    }

    /// The neighbour must not take a chunk cut short for one that is over; the stream may be gone already.
    fn fail(&mut self) {
        let _ = self.send.reset(VarInt::from_u32(StreamCode::Failed.code()));
    }

    /// Ends an answer of which all bytes were handed over: `proven` is what a publisher proves of the chunk to who has no proof, and `read` is
    /// its digest if it was read just now.
    pub(super) async fn finish(
        mut self,
        proven: Option<Digest>,
        read: Option<Digest>,
    ) -> Result<(Option<Digest>, SendStream), UploadError> {
        let proof = match (&self.key, proven) {
            (Some(key), Some(digest)) if !self.told => {
                Some(SignedBatch::sign(key, self.content, &[(self.chunk, digest)]))
            }
            _ => None,
        };
        frames::write(&mut self.send, &Trailer { proof, waiting: self.waiting }).await?;
        // Fails only on a stream that was stopped; the caller sees that when it waits for the acknowledgement.
        let _ = self.send.finish();
        Ok((read, self.send))
    }

    /// Sends the bytes; returns the chunk's digest if a publisher came to know it on the way.
    async fn send_data(&mut self) -> Result<Option<Digest>, UploadError> {
        let whole = self.ranges.is_whole();
        let mut hasher = (self.key.is_some() && whole).then(|| self.digest_kind.hasher());
        for range in self.offsets() {
            let mut offset = range.start;
            while offset < range.end {
                let len = (range.end - offset).min(SEGMENT);
                let (data, hashed) = self.read(offset, len, hasher).await.map_err(UploadError::Store)?;
                hasher = hashed;
                self.hand_over(data).await?;
                offset += len;
            }
        }
        if self.key.is_some() && !whole && !self.told {
            // Parts make no digest, and whoever puts them together cannot wait until the background comes by.
            let (tree, kind, range) = (self.tree.clone(), self.digest_kind, self.layout.range(self.chunk));
            let job = move || hash_range(kind, |offset, buffer| tree.read_at(offset, buffer), range);
            return Ok(Some(self.pool.run(job).await.map_err(UploadError::Store)?));
        }
        Ok(hasher.map(Hasher::finish))
    }

    /// Gives bytes to the stream, as quickly as this node may send.
    pub(super) async fn hand_over(&mut self, mut data: Bytes) -> Result<(), UploadError> {
        while !data.is_empty() {
            let portion = data.split_to(self.gate.portion(data.len()));
            self.gate.pass(portion.len()).await;
            if !frames::hand_over(&mut self.send, portion).await? {
                // What waits for a receiver that takes nothing is memory that others could use.
                let _ = self.send.reset(VarInt::from_u32(StreamCode::TooSlow.code()));
                return Err(UploadError::Stopped);
            }
        }
        Ok(())
    }

    /// Where the bytes to send lie in the content, in the order in which they go.
    fn offsets(&self) -> Vec<Range<u64>> {
        let chunk = self.layout.range(self.chunk);
        if self.ranges.is_whole() {
            return vec![chunk];
        }
        self.ranges.iter().map(|part| chunk.start + u64::from(part.start)..chunk.start + u64::from(part.end)).collect()
    }

    /// Reads and hashes one segment on the pool, unless it is at hand.
    async fn read(&self, offset: u64, len: u64, hasher: Option<Hasher>) -> Result<(Bytes, Option<Hasher>), StoreError> {
        let len = usize::try_from(len).expect("a segment fits memory");
        if let (Some(chunk), None) = (&self.recent, &hasher) {
            let start = usize::try_from(offset - self.layout.range(self.chunk).start).expect("a chunk fits memory");
            return Ok((chunk.slice(start..start + len), None));
        }
        let tree = self.tree.clone();
        let job = move || {
            let mut data = vec![0; len];
            tree.read_at(offset, &mut data)?;
            let hasher = hasher.map(|mut hasher| {
                hasher.update(&data);
                hasher
            });
            Ok((Bytes::from(data), hasher))
        };
        self.pool.run(job).await
    }
}
