//! Download: carrying out the swarm's fetches, and everything between a chunk's last byte and its verification.
//!
//! A chunk is hashed on the pool, compared with a signed digest, and only then written; its bytes stay in memory until then, within
//! the node's budget. A chunk that came before its proof waits a little. What was written stays at hand for a while (`recent`).
//!
//! Invariant: nothing reaches the store that does not match a signed digest.
//!
//! Not here: what to fetch from whom (the swarm), the wire (`net::fetch`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::Node;
use super::assembly::Bringing;
use super::content::LOCAL;
use super::error::NodeError;
use super::event::Event;
use super::forms::Form;
use crate::chunk::ChunkId;
use crate::manifest::{Check, Digest, DigestKind, SignedBatch};
use crate::net::{FetchError, Whole};
use crate::store::{Published, StoreError};
use crate::swarm::{Input, Part, SourceId};
use crate::units::Bytes as ByteCount;
use crate::wire::{BadFrame, unpack};

/// How long a chunk may wait for its proof before it is given up (5 s: a hundred times the delay of a publisher's batch).
const PROOF_TIME_MAX: Duration = Duration::from_secs(5);

/// A chunk with its digest, in memory.
#[derive(Debug)]
pub(super) struct Hashed {
    /// Who brought the last byte.
    pub(super) source: SourceId,
    /// Everybody who brought a byte, and how many.
    pub(super) from: Vec<(SourceId, u32)>,
    pub(super) chunk: ChunkId,
    pub(super) data: Vec<u8>,
    /// As it came, if it came packed.
    pub(super) frame: Option<Bytes>,
    pub(super) digest: Digest,
    /// Its share of the memory budget.
    pub(super) permit: OwnedSemaphorePermit,
    /// What became of it on disk, if its digest was known before and it was written at once.
    pub(super) written: Option<Result<(), StoreError>>,
}

/// A request that brought a chunk.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Who brought the last byte.
    pub(super) source: SourceId,
    pub(super) asked: ChunkId,
    pub(super) chunk: ChunkId,
    /// Everybody who brought a byte, and how many.
    pub(super) from: Vec<(SourceId, u32)>,
    pub(super) waiting: u32,
    pub(super) proof: Option<SignedBatch>,
    /// The bytes, unless they are hashed already.
    pub(super) came: Option<Came>,
}

/// What became of a chunk that was to be written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) source: SourceId,
    pub(super) chunk: ChunkId,
    pub(super) digest: Digest,
    pub(super) data: Bytes,
    pub(super) outcome: Result<(), StoreError>,
}

/// The bytes of a chunk that nobody has looked at.
#[derive(Debug)]
pub(super) struct Came {
    data: Vec<u8>,
    /// Whether they are a frame.
    packed: bool,
    /// Their share of the memory budget.
    permit: OwnedSemaphorePermit,
}

impl Node {
    /// Asks `source` for `chunk`.
    pub(super) fn fetch(&mut self, source: SourceId, chunk: ChunkId, part: Part, exact: bool) {
        let Some(content) = &mut self.content else { return };
        if source == LOCAL {
            if let Some(local) = content.local.clone() {
                self.copy(local, chunk);
            }
            return;
        }
        self.ask_neighbour(source, chunk, part, exact);
    }

