//! Tree: what the demonstration expects a copy to be, found by its own walk of the source.
//!
//! The program under demonstration has a walk of its own, and a judge that used it would agree with its mistakes. So this one
//! asks the standard library only; it is slower and simple enough to be believed.
//!
//! Invariant: what is listed here is exactly what strew promises to replicate (with `--symlinks skip`): regular files, folders and
//! symbolic links that stay inside, with nine bits of mode and the time of modification to the nanosecond.
//!
//! Not here: reading any file's content (`compare`).

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::DemoError;
use crate::manifest::{RelPath, STATE_DIR, stays_inside};

/// What can be seen of a file, folder or link without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// What it is.
    pub(super) kind: Kind,
    /// The lower nine bits; zero for a link, whose own mode means nothing on Linux.
    pub(super) mode: u32,
    /// Seconds since 1970 and nanoseconds.
    pub(super) mtime: (i64, i64),
}

/// What something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file of so many bytes.
    File(u64),
    /// A folder.
    Folder,
    /// A symbolic link to this text.
    Link(PathBuf),
}

/// One thing of the source.
#[derive(Debug)]
pub(super) struct Item {
    /// Relative to the root; empty for the root itself.
    pub(super) path: PathBuf,
    /// What it looked like before the transfer; `None` for the root, which a copy has of its own.
    pub(super) look: Option<Look>,
    /// How many names a folder has.
    pub(super) names: u64,
}

/// The source.
#[derive(Debug)]
pub(super) struct Tree {
    /// The directory that the items are beneath.
    pub(super) root: PathBuf,
    /// Everything, folders before what is in them.
    pub(super) items: Vec<Item>,
    /// Regular files.
    pub(super) files: u64,
    /// Bytes of all of them.
    pub(super) bytes: u64,
    /// What one copy occupies on a usual file system.
    pub(super) room: u64,
    /// Links that lead outside and special files, which are not replicated.
    pub(super) skipped: u64,
}

impl Look {
    /// Looks at `path`, and not through it; `None` for pipes, sockets and devices.
    pub(super) fn at(path: &Path) -> io::Result<Option<Self>> {
        let metadata = fs::symlink_metadata(path)?;
        let kind = match metadata.file_type() {
            kind if kind.is_file() => Kind::File(metadata.len()),
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_symlink() => Kind::Link(fs::read_link(path)?),
            _ => return Ok(None),
        };
        let mode = if matches!(kind, Kind::Link(_)) { 0 } else { metadata.mode() & MODE_BITS };
        Ok(Some(Self { kind, mode, mtime: mtime(&metadata) }))
    }
}

impl Tree {
    /// Walks the source, a directory or a single file.
    pub(super) fn survey(source: &Path) -> Result<Self, DemoError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| DemoError::Look { path, source }
        };
        let whole = fs::metadata(source).map_err(failed(source))?;
        let mut tree = Self { root: source.to_owned(), items: Vec::new(), files: 0, bytes: 0, room: 0, skipped: 0 };
        if !whole.is_dir() {
            // The entry is called as the user called it, also when that is a link to the file.
            let real = fs::canonicalize(source).map_err(failed(source))?;
            let (Some(parent), Some(name), Some(look)) =
                (source.parent(), source.file_name(), Look::at(&real).map_err(failed(&real))?)
            else {
                return Err(DemoError::NothingToReplicate { path: source.to_owned() });
            };
            tree.root = parent.to_owned();
            tree.items.push(Item { path: PathBuf::new(), look: None, names: 1 });
            tree.add(PathBuf::from(name), look);
            return Ok(tree);
        }
        tree.items.push(Item { path: PathBuf::new(), look: None, names: 0 });
        let mut at = 0;
        while at < tree.items.len() {
            if tree.items[at].look.as_ref().is_none_or(|look| look.kind == Kind::Folder) {
                let folder = source.join(&tree.items[at].path);
                tree.list(at, &folder).map_err(failed(&folder))?;
            }
            at += 1;
        }
        Ok(tree)
    }

    /// Adds what is in the folder of item `at`.
    fn list(&mut self, at: usize, folder: &Path) -> io::Result<()> {
        let parent = self.items[at].path.clone();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            if at == 0 && name == STATE_DIR {
                continue;
            }
            let path = parent.join(&name);
            match Look::at(&folder.join(&name))? {
                Some(look) if is_replicated(&path, &look) => {
                    self.items[at].names += 1;
                    self.add(path, look);
                }
                _ => self.skipped += 1,
            }
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf, look: Look) {
        self.room += ENTRY_ROOM;
        if let Kind::File(len) = look.kind {
            self.files += 1;
            self.bytes += len;
            self.room += len.next_multiple_of(DISK_UNIT);
        }
        self.items.push(Item { path, look: Some(look), names: 0 });
    }
}

