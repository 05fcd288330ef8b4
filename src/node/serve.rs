//! Serve: requests of neighbours, from their coming to their answer.
//!
//! Invariant: every request that the swarm was told of is answered, refused, or gone with its neighbour.
//!
//! Not here: the order of answers (the swarm), reading and sending (`upload`).

use bytes::Bytes;
use quinn::SendStream;

use super::Node;
use super::content::Request;
use super::error::NodeError;
use super::event::Event;
use super::upload::{Upload, UploadError};
use crate::chunk::ChunkId;
use crate::manifest::{ContentId, Digest};
use crate::net::{answer, frames};
use crate::swarm::{Input, Outcome, RequestId, SourceId};
use crate::units::Bytes as ByteCount;
use crate::wire::{self, Answer, Open, Refusal};

impl Node {
    /// A neighbour opened a request stream.
    pub(super) fn on_opened(&mut self, source: SourceId, open: Open, send: SendStream) {
        if self.leaving {
            return refuse(send, Refusal::Busy);
        }
        self.last_request = self.clock.now();
        match open {
            Open::Chunk(request) => self.on_request(source, &request, send),
            Open::Header { id } => self.answer_manifest(id, None, send),
            Open::Page { id, page } => self.answer_manifest(id, Some(page), send),
        }
    }

    /// Passes a request for a chunk on to the swarm.
    fn on_request(&mut self, source: SourceId, request: &wire::Request, send: SendStream) {
        let Some(content) = &mut self.content else { return refuse(send, Refusal::NotHeld) };
        let Some(link) = self.links.link(source) else { return };
        if !link.joined || link.theirs != Some(request.content) {
            return refuse(send, Refusal::NotHeld);
        }
        let layout = content.manifest.layout();
        let Some(chunk) = layout.chunk(request.chunk) else {
            return self.violation(source, "it asks for a chunk beyond the last");
        };
        if request.ranges.bytes_of(layout.len(chunk)).is_none() {
            return self.violation(source, "it asks for bytes beyond a chunk's end");
        }
        let id = RequestId(content.next_request);
        content.next_request += 1;
        content.requests.insert(id, Request { source, send, ranges: request.ranges.clone(), accepts: request.accepts });
        self.tell_swarm(Input::Requested { source, request: id, chunk, exact: request.exact });
    }

    /// Sends the header or a page of the manifest.
    fn answer_manifest(&self, id: ContentId, page: Option<u32>, mut send: SendStream) {
        let manifest = self.content.as_ref().map(|content| &content.manifest).filter(|manifest| manifest.id() == id);
        let Some(manifest) = manifest.cloned() else { return refuse(send, Refusal::NotHeld) };
        let pool = self.pool.clone();
        self.events.spawn(async move {
            let bytes = pool.run(move || match page {
                None => Some(manifest.header_bytes()),
                Some(index) => manifest.page(index),
            });
            // A neighbour that is gone needs no manifest.
            let _ = answer(&mut send, bytes.await.map(Bytes::from)).await;
        });
    }

    /// Answers a request with a chunk.
    pub(super) fn send(&mut self, request: RequestId, chunk: ChunkId, waiting: u32) {
        let Some(content) = &mut self.content else { return };
        let Some(Request { source, send, ranges, accepts }) = content.requests.remove(&request) else { return };
        let Some(link) = self.links.link(source) else { return };
        let upload = Upload {
            connection: link.connection.clone(),
            send,
            tree: content.tree.clone(),
            pool: self.pool.clone(),
            gate: self.uplink.clone(),
            layout: content.manifest.layout(),
            content: content.id(),
            digest_kind: content.digest_kind(),
            chunk,
            ranges,
            waiting,
            key: content.signs_uploads(),
            told: link.told.as_ref().is_some_and(|told| told.contains(chunk)),
            recent: content.recent.find(chunk),
            accepts,
            forms: content.forms.clone(),
            zeros: content.proofs.digest(chunk) == Some(content.zeros.digest(chunk)),
        };
        content.sending.insert(request, source);
        let events = self.events.clone();
        let bytes = upload.bytes();
        self.events.spawn(async move {
            let outcome = match upload.run().await {
                Ok((digest, send)) => {
                    events.send(Event::UploadWritten { request, chunk, digest });
                    // `Ok(None)`: everything is acknowledged; anything else: stopped, or the connection is gone.
                    if matches!(send.stopped().await, Ok(None)) { Ok(bytes) } else { Err(UploadError::Stopped) }
                }
                Err(error) => Err(error),
            };
            events.send(Event::UploadEnded { source, request, chunk, outcome });
        });
    }

    /// Refuses a request.
    pub(super) fn reject(&mut self, request: RequestId) {
        if let Some(content) = &mut self.content
            && let Some(Request { send, .. }) = content.requests.remove(&request)
        {
            refuse(send, Refusal::Busy);
        }
    }

    /// An upload's last byte was handed over.
    pub(super) fn on_upload_written(
        &mut self,
        request: RequestId,
        chunk: ChunkId,
        digest: Option<Digest>,
    ) -> Result<(), NodeError> {
        if let Some(digest) = digest {
            self.on_digest(chunk, digest)?;
        }
        self.tell_swarm(Input::Written { request });
        Ok(())
    }

    /// An upload ended.
    pub(super) fn on_upload_ended(
        &mut self,
        source: SourceId,
        request: RequestId,
        chunk: ChunkId,
        outcome: Result<u64, UploadError>,
    ) -> Result<(), NodeError> {
        self.last_request = self.clock.now();
        let bytes = *outcome.as_ref().unwrap_or(&0);
        if let Some(content) = &mut self.content {
            content.sending.remove(&request);
        }
        let outcome = match outcome {
            Ok(_) => Outcome::Delivered,
            Err(UploadError::Stopped) => Outcome::Aborted,
            Err(UploadError::Store(error)) => {
                let Some(content) = &self.content else { return Ok(()) };
                if content.press.is_some() {
                    return Err(error.into());
                }
                // Whoever asked goes elsewhere, and after a few such refusals asks us no more.
                let path = content.path_of(chunk);
                tracing::error!(%path, %error, "a chunk of this copy cannot be read any more");
                self.recheck(chunk);
                Outcome::Aborted
            }
        };
        if let Some(content) = &mut self.content
            && outcome == Outcome::Delivered
        {
            content.snapshot.chunks_uploaded += u64::from(bytes == content.manifest.layout().len(chunk));
            content.snapshot.uploaded = ByteCount(content.snapshot.uploaded.0 + bytes);
            self.totals.went(source, bytes);
        }
        if self.links.link(source).is_some() {
            self.tell_swarm(Input::Sent { request, outcome });
        }
        Ok(())
    }
}

/// Refuses a request; whoever asked may be gone, which is as good.
pub(super) fn refuse(mut send: SendStream, reason: Refusal) {
    tokio::spawn(async move {
        let _ = frames::write(&mut send, &Answer::Rejected { reason }).await;
        let _ = send.finish();
    });
}
