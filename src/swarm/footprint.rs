//! Footprint: the memory that a machine occupies.
//!
//! A process's memory also holds buffers, keys and code, so it does not show what another neighbour or another chunk adds to the
//! decisions. This adds up what the parts have allocated, so that its growth can be seen, and tested.
//!
//! Invariant: it grows with the neighbours and the chunks of the content, not with the machines of the swarm; in a zone, by some bytes for each
//! member that reaches outside (`members`).
//!
//! Not here: the allocator's own loss, some bytes for each allocation.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::swarm::Swarm;
use crate::swarm::firstpass::FirstPass;
use crate::units::Bytes;

impl Swarm {
    /// Bytes that this machine occupies: itself, and what its parts have allocated.
    #[must_use]
    pub fn footprint(&self) -> Bytes {
        let parts = self.board.footprint()
            + self.uploader.footprint()
            + self.announcer.footprint()
            + self.watch.footprint()
            + self.first_pass.as_ref().map_or(0, FirstPass::footprint)
            + queue(&self.outputs);
        Bytes((size_of::<Self>() + parts) as u64)
    }
}

/// What a vector has allocated.
pub(super) const fn list<T>(list: &Vec<T>) -> usize {
    list.capacity() * size_of::<T>()
}

/// What a queue has allocated.
pub(super) fn queue<T>(queue: &VecDeque<T>) -> usize {
    queue.capacity() * size_of::<T>()
}

/// What a set has allocated, about: see `tree`.
pub(super) fn set<T>(set: &BTreeSet<T>) -> usize {
    set.len() * size_of::<T>() * 3 / 2
}

/// What a tree has allocated, about: its nodes are between half full and full, so half as much again as it holds.
pub(super) fn tree<K, V>(tree: &BTreeMap<K, V>) -> usize {
    tree.len() * size_of::<(K, V)>() * 3 / 2
}
