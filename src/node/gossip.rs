//! Gossip: what neighbours tell each other about holdings, proofs and addresses.
//!
//! A have is worth nothing without the proof of its chunk, so the signed batch that lists it goes first, verbatim, to every
//! neighbour that has not got it from us or given it to us.
//!
//! Invariant: a node announces no chunk to a neighbour before its proof (a publisher's first bitfield aside: its proofs travel with
//! the chunks).
//!
//! Not here: when to announce (the swarm gathers haves for a few milliseconds).

use super::Node;
use super::content::OUR_INDEX;
use super::error::NodeError;
use super::links::Link;
use super::renewal::unix_now;
use crate::chunk::ChunkId;
use crate::identity::Signed;
use crate::manifest::{ContentRoot, DatasetKeyId, Endorsement, ProofError, SignedBatch, Update};
use crate::swarm::{Input, Profile, SourceId};
use crate::wire::{Form, Haves, List, Message, Offer, Reason, Wants};

impl Node {
    /// Takes a neighbour into the swarm of our content, once both sides have offered it.
    pub(super) fn join(&mut self, source: SourceId) {
        let Some(content) = &mut self.content else { return };
        let Some(link) = self.links.link_mut(source) else { return };
        if link.joined || link.theirs.is_none() {
            return;
        }
        link.joined = true;
        let batches: Vec<SignedBatch> = content.proofs.batches().into_iter().cloned().collect();
        for batch in &batches {
            link.mark_told(content.proofs.known(), batch.indices());
        }
        tell_batches(link, &batches);
        if let Some(root) = content.proofs.root() {
            link.tell(&Message::Root { content: OUR_INDEX, root: *root });
        }
        let form = Form::of(content.swarm.have());
        link.tell(&Message::Bitfield { content: OUR_INDEX, form });
        let (publisher, order) = (link.hello.publisher, link.hello.peer.order());
        let profile = Profile { publisher, local: false, order, zone: self.zones.number(&link.hello.zone) };
        self.tell_swarm(Input::Joined { source, profile });
    }

    /// Tells every neighbour that we hold these as well, each after the proofs that it lacks.
    pub(super) fn announce(&mut self, chunks: &[ChunkId]) {
        let Some(content) = &mut self.content else { return };
        let haves: Vec<Message> =
            Haves::split(chunks).map(|chunks| Message::Have { content: OUR_INDEX, chunks }).collect();
        for link in self.links.joined_mut() {
            let mut batches: Vec<SignedBatch> = Vec::new();
            for chunk in chunks {
                if link.told.as_ref().is_some_and(|told| told.contains(*chunk)) {
                    continue;
                }
                if let Some(batch) = content.proofs.batch_of(*chunk) {
                    link.mark_told(content.proofs.known(), batch.indices());
                    batches.push(batch.clone());
                }
            }
            tell_batches(link, &batches);
            for have in &haves {
                link.tell(have);
            }
        }
    }

    /// Spreads batches of our own making.
    pub(super) fn spread(&mut self, batches: &[SignedBatch]) {
        let Some(content) = &mut self.content else { return };
        for link in self.links.joined_mut() {
            for batch in batches {
                link.mark_told(content.proofs.known(), batch.indices());
            }
            tell_batches(link, batches);
        }
    }

    /// A neighbour said what it holds.
    pub(super) fn on_bitfield(&mut self, source: SourceId, form: &Form) {
        let Some(content) = &self.content else { return };
        match form.resolve(content.manifest.layout()) {
            Ok(chunks) => self.tell_swarm(Input::Holds { source, chunks }),
            Err(error) => self.violation(source, &error.to_string()),
        }
    }

    /// A neighbour said what it holds in addition.
    pub(super) fn on_have(&mut self, source: SourceId, indices: &[u32]) {
        let Some(content) = &self.content else { return };
        let layout = content.manifest.layout();
        let chunks: Option<Vec<ChunkId>> = indices.iter().map(|index| layout.chunk(*index)).collect();
        match chunks {
            Some(chunks) => self.tell_swarm(Input::Haves { source, chunks }),
            None => self.violation(source, "it holds a chunk beyond the last"),
        }
    }

    /// Signed batches came, on the control stream or with a chunk.
    pub(super) fn on_batches(&mut self, source: SourceId, batches: &[SignedBatch]) -> Result<(), NodeError> {
        let mut proven = Vec::new();
        for batch in batches {
            let Some(content) = &mut self.content else { return Ok(()) };
            // A batch of somebody who has just left is as good as any: it was signed by a publisher.
            if let Some(link) = self.links.link_mut(source) {
                link.mark_told(content.proofs.known(), batch.indices());
            }
            let outcome = content.proofs.insert_batch(batch);
            if matches!(&outcome, Ok(update) if update.kept)
                && let Some(replica) = content.replica()
            {
                replica.add_batch(batch.as_bytes())?;
            }
            proven.extend(outcome.iter().flat_map(|update| &update.proven));
            self.on_proof(source, outcome)?;
        }
        self.on_proven(&proven);
        self.review_root()?;
        self.review_unproven()
    }

    /// A neighbour says that the list of digests is closed.
    pub(super) fn on_root(&mut self, source: SourceId, root: &ContentRoot) -> Result<(), NodeError> {
        let Some(content) = &mut self.content else { return Ok(()) };
        let outcome = content.proofs.insert_root(root);
        if matches!(&outcome, Ok(update) if update.kept) {
            let message = Message::Root { content: OUR_INDEX, root: *root };
            for link in self.links.joined_mut() {
                link.tell(&message);
            }
        }
        self.on_proof(source, outcome)?;
        self.review_root()
    }

