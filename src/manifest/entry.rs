//! Entries: what a content consists of, and the one order in which everybody lists them.
//!
//! Invariant: an [`Entries`] is sorted by path bytes, free of duplicates and of paths beneath something that is not a folder,
//! and its sizes add up without overflow. Two equal trees make two equal `Entries`.
//!
//! Not here: how entries are found on a disk (`store`) and how they are paged (`page`).

use super::path::{PATH_LEN_MAX, RelPath};

/// The most entries of a content: a bound for memory, 4 million as large source trees have.
pub const ENTRIES_MAX: usize = 4 << 20;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file of `size` bytes.
    File {
        /// Length in bytes.
        size: u64,
    },
    /// A folder.
    Dir,
    /// A symbolic link; `target` is the text of the link.
    Symlink {
        /// Bytes of the target as the link holds them.
        target: Box<[u8]>,
    },
}

/// One file, folder or symlink of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it lies.
    pub path: RelPath,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits, `mode & 0777`; zero for symlinks, which have none.
    pub mode: u16,
    /// Modification time: seconds since 1970 (may be negative).
    pub mtime_secs: i64,
    /// Modification time: nanoseconds within the second, below 10^9.
    pub mtime_nanos: u32,
}

impl Entry {
    /// Bytes that this entry adds to the content's range.
    #[must_use]
    pub const fn size(&self) -> u64 {
        match self.kind {
            EntryKind::File { size } => size,
            EntryKind::Dir | EntryKind::Symlink { .. } => 0,
        }
    }
}

/// All entries of a content, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entries {
    list: Vec<Entry>,
    /// `starts[i]` is where entry `i` begins in the content's range; one more at the end is the total.
    starts: Vec<u64>,
}

/// A set of entries that is no content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntriesError {
    /// More than [`ENTRIES_MAX`].
    #[error("more than {ENTRIES_MAX} entries")]
    TooMany,
    /// Two entries with one path.
    #[error("{0} is listed twice")]
    Duplicate(RelPath),
    /// Not in ascending order of path bytes.
    #[error("{0} is out of order")]
    Order(RelPath),
    /// The parent is missing or is not a folder.
    #[error("{0} does not lie in a folder of the content")]
    Parent(RelPath),
    /// Mode beyond 0777, nanoseconds beyond a second, or a link without or with too long a target.
    #[error("{0} has impossible metadata")]
    Metadata(RelPath),
    /// Sizes add up to more than 2^63 - 1 bytes.
    #[error("sizes add up to more than a file system can hold")]
    Size,
}

impl Entries {
    /// Takes a list that is in order already, as it comes from the wire or the journal.
    ///
    /// # Errors
    /// [`EntriesError`] names the first entry that breaks the invariant of this type.
    pub fn parse(list: Vec<Entry>) -> Result<Self, EntriesError> {
        if list.len() > ENTRIES_MAX {
            return Err(EntriesError::TooMany);
        }
        let mut starts = Vec::with_capacity(list.len() + 1);
        let mut total: u64 = 0;
        // Folders above the entry at hand. Paths sort by bytes, so `a.txt` may stand between `a` and `a/b`: a folder stays
        // here until a path comes that no longer starts with its bytes.
        let mut open: Vec<usize> = Vec::new();
        for (i, entry) in list.iter().enumerate() {
            if let Some(previous) = i.checked_sub(1).map(|p| &list[p]) {
                match previous.path.cmp(&entry.path) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => return Err(EntriesError::Duplicate(entry.path.clone())),
                    std::cmp::Ordering::Greater => return Err(EntriesError::Order(entry.path.clone())),
                }
            }
            check_metadata(entry)?;
            while open.last().is_some_and(|f| !entry.path.as_bytes().starts_with(list[*f].path.as_bytes())) {
                open.pop();
            }
            if let Some(parent) = entry.path.parent() {
                let found = open.iter().rev().any(|f| list[*f].path == parent);
                if !found {
                    return Err(EntriesError::Parent(entry.path.clone()));
                }
            }
            if entry.kind == EntryKind::Dir {
                open.push(i);
            }
            starts.push(total);
            total = total.checked_add(entry.size()).filter(|t| *t <= i64::MAX as u64).ok_or(EntriesError::Size)?;
        }
        starts.push(total);
        Ok(Self { list, starts })
    }

    /// Sorts a list as it comes from a walk, then [`Entries::parse`]s it.
    ///
    /// # Errors
    /// As [`Entries::parse`].
    pub fn from_walk(mut list: Vec<Entry>) -> Result<Self, EntriesError> {
        list.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Self::parse(list)
    }

    /// The entries in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Entry] {
        &self.list
    }

    /// The symlinks that lead outside the content. Whether such a content is acceptable is a policy (`--symlinks`).
    pub fn escaping(&self) -> impl Iterator<Item = &Entry> {
        self.list.iter().filter(|e| match &e.kind {
            EntryKind::Symlink { target } => !stays_inside(&e.path, target),
            EntryKind::File { .. } | EntryKind::Dir => false,
        })
    }

    /// Bytes of all files together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.starts[self.list.len()]
    }

    /// Where entry `index` begins in the content's range.
    #[must_use]
    pub fn start(&self, index: usize) -> u64 {
        self.starts[index]
    }

    /// The index of the file that holds byte `offset` of the content; `offset` is below [`Entries::total`].
    #[must_use]
    pub fn at(&self, offset: u64) -> usize {
        // Entries without bytes share their start with the next one; the last with this start is the one that holds it.
        self.starts[..self.list.len()].partition_point(|s| *s <= offset) - 1
    }
}

