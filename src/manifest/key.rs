//! Dataset keys: the short-lived Ed25519 keys that sign digests.
//!
//! A certificate's key may be slow, may live in hardware, and says who a publisher is; it signs once, to endorse a dataset key.
//! That key then signs a batch of digests every few milliseconds, at some 20 µs each, without another look at a certificate.
//!
//! Invariant: every signed text begins with the domain of its kind, so no signature can be passed off as another kind's.
//!
//! Not here: where the seed comes from (the shell has the randomness) and certificates (`identity`).

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use data_encoding::HEXLOWER;

/// Bytes of an Ed25519 signature (RFC 8032, section 5.1.6).
pub const SIGNATURE_LEN: usize = 64;

/// The public half of a dataset key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetKeyId(pub [u8; 32]);

impl DatasetKeyId {
    /// Whether this key signed `domain` and then `text`.
    pub(super) fn verifies(&self, domain: &[u8], text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(&[domain, text].concat(), signature).is_ok()
    }
}

impl fmt::Display for DatasetKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for DatasetKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatasetKeyId({self})")
    }
}

/// A dataset key. It lives in the memory of one publisher for one run and is never written down.
pub struct DatasetKey {
    pair: Ed25519KeyPair,
    id: DatasetKeyId,
}

impl DatasetKey {
    /// The key that belongs to this seed: 32 bytes that nobody can guess.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are an Ed25519 seed");
        let id = pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes");
        Self { pair, id: DatasetKeyId(id) }
    }

    /// The public half.
    #[must_use]
    pub const fn id(&self) -> DatasetKeyId {
        self.id
    }

    /// Signs `domain` and then `text`.
    pub(super) fn sign(&self, domain: &[u8], text: &[u8]) -> [u8; SIGNATURE_LEN] {
        let signature = self.pair.sign(&[domain, text].concat());
        signature.as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
    }
}

impl fmt::Debug for DatasetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatasetKey({}, secret)", self.id)
    }
}
