//! Prove: chunks that lie in the destination already, perhaps, and need not be fetched then.
//!
//! A content that changed a little is mostly there. But what lies there counts only against a signed digest, and of a large tree the
//! digests come later than neighbours that would send everything. So such chunks are withheld from the swarm until their digest came
//! and their bytes were hashed in the background; what differs is then released and fetched like any other.
//!
//! Invariant: what lay there counts exactly when it matches a signed digest, like a chunk from anybody else; and nothing is withheld
//! for ever while a neighbour could send it.
//!
//! Not here: which files may hold something (`store`), which chunk is wanted next (the swarm).

use std::sync::Arc;
use std::time::Duration;

use super::Node;
use super::content::LOCAL;
use super::error::NodeError;
use super::event::Event;
use super::publish::hash_range;
use crate::bitfield::Bitfield;
use crate::chunk::ChunkId;
use crate::manifest::{Check, Digest};
use crate::store::StoreError;
use crate::swarm::Input;
use crate::units::{Bytes, Time};

/// Jobs that read at a time: with a third the pool's threads would all be busy with what lies here on a small machine, and uploads
/// would wait.
const JOBS_MAX: usize = 2;
/// Bytes that one job reads (4 MiB: some milliseconds, so that progress is seen, and starting a job costs nothing beside it).
const JOB_BYTES: u64 = 4 << 20;
/// How long digests may stay out, while there is nothing else to fetch, before what may lie here is fetched after all (5 s: a
/// publisher signs every 8 MiB that it reads, so one that says nothing for so long has stopped reading).
const DIGEST_TIME_MAX: Duration = Duration::from_secs(5);
/// Chunks that are released when digests stay out; twice as many the next time. Few, because digests may just be late.
const RELEASED_FIRST: usize = 8;

/// Chunks that may lie in the destination and whose digest is not known, or was not compared yet.
#[derive(Debug)]
pub(super) struct Found {
    chunks: Bitfield,
    /// Jobs that read some of them.
    jobs: usize,
    /// When a digest of one of them came last, or there was still something else to do.
    since: Time,
    /// How many are released when digests stay out.
    released: usize,
}

impl Found {
    pub(super) fn new(chunks: Bitfield) -> Self {
        Self { chunks, jobs: 0, since: Time::ZERO, released: RELEASED_FIRST }
    }

    /// The chunk is known otherwise.
    pub(super) fn forget(&mut self, chunk: ChunkId) {
        self.chunks.remove(chunk);
    }

    /// Takes out the chunks of the next job: those whose digest is known, in path order.
    fn take(&mut self, known: &Bitfield) -> Vec<ChunkId> {
        let layout = self.chunks.layout();
        let mut left = JOB_BYTES;
        let mut fits = |chunk: &ChunkId| {
            let open = left > 0;
            left = left.saturating_sub(layout.len(*chunk));
            open
        };
        let chunks: Vec<ChunkId> =
            self.chunks.iter().filter(|chunk| known.contains(*chunk)).take_while(&mut fits).collect();
        chunks.iter().for_each(|chunk| self.forget(*chunk));
        chunks
    }

    /// Digests came: they are no longer late if one of them is of a chunk that may lie here.
    pub(super) fn heard(&mut self, proven: &[ChunkId], now: Time) {
        if proven.iter().any(|chunk| self.chunks.contains(*chunk)) {
            (self.since, self.released) = (now, RELEASED_FIRST);
        }
    }

    /// Takes out chunks that have to be fetched because their digests stay out. `idle` tells whether nothing else is being done.
    fn release(&mut self, now: Time, idle: bool, offered: impl Fn(ChunkId) -> bool) -> Vec<ChunkId> {
        if !idle || self.jobs > 0 || self.chunks.is_empty() {
            self.since = now;
            return Vec::new();
        }
        if now - self.since < DIGEST_TIME_MAX {
            return Vec::new();
        }
        let chunks: Vec<ChunkId> = self.chunks.iter().filter(|chunk| offered(*chunk)).take(self.released).collect();
        self.since = now;
        self.released *= 2;
        chunks.iter().for_each(|chunk| self.forget(*chunk));
        chunks
    }
}

impl Node {
    /// Reads what can be proved, a few chunks at a time, unless enough is being read already.
    pub(super) fn prove(&mut self) {
        let Some(content) = &mut self.content else { return };
        let Some(replica) = content.replica().map(Arc::clone) else { return };
        while content.found.jobs < JOBS_MAX {
            let chunks = content.found.take(content.proofs.known());
            if chunks.is_empty() {
                return;
            }
            content.found.jobs += 1;
            let proofs = &content.proofs;
            let signed: Vec<_> = chunks.into_iter().map(|chunk| (chunk, proofs.digest(chunk))).collect();
            let (layout, kind) = (content.manifest.layout(), content.digest_kind());
            let replica = Arc::clone(&replica);
            let (events, pool) = (self.events.clone(), self.pool.clone());
            self.events.spawn(async move {
                let job = move || {
                    let prove = |(chunk, digest)| {
                        // What cannot be read is not there.
                        let read = |offset, buffer: &mut [u8]| replica.read_at(offset, buffer);
                        let found = hash_range(kind, read, layout.range(chunk)).ok();
                        let equal = found.filter(|found| Some(*found) == digest);
                        if equal.is_some() {
                            replica.confirm(chunk)?;
                        } else if replica.holds(chunk) {
                            // It counted before its proof was lost; what is there could not be written over.
                            replica.forget(chunk)?;
                        }
                        Ok::<_, StoreError>((chunk, equal))
                    };
                    signed.into_iter().map(prove).collect()
                };
                events.send(Event::Proved(pool.run(job).await));
            });
        }
    }

