//! Scratch: the directory that the copies of a demonstration live in, while it lasts.
//!
//! Four copies of something can fill a disk, and a temporary directory is memory on many systems. So the room is looked at first,
//! and a place that has too little is passed over for one that has enough, with a sentence when there is none.
//!
//! Invariant: what was made here is removed, however the demonstration ends, as long as this process is not killed itself; and
//! nothing is removed that was not made here.
//!
//! Not here: what is put into it.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{statfs, statvfs};

use super::DemoError;
use crate::units::Bytes;

/// What the copies need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// Bytes.
    pub(super) bytes: u64,
    /// Files, folders and links.
    pub(super) entries: u64,
}

/// What a place has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    bytes: u64,
    /// `None` where the file system makes as many as are asked for.
    entries: Option<u64>,
    /// Whether it is memory, not a disk.
    in_memory: bool,
}

/// A directory that is removed at the end.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    is_there: bool,
}

impl Scratch {
    /// Makes a directory where there is room: in `into`, or else in the usual places for temporary files. `source` must not be
    /// around it, because it would then contain its own copies.
    pub(super) fn make(into: Option<&Path>, need: Need, source: &Path) -> Result<Self, DemoError> {
        let source = fs::canonicalize(source).unwrap_or_else(|_| source.to_owned());
        let make = |place: &Path| suits(place, need, &source).and_then(|place| Self::make_in(&place));
        match into {
            Some(into) => make(into),
            // The first place is the one that the user expects, so its trouble is told.
            None => make(&std::env::temp_dir()).or_else(|refusal| make(Path::new(LASTING)).map_err(|_| refusal)),
        }
    }

    fn make_in(place: &Path) -> Result<Self, DemoError> {
        let mut tries = 0;
        loop {
            let path = place.join(format!("strew-demo-{:08x}", fastrand::u32(..)));
            match DirBuilder::new().mode(OWNER_ONLY).create(&path) {
                Ok(()) => return Ok(Self { path, is_there: true }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < TRIES_MAX => tries += 1,
                Err(source) => return Err(DemoError::Scratch { path, source }),
            }
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it with everything in it.
    pub(super) fn remove(mut self) -> Result<(), DemoError> {
        self.is_there = false;
        remove(&self.path).map_err(|source| DemoError::Remove { path: self.path.clone(), source })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_there {
            // Only a panic comes here, and its message is the one that matters.
            let _ = remove(&self.path);
        }
    }
}

/// The place itself, without links, when the copies can be made there.
fn suits(place: &Path, need: Need, source: &Path) -> Result<PathBuf, DemoError> {
    let failed = |source| DemoError::Scratch { path: place.to_owned(), source };
    let place = fs::canonicalize(place).map_err(failed)?;
    if place.starts_with(source) {
        return Err(DemoError::InsideSource { path: place });
    }
    let volume = statvfs(&place).map_err(|error| failed(error.into()))?;
    let kind = statfs(&place).map_err(|error| failed(error.into()))?.f_type;
    let room = Room {
        bytes: volume.f_bavail.saturating_mul(volume.f_frsize),
        entries: (volume.f_files > 0).then_some(volume.f_favail),
        in_memory: kind == TMPFS || kind == RAMFS,
    };
    match lacks(need, room) {
        None => Ok(place),
        Some(lack) => Err(DemoError::NoRoom { path: place, lack }),
    }
}

/// What a place has too little of, in words; `None` when there is enough.
fn lacks(need: Need, room: Room) -> Option<String> {
    let usable = if room.in_memory { room.bytes / 2 } else { room.bytes };
    if usable < need.bytes {
        let (needed, free) = (Bytes(need.bytes), Bytes(room.bytes));
        let memory = if room.in_memory { ", which is memory, of which half is left alone" } else { "" };
        return Some(format!("four copies need {needed} and {free} are free{memory}"));
    }
    let free = room.entries.filter(|free| *free < need.entries)?;
    Some(format!("four copies need {} entries and the file system has {free} left", need.entries))
}

/// Removes the directory, with a thread for each copy in it: with many small files most of the time passes in the kernel.
fn remove(path: &Path) -> io::Result<()> {
    let copies: Vec<PathBuf> = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    std::thread::scope(|scope| {
        for copy in &copies {
            // What fails here is tried again below, which then says why.
            scope.spawn(|| remove_tree(copy).ok());
        }
    });
    remove_tree(path)
}

/// Removes a tree, folders that may not be written included: a copy has the modes of its source.
fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            unlock(path)?;
            fs::remove_dir_all(path)
        }
        other => other,
    }
}

/// Gives all folders of a tree of ours back to their owner.
fn unlock(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(OWNER_ONLY))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            unlock(&entry.path())?;
        }
    }
    Ok(())
}

/// Temporary files that outlive a restart, and so never in memory (Filesystem Hierarchy Standard 3.0, 5.15).
const LASTING: &str = "/var/tmp";
/// The copies may be of something that others must not read.
const OWNER_ONLY: u32 = 0o700;
/// Names are chosen among 2^32, so a second try is a wonder.
const TRIES_MAX: u32 = 8;
/// Linux, magic.h: TMPFS_MAGIC.
const TMPFS: i64 = 0x0102_1994;
/// Linux, magic.h: RAMFS_MAGIC.
const RAMFS: i64 = 0x8584_58f6;

#[cfg(test)]
mod tests {
    use super::*;

    const NEED: Need = Need { bytes: 1 << 30, entries: 1000 };

    #[test]
    fn a_place_with_enough_room_lacks_nothing() {
        assert_eq!(lacks(NEED, Room { bytes: 1 << 30, entries: Some(1000), in_memory: false }), None);
        assert_eq!(lacks(NEED, Room { bytes: 2 << 30, entries: None, in_memory: true }), None);
    }

    #[test]
    fn the_refusal_says_what_is_needed_and_what_is_there() {
        let said = |room| lacks(NEED, room).unwrap();
        assert_eq!(
            said(Room { bytes: 512 << 20, entries: None, in_memory: false }),
            "four copies need 1.0 GiB and 512.0 MiB are free"
        );
        assert!(said(Room { bytes: 3 << 29, entries: None, in_memory: true }).contains("memory"));
        assert!(said(Room { bytes: 1 << 40, entries: Some(7), in_memory: false }).ends_with("7 left"));
    }

    #[test]
    fn what_was_made_is_removed_also_when_its_folders_are_locked() {
        let dir = tempfile::tempdir().unwrap();
        let need = Need { bytes: 1, entries: 1 };
        let scratch = Scratch::make(Some(dir.path()), need, Path::new("/nonexistent")).unwrap();
        let folder = scratch.path().join("a/b");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("file"), b"").unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
        fs::set_permissions(scratch.path().join("a"), Permissions::from_mode(0o100)).unwrap();
        scratch.remove().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn copies_are_never_put_into_their_source() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("inside")).unwrap();
        let need = Need { bytes: 1, entries: 1 };
        let error = Scratch::make(Some(&dir.path().join("inside")), need, dir.path()).unwrap_err();
        assert!(matches!(error, DemoError::InsideSource { .. }), "{error}");
    }

    #[test]
    fn a_place_without_room_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let need = Need { bytes: u64::MAX, entries: 1 };
        let error = Scratch::make(Some(dir.path()), need, Path::new("/nonexistent")).unwrap_err().to_string();
        assert!(error.contains("--into"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
