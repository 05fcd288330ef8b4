//! Files: where each file of a replica lies at the moment, and reading and writing it there.
//!
//! ```text
//!            first write            commit
//!  Absent ───────────────► Partial ────────► Final
//!  Found  ──────────────────▲          ▲
//!    └── differs: copied ───┘          │
//!    └── every chunk confirmed ────────┘
//!  Final  ── a revoked chunk differs: copied ──► Partial
//! ```
//!
//! A file that lay under the final name before the run is `Found`: maybe right, maybe not, maybe of another length. It is
//! never written to; what differs goes to a copy of it among the partial files, which replaces it when complete.
//!
//! Invariant: the bytes of a `Final` file are never written to, and its stamp is set before its place.
//!
//! Not here: which chunks are there (`progress`).

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::fs::{Advice, AtFlags, FileType, Mode, OFlags, fadvise, fstat, ftruncate, openat, renameat, unlinkat};

use crate::manifest::Entries;
use crate::store::confine::{FILE_FLAGS, Root};
use crate::store::disk;
use crate::store::error::StoreError;
use crate::store::open_files::OpenFiles;
use crate::store::stamp::{self, Stamp};

/// Descriptors kept open: enough for the chunks in flight, and with a source's beside them below 256.
const OPEN_FILES_MAX: usize = 160;

/// Bytes that are copied at a time: a system call's cost vanishes, and it is far below the memory budget.
const COPY_BUFFER: usize = 1 << 20;

/// Where a file lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Place {
    /// Nowhere yet.
    Absent = 0,
    /// In the partial folder.
    Partial = 1,
    /// Under its final name since before this run, unproven.
    Found = 2,
    /// Under its final name, complete.
    Final = 3,
}

#[derive(Debug)]
pub(super) struct Files {
    root: Root,
    /// `.strew/partial`; `None` when there is none on a read-only file system.
    partial: Option<OwnedFd>,
    writable: bool,
    entries: Arc<Entries>,
    places: Vec<AtomicU8>,
    stamps: Vec<Mutex<Option<Stamp>>>,
    open: OpenFiles,
    /// Held while a found file is copied, so that two chunks do not copy it twice.
    copying: Mutex<()>,
}

impl Files {
    pub(super) fn new(
        root: Root,
        partial: Option<OwnedFd>,
        writable: bool,
        entries: Arc<Entries>,
        places: Vec<Place>,
        stamps: Vec<Option<Stamp>>,
    ) -> Self {
        let places = places.into_iter().map(|place| AtomicU8::new(place as u8)).collect();
        let stamps = stamps.into_iter().map(Mutex::new).collect();
        let (open, copying) = (OpenFiles::new(OPEN_FILES_MAX), Mutex::new(()));
        Self { root, partial, writable, entries, places, stamps, open, copying }
    }

    pub(super) const fn entries(&self) -> &Arc<Entries> {
        &self.entries
    }

    pub(super) const fn root(&self) -> &Root {
        &self.root
    }

