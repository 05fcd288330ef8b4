//! Download: carrying out the swarm's fetches, and everything between a chunk's last byte and its verification.
//!
//! A chunk is hashed on the pool, compared with a signed digest, and only then written; its bytes stay in memory until then, within
//! the node's budget. A chunk that came before its proof waits a little.
//!
//! Invariant: nothing reaches the store that does not match a signed digest.
//!
//! Not here: what to fetch from whom (the swarm), the wire (`net::fetch`).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::Node;
use super::content::{LOCAL, OUR_INDEX};
use super::error::NodeError;
use super::event::Event;
use crate::chunk::ChunkId;
use crate::manifest::{Check, Digest, DigestKind, SignedBatch};
use crate::net::{FetchError, fetch};
use crate::store::{Published, StoreError};
use crate::swarm::{Input, SourceId};
use crate::units::Bytes;
use crate::wire::{Ranges, Request};

/// How long a chunk may wait for its proof before its sender is held to have sent what nobody vouches for (5 s: a hundred
/// times the delay of a publisher's batch).
const PROOF_TIME_MAX: Duration = Duration::from_secs(5);

/// A chunk with its digest, in memory.
#[derive(Debug)]
pub(super) struct Hashed {
    pub(super) source: SourceId,
    pub(super) chunk: ChunkId,
    pub(super) data: Vec<u8>,
    pub(super) digest: Digest,
    /// Its share of the memory budget.
    pub(super) permit: OwnedSemaphorePermit,
}

impl Node {
    /// Asks `source` for `chunk`.
    pub(super) fn fetch(&mut self, source: SourceId, chunk: ChunkId, exact: bool) {
        let Some(content) = &mut self.content else { return };
        if source == LOCAL {
            if let Some(local) = content.local.clone() {
                self.copy(local, chunk);
            }
            return;
        }
        let Some(link) = self.links.link(source) else { return };
        let request = Request { content: OUR_INDEX, chunk: chunk.index(), ranges: Ranges::WHOLE, exact };
        let (cancel, cancelled) = oneshot::channel::<()>();
        content.fetching.insert((source, chunk), cancel);
        let (connection, layout, budget) = (link.connection.clone(), content.manifest.layout(), self.budget.clone());
        let (events, pool) = (self.events.clone(), self.pool.clone());
        self.events.spawn(async move {
            let arriving = |arrived| events.send(Event::Arriving { source, asked: chunk, chunk: arrived });
            let fetched = tokio::select! {
                fetched = fetch(&connection, request, layout, &budget, arriving) => fetched,
                _ = cancelled => Err(FetchError::Cancelled),
            };
            let fetched = match fetched {
                Ok(fetched) => fetched,
                Err(error) => return events.send(Event::Refused { source, asked: chunk, error }),
            };
            let (arrived, waiting, proof) = (fetched.chunk, fetched.waiting, fetched.proof);
            events.send(Event::Fetched { source, asked: chunk, chunk: arrived, waiting, proof });
            let data = fetched.data;
            let (digest, data) = pool.run(move || (DigestKind::Blake3.digest(&data), data)).await;
            events.send(Event::Hashed(Hashed { source, chunk: arrived, data, digest, permit: fetched.permit }));
        });
    }

    /// Gives up a request; its task reports the end.
    pub(super) fn cancel(&mut self, source: SourceId, asked: ChunkId) {
        if let Some(content) = &mut self.content {
            content.fetching.remove(&(source, asked));
        }
    }

    /// Tells the swarm something about a request, unless its source is gone.
    pub(super) fn tell_joined(&mut self, source: SourceId, input: Input) {
        if source == LOCAL || self.links.link(source).is_some_and(|link| link.joined) {
            self.tell_swarm(input);
        }
    }

    /// All bytes of a chunk came, perhaps with their proof.
    pub(super) fn on_fetched(
        &mut self,
        source: SourceId,
        asked: ChunkId,
        chunk: ChunkId,
        waiting: u32,
        proof: Option<SignedBatch>,
    ) -> Result<(), NodeError> {
        if let Some(content) = &mut self.content {
            content.fetching.remove(&(source, asked));
            let len = content.manifest.layout().len(chunk);
            let counter = if source == LOCAL { &mut content.snapshot.copied } else { &mut content.snapshot.received };
            *counter = Bytes(counter.0 + len);
            self.totals.came(source, len);
        }
        if let Some(batch) = proof {
            self.on_batches(source, &[batch])?;
        }
        self.tell_joined(source, Input::Fetched { source, asked, chunk, waiting });
        Ok(())
    }

    /// A request ended without a chunk.
    pub(super) fn on_refused(&mut self, source: SourceId, asked: ChunkId, error: &FetchError) {
        if let Some(content) = &mut self.content {
            content.fetching.remove(&(source, asked));
        }
        tracing::debug!(?source, chunk = asked.index(), %error, "a request ended without a chunk");
        if matches!(error, FetchError::Mismatch) {
            self.violation(source, "its answer is not a chunk of this content");
        }
        self.tell_joined(source, Input::Refused { source, asked });
    }

