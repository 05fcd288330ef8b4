//! Data sets, made from a seed, and copies compared with them.
//!
//! Random bytes, because nothing that compresses or repeats may help anybody. The comparison is the bench's own: a contender that
//! believes itself complete is not asked.
//!
//! Invariant: the same kind, size and seed give the same names, bytes and modes; two trees are equal exactly when names, kinds, modes of
//! files and the BLAKE3 of every content are.
//!
//! Not here: modification times. Most rivals do not keep them, and the race is about bytes.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use strew::units::Rng;

use super::scenario::DataKind;

/// Bytes of the largest small file: what source code and configuration have.
const SMALL_MAX: u64 = 16 << 10;
/// Large files of a tree.
const LARGE: u64 = 8;
/// Small files of one folder where there is nothing else.
const OF_FOLDER: usize = 1000;
/// Folders that small files are spread over.
const FOLDERS: usize = 40;
/// Modes that files have in practice.
const MODES: [u32; 3] = [0o644, 0o755, 0o600];
/// Bytes that are made and written at a time.
const BUFFER: usize = 1 << 20;

/// What is in a tree: names and, of each, what it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tree(BTreeMap<PathBuf, Entry>);

#[derive(Debug, PartialEq, Eq)]
enum Entry {
    Folder,
    File { mode: u32, len: u64, digest: blake3::Hash },
    Other,
}

/// Makes a data set of exactly `size` bytes beneath `root`.
pub(crate) fn make(root: &Path, kind: DataKind, size: u64, small_files: usize, seed: u64) -> io::Result<()> {
    let mut rng = Rng::with_seed(seed);
    fs::create_dir_all(root)?;
    if kind == DataKind::File {
        return write(&root.join("data.bin"), size, 0o644, &mut rng);
    }
    if kind == DataKind::Small {
        return write_small(root, size, small_files, &mut rng);
    }
    let mut left = size;
    for at in 0..small_files {
        // Never more than a small file's share, so that little data still makes many files.
        let most = SMALL_MAX.min(size / small_files.max(1) as u64);
        let len = rng.u64(0..=most).min(left);
        left -= len;
        let folder = root.join(format!("small-{:02}", at % FOLDERS));
        fs::create_dir_all(&folder)?;
        write(&folder.join(format!("file-{at:04}")), len, MODES[at % MODES.len()], &mut rng)?;
    }
    for at in 0..LARGE {
        let len = if at + 1 == LARGE { left } else { left / (LARGE - at) };
        left -= len;
        fs::create_dir_all(root.join("large"))?;
        write(&root.join(format!("large/file-{at}")), len, 0o644, &mut rng)?;
    }
    Ok(())
}

/// Files of one size; the first ones have a byte more where the size cannot be divided.
fn write_small(root: &Path, size: u64, count: usize, rng: &mut Rng) -> io::Result<()> {
    let (len, more) = (size / count as u64, size % count as u64);
    for at in 0..count {
        let folder = root.join(format!("folder-{:04}", at / OF_FOLDER));
        if at % OF_FOLDER == 0 {
            fs::create_dir_all(&folder)?;
        }
        write(&folder.join(format!("file-{at:06}")), len + u64::from((at as u64) < more), 0o644, rng)?;
    }
    Ok(())
}

fn write(path: &Path, len: u64, mode: u32, rng: &mut Rng) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut buffer = vec![0; usize::try_from(len).unwrap_or(BUFFER).min(BUFFER)];
    let mut left = len;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(BUFFER).min(buffer.len());
        rng.fill(&mut buffer[..part]);
        file.write_all(&buffer[..part])?;
        left -= part as u64;
    }
    // Not by the process's mask.
    fs::set_permissions(path, Permissions::from_mode(mode))
}

