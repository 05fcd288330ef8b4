//! Journal: what a destination holds and why it may be believed, appended to one file as it happens.
//!
//! An append of a few bytes per chunk is the cheapest thing that survives a kill, and a file that is only appended to
//! can be torn only at its end. A database would do more than is needed here and cost a dependency that writes where it
//! likes. Chunk records need no sync: while the machine has not been restarted, what a process wrote before it died is
//! in the page cache, data before record. After a restart only files that were synced and given their final name are
//! believed, each by its stamp.
//!
//! Invariant: a record counts only if its checksum fits and everything before it counted. What the layers above put in
//! comes out byte by byte or not at all.
//!
//! Not here: compaction. The file holds the manifest and what publishers signed, 17 bytes per chunk and 57 per file; a
//! later run adds only what it fetches or confirms, and a new content starts a new file.

mod image;
mod record;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, fdatasync, openat, renameat, unlinkat};

pub use image::StoredContent;
pub(super) use image::{Image, read};
pub(super) use record::Record;

use super::confine::FILE_FLAGS;
use super::disk;

/// The journal's name in the state folder.
const NAME: &str = "journal";
/// Where a new journal is written before it takes the old one's place.
const NEW_NAME: &str = "journal.new";

/// The run of the kernel during which something was written: page cache survives a process, not a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot(Box<[u8]>);

impl Boot {
    /// The boot identifier of the running kernel. Where there is none (no `/proc`), a value that equals no recorded
    /// one.
    #[must_use]
    pub fn current() -> Self {
        // 36 characters and a line break; see proc_sys_kernel(5).
        Self(std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default().into())
    }

    /// A boot with this identifier, for tests of what a restart does.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(name.as_bytes().into())
    }

    /// Whether what the journal says of boot `recorded` was written during this one.
    fn is(&self, recorded: &[u8]) -> bool {
        !self.0.is_empty() && *self.0 == *recorded
    }
}

/// A journal that is open for appending.
#[derive(Debug)]
pub(super) struct Journal {
    file: OwnedFd,
    /// Bytes that count; anything beyond is a torn append.
    len: u64,
    /// Said before the first record of a run, and not before: a finished copy that is only served from writes nothing.
    boot: Option<Boot>,
}

impl Journal {
    /// Starts a journal with these records. It takes the place of an older one only when it is complete and durable.
    pub(super) fn create<'a>(
        state: impl AsFd,
        boot: &Boot,
        records: impl IntoIterator<Item = Record<'a>>,
    ) -> io::Result<Self> {
        let flags = FILE_FLAGS | OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC;
        let file = openat(&state, NEW_NAME, flags, Mode::RUSR | Mode::WUSR)?;
        let mut journal = Self { file, len: 0, boot: Some(boot.clone()) };
        journal.write(&record::file_header())?;
        for one in records {
            journal.append([one])?;
        }
        journal.sync()?;
        renameat(&state, NEW_NAME, &state, NAME)?;
        rustix::fs::fsync(&state)?;
        Ok(journal)
    }

    /// Goes on with the journal that was [`read`], whose first `len` bytes count, in this boot.
    pub(super) fn resume(state: impl AsFd, len: u64, boot: &Boot) -> io::Result<Self> {
        let file = openat(&state, NAME, FILE_FLAGS | OFlags::RDWR, Mode::empty())?;
        rustix::fs::ftruncate(&file, len)?;
        Ok(Self { file, len, boot: Some(boot.clone()) })
    }

    /// Appends records with one write. After an error none of them counts.
    pub(super) fn append<'a>(&mut self, records: impl IntoIterator<Item = Record<'a>>) -> io::Result<()> {
        let mut bytes = Vec::new();
        if let Some(boot) = &self.boot {
            Record::Boot(&boot.0).encode(&mut bytes);
        }
        records.into_iter().for_each(|one| one.encode(&mut bytes));
        self.write(&bytes)?;
        self.boot = None;
        Ok(())
    }

    /// Makes everything appended so far durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(fdatasync(&self.file)?)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = disk::write_all_at(&self.file, self.len, bytes) {
            // What was written of it would hide every later record from the reader. If it cannot be cut off now, the
            // next append overwrites it, for it begins at the same place.
            let _ = rustix::fs::ftruncate(&self.file, self.len);
            return Err(error);
        }
        self.len += bytes.len() as u64;
        Ok(())
    }
}

/// Removes the journal, so that nothing on the disk is vouched for until a new one is written.
pub(super) fn discard(state: impl AsFd) -> io::Result<()> {
    match unlinkat(&state, NAME, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        // Somebody made a folder of this name; an empty one is no loss.
        Err(rustix::io::Errno::ISDIR) => Ok(unlinkat(&state, NAME, AtFlags::REMOVEDIR)?),
        Err(error) => Err(error.into()),
    }
}

/// Opens the journal for reading; `None` when there is none.
pub(super) fn open(state: impl AsFd) -> io::Result<Option<File>> {
    match openat(state, NAME, FILE_FLAGS | OFlags::RDONLY, Mode::empty()) {
        Ok(file) => Ok(Some(File::from(file))),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
