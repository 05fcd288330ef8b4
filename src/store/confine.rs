//! Confinement: every path is resolved beneath a directory that is held open.
//!
//! A path given to the system as text is walked anew by each call, and whoever can rename a directory can make that
//! walk end elsewhere between two of them. So a tree is one held descriptor, and its entries are opened beneath it with
//! `openat2`, which refuses symlinks, magic links and anything above. Where the kernel or a sandbox has no `openat2`,
//! the path is walked component by component, each one opened without following a link beneath the one before.
//!
//! Invariant: no call here follows a symlink below the root, in either way of resolving, at any position of the path.
//!
//! Not here: the path of the root itself. It is the operator's word and resolves like any other.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, Stat, openat, openat2, statat};
use rustix::io::Errno;

use crate::manifest::RelPath;

/// How paths beneath a root are resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// By one `openat2` call: Linux 5.6 and later.
    Kernel,
    /// Component by component: for older kernels and for sandboxes that do not know `openat2`.
    Walk,
}

/// A directory that is held open, and everything beneath it.
#[derive(Debug)]
pub(super) struct Root {
    dir: OwnedFd,
    path: PathBuf,
    resolution: Resolution,
}

/// How a directory is opened.
pub(super) const DIR_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How a file is opened, beside reading or writing. Without `NONBLOCK` a fifo that took the file's place would hold the
/// thread until somebody writes to it; regular files do not heed the flag.
pub(super) const FILE_FLAGS: OFlags =
    OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

impl Root {
    /// Opens the directory at `path`; `resolution` is found out when the caller names none.
    pub(super) fn open(path: &Path, resolution: Option<Resolution>) -> io::Result<Self> {
        let dir = openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let resolution = match resolution {
            Some(chosen) => chosen,
            None => probe(&dir)?,
        };
        Ok(Self { dir, path: path.to_path_buf(), resolution })
    }

    /// Where the root is, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where an entry is, for messages.
    pub(super) fn path_of(&self, path: &RelPath) -> PathBuf {
        self.path.join(OsStr::from_bytes(path.as_bytes()))
    }

    /// Opens what lies at `path`, a plain relative path, without following any symlink.
    pub(super) fn open_beneath(&self, path: &[u8], flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        match self.resolution {
            Resolution::Kernel => {
                let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
                Ok(openat2(&self.dir, path, flags, mode, resolve)?)
            }
            Resolution::Walk => self.walk(path, flags, mode),
        }
    }

    /// Opens the directory in which `path` lies.
    pub(super) fn open_parent(&self, path: &RelPath) -> io::Result<OwnedFd> {
        match path.parent() {
            Some(parent) => self.open_beneath(parent.as_bytes(), DIR_FLAGS, Mode::empty()),
            None => Ok(openat(&self.dir, ".", DIR_FLAGS, Mode::empty())?),
        }
    }

    fn walk(&self, path: &[u8], flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let mut held: Option<OwnedFd> = None;
        let mut rest = path;
        while let Some(cut) = rest.iter().position(|b| *b == b'/') {
            let above = held.as_ref().map_or(self.dir.as_fd(), |dir| dir.as_fd());
            let search = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            held = Some(openat(above, &rest[..cut], search, Mode::empty())?);
            rest = &rest[cut + 1..];
        }
        let above = held.as_ref().map_or(self.dir.as_fd(), |dir| dir.as_fd());
        Ok(openat(above, rest, flags | OFlags::NOFOLLOW, mode)?)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// The folder of the entry at hand, kept open while its siblings follow: entries come in path order, so most find it
/// open.
pub(super) struct Folders<'a> {
    root: &'a Root,
    held: Option<(Option<RelPath>, OwnedFd)>,
}

impl<'a> Folders<'a> {
    pub(super) const fn new(root: &'a Root) -> Self {
        Self { root, held: None }
    }

