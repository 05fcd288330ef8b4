//! Compare: whether every copy is what the source is, judged without any part of strew.
//!
//! Several threads take pairs of an item and a copy from one counter, so the copies of one large file are read side by side. The
//! source's digest is made once for each file, by whoever needs it first; everybody else waits for it.
//!
//! Invariant: a copy counts as equal only when each item was found in it with the same type, mode, time, link target and content
//! (BLAKE3 over all bytes), and nothing else was found in its folders but strew's own state.
//!
//! Not here: what belongs to the source (`tree`).

use std::fs::{self, File};
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::tree::{Item, Kind, Look, Tree};
use crate::manifest::STATE_DIR;

/// A comparison of several copies with their source.
pub(super) struct Comparison {
    tree: Tree,
    copies: Vec<PathBuf>,
    digests: Vec<OnceLock<Option<blake3::Hash>>>,
    next: AtomicUsize,
    bytes: AtomicU64,
    stopped: AtomicBool,
    verdict: Mutex<Verdict>,
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    /// How many differences there are.
    pub(super) count: u64,
    /// The first few of them.
    pub(super) shown: Vec<Difference>,
}

/// A place where a copy is not what the source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// Which copy, counted from zero.
    pub(super) copy: usize,
    /// The path beneath the root.
    pub(super) path: PathBuf,
    /// In which way it differs.
    pub(super) what: String,
    /// Whether the source is not any more what it was before the transfer.
    pub(super) source_changed: bool,
}

impl Comparison {
    /// A comparison of these copies with `tree`.
    pub(super) fn new(tree: Tree, copies: Vec<PathBuf>) -> Self {
        let digests = tree.items.iter().map(|_| OnceLock::new()).collect();
        let (next, bytes, stopped) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicBool::new(false));
        Self { tree, copies, digests, next, bytes, stopped, verdict: Mutex::default() }
    }

    /// Bytes of copies that were compared until now, and how many there are in all.
    pub(super) fn progress(&self) -> (u64, u64) {
        let copies = u64::try_from(self.copies.len()).unwrap_or(u64::MAX);
        (self.bytes.load(Ordering::Relaxed), self.tree.bytes.saturating_mul(copies))
    }

    /// Ends [`Comparison::run`] soon; what it found until then is no verdict.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Compares with `threads` threads. Returns when all is compared.
    pub(super) fn run(&self, threads: usize) -> Verdict {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| self.work());
            }
        });
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn work(&self) {
        while !self.stopped.load(Ordering::Relaxed) {
            let pair = self.next.fetch_add(1, Ordering::Relaxed);
            let (at, copy) = (pair / self.copies.len(), pair % self.copies.len());
            let Some(item) = self.tree.items.get(at) else { return };
            if let Err(what) = self.compare(at, item, &self.copies[copy]) {
                self.note(item, copy, what);
            }
        }
    }

    /// Compares one item in one copy.
    fn compare(&self, at: usize, item: &Item, copy: &Path) -> Result<(), String> {
        let path = copy.join(&item.path);
        let seen = Look::at(&path).map_err(|error| unreadable(&error))?;
        if let Some(look) = &item.look {
            describe(look, seen.as_ref()).map_or(Ok(()), Err)?;
        }
        match item.look.as_ref().map(|look| &look.kind) {
            Some(Kind::Link(_)) => Ok(()),
            None | Some(Kind::Folder) => {
                let names = names(&path, item.look.is_none()).map_err(|error| unreadable(&error))?;
                if names == item.names {
                    return Ok(());
                }
                Err(format!("has {names} names instead of {}", item.names))
            }
            Some(Kind::File(len)) => {
                let here = digest(&path, &self.stopped).map_err(|error| unreadable(&error))?;
                let source = self.digests[at]
                    .get_or_init(|| digest(&self.tree.root.join(&item.path), &self.stopped).ok().flatten());
                self.bytes.fetch_add(*len, Ordering::Relaxed);
                if self.stopped.load(Ordering::Relaxed) || (here.is_some() && here == *source) {
                    return Ok(());
                }
                Err("has other content".to_owned())
            }
        }
    }

    fn note(&self, item: &Item, copy: usize, what: String) {
        let source_changed = item.look.is_some() && self.look_again(item) != item.look;
        let mut verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        verdict.count += 1;
        if verdict.shown.len() < SHOWN_MAX {
            verdict.shown.push(Difference { copy, path: item.path.clone(), what, source_changed });
        }
    }

    /// What the source looks like now; a source that is a single file may be named by a link to it.
    fn look_again(&self, item: &Item) -> Option<Look> {
        let path = self.tree.root.join(&item.path);
        let is_file = item.look.as_ref().is_some_and(|look| matches!(look.kind, Kind::File(_)));
        let path = if is_file { fs::canonicalize(path).ok()? } else { path };
        Look::at(&path).ok().flatten()
    }
}

