//! Prove: chunks that lie in the destination already, perhaps, and need not be fetched then.
//!
//! A content that changed a little is mostly there. But what lies there counts only against a signed digest, and digests come when
//! neighbours do. So a request for such a chunk is held back while its own bytes are read and hashed; it goes out when they differ,
//! or when no digest comes in time.
//!
//! Invariant: what lay there counts exactly when it matches a signed digest, like a chunk from anybody else.
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
use crate::store::StoreError;
use crate::swarm::{Input, Part, SourceId};
use crate::units::{Bytes, Time};

/// How long a request waits for a digest of what may lie here (1 s: a publisher hashes a gigabyte meanwhile, and less than the 2 s
/// after which the swarm would ask somebody else as well).
const DIGEST_TIME_MAX: Duration = Duration::from_secs(1);

/// A request that waits until it is known whether it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    since: Time,
    source: SourceId,
    chunk: ChunkId,
    part: Part,
    exact: bool,
}

/// Chunks that may lie in the destination, and requests for them.
#[derive(Debug)]
pub(super) struct Found {
    chunks: Bitfield,
    held: Vec<Held>,
    /// Whether one is being read.
    proving: bool,
}

impl Found {
    pub(super) fn new(chunks: Bitfield) -> Self {
        Self { chunks, held: Vec::new(), proving: false }
    }

    /// The chunk came from elsewhere.
    pub(super) fn forget(&mut self, chunk: ChunkId) {
        self.chunks.remove(chunk);
    }

    /// Gives up what was to be asked of a neighbour that is gone.
    pub(super) fn on_left(&mut self, source: SourceId) {
        self.held.retain(|held| held.source != source);
    }

    /// Gives up a request that is held back; false when it is not.
    pub(super) fn cancel(&mut self, source: SourceId, chunk: ChunkId) -> bool {
        let before = self.held.len();
        self.held.retain(|held| (held.source, held.chunk) != (source, chunk));
        self.held.len() < before
    }

    /// The next chunk to read among those whose digest is known: one that is asked for, else the first.
    fn next(&self, known: &Bitfield) -> Option<ChunkId> {
        let asked = self.held.iter().map(|held| held.chunk).find(|chunk| known.contains(*chunk));
        asked.or_else(|| self.chunks.iter().find(|chunk| known.contains(*chunk)))
    }

    /// Takes out the requests that need not wait any longer.
    fn release(&mut self, due: impl Fn(&Held) -> bool) -> Vec<Held> {
        let (out, stay) = self.held.iter().partition(|held| due(held));
        self.held = stay;
        out
    }
}

impl Node {
    /// Holds a request back when the chunk may lie here; false when it must be asked for.
    pub(super) fn hold(&mut self, source: SourceId, chunk: ChunkId, part: Part, exact: bool) -> bool {
        let since = self.clock.now();
        let Some(content) = &mut self.content else { return false };
        if !content.found.chunks.contains(chunk) {
            return false;
        }
        content.found.held.push(Held { since, source, chunk, part, exact });
        self.prove();
        true
    }

    /// Reads the next chunk that can be proved, unless one is being read already.
    pub(super) fn prove(&mut self) {
        let Some(content) = &mut self.content else { return };
        let Some(replica) = content.replica().map(Arc::clone).filter(|_| !content.found.proving) else { return };
        let Some(chunk) = content.found.next(content.proofs.known()) else { return };
        let Some(digest) = content.proofs.digest(chunk) else { return };
        content.found.proving = true;
        let range = content.manifest.layout().range(chunk);
        let (events, pool) = (self.events.clone(), self.pool.clone());
        tokio::spawn(async move {
            let job = move || {
                // What cannot be read is not there.
                let equal = hash_range(|offset, buffer| replica.read_at(offset, buffer), range)
                    .is_ok_and(|found| found == digest);
                if equal {
                    replica.confirm(chunk)?;
                }
                Ok::<_, StoreError>(equal)
            };
            events.send(Event::Proved { chunk, outcome: pool.run(job).await });
        });
    }

