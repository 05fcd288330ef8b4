//! Revoke: chunks that were right and are not any more.
//!
//! What a chunk must be is said by publishers, and when two of them disagree, what the later one vouched for counts no more. Its
//! bytes may be here all the same, even under a final name. They stay until other ones come: whoever reads the file finds it whole,
//! as one publisher meant it, until it is replaced, as any file is that lay there before.
//!
//! The journal needs no record of it. It keeps what the publishers said, in order, so that the layer above finds the same chunks
//! revoked when it reads it again.
//!
//! Invariant: nothing is written to a file while it is being committed, also not when it misses a chunk again meanwhile.
//!
//! Not here: who is believed (`manifest`).

use std::sync::MutexGuard;

use super::Replica;
use crate::chunk::ChunkId;

impl Replica {
    /// Counts these chunks as missing again. Does not block.
    pub fn revoke(&self, chunks: &[ChunkId]) {
        self.progress.revoke(chunks, self.entries());
    }

    /// Keeps commits away while a revoked chunk is written: its file may be in the middle of one.
    pub(super) fn while_quiet(&self, chunk: ChunkId) -> Option<MutexGuard<'_, ()>> {
        let revoked = self.progress.was_revoked(chunk);
        revoked.then(|| self.committing.lock().expect("no thread panics while it commits"))
    }
}