    /// Chunks of the destination were read: each counts, or is fetched now.
    pub(super) fn on_proved(
        &mut self,
        outcome: Result<Vec<(ChunkId, Option<Digest>)>, StoreError>,
    ) -> Result<(), NodeError> {
        if let Some(content) = &mut self.content {
            content.found.jobs -= 1;
        }
        let now = self.clock.now();
        for (chunk, equal) in outcome? {
            let Some(content) = &mut self.content else { return Ok(()) };
            if content.swarm.have().contains(chunk) {
                continue;
            }
            let Some(digest) = equal else {
                self.tell_swarm(Input::Released { chunk });
                continue;
            };
            if content.proofs.check(chunk, &digest) != Check::Proven {
                // Who vouched for it lost its say while it was being read.
                self.give_up(chunk);
                continue;
            }
            self.last_progress = now;
            let len = content.manifest.layout().len(chunk);
            let snapshot = &mut content.snapshot;
            snapshot.chunks_done += 1;
            snapshot.bytes_done = Bytes(snapshot.bytes_done.0 + len);
            snapshot.bytes_kept = Bytes(snapshot.bytes_kept.0 + len);
            self.tell_swarm(Input::Verified { source: LOCAL, chunk });
        }
        self.commit_if_due();
        self.prove();
        Ok(())
    }

    /// New digests came: what they make known need not be fetched.
    pub(super) fn on_proven(&mut self, proven: &[ChunkId]) {
        let now = self.clock.now();
        let Some(content) = &mut self.content else { return };
        content.found.heard(proven, now);
        self.take_zeros(proven.iter().copied());
        self.prove();
    }

    /// Lets chunks be fetched whose digests do not come although a neighbour could send them.
    pub(super) fn review_found(&mut self) {
        let now = self.clock.now();
        let Some(content) = &mut self.content else { return };
        let swarm = &content.swarm;
        let idle =
            swarm.sources().any(|source| source.known > 0) && swarm.sources().all(|source| source.outstanding == 0);
        let released = content.found.release(now, idle, |chunk| swarm.is_offered(chunk));
        if !released.is_empty() {
            tracing::warn!(chunks = released.len(), "digests stay out; what may lie here already is fetched");
        }
        let replica = content.replica().map(Arc::clone);
        for chunk in released {
            if replica.as_ref().is_some_and(|replica| replica.holds(chunk)) {
                // It counted before its proof was lost; what is there could not be written over.
                self.give_up(chunk);
            } else {
                self.tell_swarm(Input::Released { chunk });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Layout;

    /// Ten chunks of 1 MiB, of which these may lie here.
    fn found(chunks: &[u32]) -> (Layout, Found) {
        let layout = Layout::new(10 << 20, 1 << 20).unwrap();
        (layout, Found::new(set(layout, chunks)))
    }

    fn set(layout: Layout, chunks: &[u32]) -> Bitfield {
        let mut set = Bitfield::none(layout);
        chunks.iter().for_each(|index| assert!(set.insert(layout.chunk(*index).unwrap())));
        set
    }

    fn indices(chunks: &[ChunkId]) -> Vec<u32> {
        chunks.iter().map(|chunk| chunk.index()).collect()
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn only_what_has_a_digest_is_read_and_nothing_twice() {
        let (layout, mut found) = found(&[0, 1, 2, 3, 4, 5, 7]);
        assert!(found.take(&set(layout, &[6, 9])).is_empty());
        let known = set(layout, &[1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(indices(&found.take(&known)), [1, 2, 3, 4], "four chunks fill a job");
        assert_eq!(indices(&found.take(&known)), [5, 7]);
        assert!(found.take(&known).is_empty());
    }

    #[test]
    fn a_chunk_larger_than_a_job_is_read_all_the_same() {
        let layout = Layout::new(20 << 20, 10 << 20).unwrap();
        let mut found = Found::new(Bitfield::all(layout));
        assert_eq!(indices(&found.take(&Bitfield::all(layout))), [0]);
    }

    #[test]
    fn a_few_are_released_when_digests_stay_out_and_ever_more_as_they_go_on_to() {
        let layout = Layout::new(100 << 20, 1 << 20).unwrap();
        let mut found = Found::new(Bitfield::all(layout));
        assert!(found.release(at(4), true, |_| true).is_empty(), "too early");
        assert_eq!(found.release(at(5), true, |chunk| chunk.index() >= 10).len(), RELEASED_FIRST);
        assert!(found.release(at(9), true, |_| true).is_empty(), "released ones get their time");
        assert_eq!(found.release(at(10), true, |_| true).len(), 2 * RELEASED_FIRST);
        found.heard(&[layout.chunk(99).unwrap()], at(12));
        assert!(found.release(at(16), true, |_| true).is_empty(), "one digest shows that they come");
        assert_eq!(found.release(at(17), true, |_| true).len(), RELEASED_FIRST);
    }

    #[test]
    fn nothing_is_released_while_something_else_is_done_or_nobody_could_send_it() {
        let (_, mut found) = found(&[1, 2]);
        assert!(found.release(at(60), false, |_| true).is_empty());
        assert!(found.release(at(61), true, |_| true).is_empty(), "it has been idle for a second");
        assert!(found.release(at(70), true, |_| false).is_empty());
        found.jobs = 1;
        assert!(found.release(at(80), true, |_| true).is_empty());
    }
}
