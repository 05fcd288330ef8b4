//! The walk itself: a stack of jobs that several threads empty and fill.
//!
//! Last in, first out keeps the stack about as deep as the tree, where a queue would hold its widest level. A folder is
//! opened by its path beneath the root when its turn comes, so waiting folders cost no descriptor.
//!
//! Invariant: the walk ends when no job waits and none runs; an error ends it early, and the first one is reported.
//!
//! Not here: what is done about symlinks that lead outside.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, OsStr};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::fs::{Access, AtFlags, FileType, Mode, RawDir, Stat, accessat, readlinkat, statat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::{Found, beneath, kind_of, lost};
use crate::manifest::{Entry, EntryKind, RelPath, STATE_DIR};
use crate::store::confine::{DIR_FLAGS, Root};
use crate::store::error::{Names, StoreError};
use crate::store::stamp::{self, Stamp};

/// Names that one thread takes at a time: some hundred microseconds of work, so that handing it over costs nothing in
/// comparison.
const BATCH: usize = 512;

/// Bytes of names that one call of the kernel returns.
const NAMES_BUFFER: usize = 64 << 10;

enum Job {
    /// Lists a folder, given by its path beneath the root (empty for the root).
    Folder(Vec<u8>),
    /// Looks at names of a folder.
    Names { folder: Arc<OwnedFd>, path: Arc<[u8]>, names: Vec<CString> },
}

#[derive(Default)]
struct Stack {
    jobs: Vec<Job>,
    /// Jobs that threads are busy with: they may still push new ones.
    running: usize,
    error: Option<StoreError>,
}

struct Walk<'a> {
    root: &'a Root,
    stack: Mutex<Stack>,
    changed: Condvar,
    /// The super-user reads everything, so nobody asks about each file.
    all_readable: bool,
}

/// What one thread found.
#[derive(Default)]
struct Share {
    found: Vec<Found>,
    special: u64,
    unreadable: BTreeSet<Vec<u8>>,
}

/// Finds everything beneath `root` with `threads` threads: what it found, in no order, and how many special files it
/// left out.
pub(super) fn walk(root: &Root, threads: usize) -> Result<(Vec<Found>, u64), StoreError> {
    let stack = Stack { jobs: vec![Job::Folder(Vec::new())], ..Stack::default() };
    let all_readable = geteuid().is_root();
    let walk = Walk { root, stack: Mutex::new(stack), changed: Condvar::new(), all_readable };
    let shares: Vec<Share> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| walk.work())).collect();
        workers.into_iter().map(|w| w.join().expect("a walker does not panic")).collect()
    });
    if let Some(error) = walk.lock().error.take() {
        return Err(error);
    }
    let mut found = Vec::with_capacity(shares.iter().map(|s| s.found.len()).sum());
    let (mut special, mut unreadable) = (0, BTreeSet::new());
    for mut share in shares {
        found.append(&mut share.found);
        special += share.special;
        unreadable.append(&mut share.unreadable);
    }
    if !unreadable.is_empty() {
        let mut names = Names::default();
        unreadable.into_iter().for_each(|path| names.push(beneath(root, &path)));
        return Err(StoreError::Unreadable { names });
    }
    Ok((found, special))
}

/// The one entry of a source that is a single file: `real_name` in `root`, to be called `name`.
pub(super) fn single(root: &Root, name: &OsStr, real_name: &OsStr, src: &Path) -> Result<Found, StoreError> {
    let stat = statat(root, real_name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| lost("look at", src.into(), e.into()))?;
    if accessat(root, real_name, Access::READ_OK, AtFlags::EACCESS).is_err() {
        let mut names = Names::default();
        names.push(src.to_path_buf());
        return Err(StoreError::Unreadable { names });
    }
    let path = RelPath::parse(name.as_bytes()).map_err(|source| StoreError::Name { path: src.into(), source })?;
    match kind_of(stamp::file_type(&stat), stamp::size(&stat)) {
        Some(kind @ EntryKind::File { .. }) => Ok(found(path, kind, &stat)),
        _ => Err(StoreError::SourceChanged { path: src.into() }),
    }
}