    /// A chunk of the destination was read: it counts, or it is asked for now.
    pub(super) fn on_proved(&mut self, chunk: ChunkId, outcome: Result<bool, StoreError>) -> Result<(), NodeError> {
        let proven = outcome?;
        let now = self.clock.now();
        let Some(content) = &mut self.content else { return Ok(()) };
        content.found.proving = false;
        content.found.forget(chunk);
        if !proven {
            let released = content.found.release(|held| held.chunk == chunk);
            self.ask(&released);
        } else if !content.swarm.have().contains(chunk) {
            self.last_progress = now;
            let len = content.manifest.layout().len(chunk);
            let snapshot = &mut content.snapshot;
            snapshot.chunks_done += 1;
            snapshot.bytes_done = Bytes(snapshot.bytes_done.0 + len);
            snapshot.bytes_kept = Bytes(snapshot.bytes_kept.0 + len);
            // The swarm cancels the requests that are held back.
            self.tell_swarm(Input::Verified { source: LOCAL, chunk });
            self.commit_if_due();
        }
        self.prove();
        Ok(())
    }

    /// Lets requests go whose digest does not come.
    pub(super) fn review_held(&mut self) {
        let now = self.clock.now();
        let Some(content) = &mut self.content else { return };
        let known = content.proofs.known();
        let released = content.found.release(|held| now - held.since > DIGEST_TIME_MAX && !known.contains(held.chunk));
        self.ask(&released);
        self.prove();
    }

    fn ask(&mut self, released: &[Held]) {
        for held in released {
            self.ask_neighbour(held.source, held.chunk, held.part, held.exact);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Layout;

    /// Ten chunks, of which these may lie here.
    fn found(chunks: &[u32]) -> (Layout, Found) {
        let layout = Layout::new(10 << 10, 1 << 10).unwrap();
        (layout, Found::new(set(layout, chunks)))
    }

    fn set(layout: Layout, chunks: &[u32]) -> Bitfield {
        let mut set = Bitfield::none(layout);
        chunks.iter().for_each(|index| assert!(set.insert(layout.chunk(*index).unwrap())));
        set
    }

    fn held(layout: Layout, source: u32, chunk: u32) -> Held {
        let (source, chunk) = (SourceId(source), layout.chunk(chunk).unwrap());
        Held { since: Time::ZERO, source, chunk, part: Part::Rest, exact: false }
    }

    #[test]
    fn what_is_asked_for_is_read_first_and_only_what_has_a_digest() {
        let (layout, mut found) = found(&[1, 3, 5, 7]);
        assert_eq!(found.next(&set(layout, &[])), None);
        assert_eq!(found.next(&set(layout, &[0, 3, 7])), layout.chunk(3));
        found.held = vec![held(layout, 1, 5), held(layout, 2, 7)];
        assert_eq!(found.next(&set(layout, &[0, 3, 7])), layout.chunk(7));
        found.forget(layout.chunk(3).unwrap());
        found.held.clear();
        assert_eq!(found.next(&set(layout, &[0, 3, 7])), layout.chunk(7));
    }

    #[test]
    fn requests_end_with_their_neighbour_their_cancellation_or_their_release() {
        let (layout, mut found) = found(&[1, 2]);
        found.held = vec![held(layout, 1, 1), held(layout, 2, 1), held(layout, 2, 2), held(layout, 3, 2)];
        found.on_left(SourceId(1));
        assert!(found.cancel(SourceId(3), layout.chunk(2).unwrap()));
        assert!(!found.cancel(SourceId(3), layout.chunk(2).unwrap()));
        assert_eq!(found.release(|held| Some(held.chunk) == layout.chunk(1)), [held(layout, 2, 1)]);
        assert_eq!(found.held, [held(layout, 2, 2)]);
    }
}