fn is_replicated(path: &Path, look: &Look) -> bool {
    match (&look.kind, RelPath::parse(path.as_os_str().as_bytes())) {
        (Kind::Link(target), Ok(path)) => stays_inside(&path, target.as_os_str().as_bytes()),
        // A name that cannot be replicated ends the seeder, which says so.
        _ => true,
    }
}

fn mtime(metadata: &Metadata) -> (i64, i64) {
    (metadata.mtime(), metadata.mtime_nsec())
}

/// Permissions of owner, group and others: what strew replicates of the mode.
const MODE_BITS: u32 = 0o777;
/// The unit of allocation of ext4 and xfs as they are usually made.
const DISK_UNIT: u64 = 4096;
/// An inode and its name, or a folder's first unit on average: 256 to 512 bytes for a file, 4096 for a folder, and sources have
/// several times as many files as folders.
const ENTRY_ROOM: u64 = 1024;

#[cfg(test)]
mod tests {
    use std::fs::{File, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// The paths of a survey, sorted, without the root.
    fn paths(tree: &Tree) -> Vec<&str> {
        let mut paths: Vec<&str> = tree.items.iter().skip(1).map(|item| item.path.to_str().unwrap()).collect();
        paths.sort_unstable();
        paths
    }

    #[test]
    fn a_survey_lists_what_is_replicated_and_counts_what_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::create_dir(at(STATE_DIR)).unwrap();
        fs::write(at("a/b/five"), b"12345").unwrap();
        File::create(at("empty")).unwrap();
        fs::set_permissions(at("empty"), Permissions::from_mode(0o640)).unwrap();
        symlink("b/five", at("a/inside")).unwrap();
        symlink("../../outside", at("a/outside")).unwrap();
        symlink("/etc", at("a/absolute")).unwrap();
        let tree = Tree::survey(dir.path()).unwrap();
        assert_eq!(paths(&tree), ["a", "a/b", "a/b/five", "a/inside", "empty"]);
        assert_eq!((tree.files, tree.bytes, tree.skipped, tree.items[0].names), (2, 5, 2, 2));
        let empty = tree.items.iter().find(|item| item.path == Path::new("empty")).unwrap();
        let look = empty.look.clone().unwrap();
        assert_eq!((look.kind, look.mode), (Kind::File(0), 0o640));
        let folder = tree.items.iter().find(|item| item.path == Path::new("a")).unwrap();
        assert_eq!(folder.names, 2, "names that are not replicated do not count");
    }

    #[test]
    fn a_single_file_is_a_tree_of_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("real"), b"123").unwrap();
        symlink("real", dir.path().join("name")).unwrap();
        let tree = Tree::survey(&dir.path().join("name")).unwrap();
        assert_eq!((paths(&tree), tree.files, tree.bytes), (vec!["name"], 1, 3));
        assert_eq!(tree.items[1].look.as_ref().map(|look| &look.kind), Some(&Kind::File(3)));
    }

    #[test]
    fn a_source_that_is_not_there_is_an_error_with_its_name() {
        let error = Tree::survey(Path::new("/nonexistent/tree")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/tree"), "{error}");
    }
}
