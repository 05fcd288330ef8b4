//! Recheck: a second look at chunks of our own that somebody found bad.
//!
//! A neighbour that complains may lie, and a disk may rot without a word. So what lies there is read again and compared with the signed
//! digest; what differs is given up, the neighbours are told that it is not here any more, and it is fetched from somebody else like
//! any chunk that is missing.
//!
//! Invariant: complaints cost one read of one chunk at a time, each chunk at most once in [`AGAIN_AFTER`], whoever complains how often.
//!
//! Not here: giving up bytes on the disk (`store`), who is blamed for bad chunks of others (`blame`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Node;
use super::content::{OUR_INDEX, Tree};
use super::error::NodeError;
use super::event::Event;
use super::publish::hash_range;
use crate::chunk::ChunkId;
use crate::store::StoreError;
use crate::swarm::{Input, SourceId};
use crate::units::{Bytes, Time};
use crate::wire::{Form, Message};

/// A chunk that was looked at is not looked at again for so long (60 s: as long as whoever complained keeps away from us).
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Chunks that may wait to be looked at: a disk that rots in more places than this will be complained of again.
const WAITING_MAX: usize = 64;

/// Chunks to look at again.
#[derive(Debug, Default)]
pub(super) struct Recheck {
    waiting: BTreeSet<ChunkId>,
    /// When chunks were looked at.
    looked: BTreeMap<ChunkId, Time>,
    reading: bool,
    /// Chunks that are being given up.
    giving_up: u32,
    /// Whether the neighbours believe that something is here which is not.
    overstated: bool,
}

impl Recheck {
    /// Notes that a chunk is to be looked at, if there is reason to.
    fn note(&mut self, chunk: ChunkId, now: Time) {
        self.looked.retain(|_, looked| now - *looked < AGAIN_AFTER);
        if self.waiting.len() < WAITING_MAX && !self.looked.contains_key(&chunk) {
            self.waiting.insert(chunk);
        }
    }

    /// The next chunk to read, unless one is being read.
    fn next(&mut self, now: Time) -> Option<ChunkId> {
        if self.reading {
            return None;
        }
        let chunk = self.waiting.pop_first()?;
        self.reading = true;
        self.looked.insert(chunk, now);
        Some(chunk)
    }
}

/// What was found of a chunk of ours.
#[derive(Debug)]
pub(super) enum Found {
    /// It is what was signed.
    Right,
    /// It is not, or cannot be read, and was given up.
    Rotten,
}

impl Node {
    /// A neighbour says that a chunk of ours was bad.
    pub(super) fn on_bad_chunk(&mut self, source: SourceId, index: u32) {
        let (Some(content), Some(link)) = (&self.content, self.links.link(source)) else { return };
        let Some(chunk) = content.manifest.layout().chunk(index) else {
            return self.violation(source, "it complains about a chunk beyond the last");
        };
        let path = content.path_of(chunk);
        tracing::warn!(address = %link.address, index, %path, "a neighbour found a chunk of ours bad; it is read again");
        // What we keep packed may be what is wrong of it.
        content.forms.forget(chunk);
        self.recheck(chunk);
    }

    /// Looks again at a chunk of ours.
    pub(super) fn recheck(&mut self, chunk: ChunkId) {
        let now = self.clock.now();
        if let Some(content) = &mut self.content {
            content.recheck.note(chunk, now);
        }
        self.read_again();
    }

    /// Reads the next chunk that is to be looked at, unless one is being read.
    fn read_again(&mut self) {
        let now = self.clock.now();
        let Some(content) = &mut self.content else { return };
        let Some(chunk) = content.recheck.next(now) else { return };
        let signed = match &content.press {
            // Our own source is measured by our own word.
            Some(press) if matches!(content.tree, Tree::Published(_)) => press.digest(chunk),
            _ => content.proofs.digest(chunk),
        };
        let Some(signed) = signed.filter(|_| content.swarm.have().contains(chunk)) else {
            content.recheck.reading = false;
            return self.read_again();
        };
        let (tree, kind, range) = (content.tree.clone(), content.digest_kind(), content.manifest.layout().range(chunk));
        let (events, pool) = (self.events.clone(), self.pool.clone());
        self.events.spawn(async move {
            let job = move || {
                let read = hash_range(kind, |offset, buffer| tree.read_at(offset, buffer), range);
                match (read, tree) {
                    (Ok(digest), _) if digest == signed => Ok(Found::Right),
                    (Err(error), Tree::Published(_)) => Err(error),
                    (Ok(_), Tree::Published(_)) => Ok(Found::Rotten),
                    // Somebody else changed the file, which is theirs to do; it is not served, and not changed back.
                    (Err(error @ StoreError::Altered { .. }), _) => Err(error),
                    (_, Tree::Replica(replica)) => replica.forget(chunk).map(|()| Found::Rotten),
                }
            };
            events.send(Event::Rechecked { chunk, outcome: pool.run(job).await });
        });
    }

