//! The book of proofs of one content: which digest each chunk must have, on whose word, and the signed batches to show for it.
//!
//! A publisher that restarts, or a second one, signs with another dataset key, so there may be several; any of them counts. When
//! two disagree about a chunk, whoever endorsed later is dropped with everything it said. When one key contradicts itself there is
//! nobody left to believe, and that is an error to stop at.
//!
//! Invariant: every digest that counts was signed by a key that the owner endorsed, and all keys that count agree. Memory: about
//! 40 bytes for each chunk and key that signed it, bounded by [`BYTES_PER_CHUNK`] whatever a publisher signs.
//!
//! Not here: certificates (the owner calls [`Proofs::endorse`] only with what `identity` accepted) and hashing.

use std::collections::BTreeSet;

use super::batch::SignedBatch;
use super::book::Book;
use super::digest::{ContentId, Digest};
use super::endorsement::{ContentRoot, Endorsement};
use super::key::DatasetKeyId;
use crate::bitfield::Bitfield;
use crate::chunk::{ChunkId, Layout};

/// The most dataset keys of a content: one for each start of a publisher while the swarm lasts.
pub const PROOF_KEYS_MAX: usize = 64;

/// Bytes of batches that a key may have for each chunk. A chunk alone in its batch takes 166; what is beyond is no honest need.
const BYTES_PER_CHUNK: usize = 256;
/// Bytes of batches that a key may have in addition, so that contents of few chunks may have large batches.
const BYTES_SPARE: usize = 1 << 20;

/// Whether a chunk's bytes are the right ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// They match a signed digest.
    Proven,
    /// They differ from the signed digest.
    Wrong,
    /// Nobody signed a digest for this chunk yet.
    Unknown,
}

/// What a statement changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Chunks that had no digest and have one now, ascending.
    pub proven: Vec<ChunkId>,
    /// Chunks whose digest is gone or another one now: whoever counted them must check them again.
    pub revoked: Vec<ChunkId>,
    /// Keys that no longer count.
    pub dropped: Vec<DatasetKeyId>,
    /// Whether the statement is worth keeping and passing on. What is not kept was perhaps not even verified.
    pub kept: bool,
}

/// A statement that does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It is about another content.
    #[error("statement is about content {0}, which is not the one at hand")]
    OtherContent(ContentId),
    /// No endorsement of this key is here, or not yet.
    #[error("dataset key {0} is not endorsed")]
    UnknownKey(DatasetKeyId),
    /// The key was dropped because an earlier publisher disagrees with it.
    #[error("dataset key {0} was dropped, an earlier publisher disagrees with it")]
    DroppedKey(DatasetKeyId),
    /// The signature does not hold.
    #[error("signature of dataset key {0} does not hold")]
    Signature(DatasetKeyId),
    /// A chunk that the content does not have.
    #[error("digest for chunk {0}, which the content does not have")]
    NoSuchChunk(u32),
    /// More endorsed keys than [`PROOF_KEYS_MAX`].
    #[error("content has more than {PROOF_KEYS_MAX} dataset keys")]
    TooManyKeys,
    /// A key signed far more than any content needs.
    #[error("dataset key {0} signed more batches than its content needs")]
    Excess(DatasetKeyId),
    /// One key signed two digests for one chunk: stop.
    #[error("dataset key {key} signed two digests for chunk {chunk}: its source changed or the key is misused")]
    Conflict {
        /// The key.
        key: DatasetKeyId,
        /// The chunk.
        chunk: u32,
    },
    /// The closing root is not that of the digests, or there are two: stop.
    #[error("content root of dataset key {0} does not match its digests: its source changed or the key is misused")]
    RootConflict(DatasetKeyId),
}

impl ProofError {
    /// Whether a publisher contradicts itself, so that nothing of this content can be believed any more.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::RootConflict(_))
    }
}

/// All statements about the digests of one content. See the module's text.
#[derive(Debug)]
pub struct Proofs {
    content: ContentId,
    layout: Layout,
    /// By seniority, so that the first who knows a chunk decides.
    books: Vec<Book>,
    dropped: BTreeSet<DatasetKeyId>,
    /// What the dropped keys had said.
    former: Vec<Book>,
    known: Bitfield,
    /// The root of all digests, once all are known.
    computed: Option<Digest>,
}

impl Proofs {
    /// No statement about `content` yet.
    #[must_use]
    pub fn new(content: ContentId, layout: Layout) -> Self {
        let mut proofs = Self {
            content,
            layout,
            books: Vec::new(),
            dropped: BTreeSet::new(),
            former: Vec::new(),
            known: Bitfield::none(layout),
            computed: None,
        };
        proofs.compute_root();
        proofs
    }