/// In which way what is seen differs from what it should look like; `None` when it does not.
fn describe(look: &Look, seen: Option<&Look>) -> Option<String> {
    let Some(seen) = seen else { return Some("is a special file".to_owned()) };
    match (&look.kind, &seen.kind) {
        (Kind::File(len), Kind::File(found)) if len != found => {
            return Some(format!("has {found} bytes instead of {len}"));
        }
        (Kind::Link(target), Kind::Link(found)) if target != found => {
            return Some(format!("leads to {} instead of {}", found.display(), target.display()));
        }
        (expected, found) if std::mem::discriminant(expected) != std::mem::discriminant(found) => {
            return Some(format!("is a {} instead of a {}", found.noun(), expected.noun()));
        }
        _ => {}
    }
    if look.mode != seen.mode {
        return Some(format!("has the mode {:o} instead of {:o}", seen.mode, look.mode));
    }
    (look.mtime != seen.mtime).then(|| "has another time of modification".to_owned())
}

impl Kind {
    const fn noun(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Folder => "folder",
            Self::Link(_) => "symbolic link",
        }
    }
}

/// The names in a folder; at the root without strew's own state.
fn names(folder: &Path, is_root: bool) -> io::Result<u64> {
    let mut names = 0;
    for entry in fs::read_dir(folder)? {
        names += u64::from(!(is_root && entry?.file_name() == STATE_DIR));
    }
    Ok(names)
}

/// The digest of a file's content; `None` when it was stopped on the way.
fn digest(path: &Path, stopped: &AtomicBool) -> io::Result<Option<blake3::Hash>> {
    let mut hasher = blake3::Hasher::new();
    let file = File::open(path)?;
    while !stopped.load(Ordering::Relaxed) {
        let before = hasher.count();
        hasher.update_reader(io::Read::take(&file, READ_AT_ONCE))?;
        if hasher.count() == before {
            return Ok(Some(hasher.finalize()));
        }
    }
    Ok(None)
}

fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "is missing".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// As many threads as the machine has processors: hashing is what takes the time as long as the copies are in memory.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, NonZeroUsize::get)
}