impl Walk<'_> {
    fn lock(&self) -> MutexGuard<'_, Stack> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) -> Share {
        let mut share = Share::default();
        while let Some(job) = self.take() {
            let result = match job {
                Job::Folder(path) => self.list(path, &mut share),
                Job::Names { folder, path, names } => self.look_at(&folder, &path, &names, &mut share),
            };
            let mut stack = self.lock();
            stack.running -= 1;
            if let Err(error) = result {
                stack.error.get_or_insert(error);
                stack.jobs.clear();
            }
            if stack.running == 0 && stack.jobs.is_empty() {
                self.changed.notify_all();
            }
        }
        share
    }

    /// The next job; waits while others may still push one. `None` when the walk is over.
    fn take(&self) -> Option<Job> {
        let mut stack = self.lock();
        loop {
            if stack.error.is_some() {
                return None;
            }
            if let Some(job) = stack.jobs.pop() {
                stack.running += 1;
                return Some(job);
            }
            if stack.running == 0 {
                return None;
            }
            stack = self.changed.wait(stack).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn push(&self, job: Job) {
        self.lock().jobs.push(job);
        self.changed.notify_one();
    }

    fn list(&self, path: Vec<u8>, share: &mut Share) -> Result<(), StoreError> {
        let name: &[u8] = if path.is_empty() { b"." } else { &path };
        let folder = match self.root.open_beneath(name, DIR_FLAGS, Mode::empty()) {
            Ok(folder) => Arc::new(folder),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::ACCESS) => {
                share.unreadable.insert(path);
                return Ok(());
            }
            Err(error) => return Err(lost("open", beneath(self.root, &path), error)),
        };
        let path: Arc<[u8]> = path.into();
        let mut buffer = vec![MaybeUninit::uninit(); NAMES_BUFFER];
        let mut listing = RawDir::new(&*folder, &mut buffer);
        let mut names: Vec<CString> = Vec::new();
        while let Some(item) = listing.next() {
            let item = item.map_err(|e| lost("list", beneath(self.root, &path), e.into()))?;
            if is_entry(item.file_name(), &path) {
                names.push(item.file_name().to_owned());
            }
            if names.len() == BATCH {
                let names = std::mem::take(&mut names);
                self.push(Job::Names { folder: Arc::clone(&folder), path: Arc::clone(&path), names });
            }
        }
        self.look_at(&folder, &path, &names, share)
    }

    fn look_at(&self, folder: &OwnedFd, parent: &[u8], names: &[CString], share: &mut Share) -> Result<(), StoreError> {
        for name in names {
            let path = join(parent, name.as_bytes());
            let shown = || beneath(self.root, &path);
            let stat = statat(folder, name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|e| lost("look at", shown(), e.into()))?;
            let file_type = stamp::file_type(&stat);
            let kind = match kind_of(file_type, stamp::size(&stat)) {
                Some(kind) => kind,
                None if file_type == FileType::Symlink => {
                    let target = readlinkat(folder, name.as_c_str(), Vec::new())
                        .map_err(|e| lost("read the link", shown(), e.into()))?;
                    EntryKind::Symlink { target: target.into_bytes().into() }
                }
                None => {
                    share.special += 1;
                    continue;
                }
            };
            let is_file = matches!(kind, EntryKind::File { .. });
            if is_file && !self.readable(folder, name, &stat) {
                share.unreadable.insert(path);
                continue;
            }
            let rel = RelPath::parse(&path).map_err(|source| StoreError::Name { path: shown(), source })?;
            if kind == EntryKind::Dir {
                self.push(Job::Folder(path));
            }
            share.found.push(found(rel, kind, &stat));
        }
        Ok(())
    }

    /// Whether this user may read the file. Asked of the kernel only where the permission bits leave a doubt.
    fn readable(&self, folder: &OwnedFd, name: &CStr, stat: &Stat) -> bool {
        const READABLE_BY_ALL: u32 = 0o444;
        self.all_readable
            || stat.st_mode & READABLE_BY_ALL == READABLE_BY_ALL
            || accessat(folder, name, Access::READ_OK, AtFlags::EACCESS).is_ok()
    }
}

fn is_entry(name: &CStr, parent: &[u8]) -> bool {
    match name.to_bytes() {
        b"." | b".." => false,
        name => !(parent.is_empty() && name == STATE_DIR.as_bytes()),
    }
}

fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() }
}

fn found(path: RelPath, kind: EntryKind, stat: &Stat) -> Found {
    let stamp = Stamp::of(stat);
    let is_file = matches!(kind, EntryKind::File { .. });
    let mode = if matches!(kind, EntryKind::Symlink { .. }) { 0 } else { stamp::mode(stat) };
    let (mtime_secs, mtime_nanos) = stamp.mtime;
    let allocated = if is_file { stamp::allocated(stat) } else { 0 };
    Found { entry: Entry { path, kind, mode, mtime_secs, mtime_nanos }, stamp, allocated }
}