    /// Asks a neighbour for a chunk.
    fn ask_neighbour(&mut self, source: SourceId, asked: ChunkId, part: Part, exact: bool) {
        let Some(content) = &mut self.content else { return };
        let Some(link) = self.links.link(source) else { return };
        let (cancel, cancelled) = oneshot::channel::<()>();
        content.fetching.insert((source, asked), cancel);
        let bringing = Bringing {
            source,
            asked,
            part,
            exact,
            connection: link.connection.clone(),
            compress: self.config.compress,
            delivery: link.delivery.clone(),
            layout: content.manifest.layout(),
            budget: self.budget.clone(),
            assemblies: content.assemblies.clone(),
            events: self.events.clone(),
        };
        let events = self.events.clone();
        self.events.spawn(async move {
            let mut whole = None;
            let outcome = tokio::select! {
                outcome = bringing.run(&mut whole) => outcome,
                _ = cancelled => Err(FetchError::Cancelled),
            };
            let Some(whole) = whole else {
                if let Err(error) = outcome {
                    events.send(Event::Refused { source, asked, error });
                }
                return;
            };
            let Whole { chunk, data, packed, from, permit } = whole;
            let came = Some(Came { data, packed, permit });
            let (proof, waiting, error) = match outcome {
                Ok(fetched) => (fetched.proof, fetched.waiting, None),
                Err(error) => (None, 0, Some(error)),
            };
            events.send(Event::Fetched(Fetched { source, asked, chunk, from, waiting, proof, came }));
            if let Some(error) = error.filter(FetchError::is_violation) {
                events.send(Event::Refused { source, asked, error });
            }
        });
    }

