//! Spans: which bytes of which files make up a range of the content.
//!
//! Invariant: the spans of a range are in file order, never empty, and add up to the range.
//!
//! Why an iterator and not a list: a chunk of 16 MiB may hold thousands of small files, and its caller takes one at a
//! time.
//!
//! Not here: where a file lies on the disk.

use std::ops::Range;

use crate::manifest::Entries;

/// A byte range of one file, and where it lies in the buffer that holds the whole range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Index of the file's entry.
    pub(super) entry: usize,
    /// Offset in the file.
    pub(super) offset: u64,
    /// Position in the buffer.
    pub(super) within: Range<usize>,
}

/// The spans of `len` bytes of the content that begin at `offset`.
///
/// # Panics
/// When the range reaches beyond the content: callers make ranges from its layout.
pub(super) fn spans(entries: &Entries, offset: u64, len: usize) -> impl Iterator<Item = Span> + '_ {
    let end = offset.checked_add(len as u64).filter(|end| *end <= entries.total());
    let end = end.expect("a range within the content");
    let mut at = offset;
    let mut entry = if len == 0 { 0 } else { entries.at(offset) };
    std::iter::from_fn(move || {
        if at == end {
            return None;
        }
        while entries.start(entry + 1) <= at {
            entry += 1;
        }
        let stop = end.min(entries.start(entry + 1));
        let position = |n: u64| usize::try_from(n - offset).expect("no longer than the buffer");
        let span = Span { entry, offset: at - entries.start(entry), within: position(at)..position(stop) };
        at = stop;
        Some(span)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Entry, EntryKind, RelPath};

    fn entries(sizes: &[u64]) -> Entries {
        let file = |(i, size): (usize, &u64)| Entry {
            path: RelPath::parse(format!("{i:03}").as_bytes()).unwrap(),
            kind: EntryKind::File { size: *size },
            mode: 0o644,
            mtime_secs: 0,
            mtime_nanos: 0,
        };
        Entries::parse(sizes.iter().enumerate().map(file).collect()).unwrap()
    }

    fn shown(entries: &Entries, offset: u64, len: usize) -> Vec<(usize, u64, Range<usize>)> {
        spans(entries, offset, len).map(|s| (s.entry, s.offset, s.within)).collect()
    }

    #[test]
    fn a_range_over_several_files_skips_the_empty_ones() {
        let entries = entries(&[0, 3, 0, 0, 5, 1]);
        assert_eq!(shown(&entries, 0, 9), [(1, 0, 0..3), (4, 0, 3..8), (5, 0, 8..9)]);
        assert_eq!(shown(&entries, 2, 3), [(1, 2, 0..1), (4, 0, 1..3)]);
        assert_eq!(shown(&entries, 4, 2), [(4, 1, 0..2)]);
        assert_eq!(shown(&entries, 9, 0), []);
    }

    #[test]
    #[should_panic(expected = "a range within the content")]
    fn a_range_beyond_the_content_is_a_bug() {
        let _ = spans(&entries(&[3]), 1, 3).count();
    }
}
