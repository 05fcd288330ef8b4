//! Fetch: one request for one chunk on a stream of its own.
//!
//! Nothing of an answer is believed but its length, which must be that of the chunk. The bytes stay in memory until the node has
//! compared them with a signed digest; how many bytes may be in memory at once is a semaphore that all fetches share.
//!
//! Not here: retries, deadlines (the swarm hedges), digests.

use std::sync::Arc;

use quinn::{Connection, ReadExactError, RecvStream, WriteError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::frames::{self, FrameError};
use crate::chunk::{ChunkId, Layout};
use crate::manifest::SignedBatch;
use crate::wire::{Answer, Encoding, Open, Request, Trailer};

/// The unit of the memory budget: a permit stands for so many bytes.
pub const BUDGET_UNIT: u64 = 1024;

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
}

impl Budget {
    /// A budget of `bytes` bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let total = permits(bytes, 1 << 28);
        Self { semaphore: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits until `bytes` bytes are free; more than the whole budget counts as the whole.
    async fn acquire(&self, bytes: u64) -> OwnedSemaphorePermit {
        let permits = permits(bytes, self.total);
        let acquired = Arc::clone(&self.semaphore).acquire_many_owned(permits).await;
        acquired.expect("the semaphore is never closed")
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
        Encoding::Raw if u64::from(length) == len => read_data(&mut recv, length).await?,
        Encoding::Zero if length == 0 => vec![0; usize::try_from(len).map_err(|_| FetchError::Mismatch)?],
        _ => return Err(FetchError::Mismatch),
    };
    let trailer: Trailer = frames::read(&mut recv).await?;
    Ok(Fetched { chunk, data, proof: trailer.proof, waiting: trailer.waiting, permit })
}

/// Reads `length` bytes into memory that the budget has set aside.
async fn read_data(recv: &mut RecvStream, length: u32) -> Result<Vec<u8>, FetchError> {
    let length = length as usize;
    let mut data = Vec::with_capacity(length);
    while data.len() < length {
        let came = recv.read_chunk(length - data.len(), true).await.map_err(ReadExactError::ReadError)?;
        let came = came.ok_or(ReadExactError::FinishedEarly(data.len()))?;
        data.extend_from_slice(&came.bytes);
    }
    Ok(data)
}
