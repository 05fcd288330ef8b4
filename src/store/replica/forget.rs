//! Forget: a chunk that counted turned out to be wrong on the disk, and is to be written anew.
//!
//! A file under its final name is never written to, and nothing wrong may be under one. So the files of the chunk go back to where
//! they were put together: renamed and not copied, because a copy would read the rotten place again, and needs room. They get their names
//! back when the chunk is there, as any file does.
//!
//! Invariant: the journal says that the chunk is gone before anything is moved, so a kill in between leaves no more than the
//! wrong bytes that were there before.
//!
//! Not here: finding out that a chunk is wrong (`node`).

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

use rustix::fs::{Mode, fchmod, fstat, fsync, renameat};

use super::Replica;
use super::files::{Place, name};
use crate::chunk::ChunkId;
use crate::store::error::StoreError;
use crate::store::journal::Record;
use crate::store::spans::spans;

impl Replica {
    /// Counts a chunk as missing whose bytes the caller found wrong, and takes its files back from their final names.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] where nothing can be mended, [`StoreError::Io`].
    pub fn forget(&self, chunk: ChunkId) -> Result<(), StoreError> {
        if self.is_read_only() {
            return Err(StoreError::ReadOnly { path: self.path() });
        }
        let _one = self.committing.lock().expect("no thread panics while it commits");
        self.record([Record::Forgotten(chunk.index())])?;
        self.unsettled.store(true, Ordering::Release);
        let len = usize::try_from(self.layout.len(chunk)).expect("a chunk is at most 128 MiB");
        for span in spans(self.entries(), self.layout.range(chunk).start, len) {
            if self.files.place(span.entry) == Place::Final {
                self.take_back(span.entry)?;
            }
        }
        self.progress.forget(chunk, self.entries());
        Ok(())
    }

    /// Moves a file from its final name to the partial files, open to this user for writing.
    fn take_back(&self, entry: usize) -> Result<(), StoreError> {
        let root = self.files.root();
        let path = &self.entries().as_slice()[entry].path;
        let refused = |e: std::io::Error| StoreError::io("take back", self.files.path_of(entry), e);
        let file = self.files.open_final(entry)?;
        fchmod(&file, Mode::RUSR | Mode::WUSR).map_err(|e| refused(e.into()))?;
        let folder = root.open_parent(path).map_err(refused)?;
        if path.parent().is_some() {
            open_to_user(&folder).map_err(refused)?;
        }
        renameat(&folder, path.name(), self.files.partial(), name(entry)).map_err(|e| refused(e.into()))?;
        self.files.became_partial(entry);
        fsync(&folder).map_err(|e| StoreError::Sync { path: self.files.path_of(entry), source: e.into() })
    }
}

/// Lets this user move names in a folder whose content's mode forbids it; [`Replica::finish`] gives it its mode again.
fn open_to_user(folder: &OwnedFd) -> std::io::Result<()> {
    let mode = Mode::from_raw_mode(fstat(folder)?.st_mode);
    if !mode.contains(Mode::RWXU) {
        fchmod(folder, mode | Mode::RWXU)?;
    }
    Ok(())
}
