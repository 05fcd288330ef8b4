//! Scan: what a source consists of, found by several threads without reading a byte of it.
//!
//! The first chunk cannot leave before the walk has ended, so the walk has to be as fast as the kernel lets it be.
//! Threads take folders and batches of names from one stack; a folder of a million files is shared out like a million
//! folders.
//!
//! Invariant: every regular file, folder and symlink of the tree is in the result, or the scan fails and says why.
//! Special files (and symlinks, if so chosen) are left out and counted. `.strew` at the root is never part of it.
//!
//! Not here: digests; they come while the data is read for the first time.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FileType;

use super::confine::Root;
use super::error::{Names, StoreError};
use super::stamp::Stamp;
use crate::manifest::{Entries, Entry, EntryKind, stays_inside};
use crate::units::Bytes;

mod walk;

/// What to do with symlinks that lead outside the source (`--symlinks`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SymlinkPolicy {
    /// Fail and list them: on another machine they would dangle, or lead to something else.
    #[default]
    Refuse,
    /// Copy the text of the link as it is.
    Keep,
    /// Leave them out and count them.
    Skip,
}

/// What a scan left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Fifos, sockets and devices.
    pub special: u64,
    /// Symlinks that lead outside, with [`SymlinkPolicy::Skip`].
    pub symlinks: u64,
}

/// A source as it was found. [`Published::new`](super::Published::new) opens it for reading.
#[derive(Debug)]
pub struct Scan {
    /// What it consists of.
    pub entries: Arc<Entries>,
    /// What was left out.
    pub skipped: Skipped,
    /// What the files occupy on the source's disk: less than their lengths where they have holes.
    pub allocated: Bytes,
    pub(super) root: Root,
    /// The stamp of each entry, in the order of the entries.
    pub(super) stamps: Vec<Stamp>,
    /// What the only entry is called on the disk, when the source is a single file.
    pub(super) single: Option<PathBuf>,
}

/// One thing that the walk found.
struct Found {
    entry: Entry,
    stamp: Stamp,
    allocated: u64,
}

/// Walks the directory `src`, or takes the single file `src` as a content of one entry, which has the file's name.
///
/// `src` itself may be a symlink to either; links below it are never followed.
///
/// # Errors
/// [`StoreError::SourceMissing`], [`SourceKind`](StoreError::SourceKind), [`Unreadable`](StoreError::Unreadable),
/// [`Escaping`](StoreError::Escaping), [`Name`](StoreError::Name), [`Entries`](StoreError::Entries),
/// [`SourceChanged`](StoreError::SourceChanged) when something vanishes during the walk, or [`Io`](StoreError::Io).
pub fn scan(src: &Path, links: SymlinkPolicy) -> Result<Scan, StoreError> {
    let missing = |source| StoreError::SourceMissing { path: src.to_path_buf(), source };
    let metadata = fs::metadata(src).map_err(missing)?;
    if metadata.is_dir() {
        let root = Root::open(src, None).map_err(missing)?;
        let (found, special) = walk::walk(&root, threads())?;
        return assemble(root, found, Skipped { special, symlinks: 0 }, links, None);
    }
    if !metadata.is_file() {
        return Err(StoreError::SourceKind { path: src.to_path_buf() });
    }
    // The link may lie in one place and the file in another: the entry takes the name that the user wrote.
    let real = fs::canonicalize(src).map_err(missing)?;
    let (Some(name), Some(folder), Some(real_name)) = (src.file_name(), real.parent(), real.file_name()) else {
        return Err(StoreError::SourceKind { path: src.to_path_buf() });
    };
    let root = Root::open(folder, None).map_err(missing)?;
    let found = walk::single(&root, name, real_name, src)?;
    assemble(root, vec![found], Skipped::default(), links, Some(PathBuf::from(real_name)))
}

/// As many threads as the machine has, within reason: the walk waits for locks of the kernel more than for anything
/// else.
fn threads() -> usize {
    // Two threads already walk a warm tree of 100,000 files in half the time of `find -printf`; more of them help disks
    // with deep queues, and beyond eight only add contention for the same folders.
    const THREADS_MAX: usize = 8;
    std::thread::available_parallelism().map_or(2, NonZeroUsize::get).clamp(2, THREADS_MAX)
}

fn assemble(
    root: Root,
    mut found: Vec<Found>,
    mut skipped: Skipped,
    links: SymlinkPolicy,
    single: Option<PathBuf>,
) -> Result<Scan, StoreError> {
    let escapes = |entry: &Entry| match &entry.kind {
        EntryKind::Symlink { target } => !stays_inside(&entry.path, target),
        EntryKind::File { .. } | EntryKind::Dir => false,
    };
    match links {
        SymlinkPolicy::Keep => {}
        SymlinkPolicy::Skip => {
            let all = found.len();
            found.retain(|f| !escapes(&f.entry));
            skipped.symlinks = (all - found.len()) as u64;
        }
        SymlinkPolicy::Refuse => {
            let mut outside: Vec<&Entry> = found.iter().map(|f| &f.entry).filter(|e| escapes(e)).collect();
            outside.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            let mut names = Names::default();
            outside.into_iter().for_each(|e| names.push(root.path_of(&e.path)));
            if names.count() > 0 {
                return Err(StoreError::Escaping { names });
            }
        }
    }
    found.sort_unstable_by(|a, b| a.entry.path.cmp(&b.entry.path));
    let allocated = Bytes(found.iter().map(|f| f.allocated).sum());
    let stamps = found.iter().map(|f| f.stamp).collect();
    let entries = Entries::parse(found.into_iter().map(|f| f.entry).collect())
        .map_err(|source| StoreError::Entries { path: root.path().to_path_buf(), source })?;
    Ok(Scan { entries: Arc::new(entries), skipped, allocated, root, stamps, single })
}

/// Where something below the source is, for messages.
fn beneath(root: &Root, path: &[u8]) -> PathBuf {
    root.path().join(OsStr::from_bytes(path))
}

/// The error of a call on something that the walk has seen: what is gone now has changed.
fn lost(doing: &'static str, path: PathBuf, error: io::Error) -> StoreError {
    let errno = rustix::io::Errno::from_io_error(&error);
    match errno {
        Some(rustix::io::Errno::NOENT | rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
            StoreError::SourceChanged { path }
        }
        Some(rustix::io::Errno::ACCESS) => {
            let mut names = Names::default();
            names.push(path);
            StoreError::Unreadable { names }
        }
        _ => StoreError::io(doing, path, error),
    }
}

/// What an entry of this type is, `None` for special files.
fn kind_of(file_type: FileType, size: u64) -> Option<EntryKind> {
    match file_type {
        FileType::RegularFile => Some(EntryKind::File { size }),
        FileType::Directory => Some(EntryKind::Dir),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
