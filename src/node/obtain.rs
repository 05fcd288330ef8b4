//! How a node that pulls comes to its content, once it is chosen: the manifest from a neighbour or from the destination's journal, then a
//! destination that is ready for it.
//!
//! Invariant: nothing is written before an endorsement was checked and the whole manifest matched the content id in it.
//!
//! Not here: which content that is (`choose`), checking certificates (`identity`), resuming (`store`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::Node;
use super::content::{Content, Tree};
use super::error::NodeError;
use super::event::Event;
use super::prove::Found;
use super::report::Report;
use super::zero::Zeros;
use crate::bitfield::Bitfield;
use crate::chunk::ChunkId;
use crate::manifest::{ContentId, Endorsement, Entries, Manifest, Proofs, SignedBatch};
use crate::net::{ObtainError, obtain};
use crate::store::{Names, NewContent, Opened, Replica, StoreError, SymlinkPolicy};
use crate::swarm::trace::Beginning;
use crate::swarm::{Input, SourceId};
use crate::units::Bytes;
use crate::wire::{Reason, Wants};

/// A content that the destination holds from an earlier run, with endorsements that still hold.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) manifest: Arc<Manifest>,
    pub(super) endorsements: Vec<Endorsement>,
    /// Digest batches as the journal has them.
    pub(super) batches: Vec<Vec<u8>>,
    /// Whether an earlier run had every chunk of it.
    pub(super) whole: bool,
}

/// Where a node that pulls stands before it has a content.
#[derive(Debug)]
pub(super) enum Seek {
    /// Nothing endorsed was offered yet.
    Waiting,
    /// A neighbour sends the manifest.
    Obtaining,
    /// The destination is being made ready.
    Preparing,
    /// There is a content.
    Done,
}

/// A destination that is ready for its content.
#[derive(Debug)]
pub(super) struct Ready {
    manifest: Arc<Manifest>,
    proofs: Proofs,
    replica: Arc<Replica>,
    have: Bitfield,
    /// Chunks that may be here too: to be compared with their digests.
    found: Bitfield,
    zeros: Zeros,
}

impl Node {
    /// Starts to fetch the manifest of `id`, or takes the stored one.
    pub(super) fn obtain(&mut self, from: SourceId, id: ContentId) {
        if let Some(stored) = self.stored.as_ref().filter(|stored| stored.manifest.id() == id) {
            return self.prepare(Arc::clone(&stored.manifest));
        }
        let Some(link) = self.links.link(from) else { return };
        self.seek = Seek::Obtaining;
        let (connection, events) = (link.connection.clone(), self.events.clone());
        self.events.spawn(async move {
            let outcome = obtain(&connection, id).await;
            events.send(Event::Obtained { source: from, outcome });
        });
    }

    /// The manifest came, or did not: then another neighbour that offers an endorsed content is asked.
    pub(super) fn on_obtained(&mut self, source: SourceId, outcome: Result<Manifest, ObtainError>) {
        match outcome {
            Ok(manifest) if self.admits(&manifest) => self.prepare(Arc::new(manifest)),
            Ok(_) => {
                self.seek = Seek::Waiting;
                for other in self.links.sources() {
                    self.note_offers(other);
                }
                self.obtain_another();
            }
            Err(error) => {
                tracing::warn!(?source, %error, "a neighbour could not send the manifest");
                self.seek = Seek::Waiting;
                // It offered what it does not have, stalls, or lies; when it was a mishap, it is dialled again soon.
                self.drop_link(source, Reason::Protocol, "it did not send the manifest that it offers");
                self.obtain_another();
            }
        }
    }

    /// Asks the next neighbour for a content that may be followed, if there is one.
    fn obtain_another(&mut self) {
        if let Some((source, id)) = self.endorsed_offer(|id| self.may_follow(id)) {
            self.obtain(source, id);
        }
    }

    /// Takes what the destination holds.
    pub(super) fn take_stored(&mut self) {
        if matches!(self.seek, Seek::Waiting)
            && let Some(stored) = &self.stored
        {
            let manifest = Arc::clone(&stored.manifest);
            self.prepare(manifest);
        }
    }

    /// Makes the destination ready: resumes what is there.
    fn prepare(&mut self, manifest: Arc<Manifest>) {
        let Some(opened) = self.opened.take() else { return };
        self.seek = Seek::Preparing;
        let id = manifest.id();
        let mut endorsements = std::mem::take(&mut self.endorsements);
        let mut batches = Vec::new();
        if let Some(stored) = self.stored.take().filter(|stored| stored.manifest.id() == id) {
            endorsements.extend(stored.endorsements);
            batches = stored.batches;
        }
        endorsements.retain(|endorsement| endorsement.content == id);
        let (events, pool) = (self.events.clone(), self.pool.clone());
        let symlinks = self.config.symlinks;
        self.events.spawn(async move {
            let job = move || make_ready(opened, manifest, endorsements, &batches, symlinks);
            events.send(Event::Ready(Box::new(pool.run(job).await)));
        });
    }

