//! Whole frames on QUIC streams: the only place where `wire`'s bytes meet quinn.
//!
//! A frame's length is compared with the cap of its kind before a byte is allocated, and a frame that has begun has its time:
//! whoever sends half of one and then nothing loses his stream, not our patience.
//!
//! Invariant: a stream is read by one reader, from frame to frame, so that its position is always known.
//!
//! Not here: what frames mean, and chunk data, which follows a frame without being one.

use std::time::Duration;

use bytes::Bytes;
use quinn::{ReadExactError, RecvStream, SendStream, WriteError};

use crate::wire::{Frame, Head, WireError, encode};

/// A frame that has begun must be whole within this time (15 s: a 1 MiB page at 0.6 Mbit/s).
const FRAME_TIME_MAX: Duration = Duration::from_secs(15);
/// A receiver that takes not one byte for so long is given up (30 s: as long as a transfer waits for bytes; a disk that is busy for
/// longer than that fails its own job).
const STALL_MAX: Duration = Duration::from_secs(30);

/// A frame that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream ended where a frame could begin.
    #[error("the stream ended")]
    End,
    /// The stream broke, or ended inside a frame.
    #[error("the stream broke inside a message")]
    Broken(#[source] ReadExactError),
    /// It began and never became whole.
    #[error("a message took longer than {FRAME_TIME_MAX:?}")]
    Slow,
    /// It is no message of the kind that belongs here.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// Reads the next frame; waits for its first byte as long as it takes.
///
/// # Errors
/// [`FrameError`]; after any of them the stream is of no more use.
pub async fn read<F: Frame>(stream: &mut RecvStream) -> Result<F, FrameError> {
    let mut head = [0; Head::LEN];
    match stream.read_exact(&mut head[..1]).await {
        Ok(()) => {}
        Err(ReadExactError::FinishedEarly(_)) => return Err(FrameError::End),
        Err(broken) => return Err(FrameError::Broken(broken)),
    }
    let rest = async {
        stream.read_exact(&mut head[1..]).await.map_err(FrameError::Broken)?;
        let head = Head::parse::<F>(head)?;
        let mut body = vec![0; head.body_len()];
        stream.read_exact(&mut body).await.map_err(FrameError::Broken)?;
        Ok(head.decode(&body)?)
    };
    tokio::time::timeout(FRAME_TIME_MAX, rest).await.map_err(|_| FrameError::Slow)?
}

/// Gives data to a stream; false when the other side took nothing of it for half a minute.
///
/// # Errors
/// When the stream was stopped or the connection is gone.
pub async fn hand_over(stream: &mut SendStream, data: Bytes) -> Result<bool, WriteError> {
    let mut rest = [data];
    while !rest[0].is_empty() {
        match tokio::time::timeout(STALL_MAX, stream.write_chunks(&mut rest)).await {
            Ok(written) => drop(written?),
            Err(_) => return Ok(false),
        }
    }
    Ok(true)
}

/// Writes one frame.
///
/// # Errors
/// When the stream was stopped or its connection is lost.
pub async fn write<F: Frame + Sync>(stream: &mut SendStream, frame: &F) -> Result<(), WriteError> {
    stream.write_chunk(Bytes::from(encode(frame))).await
}

#[cfg(test)]
mod tests;