    /// The folder of partial files.
    ///
    /// # Panics
    /// On a read-only file system that has none; nothing is written there.
    pub(super) fn partial(&self) -> BorrowedFd<'_> {
        self.partial.as_ref().expect("a replica that is written to has a partial folder").as_fd()
    }

    pub(super) fn place(&self, entry: usize) -> Place {
        match self.places[entry].load(Ordering::Acquire) {
            0 => Place::Absent,
            1 => Place::Partial,
            2 => Place::Found,
            _ => Place::Final,
        }
    }

    /// The file got its final name and looks like this.
    pub(super) fn became_final(&self, entry: usize, stamp: Stamp) {
        *self.stamp(entry) = Some(stamp);
        self.places[entry].store(Place::Final as u8, Ordering::Release);
        // A descriptor for writing would keep anybody from executing the file.
        self.open.close(key(entry, Place::Partial));
    }

    /// How the file looked when it became final, as long as it is.
    fn stamp(&self, entry: usize) -> MutexGuard<'_, Option<Stamp>> {
        self.stamps[entry].lock().expect("no thread panics while it holds a stamp")
    }

    /// Gives up a partial file whose bytes may not be on the disk.
    pub(super) fn give_up(&self, entry: usize) {
        self.open.close(key(entry, Place::Partial));
        if self.place(entry) == Place::Partial {
            self.places[entry].store(Place::Absent as u8, Ordering::Release);
            // It fails where the file system went read-only on the error; it must be mounted anew before the next run
            // writes.
            let _ = unlinkat(self.partial(), name(entry), AtFlags::empty());
        }
    }

    pub(super) fn read_at(&self, entry: usize, offset: u64, buf: &mut [u8]) -> Result<(), StoreError> {
        let file = self.open_to_read(entry)?;
        self.read_from(&file, entry, offset, buf)
    }

    /// Reads from the final name, newly opened, past the page cache where the kernel is so kind.
    pub(super) fn read_back(&self, entry: usize, offset: u64, buf: &mut [u8]) -> Result<(), StoreError> {
        let file = self.open_final(entry)?;
        // Advice only: clean pages are dropped, and a kernel that does not heed it costs the test its sharpness, not
        // its truth.
        let _ = fadvise(&file, offset, std::num::NonZeroU64::new(buf.len() as u64), Advice::DontNeed);
        self.read_from(&file, entry, offset, buf)
    }

    pub(super) fn write_at(&self, entry: usize, offset: u64, data: &[u8]) -> Result<(), StoreError> {
        let Some(file) = self.open_to_write(entry, |file| disk::equals_at(file, offset, data))? else { return Ok(()) };
        disk::write_sparse_at(&file, offset, data).map_err(|e| StoreError::io("write", self.path_of(entry), e))
    }

    /// Makes a range of the file zeros, without reading or writing where it is a hole.
    pub(super) fn write_zeros_at(&self, entry: usize, range: &Range<u64>) -> Result<(), StoreError> {
        let Some(file) = self.open_to_write(entry, |file| disk::is_zero_at(file, range))? else { return Ok(()) };
        disk::write_zeros_at(&file, range.start, range.end - range.start)
            .map_err(|e| StoreError::io("write", self.path_of(entry), e))
    }

    /// The partial file, which is made when it is not there yet; `None` when the file under the final name need not be
    /// written to, as `same` finds.
    fn open_to_write(
        &self,
        entry: usize,
        same: impl FnOnce(&OwnedFd) -> io::Result<bool>,
    ) -> Result<Option<Arc<OwnedFd>>, StoreError> {
        if matches!(self.place(entry), Place::Found | Place::Final) {
            let file = self.open_to_read(entry)?;
            if same(&file).map_err(|e| StoreError::io("read", self.path_of(entry), e))? {
                return Ok(None);
            }
            // In a final file this is a chunk that was revoked, or somebody else altered it, which the copying finds.
            self.copy_to_partial(entry)?;
        }
        self.open_partial(entry).map(Some)
    }

    /// Gives a complete file that was found with another length its own, in a copy.
    pub(super) fn fit(&self, entry: usize) -> Result<(), StoreError> {
        if self.place(entry) != Place::Found {
            return Ok(());
        }
        let file = self.open_to_read(entry)?;
        let stat = fstat(&file).map_err(|e| StoreError::io("look at", self.path_of(entry), e))?;
        let fits = stamp::size(&stat) == self.entries.as_slice()[entry].size();
        if fits { Ok(()) } else { self.copy_to_partial(entry) }
    }

    /// Opens the file under its final name.
    pub(super) fn open_final(&self, entry: usize) -> Result<OwnedFd, StoreError> {
        let path = self.entries.as_slice()[entry].path.as_bytes();
        let refused = |e| StoreError::io("open", self.path_of(entry), e);
        let file = self.root.open_beneath(path, FILE_FLAGS | OFlags::RDONLY, Mode::empty()).map_err(refused)?;
        self.check_regular(entry, &file)?;
        Ok(file)
    }

    /// The partial file, which is made when the file is nowhere yet.
    pub(super) fn open_partial(&self, entry: usize) -> Result<Arc<OwnedFd>, StoreError> {
        if let Some(file) = self.open.find(key(entry, Place::Partial)) {
            return Ok(file);
        }
        let refused = |e: rustix::io::Errno| StoreError::io("create", self.path_of(entry), e);
        let absent = self.place(entry) == Place::Absent;
        // A partial file that somebody deleted must not come back empty, as if its chunks were zeros.
        let create = if absent { OFlags::CREATE } else { OFlags::empty() };
        let flags = FILE_FLAGS | OFlags::RDWR | create;
        let file = openat(self.partial(), name(entry), flags, Mode::RUSR | Mode::WUSR).map_err(refused)?;
        self.check_regular(entry, &file)?;
        if absent {
            // The full length at once, so that what is missing is a hole and the next run knows the file by its size.
            // Two threads that come here together do the same thing twice.
            ftruncate(&file, self.entries.as_slice()[entry].size()).map_err(refused)?;
            self.places[entry].store(Place::Partial as u8, Ordering::Release);
        }
        Ok(self.open.keep(key(entry, Place::Partial), file))
    }

    pub(super) fn path_of(&self, entry: usize) -> PathBuf {
        self.root.path_of(&self.entries.as_slice()[entry].path)
    }

    fn open_to_read(&self, entry: usize) -> Result<Arc<OwnedFd>, StoreError> {
        loop {
            // The key names the place, so a descriptor of the place before is never taken for one of the place now.
            let place = self.place(entry);
            if let Some(file) = self.open.find(key(entry, place)) {
                return Ok(file);
            }
            let opened = match place {
                // Renamed already, and not yet counted as final.
                Place::Partial => self.reopen_partial(entry).or_else(|gone| self.open_final(entry).map_err(|_| gone)),
                Place::Absent | Place::Found | Place::Final => self.open_final(entry),
            };
            if self.place(entry) == place {
                let file = self.open.keep(key(entry, place), opened?);
                if self.place(entry) != place {
                    self.open.close(key(entry, place));
                }
                return Ok(file);
            }
            // It moved on while it was being opened; it does so a few times in a run, so this ends.
        }
    }

    fn reopen_partial(&self, entry: usize) -> Result<OwnedFd, StoreError> {
        let access = if self.writable { OFlags::RDWR } else { OFlags::RDONLY };
        let file = openat(self.partial(), name(entry), FILE_FLAGS | access, Mode::empty())
            .map_err(|e| StoreError::io("open", self.path_of(entry), e))?;
        self.check_regular(entry, &file)?;
        Ok(file)
    }

    fn read_from(&self, file: &OwnedFd, entry: usize, offset: u64, buf: &mut [u8]) -> Result<(), StoreError> {
        let altered = || StoreError::Altered { path: self.path_of(entry) };
        match disk::read_exact_at(file, offset, buf) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(altered()),
            Err(e) => return Err(StoreError::io("read", self.path_of(entry), e)),
        }
        let Some(expected) = *self.stamp(entry) else { return Ok(()) };
        let stat = fstat(file).map_err(|e| StoreError::io("look at", self.path_of(entry), e))?;
        // The change time is left out: a backup's hard link or a chmod does not touch the bytes, and who serves need
        // not stop for it.
        let same = Stamp { ctime: expected.ctime, ..Stamp::of(&stat) } == expected;
        if same { Ok(()) } else { Err(altered()) }
    }

    fn copy_to_partial(&self, entry: usize) -> Result<(), StoreError> {
        let _one = self.copying.lock().expect("no thread panics while it copies");
        let place = self.place(entry);
        if !matches!(place, Place::Found | Place::Final) {
            return Ok(());
        }
        let source = self.open_final(entry)?;
        let copy_name = format!("{entry}.copy");
        let refused = |e: io::Error| StoreError::io("copy", self.path_of(entry), e);
        let flags = FILE_FLAGS | OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC;
        let copy = openat(self.partial(), &copy_name, flags, Mode::RUSR | Mode::WUSR).map_err(|e| refused(e.into()))?;
        self.check_regular(entry, &copy)?;
        let size = self.entries.as_slice()[entry].size();
        ftruncate(&copy, size).map_err(|e| refused(e.into()))?;
        let there = fstat(&source).map_err(|e| refused(e.into()))?;
        let size = size.min(stamp::size(&there));
        let mut buf = vec![0; COPY_BUFFER];
        let mut done = 0;
        while done < size {
            let part = usize::try_from(size - done).unwrap_or(COPY_BUFFER).min(COPY_BUFFER);
            self.read_from(&source, entry, done, &mut buf[..part])?;
            disk::write_sparse_at(&copy, done, &buf[..part]).map_err(refused)?;
            done += part as u64;
        }
        // The name tells the next run that the copy is whole: confirmed chunks of the found file count in it.
        renameat(self.partial(), &copy_name, self.partial(), name(entry)).map_err(|e| refused(e.into()))?;
        *self.stamp(entry) = None;
        self.places[entry].store(Place::Partial as u8, Ordering::Release);
        self.open.close(key(entry, place));
        Ok(())
    }

    fn check_regular(&self, entry: usize, file: &OwnedFd) -> Result<(), StoreError> {
        let stat = fstat(file).map_err(|e| StoreError::io("look at", self.path_of(entry), e))?;
        match stamp::file_type(&stat) {
            FileType::RegularFile => Ok(()),
            _ => Err(StoreError::Altered { path: self.path_of(entry) }),
        }
    }
}

/// The key of a file's descriptor.
const fn key(entry: usize, place: Place) -> usize {
    entry * 4 + place as usize
}

/// The name of an entry's file in the partial folder.
pub(super) fn name(entry: usize) -> String {
    entry.to_string()
}
