//! First pass: which chunks a publisher has not sent to anybody yet.
//!
//! With equal links the bound is one trip of the content through the publisher's uplink, so every byte that it sends twice before
//! everything has left once is added to the makespan. It cannot wait for requests that happen to name the right chunks, as nobody
//! but the publisher knows what has left: it answers with another chunk instead.
//!
//! Invariant: a chunk is *unserved* exactly when we hold it, did not send it in this run to a neighbour still connected, and no
//! neighbour says that it holds it. `place[unserved[i]] == i`.
//!
//! Not here: who is served next (`uploader`).

use crate::chunk::{ChunkId, Layout};
use crate::swarm::board::Board;
use crate::swarm::event::SourceId;
use crate::units::Rng;

/// Marks a chunk that is not in the vector of unserved ones.
const ABSENT: u32 = u32::MAX;

/// The publisher's memory of what left.
#[derive(Clone, Debug)]
pub(super) struct FirstPass {
    unserved: Vec<ChunkId>,
    place: Vec<u32>,
    sent_to: Vec<Option<SourceId>>,
}

impl FirstPass {
    pub(super) fn new(layout: Layout, board: &Board) -> Self {
        let count = layout.count() as usize;
        let mut pass =
            Self { unserved: Vec::with_capacity(count), place: vec![ABSENT; count], sent_to: vec![None; count] };
        pass.refresh_all(board);
        pass
    }

    /// Whether there is nothing left that has not left.
    pub(super) fn is_over(&self) -> bool {
        self.unserved.is_empty()
    }

    /// Number of unserved chunks.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.unserved.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn contains(&self, chunk: ChunkId) -> bool {
        self.place[chunk.as_usize()] != ABSENT
    }

    /// A random unserved chunk.
    pub(super) fn draw(&self, rng: &mut Rng) -> Option<ChunkId> {
        rng.choice(&self.unserved).copied()
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

    /// Applies the definition to one chunk, after anything that it speaks of has changed.
    pub(super) fn refresh(&mut self, board: &Board, chunk: ChunkId) {
        let due = self.is_due(board, chunk);
        if due == self.contains(chunk) {
            return;
        }
        let place = self.place[chunk.as_usize()];
        if due {
            self.place[chunk.as_usize()] = self.len();
            self.unserved.push(chunk);
        } else {
            self.place[chunk.as_usize()] = ABSENT;
            self.unserved.swap_remove(place as usize);
            if let Some(moved) = self.unserved.get(place as usize) {
                self.place[moved.as_usize()] = place;
            }
        }
    }

    pub(super) fn refresh_all(&mut self, board: &Board) {
        for chunk in board.layout().chunks() {
            self.refresh(board, chunk);
        }
    }

    pub(super) fn check_invariants(&self, board: &Board) {
        for chunk in board.layout().chunks() {
            assert_eq!(
                self.contains(chunk),
                self.is_due(board, chunk),
                "unserved is what the definition says: {chunk:?}"
            );
        }
        for (place, chunk) in self.unserved.iter().enumerate() {
            assert_eq!(self.place[chunk.as_usize()] as usize, place, "the index points to the chunk");
        }
    }

    fn is_due(&self, board: &Board, chunk: ChunkId) -> bool {
        board.have().contains(chunk) && self.sent_to[chunk.as_usize()].is_none() && board.copies(chunk) == 0
    }
}
