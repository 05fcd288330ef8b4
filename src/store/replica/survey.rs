//! Survey: what lies in a destination when a run begins, compared with what is to be there.
//!
//! One look at every entry, before anything is written: a folder where a file must go is found now and not after an
//! hour.
//!
//! Invariant: a survey changes nothing. A file is `Final` only if it carries the stamp that the journal has for it.
//!
//! Not here: reading files. What lies there unproven is for the layer above to hash.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Access, AtFlags, Dir, FileType, Stat, accessat, fstat, readlinkat, statat};
use rustix::process::geteuid;

use super::files::Place;
use crate::bitfield::Bitfield;
use crate::chunk::Layout;
use crate::manifest::{Entries, Entry, EntryKind};
use crate::store::confine::{Folders, Root};
use crate::store::error::StoreError;
use crate::store::journal::Image;
use crate::store::spans::spans;
use crate::store::stamp::{self, Stamp};

/// A destination as it was found.
pub(super) struct Survey {
    /// Where each entry's file lies.
    pub(super) places: Vec<Place>,
    /// How many bytes of each found file may be right: those that it has and is to have.
    found: Vec<u64>,
    /// The stamps of the final ones.
    pub(super) stamps: Vec<Option<Stamp>>,
    /// Folders that are not there, in path order.
    pub(super) absent_folders: Vec<usize>,
    /// Folders in which this user cannot make files.
    pub(super) closed_folders: Vec<usize>,
    /// Whether everything is as the content wants it.
    pub(super) settled: bool,
    /// Bytes on the disk that need not be written again.
    pub(super) allocated: u64,
}

/// A file in the partial folder: its length and what it occupies.
pub(super) type Partials = BTreeMap<usize, (u64, u64)>;

