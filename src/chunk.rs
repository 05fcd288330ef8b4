//! Chunks: the unit of having, asking and verifying.
//!
//! A content's files, laid end to end in path order, make one long range of bytes; chunk *i* is bytes `i*c .. (i+1)*c` of it.
//! Files do not own chunks: ten thousand small files would cost ten thousand round trips, as a range they cost a few.
//!
//! Invariant: a [`ChunkId`] is always in range of the [`Layout`] that made it; there is no other way to make one, so nothing
//! that takes one checks again.
//!
//! Not here: which bytes of which file (`manifest` knows sizes and order, `store` makes spans of them).

use std::ops::Range;

/// The smallest chunk (`--chunk-size`), in bytes.
pub const CHUNK_SIZE_MIN: u64 = 1 << 10;
/// The largest chunk, in bytes: the ancestor's bound, so that its fleets' settings keep working.
pub const CHUNK_SIZE_MAX: u64 = 128 << 20;
/// The most chunks of a content: a bitfield of 128 KiB per neighbour.
pub const CHUNK_COUNT_MAX: u32 = 1 << 20;

/// Index of a chunk of one content. Made only by [`Layout::chunk`] and [`Layout::chunks`], so it is always in range; it can be written
/// down as its number, and whoever reads one asks the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct ChunkId(u32);

impl ChunkId {
    /// The index as it travels.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0
    }

    /// The index for slices.
    #[must_use]
    pub const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// How the bytes of a content are cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    total: u64,
    chunk_size: u64,
    count: u32,
}

/// A chunk size that cannot be used for a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Outside `CHUNK_SIZE_MIN..=CHUNK_SIZE_MAX`.
    #[error("chunk size {0} is outside 1 KiB to 128 MiB")]
    ChunkSize(u64),
    /// More than `CHUNK_COUNT_MAX` chunks.
    #[error("{total} bytes in chunks of {chunk_size} are more than {CHUNK_COUNT_MAX} chunks; use larger chunks")]
    Count {
        /// Bytes of the content.
        total: u64,
        /// Bytes of a chunk.
        chunk_size: u64,
    },
}

impl Layout {
    /// A layout of `total` bytes in chunks of `chunk_size` bytes (the last one may be shorter).
    ///
    /// # Errors
    /// [`LayoutError`] when the size or the resulting count is out of bounds.
    pub fn new(total: u64, chunk_size: u64) -> Result<Self, LayoutError> {
        if !(CHUNK_SIZE_MIN..=CHUNK_SIZE_MAX).contains(&chunk_size) {
            return Err(LayoutError::ChunkSize(chunk_size));
        }
        match u32::try_from(total.div_ceil(chunk_size)) {
            Ok(count) if count <= CHUNK_COUNT_MAX => Ok(Self { total, chunk_size, count }),
            _ => Err(LayoutError::Count { total, chunk_size }),
        }
    }

    /// Bytes of the content.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Bytes of every chunk but the last.
    #[must_use]
    pub const fn chunk_size(&self) -> u64 {
        self.chunk_size
    }

    /// Number of chunks; zero for a content without bytes.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The chunk with this index, or `None` when there is none.
    #[must_use]
    pub fn chunk(&self, index: u32) -> Option<ChunkId> {
        (index < self.count).then_some(ChunkId(index))
    }

    /// All chunks in order.
    pub fn chunks(&self) -> impl ExactSizeIterator<Item = ChunkId> + use<> {
        (0..self.count).map(ChunkId)
    }

    /// The bytes of the content that this chunk holds.
    #[must_use]
    pub fn range(&self, chunk: ChunkId) -> Range<u64> {
        let start = u64::from(chunk.0) * self.chunk_size;
        start..(start + self.chunk_size).min(self.total)
    }

    /// Length of this chunk in bytes.
    #[must_use]
    pub fn len(&self, chunk: ChunkId) -> u64 {
        let range = self.range(chunk);
        range.end - range.start
    }

    /// Whether the content has no bytes at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The chunks that share bytes with this range of the content.
    #[must_use]
    pub fn covering(&self, range: &Range<u64>) -> Range<u32> {
        if range.is_empty() || range.start >= self.total {
            return 0..0;
        }
        let last = (range.end.min(self.total) - 1) / self.chunk_size;
        let index = |n: u64| u32::try_from(n).unwrap_or(self.count);
        index(range.start / self.chunk_size)..index(last) + 1
    }
}

/// The chunk size for a content of `total` bytes when the user names none.
///
/// The power of two nearest `total / 4096`, within 256 KiB and 16 MiB: 4096 chunks lose about two percent to
/// store-and-forward at a thousand peers (6 log2 N chunk times), and smaller ones only add messages. Below 1 GiB the floor falls to
/// 64 KiB, so that a small content still has chunks enough to trade.
#[must_use]
pub fn automatic_chunk_size(total: u64) -> u64 {
    const TARGET_COUNT: u64 = 4096;
    let floor = if total < (1 << 30) { 64 << 10 } else { 256 << 10 };
    let ideal = (total / TARGET_COUNT).max(1);
    let below = 1u64 << ideal.ilog2();
    let nearest = if ideal - below < 2 * below - ideal { below } else { 2 * below };
    let mut size = nearest.clamp(floor, 16 << 20);
    while total.div_ceil(size) > u64::from(CHUNK_COUNT_MAX) && size < CHUNK_SIZE_MAX {
        size *= 2;
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_chunk_holds_the_rest() {
        let layout = Layout::new(2500, 1024).unwrap();
        let lens: Vec<u64> = layout.chunks().map(|c| layout.len(c)).collect();
        assert_eq!(lens, [1024, 1024, 452]);
        assert_eq!(layout.chunk(3), None);
    }

    #[test]
    fn a_content_without_bytes_has_no_chunks() {
        let layout = Layout::new(0, 1024).unwrap();
        assert!(layout.is_empty());
        assert_eq!(layout.chunks().count(), 0);
        assert_eq!(layout.covering(&(0..0)), 0..0);
    }

    #[test]
    fn covering_names_every_chunk_that_a_range_touches() {
        let layout = Layout::new(4096, 1024).unwrap();
        assert_eq!(layout.covering(&(0..1)), 0..1);
        assert_eq!(layout.covering(&(1023..1025)), 0..2);
        assert_eq!(layout.covering(&(1024..4096)), 1..4);
        assert_eq!(layout.covering(&(1024..1024)), 0..0);
    }

    #[test]
    fn refuses_chunk_sizes_and_counts_out_of_bounds() {
        assert_eq!(Layout::new(1, 1023), Err(LayoutError::ChunkSize(1023)));
        assert_eq!(Layout::new(1, CHUNK_SIZE_MAX + 1), Err(LayoutError::ChunkSize(CHUNK_SIZE_MAX + 1)));
        assert!(Layout::new(u64::MAX, CHUNK_SIZE_MAX).is_err());
    }

    #[test]
    fn automatic_chunks_number_about_four_thousand() {
        for (total, size) in
            [(0, 64 << 10), (1 << 20, 64 << 10), (1 << 30, 256 << 10), (10 << 30, 2 << 20), (100 << 30, 16 << 20)]
        {
            assert_eq!(automatic_chunk_size(total), size, "{total}");
        }
        assert!(Layout::new(100 << 40, automatic_chunk_size(100 << 40)).is_ok());
    }
}