/// Differences that are shown; who needs all of them has diff.
const SHOWN_MAX: usize = 5;
/// Bytes between two looks at whether to stop: a small part of a second on any disk.
const READ_AT_ONCE: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::{Duration, SystemTime};

    use super::*;

    /// A small tree at `root`, always the same.
    fn plant(root: &Path) {
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/file"), b"12345").unwrap();
        fs::write(root.join("a/b/empty"), b"").unwrap();
        symlink("file", root.join("a/link")).unwrap();
        for path in ["a/b/empty", "a/file", "a/link", "a/b", "a"] {
            settle(&root.join(path));
        }
    }

    /// Gives a file, folder or link one fixed time.
    fn settle(path: &Path) {
        use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
        let time = Timespec { tv_sec: 1_000_000_000, tv_nsec: 5 };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }

    /// What is found when `spoil` was done to one of two copies.
    fn found(spoil: impl FnOnce(&Path)) -> Vec<(usize, String, String)> {
        let dir = tempfile::tempdir().unwrap();
        let [source, good, bad] = ["source", "good", "bad"].map(|name| dir.path().join(name));
        [&source, &good, &bad].into_iter().for_each(|root| plant(root));
        spoil(&bad);
        let comparison = Comparison::new(Tree::survey(&source).unwrap(), vec![good, bad]);
        let verdict = comparison.run(3);
        assert_eq!(usize::try_from(verdict.count).unwrap(), verdict.shown.len());
        assert!(verdict.shown.iter().all(|difference| !difference.source_changed));
        let told = |d: Difference| (d.copy, d.path.to_str().unwrap().to_owned(), d.what);
        let mut told: Vec<_> = verdict.shown.into_iter().map(told).collect();
        told.sort();
        told
    }

    /// The only difference found, which must be in the second copy.
    fn only(spoil: impl FnOnce(&Path)) -> (String, String) {
        let mut all = found(spoil);
        assert_eq!(all.len(), 1, "{all:?}");
        let (copy, path, what) = all.remove(0);
        assert_eq!(copy, 1);
        (path, what)
    }

    #[test]
    fn equal_trees_are_equal_and_strews_own_state_does_not_count() {
        assert_eq!(found(|_| ()), []);
        assert_eq!(found(|copy| fs::create_dir(copy.join(STATE_DIR)).unwrap()), []);
    }

    #[test]
    fn every_kind_of_difference_is_found_and_told() {
        let rewrite = |text: &'static [u8]| {
            move |copy: &Path| {
                fs::write(copy.join("a/file"), text).unwrap();
                settle(&copy.join("a/file"));
            }
        };
        assert_eq!(only(rewrite(b"12346")), ("a/file".into(), "has other content".into()));
        assert_eq!(only(rewrite(b"1234")), ("a/file".into(), "has 4 bytes instead of 5".into()));
        let mode = |copy: &Path| fs::set_permissions(copy.join("a/b"), Permissions::from_mode(0o700)).unwrap();
        assert!(only(mode).1.starts_with("has the mode 700 instead of "));
        let later = |copy: &Path| {
            let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 6);
            File::options().write(true).open(copy.join("a/b/empty")).unwrap().set_modified(time).unwrap();
        };
        assert_eq!(only(later), ("a/b/empty".into(), "has another time of modification".into()));
        let elsewhere = |copy: &Path| {
            fs::remove_file(copy.join("a/link")).unwrap();
            symlink("b", copy.join("a/link")).unwrap();
            settle(&copy.join("a"));
        };
        assert_eq!(only(elsewhere), ("a/link".into(), "leads to b instead of file".into()));
        let other_type = |copy: &Path| {
            fs::remove_file(copy.join("a/link")).unwrap();
            fs::create_dir(copy.join("a/link")).unwrap();
            settle(&copy.join("a"));
        };
        assert_eq!(only(other_type), ("a/link".into(), "is a folder instead of a symbolic link".into()));
    }

    #[test]
    fn what_is_missing_or_too_much_is_found() {
        let missing = found(|copy| {
            fs::remove_file(copy.join("a/b/empty")).unwrap();
            settle(&copy.join("a/b"));
        });
        let expected = [(1, "a/b", "has 0 names instead of 1"), (1, "a/b/empty", "is missing")]
            .map(|(c, p, w)| (c, p.into(), w.into()));
        assert_eq!(missing, expected);
        let extra = only(|copy| fs::write(copy.join("extra"), b"").unwrap());
        assert_eq!(extra, (String::new(), "has 2 names instead of 1".into()));
    }

    #[test]
    fn a_source_that_changed_is_told_from_a_bad_copy() {
        let dir = tempfile::tempdir().unwrap();
        let [source, copy] = ["source", "copy"].map(|name| dir.path().join(name));
        [&source, &copy].into_iter().for_each(|root| plant(root));
        let tree = Tree::survey(&source).unwrap();
        fs::write(source.join("a/file"), b"54321").unwrap();
        let verdict = Comparison::new(tree, vec![copy]).run(2);
        assert_eq!(verdict.count, 1);
        assert!(verdict.shown[0].source_changed);
    }

    #[test]
    fn progress_ends_where_it_said() {
        let dir = tempfile::tempdir().unwrap();
        let [source, copy] = ["source", "copy"].map(|name| dir.path().join(name));
        [&source, &copy].into_iter().for_each(|root| plant(root));
        let comparison = Comparison::new(Tree::survey(&source).unwrap(), vec![copy]);
        assert_eq!(comparison.progress(), (0, 5));
        comparison.run(1);
        assert_eq!(comparison.progress(), (5, 5));
    }
}
