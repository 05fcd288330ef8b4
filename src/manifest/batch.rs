//! Digest batches: up to 1024 digests of a content under one signature.
//!
//! A publisher signs a batch as it reads; everybody else passes it on as it came. So a batch *is* its bytes: entries have a fixed
//! width and are read where they lie, and nothing is encoded twice.
//!
//! Format, numbers with the least significant byte first: content id 32 · dataset key 32 · count u16 · count times (index u32,
//! digest 32), indices strictly ascending · signature 64 over the domain and everything before it.
//!
//! Invariant: a [`SignedBatch`] has this form. Whether its signature holds is asked with [`SignedBatch::verify`]; `Proofs` asks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::digest::{ContentId, Digest};
use super::key::{DatasetKey, DatasetKeyId, SIGNATURE_LEN};
use crate::chunk::{CHUNK_COUNT_MAX, ChunkId};

/// The most digests of a batch: 37 KB, so that one lost or doubted batch costs little.
pub const BATCH_ENTRIES_MAX: usize = 1024;
/// Bytes of the longest batch.
pub const BATCH_LEN_MAX: usize = HEAD_LEN + BATCH_ENTRIES_MAX * ENTRY_LEN + SIGNATURE_LEN;

/// Content id, dataset key, count.
const HEAD_LEN: usize = 32 + 32 + 2;
/// Index and digest.
const ENTRY_LEN: usize = 4 + 32;
/// What a batch's signature begins with.
const DOMAIN: &[u8] = b"strew digest batch v1\0";

/// Bytes that are no digest batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The length does not fit the count, or the count is not 1 to 1024.
    #[error("digest batch of {0} bytes is malformed")]
    Length(usize),
    /// Indices are not strictly ascending or beyond what any content has.
    #[error("digest batch lists chunks out of order")]
    Order,
}

/// A digest batch as it was signed and as it travels. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedBatch {
    raw: Arc<[u8]>,
}

impl SignedBatch {
    /// Signs the digests of these chunks of `content`.
    ///
    /// # Panics
    /// When there are no entries, more than [`BATCH_ENTRIES_MAX`], or they are not strictly ascending: a bug of the caller.
    #[must_use]
    pub fn sign(key: &DatasetKey, content: ContentId, entries: &[(ChunkId, Digest)]) -> Self {
        assert!((1..=BATCH_ENTRIES_MAX).contains(&entries.len()), "a batch holds 1 to 1024 digests");
        assert!(entries.is_sorted_by(|a, b| a.0 < b.0), "a batch lists every chunk once, in order");
        let count = u16::try_from(entries.len()).expect("1024 fits");
        let mut raw = Vec::with_capacity(HEAD_LEN + entries.len() * ENTRY_LEN + SIGNATURE_LEN);
        raw.extend_from_slice(&content.0);
        raw.extend_from_slice(&key.id().0);
        raw.extend_from_slice(&count.to_le_bytes());
        for (chunk, digest) in entries {
            raw.extend_from_slice(&chunk.index().to_le_bytes());
            raw.extend_from_slice(&digest.0);
        }
        let signature = key.sign(DOMAIN, &raw);
        raw.extend_from_slice(&signature);
        Self { raw: raw.into() }
    }

    /// Signs any number of digests, in as few batches as can be.
    #[must_use]
    pub fn sign_all(key: &DatasetKey, content: ContentId, digests: &BTreeMap<ChunkId, Digest>) -> Vec<Self> {
        let entries: Vec<(ChunkId, Digest)> = digests.iter().map(|(chunk, digest)| (*chunk, *digest)).collect();
        entries.chunks(BATCH_ENTRIES_MAX).map(|part| Self::sign(key, content, part)).collect()
    }

    /// Reads a batch. Its signature is not looked at.
    ///
    /// # Errors
    /// [`BatchError`] when the bytes do not have the form of a batch.
    pub fn parse(raw: &[u8]) -> Result<Self, BatchError> {
        let malformed = BatchError::Length(raw.len());
        let body = raw.len().checked_sub(HEAD_LEN + SIGNATURE_LEN).ok_or(malformed)?;
        let count = usize::from(u16::from_le_bytes([raw[64], raw[65]]));
        if body != count * ENTRY_LEN || !(1..=BATCH_ENTRIES_MAX).contains(&count) {
            return Err(malformed);
        }
        let batch = Self { raw: raw.into() };
        let ascending = batch.indices().is_sorted_by(|a, b| a < b);
        if !ascending || batch.index(count - 1) >= CHUNK_COUNT_MAX {
            return Err(BatchError::Order);
        }
        Ok(batch)
    }

    /// The batch as it travels and is stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.raw
    }

    /// The content whose digests these are.
    #[must_use]
    pub fn content(&self) -> ContentId {
        ContentId(self.array(0))
    }

    /// The key that is said to have signed it.
    #[must_use]
    pub fn key(&self) -> DatasetKeyId {
        DatasetKeyId(self.array(32))
    }

    /// Number of digests; never zero.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // a batch is never empty
    pub fn len(&self) -> usize {
        (self.raw.len() - HEAD_LEN - SIGNATURE_LEN) / ENTRY_LEN
    }

    /// The chunk indices, strictly ascending.
    pub fn indices(&self) -> impl DoubleEndedIterator<Item = u32> + ExactSizeIterator + '_ {
        (0..self.len()).map(|i| self.index(i))
    }

    /// Chunk indices and digests, strictly ascending.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (u32, Digest)> + '_ {
        (0..self.len()).map(|i| (self.index(i), self.digest_at(i)))
    }

    /// The digest of this chunk, when it is listed.
    #[must_use]
    pub fn digest(&self, index: u32) -> Option<Digest> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.index(middle).cmp(&index) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(self.digest_at(middle)),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Whether the key that it names signed exactly these bytes.
    #[must_use]
    pub fn verify(&self) -> bool {
        let (text, signature) = self.raw.split_at(self.raw.len() - SIGNATURE_LEN);
        self.key().verifies(DOMAIN, text, signature)
    }

    fn index(&self, i: usize) -> u32 {
        u32::from_le_bytes(self.array(HEAD_LEN + i * ENTRY_LEN))
    }

    fn digest_at(&self, i: usize) -> Digest {
        Digest(self.array(HEAD_LEN + i * ENTRY_LEN + 4))
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        *self.raw[at..].first_chunk().expect("the form was checked when the batch was made")
    }
}

