//! A have: the chunks that a peer holds in addition to those that it named before.
//!
//! Always a set, because a peer that finishes hundreds of chunks a second would otherwise send hundreds of frames to each of its
//! neighbours. In a set the indices ascend, so each is written as its distance from the one before less one, seven bits to a byte,
//! least significant first, the high bit set on all bytes of a number but its last. A run of chunks costs a byte each.
//!
//! Invariant: 1 to [`HAVES_MAX`] indices, strictly ascending, below [`CHUNK_COUNT_MAX`]; one spelling for each set.
//!
//! Not here: whether the content at hand has these chunks.

use super::limits::HAVES_MAX;
use crate::chunk::{CHUNK_COUNT_MAX, ChunkId};

/// Bits of a number in each of its bytes.
const BITS: u32 = 7;
/// Bytes of the longest number: the distance between any two chunks has 20 bits.
const NUMBER_LEN_MAX: usize = 3;

/// A set of chunk indices that fits in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Haves(Vec<u32>);

impl Haves {
    /// Bytes of the longest encoding.
    pub(super) const ENCODED_LEN_MAX: usize = NUMBER_LEN_MAX * HAVES_MAX;

    /// As many sets as it takes for these chunks, which are given in ascending order.
    ///
    /// # Panics
    /// When they are not strictly ascending: a bug of the caller.
    pub fn split(chunks: &[ChunkId]) -> impl Iterator<Item = Self> + '_ {
        assert!(chunks.is_sorted_by(|a, b| a < b), "a have lists every chunk once, in order");
        chunks.chunks(HAVES_MAX).map(|part| Self(part.iter().map(|chunk| chunk.index()).collect()))
    }

    /// The indices, strictly ascending.
    #[must_use]
    pub fn indices(&self) -> &[u32] {
        &self.0
    }

    /// The set as bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len());
        let mut expected = 0;
        for index in &self.0 {
            let mut rest = index - expected;
            while rest >> BITS > 0 {
                out.push(rest.to_le_bytes()[0] | 1 << BITS);
                rest >>= BITS;
            }
            out.push(rest.to_le_bytes()[0]);
            expected = index + 1;
        }
        out
    }

    /// Reads the form of [`Haves::to_bytes`]; `None` for anything else.
    pub(super) fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut indices = Vec::new();
        let mut expected = 0;
        while !bytes.is_empty() {
            let len = bytes.iter().take(NUMBER_LEN_MAX).position(|byte| byte >> BITS == 0)? + 1;
            let (number, rest) = bytes.split_at(len);
            let padded = len > 1 && number[len - 1] == 0;
            let low_bits = |byte: &u8| u32::from(byte & !(1 << BITS));
            let index = expected + number.iter().rev().fold(0, |sum, byte| sum << BITS | low_bits(byte));
            if padded || index >= CHUNK_COUNT_MAX || indices.len() == HAVES_MAX {
                return None;
            }
            indices.push(index);
            expected = index + 1;
            bytes = rest;
        }
        (!indices.is_empty()).then_some(Self(indices))
    }
}
