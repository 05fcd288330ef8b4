//! Bitfield: the set of chunks that somebody holds.
//!
//! A plain bit vector in 64-bit words. Contents have at most a million chunks, so a dense set costs 128 KiB at worst and every
//! question that the picker asks is a word operation; a compressed set would save memory only where there is none to save.
//!
//! Invariant: bits at and beyond the layout's count are zero, and `held` is the number of ones.
//!
//! Not here: rarity counts (`swarm`), the form on the wire (`wire`).

use crate::chunk::{ChunkId, Layout};

/// A set of chunks of one layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitfield {
    words: Vec<u64>,
    layout: Layout,
    held: u32,
}

/// Bytes that are not a bitfield of the layout at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BitfieldError {
    /// The length does not fit the number of chunks.
    #[error("bitfield of {found} bytes where {expected} are due")]
    Length {
        /// Bytes that came.
        found: usize,
        /// Bytes that the layout needs.
        expected: usize,
    },
    /// A bit beyond the last chunk is set.
    #[error("bitfield claims a chunk beyond the last")]
    SpareBits,
}

impl Bitfield {
    /// The empty set.
    #[must_use]
    pub fn none(layout: Layout) -> Self {
        let words = vec![0; (layout.count() as usize).div_ceil(64)];
        Self { words, layout, held: 0 }
    }

    /// The set of all chunks.
    #[must_use]
    pub fn all(layout: Layout) -> Self {
        let mut set = Self::none(layout);
        set.words.fill(u64::MAX);
        if let Some(last) = set.words.last_mut() {
            *last &= tail_mask(layout.count());
        }
        set.held = layout.count();
        set
    }

    /// Reads the form of [`Bitfield::to_bytes`].
    ///
    /// # Errors
    /// [`BitfieldError`] when the length is not that of the layout or a spare bit is set.
    pub fn from_bytes(layout: Layout, bytes: &[u8]) -> Result<Self, BitfieldError> {
        let expected = (layout.count() as usize).div_ceil(8);
        if bytes.len() != expected {
            return Err(BitfieldError::Length { found: bytes.len(), expected });
        }
        let mut set = Self::none(layout);
        for (word, eight) in set.words.iter_mut().zip(bytes.chunks(8)) {
            let mut padded = [0; 8];
            padded[..eight.len()].copy_from_slice(eight);
            *word = u64::from_le_bytes(padded);
        }
        if set.words.last().is_some_and(|last| last & !tail_mask(layout.count()) != 0) {
            return Err(BitfieldError::SpareBits);
        }
        set.held = set.words.iter().map(|w| w.count_ones()).sum();
        Ok(set)
    }

    /// The set as bytes: chunk `i` is bit `i % 8` of byte `i / 8`; spare bits are zero.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|w| w.to_le_bytes()).collect();
        bytes.truncate((self.layout.count() as usize).div_ceil(8));
        bytes
    }

    /// The layout whose chunks these are.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether `chunk` is in the set.
    #[must_use]
    pub fn contains(&self, chunk: ChunkId) -> bool {
        self.words[chunk.as_usize() / 64] & bit(chunk) != 0
    }

    /// Adds `chunk`; false when it was there already.
    ///
    /// Returns early on purpose. With the branch-free form (`held += u32::from(new)`) rustc 1.95 built a release binary (thin LTO, four
    /// codegen units) in which `held` stayed zero, so that no node ever became complete, while unoptimised and optimised development
    /// builds were right. The cause was not reduced further; the swarm's tests under `--release` show whether it is back.
    pub fn insert(&mut self, chunk: ChunkId) -> bool {
        if self.contains(chunk) {
            return false;
        }
        self.words[chunk.as_usize() / 64] |= bit(chunk);
        self.held += 1;
        true
    }

    /// Takes `chunk` out; false when it was not there.
    pub fn remove(&mut self, chunk: ChunkId) -> bool {
        if !self.contains(chunk) {
            return false;
        }
        self.words[chunk.as_usize() / 64] &= !bit(chunk);
        self.held -= 1;
        true
    }

    /// Number of chunks in the set.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.held
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Whether every chunk is in the set.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.held == self.layout.count()
    }

    /// The 64-bit words, chunk `i` at bit `i % 64` of word `i / 64`: for callers that combine several sets.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The chunks in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = ChunkId> + '_ {
        ones(self.layout, self.words.iter().copied())
    }

    /// The chunks of the layout that are not in the set, ascending.
    pub fn missing(&self) -> impl Iterator<Item = ChunkId> + '_ {
        let last = self.words.len().saturating_sub(1);
        let mask = tail_mask(self.layout.count());
        let inverted = self.words.iter().enumerate().map(move |(i, w)| if i == last { !w & mask } else { !w });
        ones(self.layout, inverted)
    }

    /// Bytes that it has allocated.
    #[must_use]
    pub const fn footprint(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }

    /// How many chunks of `self` are not in `other`.
    #[must_use]
    pub fn count_outside(&self, other: &Self) -> u32 {
        self.words.iter().zip(&other.words).map(|(a, b)| (a & !b).count_ones()).sum()
    }
}

