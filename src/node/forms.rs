//! Forms: chunks as they travel packed, so that each is packed once for all neighbours.
//!
//! A publisher packs a chunk when the first neighbour wants it so; whoever received it packed passes the same frame on. What is used least
//! recently gives way, and is packed again if somebody wants it. Chunks that do not pack are remembered, since trying costs nearly as
//! much as packing.
//!
//! Invariant: at any moment a chunk is packed by one task at most, and others that want it wait for the result; frames in here and what
//! packing needs take no more than their share of memory; what is in here came of bytes that were verified, or of our own source.
//!
//! Not here: the format (`wire`), sending (`pack`), and whether it is worth it (`worth`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::worth::Worth;
use crate::bitfield::Bitfield;
use crate::chunk::{ChunkId, Layout};
use crate::manifest::Digest;
use crate::wire::{Accepts, PackLevel};

/// The part of the memory for frames that are kept (an eighth: 32 MiB of the default 256 MiB, all chunks of 100 MiB of text).
const KEPT_PART: u64 = 8;
/// The part of the memory for packing (an eighth: one chunk of 16 MiB and its frame, the largest that is chosen automatically).
const WORK_PART: u64 = 8;
/// A permit of the memory for packing stands for so many bytes.
const UNIT: u64 = 1024;

/// A packed chunk.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) frame: Bytes,
    /// What a publisher found that the chunk digests to, for its proof.
    pub(super) digest: Option<Digest>,
}

/// The forms of a content's chunks. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Forms(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    work: Arc<Semaphore>,
    /// Bytes that all permits of `work` stand for.
    work_len: u64,
    level: PackLevel,
}

#[derive(Debug)]
struct State {
    kept: BTreeMap<ChunkId, (u64, Form)>,
    /// Which was used when, the least recent first.
    by_use: BTreeMap<u64, ChunkId>,
    uses: u64,
    len: u64,
    len_max: u64,
    /// Chunks that do not pack.
    solid: Bitfield,
    packing: BTreeMap<ChunkId, Arc<tokio::sync::Mutex<()>>>,
    worth: Worth,
}

impl Forms {
    /// Nothing yet, for a node with so many bytes of memory.
    pub(super) fn new(layout: Layout, memory: u64, level: PackLevel) -> Self {
        let state = State {
            kept: BTreeMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            len: 0,
            len_max: memory / KEPT_PART,
            solid: Bitfield::none(layout),
            packing: BTreeMap::new(),
            worth: Worth::default(),
        };
        let permits = u32::try_from(memory / WORK_PART / UNIT).unwrap_or(u32::MAX >> 3).min(u32::MAX >> 3);
        let work = Arc::new(Semaphore::new(permits as usize));
        Self(Arc::new(Shared { state: Mutex::new(state), work, work_len: u64::from(permits) * UNIT, level }))
    }

    /// How hard to pack.
    pub(super) fn level(&self) -> PackLevel {
        self.0.level
    }

    /// The form of a chunk, if it is here.
    pub(super) fn form(&self, chunk: ChunkId) -> Option<Form> {
        let mut state = self.lock();
        let state = &mut *state;
        let (used, form) = state.kept.get_mut(&chunk)?;
        state.by_use.remove(used);
        state.uses += 1;
        *used = state.uses;
        state.by_use.insert(*used, chunk);
        Some(form.clone())
    }

    /// Keeps a form, in the place of those that were not used for longest.
    pub(super) fn keep(&self, chunk: ChunkId, form: Form) {
        let mut state = self.lock();
        let len = form.frame.len() as u64;
        if len > state.len_max {
            return;
        }
        state.remove(chunk);
        while state.len + len > state.len_max {
            let Some((_, oldest)) = state.by_use.first_key_value() else { break };
            let oldest = *oldest;
            state.remove(oldest);
        }
        state.uses += 1;
        let used = state.uses;
        state.by_use.insert(used, chunk);
        state.kept.insert(chunk, (used, form));
        state.len += len;
    }

    /// Forgets a chunk: its bytes are not what they were, or somebody found what we sent of it bad.
    pub(super) fn forget(&self, chunk: ChunkId) {
        let mut state = self.lock();
        state.remove(chunk);
        state.solid.remove(chunk);
    }

    /// Notes that a chunk does not pack.
    pub(super) fn note_solid(&self, chunk: ChunkId) {
        self.lock().solid.insert(chunk);
    }

    /// Whether a chunk that is not here is to be packed for who asks like this.
    pub(super) fn pays(&self, chunk: ChunkId, accepts: Accepts) -> bool {
        let mut state = self.lock();
        match accepts {
            Accepts::Raw => false,
            _ if state.solid.contains(chunk) => false,
            Accepts::Packed => true,
            Accepts::Quicker { delivery } => state.worth.pays(u64::from(delivery) * UNIT),
        }
    }

