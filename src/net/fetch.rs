//! Fetch: one request for one chunk on a stream of its own.
//!
//! Nothing of an answer is believed but its length, which must be that of what was asked for. The bytes go to the chunk's assembly and stay
//! in memory until the node has compared them with a signed digest; how many bytes may be in memory at once is a semaphore that all
//! fetches share.
//!
//! Invariant: a packed chunk is only taken where one was asked for, whole, and shorter than what it unpacks to; it is in memory no longer
//! than its share of the budget.
//!
//! Not here: unpacking, which is the node's pool's, retries, waiting for an answer that does not begin (the swarm hedges), whom else the chunk comes from (`assembly`), digests.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use quinn::{Connection, ReadExactError, WriteError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::assembly::{Assembly, Placed, Streaming, Whole};
use super::delivery::Delivery;
use super::frames::{self, FrameError};
use super::gate::Gate;
use super::incoming::Incoming;
use crate::chunk::{ChunkId, Layout};
use crate::manifest::SignedBatch;
use crate::swarm::SourceId;
use crate::wire::{Accepts, Answer, Encoding, Open, Ranges, Request};

/// The unit of the memory budget: a permit stands for so many bytes.
pub const BUDGET_UNIT: u64 = 1024;
/// Zeros that are put in place at a time.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Why a request ended without a chunk.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No stream could be opened.
    #[error("the connection is gone")]
    Connection(#[from] quinn::ConnectionError),
    /// The request could not be written.
    #[error("the request could not be sent")]
    Request(#[from] WriteError),
    /// The answer's frames are broken.
    #[error("the answer broke off")]
    Frame(#[from] FrameError),
    /// The neighbour does not serve this chunk now.
    #[error("the neighbour refused")]
    Rejected,
    /// We gave it up ourselves.
    #[error("cancelled")]
    Cancelled,
    /// The answer does not fit the content or the question.
    #[error("the answer is not what was asked for")]
    Mismatch,
    /// The data ended early.
    #[error("the data broke off")]
    Data(#[from] ReadExactError),
    /// The data stood still, or came too slowly for the memory that it held.
    #[error("the data came too slowly")]
    Slow,
}

/// The end of an answer.
#[derive(Debug)]
pub struct Fetched {
    /// A signed batch that vouches for the chunk, as it came.
    pub proof: Option<SignedBatch>,
    /// Requests that wait in the sender's queue.
    pub waiting: u32,
}

impl FetchError {
    /// Whether the other side broke the protocol, and did not only fail.
    #[must_use]
    pub const fn is_violation(&self) -> bool {
        matches!(self, Self::Mismatch | Self::Frame(FrameError::Wire(_)))
    }
}

/// Permits of the memory budget for `bytes` bytes, at most the whole budget of `total` permits.
fn permits(bytes: u64, total: u32) -> u32 {
    u32::try_from(bytes.div_ceil(BUDGET_UNIT)).unwrap_or(u32::MAX).clamp(1, total)
}

/// What all fetches of a node share.
#[derive(Clone, Debug)]
pub struct Budget {
    semaphore: Arc<Semaphore>,
    total: u32,
    /// Fetches that wait for memory.
    waiting: Arc<AtomicUsize>,
    /// Bytes that came, over all fetches.
    arrived: Arc<AtomicU64>,
    /// Those among them that had come before.
    repeated: Arc<AtomicU64>,
    /// Where they pass.
    gate: Gate,
}

/// A fetch that waits for memory is counted as long as this lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Budget {
    /// A budget of `bytes` bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let total = permits(bytes, 1 << 28);
        Self {
            semaphore: Arc::new(Semaphore::new(total as usize)),
            total,
            waiting: Arc::default(),
            arrived: Arc::default(),
            repeated: Arc::default(),
            gate: Gate::new(None),
        }
    }

    /// The same, where all bytes pass this gate.
    #[must_use]
    pub fn behind(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    /// Where bytes pass that are read.
    pub(super) const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Bytes of chunks that were read from streams so far, as they travelled.
    #[must_use]
    pub fn travelled(&self) -> u64 {
        self.gate.passed()
    }

    /// Bytes of chunks that came so far, verified or not: as long as they grow, something is going on.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }

    /// Bytes that came in vain, because another source had brought them already.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// Waits until `bytes` bytes are free; more than the whole budget counts as the whole.
    pub async fn acquire(&self, bytes: u64) -> OwnedSemaphorePermit {
        let _waiting = Waiting::begin(&self.waiting);
        let permits = permits(bytes, self.total);
        let acquired = Arc::clone(&self.semaphore).acquire_many_owned(permits).await;
        acquired.expect("the semaphore is never closed")
    }

    /// Whether somebody waits for memory.
    #[must_use]
    pub fn is_contested(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Bytes that nobody holds.
    #[cfg(test)]
    pub(super) fn free(&self) -> u64 {
        self.semaphore.available_permits() as u64 * BUDGET_UNIT
    }
}

/// One request.
#[derive(Debug)]
pub struct Fetch<'a> {
    /// The connection to the source.
    pub connection: &'a Connection,
    /// Whose answer it is.
    pub source: SourceId,
    /// What is asked.
    pub request: Request,
    /// How the content is cut.
    pub layout: Layout,
    /// The memory for what comes.
    pub budget: &'a Budget,
    /// Learns how quickly it comes.
    pub delivery: &'a Delivery,
}

impl Fetch<'_> {
    /// Asks, and reads the answer into the assembly that `arriving` names as soon as it is known which chunk comes. `whole` gets the
    /// chunk as soon as an answer of this request brought the last byte of it, however the answer ends after that.
    ///
    /// # Errors
    /// [`FetchError`]; what came until then stays in the assembly. Dropping the future cancels the request on the wire.
    pub async fn run(
        self,
        arriving: impl FnOnce(ChunkId) -> Arc<Assembly>,
        whole: &mut Option<Whole>,
    ) -> Result<Fetched, FetchError> {
        let Self { connection, source, request, layout, budget, delivery } = self;
        let (asked, wanted, exact, accepts) = (request.chunk, request.ranges.clone(), request.exact, request.accepts);
        let (mut send, mut recv) = connection.open_bi().await?;
        frames::write(&mut send, &Open::Chunk(request)).await?;
        // The stream may have been answered and closed already; the answer tells.
        let _ = send.finish();
        let Answer::Data { chunk, ranges, encoding, length } = frames::read::<Answer>(&mut recv).await? else {
            return Err(FetchError::Rejected);
        };
        let chunk = layout.chunk(chunk).filter(|chunk| !exact || chunk.index() == asked);
        let chunk = chunk.filter(|_| ranges == wanted).ok_or(FetchError::Mismatch)?;
        let bytes = wanted.bytes_of(layout.len(chunk)).ok_or(FetchError::Mismatch)?;
        if !length_fits(encoding, length, bytes, accepts) {
            return Err(FetchError::Mismatch);
        }
        let assembly = arriving(chunk);
        let mut answer = if encoding == Encoding::Zstd {
            // What is packed and what it unpacks to are in memory together for a moment.
            let permit = budget.acquire(bytes + u64::from(length)).await;
            let mut incoming = Incoming::begin(recv, budget);
            let frame = read_packed(&mut incoming, length, assembly.len(), budget).await?;
            *whole = assembly.replace_with(source, frame, permit);
            incoming
        } else {
            let streaming = assembly.admit(budget).await;
            let mut reading =
                Reading { incoming: Incoming::begin(recv, budget), source, streaming, budget, whole: &mut *whole };
            reading.read_data(&parts(&wanted, assembly.len()), encoding).await?;
            reading.incoming
        };
        answer.measure(delivery);
        let trailer = answer.trailer(whole.is_some()).await?;
        Ok(Fetched { proof: trailer.proof, waiting: trailer.waiting })
    }
}

/// Whether an answer of `length` bytes on the wire can bring `bytes` bytes in this way.
fn length_fits(encoding: Encoding, length: u32, bytes: u64, accepts: Accepts) -> bool {
    match encoding {
        Encoding::Raw => u64::from(length) == bytes,
        Encoding::Zero => length == 0,
        // Ranges are never asked for packed, and nobody packs for more bytes.
        Encoding::Zstd => accepts != Accepts::Raw && u64::from(length) < bytes,
    }
}

/// Reads the frame of a packed chunk that will be `len` bytes long.
async fn read_packed(
    incoming: &mut Incoming<'_>,
    length: u32,
    len: u32,
    budget: &Budget,
) -> Result<Vec<u8>, FetchError> {
    let length = length as usize;
    let mut frame = Vec::with_capacity(length);
    let unpacked = |read: usize| u64::from(len) * read as u64 / length as u64;
    while frame.len() < length {
        let came = incoming.next(length - frame.len()).await?;
        let before = unpacked(frame.len());
        frame.extend_from_slice(&came);
        budget.arrived.fetch_add(unpacked(frame.len()) - before, Ordering::Relaxed);
    }
    Ok(frame)
}

/// The parts that are meant, in the order in which they travel.
fn parts(ranges: &Ranges, len: u32) -> Vec<Range<u32>> {
    if ranges.is_whole() { std::iter::once(0..len).collect() } else { ranges.iter().collect() }
}

/// An answer whose bytes are coming.
struct Reading<'a, 'w> {
    incoming: Incoming<'a>,
    source: SourceId,
    streaming: Streaming<'a>,
    budget: &'a Budget,
    whole: &'w mut Option<Whole>,
}

impl Reading<'_, '_> {
    async fn read_data(&mut self, parts: &[Range<u32>], encoding: Encoding) -> Result<(), FetchError> {
        for part in parts {
            let mut at = part.start;
            while at < part.end {
                let left = (part.end - at) as usize;
                if encoding == Encoding::Zero {
                    at += self.put(at, &ZEROS[..left.min(ZEROS.len())]);
                    continue;
                }
                let came = self.incoming.next(left).await?;
                self.budget.arrived.fetch_add(came.len() as u64, Ordering::Relaxed);
                at += self.put(at, &came);
            }
        }
        Ok(())
    }

    /// Puts bytes where they belong; returns their number.
    fn put(&mut self, at: u32, bytes: &[u8]) -> u32 {
        let (placed, repeated) = self.streaming.put(self.source, at, bytes);
        self.budget.repeated.fetch_add(repeated, Ordering::Relaxed);
        if let Placed::Last(whole) = placed {
            *self.whole = Some(whole);
        }
        u32::try_from(bytes.len()).expect("no more than a chunk")
    }
}

#[cfg(test)]
mod tests;
