//! Zeros: chunks of which every byte is zero, and that are therefore known without being fetched or read.
//!
//! A fresh partial file is one hole, so such a chunk is there as soon as its file is; only where old bytes lie is anything
//! written. They come by the thousand when a file is sparse, so that many share one append to the journal.
//!
//! Invariant: as for any chunk, the bytes are there before the journal says so, and the journal says so before they count.
//!
//! Not here: how it is known that a chunk is zeros.

use std::sync::atomic::Ordering;

use super::Replica;
use crate::chunk::ChunkId;
use crate::store::error::StoreError;
use crate::store::journal::Record;
use crate::store::spans::spans;

/// Chunks that become zeros with one append to the journal: 17 bytes each, 17 KiB together, so that another thread's chunk
/// does not wait long.
const TOGETHER: usize = 1024;

impl Replica {
    /// Makes these chunks, in ascending order, all zeros; those that are here already are left alone.
    ///
    /// # Errors
    /// As [`Replica::write_chunk`]; chunks that could not be made zeros are missing as before.
    pub fn write_zeros(&self, chunks: &[ChunkId]) -> Result<(), StoreError> {
        if self.is_read_only() {
            return Err(StoreError::ReadOnly { path: self.path() });
        }
        for group in chunks.chunks(TOGETHER) {
            let _quiet = group.iter().find_map(|chunk| self.while_quiet(*chunk));
            // Claimed in ascending order by everybody who claims more than one, so that nobody waits in a circle.
            let claims: Vec<_> =
                group.iter().filter_map(|chunk| Some((*chunk, self.progress.claim(*chunk)?))).collect();
            claims.iter().try_for_each(|(chunk, _)| self.make_zeros(*chunk))?;
            self.record(claims.iter().map(|(chunk, _)| Record::Chunk(chunk.index())))?;
            self.unsettled.store(true, Ordering::Release);
            claims.into_iter().for_each(|(_, claim)| claim.held(self.entries()));
        }
        Ok(())
    }

    fn make_zeros(&self, chunk: ChunkId) -> Result<(), StoreError> {
        let range = self.layout.range(chunk);
        let len = usize::try_from(range.end - range.start).expect("a chunk is at most 128 MiB");
        spans(self.entries(), range.start, len).try_for_each(|span| {
            self.files.write_zeros_at(span.entry, &(span.offset..span.offset + span.within.len() as u64))
        })
    }
}