    /// The folder in which `path` lies.
    pub(super) fn of(&mut self, path: &RelPath) -> io::Result<BorrowedFd<'_>> {
        let parent = path.parent();
        if self.held.as_ref().is_none_or(|(held, _)| *held != parent) {
            self.held = Some((parent, self.root.open_parent(path)?));
        }
        Ok(self.held.as_ref().expect("just opened").1.as_fd())
    }

    /// The status of what lies at `path`, a symlink's own, or `None` when nothing does.
    pub(super) fn stat(&mut self, path: &RelPath) -> io::Result<Option<Stat>> {
        let folder = match self.of(path) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match statat(folder, path.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether `openat2` works here. Sandboxes answer `EPERM` for calls that they do not know, older kernels `ENOSYS`.
fn probe(dir: &OwnedFd) -> io::Result<Resolution> {
    match openat2(dir, ".", DIR_FLAGS, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS) {
        Ok(_) => Ok(Resolution::Kernel),
        Err(Errno::NOSYS | Errno::PERM) => Ok(Resolution::Walk),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A root beside a folder that must stay out of reach.
    fn tree(resolution: Resolution) -> (tempfile::TempDir, Root) {
        let tmp = tempfile::tempdir().unwrap();
        fs::create_dir_all(tmp.path().join("root/sub/deep")).unwrap();
        fs::create_dir_all(tmp.path().join("outside")).unwrap();
        fs::write(tmp.path().join("outside/secret"), "secret").unwrap();
        fs::write(tmp.path().join("root/sub/deep/file"), "plain").unwrap();
        let root = Root::open(&tmp.path().join("root"), Some(resolution)).unwrap();
        (tmp, root)
    }

    const BOTH: [Resolution; 2] = [Resolution::Kernel, Resolution::Walk];

    #[test]
    fn opens_plain_paths_at_any_depth() {
        for resolution in BOTH {
            let (_tmp, root) = tree(resolution);
            let file = root.open_beneath(b"sub/deep/file", FILE_FLAGS, Mode::empty()).unwrap();
            assert_eq!(io::read_to_string(fs::File::from(file)).unwrap(), "plain");
            let parent = root.open_parent(&RelPath::parse(b"sub/deep/file").unwrap()).unwrap();
            assert!(statat(&parent, "file", AtFlags::empty()).is_ok());
        }
    }

    #[test]
    fn follows_no_symlink_at_any_position_even_one_that_stays_inside() {
        for resolution in BOTH {
            let (tmp, root) = tree(resolution);
            let at = |name: &str| tmp.path().join("root").join(name);
            symlink("../outside", at("parent")).unwrap();
            symlink("../outside/secret", at("leaf")).unwrap();
            symlink("/proc/self/root", at("magic")).unwrap();
            symlink("sub", at("inside")).unwrap();
            symlink("../../outside", at("sub/parent")).unwrap();
            for path in ["parent/secret", "leaf", "magic/etc/passwd", "inside/deep/file", "sub/parent/secret"] {
                let opened = root.open_beneath(path.as_bytes(), FILE_FLAGS, Mode::empty());
                assert!(opened.is_err(), "{path} with {resolution:?}");
                let flags = FILE_FLAGS | OFlags::CREATE | OFlags::WRONLY | OFlags::TRUNC;
                assert!(root.open_beneath(path.as_bytes(), flags, Mode::RUSR).is_err(), "{path} with {resolution:?}");
            }
            assert_eq!(fs::read_to_string(tmp.path().join("outside/secret")).unwrap(), "secret");
        }
    }

    #[test]
    fn a_root_that_is_moved_away_stays_the_same_root() {
        for resolution in BOTH {
            let (tmp, root) = tree(resolution);
            fs::rename(tmp.path().join("root"), tmp.path().join("moved")).unwrap();
            symlink("outside", tmp.path().join("root")).unwrap();
            assert!(root.open_beneath(b"sub/deep/file", FILE_FLAGS, Mode::empty()).is_ok());
            assert!(root.open_beneath(b"secret", FILE_FLAGS, Mode::empty()).is_err());
        }
    }
}
