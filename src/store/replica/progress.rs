//! Progress: which chunks are here, and which files are complete thereby.
//!
//! Invariant: a file is due exactly once after its last chunk came, and `missing` of each file is the number of its
//! chunks that are not in `have`. A chunk is written by one thread at a time.
//!
//! Why a claim: in the end game two sources may deliver the same chunk. A second write could reach a file after its
//! rename and change its time under the journal's stamp.
//!
//! Not here: the disk.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::bitfield::Bitfield;
use crate::chunk::{ChunkId, Layout};
use crate::manifest::{Entries, EntryKind};
use crate::store::spans::spans;

/// A group of files becomes final when it has so many files: few enough that the renames hold nobody up,
pub(super) const GROUP_FILES: usize = 256;
/// or so many bytes: about what a kill may cost,
const GROUP_BYTES: u64 = 64 << 20;
/// or when its oldest file has waited so long: a user who watches sees files appear.
const GROUP_AGE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Progress {
    inner: Mutex<Inner>,
    released: Condvar,
}

#[derive(Debug)]
struct Inner {
    have: Bitfield,
    /// Per entry, how many of its chunks are missing.
    missing: Vec<u32>,
    /// Chunks that a thread is writing.
    claimed: BTreeSet<ChunkId>,
    /// Threads that wait for one of them.
    waiting: usize,
    /// Complete files that are not final yet.
    due: Vec<u32>,
    due_bytes: u64,
    due_since: Option<Instant>,
}

/// The right to write one chunk; dropped without [`Claim::held`], the chunk stays missing.
pub(super) struct Claim<'a> {
    progress: &'a Progress,
    chunk: ChunkId,
}

impl Progress {
    /// The progress of a content of which `have` is here; `is_final` tells of each entry whether it needs nothing more.
    pub(super) fn new(entries: &Entries, have: Bitfield, is_final: impl Fn(usize) -> bool) -> Self {
        let layout = have.layout();
        let mut inner = Inner {
            missing: Vec::with_capacity(entries.as_slice().len()),
            have,
            claimed: BTreeSet::new(),
            waiting: 0,
            due: Vec::new(),
            due_bytes: 0,
            due_since: None,
        };
        for (i, entry) in entries.as_slice().iter().enumerate() {
            let covering = layout.covering(&(entries.start(i)..entries.start(i) + entry.size()));
            let absent = covering.filter(|c| layout.chunk(*c).is_some_and(|c| !inner.have.contains(c))).count();
            inner.missing.push(u32::try_from(absent).expect("no more than all chunks"));
            let is_file = matches!(entry.kind, EntryKind::File { .. });
            if is_file && absent == 0 && !is_final(i) {
                inner.push_due(i, entry.size());
            }
        }
        Self { inner: Mutex::new(inner), released: Condvar::new() }
    }

    pub(super) fn have(&self) -> Bitfield {
        self.lock().have.clone()
    }

    pub(super) fn holds(&self, chunk: ChunkId) -> bool {
        self.lock().have.contains(chunk)
    }

    /// The number of chunks that are not here.
    pub(super) fn missing(&self) -> u32 {
        let inner = self.lock();
        inner.have.layout().count() - inner.have.len()
    }