/// The chunks whose bits are one.
fn ones(layout: Layout, words: impl Iterator<Item = u64>) -> impl Iterator<Item = ChunkId> {
    words.enumerate().flat_map(move |(i, mut word)| {
        std::iter::from_fn(move || {
            if word == 0 {
                return None;
            }
            let bit = word.trailing_zeros();
            word &= word - 1;
            layout.chunk(u32::try_from(i).ok()? * 64 + bit)
        })
    })
}

/// The bit of a chunk in its word.
const fn bit(chunk: ChunkId) -> u64 {
    1 << (chunk.index() % 64)
}

/// The bits of the last word that belong to chunks.
const fn tail_mask(count: u32) -> u64 {
    match count % 64 {
        0 => u64::MAX,
        rest => (1 << rest) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Counts around the edges of words and bytes.
    const INTERESTING_COUNTS: [u32; 9] = [0, 1, 7, 8, 63, 64, 65, 128, 1000];

    fn layout(count: u32) -> Layout {
        Layout::new(u64::from(count) * 1024, 1024).unwrap()
    }

    #[test]
    fn all_and_none_are_complements_at_every_edge() {
        for count in INTERESTING_COUNTS {
            let (all, none) = (Bitfield::all(layout(count)), Bitfield::none(layout(count)));
            assert!(all.is_full() && none.is_empty());
            assert_eq!(all.iter().count(), count as usize);
            assert_eq!(none.missing().count(), count as usize);
            assert_eq!(all.missing().count() + none.iter().count(), 0);
            assert_eq!(all.count_outside(&none), count);
        }
    }

    #[test]
    fn refuses_wrong_lengths_and_spare_bits() {
        assert_eq!(Bitfield::from_bytes(layout(9), &[0; 1]), Err(BitfieldError::Length { found: 1, expected: 2 }));
        assert_eq!(Bitfield::from_bytes(layout(9), &[0, 0b10]), Err(BitfieldError::SpareBits));
        assert!(Bitfield::from_bytes(layout(9), &[0xff, 0b1]).unwrap().is_full());
    }

    proptest! {
        #[test]
        fn bytes_round_trip(count in 1u32..300, picks in proptest::collection::vec(any::<u32>(), 0..64)) {
            let layout = layout(count);
            let mut set = Bitfield::none(layout);
            for pick in picks {
                set.insert(layout.chunk(pick % count).unwrap());
            }
            prop_assert_eq!(set.iter().count(), set.len() as usize);
            prop_assert_eq!(&Bitfield::from_bytes(layout, &set.to_bytes()).unwrap(), &set);
            for chunk in layout.chunks().filter(|c| !set.contains(*c)).collect::<Vec<_>>() {
                prop_assert!(set.insert(chunk) && set.remove(chunk) && !set.remove(chunk));
            }
        }
    }
}
