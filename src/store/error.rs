//! What can go wrong on a disk, in words that name the file and the way out.
//!
//! One enum for the whole store, because its parts fail in the same ways and its callers map them to the same four exit
//! codes.
//!
//! Invariant: a message never carries a raw name. Paths are printed in quotes with everything escaped that could break
//! a line or move a cursor.
//!
//! Not here: the exit codes themselves (`cli`); [`StoreError::kind`] is what they are made of.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::{EntriesError, PathError};
use crate::units::Bytes;

/// What kind of trouble an error is, for whoever chooses an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// What was asked for cannot be done as it was asked: wrong path, something in the way.
    Usage,
    /// The local disk failed, is full, or refuses.
    LocalIo,
    /// Another process writes to this destination.
    InUse,
    /// The source is not what it was when it was scanned.
    SourceChanged,
}

/// Names for a message: the first few, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    shown: Vec<PathBuf>,
    count: u64,
}

impl Names {
    /// As many names as a person reads in an error message.
    const SHOWN_MAX: usize = 10;

    /// Adds a name; beyond the first ten it is only counted.
    pub fn push(&mut self, path: PathBuf) {
        if self.shown.len() < Self::SHOWN_MAX {
            self.shown.push(path);
        }
        self.count += 1;
    }

    /// How many names were added.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The first names that were added.
    #[must_use]
    pub fn shown(&self) -> &[PathBuf] {
        &self.shown
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, path) in self.shown.iter().enumerate() {
            write!(f, "{}{path:?}", if i == 0 { "" } else { ", " })?;
        }
        match self.count - self.shown.len() as u64 {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The source is not there, or cannot be opened at all.
    #[error("cannot open the source {path:?}; check the path and its permissions")]
    SourceMissing {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The source is neither a directory nor a regular file.
    #[error("the source {path:?} is neither a directory nor a regular file")]
    SourceKind {
        /// The path as given.
        path: PathBuf,
    },
    /// Files or directories of the source that this user may not read.
    #[error("no permission to read {names}; run as a user who may, or change the permissions")]
    Unreadable {
        /// What cannot be read.
        names: Names,
    },
    /// A name in the source that cannot be part of a content.
    #[error("{path:?} cannot be replicated")]
    Name {
        /// The file.
        path: PathBuf,
        /// What is wrong with its name.
        #[source]
        source: PathError,
    },
    /// The source as a whole is no content.
    #[error("the source {path:?} cannot be replicated")]
    Entries {
        /// The source.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: EntriesError,
    },
    /// Symlinks that lead outside the source, which would dangle or mislead on other machines.
    #[error(
        "symlinks lead outside the source: {names}; use --symlinks keep to copy them as they are, or --symlinks skip"
    )]
    Escaping {
        /// The links.
        names: Names,
    },
    /// The source was modified after it was scanned.
    #[error("{path:?} changed while it was being read; run again when nothing writes to the source")]
    SourceChanged {
        /// The file that is not what it was.
        path: PathBuf,
    },
    /// Source and destination are the same, or one contains the other.
    #[error("the source {src:?} and the destination {dst:?} overlap; choose a destination outside the source")]
    Overlap {
        /// The source as given.
        src: PathBuf,
        /// The destination as given.
        dst: PathBuf,
    },
    /// Something of another type has the name of an entry.
    #[error("{path:?} is {found} where {wanted} must go; move it away and run again")]
    InTheWay {
        /// What is in the way.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// What the content has under this name.
        wanted: &'static str,
    },
    /// Another process has the destination's lock.
    #[error("another strew writes to {path:?}; wait for it to end, or choose another destination")]
    InUse {
        /// The destination.
        path: PathBuf,
    },
    /// The destination's own folder cannot be trusted.
    #[error("{path:?} {why}; remove it and run again")]
    StateDir {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The destination is mounted read-only and what was asked needs to write.
    #[error("{path:?} is on a read-only file system and does not hold this content")]
    ReadOnly {
        /// The destination.
        path: PathBuf,
    },
    /// The destination has too little room for what is still to come.
    #[error("{path:?} has {available} free, but {needed} are still to be written; free some space and run again")]
    NoRoom {
        /// The destination.
        path: PathBuf,
        /// Bytes still to be written.
        needed: Bytes,
        /// Bytes that the file system would give to this user.
        available: Bytes,
    },
    /// The disk or a quota became full. What has arrived is kept.
    #[error("no space left to write {path:?}; free some space and run again, what has arrived is kept")]
    Full {
        /// The file being written.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Data could not be made durable. The file is given up, because a second attempt may claim success for data that
    /// is gone.
    #[error("cannot make {path:?} durable; check the disk, then run again to fetch it anew")]
    Sync {
        /// The file, or the destination when many were synced together.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file of the copy was changed by somebody else after it was complete.
    #[error("{path:?} was changed by another program after it was complete; run again to repair it")]
    Altered {
        /// The file.
        path: PathBuf,
    },
    /// The end was asked for while chunks are missing.
    #[error("{missing} chunks are still missing in {path:?}; run again to fetch them")]
    Incomplete {
        /// The destination.
        path: PathBuf,
        /// Chunks that are not there.
        missing: u32,
    },
    /// Any other refusal of the system.
    #[error("cannot {doing} {path:?}")]
    Io {
        /// What was being tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    /// The kind of trouble, for exit codes.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::SourceMissing { .. }
            | Self::SourceKind { .. }
            | Self::Unreadable { .. }
            | Self::Name { .. }
            | Self::Entries { .. }
            | Self::Escaping { .. }
            | Self::Overlap { .. }
            | Self::InTheWay { .. } => ErrorKind::Usage,
            Self::SourceChanged { .. } => ErrorKind::SourceChanged,
            Self::InUse { .. } => ErrorKind::InUse,
            Self::StateDir { .. }
            | Self::ReadOnly { .. }
            | Self::NoRoom { .. }
            | Self::Full { .. }
            | Self::Sync { .. }
            | Self::Altered { .. }
            | Self::Incomplete { .. }
            | Self::Io { .. } => ErrorKind::LocalIo,
        }
    }

    /// An error of the system while `doing` something with `path`; a full disk and a full quota have their own variant.
    pub(super) fn io(doing: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        let (path, source) = (path.as_ref().to_path_buf(), source.into());
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, source },
            _ => Self::Io { doing, path, source },
        }
    }
}
