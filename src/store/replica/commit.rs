//! Commit: complete files get their modes, times and final names, in groups.
//!
//! Making one file durable costs a disk about as much as making hundreds so. A group is written out with one call,
//! renamed, its folders written out, and recorded. Each step waits for the one before, so a loss of power at any point
//! leaves every final name with whole bytes.
//!
//! Invariant: nothing is renamed that was not synced without error. A sync that failed is never tried again on the same
//! file: the kernel has dropped the pages by then, and the second try would claim success.
//!
//! Not here: symlinks and the folders' own modes and times, which come last (`finish`).

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use rustix::fs::{
    AtFlags, Mode, Timespec, Timestamps, UTIME_OMIT, fchmod, fstat, fsync, futimens, renameat, statat, syncfs,
};

use super::Replica;
use super::files::{Place, name};
use crate::manifest::{Entry, RelPath};
use crate::store::confine::{DIR_FLAGS, Folders};
use crate::store::error::StoreError;
use crate::store::journal::Record;
use crate::store::stamp::{self, Stamp};

/// Up to so many files (or folders) are synced one by one, more with one call for the whole file system: that call also
/// waits for what others write, but costs no journal commit per file.
const SYNCED_ALONE_MAX: usize = 16;

/// What a commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitReport {
    /// Files that became final.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A file that became final: durable and under its final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its place among the entries.
    pub entry: u32,
    /// Whether all of its bytes lay under that name before this run and nothing had to be written.
    pub kept: bool,
}

/// Files of a group that got no further, and why.
struct Stopped {
    /// Complete, and to be tried again.
    back: Vec<u32>,
    /// Not on the disk, and to be fetched again.
    lost: Vec<u32>,
    error: StoreError,
}

impl Replica {
    /// Whether enough complete files wait, or one has waited long enough, for [`Replica::commit`] to be worth its
    /// syncs.
    #[must_use]
    pub fn commit_due(&self) -> bool {
        !self.is_read_only() && self.progress.is_due()
    }

    /// Makes every complete file durable and gives it its final name. Blocks for as long as the disk needs.
    ///
    /// # Errors
    /// [`StoreError::Sync`] when data did not reach the disk: its file is given up and its chunks are missing again.
    /// [`StoreError::Full`] and [`StoreError::Io`] leave the file where it is, for the next try.
    pub fn commit(&self) -> Result<CommitReport, StoreError> {
        let _one = self.committing.lock().expect("no thread panics while it commits");
        let mut report = CommitReport::default();
        if self.is_read_only() {
            return Ok(report);
        }
        self.prepare_folders()?;
        loop {
            let mut group = self.progress.take_group(self.entries());
            if group.is_empty() {
                return Ok(report);
            }
            self.unsettled.store(true, Ordering::Release);
            // A final file comes again when its chunks were lost with a neighbour's; it needs nothing more.
            group.retain(|i| self.files.place(*i as usize) != Place::Final);
            let bytes: u64 = group.iter().map(|i| self.entry(*i).size()).sum();
            let files = group.len() as u64;
            let kept = |entry: &u32| self.files.place(*entry as usize) == Place::Found;
            let named: Vec<Named> = group.iter().map(|entry| Named { entry: *entry, kept: kept(entry) }).collect();
            if let Err(stopped) = self.commit_group(&group) {
                self.progress.put_back(&stopped.back, self.entries());
                self.progress.lose(&stopped.lost, self.entries());
                stopped.lost.iter().for_each(|i| self.files.give_up(*i as usize));
                return Err(stopped.error);
            }
            self.named().extend(named);
            report = CommitReport { files: report.files + files, bytes: report.bytes + bytes };
        }
    }

    /// The files that became final since this was asked last, each as often as it became so: once, unless its bytes were
    /// lost afterwards and came again. Files that were final before this run are not among them.
    #[must_use]
    pub fn take_named(&self) -> Vec<Named> {
        std::mem::take(&mut *self.named())
    }

