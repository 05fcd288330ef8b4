//! Tests of a replica's life. A source tree is scanned, its chunks are carried to a destination by hand, and both are
//! compared.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::*;
use crate::manifest::EntryKind;
use crate::store::{Boot, ErrorKind, Published, Resolution, SymlinkPolicy, scan};

mod confinement;
mod disk_full;
mod occupied;
mod resume;
mod revoked;
mod zeros;

/// Small, so that a small tree has many chunks, and files share them.
const CHUNK: u64 = 1024;

/// A source and everything that a test needs to replicate it.
struct Source {
    tmp: tempfile::TempDir,
}

impl Source {
    fn empty() -> Self {
        Self { tmp: tempfile::tempdir().unwrap() }
    }

    /// Files around the size of a chunk, an empty one, an empty folder, and a link.
    fn small() -> Self {
        let source = Self::empty();
        for (name, size) in [("a", 10), ("b/big", 5000), ("b/c/exact", 1024), ("b/c/z", 1500), ("empty", 0), ("t", 1)] {
            source.file(name, &bytes(size, name.len()));
        }
        fs::create_dir(source.path().join("hollow")).unwrap();
        symlink("b/big", source.path().join("link")).unwrap();
        source
    }

    fn path(&self) -> &Path {
        self.tmp.path()
    }

    fn file(&self, name: &str, data: &[u8]) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, data).unwrap();
    }

    fn publish(&self) -> Published {
        Published::new(scan(self.path(), SymlinkPolicy::Keep).unwrap())
    }
}

fn bytes(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i * 31 + i / 256 + seed) % 251).unwrap()).collect()
}

fn layout_of(published: &Published) -> Layout {
    Layout::new(published.entries().total(), CHUNK).unwrap()
}

/// Opens `dst` in a boot and begins with what was published.
fn begin_in(boot: &str, published: &Published, dst: &Path) -> Result<Begun, StoreError> {
    let options = OpenOptions { boot: Some(Boot::named(boot)), resolution: None };
    begin_with(options, published, dst)
}

fn begin_with(options: OpenOptions, published: &Published, dst: &Path) -> Result<Begun, StoreError> {
    Replica::open_with(dst, options)?.begin(NewContent {
        id: [1; 32],
        entries: Arc::clone(published.entries()),
        layout: layout_of(published),
        header: b"header",
        pages: &[b"page one".to_vec(), b"page two".to_vec()],
        allocated: None,
    })
}

fn begin(published: &Published, dst: &Path) -> Begun {
    begin_in("now", published, dst).unwrap()
}

fn chunk_of(published: &Published, chunk: ChunkId) -> Vec<u8> {
    let layout = layout_of(published);
    let mut data = vec![0; usize::try_from(layout.len(chunk)).unwrap()];
    published.read_at(layout.range(chunk).start, &mut data).unwrap();
    data
}

/// Writes every missing chunk, the last one first.
fn fill(published: &Published, replica: &Replica) {
    let missing: Vec<ChunkId> = replica.have().missing().collect();
    for chunk in missing.into_iter().rev() {
        replica.write_chunk(chunk, &chunk_of(published, chunk)).unwrap();
    }
}

fn replicate(source: &Source, dst: &Path) -> Replica {
    let published = source.publish();
    let begun = begin(&published, dst);
    fill(&published, &begun.replica);
    begun.replica.finish().unwrap();
    begun.replica
}

/// Everything that a copy must have in common with its source, one line per entry.
fn listing(root: &Path) -> Vec<String> {
    let scan = scan(root, SymlinkPolicy::Keep).unwrap();
    let line = |e: &crate::manifest::Entry| {
        let what = match &e.kind {
            EntryKind::File { .. } => {
                let data = fs::read(root.join(std::ffi::OsStr::from_bytes(e.path.as_bytes()))).unwrap();
                format!("{} bytes {:x}", data.len(), xxhash_rust::xxh3::xxh3_64(&data))
            }
            EntryKind::Dir => "folder".to_string(),
            EntryKind::Symlink { target } => format!("-> {}", target.escape_ascii()),
        };
        format!("{} {what} {:o} {}.{:09}", e.path, e.mode, e.mtime_secs, e.mtime_nanos)
    };
    scan.entries.as_slice().iter().map(line).collect()
}

fn destination() -> (tempfile::TempDir, PathBuf) {
    let tmp = tempfile::tempdir().unwrap();
    let dst = tmp.path().join("dst");
    (tmp, dst)
}