    /// Takes an endorsement that `identity` accepted; false when one of its key is here that is not older, or the key was dropped.
    ///
    /// # Errors
    /// [`ProofError::OtherContent`] or [`ProofError::TooManyKeys`].
    pub fn endorse(&mut self, endorsement: Endorsement) -> Result<bool, ProofError> {
        if endorsement.content != self.content {
            return Err(ProofError::OtherContent(endorsement.content));
        }
        let key = endorsement.key;
        if self.dropped.contains(&key) {
            return Ok(false);
        }
        if let Some(book) = self.books.iter_mut().find(|book| book.key() == key) {
            let renewed = book.renew(endorsement);
            self.books.sort_by_key(Book::seniority);
            return Ok(renewed);
        }
        if self.books.len() + self.dropped.len() >= PROOF_KEYS_MAX {
            return Err(ProofError::TooManyKeys);
        }
        self.books.push(Book::new(endorsement));
        self.books.sort_by_key(Book::seniority);
        Ok(true)
    }

    /// Takes a digest batch.
    ///
    /// # Errors
    /// [`ProofError`]; when [`ProofError::is_fatal`], the publisher is to blame and the content is lost, else the sender is.
    pub fn insert_batch(&mut self, batch: &SignedBatch) -> Result<Update, ProofError> {
        let at = self.book_of(batch.content(), batch.key())?;
        let key = batch.key();
        if let Some(beyond) = batch.indices().next_back().filter(|last| *last >= self.layout.count()) {
            return Err(ProofError::NoSuchChunk(beyond));
        }
        if self.books[at].is_repeated_by(batch) {
            return Ok(Update::default());
        }
        if !batch.verify() {
            return Err(ProofError::Signature(key));
        }
        if let Some(chunk) = self.books[at].dispute(batch) {
            return Err(ProofError::Conflict { key, chunk });
        }
        if self.books[..at].iter().any(|senior| senior.dispute(batch).is_some()) {
            return Ok(self.changing(|proofs| proofs.drop_key(key)));
        }
        let most = BYTES_PER_CHUNK * self.layout.count() as usize + BYTES_SPARE;
        if self.books[at].bytes() + batch.as_bytes().len() > most {
            return Err(ProofError::Excess(key));
        }
        let juniors = self.books[at + 1..].iter().filter(|junior| junior.dispute(batch).is_some());
        let juniors: Vec<DatasetKeyId> = juniors.map(Book::key).collect();
        let mut update = if juniors.is_empty() {
            self.add_batch(at, batch)
        } else {
            self.changing(|proofs| {
                proofs.books[at].insert(batch, proofs.layout);
                juniors.into_iter().for_each(|junior| proofs.drop_key(junior));
            })
        };
        update.kept = self.batch_is_held(batch);
        self.settle_roots(&mut update)?;
        Ok(update)
    }

    /// Takes a closing root.
    ///
    /// # Errors
    /// As [`Proofs::insert_batch`].
    pub fn insert_root(&mut self, root: &ContentRoot) -> Result<Update, ProofError> {
        let at = self.book_of(root.content, root.key)?;
        let held = self.books[at].root;
        if held.is_some_and(|held| held.root == root.root) {
            return Ok(Update::default());
        }
        if !root.verify() {
            return Err(ProofError::Signature(root.key));
        }
        if held.is_some() {
            return Err(ProofError::RootConflict(root.key));
        }
        self.books[at].root = Some(*root);
        let mut update = Update { kept: true, ..Update::default() };
        self.settle_roots(&mut update)?;
        Ok(update)
    }

    /// The digest that this chunk must have, as far as anybody signed one.
    #[must_use]
    pub fn digest(&self, chunk: ChunkId) -> Option<Digest> {
        self.books.iter().find_map(|book| book.digest(chunk.index()))
    }

    /// Whether bytes with this digest are the chunk.
    #[must_use]
    pub fn check(&self, chunk: ChunkId, digest: &Digest) -> Check {
        match self.digest(chunk) {
            Some(signed) if signed == *digest => Check::Proven,
            Some(_) => Check::Wrong,
            None => Check::Unknown,
        }
    }

    /// The chunks that have a signed digest.
    #[must_use]
    pub const fn known(&self) -> &Bitfield {
        &self.known
    }

    /// The batch to show for this chunk: the largest that lists it.
    #[must_use]
    pub fn batch_of(&self, chunk: ChunkId) -> Option<&SignedBatch> {
        self.books.iter().filter_map(|book| book.batch(chunk.index())).max_by_key(|batch| batch.len())
    }

    /// A few batches that together list every chunk with a signed digest: what a newcomer and the journal need.
    #[must_use]
    pub fn batches(&self) -> Vec<&SignedBatch> {
        let mut covered = Bitfield::none(self.layout);
        let mut batches = Vec::new();
        for chunk in self.known.iter() {
            if covered.contains(chunk) {
                continue;
            }
            let Some(batch) = self.batch_of(chunk) else { continue };
            for listed in batch.indices().filter_map(|index| self.layout.chunk(index)) {
                covered.insert(listed);
            }
            batches.push(batch);
        }
        batches
    }

    /// The endorsements of the keys that count, the earliest first.
    pub fn endorsements(&self) -> impl Iterator<Item = &Endorsement> {
        self.books.iter().map(|book| &book.endorsement)
    }

