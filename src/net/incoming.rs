//! Incoming: the bytes of an answer, as they come and as this node may read them.
//!
//! Bytes of a chunk as it is and of a packed one come alike and are held to the same rules, whatever is made of them.
//!
//! Invariant: whoever holds memory of the budget keeps bringing bytes, or is cut off; for how long we do not read because of our own limit
//! is not counted against anybody.
//!
//! Not here: where the bytes belong (`fetch`, `assembly`).

use std::time::Duration;

use bytes::Bytes;
use quinn::{ReadExactError, RecvStream};
use tokio::time::{Instant, timeout, timeout_at};

use super::delivery::Delivery;
use super::fetch::{Budget, FetchError};
use super::frames;
use crate::wire::{StreamCode, Trailer};

/// The pace of an answer is looked at so often (30 s: longer than any pause of a path that is not lost).
const PACE_EVERY: Duration = Duration::from_secs(30);
/// Bytes that it must have brought meanwhile when others wait for the memory that it holds (64 KiB/s).
const PACE_LEN: usize = 30 * (64 << 10);
/// How long the trailer may be late when all bytes of the chunk are here (1 s: it is sent with the last of them, and a chunk needs no
/// more than its bytes to be verified).
const TRAILER_TIME_MAX: Duration = Duration::from_secs(1);

/// See the module's text.
pub(super) struct Incoming<'a> {
    recv: RecvStream,
    budget: &'a Budget,
    pace: Pace,
    /// When the first bytes came, and how many came after them.
    first: Option<Instant>,
    after: u64,
}

impl<'a> Incoming<'a> {
    /// An answer that begins now.
    pub(super) fn begin(recv: RecvStream, budget: &'a Budget) -> Self {
        Self { recv, budget, pace: Pace::begin(), first: None, after: 0 }
    }

    /// The next bytes, of `left` that are missing.
    pub(super) async fn next(&mut self, left: usize) -> Result<Bytes, FetchError> {
        let most = self.budget.gate().portion(left);
        loop {
            let Ok(came) = timeout_at(self.pace.look, self.recv.read_chunk(most, true)).await else {
                if !self.pace.is_kept(self.budget) {
                    return Err(self.too_slow());
                }
                continue;
            };
            // Whoever cannot go on resets the stream; one that ends early says that a part is the whole.
            let came = came.map_err(ReadExactError::ReadError)?.ok_or(FetchError::Mismatch)?;
            // For how long we do not read is not the sender's fault.
            self.pace.look += self.budget.gate().pass(came.bytes.len()).await;
            self.pace.brought += came.bytes.len();
            match self.first {
                None => self.first = Some(Instant::now()),
                Some(_) => self.after += came.bytes.len() as u64,
            }
            return Ok(came.bytes);
        }
    }

    /// Takes in how quickly the bytes came; all of them are here.
    pub(super) fn measure(&self, delivery: &Delivery) {
        if let Some(first) = self.first {
            delivery.note(self.after, first.elapsed());
        }
    }

    /// Reads what follows the bytes. A chunk that is whole needs it no more.
    pub(super) async fn trailer(&mut self, whole: bool) -> Result<Trailer, FetchError> {
        let patience = if whole { TRAILER_TIME_MAX } else { PACE_EVERY };
        match timeout(patience, frames::read(&mut self.recv)).await {
            Ok(trailer) => Ok(trailer?),
            Err(_) => Err(self.too_slow()),
        }
    }

    /// Gives up an answer and says why.
    fn too_slow(&mut self) -> FetchError {
        // Fails only on a stream that is over.
        let _ = self.recv.stop(StreamCode::TooSlow.code().into());
        FetchError::Slow
    }
}

/// Whether an answer brings enough for the memory that it holds.
struct Pace {
    look: Instant,
    brought: usize,
}

impl Pace {
    fn begin() -> Self {
        Self { look: Instant::now() + PACE_EVERY, brought: 0 }
    }

    /// Looks at what came since the last look.
    fn is_kept(&mut self, budget: &Budget) -> bool {
        let kept = self.brought >= PACE_LEN || self.brought > 0 && !budget.is_contested();
        *self = Self::begin();
        kept
    }
}
