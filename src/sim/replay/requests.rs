//! Requests: how long each step of a chunk's way took, and what was asked in vain.
//!
//! A chunk's way is `Fetch` → `Arriving` → `Fetched` → `Verified` → `Announce`. Waiting at the source is before `Arriving`, the link
//! before `Fetched`, digest, proof and disk before `Verified`, and our own gathering of haves before `Announce`.
//!
//! Invariant: `taken` has the chunks that are held, verified just now, or asked for by a request that was not given up.
//!
//! Not here: whom the requests went to (`sources`).

use std::collections::{BTreeMap, BTreeSet};

use super::spans::Spans;
use crate::bitfield::Bitfield;
use crate::chunk::ChunkId;
use crate::swarm::{Input, Output, SourceId};
use crate::units::Time;

/// The least `waiting` of each bar of the histogram.
pub(super) const WAITING: [u32; 6] = [0, 1, 2, 4, 8, 16];

#[derive(Clone, Debug)]
struct Open {
    since: Time,
    arriving: Option<Time>,
    /// What comes, as far as is known.
    chunk: ChunkId,
    cancelled: bool,
}

/// Our requests.
#[derive(Clone, Debug)]
pub struct Requests {
    /// Requests that were made.
    pub asked: u64,
    /// Chunks that came.
    pub fetched: u64,
    /// Of these, chunks that were here or on their way to the disk.
    pub duplicates: u64,
    /// Requests that were answered with another chunk.
    pub redirected: u64,
    /// Requests that we gave up.
    pub cancelled: u64,
    /// Requests that ended without a chunk and without our asking for it.
    pub refused: u64,
    /// Chunks that did not match their digest.
    pub bad: u64,
    /// Requests for a chunk that another request was to bring, while something was still free: the other one was too old.
    pub hedges: u64,
    /// The same when nothing was free any more.
    pub doubled: u64,
    /// From `Fetch` to `Arriving`.
    pub to_arriving: Spans,
    /// From `Arriving` to `Fetched`.
    pub to_fetched: Spans,
    /// From `Fetched` to `Verified`.
    pub to_verified: Spans,
    /// From `Verified` to `Announce`.
    pub to_announced: Spans,
    /// Chunks by what their trailer said of the requests that waited at the source.
    pub waiting: [u64; WAITING.len()],
    open: BTreeMap<(SourceId, ChunkId), Open>,
    came: BTreeMap<ChunkId, Time>,
    verified: BTreeMap<ChunkId, Time>,
    verifying: BTreeSet<ChunkId>,
    held: Bitfield,
    taken: Bitfield,
}

impl Requests {
    pub(super) fn new(have: &Bitfield) -> Self {
        Self {
            asked: 0,
            fetched: 0,
            duplicates: 0,
            redirected: 0,
            cancelled: 0,
            refused: 0,
            bad: 0,
            hedges: 0,
            doubled: 0,
            to_arriving: Spans::default(),
            to_fetched: Spans::default(),
            to_verified: Spans::default(),
            to_announced: Spans::default(),
            waiting: [0; WAITING.len()],
            open: BTreeMap::new(),
            came: BTreeMap::new(),
            verified: BTreeMap::new(),
            verifying: BTreeSet::new(),
            held: have.clone(),
            taken: have.clone(),
        }
    }

