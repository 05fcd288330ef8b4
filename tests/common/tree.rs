//! Trees to replicate: what real trees contain and what careless programs stumble over.
//!
//! Everything comes from a seed, so that a failure can be looked at again. Owners may read everything, so that the tests need no root.
//!
//! Invariant: the same seed gives the same names, bytes, modes and times.
//!
//! Not here: comparing (`compare`).

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};

/// Modes that files have in practice and that leave their owner the right to read.
const MODES: [u32; 19] = [
    0o400, 0o440, 0o444, 0o500, 0o550, 0o555, 0o600, 0o604, 0o640, 0o644, 0o646, 0o660, 0o664, 0o666, 0o700, 0o711,
    0o750, 0o755, 0o777,
];

/// Names that break whoever takes names for text.
const NAMES: [&[u8]; 12] = [
    b"with spaces in it",
    b" leading and trailing ",
    b"line\nbreak",
    b"tab\tand\x01control",
    b"caf\xe9 in latin-1",
    b"\xff\xfe\xfd",
    "日本語.txt".as_bytes(),
    b"-rf",
    b"--dst",
    b"quote\"s and 'more' \\ ",
    b"...",
    b"*?[a]$(x)",
];

/// A tree that grows.
pub(crate) struct Tree {
    root: PathBuf,
    rng: fastrand::Rng,
}

impl Tree {
    /// An empty folder.
    pub(crate) fn new(root: PathBuf, seed: u64) -> Self {
        fs::create_dir_all(&root).unwrap();
        Self { root, rng: fastrand::Rng::with_seed(seed) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.root
    }

    /// A file of `len` random bytes, in a folder that is made when it is not there.
    pub(crate) fn file(&mut self, name: impl AsRef<Path>, len: usize) -> PathBuf {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut bytes = vec![0; len];
        self.rng.fill(&mut bytes);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// `count` files with up to `most` bytes in ten folders.
    pub(crate) fn files(&mut self, count: usize, most: usize) {
        for n in 0..count {
            let len = self.rng.usize(0..=most);
            self.file(format!("many/{}/file {n}", n % 10), len);
        }
    }

    /// Everything that a tree can have. About 20 MiB apparent, 12 MiB of them bytes.
    pub(crate) fn hostile(root: PathBuf, seed: u64) -> Self {
        let mut tree = Self::new(root, seed);
        tree.files(60, 20_000);
        tree.file("large/first", 5 << 20);
        tree.file("large/second", (3 << 20) + 1);
        tree.file("large/deep/in/many/folders/third", 1 << 20);
        tree.names();
        tree.holes();
        tree.links();
        tree.empty();
        tree.modes_and_times();
        tree
    }

    fn names(&mut self) {
        for name in NAMES {
            self.file(Path::new("names").join(OsStr::from_bytes(name)), 100);
            self.file(Path::new("names/folders").join(OsStr::from_bytes(name)).join("x"), 10);
        }
        let longest = "n".repeat(255);
        self.file(Path::new("names").join(&longest), 1000);
        self.file(Path::new("long").join(&longest).join(&longest).join("x"), 1000);
        // Only the root's own is not part of a content.
        self.file("names/.strew/journal", 10);
    }

    fn holes(&mut self) {
        let sparse = File::create(self.root.join("sparse")).unwrap();
        sparse.set_len(8 << 20).unwrap();
        sparse.write_all_at(b"in the middle", 3 << 20).unwrap();
        let empty = File::create(self.root.join("a hole")).unwrap();
        empty.set_len((1 << 20) + 1).unwrap();
        fs::write(self.root.join("written zeros"), vec![0; 300_000]).unwrap();
    }

    fn links(&mut self) {
        let links = self.root.join("links");
        fs::create_dir(&links).unwrap();
        for (name, to) in
            [("file", "../large/first"), ("folder", "../large"), ("dangling", "not there"), ("self", "."), ("up", "..")]
        {
            symlink(to, links.join(name)).unwrap();
        }
        symlink(OsStr::from_bytes(b"caf\xe9"), links.join(OsStr::from_bytes(b"\xfe link"))).unwrap();
        fs::hard_link(self.root.join("large/second"), links.join("hard")).unwrap();
    }

    fn empty(&mut self) {
        fs::create_dir_all(self.root.join("empty/within/empty")).unwrap();
        for n in 0..5 {
            self.file(format!("empty/file {n}"), 0);
        }
    }

    fn modes_and_times(&mut self) {
        for mode in MODES {
            let path = self.file(format!("modes/{mode:o}"), 50);
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        let times = [(-1, 999_999_999), (0, 0), (0, 1), (1 << 31, 5), (4_102_444_800, 123_456_789), (1_000_000_000, 1)];
        for (n, (seconds, nanos)) in times.into_iter().enumerate() {
            let path = self.file(format!("times/{n}"), 50);
            set_time(&path, seconds, nanos);
        }
        let folder = self.root.join("names/folders");
        set_time(&self.root.join("links/dangling"), 86_400, 7);
        for (name, mode) in [("modes", 0o555), ("times", 0o711), ("empty/within", 0o500), ("empty/within/empty", 0o777)]
        {
            fs::set_permissions(self.root.join(name), Permissions::from_mode(mode)).unwrap();
        }
        set_time(&folder, 1_234_567_890, 987_654_321);
    }

    /// A fifo, which no content can have.
    pub(crate) fn fifo(&mut self, name: &str) {
        mknodat(CWD, self.root.join(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }
}

/// Sets the modification time of what `path` names, a link itself included.
pub(crate) fn set_time(path: &Path, tv_sec: i64, tv_nsec: i64) {
    let time = Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Sets the modification time of everything beneath `folder`, so that trees made one after the other are equal.
pub(crate) fn set_all_times(folder: &Path, seconds: i64) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            set_all_times(&entry.path(), seconds);
        }
        set_time(&entry.path(), seconds, 0);
    }
}