    /// What a statement about digests changed.
    fn on_proof(&mut self, source: SourceId, outcome: Result<Update, ProofError>) -> Result<(), NodeError> {
        match outcome {
            Ok(update) => self.on_update(update),
            Err(error) if error.is_fatal() => Err(NodeError::Conflict(error)),
            Err(error @ (ProofError::UnknownKey(_) | ProofError::DroppedKey(_))) => {
                tracing::debug!(%error, "a digest batch is left aside");
                Ok(())
            }
            Err(error) => {
                self.violation(source, &error.to_string());
                Ok(())
            }
        }
    }

    /// What a statement that holds changed, whoever made it.
    pub(super) fn on_update(&mut self, update: Update) -> Result<(), NodeError> {
        for key in &update.dropped {
            tracing::warn!(%key, "two publishers disagree about a chunk; the later one no longer counts");
        }
        if !update.dropped.is_empty() {
            self.on_keys_dropped(&update.dropped)?;
        }
        // What was counted on the word of a publisher that no longer counts must be fetched again.
        for chunk in update.revoked {
            if self.content.as_ref().is_some_and(|content| content.swarm.have().contains(chunk)) {
                self.give_up(chunk);
            }
        }
        Ok(())
    }

    /// Publishers lost their say: what their batches proved to neighbours must be shown to them anew, and if we are one of these
    /// publishers ourselves, our source is not what the swarm has.
    fn on_keys_dropped(&mut self, dropped: &[DatasetKeyId]) -> Result<(), NodeError> {
        let ours = self.content.as_ref().and_then(|content| content.press.as_ref()).map(|press| press.key().id());
        if let Some(key) = ours.filter(|key| dropped.contains(key)) {
            return Err(NodeError::Conflict(ProofError::DroppedKey(key)));
        }
        for link in self.links.joined_mut() {
            link.told = None;
        }
        Ok(())
    }

    /// Endorsements came: believe those that a publisher of our swarm signed.
    pub(super) fn on_endorsements(&mut self, source: SourceId, list: Vec<Endorsement>) -> Result<(), NodeError> {
        for endorsement in list {
            if !self.is_endorsed(&endorsement, unix_now()) {
                continue;
            }
            match &mut self.content {
                Some(content) if content.id() == endorsement.content => {
                    if content.proofs.endorse(endorsement.clone()).unwrap_or(false) {
                        if let Some(replica) = content.replica() {
                            replica.add_endorsement(&endorsement.to_bytes())?;
                        }
                        // Also to those who are about to join: batches of this key, which they get then, mean nothing without it.
                        for (_, link) in self.links.iter() {
                            tell_endorsements(link, [endorsement.clone()]);
                        }
                    }
                }
                Some(_) => {}
                None => self.consider(source, endorsement),
            }
        }
        Ok(())
    }

    /// Whether a publisher of our swarm signed this endorsement, with a certificate that is valid `at` (seconds since 1970).
    ///
    /// What arrives must be valid now: the time in it is its signer's own word, so whoever has an old key could write any. What is
    /// in our journal was looked at when it came.
    pub(super) fn is_endorsed(&mut self, endorsement: &Endorsement, at: u64) -> bool {
        let signed = Signed {
            scheme: endorsement.scheme,
            signature: endorsement.signature.clone(),
            chain: endorsement.chain.clone(),
        };
        match self.credentials.verify(&endorsement.payload(), &signed, at) {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(content = %endorsement.content, %error, "an endorsement is not believed");
                self.refusal = Some(error);
                false
            }
        }
    }

    /// Says to a neighbour which content we have, under which index, and on whose word.
    pub(super) fn introduce(&mut self, source: SourceId) {
        let (Some(content), Some(link)) = (&self.content, self.links.link(source)) else {
            return self.note_offers(source);
        };
        let offer = Offer { index: OUR_INDEX, id: content.id(), complete: content.swarm.is_complete() };
        for offers in List::split([offer]) {
            link.tell(&Message::Offers(offers));
        }
        tell_endorsements(link, content.proofs.endorsements().cloned());
        self.match_offers(source);
    }

    /// A neighbour settled on a content, or has more of them.
    pub(super) fn on_offers(&mut self, source: SourceId, offers: Vec<Offer>) {
        if let Some(link) = self.links.link_mut(source) {
            link.add_offers(offers);
            link.hello.wants = Wants::Nothing;
            self.match_offers(source);
        }
    }

    /// A neighbour broke the protocol: it is cut off at once, and whatever of it still waits to be looked at is not.
    pub(super) fn violation(&mut self, source: SourceId, what: &str) {
        if let Some(link) = self.links.link(source) {
            tracing::warn!(address = %link.address, identity = %link.identity, "a neighbour broke the protocol: {what}");
            self.drop_link(source, Reason::Protocol, what);
        }
    }
}

/// Sends batches, as many to a message as its cap allows.
fn tell_batches(link: &Link, batches: &[SignedBatch]) {
    for batches in List::split(batches.iter().cloned()) {
        link.tell(&Message::Digests { content: OUR_INDEX, batches });
    }
}

/// Sends endorsements, as many to a message as its cap allows.
pub(super) fn tell_endorsements(link: &Link, list: impl IntoIterator<Item = Endorsement>) {
    for list in List::split(list) {
        link.tell(&Message::Endorsements { content: OUR_INDEX, list });
    }
}
