//! Holes: what is not there costs neither time nor bytes nor room.
//!
//! Invariant: a copy of a sparse file has the same bytes and occupies what its source does.
//!
//! Not here: which digests zeros have, and writing them (tests beside the code).

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use rustix::fs::{SeekFrom, seek};

use crate::common::{Node, Stage, Tree, assert_equal};

/// What a file system may use beyond the data to note where they lie: two of its blocks.
const SLACK: u64 = 8 << 10;

/// Ranges of the file that are no holes.
fn islands(file: &File) -> Vec<Range<u64>> {
    let (mut islands, mut at) = (Vec::new(), 0);
    while let Ok(start) = seek(file, SeekFrom::Data(at)) {
        at = seek(file, SeekFrom::Hole(start)).unwrap();
        islands.push(start..at);
    }
    islands
}

/// Asserts that both files have the same length and bytes, without reading what is a hole in both.
fn assert_same_bytes(source: &Path, copy: &Path) {
    let [source, copy] = [source, copy].map(|path| File::open(path).unwrap());
    assert_eq!(source.metadata().unwrap().len(), copy.metadata().unwrap().len());
    for island in islands(&source).into_iter().chain(islands(&copy)) {
        let [ours, theirs] = [&source, &copy].map(|file| {
            let mut bytes = vec![0; usize::try_from(island.end - island.start).unwrap()];
            file.read_exact_at(&mut bytes, island.start).unwrap();
            bytes
        });
        assert!(ours == theirs, "bytes {island:?} differ");
    }
}

fn occupied(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

#[test]
fn a_sparse_tebibyte_reaches_four_peers_with_all_its_holes() {
    const LEN: u64 = 1 << 40;
    let stage = Stage::new();
    let tree = Tree::new(stage.path("source"), 70);
    let path = tree.path().join("disk.img");
    let file = File::create(&path).unwrap();
    file.set_len(LEN).unwrap();
    let mut rng = fastrand::Rng::with_seed(70);
    for n in 0..8 {
        let mut bytes = vec![0; rng.usize(1..500_000)];
        rng.fill(&mut bytes);
        file.write_all_at(&bytes, LEN / 8 * n + rng.u64(0..1 << 36)).unwrap();
    }
    file.sync_all().unwrap();
    let seeder = stage.seed(tree.path(), &[]);
    let names = ["a", "b", "c", "d"];
    let peers = names.map(|name| stage.pull(&stage.path(name), &[seeder.address()], &["--exit-complete"]));
    let ends = peers.map(|peer| peer.ends_with(0));
    for (name, end) in names.iter().zip(ends) {
        let copy = stage.path(name).join("disk.img");
        assert_same_bytes(&path, &copy);
        let (ours, theirs) = (occupied(&path), occupied(&copy));
        assert!(theirs.abs_diff(ours) <= SLACK, "{theirs} bytes are occupied instead of {ours}");
        assert_eq!(end.total("bytes_done"), LEN);
        // Each island lies in one chunk of 16 MiB or two, and the end game may bring a chunk twice; no chunk of zeros is asked for.
        assert!(end.total("received") <= (16 + 8) * (16 << 20), "{} bytes came", end.total("received"));
    }
}

#[test]
fn a_copy_on_one_machine_reads_no_holes() {
    const LEN: u64 = 256 << 30;
    let stage = Stage::new();
    let tree = Tree::new(stage.path("source"), 73);
    let path = tree.path().join("disk.img");
    let file = File::create(&path).unwrap();
    file.set_len(LEN).unwrap();
    file.write_all_at(&[7; 100_000], LEN / 3).unwrap();
    file.sync_all().unwrap();
    let mut command = stage.pull_command(&stage.path("copy"), &[], &["--exit-complete"]);
    command.arg("--src").arg(tree.path());
    let end = Node::start(command).ends_with(0);
    assert_same_bytes(&path, &stage.path("copy/disk.img"));
    assert!(occupied(&stage.path("copy/disk.img")) <= occupied(&path) + SLACK);
    assert!(end.total("copied") <= 2 * (16 << 20), "{} bytes were read", end.total("copied"));
}

#[test]
fn holes_replace_what_lay_there() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 71);
    let len = 12 << 20;
    let file = File::create(tree.path().join("hollowed")).unwrap();
    file.set_len(len).unwrap();
    file.write_all_at(b"what is left", 5_000_001).unwrap();
    tree.file("dense", 1 << 20);
    let mut old = Tree::new(stage.path("copy"), 72);
    old.file("hollowed", usize::try_from(len).unwrap());
    let seeder = stage.seed(tree.path(), &[]);
    stage.pull(&stage.path("copy"), &[seeder.address()], &["--exit-complete"]).ends_with(0);
    assert_equal(tree.path(), &stage.path("copy"));
}