    fn named(&self) -> MutexGuard<'_, Vec<Named>> {
        self.named.lock().expect("no thread panics while it notes names")
    }

    fn commit_group(&self, group: &[u32]) -> Result<(), Stopped> {
        let together = group.len() > SYNCED_ALONE_MAX && syncfs_tells_errors();
        for (i, entry) in group.iter().enumerate() {
            let stopped = |error| Stopped { back: group.to_vec(), lost: Vec::new(), error };
            match self.dress(*entry, !together) {
                Ok(()) => {}
                Err(error @ StoreError::Sync { .. }) => {
                    let back = [&group[..i], &group[i + 1..]].concat();
                    return Err(Stopped { back, lost: vec![*entry], error });
                }
                Err(error) => return Err(stopped(error)),
            }
        }
        if together && let Err(error) = syncfs(self.files.root()) {
            // The call does not say whose bytes were lost, so all of the group are.
            let error = StoreError::Sync { path: self.path(), source: error.into() };
            return Err(Stopped { back: Vec::new(), lost: group.to_vec(), error });
        }
        let mut named: Vec<(u32, Stamp)> = Vec::with_capacity(group.len());
        let mut parents = BTreeSet::new();
        let mut folders = Folders::new(self.files.root());
        for (i, entry) in group.iter().enumerate() {
            match self.give_name(*entry, &mut folders) {
                Ok(stamp) => named.push((*entry, stamp)),
                Err(error) => {
                    // What has its name already is recorded as if the group had ended here. Should that fail too, the
                    // next run finds those files under their names and hashes them.
                    let _ = self.record_final(&named, &parents);
                    return Err(Stopped { back: group[i..].to_vec(), lost: Vec::new(), error });
                }
            }
            parents.insert(self.entry(*entry).path.parent());
        }
        let none = |error| Stopped { back: Vec::new(), lost: Vec::new(), error };
        self.record_final(&named, &parents).map_err(none)
    }

    /// Gives the file its mode and time where it lies, and syncs it if it is to be synced alone.
    fn dress(&self, entry: u32, alone: bool) -> Result<(), StoreError> {
        let (index, listed) = (entry as usize, self.entry(entry));
        let refused = |e: rustix::io::Errno| StoreError::io("set mode and time of", self.files.path_of(index), e);
        let failed = |e: rustix::io::Errno| StoreError::Sync { path: self.files.path_of(index), source: e.into() };
        self.files.fit(index)?;
        let (found, partial);
        let file = match self.files.place(index) {
            Place::Found | Place::Final => {
                found = self.files.open_final(index)?;
                found.as_fd()
            }
            Place::Absent | Place::Partial => {
                partial = self.files.open_partial(index)?;
                partial.as_fd()
            }
        };
        let stat = fstat(file).map_err(refused)?;
        if stamp::mode(&stat) != listed.mode {
            fchmod(file, Mode::from_raw_mode(listed.mode.into())).map_err(refused)?;
        }
        if Stamp::of(&stat).mtime != (listed.mtime_secs, listed.mtime_nanos) {
            futimens(file, &times(listed)).map_err(refused)?;
        }
        if alone { fsync(file).map_err(failed) } else { Ok(()) }
    }

    /// Moves the file to its final name, and looks at it there.
    fn give_name(&self, entry: u32, folders: &mut Folders<'_>) -> Result<Stamp, StoreError> {
        let (index, path) = (entry as usize, &self.entry(entry).path);
        let refused = |e: std::io::Error| StoreError::io("give the final name to", self.files.path_of(index), e);
        let folder = folders.of(path).map_err(refused)?;
        if self.files.place(index) == Place::Partial {
            renameat(self.files.partial(), name(index), folder, path.name()).map_err(|e| refused(e.into()))?;
        }
        let stat = statat(folder, path.name(), AtFlags::SYMLINK_NOFOLLOW).map_err(|e| refused(e.into()))?;
        let stamp = Stamp::of(&stat);
        self.files.became_final(index, stamp);
        Ok(stamp)
    }

    /// Makes the new names durable, then says so in the journal. Its record becomes durable with the next group's sync
    /// or at the end: a loss of power in between costs the hashing of one group.
    fn record_final(&self, named: &[(u32, Stamp)], parents: &BTreeSet<Option<RelPath>>) -> Result<(), StoreError> {
        self.sync_folders(parents)?;
        self.record(named.iter().map(|(entry, stamp)| Record::Final { entry: *entry, stamp: *stamp }))
    }

    fn sync_folders(&self, parents: &BTreeSet<Option<RelPath>>) -> Result<(), StoreError> {
        let root = self.files.root();
        if parents.len() > SYNCED_ALONE_MAX && syncfs_tells_errors() {
            return syncfs(root).map_err(|e| StoreError::Sync { path: self.path(), source: e.into() });
        }
        for parent in parents {
            let (path, result) = match parent {
                None => (self.path(), fsync(root).map_err(std::io::Error::from)),
                Some(folder) => {
                    let opened = root.open_beneath(folder.as_bytes(), DIR_FLAGS, Mode::empty());
                    (root.path_of(folder), opened.and_then(|fd| Ok(fsync(fd)?)))
                }
            };
            result.map_err(|source| StoreError::Sync { path, source })?;
        }
        Ok(())
    }

    pub(super) fn sync_journal(&self) -> Result<(), StoreError> {
        let Some(journal) = self.journal() else { return Ok(()) };
        journal.sync().map_err(|source| StoreError::Sync { path: self.state.path.clone(), source })
    }

    pub(super) fn entry(&self, index: u32) -> &Entry {
        &self.entries().as_slice()[index as usize]
    }
}

/// An entry's time of modification; that of access is left as it is.
pub(super) fn times(entry: &Entry) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: entry.mtime_secs, tv_nsec: entry.mtime_nanos.into() },
    }
}

/// Whether `syncfs` reports that pages were lost: since Linux 5.8, see syncfs(2). Before, every file is synced by
/// itself.
pub(super) fn syncfs_tells_errors() -> bool {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(5), Some(8))
}
