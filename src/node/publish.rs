//! Publish: from a directory to a content that can be asked for, and the hashing that goes on meanwhile.
//!
//! A walk is all that is needed to begin: the content id is a function of names, sizes and times. The digests follow while the data is
//! read, chunks that are asked for first, the rest in path order by the background.
//!
//! Invariant: at most one background job reads at a time, so that hashing never starves serving.
//!
//! Not here: walking (`store`), signing (`press`).

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Node;
use super::content::{Content, LOCAL, OUR_INDEX, Tree};
use super::error::NodeError;
use super::event::Event;
use super::press::{Changed, Press};
use super::report::Report;
use super::start::random;
use super::zero::Zeros;
use crate::bitfield::Bitfield;
use crate::chunk::{ChunkId, Layout};
use crate::manifest::{BATCH_ENTRIES_MAX, DatasetKey, Digest, DigestKind, Endorsement, Manifest, Proofs};
use crate::store::{Published, StoreError, scan};
use crate::swarm::{Input, Profile};
use crate::wire::Message;

/// Bytes after which a background job ends (8 MiB: 3 ms of one core, so that the loop sees its end soon).
const BACKGROUND_BYTES: u64 = 8 << 20;
/// Chunks that one background job hashes at most (as many as fill a signed batch); holes cost it nothing.
const BACKGROUND_CHUNKS: usize = BATCH_ENTRIES_MAX;
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

/// What a background job did.
#[derive(Debug)]
pub(super) struct HashedSome {
    digests: Vec<(ChunkId, Digest)>,
    /// The first chunk that it did not come to.
    left_off: Option<ChunkId>,
}

impl Node {
    /// Walks the source and endorses what was found.
    pub(super) async fn walk(&mut self, src: std::path::PathBuf) -> Result<Walked, NodeError> {
        let (symlinks, chunk_size) = (self.config.symlinks, self.config.chunk_size);
        let job = move || {
            let scan = scan(&src, symlinks)?;
            let skipped = scan.skipped;
            let manifest = Manifest::publish(Arc::clone(&scan.entries), chunk_size.map(|size| size.0))?
                .with_allocated(scan.allocated.0);
            let zeros = Zeros::new(manifest.digest_kind(), manifest.layout());
            Ok::<_, NodeError>((manifest, Published::new(scan), skipped, zeros))
        };
        let (manifest, source, skipped, zeros) = self.pool.run(job).await?;
        if skipped.special > 0 {
            let text = format!("{} special files (fifos, sockets, devices) are left out", skipped.special);
            self.reports.send(Report::Warning(text));
        }
        if skipped.symlinks > 0 {
            let text = format!("{} symlinks that lead outside the source are left out", skipped.symlinks);
            self.reports.send(Report::Warning(text));
        }
        let manifest = Arc::new(manifest);
        let key = Arc::new(DatasetKey::from_seed(&random()));
        let endorsement = self.endorse(&manifest, &key)?;
        let mut proofs = Proofs::new(manifest.id(), manifest.layout());
        proofs.endorse(endorsement).map_err(NodeError::Conflict)?;
        let press = Press::new(key, manifest.id(), manifest.layout());
        Ok(Walked { manifest, proofs, source: Arc::new(source), press, zeros })
    }

    /// Signs that `key` speaks for this content.
    fn endorse(&self, manifest: &Manifest, key: &DatasetKey) -> Result<Endorsement, NodeError> {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let signed = self.credentials.sign(&Endorsement::payload_of(manifest.id(), key.id(), time))?;
        let crate::identity::Signed { scheme, signature, chain } = signed;
        Ok(Endorsement { content: manifest.id(), key: key.id(), time, scheme, signature, chain })
    }

    /// Publishes what was walked.
    pub(super) fn publish(&mut self, walked: Walked) {
        let Walked { manifest, proofs, source, press, zeros } = walked;
        let have = Bitfield::all(manifest.layout());
        let mut config = self.swarm_config();
        config.publisher = true;
        let mut content =
            Content::new(manifest, proofs, have, Tree::Published(source), config, self.rng.u64(..), zeros);
        content.press = Some(press);
        self.finished = true;
        // The walk was no idling.
        self.last_request = self.clock.now();
        self.adopt(content);
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
        let chunks = press.next_unhashed(BACKGROUND_CHUNKS);
        if chunks.is_empty() {
            return;
        }
        let (tree, layout, zeros) = (content.tree.clone(), content.manifest.layout(), content.zeros);
        let (events, pool) = (self.events.clone(), self.pool.clone());
        self.events.spawn(async move {
            let job = move || hash_some(&tree, layout, &zeros, &chunks);
            events.send(Event::Background(pool.run(job).await));
        });
    }

    /// The background hashed some chunks.
    pub(super) fn on_background(&mut self, outcome: Result<HashedSome, StoreError>) -> Result<(), NodeError> {
        let HashedSome { digests, left_off } = outcome?;
        let now = self.clock.now();
        let Some(content) = &mut self.content else { return Ok(()) };
        let Some(press) = &mut content.press else { return Ok(()) };
        if let Some(chunk) = left_off {
            press.left_off_at(chunk);
        }
        for (chunk, digest) in digests {
            if press.take(chunk, digest, now).is_err() {
                return Err(NodeError::SourceChanged { path: content.path_of(chunk) });
            }
        }
        self.hash_on();
        // All at once, so that a thousand holes make one batch.
        self.print()
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
        if batches.is_empty() {
            return Ok(());
        }
        let closing = press.close();
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
        self.review_unproven()
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

/// Hashes these chunks until [`BACKGROUND_BYTES`] were read.
fn hash_some(tree: &Tree, layout: Layout, zeros: &Zeros, chunks: &[ChunkId]) -> Result<HashedSome, StoreError> {
    let (mut digests, mut read) = (Vec::with_capacity(chunks.len()), 0);
    for chunk in chunks {
        if read >= BACKGROUND_BYTES {
            return Ok(HashedSome { digests, left_off: Some(*chunk) });
        }
        let digest = if tree.is_hole(layout, *chunk)? {
            zeros.digest(*chunk)
        } else {
            read += layout.len(*chunk);
            hash_range(|offset, buffer| tree.read_at(offset, buffer), layout.range(*chunk))?
        };
        digests.push((*chunk, digest));
    }
    Ok(HashedSome { digests, left_off: None })
}

/// The digest of a range of the content, read a megabyte at a time.
pub(super) fn hash_range(
    read_at: impl Fn(u64, &mut [u8]) -> Result<(), StoreError>,
    range: std::ops::Range<u64>,
) -> Result<Digest, StoreError> {
    let mut hasher = DigestKind::Blake3.hasher();
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
