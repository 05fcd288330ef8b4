//! Assembly: one chunk in flight, put together from the bytes of one or several answers.
//!
//! What came stays when its sender goes, so that nobody has to send it again; and where two senders bring one chunk, each byte
//! counts for whoever brought it first. The lock is held for a copy of a few kilobytes: asking the node's loop about each packet
//! would cost more than the transfer.
//!
//! Invariant: a byte is written once, and `from` names everybody who brought one. The share of the memory budget is held from before
//! the first byte until the bytes are gone, once per chunk and not once per answer.
//!
//! Not here: which chunk is asked of whom (the swarm), what becomes of bytes that are wrong (`node`).

use std::ops::Range;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;

use super::cover::Cover;
use super::fetch::Budget;
use crate::chunk::{ChunkId, Layout};
use crate::swarm::{Part, SourceId};
use crate::wire::Ranges;
use crate::wire::limits::RANGES_MAX;

/// Bytes asked for at a time from the end (64 KiB: where two senders meet, about so much comes twice), more where a chunk would make
/// more than [`RANGES_MAX`] of them.
const RUN: u32 = 64 << 10;

/// A chunk of which all bytes are here; nothing is verified.
#[derive(Debug)]
pub struct Whole {
    /// Which chunk it is.
    pub chunk: ChunkId,
    /// Its bytes.
    pub data: Vec<u8>,
    /// Whether they are packed still.
    pub packed: bool,
    /// Who brought how many of them.
    pub from: Vec<(SourceId, u32)>,
    /// The share of the memory budget that `data` takes.
    pub permit: OwnedSemaphorePermit,
}

/// See the module's text.
#[derive(Debug)]
pub struct Assembly {
    chunk: ChunkId,
    len: u32,
    /// Held by the answer that waits for the chunk's memory, so that the others wait for the same.
    admitting: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The bytes up to the last one that came; what is missing among them is zero.
    data: Vec<u8>,
    came: Cover,
    from: Vec<(SourceId, u32)>,
    permit: Option<OwnedSemaphorePermit>,
    /// Answers that are bringing bytes.
    streaming: u32,
    /// Whether the chunk was whole and taken.
    over: bool,
    /// When a byte came last.
    touched: Instant,
}

/// What became of bytes that came.
#[derive(Debug)]
pub(super) enum Placed {
    /// Something is missing still.
    More,
    /// With them the chunk is whole.
    Last(Whole),
    /// The chunk is whole without them.
    Late,
}

impl Assembly {
    /// Nothing yet of a chunk.
    ///
    /// # Panics
    /// When the chunk is not one of this layout.
    #[must_use]
    pub fn new(layout: Layout, chunk: ChunkId) -> Self {
        let len = u32::try_from(layout.len(chunk)).expect("a chunk has at most 128 MiB");
        let state = State {
            data: Vec::new(),
            came: Cover::default(),
            from: Vec::new(),
            permit: None,
            streaming: 0,
            over: false,
            touched: Instant::now(),
        };
        Self { chunk, len, admitting: tokio::sync::Mutex::default(), state: Mutex::new(state) }
    }

    /// What to ask a source for: as much of `part` as fits in one request. `None` when nothing is missing.
    #[must_use]
    pub fn ranges(&self, part: Part) -> Option<Ranges> {
        let missing = self.lock().came.gaps(0..self.len);
        if missing.is_empty() {
            return None;
        }
        let ranges = match part {
            Part::RestFromEnd => runs_from_end(&missing),
            _ if self.bytes() == 0 => return Some(Ranges::WHOLE),
            _ => missing,
        };
        Ranges::new(&ranges[..ranges.len().min(RANGES_MAX)])
    }

    /// Bytes of the whole chunk.
    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// Whether all bytes came and were taken.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Bytes that are here.
    #[must_use]
    pub fn bytes(&self) -> u32 {
        self.lock().came.len()
    }

    /// Since when no byte came.
    #[must_use]
    pub fn touched(&self) -> Instant {
        self.lock().touched
    }

    /// Whether `source` brought any of the bytes.
    #[must_use]
    pub fn is_from(&self, source: SourceId) -> bool {
        self.lock().from.iter().any(|(from, _)| *from == source)
    }