    /// The closing root, if a key that counts signed one.
    #[must_use]
    pub fn root(&self) -> Option<&ContentRoot> {
        self.books.iter().find_map(|book| book.root.as_ref())
    }

    /// The root of the digests that are here, when none is missing.
    #[must_use]
    pub const fn computed_root(&self) -> Option<Digest> {
        self.computed
    }

    /// Whether the root of this content is `expected`, which somebody learnt elsewhere and trusts more than any publisher.
    ///
    /// The digests decide once every one is here. A signed root by itself says nothing: any member could stop the job with one.
    #[must_use]
    pub fn check_root(&self, expected: &Digest) -> Check {
        match self.computed {
            Some(root) if root == *expected => Check::Proven,
            Some(_) => Check::Wrong,
            None => Check::Unknown,
        }
    }

    /// Whether a publisher that was dropped since had vouched for these bytes: who sent them then did nothing wrong.
    #[must_use]
    pub fn was_vouched_for(&self, chunk: ChunkId, digest: &Digest) -> bool {
        self.former.iter().any(|book| book.digest(chunk.index()) == Some(*digest))
    }

    /// Whether every chunk has a digest and a publisher closed the list with the root of exactly these.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.computed.is_some() && self.root().map(|root| root.root) == self.computed
    }

    /// Where the book of a statement's key is.
    fn book_of(&self, content: ContentId, key: DatasetKeyId) -> Result<usize, ProofError> {
        if content != self.content {
            return Err(ProofError::OtherContent(content));
        }
        if self.dropped.contains(&key) {
            return Err(ProofError::DroppedKey(key));
        }
        self.books.iter().position(|book| book.key() == key).ok_or(ProofError::UnknownKey(key))
    }

    /// Adds a batch that nobody disputes.
    fn add_batch(&mut self, at: usize, batch: &SignedBatch) -> Update {
        self.books[at].insert(batch, self.layout);
        let listed: Vec<ChunkId> = batch.indices().filter_map(|index| self.layout.chunk(index)).collect();
        let proven = listed.into_iter().filter(|chunk| self.known.insert(*chunk)).collect();
        self.compute_root();
        Update { proven, ..Update::default() }
    }

    /// Makes a rare change that may alter any digest, and finds out what it altered by comparing all of them.
    fn changing(&mut self, change: impl FnOnce(&mut Self)) -> Update {
        let keys: Vec<DatasetKeyId> = self.books.iter().map(Book::key).collect();
        let before: Vec<Option<Digest>> = self.layout.chunks().map(|chunk| self.digest(chunk)).collect();
        change(self);
        let dropped = keys.into_iter().filter(|key| self.dropped.contains(key)).collect();
        let mut update = Update { dropped, ..Update::default() };
        self.known = Bitfield::none(self.layout);
        for (chunk, before) in self.layout.chunks().zip(before) {
            let now = self.digest(chunk);
            if now.is_some() {
                self.known.insert(chunk);
            }
            match before {
                None if now.is_some() => update.proven.push(chunk),
                Some(_) if now != before => update.revoked.push(chunk),
                _ => {}
            }
        }
        self.computed = None;
        self.compute_root();
        update
    }

    /// Lets nothing that a key said count any more, for good.
    fn drop_key(&mut self, key: DatasetKeyId) {
        self.former.extend(self.books.extract_if(.., |book| book.key() == key));
        self.dropped.insert(key);
    }

    /// Whether this very batch is the best for a chunk of its key.
    fn batch_is_held(&self, batch: &SignedBatch) -> bool {
        let book = self.books.iter().find(|book| book.key() == batch.key());
        book.is_some_and(|book| batch.indices().any(|index| book.batch(index) == Some(batch)))
    }

    /// Computes the root when the last digest came, and forgets it when one went.
    fn compute_root(&mut self) {
        if !self.known.is_full() {
            self.computed = None;
        } else if self.computed.is_none() {
            self.computed = Some(Digest::of_list(self.layout.chunks().filter_map(|chunk| self.digest(chunk))));
        }
    }

    /// Compares the closing roots with the digests.
    ///
    /// A key that signed all digests and closes another list contradicts itself. Otherwise the list at hand is put together
    /// from several keys, and the latest of them goes until the rest agree or digests are missing.
    fn settle_roots(&mut self, update: &mut Update) -> Result<(), ProofError> {
        while let Some(computed) = self.computed {
            let Some(book) = self.books.iter().find(|b| b.root.is_some_and(|root| root.root != computed)) else {
                break;
            };
            if book.chunks(self.layout).count() == self.layout.count() as usize {
                return Err(ProofError::RootConflict(book.key()));
            }
            let Some(last) = self.books.last().map(Book::key) else { break };
            let change = self.changing(|proofs| proofs.drop_key(last));
            update.proven.retain(|chunk| !change.revoked.contains(chunk));
            update.revoked.extend(change.revoked);
            update.dropped.extend(change.dropped);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
