//! Finish: making files final on the way, and everything final at the end.
//!
//! Invariant: `complete` is reported only after the store said that every byte is durable and under its final name, and after
//! everything was read back if that was asked for.
//!
//! Not here: syncing and renaming (`store`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Node;
use super::error::NodeError;
use super::event::Event;
use super::publish::hash_range;
use super::report::Report;
use crate::chunk::ChunkId;
use crate::store::StoreError;

impl Node {
    /// Makes a group of complete files final, unless that is under way already.
    pub(super) fn commit_if_due(&mut self) {
        if self.committing || !self.may_commit() {
            return;
        }
        let Some(replica) = self.content.as_ref().and_then(super::content::Content::replica) else { return };
        if !replica.commit_due() {
            return;
        }
        self.committing = true;
        let (replica, events, pool) = (Arc::clone(replica), self.events.clone(), self.pool.clone());
        self.events.spawn(async move {
            let outcome = pool.run(move || replica.commit()).await;
            events.send(Event::Committed(outcome.map(drop)));
        });
    }

    /// A group is final.
    pub(super) fn on_committed(&mut self, outcome: Result<(), StoreError>) -> Result<(), NodeError> {
        self.tell_final();
        outcome?;
        self.committing = false;
        if self.finishing {
            self.finish();
        } else {
            self.commit_if_due();
        }
        Ok(())
    }

    /// Every chunk is here: makes everything final, once no commit is under way and nothing is held back for its root.
    pub(super) fn finish(&mut self) {
        self.finishing = true;
        if self.committing || self.finished || !self.may_commit() || self.is_giving_up() {
            return;
        }
        let Some(replica) = self.content.as_ref().and_then(super::content::Content::replica) else { return };
        // Stands for a commit that never ends, so that no other begins.
        self.committing = true;
        let (replica, events, pool) = (Arc::clone(replica), self.events.clone(), self.pool.clone());
        self.events.spawn(async move {
            let outcome = pool.run(move || replica.finish()).await;
            events.send(Event::Finished(outcome.map(drop)));
        });
    }

    /// A chunk was lost: what was done or begun at the end is to be done again when it is back.
    pub(super) fn unfinish(&mut self) {
        if self.finished {
            // Whoever finished stood for a commit that never ends.
            self.committing = false;
        } else {
            // Several may be lost while one end is under way.
            self.finish_is_void |= self.finishing && self.committing;
        }
        self.finishing = false;
        self.finished = false;
    }

    /// Everything is final and durable.
    pub(super) fn on_finished(&mut self, outcome: Result<(), StoreError>) -> Result<(), NodeError> {
        if std::mem::take(&mut self.finish_is_void) || self.is_giving_up() {
            return self.on_committed(outcome.or_else(|error| match error {
                StoreError::Incomplete { .. } => Ok(()),
                error => Err(error),
            }));
        }
        self.tell_final();
        outcome?;
        if self.config.verify_on_complete {
            self.read_back();
        } else {
            self.complete();
        }
        Ok(())
    }

    /// Reads everything back from the final files and compares it with the signed digests.
    fn read_back(&mut self) {
        self.verifying = true;
        self.report_progress();
        let Some((content, replica)) = self.content.as_ref().and_then(|content| Some((content, content.replica()?)))
        else {
            return;
        };
        let (replica, layout, kind) = (Arc::clone(replica), content.manifest.layout(), content.digest_kind());
        let digests: Vec<_> = layout.chunks().map(|chunk| content.proofs.digest(chunk)).collect();
        let (events, pool, done) = (self.events.clone(), self.pool.clone(), Arc::clone(&self.read_back));
        self.events.spawn(async move {
            let job = move || {
                let read = |offset, buffer: &mut [u8]| replica.read_back(offset, buffer);
                for (chunk, digest) in layout.chunks().zip(digests) {
                    if Some(hash_range(kind, read, layout.range(chunk))?) != digest {
                        return Ok(Some(chunk));
                    }
                    done.fetch_add(layout.len(chunk), Ordering::Relaxed);
                }
                Ok(None)
            };
            events.send(Event::ReadBack(pool.run(job).await));
        });
    }

    /// Everything was read back.
    pub(super) fn on_read_back(&mut self, outcome: Result<Option<ChunkId>, StoreError>) -> Result<(), NodeError> {
        self.verifying = false;
        if std::mem::take(&mut self.finish_is_void) || self.is_giving_up() {
            // What was read may have been moved meanwhile; it is read again at the next end.
            return self.on_committed(Ok(()));
        }
        match (outcome?, &self.content) {
            (Some(chunk), Some(content)) => Err(NodeError::ReadBack { path: content.path_of(chunk) }),
            _ => {
                self.complete();
                Ok(())
            }
        }
    }

    /// The job is done.
    pub(super) fn complete(&mut self) {
        self.finished = true;
        let now = self.clock.now();
        self.last_request = now;
        self.seeding_since.get_or_insert(now);
        // Said once, also when a chunk was lost later and came back.
        if self.completed_at.replace(now).is_none() {
            self.tell_final_before();
            self.reports.send(Report::Complete(self.snapshot()));
        }
    }
}
