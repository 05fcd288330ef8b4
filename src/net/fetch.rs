//! Fetch: one request for one chunk on a stream of its own.
//!
//! Nothing of an answer is believed but its length, which must be that of the chunk. The bytes stay in memory until the node has
//! compared them with a signed digest; how many bytes may be in memory at once is a semaphore that all fetches share.
//!
//! Invariant: whoever holds memory of the budget keeps bringing bytes, or is cut off. A slow line is no fault as long as
//! nobody waits for the memory; a silent one is.
//!
//! Not here: retries, waiting for an answer that does not begin (the swarm hedges), digests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use quinn::{Connection, ReadExactError, RecvStream, WriteError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::frames::{self, FrameError};
use crate::chunk::{ChunkId, Layout};
use crate::manifest::SignedBatch;
use crate::wire::{Answer, Encoding, Open, Request, StreamCode, Trailer};

/// The unit of the memory budget: a permit stands for so many bytes.
pub const BUDGET_UNIT: u64 = 1024;
/// The pace of an answer is looked at so often (30 s: longer than any pause of a path that is not lost).
const PACE_EVERY: Duration = Duration::from_secs(30);
/// Bytes that it must have brought meanwhile when others wait for the memory that it holds (64 KiB/s).
const PACE_LEN: usize = 30 * (64 << 10);

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
    /// The answer does not fit the content.
    #[error("the answer is not a chunk of this content")]
    Mismatch,
    /// The data ended early.
    #[error("the data broke off")]
    Data(#[from] ReadExactError),
    /// The data stood still, or came too slowly for the memory that it held.
    #[error("the data came too slowly")]
    Slow,
}

/// A chunk as it came: not verified.
#[derive(Debug)]
pub struct Fetched {
    /// Which chunk.
    pub chunk: ChunkId,
    /// Its bytes.
    pub data: Vec<u8>,
    /// A signed batch that vouches for it, as it came.
    pub proof: Option<SignedBatch>,
    /// Requests that wait in the sender's queue.
    pub waiting: u32,
    /// The share of the memory budget that `data` takes.
    pub permit: OwnedSemaphorePermit,
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
        }
    }

    /// Bytes of chunks that came so far, verified or not: as long as they grow, something is going on.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }

    /// Waits until `bytes` bytes are free; more than the whole budget counts as the whole.
    pub async fn acquire(&self, bytes: u64) -> OwnedSemaphorePermit {
        let _waiting = Waiting::begin(&self.waiting);
        let permits = permits(bytes, self.total);
        let acquired = Arc::clone(&self.semaphore).acquire_many_owned(permits).await;
        acquired.expect("the semaphore is never closed")
    }

    fn is_contested(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// Asks for `chunk` and reads the answer; `arriving` hears which chunk comes as soon as that is known.
///
/// # Errors
/// [`FetchError`]. Dropping the future cancels the request on the wire.
pub async fn fetch(
    connection: &Connection,
    request: Request,
    layout: Layout,
    budget: &Budget,
    arriving: impl FnOnce(ChunkId),
) -> Result<Fetched, FetchError> {
    let (mut send, mut recv) = connection.open_bi().await?;
    frames::write(&mut send, &Open::Chunk(request)).await?;
    // The stream may have been answered and closed already; the answer tells.
    let _ = send.finish();
    let Answer::Data { chunk, ranges, encoding, length } = frames::read::<Answer>(&mut recv).await? else {
        return Err(FetchError::Rejected);
    };
    let chunk = layout.chunk(chunk).ok_or(FetchError::Mismatch)?;
    if !ranges.is_whole() {
        return Err(FetchError::Mismatch);
    }
    arriving(chunk);
    let len = layout.len(chunk);
    let permit = budget.acquire(len).await;
    let data = match encoding {
        Encoding::Raw if u64::from(length) == len => read_data(&mut recv, length, budget).await?,
        Encoding::Zero if length == 0 => vec![0; usize::try_from(len).map_err(|_| FetchError::Mismatch)?],
        _ => return Err(FetchError::Mismatch),
    };
    let trailer: Trailer = timeout(PACE_EVERY, frames::read(&mut recv)).await.map_err(|_| too_slow(&mut recv))??;
    Ok(Fetched { chunk, data, proof: trailer.proof, waiting: trailer.waiting, permit })
}

/// Reads `length` bytes into memory that the budget has set aside.
async fn read_data(recv: &mut RecvStream, length: u32, budget: &Budget) -> Result<Vec<u8>, FetchError> {
    let length = length as usize;
    let mut data = Vec::with_capacity(length);
    let (mut look, mut seen) = (Instant::now() + PACE_EVERY, 0);
    while data.len() < length {
        let Ok(came) = timeout_at(look, recv.read_chunk(length - data.len(), true)).await else {
            let brought = data.len() - seen;
            if brought == 0 || brought < PACE_LEN && budget.is_contested() {
                return Err(too_slow(recv));
            }
            (look, seen) = (Instant::now() + PACE_EVERY, data.len());
            continue;
        };
        let came = came.map_err(ReadExactError::ReadError)?.ok_or(ReadExactError::FinishedEarly(data.len()))?;
        budget.arrived.fetch_add(came.bytes.len() as u64, Ordering::Relaxed);
        data.extend_from_slice(&came.bytes);
    }
    Ok(data)
}

/// Gives up an answer and says why.
fn too_slow(recv: &mut RecvStream) -> FetchError {
    // Fails only on a stream that is over.
    let _ = recv.stop(StreamCode::TooSlow.code().into());
    FetchError::Slow
}

#[cfg(test)]
mod tests;