impl Tree {
    /// Reads a tree. Names in `leaves`, at its top, are not part of it; modes are only if they are `kept`.
    pub(crate) fn read(root: &Path, leaves: &[String], kept: bool) -> io::Result<Self> {
        let mut entries = BTreeMap::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                let name = path.strip_prefix(root).unwrap_or(&path).to_owned();
                if leaves.iter().any(|leaf| name == Path::new(leaf)) {
                    continue;
                }
                let metadata = fs::symlink_metadata(&path)?;
                let entry = if metadata.is_dir() {
                    folders.push(path.clone());
                    Entry::Folder
                } else if metadata.is_file() {
                    let mut hasher = blake3::Hasher::new();
                    io::copy(&mut File::open(&path)?, &mut hasher)?;
                    Entry::File {
                        mode: if kept { metadata.mode() & 0o777 } else { 0 },
                        len: metadata.len(),
                        digest: hasher.finalize(),
                    }
                } else {
                    Entry::Other
                };
                entries.insert(name, entry);
            }
        }
        Ok(Self(entries))
    }

    /// The first difference of a copy, in a sentence; `None` when there is none.
    pub(crate) fn difference(&self, copy: &Self) -> Option<String> {
        for (name, entry) in &self.0 {
            match copy.0.get(name) {
                None => return Some(format!("{} is missing", name.display())),
                Some(found) if found != entry => {
                    return Some(format!("{} is {found:?} instead of {entry:?}", name.display()));
                }
                Some(_) => {}
            }
        }
        copy.0.keys().find(|name| !self.0.contains_key(*name)).map(|name| format!("{} is too many", name.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(root: &Path) -> (usize, u64) {
        let tree = Tree::read(root, &[], true).unwrap();
        let lens = tree.0.values().filter_map(|entry| match entry {
            Entry::File { len, .. } => Some(*len),
            _ => None,
        });
        (lens.clone().count(), lens.sum())
    }

    #[test]
    fn a_data_set_has_exactly_the_bytes_that_were_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        make(&folder.path().join("a"), DataKind::File, 3_000_001, 0, 1).unwrap();
        make(&folder.path().join("b"), DataKind::Tree, 3_000_001, 100, 1).unwrap();
        assert_eq!(bytes(&folder.path().join("a")), (1, 3_000_001));
        assert_eq!(bytes(&folder.path().join("b")), (108, 3_000_001));
        make(&folder.path().join("c"), DataKind::Small, 3_000_001, 1001, 1).unwrap();
        assert_eq!(bytes(&folder.path().join("c")), (1001, 3_000_001));
    }

    #[test]
    fn the_same_seed_gives_the_same_tree_and_another_one_another() {
        let folder = tempfile::tempdir().unwrap();
        let made = |name: &str, seed| {
            let root = folder.path().join(name);
            make(&root, DataKind::Tree, 200_000, 30, seed).unwrap();
            Tree::read(&root, &[], true).unwrap()
        };
        let (first, again, other) = (made("a", 1), made("b", 1), made("c", 2));
        assert_eq!(first.difference(&again), None);
        assert!(first.difference(&other).is_some());
    }

    #[test]
    fn every_kind_of_difference_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("source");
        make(&root, DataKind::Tree, 200_000, 5, 1).unwrap();
        let source = Tree::read(&root, &[], true).unwrap();
        let differs = |change: &dyn Fn(&Path), says: &str| {
            let copy = folder.path().join("copy");
            make(&copy, DataKind::Tree, 200_000, 5, 1).unwrap();
            change(&copy);
            let found = source.difference(&Tree::read(&copy, &[".mine".to_owned()], true).unwrap());
            assert!(found.as_ref().is_some_and(|found| found.contains(says)), "{found:?} does not say {says:?}");
            fs::remove_dir_all(copy).unwrap();
        };
        differs(&|copy| fs::remove_file(copy.join("large/file-3")).unwrap(), "large/file-3 is missing");
        differs(&|copy| fs::write(copy.join("new"), "").unwrap(), "new is too many");
        differs(&|copy| fs::set_permissions(copy.join("large/file-0"), Permissions::from_mode(0o600)).unwrap(), "mode");
        let flip = |copy: &Path| {
            let path = copy.join("large/file-7");
            let mut content = fs::read(&path).unwrap();
            *content.last_mut().unwrap() ^= 1;
            fs::write(path, content).unwrap();
        };
        differs(&flip, "large/file-7 is");
        differs(
            &|copy| {
                fs::write(copy.join(".mine"), "").unwrap();
                fs::write(copy.join("z"), "").unwrap();
            },
            "z is",
        );
    }
}
