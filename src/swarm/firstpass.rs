//! First pass: which chunks a publisher has not sent to anybody yet.
//!
//! With equal links the bound is one trip of the content through the publisher's uplink, so every byte that it sends twice before
//! everything has left once is added to the makespan. It cannot wait for requests that happen to name the right chunks, as nobody
//! but the publisher knows what has left: it answers with another chunk instead.
//!
//! Several publishers share the chunks out by number, so that they need not agree on anything: each sends its own share first. What
//! the others have sent shows in what neighbours hold, and what a lost one has not sent is left for the rest.
//!
//! Invariant: a chunk is *unserved* exactly when we hold it, did not send it in this run to a neighbour still connected, and no
//! neighbour says that it holds it.
//!
//! Not here: who is served next (`uploader`).

use crate::chunk::{ChunkId, Layout};
use crate::swarm::board::Board;
use crate::swarm::debt::Debts;
use crate::swarm::event::SourceId;
use crate::swarm::footprint::list;
use crate::units::Rng;

/// Marks a chunk that is not in a pool.
const ABSENT: u32 = u32::MAX;

/// The publisher's memory of what left.
#[derive(Clone, Debug)]
pub(super) struct FirstPass {
    /// Unserved chunks of our share.
    own: Pool,
    /// Unserved chunks of other publishers' shares.
    rest: Pool,
    /// Number of publishers, and our place among them.
    share: (u32, u32),
    sent_to: Vec<Option<SourceId>>,
    debts: Debts,
}

impl FirstPass {
    pub(super) fn new(layout: Layout, board: &Board) -> Self {
        let count = layout.count() as usize;
        let mut pass = Self {
            own: Pool::new(count),
            rest: Pool::new(count),
            share: (1, 0),
            sent_to: vec![None; count],
            debts: Debts::new(count),
        };
        pass.refresh_all(board);
        pass
    }

    /// Whether there is nothing left that has not left.
    pub(super) const fn is_over(&self) -> bool {
        self.own.chunks.is_empty() && self.rest.chunks.is_empty()
    }

    /// Number of unserved chunks.
    pub(super) fn len(&self) -> u32 {
        self.own.len() + self.rest.len()
    }

    pub(super) fn contains(&self, chunk: ChunkId) -> bool {
        self.own.contains(chunk) || self.rest.contains(chunk)
    }

    /// Whether `chunk` is to be sent now: it is unserved, and no chunk of our own share goes before it.
    pub(super) fn is_next(&self, chunk: ChunkId) -> bool {
        self.own.contains(chunk) || self.own.chunks.is_empty() && self.rest.contains(chunk)
    }

    /// A random unserved chunk, of our own share while there is one.
    pub(super) fn draw(&self, rng: &mut Rng) -> Option<ChunkId> {
        rng.choice(&self.own.chunks).or_else(|| rng.choice(&self.rest.chunks)).copied()
    }

    /// Takes in that we are now the publisher number `index` of `count`.
    pub(super) fn on_share(&mut self, count: u32, index: u32) {
        if self.share == (count, index) {
            return;
        }
        self.share = (count, index);
        let mut unserved = std::mem::take(&mut self.own.chunks);
        unserved.append(&mut self.rest.chunks);
        unserved.iter().for_each(|chunk| self.pool(*chunk).insert(*chunk));
    }

    /// The pool in which an unserved chunk belongs; it is in neither when the share has just changed.
    fn pool(&mut self, chunk: ChunkId) -> &mut Pool {
        let (count, index) = self.share;
        let ours = chunk.index() % count == index;
        let (pool, other) = if ours { (&mut self.own, &mut self.rest) } else { (&mut self.rest, &mut self.own) };
        other.place[chunk.as_usize()] = ABSENT;
        pool
    }

    pub(super) fn on_send(&mut self, board: &Board, source: SourceId, chunk: ChunkId) {
        self.sent_to[chunk.as_usize()] = Some(source);
        self.refresh(board, chunk);
    }

    pub(super) fn on_aborted(&mut self, board: &Board, source: SourceId, chunk: ChunkId) {
        let sent = &mut self.sent_to[chunk.as_usize()];
        if *sent == Some(source) {
            *sent = None;
        }
        self.refresh(board, chunk);
    }

    /// Takes in that `source` is gone, after the board has: what only it had got is unserved again.
    pub(super) fn on_left(&mut self, board: &Board, source: SourceId) {
        for sent in &mut self.sent_to {
            if *sent == Some(source) {
                *sent = None;
            }
        }
        self.refresh_all(board);
    }

    /// Applies the definitions to one chunk, after anything that they speak of has changed.
    pub(super) fn refresh(&mut self, board: &Board, chunk: ChunkId) {
        let due = self.is_due(board, chunk);
        if due != self.contains(chunk) {
            let pool = self.pool(chunk);
            if due { pool.insert(chunk) } else { pool.remove(chunk) }
        }
        self.debts.refresh(board, chunk, self.sent_to[chunk.as_usize()]);
    }

    pub(super) const fn debts(&self) -> &Debts {
        &self.debts
    }

    pub(super) fn refresh_all(&mut self, board: &Board) {
        for chunk in board.layout().chunks() {
            self.refresh(board, chunk);
        }
    }

    /// Bytes that it has allocated.
    pub(super) fn footprint(&self) -> usize {
        let pools = [&self.own, &self.rest].map(|pool| list(&pool.chunks) + list(&pool.place));
        pools.iter().sum::<usize>() + list(&self.sent_to) + self.debts.footprint()
    }

    pub(super) fn check_invariants(&self, board: &Board) {
        for chunk in board.layout().chunks() {
            assert_eq!(
                self.contains(chunk),
                self.is_due(board, chunk),
                "unserved is what the definition says: {chunk:?}"
            );
        }
        self.debts.check_invariants(board, &self.sent_to);
        self.own.check_invariants();
        self.rest.check_invariants();
        let (count, index) = self.share;
        assert!(self.own.chunks.iter().all(|c| c.index() % count == index), "our share is ours");
        assert!(self.rest.chunks.iter().all(|c| c.index() % count != index), "the rest is not");
    }

    fn is_due(&self, board: &Board, chunk: ChunkId) -> bool {
        board.have().contains(chunk) && self.sent_to[chunk.as_usize()].is_none() && board.copies(chunk) == 0
    }
}

/// A set of chunks from which one can be drawn at random. Invariant: `place[chunks[i]] == i`.
#[derive(Clone, Debug)]
struct Pool {
    chunks: Vec<ChunkId>,
    place: Vec<u32>,
}

impl Pool {
    fn new(count: usize) -> Self {
        Self { chunks: Vec::new(), place: vec![ABSENT; count] }
    }

    fn len(&self) -> u32 {
        u32::try_from(self.chunks.len()).expect("a layout has fewer chunks than 2^32")
    }

    fn contains(&self, chunk: ChunkId) -> bool {
        self.place[chunk.as_usize()] != ABSENT
    }

    fn insert(&mut self, chunk: ChunkId) {
        self.place[chunk.as_usize()] = self.len();
        self.chunks.push(chunk);
    }

    fn remove(&mut self, chunk: ChunkId) {
        let place = std::mem::replace(&mut self.place[chunk.as_usize()], ABSENT);
        self.chunks.swap_remove(place as usize);
        if let Some(moved) = self.chunks.get(place as usize) {
            self.place[moved.as_usize()] = place;
        }
    }

    fn check_invariants(&self) {
        for (place, chunk) in self.chunks.iter().enumerate() {
            assert_eq!(self.place[chunk.as_usize()] as usize, place, "the index points to the chunk");
        }
    }
}