    /// Throws away what came and frees its memory, unless somebody is bringing more; whoever was asked for the rest is then asked for
    /// these bytes as well.
    pub fn clear(&self) -> bool {
        let mut state = self.lock();
        if state.streaming > 0 || state.over {
            return false;
        }
        state.data = Vec::new();
        state.came = Cover::default();
        state.from.clear();
        state.permit = None;
        true
    }

    /// Takes a packed chunk of `source` in place of all that others brought; `None` when the chunk was whole before.
    pub(super) fn replace_with(&self, source: SourceId, frame: Vec<u8>, permit: OwnedSemaphorePermit) -> Option<Whole> {
        let mut state = self.lock();
        if state.over {
            return None;
        }
        state.over = true;
        (state.data, state.came, state.permit) = (Vec::new(), Cover::default(), None);
        state.from.clear();
        Some(Whole { chunk: self.chunk, data: frame, packed: true, from: vec![(source, self.len)], permit })
    }

    /// Waits for the chunk's memory, as long as the result lives in the name of an answer that brings bytes.
    pub(super) async fn admit(&self, budget: &Budget) -> Streaming<'_> {
        self.lock().streaming += 1;
        let streaming = Streaming(self);
        let _one = self.admitting.lock().await;
        let needed = {
            let state = self.lock();
            state.permit.is_none() && !state.over
        };
        if needed {
            let permit = budget.acquire(u64::from(self.len)).await;
            self.lock().permit = Some(permit);
        }
        streaming
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds an assembly")
    }
}

/// An answer that brings bytes of an assembly.
#[derive(Debug)]
pub(super) struct Streaming<'a>(&'a Assembly);

impl Streaming<'_> {
    /// Takes in bytes from `source` that belong at `start`. Also how many of them had come before.
    pub(super) fn put(&self, source: SourceId, start: u32, bytes: &[u8]) -> (Placed, u64) {
        let mut state = self.0.lock();
        if state.over {
            return (Placed::Late, bytes.len() as u64);
        }
        let end = start + u32::try_from(bytes.len()).expect("no more than a chunk");
        let mut fresh = 0;
        for gap in state.came.gaps(start..end) {
            let part = &bytes[(gap.start - start) as usize..(gap.end - start) as usize];
            state.write(gap.start as usize, part, self.0.len as usize);
            fresh += gap.end - gap.start;
        }
        let repeated = bytes.len() as u64 - u64::from(fresh);
        if fresh == 0 {
            return (Placed::More, repeated);
        }
        state.came.add(start..end);
        state.touched = Instant::now();
        match state.from.iter_mut().find(|(from, _)| *from == source) {
            Some((_, brought)) => *brought += fresh,
            None => state.from.push((source, fresh)),
        }
        if !state.came.is_whole(self.0.len) {
            return (Placed::More, repeated);
        }
        state.over = true;
        let permit = state.permit.take().expect("bytes come after the memory for them");
        let (data, from) = (std::mem::take(&mut state.data), std::mem::take(&mut state.from));
        (Placed::Last(Whole { chunk: self.0.chunk, data, packed: false, from, permit }), repeated)
    }
}

impl Drop for Streaming<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.streaming -= 1;
        if state.streaming == 0 && state.from.is_empty() {
            state.permit = None;
        }
    }
}

impl State {
    /// Writes bytes that were missing. What comes in order is appended: clearing memory first would cost a pass over it.
    fn write(&mut self, start: usize, bytes: &[u8], len: usize) {
        if self.data.capacity() < len {
            self.data.reserve_exact(len - self.data.len());
        }
        if self.data.len() < start {
            self.data.resize(start, 0);
        }
        let within = bytes.len().min(self.data.len() - start);
        self.data[start..start + within].copy_from_slice(&bytes[..within]);
        self.data.extend_from_slice(&bytes[within..]);
    }
}