fn check_metadata(entry: &Entry) -> Result<(), EntriesError> {
    let impossible = || EntriesError::Metadata(entry.path.clone());
    if entry.mode > 0o777 || entry.mtime_nanos >= 1_000_000_000 {
        return Err(impossible());
    }
    match &entry.kind {
        EntryKind::Symlink { target } if entry.mode != 0 || target.is_empty() || target.contains(&0) => {
            Err(impossible())
        }
        EntryKind::Symlink { target } if target.len() > PATH_LEN_MAX => Err(impossible()),
        _ => Ok(()),
    }
}

/// Whether the link at `path` leads to something inside the content, judged by its text alone.
#[must_use]
pub fn stays_inside(path: &RelPath, target: &[u8]) -> bool {
    if target.first() == Some(&b'/') {
        return false;
    }
    let mut depth = path.components().count() - 1;
    for component in target.split(|b| *b == b'/') {
        match component {
            b"" | b"." => {}
            b".." if depth == 0 => return false,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, kind: EntryKind) -> Entry {
        let mode = if matches!(kind, EntryKind::Symlink { .. }) { 0 } else { 0o755 };
        Entry { path: RelPath::parse(path.as_bytes()).unwrap(), kind, mode, mtime_secs: 0, mtime_nanos: 0 }
    }

    fn file(path: &str, size: u64) -> Entry {
        entry(path, EntryKind::File { size })
    }

    fn dir(path: &str) -> Entry {
        entry(path, EntryKind::Dir)
    }

    fn link(path: &str, target: &str) -> Entry {
        entry(path, EntryKind::Symlink { target: target.as_bytes().into() })
    }

    #[test]
    fn the_byte_at_an_offset_belongs_to_the_file_that_covers_it() {
        let entries = Entries::from_walk(vec![file("c", 5), dir("b"), file("a", 3), file("b/empty", 0)]).unwrap();
        assert_eq!(entries.total(), 8);
        let holder = |offset| entries.as_slice()[entries.at(offset)].path.to_string();
        assert_eq!([holder(0), holder(2), holder(3), holder(7)], ["a", "a", "c", "c"]);
    }

    #[test]
    fn names_that_sort_between_a_folder_and_its_entries_are_fine() {
        let names = [
            dir("a"),
            file("a-x", 1),
            file("a.txt", 1),
            file("a/b", 1),
            dir("a/c"),
            file("a/c.d", 1),
            file("a/c/e", 1),
        ];
        Entries::parse(names.into()).unwrap();
    }

    #[test]
    fn refuses_lists_that_are_no_tree() {
        let huge = || file("b", i64::MAX as u64);
        for (list, wrong) in [
            (vec![file("a", 1), file("a", 1)], "a is listed twice"),
            (vec![file("b", 1), file("a", 1)], "a is out of order"),
            (vec![file("a", 1), file("a/b", 1)], "a/b does not lie in a folder of the content"),
            (vec![file("x/y", 1)], "x/y does not lie in a folder of the content"),
            (vec![dir("x"), file("xy/z", 1)], "xy/z does not lie in a folder of the content"),
            (vec![Entry { mode: 0o4755, ..file("a", 1) }], "a has impossible metadata"),
            (vec![link("a", "")], "a has impossible metadata"),
            (vec![file("a", 1), huge()], "sizes add up to more than a file system can hold"),
        ] {
            assert_eq!(Entries::parse(list).unwrap_err().to_string(), wrong);
        }
    }

    #[test]
    fn symlinks_may_wander_but_not_leave() {
        let at = |p: &str| RelPath::parse(p.as_bytes()).unwrap();
        for target in ["x", "../x", "./../b/../x", "."] {
            assert!(stays_inside(&at("a/b"), target.as_bytes()), "{target}");
        }
        for target in ["/etc/passwd", "../../x", "x/../../../y"] {
            assert!(!stays_inside(&at("a/b"), target.as_bytes()), "{target}");
        }
    }
}
