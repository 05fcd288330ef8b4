//! Open files: the descriptors in use, at most a fixed number of them.
//!
//! A content may have a million files and a process a thousand descriptors. Neighbouring chunks touch the same files,
//! so the ones used last are kept open and the rest closed. Whoever reads holds its own share of a descriptor, so
//! closing never pulls one away from under a read.
//!
//! Invariant: never more than the capacity are kept here.
//!
//! Not here: how a file is opened; that differs between a source and a replica.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

/// Descriptors by a key of the owner's choice, the least recently used closed first.
#[derive(Debug)]
pub(super) struct OpenFiles {
    inner: Mutex<Inner>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Inner {
    /// Key → descriptor and when it was last used.
    files: BTreeMap<usize, (Arc<OwnedFd>, u64)>,
    uses: u64,
}

impl OpenFiles {
    pub(super) fn new(capacity: usize) -> Self {
        Self { inner: Mutex::default(), capacity }
    }

    /// The descriptor of this key, if it is open.
    pub(super) fn find(&self, key: usize) -> Option<Arc<OwnedFd>> {
        let mut inner = self.lock();
        inner.uses += 1;
        let now = inner.uses;
        let (file, used) = inner.files.get_mut(&key)?;
        *used = now;
        Some(Arc::clone(file))
    }

    /// Keeps the descriptor of this key and hands out a share of it.
    pub(super) fn keep(&self, key: usize, file: OwnedFd) -> Arc<OwnedFd> {
        let file = Arc::new(file);
        let mut inner = self.lock();
        inner.uses += 1;
        let now = inner.uses;
        if inner.files.len() >= self.capacity && !inner.files.contains_key(&key) {
            let oldest = inner.files.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key);
            oldest.and_then(|key| inner.files.remove(&key));
        }
        inner.files.insert(key, (Arc::clone(&file), now));
        file
    }

    /// Closes the descriptor of this key, as soon as nobody reads from it.
    pub(super) fn close(&self, key: usize) {
        self.lock().files.remove(&key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // A panic elsewhere leaves a map that is still a valid cache.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> OwnedFd {
        tempfile::tempfile().unwrap().into()
    }

    #[test]
    fn the_least_recently_used_is_closed_first() {
        let open = OpenFiles::new(2);
        open.keep(1, file());
        open.keep(2, file());
        open.find(1).unwrap();
        open.keep(3, file());
        assert!(open.find(1).is_some() && open.find(2).is_none() && open.find(3).is_some());
    }

    #[test]
    fn closing_leaves_a_reader_its_share() {
        let open = OpenFiles::new(2);
        let share = open.keep(1, file());
        open.close(1);
        assert!(open.find(1).is_none());
        assert!(rustix::fs::fstat(&share).is_ok());
    }
}