    /// The right to write `chunk`, as soon as no other thread has it; `None` when the chunk is here.
    pub(super) fn claim(&self, chunk: ChunkId) -> Option<Claim<'_>> {
        let mut inner = self.lock();
        while inner.claimed.contains(&chunk) {
            inner.waiting += 1;
            inner = self.released.wait(inner).expect("no thread panics while it holds the progress");
            inner.waiting -= 1;
        }
        if inner.have.contains(chunk) {
            return None;
        }
        inner.claimed.insert(chunk);
        Some(Claim { progress: self, chunk })
    }

    /// Whether it is time to make a group of files final.
    pub(super) fn is_due(&self) -> bool {
        let inner = self.lock();
        inner.due.len() >= GROUP_FILES
            || inner.due_bytes >= GROUP_BYTES
            || inner.due_since.is_some_and(|since| since.elapsed() >= GROUP_AGE)
    }

    /// The next group of complete files, in path order; empty when there is none.
    pub(super) fn take_group(&self, entries: &Entries) -> Vec<u32> {
        let mut inner = self.lock();
        let count = inner.due.len().min(GROUP_FILES);
        let mut group: Vec<u32> = inner.due.drain(..count).collect();
        inner.due_bytes -= group.iter().map(|i| entries.as_slice()[*i as usize].size()).sum::<u64>();
        if inner.due.is_empty() {
            inner.due_since = None;
        }
        group.sort_unstable();
        group
    }

    /// Makes files due again that could not become final.
    pub(super) fn put_back(&self, group: &[u32], entries: &Entries) {
        let mut inner = self.lock();
        group.iter().for_each(|i| inner.push_due(*i as usize, entries.as_slice()[*i as usize].size()));
    }

    /// Counts every chunk of these files, which were taken as a group, as missing again.
    pub(super) fn lose(&self, group: &[u32], entries: &Entries) {
        let mut inner = self.lock();
        let layout = inner.have.layout();
        for entry in group {
            let entry = *entry as usize;
            let size = entries.as_slice()[entry].size();
            for index in layout.covering(&(entries.start(entry)..entries.start(entry) + size)) {
                let chunk = layout.chunk(index).expect("a chunk that covers a file");
                if inner.have.remove(chunk) {
                    for_files(entries, layout, chunk, |file| inner.missing[file] += 1);
                }
            }
        }
        inner.wait_for_missing(entries);
        // A file without bytes has no chunk that could bring it back.
        for entry in group.iter().map(|i| *i as usize).filter(|i| entries.as_slice()[*i].size() == 0) {
            inner.push_due(entry, 0);
        }
    }

    /// Counts one chunk as missing again. No group of files is being made final meanwhile.
    pub(super) fn forget(&self, chunk: ChunkId, entries: &Entries) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        if inner.have.remove(chunk) {
            for_files(entries, inner.have.layout(), chunk, |file| inner.missing[file] += 1);
            inner.wait_for_missing(entries);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no thread panics while it holds the progress")
    }
}

impl Inner {
    /// Complete files that share a lost chunk wait for it too: they come again with it.
    fn wait_for_missing(&mut self, entries: &Entries) {
        self.due.retain(|i| self.missing[*i as usize] == 0);
        self.due_bytes = self.due.iter().map(|i| entries.as_slice()[*i as usize].size()).sum();
    }

    fn push_due(&mut self, entry: usize, size: u64) {
        self.due.push(u32::try_from(entry).expect("fewer entries than 2^32"));
        self.due_bytes += size;
        self.due_since.get_or_insert_with(Instant::now);
    }
}

impl Claim<'_> {
    /// The chunk is on the disk: counts it, and makes files due that are complete with it.
    pub(super) fn held(self, entries: &Entries) {
        let mut guard = self.progress.lock();
        let inner = &mut *guard;
        assert!(inner.have.insert(self.chunk), "a claimed chunk was missing");
        let mut complete = Vec::new();
        for_files(entries, inner.have.layout(), self.chunk, |file| {
            inner.missing[file] -= 1;
            if inner.missing[file] == 0 {
                complete.push(file);
            }
        });
        complete.into_iter().for_each(|file| inner.push_due(file, entries.as_slice()[file].size()));
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut inner = self.progress.lock();
        inner.claimed.remove(&self.chunk);
        // Hardly ever does anybody wait, and the system is asked to wake whoever does at the price of a call.
        if inner.waiting > 0 {
            self.progress.released.notify_all();
        }
    }
}

fn for_files(entries: &Entries, layout: Layout, chunk: ChunkId, mut each: impl FnMut(usize)) {
    let len = usize::try_from(layout.len(chunk)).expect("a chunk is at most 128 MiB");
    spans(entries, layout.range(chunk).start, len).for_each(|span| each(span.entry));
}