    /// Takes in that packing `len` bytes into `packed` took so long.
    pub(super) fn measure(&self, len: usize, packed: usize, took: std::time::Duration) {
        self.lock().worth.measure(len, packed, took);
    }

    /// Waits until nobody else packs this chunk.
    pub(super) async fn turn(&self, chunk: ChunkId) -> Turn {
        let line = Arc::clone(self.lock().packing.entry(chunk).or_default());
        let guard = line.lock_owned().await;
        Turn { forms: self.clone(), chunk, guard: Some(guard) }
    }

    /// Waits for the memory that packing `len` bytes needs; `None` when that is more than there is.
    pub(super) async fn room(&self, len: u64) -> Option<OwnedSemaphorePermit> {
        let needed = 2 * len;
        if needed > self.0.work_len {
            return None;
        }
        let permits = u32::try_from(needed.div_ceil(UNIT)).ok()?;
        Arc::clone(&self.0.work).acquire_many_owned(permits).await.ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no thread panics while it holds the forms")
    }
}

impl State {
    fn remove(&mut self, chunk: ChunkId) {
        if let Some((used, form)) = self.kept.remove(&chunk) {
            self.by_use.remove(&used);
            self.len -= form.frame.len() as u64;
        }
    }
}

/// The right to pack a chunk, as long as it lives.
#[derive(Debug)]
pub(super) struct Turn {
    forms: Forms,
    chunk: ChunkId,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard = None;
        let mut state = self.forms.lock();
        // Whoever waits for its turn has a hold on it.
        if state.packing.get(&self.chunk).is_some_and(|line| Arc::strong_count(line) == 1) {
            state.packing.remove(&self.chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: u64 = 80_000;

    fn layout() -> Layout {
        Layout::new(1 << 20, 1 << 10).unwrap()
    }

    fn chunk(index: u32) -> ChunkId {
        layout().chunk(index).unwrap()
    }

    fn forms() -> Forms {
        Forms::new(layout(), MEMORY, PackLevel::default())
    }

    fn form(len: usize) -> Form {
        Form { frame: Bytes::from(vec![1; len]), digest: None }
    }

    #[test]
    fn what_was_not_used_for_longest_gives_way() {
        let forms = forms();
        for index in 0..3 {
            forms.keep(chunk(index), form(3000));
        }
        assert!(forms.form(chunk(0)).is_some());
        forms.keep(chunk(3), form(3000));
        let here: Vec<bool> = (0..4).map(|index| forms.form(chunk(index)).is_some()).collect();
        assert_eq!(here, [true, false, true, true]);
        forms.keep(chunk(4), form(10_001));
        assert!(
            forms.form(chunk(4)).is_none() && forms.form(chunk(0)).is_some(),
            "one that is too large takes no place"
        );
        assert_eq!(forms.lock().len, 9000);
    }

    #[test]
    fn a_chunk_that_does_not_pack_is_not_tried_again_until_it_is_another() {
        let forms = forms();
        assert!(forms.pays(chunk(0), Accepts::Packed) && !forms.pays(chunk(0), Accepts::Raw));
        forms.note_solid(chunk(0));
        assert!(!forms.pays(chunk(0), Accepts::Packed) && forms.pays(chunk(1), Accepts::Packed));
        forms.forget(chunk(0));
        assert!(forms.pays(chunk(0), Accepts::Packed));
    }

    #[tokio::test]
    async fn a_chunk_that_many_want_at_once_is_packed_once() {
        let forms = forms();
        let packed = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let wanting: Vec<_> = (0..8)
            .map(|_| {
                let (forms, packed) = (forms.clone(), Arc::clone(&packed));
                tokio::spawn(async move {
                    let _turn = forms.turn(chunk(7)).await;
                    if forms.form(chunk(7)).is_none() {
                        packed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        tokio::task::yield_now().await;
                        forms.keep(chunk(7), form(10));
                    }
                })
            })
            .collect();
        for one in wanting {
            one.await.unwrap();
        }
        assert_eq!(packed.load(std::sync::atomic::Ordering::Relaxed), 1);
        assert!(forms.lock().packing.is_empty(), "nobody waits any more");
    }

    #[tokio::test]
    async fn a_chunk_that_would_take_more_than_its_share_of_memory_is_not_packed() {
        let forms = forms();
        assert!(forms.room(MEMORY).await.is_none());
        let all = forms.room(4000).await.unwrap();
        assert_eq!(forms.0.work.available_permits(), 1);
        drop(all);
    }
}
