//! Folders: made when the first file is to be moved into one of them, and not before.
//!
//! Data lies in partial files until then, which need no folder. So a content that turns out not to be the expected one leaves nothing in
//! the destination, not even an empty folder of its names.
//!
//! Invariant: folders are made open to this user alone; [`Replica::finish`] gives them their modes.
//!
//! Not here: which folders are missing (`survey`).

use rustix::fs::{Mode, fchmod, fstat, mkdirat};
use rustix::io::Errno;

use super::Replica;
use super::survey::Survey;
use crate::store::confine::DIR_FLAGS;
use crate::store::error::StoreError;

/// What is to be done before files can get their final names.
#[derive(Debug)]
pub(super) struct FoldersDue {
    /// Folders that are not there, in path order.
    absent: Vec<usize>,
    /// Folders in which this user cannot make files.
    closed: Vec<usize>,
}

impl FoldersDue {
    /// `None` when nothing in the destination has to change.
    pub(super) fn of(survey: &Survey) -> Option<Self> {
        let (absent, closed) = (survey.absent_folders.clone(), survey.closed_folders.clone());
        (!survey.settled).then_some(Self { absent, closed })
    }
}

impl Replica {
    /// Makes the folders that are missing, and opens the others to this user so that files can be made in them. Does nothing the second
    /// time; what failed is tried again.
    pub(super) fn prepare_folders(&self) -> Result<(), StoreError> {
        let mut due = self.folders.lock().expect("no thread panics while it makes folders");
        let Some(folders) = &*due else { return Ok(()) };
        let (root, entries) = (self.files.root(), self.entries().as_slice());
        for path in folders.closed.iter().map(|index| &entries[*index].path) {
            let opened = root.open_beneath(path.as_bytes(), DIR_FLAGS, Mode::empty()).and_then(|folder| {
                let mode = Mode::from_raw_mode(fstat(&folder)?.st_mode) | Mode::RWXU;
                Ok(fchmod(&folder, mode)?)
            });
            match opened {
                Ok(()) => {}
                // Perhaps nothing has to be made in it; if something has, that call says so.
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
                Err(error) => return Err(StoreError::io("open", root.path_of(path), error)),
            }
        }
        for path in folders.absent.iter().map(|index| &entries[*index].path) {
            let made = root.open_parent(path).and_then(|parent| match mkdirat(&parent, path.name(), Mode::RWXU) {
                // By an earlier try, or by somebody else since the survey.
                Ok(()) | Err(Errno::EXIST) => Ok(()),
                Err(error) => Err(error.into()),
            });
            made.map_err(|e| StoreError::io("create", root.path_of(path), e))?;
        }
        *due = None;
        Ok(())
    }
}
