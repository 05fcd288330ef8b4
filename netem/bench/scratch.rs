//! Scratch space in memory, a file system of its own for sources and copies; or a folder on a disk where that was asked for.
//!
//! The links are to be the limit, so no disk takes part. A mount with a size shows an overflow as an error of the run, where a folder
//! in the machine's own temporary file system would fill that for everybody.
//!
//! Invariant: all of it is gone when this is dropped; a mount that a killed bench left is removed by the next one, and only if its process is dead.
//!
//! Not here: what lies in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the names of all scratch folders begin with; the rest is the process id.
const NAME: &str = "strew-netem-bench-";

/// Why there is no scratch space.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScratchError {
    #[error("cannot make the folder {path}")]
    Folder { path: PathBuf, source: io::Error },
    #[error("cannot mount {mib} MiB of memory at {path}: {said} (root is needed)")]
    Mount { path: PathBuf, mib: u64, said: String },
    #[error(
        "{wanted} MiB of memory are needed for all copies and {available} MiB are free; use less data or fewer peers"
    )]
    Memory { wanted: u64, available: u64 },
}

/// A mounted file system, or a folder of one that was there.
pub(crate) struct Scratch {
    path: PathBuf,
    mounted: bool,
}

impl Scratch {
    /// Mounts so many bytes.
    pub(crate) fn new(bytes: u64) -> Result<Self, ScratchError> {
        Self::remove_of_the_dead();
        let mib = bytes.div_ceil(1 << 20);
        if let Some(available) = available().filter(|available| *available < mib) {
            return Err(ScratchError::Memory { wanted: mib, available });
        }
        let path = std::env::temp_dir().join(format!("{NAME}{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|source| ScratchError::Folder { path: path.clone(), source })?;
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(&path).output();
        let said = match mounted {
            Ok(output) if output.status.success() => return Ok(Self { path, mounted: true }),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        let _ = fs::remove_dir(&path);
        Err(ScratchError::Mount { path, mib, said })
    }

    /// A new folder in this one, for whoever wants to see what a disk does to it.
    pub(crate) fn within(folder: &Path) -> Result<Self, ScratchError> {
        let path = folder.join(format!("{NAME}{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|source| ScratchError::Folder { path: path.clone(), source })?;
        Ok(Self { path, mounted: false })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what killed benches left.
    pub(crate) fn remove_of_the_dead() {
        remove_if(|id| !Path::new(&format!("/proc/{id}")).exists());
    }

    /// Removes that of this process, when it is about to end without dropping anything.
    pub(crate) fn remove_own() {
        remove_if(|id| id == std::process::id());
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.mounted {
            remove(&self.path);
        } else {
            // What cannot be removed is in sight of whoever named the folder.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn remove(path: &Path) {
    // Lazily, because a process that is just ending may still hold a file.
    let _ = Command::new("umount").arg("-l").arg(path).output();
    let _ = fs::remove_dir(path);
}

fn remove_if(wanted: impl Fn(u32) -> bool) {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(NAME)).and_then(|id| id.parse::<u32>().ok());
        if id.is_some_and(&wanted) {
            remove(&entry.path());
        }
    }
}

/// Memory that is free for this, in MiB.
fn available() -> Option<u64> {
    let table = fs::read_to_string("/proc/meminfo").ok()?;
    let kibibytes = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    kibibytes.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes >> 10)
}
