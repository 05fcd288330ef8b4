//! Replica: a destination, from an empty directory to a finished copy that serves others.
//!
//! Chunks arrive in any order and from several threads. Their bytes go to partial files in `.strew/partial`, on the
//! same file system; a file whose chunks are all there is made durable together with others and renamed to its final
//! name. Writing in place would show readers half a file, and a rename per chunk would cost more than the data.
//!
//! Invariant: a chunk is in [`Replica::have`] only if its bytes were written (or found and confirmed), and a file is
//! under its final name only if all of its chunks are and its bytes were synced. Files that lay there before stay as
//! they are until then.
//!
//! Not here: verifying. [`Replica::write_chunk`], [`Replica::write_zeros`] and [`Replica::confirm`] believe their caller.

mod begin;
mod commit;
mod files;
mod finish;
mod folders;
mod forget;
mod open;
mod progress;
mod survey;
#[cfg(test)]
mod tests;
mod zeros;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

pub use begin::{Begun, NewContent};
pub use commit::{CommitReport, Named};
pub use open::{OpenOptions, Opened, Warning};

use self::files::Files;
use self::folders::FoldersDue;
use self::open::State;
use self::progress::Progress;
use super::error::StoreError;
use super::journal::{Journal, Record};
use super::spans::spans;
use crate::bitfield::Bitfield;
use crate::chunk::{ChunkId, Layout};
use crate::manifest::Entries;

/// A destination that holds, or is to hold, one content. All methods may be called from several threads.
///
/// The order of a run: [`Replica::open`], [`Opened::begin`], then [`write_chunk`](Self::write_chunk) for each chunk
/// that is not in `have` and [`commit`](Self::commit) whenever [`commit_due`](Self::commit_due), and
/// [`finish`](Self::finish) when all are there. [`read_at`](Self::read_at) serves what is there at any time. Dropping
/// it gives the lock back; what was written stays for the next run.
#[derive(Debug)]
pub struct Replica {
    files: Files,
    state: State,
    layout: Layout,
    progress: Progress,
    /// `None` on a read-only file system.
    journal: Option<Mutex<Journal>>,
    /// Folders to be made before the first file becomes final.
    folders: Mutex<Option<FoldersDue>>,
    /// Held by whoever commits: files become final one group after the other.
    committing: Mutex<()>,
    /// Files that became final and were not asked for yet.
    named: Mutex<Vec<Named>>,
    /// Whether something is not yet as the content wants it: names, modes, times.
    unsettled: AtomicBool,
}

impl Replica {
    /// What the destination is to hold.
    #[must_use]
    pub const fn entries(&self) -> &Arc<Entries> {
        self.files.entries()
    }

    /// How its bytes are cut into chunks.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether the destination is on a read-only file system: it can be served from, and nothing else.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.journal.is_none()
    }

    /// The chunks that are here now.
    #[must_use]
    pub fn have(&self) -> Bitfield {
        self.progress.have()
    }

    /// Whether this chunk is here now.
    #[must_use]
    pub fn holds(&self, chunk: ChunkId) -> bool {
        self.progress.holds(chunk)
    }

    /// Writes a chunk whose bytes the caller has verified. Does nothing when the chunk is here already; while another
    /// thread writes the same chunk, waits for it.
    ///
    /// # Errors
    /// [`StoreError::Full`] and [`StoreError::Io`] leave the chunk missing and everything else as it was;
    /// [`StoreError::ReadOnly`]; [`StoreError::Altered`] when a finished file that shares this chunk is not what it
    /// was.
    ///
    /// # Panics
    /// When `data` has not the chunk's length.
    pub fn write_chunk(&self, chunk: ChunkId, data: &[u8]) -> Result<(), StoreError> {
        assert_eq!(data.len() as u64, self.layout.len(chunk), "a chunk is written whole");
        if self.is_read_only() {
            return Err(StoreError::ReadOnly { path: self.path() });
        }
        let Some(claim) = self.progress.claim(chunk) else { return Ok(()) };
        let start = self.layout.range(chunk).start;
        for span in spans(self.entries(), start, data.len()) {
            self.files.write_at(span.entry, span.offset, &data[span.within])?;
        }
        self.record([Record::Chunk(chunk.index())])?;
        self.unsettled.store(true, Ordering::Release);
        claim.held(self.entries());
        Ok(())
    }

    /// Counts a chunk that was found on the disk and whose bytes the caller has read with [`Replica::read_at`] and
    /// verified.
    ///
    /// # Errors
    /// [`StoreError::Full`] or [`StoreError::Io`] when the journal cannot be written.
    pub fn confirm(&self, chunk: ChunkId) -> Result<(), StoreError> {
        let Some(claim) = self.progress.claim(chunk) else { return Ok(()) };
        if !self.is_read_only() {
            self.record([Record::Chunk(chunk.index())])?;
            self.unsettled.store(true, Ordering::Release);
        }
        claim.held(self.entries());
        Ok(())
    }

    /// Fills `buf` with the content's bytes from `offset`, from wherever they lie at the moment. Which of them are
    /// there is the caller's to know: bytes of a chunk that is neither in [`Replica::have`] nor unproven are zeros or
    /// an error.
    ///
    /// # Errors
    /// [`StoreError::Altered`] when a finished file was changed by somebody else, or [`StoreError::Io`].
    ///
    /// # Panics
    /// When the range reaches beyond the content.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), StoreError> {
        spans(self.entries(), offset, buf.len())
            .try_for_each(|span| self.files.read_at(span.entry, span.offset, &mut buf[span.within]))
    }

    /// As [`Replica::read_at`], but from the final names, newly opened, and with the page cache told to forget the
    /// bytes first, so that they come from the disk. For `--verify-on-complete`, after [`Replica::finish`].
    ///
    /// # Errors
    /// As [`Replica::read_at`].
    ///
    /// # Panics
    /// As [`Replica::read_at`].
    pub fn read_back(&self, offset: u64, buf: &mut [u8]) -> Result<(), StoreError> {
        spans(self.entries(), offset, buf.len())
            .try_for_each(|span| self.files.read_back(span.entry, span.offset, &mut buf[span.within]))
    }

    /// Keeps an endorsement with the copy. Nothing happens on a read-only file system. The caller sorts out duplicates.
    ///
    /// # Errors
    /// [`StoreError::Full`] or [`StoreError::Io`].
    pub fn add_endorsement(&self, bytes: &[u8]) -> Result<(), StoreError> {
        self.record([Record::Endorsement(bytes)])
    }

    /// Keeps a batch of digests with the copy. Nothing happens on a read-only file system. The caller sorts out
    /// duplicates.
    ///
    /// # Errors
    /// [`StoreError::Full`] or [`StoreError::Io`].
    pub fn add_batch(&self, bytes: &[u8]) -> Result<(), StoreError> {
        self.record([Record::Batch(bytes)])
    }

    /// Where the destination is.
    fn path(&self) -> PathBuf {
        self.files.root().path().to_path_buf()
    }

    fn record<'a>(&self, records: impl IntoIterator<Item = Record<'a>>) -> Result<(), StoreError> {
        let Some(journal) = self.journal() else { return Ok(()) };
        { journal }.append(records).map_err(|e| StoreError::io("write the journal in", &self.state.path, e))
    }

    fn journal(&self) -> Option<MutexGuard<'_, Journal>> {
        let lock = self.journal.as_ref()?.lock();
        Some(lock.expect("no thread panics while it writes the journal"))
    }
}
