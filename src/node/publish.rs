//! Publish: from a directory to a content that can be asked for, and the hashing that goes on meanwhile.
//!
//! A walk is all that is needed to begin: the content id is a function of names, sizes and times. The digests follow while the data is
//! read, chunks that are asked for first, the rest in path order by the background.
//!
//! Invariant: at most one background job reads at a time, so that hashing never starves serving.
//!
//! Not here: walking (`store`), signing (`press`).

use std::sync::Arc;

use super::Node;
use super::content::{Content, LOCAL, OUR_INDEX, Tree};
use super::error::NodeError;
use super::event::Event;
use super::press::{Changed, Press};
use super::renewal::unix_now;
use super::report::Report;
use super::start::random;
use super::zero::Zeros;
use crate::bitfield::Bitfield;
use crate::chunk::ChunkId;
use crate::manifest::{DatasetKey, Digest, DigestKind, Endorsement, Manifest, Proofs, SignedBatch};
use crate::store::{Published, StoreError, scan};
use crate::swarm::trace::Beginning;
use crate::swarm::{Input, Profile};
use crate::wire::Message;

/// Bytes that one background job hashes (8 MiB: 3 ms of one core, so that the loop sees its end soon).
const BACKGROUND_BYTES: u64 = 8 << 20;
/// Bytes that the background reads at once.
const READ_LEN: u64 = 1 << 20;

/// A source that was walked, with what a publisher signs about it.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) manifest: Arc<Manifest>,
    pub(super) proofs: Proofs,
    pub(super) source: Arc<Published>,
    pub(super) press: Press,
    pub(super) zeros: Zeros,
}

impl Node {
    /// Walks the source and endorses what was found.
    pub(super) async fn walk(&mut self, src: std::path::PathBuf) -> Result<Walked, NodeError> {
        let (symlinks, chunk_size, digest) = (self.config.symlinks, self.config.chunk_size, self.config.digest);
        let job = move || {
            let scan = scan(&src, symlinks)?;
            let skipped = scan.skipped;
            let chunk_size = chunk_size.map(|size| size.0);
            let manifest =
                Manifest::publish_as(Arc::clone(&scan.entries), chunk_size, digest)?.with_allocated(scan.allocated.0);
            let zeros = Zeros::new(manifest.digest_kind(), manifest.layout());
            let source = Published::new(scan);
            let holes = zeros.of_holes(&source)?;
            Ok::<_, NodeError>((manifest, source, skipped, zeros, holes))
        };
        let (manifest, source, skipped, zeros, holes) = self.pool.run(job).await?;
        if skipped.special > 0 {
            let text = format!("{} special files (fifos, sockets, devices) are left out", skipped.special);
            self.reports.send(Report::Warning(text));
        }
        if skipped.symlinks > 0 {
            let text = format!("{} symlinks that lead outside the source are left out", skipped.symlinks);
            self.reports.send(Report::Warning(text));
        }
        self.check_walk(manifest.id())?;
        let manifest = Arc::new(manifest);
        let key = Arc::new(DatasetKey::from_seed(&random()));
        let endorsement = self.endorse(&manifest, &key, unix_now())?;
        let mut proofs = Proofs::new(manifest.id(), manifest.layout());
        proofs.endorse(endorsement).map_err(NodeError::Conflict)?;
        // Signed before anybody is connected, so that nobody ever asks for them.
        for batch in SignedBatch::sign_all(&key, manifest.id(), &holes) {
            proofs.insert_batch(&batch).map_err(NodeError::Conflict)?;
        }
        let press = Press::new(key, manifest.id(), manifest.layout(), &holes);
        Ok(Walked { manifest, proofs, source: Arc::new(source), press, zeros })
    }

    /// Signs that `key` speaks for this content since `time`.
    pub(super) fn endorse(&self, manifest: &Manifest, key: &DatasetKey, time: u64) -> Result<Endorsement, NodeError> {
        let signed = self.credentials.sign(&Endorsement::payload_of(manifest.id(), key.id(), time))?;
        let crate::identity::Signed { scheme, signature, chain } = signed;
        Ok(Endorsement { content: manifest.id(), key: key.id(), time, scheme, signature, chain })
    }

    /// Publishes what was walked.
    pub(super) fn publish(&mut self, walked: Walked) {
        let Walked { manifest, proofs, source, press, zeros } = walked;
        let layout = manifest.layout();
        let mut config = self.swarm_config(layout);
        config.publisher = true;
        let beginning = Beginning { layout, have: Bitfield::all(layout), config, seed: self.rng.u64(..) };
        self.trace_content(manifest.id(), &beginning);
        let mut content = Content::new(manifest, proofs, Tree::Published(source), &beginning, zeros, &self.config);
        content.press = Some(press);
        self.finished = true;
        // The walk was no idling.
        self.last_request = self.clock.now();
        self.seeding_since = Some(self.last_request);
        self.adopt(content, None);
        self.hash_on();
    }

