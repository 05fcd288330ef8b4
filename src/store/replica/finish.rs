//! Finish: the last things, in the only order that works.
//!
//! Symlinks come after all files: a link that leads somewhere cannot then be in the way of anything that is still
//! written. Folders come last and deepest first, because making a name in a folder changes the folder's time, and
//! because a mode may close the folder to its owner.
//!
//! Invariant: when [`Replica::finish`] returns, the destination equals the content and all of it is durable.
//!
//! Not here: names in the destination that are not the content's. They stay.

use std::sync::atomic::Ordering;

use rustix::fs::{
    AtFlags, Mode, fchmod, fstat, fsync, futimens, readlinkat, renameat, symlinkat, syncfs, unlinkat, utimensat,
};
use rustix::io::Errno;

use super::Replica;
use super::commit::{syncfs_tells_errors, times};
use crate::manifest::{Entry, EntryKind};
use crate::store::confine::{DIR_FLAGS, Folders};
use crate::store::error::StoreError;
use crate::store::stamp::{self, Stamp};

/// The name under which a symlink is made before it is moved to its place.
const LINK_NAME: &str = "link";

impl Replica {
    /// Completes the copy when every chunk is here: commits what is left, makes symlinks, and gives folders their modes
    /// and times. Costs next to nothing when that was done before. On a read-only file system it only tells whether the
    /// chunks are all here.
    ///
    /// # Errors
    /// [`StoreError::Incomplete`] when chunks are missing, and as [`Replica::commit`].
    pub fn finish(&self) -> Result<(), StoreError> {
        let missing = self.progress.missing();
        if missing > 0 {
            return Err(StoreError::Incomplete { path: self.path(), missing });
        }
        if self.is_read_only() {
            return Ok(());
        }
        self.commit()?;
        if !self.unsettled.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut folders = Folders::new(self.files.root());
        for entry in self.entries().as_slice() {
            if let EntryKind::Symlink { target } = &entry.kind {
                self.make_link(entry, target, &mut folders)
                    .map_err(|e| StoreError::io("create the symlink", self.files.root().path_of(&entry.path), e))?;
            }
        }
        for entry in self.entries().as_slice().iter().rev().filter(|e| e.kind == EntryKind::Dir) {
            self.dress_folder(entry)?;
        }
        let failed = |e: Errno| StoreError::Sync { path: self.path(), source: e.into() };
        // Without word of its errors this is still what makes symlinks durable: no other call takes them.
        syncfs(self.files.root()).map_err(failed)?;
        fsync(self.files.root()).map_err(failed)?;
        self.sync_journal()?;
        self.unsettled.store(false, Ordering::Release);
        Ok(())
    }

    /// Makes the link beside the partial files and moves it to its place, so that a reader sees the old name or the new
    /// link.
    fn make_link(&self, entry: &Entry, target: &[u8], folders: &mut Folders<'_>) -> std::io::Result<()> {
        let (partial, folder) = (self.files.partial(), folders.of(&entry.path)?);
        let same = readlinkat(folder, entry.path.name(), Vec::new()).is_ok_and(|text| text.as_bytes() == target);
        if same {
            utimensat(folder, entry.path.name(), &times(entry), AtFlags::SYMLINK_NOFOLLOW)?;
            return Ok(());
        }
        match unlinkat(partial, LINK_NAME, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        symlinkat(target, partial, LINK_NAME)?;
        utimensat(partial, LINK_NAME, &times(entry), AtFlags::SYMLINK_NOFOLLOW)?;
        renameat(partial, LINK_NAME, folder, entry.path.name())?;
        Ok(())
    }

    fn dress_folder(&self, entry: &Entry) -> Result<(), StoreError> {
        let root = self.files.root();
        let refused = |e: std::io::Error| StoreError::io("set mode and time of", root.path_of(&entry.path), e);
        let folder = root.open_beneath(entry.path.as_bytes(), DIR_FLAGS, Mode::empty()).map_err(refused)?;
        let stat = fstat(&folder).map_err(|e| refused(e.into()))?;
        if stamp::mode(&stat) != entry.mode {
            fchmod(&folder, Mode::from_raw_mode(entry.mode.into())).map_err(|e| refused(e.into()))?;
        }
        if Stamp::of(&stat).mtime != (entry.mtime_secs, entry.mtime_nanos) {
            futimens(&folder, &times(entry)).map_err(|e| refused(e.into()))?;
        }
        if syncfs_tells_errors() {
            return Ok(());
        }
        fsync(&folder).map_err(|e| StoreError::Sync { path: root.path_of(&entry.path), source: e.into() })
    }
}
