//! Comparing a copy with its source: names, types, bytes, permissions, times, link targets, holes.
//!
//! Nothing of the program under test is used here, so that no fault of it can hide its own results.
//!
//! Invariant: two trees are equal here exactly when the README says that a copy is one.
//!
//! Not here: `.strew` at the root of a copy, which is the program's own.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes that a copy of a file may occupy beyond its source: holes are kept in windows of 64 KiB, so data that lies alone occupies up to
/// two of them.
const HOLE_SLACK: u64 = 128 << 10;

/// What is known of one name.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    kind: Kind,
    mode: u32,
    mtime: (i64, i64),
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    File { len: u64, digest: blake3::Hash },
    Folder,
    Link { to: PathBuf },
}

/// Asserts that `copy` is what `source` is. Special files of the source do not count.
pub(crate) fn assert_equal(source: &Path, copy: &Path) {
    let (wanted, found) = (facts(source), facts(copy));
    let names = wanted.keys().chain(found.keys().filter(|name| !wanted.contains_key(*name)));
    let differences: Vec<String> = names
        .filter(|name| wanted.get(*name) != found.get(*name))
        .map(|name| format!("{name:?}\n   source: {:?}\n   copy:   {:?}", wanted.get(name), found.get(name)))
        .collect();
    assert!(differences.is_empty(), "{} names differ in {copy:?}:\n{}", differences.len(), differences.join("\n"));
    for (name, _) in wanted.iter().filter(|(_, facts)| matches!(facts.kind, Kind::File { .. })) {
        let [ours, theirs] = [source, copy].map(|root| allocated(&fs::symlink_metadata(root.join(name)).unwrap()));
        assert!(theirs <= ours + HOLE_SLACK, "{name:?} occupies {theirs} bytes instead of {ours}: its holes are gone");
    }
}

/// Asserts that every file that is in `copy` under its final name is whole; some may be missing. Returns how many there are.
pub(crate) fn assert_only_whole_files(source: &Path, copy: &Path) -> usize {
    let (wanted, found) = (facts(source), facts(copy));
    let files = found.iter().filter(|(_, facts)| matches!(facts.kind, Kind::File { .. }));
    let mut count = 0;
    for (name, facts) in files {
        assert_eq!(wanted.get(name).map(|facts| &facts.kind), Some(&facts.kind), "{name:?} is not whole in {copy:?}");
        count += 1;
    }
    count
}

fn facts(root: &Path) -> BTreeMap<PathBuf, Facts> {
    let mut facts = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            let metadata = fs::symlink_metadata(&path).unwrap();
            if name == Path::new(".strew") || is_special(&metadata) {
                continue;
            }
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            facts.insert(name, facts_of(&path, &metadata));
        }
    }
    facts
}

fn facts_of(path: &Path, metadata: &Metadata) -> Facts {
    let kind = if metadata.is_dir() {
        Kind::Folder
    } else if metadata.is_symlink() {
        Kind::Link { to: fs::read_link(path).unwrap() }
    } else {
        let mut hasher = blake3::Hasher::new();
        std::io::copy(&mut fs::File::open(path).unwrap(), &mut hasher).unwrap();
        Kind::File { len: metadata.len(), digest: hasher.finalize() }
    };
    Facts { kind, mode: metadata.mode() & 0o777, mtime: (metadata.mtime(), metadata.mtime_nsec()) }
}

/// Fifos, sockets and devices.
fn is_special(metadata: &Metadata) -> bool {
    !(metadata.is_file() || metadata.is_dir() || metadata.is_symlink())
}

/// Bytes on the disk; the system counts them in units of 512.
fn allocated(metadata: &Metadata) -> u64 {
    metadata.blocks() * 512
}
