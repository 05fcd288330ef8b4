//! Pages: the entries of a content as bytes, in parts small enough to check and to ask for one by one.
//!
//! Equal trees must make equal bytes, so nothing here is a choice. An entry's path is written as the number of bytes that it
//! shares with the entry before it on the page (the most possible, zero for the first) and the rest. A page takes entries in
//! order as long as it stays within [`PAGE_LEN_MAX`]; the first that does not fit begins the next page.
//!
//! Entry: type u8 (0 file, 1 folder, 2 symlink) · mode u16 · mtime seconds i64 · mtime nanoseconds u32 · size u64 for a file, or
//! length u16 and target for a symlink · shared u16 · length u16 and rest of the path. Numbers with the least significant byte
//! first. Invariant: decoding accepts other spellings of the same entries, but [`Assembly`](super::Assembly) does not: what it
//! accepts encodes to the same id again.
//!
//! Not here: the order of entries and what makes them a tree (`entry`).

use super::bytes::{Taker, put_short};
use super::content::ManifestError;
use super::digest::Digest;
use super::entry::{Entry, EntryKind};
use super::header::PAGES_MAX;
use super::path::RelPath;

/// The longest page in bytes: what one peer buffers of another's on trust in the header alone.
pub const PAGE_LEN_MAX: usize = 1 << 20;

const FILE: u8 = 0;
const DIR: u8 = 1;
const SYMLINK: u8 = 2;

/// Where each page begins, and what it hashes to.
pub(super) struct Paging {
    /// Index of the first entry of each page.
    pub(super) starts: Vec<u32>,
    /// Hash of each page.
    pub(super) hashes: Vec<Digest>,
}

impl Paging {
    /// Cuts `entries` into pages.
    pub(super) fn of(entries: &[Entry]) -> Result<Self, ManifestError> {
        let mut paging = Self { starts: Vec::new(), hashes: Vec::new() };
        let mut next = 0;
        while next < entries.len() {
            if paging.starts.len() == PAGES_MAX {
                return Err(ManifestError::TooLarge);
            }
            paging.starts.push(u32::try_from(next).map_err(|_| ManifestError::TooLarge)?);
            let (page, taken) = fill(&entries[next..]);
            paging.hashes.push(Digest::of_page(&page));
            next += taken;
        }
        Ok(paging)
    }
}

/// The page that begins with the first of `entries`, and how many of them are on it.
pub(super) fn fill(entries: &[Entry]) -> (Vec<u8>, usize) {
    let mut page = Vec::new();
    let mut previous: &[u8] = b"";
    for (taken, entry) in entries.iter().enumerate() {
        let len = page.len();
        put_entry(&mut page, previous, entry);
        if page.len() > PAGE_LEN_MAX {
            page.truncate(len);
            return (page, taken);
        }
        previous = entry.path.as_bytes();
    }
    (page, entries.len())
}

/// Appends one entry.
fn put_entry(out: &mut Vec<u8>, previous: &[u8], entry: &Entry) {
    out.push(match entry.kind {
        EntryKind::File { .. } => FILE,
        EntryKind::Dir => DIR,
        EntryKind::Symlink { .. } => SYMLINK,
    });
    out.extend_from_slice(&entry.mode.to_le_bytes());
    out.extend_from_slice(&entry.mtime_secs.to_le_bytes());
    out.extend_from_slice(&entry.mtime_nanos.to_le_bytes());
    match &entry.kind {
        EntryKind::File { size } => out.extend_from_slice(&size.to_le_bytes()),
        EntryKind::Dir => {}
        EntryKind::Symlink { target } => put_short(out, target),
    }
    let path = entry.path.as_bytes();
    let shared = previous.iter().zip(path).take_while(|(a, b)| a == b).count();
    let short = u16::try_from(shared).expect("a path is at most 4095 bytes long");
    out.extend_from_slice(&short.to_le_bytes());
    put_short(out, &path[shared..]);
}

/// Appends the entries of a page to `list`, which may not grow beyond `most`.
pub(super) fn read(page: &[u8], list: &mut Vec<Entry>, most: usize) -> Result<(), ManifestError> {
    let mut taker = Taker::new(page);
    let mut path = Vec::new();
    while !taker.is_empty() {
        if list.len() == most {
            return Err(ManifestError::Page);
        }
        let entry = take_entry(&mut taker, &mut path).ok_or(ManifestError::Page)?;
        list.push(entry?);
    }
    Ok(())
}

/// Takes one entry; `path` holds the path of the one before it and then its own.
fn take_entry(taker: &mut Taker<'_>, path: &mut Vec<u8>) -> Option<Result<Entry, ManifestError>> {
    let code = taker.u8()?;
    let (mode, mtime_secs, mtime_nanos) = (taker.u16()?, taker.i64()?, taker.u32()?);
    let kind = match code {
        FILE => EntryKind::File { size: taker.u64()? },
        DIR => EntryKind::Dir,
        SYMLINK => {
            let len = taker.u16()?;
            EntryKind::Symlink { target: taker.slice(usize::from(len))?.into() }
        }
        _ => return None,
    };
    let shared = usize::from(taker.u16()?);
    if shared > path.len() {
        return None;
    }
    let len = taker.u16()?;
    path.truncate(shared);
    path.extend_from_slice(taker.slice(usize::from(len))?);
    let path = RelPath::parse(path).map_err(ManifestError::from);
    Some(path.map(|path| Entry { path, kind, mode, mtime_secs, mtime_nanos }))
}