    /// Reads a chunk from the source on this machine.
    fn copy(&self, local: Arc<Published>, chunk: ChunkId) {
        let Some(content) = &self.content else { return };
        let range = content.manifest.layout().range(chunk);
        let (events, pool, budget) = (self.events.clone(), self.pool.clone(), self.budget.clone());
        self.events.spawn(async move {
            // Chunks wait in memory for their signature and for the disk, however quickly they are read.
            let permit = budget.acquire(range.end - range.start).await;
            let read = move || {
                let len = usize::try_from(range.end - range.start).expect("a chunk fits memory");
                let mut data = vec![0; len];
                local.read_at(range.start, &mut data)?;
                Ok::<_, StoreError>((DigestKind::Blake3.digest(&data), data))
            };
            match pool.run(read).await {
                Ok((digest, data)) => {
                    events.send(Event::Fetched { source: LOCAL, asked: chunk, chunk, waiting: 0, proof: None });
                    events.send(Event::Hashed(Hashed { source: LOCAL, chunk, data, digest, permit }));
                }
                Err(error) => events.send(Event::LocalFailed(error)),
            }
        });
    }

    /// A chunk was hashed: write it, throw it away, or let it wait for its proof.
    pub(super) fn on_hashed(&mut self, hashed: Hashed) -> Result<(), NodeError> {
        let now = self.clock.now();
        let Some(content) = &mut self.content else { return Ok(()) };
        let (source, chunk) = (hashed.source, hashed.chunk);
        if source == LOCAL
            && let Some(press) = &mut content.press
            && press.take(chunk, hashed.digest, now).is_err()
        {
            return Err(NodeError::SourceChanged { path: content.path_of(chunk) });
        }
        if source == LOCAL {
            self.print()?;
        }
        let Some(content) = &mut self.content else { return Ok(()) };
        if content.swarm.have().contains(chunk) {
            // The end game's second copy.
            self.tell_swarm(Input::Verified { source, chunk });
            return Ok(());
        }
        match content.proofs.check(chunk, &hashed.digest) {
            Check::Proven => self.write(hashed),
            Check::Unknown => content.unproven.push((now, hashed)),
            Check::Wrong => {
                let address = self.links.link(source).map(|link| link.address);
                tracing::warn!(
                    chunk = chunk.index(),
                    ?address,
                    "a chunk does not match its signed digest and is thrown away"
                );
                content.snapshot.chunks_bad += 1;
                self.tell_swarm(Input::Corrupt { source, chunk });
            }
        }
        Ok(())
    }

    /// Looks again at the chunks that came before their proof, and drops those that waited too long.
    pub(super) fn review_unproven(&mut self) -> Result<(), NodeError> {
        let now = self.clock.now();
        let Some(content) = &mut self.content else { return Ok(()) };
        for (since, hashed) in std::mem::take(&mut content.unproven) {
            let Some(content) = &mut self.content else { return Ok(()) };
            if content.proofs.known().contains(hashed.chunk) {
                self.on_hashed(hashed)?;
            } else if now - since > PROOF_TIME_MAX {
                self.tell_swarm(Input::Corrupt { source: hashed.source, chunk: hashed.chunk });
            } else {
                content.unproven.push((since, hashed));
            }
        }
        Ok(())
    }

    /// Writes a verified chunk.
    fn write(&mut self, hashed: Hashed) {
        let Some(replica) = self.content.as_ref().and_then(super::content::Content::replica) else { return };
        let (replica, events, pool) = (Arc::clone(replica), self.events.clone(), self.pool.clone());
        self.events.spawn(async move {
            let Hashed { source, chunk, data, digest, permit } = hashed;
            let outcome = pool.run(move || replica.write_chunk(chunk, &data)).await;
            drop(permit);
            events.send(Event::Written { source, chunk, digest, outcome });
        });
    }

    /// A verified chunk is on disk: it counts.
    pub(super) fn on_written(
        &mut self,
        source: SourceId,
        chunk: ChunkId,
        digest: Digest,
        outcome: Result<(), StoreError>,
    ) -> Result<(), NodeError> {
        outcome?;
        self.last_progress = self.clock.now();
        if let Some(content) = &mut self.content
            && !content.swarm.have().contains(chunk)
        {
            content.found.forget(chunk);
            let len = content.manifest.layout().len(chunk);
            let snapshot = &mut content.snapshot;
            snapshot.chunks_done += 1;
            snapshot.bytes_done = Bytes(snapshot.bytes_done.0 + len);
        }
        self.tell_swarm(Input::Verified { source, chunk });
        // What vouched for it may have lost its say while it was being written.
        if self.content.as_ref().is_some_and(|content| content.proofs.check(chunk, &digest) != Check::Proven) {
            self.revoke(&[chunk]);
        }
        self.commit_if_due();
        Ok(())
    }
}