impl fmt::Debug for SignedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.index(self.len() - 1);
        write!(f, "SignedBatch({} digests, chunks {}..={last}, key {})", self.len(), self.index(0), self.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Layout;
    use proptest::prelude::*;

    fn chunks(indices: &[u32]) -> Vec<(ChunkId, Digest)> {
        let layout = Layout::new(u64::from(CHUNK_COUNT_MAX) << 10, 1 << 10).unwrap();
        indices.iter().map(|i| (layout.chunk(*i).unwrap(), Digest([i.to_le_bytes()[0]; 32]))).collect()
    }

    fn batch(indices: &[u32]) -> SignedBatch {
        SignedBatch::sign(&DatasetKey::from_seed(&[1; 32]), ContentId([2; 32]), &chunks(indices))
    }

    #[test]
    fn a_batch_reads_as_it_was_signed() {
        let batch = batch(&[3, 7, 1000]);
        let read = SignedBatch::parse(batch.as_bytes()).unwrap();
        assert!(read.verify());
        assert_eq!((read.content(), read.key()), (ContentId([2; 32]), DatasetKey::from_seed(&[1; 32]).id()));
        assert_eq!(read.indices().collect::<Vec<_>>(), [3, 7, 1000]);
        assert_eq!(
            [0, 3, 5, 7, 1001].map(|i| read.digest(i)),
            [None, Some(Digest([3; 32])), None, Some(Digest([7; 32])), None]
        );
    }

    #[test]
    fn the_bytes_of_a_batch_stay_the_same_for_ever() {
        let hash = blake3::hash(batch(&[0, 258]).as_bytes());
        assert_eq!(batch(&[0, 258]).as_bytes().len(), 66 + 2 * 36 + 64);
        assert_eq!(&batch(&[0, 258]).as_bytes()[64..70], &[2, 0, 0, 0, 0, 0]);
        assert_eq!(&batch(&[0, 258]).as_bytes()[102..107], &[2, 1, 0, 0, 2]);
        assert_eq!(hash.to_string(), "f6d16cf1aaecd60d86bfd1f4391ded366c8eff4511a34dd2013eb3b13b602f97");
    }

    #[test]
    fn many_digests_are_signed_in_few_batches() {
        let indices: Vec<u32> = (0..2500).collect();
        let digests = chunks(&indices).into_iter().collect();
        let batches = SignedBatch::sign_all(&DatasetKey::from_seed(&[1; 32]), ContentId([2; 32]), &digests);
        assert_eq!(batches.iter().map(SignedBatch::len).collect::<Vec<_>>(), [1024, 1024, 452]);
        assert_eq!(batches[0].as_bytes().len(), BATCH_LEN_MAX);
        assert!(batches.iter().all(SignedBatch::verify));
    }

    #[test]
    fn no_flipped_bit_survives() {
        let honest = batch(&[3, 7]);
        for bit in 0..honest.as_bytes().len() * 8 {
            let mut raw = honest.as_bytes().to_vec();
            raw[bit / 8] ^= 1 << (bit % 8);
            assert!(!SignedBatch::parse(&raw).is_ok_and(|batch| batch.verify()), "bit {bit}");
        }
    }

    #[test]
    fn refuses_other_lengths_and_orders() {
        let raw = batch(&[3, 7]).as_bytes().to_vec();
        for cut in 0..raw.len() {
            assert!(SignedBatch::parse(&raw[..cut]).is_err(), "{cut}");
        }
        assert!(SignedBatch::parse(&[raw.clone(), vec![0]].concat()).is_err());
        for count in [0u16, 1, 3, 1024, 1025, u16::MAX] {
            let mut raw = raw.clone();
            raw[64..66].copy_from_slice(&count.to_le_bytes());
            assert!(SignedBatch::parse(&raw).is_err(), "{count}");
        }
        assert!(SignedBatch::parse(&[0; HEAD_LEN + SIGNATURE_LEN]).is_err());
        for (first, second) in [(7u32, 7u32), (8, 7), (0, CHUNK_COUNT_MAX), (0, u32::MAX)] {
            let mut raw = raw.clone();
            raw[66..70].copy_from_slice(&first.to_le_bytes());
            raw[102..106].copy_from_slice(&second.to_le_bytes());
            assert_eq!(SignedBatch::parse(&raw), Err(BatchError::Order), "{first} {second}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut raw in proptest::collection::vec(any::<u8>(), 0..400), count in 0..8u16) {
            if let Some(place) = raw.get_mut(64..66) {
                place.copy_from_slice(&count.to_le_bytes());
            }
            if let Ok(batch) = SignedBatch::parse(&raw) {
                prop_assert!(!batch.verify());
            }
        }
    }
}