    /// The destination is ready: the content begins.
    pub(super) fn on_ready(&mut self, outcome: Result<Ready, StoreError>) -> Result<(), NodeError> {
        let Ready { manifest, mut proofs, replica, have, mut found, zeros } = outcome?;
        // Nobody endorses twice, so those that came while the destination was made ready are taken now.
        for endorsement in std::mem::take(&mut self.endorsements) {
            let bytes = endorsement.to_bytes();
            if endorsement.content == manifest.id() && proofs.endorse(endorsement).unwrap_or(false) {
                replica.add_endorsement(&bytes)?;
            }
        }
        if self.copy.is_some() {
            // Digests that are not known yet come of copying, so nothing can wait for them.
            found
                .clone()
                .iter()
                .filter(|chunk| !proofs.known().contains(*chunk))
                .for_each(|chunk| _ = found.remove(chunk));
        }
        let (config, seed) = (self.swarm_config(manifest.layout()), self.rng.u64(..));
        let beginning = Beginning { layout: manifest.layout(), have, config, seed };
        self.trace_content(manifest.id(), &beginning);
        let known: Vec<ChunkId> = proofs.known().iter().collect();
        let mut content = Content::new(manifest, proofs, Tree::Replica(replica), &beginning, zeros, &self.config);
        content.found = Found::new(found.clone());
        self.adopt(content, Some(found));
        self.on_proven(&known);
        if let Some((source, press)) = self.copy.take() {
            self.copy_from(source, press);
        }
        self.review_root()
    }

    /// Begins to take part in the swarm of `content`, of which these chunks may be here although they do not count yet.
    pub(super) fn adopt(&mut self, content: Content, withheld: Option<Bitfield>) {
        let id = content.id();
        let snapshot = &content.snapshot;
        self.reports.send(Report::Content {
            id,
            bytes: snapshot.bytes_total,
            files: snapshot.files_total,
            chunks: snapshot.chunks_total,
            chunk_size: Bytes(content.manifest.layout().chunk_size()),
            kept: snapshot.bytes_kept,
        });
        self.seek = Seek::Done;
        self.last_progress = self.clock.now();
        self.content = Some(content);
        // Before anybody joins, or what may be here would be asked for.
        if let Some(chunks) = withheld {
            self.tell_swarm(Input::Withheld { chunks });
        }
        for source in self.links.sources() {
            self.introduce(source);
        }
    }

    /// Finds our content among what a neighbour offers, or drops the neighbour when it follows another.
    pub(super) fn match_offers(&mut self, source: SourceId) {
        let Some(content) = &self.content else { return self.note_offers(source) };
        let id = content.id();
        let Some(link) = self.links.link_mut(source) else { return };
        if let Some(offer) = link.offers.iter().find(|offer| offer.id == id) {
            link.theirs = Some(offer.index);
            self.join(source);
            return;
        }
        let may_follow = match link.hello.wants {
            Wants::Any => true,
            Wants::Id(wanted) => wanted == id,
            Wants::Nothing => false,
        };
        if !may_follow {
            self.refuse_other_content(source);
        }
    }
}

/// Makes a destination ready for a content: checks links and space, resumes. Blocks.
pub(super) fn make_ready(
    opened: Opened,
    manifest: Arc<Manifest>,
    endorsements: Vec<Endorsement>,
    batches: &[Vec<u8>],
    symlinks: SymlinkPolicy,
) -> Result<Ready, StoreError> {
    let entries = manifest.entries();
    if symlinks != SymlinkPolicy::Keep {
        refuse_escaping(entries)?;
    }
    let mut proofs = Proofs::new(manifest.id(), manifest.layout());
    let (header, pages) = (manifest.header_bytes(), manifest.pages().collect::<Vec<_>>());
    let begun = opened.begin(NewContent {
        id: manifest.id().0,
        entries: Arc::clone(entries),
        layout: manifest.layout(),
        header: &header,
        pages: &pages,
        allocated: manifest.header().allocated().map(Bytes),
    })?;
    let replica = Arc::new(begun.replica);
    for endorsement in endorsements {
        let bytes = endorsement.to_bytes();
        if proofs.endorse(endorsement).unwrap_or(false) {
            replica.add_endorsement(&bytes)?;
        }
    }
    let mut doubtful = Vec::new();
    for batch in batches.iter().filter_map(|bytes| SignedBatch::parse(bytes).ok()) {
        // What does not hold is of no use, and what is missing is asked for again.
        doubtful.extend(proofs.insert_batch(&batch).map(|update| update.revoked).unwrap_or_default());
    }
    let (mut have, mut found) = (begun.have, begun.unproven);
    // A chunk whose proof is lost cannot be shown to others until it is proved again, and one that a dropped publisher vouched for may
    // have been given up too late.
    doubtful.extend(have.iter().filter(|chunk| !proofs.known().contains(*chunk)));
    for chunk in doubtful {
        if have.remove(chunk) {
            found.insert(chunk);
        }
    }
    let zeros = Zeros::new(manifest.digest_kind(), manifest.layout());
    Ok(Ready { manifest, proofs, replica, have, found, zeros })
}

/// Refuses a content with symlinks that lead outside it, as a publisher would.
fn refuse_escaping(entries: &Entries) -> Result<(), StoreError> {
    let mut names = Names::default();
    entries.escaping().for_each(|entry| names.push(PathBuf::from(OsStr::from_bytes(entry.path.as_bytes()))));
    if names.count() == 0 { Ok(()) } else { Err(StoreError::Escaping { names }) }
}
