//! Pulling again over what is there: an updated source, a copy that was damaged.
//!
//! Invariant: what lies at the same place of the same file and is right is not fetched.
//!
//! Not here: runs that were killed (`resume`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::common::tree::set_time;
use crate::common::{End, Node, Stage, Tree, assert_equal};

const CHUNK: u64 = 64 << 10;

fn seed(stage: &Stage, tree: &Tree) -> Node {
    stage.seed(tree.path(), &["--chunk-size", "64KiB"])
}

fn pull(stage: &Stage, seeder: &Node) -> End {
    stage.pull(&stage.path("copy"), &[seeder.address()], &["--exit-complete"]).ends_with(0)
}

/// Bytes of the chunks that these ranges of files touch.
fn touched(root: &Path, changed: &BTreeMap<PathBuf, Range<u64>>) -> u64 {
    let (mut files, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let list = if entry.file_type().unwrap().is_dir() { &mut folders } else { &mut files };
            list.push(entry.path());
        }
    }
    files.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    let (mut start, mut chunks) = (0, std::collections::BTreeSet::new());
    for file in files {
        if let Some(range) = changed.get(&file).filter(|range| !range.is_empty()) {
            chunks.extend((start + range.start) / CHUNK..=(start + range.end - 1) / CHUNK);
        }
        start += fs::metadata(&file).unwrap().len();
    }
    chunks.into_iter().map(|chunk| CHUNK.min(start - chunk * CHUNK)).sum()
}

/// Changes one file in a hundred of `count`: which bytes are new, and which names are gone.
fn update(tree: &mut Tree, count: usize) -> (BTreeMap<PathBuf, Range<u64>>, Vec<PathBuf>) {
    let (mut changed, mut gone) = (BTreeMap::new(), Vec::new());
    for (turn, n) in (0..count).step_by(100).enumerate() {
        let path = tree.path().join(format!("many/{}/file {n}", n % 10));
        let before = fs::read(&path).unwrap();
        let len = before.len() as u64;
        match turn % 5 {
            0 => {
                tree.file(&path, before.len());
                changed.insert(path, 0..len);
            }
            1 => {
                tree.file(&path, before.len() + 5000);
                File::options().write(true).open(&path).unwrap().write_all_at(&before, 0).unwrap();
                changed.insert(path, len..len + 5000);
            }
            2 => File::options().write(true).open(&path).unwrap().set_len(len / 2).unwrap(),
            3 => {
                let added = tree.file(format!("many/{}/added {n}", n % 10), 3000);
                changed.insert(added, 0..3000);
            }
            _ => {
                fs::remove_file(&path).unwrap();
                gone.push(path.strip_prefix(tree.path()).unwrap().to_owned());
            }
        }
    }
    (changed, gone)
}

/// Removes a name without a trace in its folder's time.
fn remove_quietly(path: &Path) {
    let folder = path.parent().unwrap();
    let before = fs::metadata(folder).unwrap();
    fs::remove_file(path).unwrap();
    set_time(folder, before.mtime(), before.mtime_nsec());
}

#[test]
fn an_updated_tree_costs_the_chunks_that_changed() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 60);
    tree.files(3000, 12_000);
    tree.file("large.log", 8 << 20);
    let seeder = seed(&stage, &tree);
    let first = pull(&stage, &seeder);
    seeder.interrupt();
    let again = pull(&stage, &seed(&stage, &tree));
    assert_eq!((again.total("received"), again.total("bytes_kept")), (0, first.total("bytes_total")));

    let (mut changed, gone) = update(&mut tree, 3000);
    let log = tree.path().join("large.log");
    File::options().write(true).open(&log).unwrap().write_all_at(&[7; 100_000], 8 << 20).unwrap();
    changed.insert(log, 8 << 20..(8 << 20) + 100_000);
    let end = pull(&stage, &seed(&stage, &tree));
    gone.iter().for_each(|name| remove_quietly(&stage.path("copy").join(name)));
    assert_equal(tree.path(), &stage.path("copy"));
    let (received, needed) = (end.total("received"), touched(tree.path(), &changed));
    assert!(received <= needed * 6 / 5, "{received} bytes came for changes in chunks of {needed}");
    assert!(needed < end.total("bytes_total") / 3, "the change is too large to show anything: {needed}");
    assert_eq!(end.total("bytes_kept") + received, end.total("bytes_total"));
}

#[test]
fn digests_that_are_late_make_nobody_fetch_what_is_there() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 61);
    let file = tree.file("large", 96 << 20);
    let seeder = seed(&stage, &tree);
    pull(&stage, &seeder);
    seeder.interrupt();
    // The publisher comes to the last chunk when it has hashed everything before it.
    File::options().write(true).open(&file).unwrap().write_all_at(b"news", (96 << 20) - 4).unwrap();
    let end = pull(&stage, &seed(&stage, &tree));
    assert_equal(tree.path(), &stage.path("copy"));
    assert_eq!((end.total("received"), end.total("bytes_kept")), (CHUNK, (96 << 20) - CHUNK));
}

#[test]
fn of_a_damaged_copy_only_the_damage_is_fetched() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 62);
    ["a", "b", "c", "d"].iter().for_each(|name| _ = tree.file(name, 4 << 20));
    let seeder = seed(&stage, &tree);
    let total = pull(&stage, &seeder).total("bytes_total");
    let copy = |name: &str| File::options().write(true).open(stage.path("copy").join(name)).unwrap();
    copy("a").write_all_at(b"damage", 1 << 20).unwrap();
    set_time(&stage.path("copy/b"), 1_000_000_000, 0);
    copy("c").set_len(3 << 20).unwrap();
    let end = pull(&stage, &seeder);
    assert_equal(tree.path(), &stage.path("copy"));
    let lost = CHUNK + (1 << 20);
    assert_eq!((end.total("received"), end.total("bytes_kept")), (lost, total - lost));
}
