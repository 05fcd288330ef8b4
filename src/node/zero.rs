//! Zeros: chunks of which every byte is zero, which nobody needs to read, to send or to fetch.
//!
//! A sparse file of a tebibyte is 65,536 chunks, nearly all of them holes. A publisher finds these in the map of holes and signs
//! their digests before it listens; whoever sees that a chunk's signed digest is that of so many zeros has the chunk. So there are
//! two digests to compute, one for whole chunks and one for the last, and the rest is bookkeeping.
//!
//! Invariant: zeros count on the word of a signed digest, as any chunk does. A publisher signs what it did not read only where the
//! file system says that there is a hole.
//!
//! Not here: writing zeros and finding holes (`store`), chunks that are zeros in part (they travel like any other, and `store` leaves
//! out the zeros).

use std::collections::BTreeMap;
use std::sync::Arc;

use quinn::SendStream;

use super::Node;
use super::content::LOCAL;
use super::error::NodeError;
use super::event::Event;
use super::upload::{Upload, UploadError};
use crate::bitfield::Bitfield;
use crate::chunk::{ChunkId, Layout};
use crate::manifest::{Check, Digest, DigestKind};
use crate::net::frames;
use crate::store::{Published, StoreError};
use crate::swarm::Input;
use crate::units::Bytes;
use crate::wire::{Answer, Encoding, Trailer};

/// What chunks of zeros digest to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zeros {
    layout: Layout,
    whole: Digest,
    last: Digest,
}

impl Zeros {
    /// Computes both digests, which takes as long as hashing two chunks.
    pub(super) fn new(kind: DigestKind, layout: Layout) -> Self {
        let last = layout.count().checked_sub(1).and_then(|last| layout.chunk(last)).map_or(0, |last| layout.len(last));
        let whole = digest_of_zeros(kind, layout.chunk_size());
        let last = if last == layout.chunk_size() { whole } else { digest_of_zeros(kind, last) };
        Self { layout, whole, last }
    }

    /// What the chunk digests to if it is zeros.
    pub(super) fn digest(&self, chunk: ChunkId) -> Digest {
        if self.layout.len(chunk) == self.layout.chunk_size() { self.whole } else { self.last }
    }

    /// The digests of the chunks that are holes: an answer of the file system for each chunk of a sparse source, a tenth of a second
    /// for 65,536 of them, and nothing for any other source. Blocks.
    pub(super) fn of_holes(&self, source: &Published) -> Result<BTreeMap<ChunkId, Digest>, StoreError> {
        let mut holes = BTreeMap::new();
        for chunk in self.layout.chunks().filter(|_| source.is_sparse()) {
            if source.is_hole(&self.layout.range(chunk))? {
                holes.insert(chunk, self.digest(chunk));
            }
        }
        Ok(holes)
    }
}

fn digest_of_zeros(kind: DigestKind, len: u64) -> Digest {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut hasher = kind.hasher();
    let mut left = len;
    while left > 0 {
        let part = usize::try_from(left).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        hasher.update(&ZEROS[..part]);
        left -= part as u64;
    }
    hasher.finish()
}

impl Upload {
    /// Says that the chunk is zeros, which needs no bytes.
    pub(super) async fn send_zeros(mut self) -> Result<(Option<Digest>, SendStream), UploadError> {
        let (chunk, ranges) = (self.chunk.index(), self.ranges.clone());
        frames::write(&mut self.send, &Answer::Data { chunk, ranges, encoding: Encoding::Zero, length: 0 }).await?;
        // A digest that is known was told on the control stream before.
        frames::write(&mut self.send, &Trailer { proof: None, waiting: self.waiting }).await?;
        // Fails only on a stream that was stopped; the caller sees that when it waits for the acknowledgement.
        let _ = self.send.finish();
        Ok((None, self.send))
    }
}

impl Node {
    /// Takes those of these chunks that are zeros, as their signed digests say; nobody is asked for them any more.
    pub(super) fn take_zeros(&mut self, proven: impl IntoIterator<Item = ChunkId>) {
        let Some(content) = &mut self.content else { return };
        let Some(replica) = content.replica().map(Arc::clone) else { return };
        let (have, proofs, zeros) = (content.swarm.have(), &content.proofs, content.zeros);
        let is_zeros = |chunk: &ChunkId| !have.contains(*chunk) && proofs.digest(*chunk) == Some(zeros.digest(*chunk));
        let mut chunks: Vec<ChunkId> = proven.into_iter().filter(is_zeros).collect();
        if chunks.is_empty() {
            return;
        }
        chunks.sort_unstable();
        let mut withheld = Bitfield::none(content.manifest.layout());
        for chunk in &chunks {
            withheld.insert(*chunk);
            content.found.forget(*chunk);
        }
        self.tell_swarm(Input::Withheld { chunks: withheld });
        let (events, pool) = (self.events.clone(), self.pool.clone());
        self.events.spawn(async move {
            let job = move || {
                let outcome = replica.write_zeros(&chunks);
                (chunks, outcome)
            };
            let (chunks, outcome) = pool.run(job).await;
            events.send(Event::Zeroed { chunks, outcome });
        });
    }

    /// Chunks of zeros are in the destination: they count.
    pub(super) fn on_zeroed(&mut self, chunks: Vec<ChunkId>, outcome: Result<(), StoreError>) -> Result<(), NodeError> {
        outcome?;
        self.last_progress = self.clock.now();
        for chunk in chunks {
            let Some(content) = &mut self.content else { return Ok(()) };
            if content.proofs.check(chunk, &content.zeros.digest(chunk)) != Check::Proven {
                // Who vouched for it lost its say meanwhile.
                self.give_up(chunk);
                continue;
            }
            if !content.swarm.have().contains(chunk) {
                let len = content.manifest.layout().len(chunk);
                let snapshot = &mut content.snapshot;
                snapshot.chunks_done += 1;
                snapshot.bytes_done = Bytes(snapshot.bytes_done.0 + len);
            }
            self.tell_swarm(Input::Verified { source: LOCAL, chunk });
        }
        self.commit_if_due();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_zeros_is_that_of_the_chunk_also_of_a_shorter_last_one() {
        let layout = Layout::new((200 << 10) + 5, 100 << 10).unwrap();
        let zeros = Zeros::new(DigestKind::Blake3, layout);
        for chunk in layout.chunks() {
            let data = vec![0; usize::try_from(layout.len(chunk)).unwrap()];
            assert_eq!(zeros.digest(chunk), DigestKind::Blake3.digest(&data), "{chunk:?}");
        }
        assert_eq!(Zeros::new(DigestKind::Blake3, Layout::new(0, 1024).unwrap()).layout.count(), 0);
    }
}
