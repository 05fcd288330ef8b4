//! Data: which files a demonstration replicates when nobody names any.
//!
//! Invented data would prove little, so it takes real files that a machine which built strew has: the sources of the crates that it was
//! built from. They are many and small, which is the harder case. Where they are missing, the libraries of the toolchain follow.
//!
//! Invariant: what is taken unasked is neither so little that there is nothing to see, nor so much that a stranger waits for it.
//!
//! Not here: walking (`tree`), and whether the copies fit (`scratch`).

use std::env;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::DemoError;
use super::tree::Tree;

/// The files of a demonstration.
#[derive(Debug)]
pub(super) struct Data {
    /// Where they are, as the user would write it.
    pub(super) path: PathBuf,
    /// What they are, when nobody named them.
    pub(super) what: Option<&'static str>,
    /// What they consist of.
    pub(super) tree: Tree,
}

impl Data {
    /// What the user named, or else real files that this machine has.
    pub(super) fn choose(named: Option<&Path>) -> Result<Self, DemoError> {
        if let Some(path) = named {
            return Ok(Self { path: path.to_owned(), what: None, tree: Tree::survey(path)? });
        }
        let usual = [
            (crate_sources(), "the sources of the Rust crates on this machine"),
            (toolchain(), "the libraries of the Rust toolchain"),
        ];
        for (path, what) in usual {
            // What cannot be read is not fit for a demonstration, whatever the reason.
            let found = path.and_then(|path| Tree::survey(&path).ok().map(|tree| (path, tree)));
            if let Some((path, tree)) = found.filter(|(_, tree)| FIT.contains(&tree.bytes)) {
                return Ok(Self { path, what: Some(what), tree });
            }
        }
        Err(DemoError::NoData)
    }
}

/// Where cargo unpacks crates.
fn crate_sources() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("CARGO_HOME").or_else(|| set("HOME").map(|home| home.join(".cargo")))?;
    Some(home.join("registry").join("src"))
}

/// Where rustc keeps its libraries.
fn toolchain() -> Option<PathBuf> {
    let rustc = Command::new("rustc").args(["--print", "sysroot"]).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = rustc.ok().filter(|output| output.status.success())?;
    let path = Path::new(OsStr::from_bytes(output.stdout.trim_ascii_end()));
    path.is_absolute().then(|| path.join("lib"))
}

/// How many bytes are fit to be taken unasked. Less than 32 MiB is over before anybody has read the first line; more than 4 GiB
/// takes minutes on a laptop and five times the room.
const FIT: std::ops::RangeInclusive<u64> = (32 << 20)..=(4 << 30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_names_is_taken_whatever_its_size() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("small"), b"1").unwrap();
        let data = Data::choose(Some(dir.path())).unwrap();
        assert_eq!((data.path.as_path(), data.tree.bytes, data.what), (dir.path(), 1, None));
    }

    #[test]
    fn the_toolchain_that_builds_this_has_libraries() {
        assert!(toolchain().unwrap().is_dir());
    }
}