    /// Gives up a chunk that was counted on the word of a publisher that counts no more: whatever lies there must not stay there.
    pub(super) fn give_up(&mut self, chunk: ChunkId) {
        // A publisher's own source is the measure of what it serves, whatever others said of it before.
        let Some(content) = &mut self.content else { return };
        let Some(replica) = content.replica().map(Arc::clone) else { return };
        content.recent.forget(chunk);
        content.recheck.giving_up += 1;
        content.forms.forget(chunk);
        let (events, pool) = (self.events.clone(), self.pool.clone());
        self.events.spawn(async move {
            let outcome = pool.run(move || replica.forget(chunk)).await;
            events.send(Event::GivenUp { chunk, outcome });
        });
    }

    /// A chunk that counts no more was given up.
    pub(super) fn on_given_up(&mut self, chunk: ChunkId, outcome: Result<(), StoreError>) -> Result<(), NodeError> {
        outcome?;
        let Some(content) = &mut self.content else { return Ok(()) };
        content.recheck.giving_up -= 1;
        let is_last = content.recheck.giving_up == 0;
        if content.swarm.have().contains(chunk) {
            self.lose(chunk);
        }
        // Of another copy that came meanwhile nothing was written; nobody is to blame for either.
        self.tell_swarm(Input::Released { chunk });
        self.tell_swarm(Input::Mixed { chunk });
        if is_last && self.finishing {
            self.finish();
        }
        Ok(())
    }

    /// Whether a chunk is being given up: nothing is over as long as one is.
    pub(super) fn is_giving_up(&self) -> bool {
        self.content.as_ref().is_some_and(|content| content.recheck.giving_up > 0)
    }

    /// Tells the neighbours what is here still, once for all that was lost since the last time: many chunks may be lost together, and
    /// whoever says more than is needed is cut off.
    pub(super) fn review_lost(&mut self) {
        let Some(content) = self.content.as_mut().filter(|content| content.recheck.overstated) else { return };
        content.recheck.overstated = false;
        let held = Message::Bitfield { content: OUR_INDEX, form: Form::of(content.swarm.have()) };
        for link in self.links.joined_mut() {
            link.tell(&held);
        }
    }

    /// A chunk of ours was looked at.
    pub(super) fn on_rechecked(&mut self, chunk: ChunkId, outcome: Result<Found, StoreError>) -> Result<(), NodeError> {
        let Some(content) = &mut self.content else { return Ok(()) };
        content.recheck.reading = false;
        let path = content.path_of(chunk);
        match (outcome, &content.tree) {
            (Ok(Found::Right), _) => tracing::info!(%path, "the chunk is what was signed"),
            (Ok(Found::Rotten), Tree::Published(_)) => return Err(NodeError::SourceChanged { path }),
            (Ok(Found::Rotten), Tree::Replica(_)) => {
                tracing::error!(%path, "a chunk of this copy is not what it was: check this machine's disk; it is fetched anew");
                self.lose(chunk);
            }
            (Err(error), Tree::Published(_)) => return Err(error.into()),
            (Err(error), Tree::Replica(_)) => tracing::error!(%path, %error, "a chunk of this copy cannot be mended"),
        }
        self.read_again();
        Ok(())
    }

    /// A chunk that counted is gone: it is fetched like any other, and nobody may ask us for it.
    fn lose(&mut self, chunk: ChunkId) {
        let Some(content) = &mut self.content else { return };
        if !content.swarm.have().contains(chunk) {
            return;
        }
        let len = content.manifest.layout().len(chunk);
        let snapshot = &mut content.snapshot;
        snapshot.chunks_done -= 1;
        snapshot.bytes_done = Bytes(snapshot.bytes_done.0 - len);
        content.recheck.overstated = true;
        content.forms.forget(chunk);
        self.last_progress = self.clock.now();
        self.unfinish();
        self.tell_swarm(Input::Lost { chunk });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Layout;

    #[test]
    fn complaints_cost_one_look_at_a_time_and_none_twice_in_a_minute() {
        let layout = Layout::new(1 << 20, 1 << 10).unwrap();
        let chunk = |index| layout.chunk(index).unwrap();
        let (mut recheck, start) = (Recheck::default(), Time::ZERO);
        recheck.note(chunk(7), start);
        recheck.note(chunk(7), start);
        assert_eq!(recheck.next(start), Some(chunk(7)));
        recheck.note(chunk(8), start);
        assert_eq!(recheck.next(start), None, "one is being read");
        recheck.reading = false;
        recheck.note(chunk(7), start);
        assert_eq!(recheck.next(start), Some(chunk(8)));
        recheck.reading = false;
        assert_eq!(recheck.next(start), None);
        recheck.note(chunk(7), start + AGAIN_AFTER);
        assert_eq!(recheck.next(start + AGAIN_AFTER), Some(chunk(7)));
        (0..1000).for_each(|index| recheck.note(chunk(index), start));
        assert_eq!(recheck.waiting.len(), WAITING_MAX);
    }
}