/// The partial files of an earlier run.
pub(super) fn partials(folder: BorrowedFd<'_>) -> Result<Partials, rustix::io::Errno> {
    let mut found = Partials::new();
    for item in Dir::read_from(folder)? {
        let item = item?;
        let Some(entry) = item.file_name().to_str().ok().and_then(|name| name.parse().ok()) else { continue };
        let stat = statat(folder, item.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
        if stamp::file_type(&stat) == FileType::RegularFile {
            found.insert(entry, (stamp::size(&stat), stamp::allocated(&stat)));
        }
    }
    Ok(found)
}

/// Looks at every entry. `image` and `partials` are those of this content, or empty.
pub(super) fn survey(
    root: &Root,
    entries: &Entries,
    image: Option<&Image>,
    partials: &Partials,
) -> Result<Survey, StoreError> {
    let count = entries.as_slice().len();
    let mut survey = Survey {
        places: vec![Place::Absent; count],
        found: vec![0; count],
        stamps: vec![None; count],
        absent_folders: Vec::new(),
        closed_folders: Vec::new(),
        settled: true,
        allocated: 0,
    };
    let (mut folders, doubtful) =
        (Folders::new(root), image.map_or_else(BTreeSet::new, |image| doubtful(entries, image)));
    let device = fstat(root).map_err(|e| StoreError::io("look at", root.path(), e))?.st_dev;
    for (i, entry) in entries.as_slice().iter().enumerate() {
        let refused = |e: std::io::Error| StoreError::io("look at", root.path_of(&entry.path), e);
        let stat = folders.stat(&entry.path).map_err(refused)?;
        if let Some(stat) = &stat {
            refuse_what_is_in_the_way(root, entry, stat, device)?;
        }
        match (&entry.kind, stat) {
            (EntryKind::Dir, stat) => survey.folder(i, entry, stat.as_ref()),
            (EntryKind::Symlink { target }, stat) => {
                let same = match stat.filter(|stat| has_time(stat, entry) && is(stat, FileType::Symlink)) {
                    Some(_) => {
                        let folder = folders.of(&entry.path).map_err(refused)?;
                        let text = readlinkat(folder, entry.path.name(), Vec::new()).map_err(|e| refused(e.into()))?;
                        text.as_bytes() == &target[..]
                    }
                    None => false,
                };
                survey.settled &= same;
            }
            (EntryKind::File { size }, stat) => {
                let stat = stat.filter(|stat| is(stat, FileType::RegularFile));
                let index = u32::try_from(i).expect("fewer entries than 2^32");
                let expected = image.filter(|_| !doubtful.contains(&i)).and_then(|image| image.finals.get(&index));
                let partial = partials.get(&i).filter(|(len, _)| len == size);
                match (stat, partial) {
                    (Some(stat), _) if expected == Some(&Stamp::of(&stat)) => survey.is_final(i, &stat),
                    (_, Some((_, allocated))) => survey.unfinished(i, Place::Partial, *allocated),
                    (Some(stat), None) => {
                        let folder = folders.of(&entry.path).map_err(refused)?;
                        let usable = is_usable(folder, entry.path.name(), &stat);
                        survey.is_found(i, *size, &stat, usable);
                    }
                    (None, None) => survey.unfinished(i, Place::Absent, 0),
                }
            }
        }
    }
    Ok(survey)
}

/// The files of chunks that were found wrong before a kill: the journal says so first, and only then are they taken back from their
/// final names, so they may be there still.
fn doubtful(entries: &Entries, image: &Image) -> BTreeSet<usize> {
    let layout = image.content.layout;
    let spans_of = |chunk| {
        let len = usize::try_from(layout.len(chunk)).expect("a chunk is at most 128 MiB");
        spans(entries, layout.range(chunk).start, len).map(|span| span.entry)
    };
    image.forgotten.iter().flat_map(spans_of).collect()
}

impl Survey {
    fn folder(&mut self, index: usize, entry: &Entry, stat: Option<&Stat>) {
        let Some(stat) = stat else {
            self.absent_folders.push(index);
            self.settled = false;
            return;
        };
        const OWNER_ALL: u16 = 0o700;
        if stamp::mode(stat) & OWNER_ALL != OWNER_ALL {
            self.closed_folders.push(index);
        }
        self.settled &= stamp::mode(stat) == entry.mode && has_time(stat, entry);
    }

    fn is_final(&mut self, index: usize, stat: &Stat) {
        self.places[index] = Place::Final;
        self.stamps[index] = Some(Stamp::of(stat));
        self.allocated += stamp::allocated(stat);
    }

    /// A file lies under the final name, perhaps longer or shorter than it is to be: then it is copied, so that nothing
    /// of what it occupies is spared.
    fn is_found(&mut self, index: usize, size: u64, stat: &Stat, usable: bool) {
        let len = stamp::size(stat);
        let fits = len == size;
        self.found[index] = len.min(size);
        let place = if usable && (fits || self.found[index] > 0) { Place::Found } else { Place::Absent };
        self.unfinished(index, place, if fits { stamp::allocated(stat) } else { 0 });
    }

    fn unfinished(&mut self, index: usize, place: Place, allocated: u64) {
        self.places[index] = place;
        self.settled = false;
        self.allocated += allocated;
    }

    /// The chunks that are here without a doubt, and those whose bytes lie on the disk and have to be hashed before
    /// they count.
    pub(super) fn chunks(&self, entries: &Entries, layout: Layout, image: Option<&Image>) -> (Bitfield, Bitfield) {
        let (mut have, mut unproven) = (Bitfield::none(layout), Bitfield::none(layout));
        for chunk in layout.chunks() {
            let current = image.is_some_and(|image| image.current.contains(chunk));
            let ever = image.is_some_and(|image| image.ever.contains(chunk));
            let (mut sure, mut there) = (true, true);
            let len = usize::try_from(layout.len(chunk)).expect("a chunk is at most 128 MiB");
            for span in spans(entries, layout.range(chunk).start, len) {
                let (span_sure, span_there) = match self.places[span.entry] {
                    Place::Final => (true, true),
                    Place::Partial => (current, ever),
                    Place::Found => (false, span.offset + span.within.len() as u64 <= self.found[span.entry]),
                    Place::Absent => (false, false),
                };
                sure &= span_sure;
                there &= span_there;
            }
            if sure {
                have.insert(chunk);
            } else if there {
                unproven.insert(chunk);
            }
        }
        (have, unproven)
    }
}

/// A folder is never replaced, and neither is anything put in the place of a device or a socket. A file cannot be
/// renamed from one file system to another, so a folder must not be another one's root.
fn refuse_what_is_in_the_way(root: &Root, entry: &Entry, stat: &Stat, device: u64) -> Result<(), StoreError> {
    let found = match stamp::file_type(stat) {
        FileType::Directory if stat.st_dev != device => "the root of another file system",
        FileType::Directory => "a directory",
        FileType::RegularFile => "a file",
        FileType::Symlink => "a symlink",
        _ => "a special file",
    };
    let (wanted, fits) = match entry.kind {
        EntryKind::Dir => ("a directory", found == "a directory"),
        EntryKind::File { .. } => ("a file", matches!(found, "a file" | "a symlink")),
        EntryKind::Symlink { .. } => ("a symlink", matches!(found, "a file" | "a symlink")),
    };
    if fits {
        return Ok(());
    }
    let path = root.path().join(OsStr::from_bytes(entry.path.as_bytes()));
    Err(StoreError::InTheWay { path, found, wanted })
}

/// Whether this user may read the file and give it a mode and a time. One that it may not is replaced and not kept.
fn is_usable(folder: BorrowedFd<'_>, name: &[u8], stat: &Stat) -> bool {
    let user = geteuid();
    let own = stat.st_uid == user.as_raw();
    user.is_root() || own && accessat(folder, name, Access::READ_OK, AtFlags::EACCESS).is_ok()
}

fn is(stat: &Stat, wanted: FileType) -> bool {
    stamp::file_type(stat) == wanted
}

fn has_time(stat: &Stat, entry: &Entry) -> bool {
    Stamp::of(stat).mtime == (entry.mtime_secs, entry.mtime_nanos)
}
