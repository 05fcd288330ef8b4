//! Recent: chunks that came a moment ago, still in memory for whoever asks for them now.
//!
//! What is rare is asked for as soon as it is announced, so most of what a peer gives it has just got. Reading that back costs a trip to the
//! pool, a buffer and a copy for every chunk, and on a slow disk the time of its head.
//!
//! Invariant: only verified chunks are here, and no more bytes of them than this node has room for.
//!
//! Not here: a publisher's chunks, each of which it sends about once.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::chunk::ChunkId;

/// The part of the memory that may be here (a sixteenth: 16 MiB of the default 256 MiB, two thirds of a second of a link of 200 Mbit/s and many
/// times what an announcement and a request take; in the half of the memory that is for what goes out).
const PART: u64 = 16;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Recent {
    /// Room in bytes.
    room: usize,
    chunks: BTreeMap<ChunkId, Bytes>,
    /// In the order of their coming; some may be gone.
    order: VecDeque<ChunkId>,
    bytes: usize,
}

impl Recent {
    /// Nothing yet, for a node with so many bytes of memory.
    pub(super) fn new(memory: u64) -> Self {
        let room = usize::try_from(memory / PART).unwrap_or(usize::MAX);
        Self { room, chunks: BTreeMap::new(), order: VecDeque::new(), bytes: 0 }
    }

    /// Keeps a chunk that fits, and lets go of those that have been here longest.
    pub(super) fn put(&mut self, chunk: ChunkId, data: Bytes) {
        self.forget(chunk);
        if data.len() > self.room {
            return;
        }
        self.bytes += data.len();
        self.chunks.insert(chunk, data);
        self.order.push_back(chunk);
        while self.bytes > self.room {
            let oldest = self.order.pop_front();
            if let Some(data) = oldest.and_then(|chunk| self.chunks.remove(&chunk)) {
                self.bytes -= data.len();
            }
        }
    }

    /// The bytes of a chunk, if they are here.
    pub(super) fn find(&self, chunk: ChunkId) -> Option<Bytes> {
        self.chunks.get(&chunk).cloned()
    }

    /// Lets go of a chunk that counts no more.
    pub(super) fn forget(&mut self, chunk: ChunkId) {
        if let Some(data) = self.chunks.remove(&chunk) {
            self.bytes -= data.len();
            self.order.retain(|other| *other != chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Layout;

    fn chunk(index: u32) -> ChunkId {
        Layout::new(1 << 30, 4 << 20).unwrap().chunk(index).unwrap()
    }

    fn data(len: usize) -> Bytes {
        Bytes::from(vec![7; len])
    }

    #[test]
    fn the_oldest_make_room() {
        let mut recent = Recent::new(256 << 20);
        (0..5).for_each(|index| recent.put(chunk(index), data(4 << 20)));
        let here: Vec<bool> = (0..5).map(|index| recent.find(chunk(index)).is_some()).collect();
        assert_eq!(here, [false, true, true, true, true]);
    }

    #[test]
    fn a_chunk_larger_than_all_room_is_not_kept_and_moves_nothing_out() {
        let mut recent = Recent::new(256 << 20);
        recent.put(chunk(1), data(1));
        recent.put(chunk(0), data(20 << 20));
        assert!(recent.find(chunk(0)).is_none() && recent.find(chunk(1)).is_some());
    }

    #[test]
    fn a_chunk_that_counts_no_more_is_gone_and_may_come_again() {
        let mut recent = Recent::new(256 << 20);
        recent.put(chunk(3), data(8));
        recent.forget(chunk(3));
        assert_eq!((recent.find(chunk(3)), recent.bytes), (None, 0));
        recent.put(chunk(3), data(9));
        recent.put(chunk(3), data(10));
        assert_eq!((recent.find(chunk(3)).map(|data| data.len()), recent.bytes, recent.order.len()), (Some(10), 10, 1));
    }
}