#[test]
fn a_copy_equals_its_source_in_bytes_modes_times_links_and_what_is_empty() {
    let source = Source::small();
    let (_tmp, dst) = destination();
    replicate(&source, &dst);
    assert_eq!(listing(&dst), listing(source.path()));
    assert_eq!(fs::read_dir(dst.join(".strew/partial")).unwrap().count(), 0);
}

#[test]
fn odd_names_and_unusual_modes_arrive_as_they_are() {
    let source = Source::empty();
    for name in [&b"a b"[..], b"line\nbreak", b"\xff\xfe", b"-rf", b"\x1b[2J"] {
        fs::write(source.path().join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    let modes = [
        0o000, 0o100, 0o111, 0o200, 0o222, 0o400, 0o440, 0o444, 0o500, 0o555, 0o600, 0o640, 0o644, 0o664, 0o666, 0o700,
        0o711, 0o755, 0o777,
    ];
    for mode in modes {
        let (file, folder) = (format!("file {mode:o}"), format!("folder {mode:o}"));
        source.file(&file, file.as_bytes());
        source.file(&format!("{folder}/inside"), b"x");
        fs::set_permissions(source.path().join(file), fs::Permissions::from_mode(mode)).unwrap();
        // Whoever runs the tests must be able to list the folder.
        fs::set_permissions(source.path().join(folder), fs::Permissions::from_mode(mode | 0o500)).unwrap();
    }
    if !rustix::process::geteuid().is_root() {
        for mode in modes.into_iter().filter(|mode| mode & 0o400 == 0) {
            fs::remove_file(source.path().join(format!("file {mode:o}"))).unwrap();
        }
    }
    let (_tmp, dst) = destination();
    replicate(&source, &dst);
    assert_eq!(listing(&dst), listing(source.path()));
    for mode in modes {
        // Temporary folders cannot be removed by an ordinary user otherwise.
        for root in [source.path(), &dst] {
            fs::set_permissions(root.join(format!("folder {mode:o}")), fs::Permissions::from_mode(0o700)).unwrap();
        }
    }
}

#[test]
fn nothing_is_under_a_final_name_before_all_its_chunks_are() {
    let source = Source::small();
    let published = source.publish();
    let (_tmp, dst) = destination();
    let Begun { replica, .. } = begin(&published, &dst);
    let chunks: Vec<ChunkId> = replica.layout().chunks().collect();
    for chunk in chunks {
        replica.write_chunk(chunk, &chunk_of(&published, chunk)).unwrap();
        replica.commit().unwrap();
        for entry in published.entries().as_slice() {
            let path = dst.join(std::ffi::OsStr::from_bytes(entry.path.as_bytes()));
            if let (EntryKind::File { .. }, Ok(found)) = (&entry.kind, fs::read(path)) {
                let original = source.path().join(std::ffi::OsStr::from_bytes(entry.path.as_bytes()));
                assert_eq!(found, fs::read(original).unwrap(), "{}", entry.path);
            }
        }
    }
    replica.finish().unwrap();
    assert_eq!(listing(&dst), listing(source.path()));
}

#[test]
fn chunks_are_served_before_and_after_their_files_are_final() {
    let source = Source::small();
    let published = source.publish();
    let (_tmp, dst) = destination();
    let Begun { replica, .. } = begin(&published, &dst);
    let chunks: Vec<ChunkId> = replica.layout().chunks().collect();
    let mut served: Vec<ChunkId> = Vec::new();
    for chunk in chunks {
        replica.write_chunk(chunk, &chunk_of(&published, chunk)).unwrap();
        served.push(chunk);
        if served.len().is_multiple_of(3) {
            replica.commit().unwrap();
        }
        for chunk in &served {
            let expected = chunk_of(&published, *chunk);
            let mut data = vec![0; expected.len()];
            replica.read_at(replica.layout().range(*chunk).start, &mut data).unwrap();
            assert_eq!(data, expected);
        }
    }
    replica.finish().unwrap();
    let mut all = vec![0; usize::try_from(replica.layout().total()).unwrap()];
    replica.read_back(0, &mut all).unwrap();
    let mut expected = vec![0; all.len()];
    published.read_at(0, &mut expected).unwrap();
    assert!(all == expected);
}

#[test]
fn several_threads_write_commit_and_read_at_once() {
    let source = Source::empty();
    for i in 0..300 {
        source.file(&format!("{}/{i}", i % 7), &bytes(i * 13, i));
    }
    let published = source.publish();
    let (_tmp, dst) = destination();
    let Begun { replica, .. } = begin(&published, &dst);
    let chunks: Vec<ChunkId> = replica.layout().chunks().collect();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            // Neighbouring workers write the same chunks, as two sources do in the end game.
            let (chunks, published, replica) = (&chunks, &published, &replica);
            scope.spawn(move || {
                for chunk in
                    chunks.iter().filter(|c| c.as_usize() % 4 == worker || c.as_usize() % 4 == (worker + 1) % 4)
                {
                    let expected = chunk_of(published, *chunk);
                    replica.write_chunk(*chunk, &expected).unwrap();
                    let mut data = vec![0; expected.len()];
                    replica.read_at(replica.layout().range(*chunk).start, &mut data).unwrap();
                    assert!(data == expected, "{chunk:?}");
                    if chunk.as_usize() % 16 == 0 {
                        replica.commit().unwrap();
                    }
                }
            });
        }
    });
    assert!(replica.have().is_full());
    replica.finish().unwrap();
    assert_eq!(listing(&dst), listing(source.path()));
}

