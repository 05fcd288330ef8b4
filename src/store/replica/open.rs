//! Opening a destination: its own folder, its lock, its journal.
//!
//! The journal is read before anybody knows which content is to be replicated: a finished copy that is started alone
//! learns from it what it is.
//!
//! Invariant: an [`Opened`] is the only one of its destination that may write, unless the file system is read-only,
//! where nobody may. The state folder belongs to this user alone, or what it says is not believed.
//!
//! Not here: comparing the journal with the files (`survey`).

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, fchmod, flock, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::Replica;
use crate::manifest::STATE_DIR;
use crate::store::confine::{DIR_FLAGS, FILE_FLAGS, Resolution, Root};
use crate::store::error::StoreError;
use crate::store::journal::{self, Boot, Image, StoredContent};

/// The lock's name in the state folder.
const LOCK_NAME: &str = "lock";

/// How a destination is opened. The default is right for every user; tests choose otherwise.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// How paths are resolved; found out when it is `None`.
    pub resolution: Option<Resolution>,
    /// The run of the kernel; asked of the system when it is `None`.
    pub boot: Option<Boot>,
}

/// Something about a destination that a user should know and that does not keep the job from being done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// There is a journal that says nothing: of another version, damaged at its start, or unreadable.
    #[error("the journal in {path:?} cannot be used ({why}); what lies in the destination will be verified anew")]
    JournalUnusable {
        /// The state folder.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// The journal's end is torn or damaged, as after a loss of power.
    #[error(
        "the last {bytes} bytes of the journal in {path:?} are damaged; what they said will be verified or fetched anew"
    )]
    JournalTorn {
        /// The state folder.
        path: PathBuf,
        /// Bytes that do not count.
        bytes: u64,
    },
    /// The copy on a read-only file system belongs to another user.
    #[error("{path:?} belongs to another user; its data will be verified before it is used")]
    Foreign {
        /// The state folder.
        path: PathBuf,
    },
}

/// The destination's own folder.
#[derive(Debug)]
pub(super) struct State {
    pub(super) dir: OwnedFd,
    /// Where it is, for messages.
    pub(super) path: PathBuf,
    /// The lock; `None` on a read-only file system.
    lock: Option<OwnedFd>,
}

/// A destination that is open, before it is known which content it is to hold.
#[derive(Debug)]
pub struct Opened {
    pub(super) root: Root,
    pub(super) state: State,
    pub(super) boot: Boot,
    pub(super) image: Option<Image>,
    /// Bytes of the journal that count.
    pub(super) journal_len: u64,
    warnings: Vec<Warning>,
}

impl Replica {
    /// Opens the destination `dst`, which is made when it does not exist, and locks it against other writers.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it open, [`StoreError::StateDir`] when its `.strew` is not this
    /// user's own folder, [`StoreError::ReadOnly`] when it is read-only and holds no copy, [`StoreError::Io`].
    pub fn open(dst: &Path) -> Result<Opened, StoreError> {
        Self::open_with(dst, OpenOptions::default())
    }

    /// As [`Replica::open`], with options.
    ///
    /// # Errors
    /// As [`Replica::open`].
    pub fn open_with(dst: &Path, options: OpenOptions) -> Result<Opened, StoreError> {
        if fs::metadata(dst).is_ok_and(|found| !found.is_dir()) {
            return Err(StoreError::InTheWay { path: dst.to_path_buf(), found: "a file", wanted: "a directory" });
        }
        fs::create_dir_all(dst).map_err(|e| StoreError::io("create the destination", dst, e))?;
        let root = Root::open(dst, options.resolution).map_err(|e| StoreError::io("open the destination", dst, e))?;
        let boot = options.boot.unwrap_or_else(Boot::current);
        let (state, own) = State::open(&root)?;
        let path = state.path.clone();
        let mut opened = Opened { root, state, boot, image: None, journal_len: 0, warnings: Vec::new() };
        match journal::open(&opened.state.dir).and_then(|f| f.map(|f| journal::read(f, &opened.boot)).transpose()) {
            Ok(None) => {}
            Ok(Some(reading)) => {
                if reading.image.is_none() {
                    let why = format!("{} bytes of another version or damaged at the start", reading.len);
                    opened.warnings.push(Warning::JournalUnusable { path: path.clone(), why });
                } else if reading.good < reading.len {
                    let bytes = reading.len - reading.good;
                    opened.warnings.push(Warning::JournalTorn { path: path.clone(), bytes });
                }
                (opened.image, opened.journal_len) = (reading.image, reading.good);
            }
            Err(error) => {
                opened.warnings.push(Warning::JournalUnusable { path: path.clone(), why: error.to_string() });
            }
        }
        if !own {
            opened.warnings.push(Warning::Foreign { path });
            if let Some(image) = &mut opened.image {
                image.finals.clear();
                image.current = crate::bitfield::Bitfield::none(image.content.layout);
                image.ever = image.current.clone();
            }
        }
        Ok(opened)
    }
}

impl Opened {
    /// What the layers above stored here in an earlier run.
    #[must_use]
    pub fn stored(&self) -> Option<&StoredContent> {
        self.image.as_ref().map(|image| &image.content)
    }

    /// Whether an earlier run had every chunk of what is stored here. What became of them since, [`Opened::begin`] finds out.
    #[must_use]
    pub fn was_whole(&self) -> bool {
        self.image.as_ref().is_some_and(|image| image.ever.is_full())
    }

    /// What the user should know about this destination.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Whether the destination is on a read-only file system: what it holds can be served, nothing can be added.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.state.lock.is_none()
    }
}

impl State {
    /// Opens, and makes if need be, the state folder, and locks it. Also whether it belongs to this user.
    fn open(root: &Root) -> Result<(Self, bool), StoreError> {
        let path = root.path().join(STATE_DIR);
        let refused = |e: Errno| StoreError::io("open", &path, e);
        match mkdirat(root, STATE_DIR, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(Errno::ROFS) => return Err(StoreError::ReadOnly { path: root.path().to_path_buf() }),
            Err(error) => return Err(StoreError::io("create", &path, error)),
        }
        let dir = match openat(root, STATE_DIR, DIR_FLAGS, Mode::empty()) {
            Ok(dir) => dir,
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(StoreError::StateDir { path, why: "is not a directory" });
            }
            Err(error) => return Err(refused(error)),
        };
        let stat = fstat(&dir).map_err(refused)?;
        let own = stat.st_uid == geteuid().as_raw();
        let flags = FILE_FLAGS | OFlags::RDWR | OFlags::CREATE;
        let lock = match openat(&dir, LOCK_NAME, flags, Mode::RUSR | Mode::WUSR) {
            Err(Errno::ROFS) => None,
            _ if !own => return Err(StoreError::StateDir { path, why: "belongs to another user" }),
            Ok(lock) => Some(lock),
            Err(error) => return Err(refused(error)),
        };
        if let Some(lock) = &lock {
            match flock(lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(StoreError::InUse { path: root.path().to_path_buf() }),
                Err(error) => return Err(StoreError::io("lock", &path, error)),
            }
            if stat.st_mode & 0o077 != 0 {
                fchmod(&dir, Mode::RWXU).map_err(refused)?;
            }
        }
        Ok((Self { dir, path, lock }, own))
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(lock) = &self.lock {
            // A child process that was forked a moment ago shares the lock until it executes its program; closing our
            // descriptor alone would leave it locked for so long. Nothing can be done about an error, and nothing needs
            // to be.
            let _ = flock(lock, FlockOperation::Unlock);
        }
    }
}