    pub(super) fn on_input(&mut self, now: Time, input: &Input) {
        match input {
            Input::Arriving { source, asked, chunk } => self.on_arriving(now, *source, *asked, *chunk),
            Input::Fetched { source, asked, chunk, waiting } => self.on_fetched(now, *source, *asked, *chunk, *waiting),
            Input::Refused { source, asked } => {
                let ended = self.open.remove(&(*source, *asked));
                self.refused += u64::from(ended.as_ref().is_some_and(|open| !open.cancelled));
                ended.iter().for_each(|open| self.look_at(open.chunk));
            }
            Input::Verified { chunk, .. } => {
                self.verifying.remove(chunk);
                if let Some(came) = self.came.remove(chunk) {
                    self.to_verified.add(now.since(came));
                }
                if self.held.insert(*chunk) {
                    self.verified.insert(*chunk, now);
                }
                self.look_at(*chunk);
            }
            Input::Corrupt { chunk, .. } | Input::Mixed { chunk } => {
                self.bad += 1;
                self.came.remove(chunk);
                self.verifying.remove(chunk);
                self.look_at(*chunk);
            }
            Input::Lost { chunk } => {
                self.held.remove(*chunk);
                self.look_at(*chunk);
            }
            Input::Left { source } => self.on_left(*source),
            _ => {}
        }
    }

    pub(super) fn on_output(&mut self, now: Time, output: &Output) {
        match output {
            Output::Fetch { source, chunk, .. } => {
                self.asked += 1;
                if self.is_under_way(*chunk) {
                    let free = !self.taken.is_full();
                    *(if free { &mut self.hedges } else { &mut self.doubled }) += 1;
                }
                let open = Open { since: now, arriving: None, chunk: *chunk, cancelled: false };
                self.open.insert((*source, *chunk), open);
                self.look_at(*chunk);
            }
            Output::Cancel { source, asked } => {
                self.cancelled += 1;
                let Some(open) = self.open.get_mut(&(*source, *asked)) else { return };
                open.cancelled = true;
                let chunk = open.chunk;
                self.look_at(chunk);
            }
            Output::Announce { chunks } => {
                for chunk in chunks {
                    if let Some(verified) = self.verified.remove(chunk) {
                        self.to_announced.add(now.since(verified));
                    }
                }
            }
            _ => {}
        }
    }

    fn on_arriving(&mut self, now: Time, source: SourceId, asked: ChunkId, chunk: ChunkId) {
        let Some(open) = self.open.get_mut(&(source, asked)) else { return };
        if open.arriving.is_none() {
            open.arriving = Some(now);
            self.to_arriving.add(now.since(open.since));
        }
        self.redirected += u64::from(chunk != open.chunk);
        let expected = std::mem::replace(&mut open.chunk, chunk);
        self.look_at(expected);
        self.look_at(chunk);
    }

    fn on_fetched(&mut self, now: Time, source: SourceId, asked: ChunkId, chunk: ChunkId, waiting: u32) {
        self.fetched += 1;
        self.duplicates += u64::from(self.held.contains(chunk) || self.verifying.contains(&chunk));
        let bar = WAITING.iter().rposition(|least| waiting >= *least).unwrap_or(0);
        self.waiting[bar] += 1;
        if let Some(open) = self.open.remove(&(source, asked)) {
            if let Some(arriving) = open.arriving {
                self.to_fetched.add(now.since(arriving));
            }
            self.look_at(open.chunk);
        }
        if !self.held.contains(chunk) {
            self.verifying.insert(chunk);
            self.came.entry(chunk).or_insert(now);
        }
        self.look_at(chunk);
    }

    fn on_left(&mut self, source: SourceId) {
        let gone: Vec<ChunkId> =
            self.open.keys().filter(|(from, _)| *from == source).map(|(_, asked)| *asked).collect();
        for asked in gone {
            if let Some(open) = self.open.remove(&(source, asked)) {
                self.look_at(open.chunk);
            }
        }
    }

    /// Whether a request that was not given up is to bring `chunk`. There are few requests at a time, so all are looked at.
    fn is_under_way(&self, chunk: ChunkId) -> bool {
        self.open.values().any(|open| open.chunk == chunk && !open.cancelled)
    }

    /// Notes whether `chunk` is taken.
    fn look_at(&mut self, chunk: ChunkId) {
        if self.held.contains(chunk) || self.verifying.contains(&chunk) || self.is_under_way(chunk) {
            self.taken.insert(chunk);
        } else {
            self.taken.remove(chunk);
        }
    }
}
