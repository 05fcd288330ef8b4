//! Beginning: from an opened destination to a replica of one content.
//!
//! Invariant: until the survey and the check of free space have passed, nothing is changed. The journal of another
//! content is removed before its partial files are, and these before the new journal is written, so that no kill in
//! between makes one content's bytes pass for another's.
//!
//! Why the partial files are named by entry index: a name is then short, never odd, and never clashes; the journal says
//! of which content the index is.
//!
//! Not here: hashing what is unproven.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use rustix::fs::{AtFlags, Dir, Mode, fstatvfs, mkdirat, openat, unlinkat};
use rustix::io::Errno;

use super::Replica;
use super::files::{Files, Place};
use super::folders::FoldersDue;
use super::open::{Opened, State};
use super::progress::Progress;
use super::survey::{self, Partials};
use crate::bitfield::Bitfield;
use crate::chunk::Layout;
use crate::manifest::Entries;
use crate::store::confine::{DIR_FLAGS, Root};
use crate::store::error::StoreError;
use crate::store::journal::{self, Journal, Record};
use crate::units::Bytes;

/// The folder of partial files in the state folder.
const PARTIAL_DIR: &str = "partial";

/// The content that a destination is to hold.
#[derive(Clone, Debug)]
pub struct NewContent<'a> {
    /// The content's id.
    pub id: [u8; 32],
    /// What it consists of.
    pub entries: Arc<Entries>,
    /// How its bytes are cut into chunks.
    pub layout: Layout,
    /// The manifest's header, to be stored.
    pub header: &'a [u8],
    /// The manifest's pages, to be stored.
    pub pages: &'a [Vec<u8>],
    /// What the files occupy at the source, where that is known: contents with holes need less room than their length.
    pub allocated: Option<Bytes>,
}

/// A replica at its beginning.
#[derive(Debug)]
pub struct Begun {
    /// The replica.
    pub replica: Replica,
    /// The chunks that are here without a doubt.
    pub have: Bitfield,
    /// The chunks that may be here: to be read, hashed, and [confirmed](Replica::confirm) or else fetched.
    pub unproven: Bitfield,
}

impl Opened {
    /// Prepares the destination for a content, or goes on with it where an earlier run ended.
    ///
    /// # Errors
    /// [`StoreError::InTheWay`] and [`StoreError::NoRoom`] come before anything is changed; [`StoreError::ReadOnly`]
    /// when nothing can be written and this content is not what the destination holds; [`StoreError::Full`] and
    /// [`StoreError::Io`].
    ///
    /// # Panics
    /// When the layout is not of these entries.
    pub fn begin(self, new: NewContent<'_>) -> Result<Begun, StoreError> {
        assert_eq!(new.layout.total(), new.entries.total(), "the layout is of these entries");
        let writable = !self.is_read_only();
        let Self { root, state, boot, image, journal_len, .. } = self;
        let image = image.filter(|i| i.content.content_id == new.id && i.content.layout == new.layout);
        if !writable && image.is_none() {
            return Err(StoreError::ReadOnly { path: root.path().to_path_buf() });
        }
        let partial = open_partial(&state, writable)?;
        let refused = |e: Errno| StoreError::io("look into", state.path.join(PARTIAL_DIR), e);
        let partials = match (&partial, &image) {
            (Some(folder), Some(_)) => survey::partials(folder.as_fd()).map_err(refused)?,
            _ => Partials::new(),
        };
        let survey = survey::survey(&root, &new.entries, image.as_ref(), &partials)?;
        let (have, unproven) = survey.chunks(&new.entries, new.layout, image.as_ref());
        let journal = if writable {
            check_room(&root, &new, survey.allocated)?;
            if image.is_none() {
                journal::discard(&state.dir).map_err(|e| StoreError::io("remove the journal in", &state.path, e))?;
            }
            let folder = partial.as_ref().expect("made when it was opened");
            clear(folder, &survey.places).map_err(refused)?;
            let records = [Record::Content {
                id: new.id,
                total: new.layout.total(),
                chunk_size: new.layout.chunk_size(),
                pages: u32::try_from(new.pages.len()).expect("fewer pages than 2^32"),
            }];
            let records = records.into_iter().chain([Record::Header(new.header)]);
            let journal = match image {
                Some(_) => Journal::resume(&state.dir, journal_len, &boot),
                None => Journal::create(&state.dir, &boot, records.chain(new.pages.iter().map(|p| Record::Page(p)))),
            };
            Some(Mutex::new(journal.map_err(|e| StoreError::io("write the journal in", &state.path, e))?))
        } else {
            None
        };
        let unsettled = AtomicBool::new(!survey.settled);
        let progress = Progress::new(&new.entries, have.clone(), |i| survey.places[i] == Place::Final);
        let folders = Mutex::new(FoldersDue::of(&survey).filter(|_| writable));
        let files = Files::new(root, partial, writable, new.entries, survey.places, survey.stamps);
        let (committing, named) = (Mutex::new(()), Mutex::new(Vec::new()));
        let layout = new.layout;
        let replica = Replica { files, state, layout, progress, journal, folders, committing, named, unsettled };
        Ok(Begun { replica, have, unproven })
    }
}

/// The folder of partial files; `None` on a read-only file system that has none.
fn open_partial(state: &State, writable: bool) -> Result<Option<OwnedFd>, StoreError> {
    let path = state.path.join(PARTIAL_DIR);
    if writable {
        match mkdirat(&state.dir, PARTIAL_DIR, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(StoreError::io("create", path, error)),
        }
    }
    match openat(&state.dir, PARTIAL_DIR, DIR_FLAGS, Mode::empty()) {
        Ok(folder) => Ok(Some(folder)),
        Err(Errno::NOENT) if !writable => Ok(None),
        Err(Errno::LOOP | Errno::NOTDIR) => Err(StoreError::StateDir { path, why: "is not a directory" }),
        Err(error) => Err(StoreError::io("open", path, error)),
    }
}

/// Removes what an earlier run left and this one does not use.
fn clear(partial: &OwnedFd, places: &[Place]) -> Result<(), Errno> {
    let mut unused = Vec::new();
    for item in Dir::read_from(partial)? {
        let name = item?.file_name().to_owned();
        let entry = name.to_str().ok().and_then(|name| name.parse::<usize>().ok());
        let used = entry.is_some_and(|entry| places.get(entry) == Some(&Place::Partial));
        if !used && name.as_bytes() != b"." && name.as_bytes() != b".." {
            unused.push(name);
        }
    }
    unused.iter().try_for_each(|name| unlinkat(partial, name.as_c_str(), AtFlags::empty()))
}

/// Refuses a content that cannot fit. What is counted is what will be allocated: holes need no room.
fn check_room(root: &Root, new: &NewContent<'_>, allocated: u64) -> Result<(), StoreError> {
    let stat = fstatvfs(root).map_err(|e| StoreError::io("look at", root.path(), e))?;
    let available = stat.f_bavail.saturating_mul(stat.f_frsize);
    let total = new.allocated.map_or(new.entries.total(), |bytes| bytes.0.min(new.entries.total()));
    let needed = total.saturating_sub(allocated);
    if needed > available {
        let path = root.path().to_path_buf();
        return Err(StoreError::NoRoom { path, needed: Bytes(needed), available: Bytes(available) });
    }
    Ok(())
}
