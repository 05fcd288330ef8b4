//! The manifest on its way: header and pages, each on a stream of its own.
//!
//! Not on the control stream, where a large manifest would delay the news; not all at once either, so that a page can be checked
//! and, if it is wrong, blamed on its sender as soon as it is here.
//!
//! Invariant: what is returned matches the content id that was asked for.
//!
//! Not here: whether the content is endorsed (`node`).

use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, ReadExactError, SendStream, WriteError};
use tokio::task::JoinSet;

use super::frames::{self, FrameError};
use crate::manifest::{Assembly, ContentId, Manifest, ManifestError};
use crate::wire::{Answer, Open, Refusal};

/// Pages asked for at once: four of up to 1 MiB keep a long path busy without holding much memory.
const PAGES_AT_ONCE: usize = 4;

/// A header must be here within this time (15 s, as any frame).
const HEADER_TIME_MAX: Duration = Duration::from_secs(15);
/// A page must be here within this time (60 s: four of 1 MiB at once at 0.6 Mbit/s).
const PAGE_TIME_MAX: Duration = Duration::from_secs(60);

/// A manifest that could not be had from a neighbour.
#[derive(Debug, thiserror::Error)]
pub enum ObtainError {
    /// The connection ended.
    #[error("the connection is gone")]
    Connection(#[from] quinn::ConnectionError),
    /// The request could not be written.
    #[error("the request could not be sent")]
    Request(#[from] WriteError),
    /// The answer's frames are broken.
    #[error("the answer broke off")]
    Frame(#[from] FrameError),
    /// The data ended early.
    #[error("the data broke off")]
    Data(#[from] ReadExactError),
    /// It did not come in time; the neighbour may have stalled on purpose.
    #[error("the manifest did not come in time")]
    Slow,
    /// The neighbour does not have it.
    #[error("the neighbour refused")]
    Rejected,
    /// What came is not what its name says.
    #[error("the manifest is wrong")]
    Manifest(#[from] ManifestError),
}

/// Fetches the manifest of `content` from one neighbour.
///
/// # Errors
/// [`ObtainError`]; another neighbour may do better, unless it is the manifest itself that is impossible.
pub async fn obtain(connection: &Connection, content: ContentId) -> Result<Manifest, ObtainError> {
    let header = ask(connection.clone(), Open::Header { id: content }, HEADER_TIME_MAX).await?;
    let mut assembly = Assembly::start(content, &header)?;
    let mut wanted = assembly.missing().collect::<Vec<u32>>().into_iter();
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() < PAGES_AT_ONCE
            && let Some(page) = wanted.next()
        {
            let connection = connection.clone();
            under_way.spawn(async move {
                ask(connection, Open::Page { id: content, page }, PAGE_TIME_MAX).await.map(|bytes| (page, bytes))
            });
        }
        let Some(page) = under_way.join_next().await else { break };
        let (page, bytes) = page.expect("asking does not panic")?;
        assembly.insert(page, bytes)?;
    }
    // Parsing a million entries takes a while; nothing else waits for this task.
    Ok(assembly.finish()?)
}

/// Answers with the bytes of a header or page, or says that there is none.
///
/// # Errors
/// When the other side stopped the stream or is gone.
pub async fn answer(send: &mut SendStream, bytes: Option<Bytes>) -> Result<(), WriteError> {
    match bytes {
        Some(bytes) => {
            let length = u32::try_from(bytes.len()).expect("a page has at most a mebibyte");
            frames::write(send, &Answer::Manifest { length }).await?;
            send.write_chunk(bytes).await?;
        }
        None => frames::write(send, &Answer::Rejected { reason: Refusal::NotHeld }).await?,
    }
    // Fails only on a stream that was stopped, where nobody waits for the rest.
    let _ = send.finish();
    Ok(())
}

async fn ask(connection: Connection, open: Open, limit: Duration) -> Result<Vec<u8>, ObtainError> {
    tokio::time::timeout(limit, answer_to(connection, open)).await.map_err(|_| ObtainError::Slow)?
}

async fn answer_to(connection: Connection, open: Open) -> Result<Vec<u8>, ObtainError> {
    let (mut send, mut recv) = connection.open_bi().await?;
    frames::write(&mut send, &open).await?;
    let _ = send.finish();
    let Answer::Manifest { length } = frames::read::<Answer>(&mut recv).await? else {
        return Err(ObtainError::Rejected);
    };
    let mut bytes = vec![0; length as usize];
    recv.read_exact(&mut bytes).await?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
