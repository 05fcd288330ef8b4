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
        if self.committing {
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
        outcome?;
        self.committing = false;
        if self.finishing {
            self.finish();
        } else {
            self.commit_if_due();
        }
        Ok(())
    }

    /// Every chunk is here: makes everything final, once no commit is under way.
    pub(super) fn finish(&mut self) {
        self.finishing = true;
        if self.committing || self.finished {
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

    /// Everything is final and durable.
    pub(super) fn on_finished(&mut self, outcome: Result<(), StoreError>) -> Result<(), NodeError> {
        if self.is_revoked() && matches!(outcome, Ok(()) | Err(StoreError::Incomplete { .. })) {
            return Ok(());
        }
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
        let (replica, layout) = (Arc::clone(replica), content.manifest.layout());
        let digests: Vec<_> = layout.chunks().map(|chunk| content.proofs.digest(chunk)).collect();
        let (events, pool, done) = (self.events.clone(), self.pool.clone(), Arc::clone(&self.read_back));
        self.events.spawn(async move {
            let job = move || {
                let read = |offset, buffer: &mut [u8]| replica.read_back(offset, buffer);
                for (chunk, digest) in layout.chunks().zip(digests) {
                    if Some(hash_range(read, layout.range(chunk))?) != digest {
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
        if self.is_revoked() {
            return Ok(());
        }
        match (outcome?, &self.content) {
            (Some(chunk), Some(content)) => Err(NodeError::ReadBack { path: content.path_of(chunk) }),
            _ => {
                self.complete();
                Ok(())
            }
        }
    }

    /// Whether chunks were revoked while everything was being made final: then there is more to come.
    fn is_revoked(&mut self) -> bool {
        // No commit is under way any more.
        self.committing = false;
        self.content.as_ref().is_some_and(|content| !content.swarm.is_complete())
    }

    /// The job is done.
    pub(super) fn complete(&mut self) {
        self.finished = true;
        let now = self.clock.now();
        self.last_request = now;
        self.completed_at = Some(now);
        self.reports.send(Report::Complete(self.snapshot()));
    }
}