    /// Copies what was walked into the destination that is ready for it.
    pub(super) fn copy_from(&mut self, source: Arc<Published>, press: Press) {
        let Some(content) = &mut self.content else { return };
        content.local = Some(source);
        content.press = Some(press);
        let all = Bitfield::all(content.manifest.layout());
        let profile = Profile { local: true, ..Profile::default() };
        self.tell_swarm(Input::Joined { source: LOCAL, profile });
        self.tell_swarm(Input::Holds { source: LOCAL, chunks: all });
        self.hash_on();
    }

    /// Starts the next background job, if there is anything left to hash.
    pub(super) fn hash_on(&mut self) {
        let Some(content) = &mut self.content else { return };
        let Some(press) = &mut content.press else { return };
        // A local copy hashes everything that it reads.
        if content.local.is_some() {
            return;
        }
        let chunks = press.next_unhashed(BACKGROUND_BYTES);
        if chunks.is_empty() {
            return;
        }
        let (tree, layout, kind) = (content.tree.clone(), content.manifest.layout(), content.digest_kind());
        let (events, pool) = (self.events.clone(), self.pool.clone());
        self.events.spawn(async move {
            let job = move || {
                let hash = |chunk| {
                    let read = |offset, buffer: &mut [u8]| tree.read_at(offset, buffer);
                    Ok((chunk, hash_range(kind, read, layout.range(chunk))?))
                };
                chunks.into_iter().map(hash).collect()
            };
            events.send(Event::Background(pool.run(job).await));
        });
    }

    /// The background hashed some chunks.
    pub(super) fn on_background(
        &mut self,
        outcome: Result<Vec<(ChunkId, Digest)>, StoreError>,
    ) -> Result<(), NodeError> {
        for (chunk, digest) in outcome? {
            self.on_digest(chunk, digest)?;
        }
        self.hash_on();
        Ok(())
    }

    /// A chunk of the source was read and hashed.
    pub(super) fn on_digest(&mut self, chunk: ChunkId, digest: Digest) -> Result<(), NodeError> {
        let now = self.clock.now();
        let Some(content) = &mut self.content else { return Ok(()) };
        let Some(press) = &mut content.press else { return Ok(()) };
        match press.take(chunk, digest, now) {
            Ok(()) => self.print(),
            Err(Changed(chunk)) => Err(NodeError::SourceChanged { path: content.path_of(chunk) }),
        }
    }

    /// Signs what is due and spreads it; closes the list when it is whole.
    pub(super) fn print(&mut self) -> Result<(), NodeError> {
        let now = self.clock.now();
        let Some(content) = &mut self.content else { return Ok(()) };
        let Some(press) = &mut content.press else { return Ok(()) };
        let batches = press.print(now);
        let closing = press.close();
        if batches.is_empty() && closing.is_none() {
            return Ok(());
        }
        self.take_own(&batches)?;
        self.spread(&batches);
        if let Some((all, root)) = closing {
            self.take_own(&all)?;
            let Some(content) = &mut self.content else { return Ok(()) };
            content.proofs.insert_root(&root).map_err(NodeError::Conflict)?;
            tracing::info!(root = %root.root, "every chunk is hashed and signed");
            let message = Message::Root { content: OUR_INDEX, root };
            for link in self.links.joined_mut() {
                link.tell(&message);
            }
        }
        self.keep_proofs()?;
        self.review_root()?;
        self.review_unproven()
    }

    /// Takes batches that we signed: what they drop may be ourselves.
    fn take_own(&mut self, batches: &[SignedBatch]) -> Result<(), NodeError> {
        for batch in batches {
            let Some(content) = &mut self.content else { return Ok(()) };
            let update = content.proofs.insert_batch(batch).map_err(NodeError::Conflict)?;
            self.on_update(update)?;
        }
        Ok(())
    }

    /// Writes our own proofs into the journal of the destination, if there is one.
    fn keep_proofs(&mut self) -> Result<(), NodeError> {
        let Some(content) = &self.content else { return Ok(()) };
        if let Some(replica) = content.replica()
            && content.proofs.root().is_some()
        {
            for batch in content.proofs.batches() {
                replica.add_batch(batch.as_bytes())?;
            }
        }
        Ok(())
    }
}

/// The digest of a range of the content, read a megabyte at a time.
pub(super) fn hash_range(
    kind: DigestKind,
    read_at: impl Fn(u64, &mut [u8]) -> Result<(), StoreError>,
    range: std::ops::Range<u64>,
) -> Result<Digest, StoreError> {
    let mut hasher = kind.hasher();
    let mut buffer = vec![0; usize::try_from((range.end - range.start).min(READ_LEN)).expect("a megabyte fits memory")];
    let mut offset = range.start;
    while offset < range.end {
        let len = usize::try_from((range.end - offset).min(READ_LEN)).expect("a megabyte fits memory");
        read_at(offset, &mut buffer[..len])?;
        hasher.update(&buffer[..len]);
        offset += len as u64;
    }
    Ok(hasher.finish())
}