    /// Unpacks and hashes a chunk that came, and writes it in the same go where its digest is known and is this one: another trip to the pool and
    /// back costs as much as hashing a small chunk.
    fn verify(&mut self, source: SourceId, chunk: ChunkId, from: Vec<(SourceId, u32)>, came: Came) {
        let Some(content) = &self.content else { return };
        let (kind, expected) = (content.digest_kind(), content.proofs.digest(chunk));
        let len = usize::try_from(content.manifest.layout().len(chunk)).expect("a chunk fits memory");
        let replica = content.replica().filter(|_| !content.swarm.have().contains(chunk)).map(Arc::clone);
        let (events, pool) = (self.events.clone(), self.pool.clone());
        self.events.spawn(async move {
            let Came { data, packed, permit } = came;
            let job = move || {
                let (digest, data, frame) = unpack_and_hash(data, packed, len, kind)?;
                let replica = replica.filter(|_| expected == Some(digest));
                let written = replica.map(|replica| replica.write_chunk(chunk, &data));
                Ok((digest, data, frame, written))
            };
            match pool.run(job).await {
                Ok((digest, data, frame, written)) => {
                    events.send(Event::Hashed(Hashed { source, from, chunk, data, frame, digest, permit, written }));
                }
                Err(BadFrame) => events.send(Event::Garbled { chunk, from }),
            }
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
    pub(super) fn on_fetched(&mut self, fetched: Fetched) -> Result<(), NodeError> {
        let Fetched { source, asked, chunk, from, waiting, proof, came } = fetched;
        if let Some(content) = &mut self.content {
            content.fetching.remove(&(source, asked));
            let len = content.manifest.layout().len(chunk);
            let counter = if source == LOCAL { &mut content.snapshot.copied } else { &mut content.snapshot.received };
            *counter = ByteCount(counter.0 + len);
            for (from, brought) in &from {
                self.totals.came(*from, u64::from(*brought), *from == source);
            }
        }
        if let Some(batch) = proof {
            self.on_batches(source, &[batch])?;
        }
        self.tell_joined(source, Input::Fetched { source, asked, chunk, waiting });
        if let Some(came) = came {
            self.verify(source, chunk, from, came);
        }
        Ok(())
    }

    /// A request ended without a chunk.
    pub(super) fn on_refused(&mut self, source: SourceId, asked: ChunkId, error: &FetchError) {
        if let Some(content) = &mut self.content {
            content.fetching.remove(&(source, asked));
        }
        tracing::debug!(?source, chunk = asked.index(), %error, "a request ended without a chunk");
        if error.is_violation() {
            self.violation(source, "its answer is not what was asked for");
        }
        self.tell_joined(source, Input::Refused { source, asked });
    }

    /// Reads a chunk from the source on this machine.
    fn copy(&self, local: Arc<Published>, chunk: ChunkId) {
        let Some(content) = &self.content else { return };
        let (range, kind) = (content.manifest.layout().range(chunk), content.digest_kind());
        let (events, pool, budget) = (self.events.clone(), self.pool.clone(), self.budget.clone());
        self.events.spawn(async move {
            // Chunks wait in memory for their signature and for the disk, however quickly they are read.
            let permit = budget.acquire(range.end - range.start).await;
            let read = move || {
                let len = usize::try_from(range.end - range.start).expect("a chunk fits memory");
                let mut data = vec![0; len];
                local.read_at(range.start, &mut data)?;
                Ok::<_, StoreError>((kind.digest(&data), data))
            };
            match pool.run(read).await {
                Ok((digest, data)) => {
                    let from = vec![(LOCAL, u32::try_from(data.len()).expect("a chunk has at most 128 MiB"))];
                    let (source, asked, written, frame) = (LOCAL, chunk, None, None);
                    let fetched =
                        Fetched { source, asked, chunk, from: from.clone(), waiting: 0, proof: None, came: None };
                    events.send(Event::Fetched(fetched));
                    events.send(Event::Hashed(Hashed { source, from, chunk, data, frame, digest, permit, written }));
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
        if let Some(outcome) = hashed.written {
            if let Some(frame) = hashed.frame {
                content.forms.keep(chunk, Form { frame, digest: None });
            }
            let (digest, data) = (hashed.digest, hashed.data.into());
            return self.on_written(Written { source, chunk, digest, data, outcome });
        }
        match content.proofs.check(chunk, &hashed.digest) {
            Check::Proven => self.write(hashed),
            Check::Unknown => content.unproven.push((now, hashed)),
            Check::Wrong => self.on_wrong(chunk, &hashed.digest, &hashed.from),
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
                self.on_unproven(hashed.chunk, &hashed.from);
            } else {
                content.unproven.push((since, hashed));
            }
        }
        Ok(())
    }

    /// Writes a verified chunk.
    fn write(&mut self, mut hashed: Hashed) {
        let Some(content) = &self.content else { return };
        let Some(replica) = content.replica() else { return };
        if let Some(frame) = hashed.frame.take() {
            content.forms.keep(hashed.chunk, Form { frame, digest: None });
        }
        let (replica, events, pool) = (Arc::clone(replica), self.events.clone(), self.pool.clone());
        self.events.spawn(async move {
            let Hashed { source, chunk, data, digest, permit, .. } = hashed;
            let job = move || (replica.write_chunk(chunk, &data), data);
            let (outcome, data) = pool.run(job).await;
            drop(permit);
            events.send(Event::Written(Written { source, chunk, digest, data: data.into(), outcome }));
        });
    }

    /// A verified chunk is on disk: it counts.
    pub(super) fn on_written(&mut self, written: Written) -> Result<(), NodeError> {
        let Written { source, chunk, digest, data, outcome } = written;
        outcome?;
        if self.content.as_ref().is_some_and(|content| content.proofs.check(chunk, &digest) != Check::Proven) {
            // Who vouched for it lost its say while it was being written.
            self.give_up(chunk);
            return Ok(());
        }
        self.last_progress = self.clock.now();
        if let Some(content) = &mut self.content
            && !content.swarm.have().contains(chunk)
        {
            content.found.forget(chunk);
            content.assemblies.forget(chunk);
            content.recent.put(chunk, data);
            let len = content.manifest.layout().len(chunk);
            let snapshot = &mut content.snapshot;
            snapshot.chunks_done += 1;
            snapshot.bytes_done = ByteCount(snapshot.bytes_done.0 + len);
        }
        self.tell_swarm(Input::Verified { source, chunk });
        self.commit_if_due();
        Ok(())
    }
}

/// Unpacks what came, if it is packed, and digests it; also the frame, if it is worth being passed on. Blocks.
fn unpack_and_hash(
    data: Vec<u8>,
    packed: bool,
    len: usize,
    kind: DigestKind,
) -> Result<(Digest, Vec<u8>, Option<Bytes>), BadFrame> {
    if !packed {
        return Ok((kind.digest(&data), data, None));
    }
    let plain = unpack(&data, len)?;
    Ok((kind.digest(&plain), plain, Some(Bytes::from(data))))
}