/// These ranges cut into runs, the last one first.
fn runs_from_end(missing: &[Range<u32>]) -> Vec<Range<u32>> {
    let count = |run: u32| missing.iter().map(|range| (range.end - range.start).div_ceil(run) as usize).sum::<usize>();
    let mut run = RUN;
    while count(run) > RANGES_MAX.max(missing.len()) {
        run *= 2;
    }
    let mut runs = Vec::with_capacity(count(run));
    for range in missing.iter().rev() {
        let mut end = range.end;
        while end > range.start {
            let start = end.saturating_sub(run).max(range.start);
            runs.push(start..end);
            end = start;
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SourceId = SourceId(1);
    const B: SourceId = SourceId(2);

    fn of(len: u64) -> Assembly {
        let layout = Layout::new(len, len.max(1 << 10)).unwrap();
        Assembly::new(layout, layout.chunk(0).unwrap())
    }

    async fn admitted(assembly: &Assembly) -> (Budget, Streaming<'_>) {
        let budget = Budget::new(1 << 20);
        let streaming = assembly.admit(&budget).await;
        (budget, streaming)
    }

    fn parts(assembly: &Assembly, part: Part) -> Vec<Range<u32>> {
        assembly.ranges(part).unwrap().iter().collect()
    }

    #[tokio::test]
    async fn two_senders_meet_and_what_came_first_stays() {
        let assembly = of(10);
        let (_budget, streaming) = admitted(&assembly).await;
        assert!(assembly.ranges(Part::Rest).unwrap().is_whole());
        assert!(matches!(streaming.put(A, 0, b"abcd"), (Placed::More, 0)));
        assert!(matches!(streaming.put(B, 7, b"hij"), (Placed::More, 0)));
        assert_eq!(parts(&assembly, Part::Rest), std::slice::from_ref(&(4..7)));
        assert!(matches!(streaming.put(B, 2, b"XXef"), (Placed::More, 2)));
        let (Placed::Last(whole), 2) = streaming.put(A, 5, b"YgZ") else { panic!("it is whole now") };
        assert_eq!(whole.data, b"abcdefghij");
        assert_eq!(whole.from, [(A, 5), (B, 5)]);
        assert!(matches!(streaming.put(A, 0, b"abcd"), (Placed::Late, 4)));
    }

    #[tokio::test]
    async fn the_memory_is_held_once_and_as_long_as_there_are_bytes() {
        let assembly = of(1 << 20);
        let (budget, first) = admitted(&assembly).await;
        assert_eq!(budget.free(), 0);
        let second = assembly.admit(&budget).await;
        drop(first);
        assert_eq!(budget.free(), 0, "the second may bring bytes still");
        drop(second);
        assert_eq!(budget.free(), 1 << 20, "neither brought one");
        let third = assembly.admit(&budget).await;
        third.put(A, 5, b"bytes");
        assert!(!assembly.clear(), "somebody is bringing more");
        drop(third);
        assert_eq!((budget.free(), assembly.bytes()), (0, 5), "its bytes stay");
        assert!(assembly.clear());
        assert_eq!((budget.free(), assembly.bytes()), (1 << 20, 0));
    }

    #[tokio::test]
    async fn a_packed_chunk_takes_the_place_of_what_others_brought_unless_it_is_late() {
        let assembly = of(10);
        let (budget, streaming) = admitted(&assembly).await;
        streaming.put(B, 5, b"fghij");
        let whole = assembly.replace_with(A, b"frame".to_vec(), budget.acquire(15).await).unwrap();
        assert_eq!((whole.packed, &whole.data[..], &whole.from[..]), (true, &b"frame"[..], &[(A, 10)][..]));
        assert!(matches!(streaming.put(B, 0, b"abcde"), (Placed::Late, 5)));
        assert!(assembly.replace_with(B, b"other".to_vec(), budget.acquire(15).await).is_none());
    }

    #[test]
    fn from_the_end_the_list_fits_a_request_whatever_the_chunk() {
        for len in [1, RUN, RUN + 1, 256 << 10, 4 << 20, (16 << 20) - 1, 128 << 20] {
            let runs = parts(&of(u64::from(len)), Part::RestFromEnd);
            assert!(runs.len() <= RANGES_MAX);
            assert_eq!((runs[0].end, runs[runs.len() - 1].start), (len, 0), "{len}");
            assert!(runs.windows(2).all(|two| two[1].end == two[0].start), "they go down without a gap");
        }
        assert_eq!(parts(&of(130_000), Part::RestFromEnd), [64_464..130_000, 0..64_464]);
    }
}