#[test]
fn holes_arrive_as_holes_and_need_no_room() {
    let source = Source::empty();
    source.file("sparse", &bytes(3000, 1));
    fs::File::options().write(true).open(source.path().join("sparse")).unwrap().set_len(64 << 20).unwrap();
    let published = source.publish();
    let (_tmp, dst) = destination();
    let layout = Layout::new(published.entries().total(), 1 << 20).unwrap();
    let opened = Replica::open(&dst).unwrap();
    let content = NewContent {
        id: [2; 32],
        entries: Arc::clone(published.entries()),
        layout,
        header: b"",
        pages: &[],
        allocated: None,
    };
    let Begun { replica, .. } = opened.begin(content).unwrap();
    let mut data = vec![0; 1 << 20];
    for chunk in layout.chunks() {
        published.read_at(layout.range(chunk).start, &mut data).unwrap();
        replica.write_chunk(chunk, &data).unwrap();
    }
    replica.finish().unwrap();
    let copy = fs::metadata(dst.join("sparse")).unwrap();
    assert_eq!(copy.size(), 64 << 20);
    assert!(copy.blocks() * 512 <= 256 << 10, "{} bytes allocated", copy.blocks() * 512);
    assert_eq!(listing(&dst), listing(source.path()));
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let source = Source::small();
    let published = source.publish();
    let (_tmp, dst) = destination();
    let first = begin(&published, &dst);
    let second = begin_in("now", &published, &dst).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::InUse, "{second}");
    drop(first);
    begin(&published, &dst);
}

#[test]
fn a_copy_that_is_not_whole_cannot_be_finished() {
    let source = Source::small();
    let published = source.publish();
    let (_tmp, dst) = destination();
    let Begun { replica, .. } = begin(&published, &dst);
    assert!(
        matches!(replica.finish(), Err(StoreError::Incomplete { missing, .. }) if missing == replica.layout().count())
    );
}

#[test]
fn a_finished_file_that_somebody_changes_is_not_served() {
    let source = Source::small();
    let (_tmp, dst) = destination();
    let replica = replicate(&source, &dst);
    fs::write(dst.join("a"), "0123456789").unwrap();
    let altered = replica.read_at(0, &mut [0; 10]).unwrap_err();
    assert!(matches!(&altered, StoreError::Altered { path } if path.ends_with("a")), "{altered}");
}

#[test]
fn a_finished_executable_can_be_executed_while_it_is_served() {
    let source = Source::empty();
    source.file("script", b"#!/bin/sh\nexit 7\n");
    fs::copy("/bin/true", source.path().join("binary")).unwrap();
    let (_tmp, dst) = destination();
    let replica = replicate(&source, &dst);
    assert!(std::process::Command::new(dst.join("binary")).status().unwrap().success());
    drop(replica);
}

#[test]
fn files_wait_for_a_group_before_they_become_final() {
    let source = Source::empty();
    for i in 0..progress::GROUP_FILES {
        source.file(&format!("{i}"), &[1; 8]);
    }
    let published = source.publish();
    let (_tmp, dst) = destination();
    let Begun { replica, .. } = begin(&published, &dst);
    assert!(!replica.commit_due());
    fill(&published, &replica);
    assert!(replica.commit_due(), "a full group");
    assert_eq!(replica.commit().unwrap(), CommitReport { files: 256, bytes: 2048 });
    assert!(!replica.commit_due());
}
