//! Endorsements and content roots: a publisher's two statements about a whole content.
//!
//! An endorsement says, signed by a certificate's key: "this dataset key speaks for this content". It is the only expensive check,
//! one per publisher and content. A content root says, signed by that dataset key: "these are all digests, there are no others".
//!
//! Format of an endorsement, numbers with the least significant byte first: content id 32 · dataset key 32 · time u64 · scheme
//! u16 · length u16 and signature · count u8 and for each certificate length u16 and DER. Of a root: content id 32 · dataset key
//! 32 · root 32 · signature 64.
//!
//! Not here: signing with certificates and judging them (`identity`); this module only says which bytes are to be signed.

use super::bytes::{Taker, put_short};
use super::digest::{ContentId, Digest};
use super::key::{DatasetKey, DatasetKeyId, SIGNATURE_LEN};

/// The most certificates of a chain.
pub const CHAIN_MAX: usize = 4;
/// The longest certificate in bytes; real ones have one or two KiB.
pub const CERTIFICATE_LEN_MAX: usize = 16 << 10;
/// The longest signature of a certificate's key in bytes: twice that of RSA-4096.
pub const CERTIFICATE_SIGNATURE_LEN_MAX: usize = 1024;
/// Bytes of the longest endorsement.
pub const ENDORSEMENT_LEN_MAX: usize =
    32 + 32 + 8 + 2 + (2 + CERTIFICATE_SIGNATURE_LEN_MAX) + 1 + CHAIN_MAX * (2 + CERTIFICATE_LEN_MAX);
/// Bytes of a content root.
pub const ROOT_LEN: usize = 32 + 32 + 32 + SIGNATURE_LEN;

/// What an endorsement's signature begins with. TLS signs behind 64 spaces, so neither can be taken for the other.
const ENDORSEMENT_DOMAIN: &[u8] = b"strew endorsement v1\0";
/// What a root's signature begins with.
const ROOT_DOMAIN: &[u8] = b"strew content root v1\0";

/// Bytes that are no endorsement or no root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// No endorsement, or a field of it is longer than it may be.
    #[error("endorsement of {0} bytes is malformed")]
    Endorsement(usize),
    /// No content root.
    #[error("content root of {0} bytes is malformed")]
    Root(usize),
}

/// "This dataset key speaks for this content", signed by the key of a publisher's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endorsement {
    /// The content.
    pub content: ContentId,
    /// The dataset key.
    pub key: DatasetKeyId,
    /// When it was signed: seconds since 1970.
    pub time: u64,
    /// The TLS signature scheme (RFC 8446, section 4.2.3).
    pub scheme: u16,
    /// Signature of [`Endorsement::payload`], at most [`CERTIFICATE_SIGNATURE_LEN_MAX`] bytes.
    pub signature: Vec<u8>,
    /// The certificate and those above it in DER, at most [`CHAIN_MAX`] of [`CERTIFICATE_LEN_MAX`] bytes each.
    pub chain: Vec<Vec<u8>>,
}

impl Endorsement {
    /// The bytes that a publisher's certificate key signs.
    #[must_use]
    pub fn payload_of(content: ContentId, key: DatasetKeyId, time: u64) -> Vec<u8> {
        [ENDORSEMENT_DOMAIN, &content.0, &key.0, &time.to_le_bytes()].concat()
    }

    /// The bytes that [`Endorsement::signature`] signs.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        Self::payload_of(self.content, self.key, self.time)
    }

    /// The endorsement as it travels and is stored.
    ///
    /// # Panics
    /// When signature or chain are longer than they may be: `identity` makes none such.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        assert!(self.is_bounded(), "an endorsement's signature and chain stay within their bounds");
        let mut out = Vec::with_capacity(256 + self.chain.iter().map(Vec::len).sum::<usize>());
        out.extend_from_slice(&self.content.0);
        out.extend_from_slice(&self.key.0);
        out.extend_from_slice(&self.time.to_le_bytes());
        out.extend_from_slice(&self.scheme.to_le_bytes());
        put_short(&mut out, &self.signature);
        out.push(u8::try_from(self.chain.len()).expect("a chain has at most CHAIN_MAX certificates"));
        self.chain.iter().for_each(|certificate| put_short(&mut out, certificate));
        out
    }

    /// Reads an endorsement. Whether it holds is for `identity` to say.
    ///
    /// # Errors
    /// [`StatementError::Endorsement`] when the bytes have another form or a field is too long.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let read = || -> Option<Self> {
            let mut taker = Taker::new(bytes);
            let (content, key) = (ContentId(taker.array()?), DatasetKeyId(taker.array()?));
            let (time, scheme) = (taker.u64()?, taker.u16()?);
            let signature = short(&mut taker, CERTIFICATE_SIGNATURE_LEN_MAX)?;
            let count = usize::from(taker.u8()?);
            if count > CHAIN_MAX {
                return None;
            }
            let chain = (0..count).map(|_| short(&mut taker, CERTIFICATE_LEN_MAX)).collect::<Option<_>>()?;
            taker.is_empty().then_some(Self { content, key, time, scheme, signature, chain })
        };
        read().ok_or(StatementError::Endorsement(bytes.len()))
    }

    fn is_bounded(&self) -> bool {
        self.signature.len() <= CERTIFICATE_SIGNATURE_LEN_MAX
            && self.chain.len() <= CHAIN_MAX
            && self.chain.iter().all(|certificate| certificate.len() <= CERTIFICATE_LEN_MAX)
    }
}

/// Takes a length of at most `most` and the bytes that it counts.
fn short(taker: &mut Taker<'_>, most: usize) -> Option<Vec<u8>> {
    let len = usize::from(taker.u16()?);
    if len > most {
        return None;
    }
    Some(taker.slice(len)?.to_vec())
}

/// "These are all digests of this content", signed by a dataset key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRoot {
    /// The content.
    pub content: ContentId,
    /// The dataset key.
    pub key: DatasetKeyId,
    /// [`Digest::of_list`] of all digests.
    pub root: Digest,
    /// Signature by `key`.
    pub signature: [u8; SIGNATURE_LEN],
}

impl ContentRoot {
    /// Closes the list of digests of `content`.
    #[must_use]
    pub fn sign(key: &DatasetKey, content: ContentId, root: Digest) -> Self {
        let text = [content.0, key.id().0, root.0].concat();
        Self { content, key: key.id(), root, signature: key.sign(ROOT_DOMAIN, &text) }
    }

    /// Whether the key that it names signed it.
    #[must_use]
    pub fn verify(&self) -> bool {
        let text = [self.content.0, self.key.0, self.root.0].concat();
        self.key.verifies(ROOT_DOMAIN, &text, &self.signature)
    }

    /// The root as it travels and is stored.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; ROOT_LEN] {
        let mut out = [0; ROOT_LEN];
        out[..32].copy_from_slice(&self.content.0);
        out[32..64].copy_from_slice(&self.key.0);
        out[64..96].copy_from_slice(&self.root.0);
        out[96..].copy_from_slice(&self.signature);
        out
    }

    /// Reads a root. Its signature is not looked at.
    ///
    /// # Errors
    /// [`StatementError::Root`] when the bytes have another length.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let read = || -> Option<Self> {
            let mut taker = Taker::new(bytes);
            let (content, key) = (ContentId(taker.array()?), DatasetKeyId(taker.array()?));
            let (root, signature) = (Digest(taker.array()?), taker.array()?);
            taker.is_empty().then_some(Self { content, key, root, signature })
        };
        read().ok_or(StatementError::Root(bytes.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::digest::DigestKind;
    use proptest::prelude::*;

    fn endorsement(signature: usize, chain: &[usize]) -> Endorsement {
        Endorsement {
            content: ContentId([1; 32]),
            key: DatasetKeyId([2; 32]),
            time: 1_700_000_000,
            scheme: 0x0807,
            signature: vec![3; signature],
            chain: chain.iter().map(|len| vec![4; *len]).collect(),
        }
    }

    #[test]
    fn what_is_signed_names_content_key_and_time_behind_its_own_domain() {
        let payload = endorsement(64, &[300]).payload();
        assert!(payload.starts_with(b"strew endorsement v1\0"));
        assert_eq!(payload.len(), 21 + 32 + 32 + 8);
        let mut other = endorsement(64, &[300]);
        other.time += 1;
        assert_ne!(other.payload(), payload);
        let golden = "6ae745b4f66086f36ffc5d86cfc5d9ad6d7b316896fc850c85212e0401cb4d65";
        assert_eq!(DigestKind::Blake3.digest(&payload).to_string(), golden);
    }

    #[test]
    fn the_bytes_of_an_endorsement_stay_the_same_for_ever() {
        let bytes = endorsement(2, &[1, 2]).to_bytes();
        assert_eq!(bytes[64..], [0, 0xf1, 0x53, 0x65, 0, 0, 0, 0, 7, 8, 2, 0, 3, 3, 2, 1, 0, 4, 2, 0, 4, 4]);
    }

    #[test]
    fn endorsements_at_their_bounds_are_read_and_beyond_are_not() {
        let largest = endorsement(CERTIFICATE_SIGNATURE_LEN_MAX, &[CERTIFICATE_LEN_MAX; CHAIN_MAX]);
        assert_eq!(largest.to_bytes().len(), ENDORSEMENT_LEN_MAX);
        assert_eq!(Endorsement::parse(&largest.to_bytes()), Ok(largest));
        let honest = endorsement(2, &[1]).to_bytes();
        for (at, value) in [(74, 1025u16), (74, u16::MAX), (79, 16_385), (79, u16::MAX)] {
            let mut bytes = honest.clone();
            bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
            bytes.resize(ENDORSEMENT_LEN_MAX, 0);
            assert!(Endorsement::parse(&bytes).is_err(), "{at} {value}");
        }
        let mut bytes = honest.clone();
        bytes[78] = 5;
        bytes.resize(200, 0);
        assert!(Endorsement::parse(&bytes).is_err());
        for cut in 0..honest.len() {
            assert!(Endorsement::parse(&honest[..cut]).is_err(), "{cut}");
        }
        assert!(Endorsement::parse(&[&honest[..], &[0]].concat()).is_err());
    }

    #[test]
    fn no_flipped_bit_of_a_root_survives() {
        let honest = ContentRoot::sign(&DatasetKey::from_seed(&[1; 32]), ContentId([2; 32]), Digest([3; 32]));
        assert_eq!(ContentRoot::parse(&honest.to_bytes()), Ok(honest));
        assert!(honest.verify());
        for bit in 0..ROOT_LEN * 8 {
            let mut bytes = honest.to_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!ContentRoot::parse(&bytes).unwrap().verify(), "bit {bit}");
        }
        assert!(ContentRoot::parse(&honest.to_bytes()[1..]).is_err());
    }

    #[test]
    fn a_batch_signature_is_no_root_signature() {
        let key = DatasetKey::from_seed(&[1; 32]);
        let text = [[2; 32], key.id().0, [3; 32]].concat();
        assert!(key.id().verifies(ROOT_DOMAIN, &text, &key.sign(ROOT_DOMAIN, &text)));
        assert!(!key.id().verifies(ROOT_DOMAIN, &text, &key.sign(b"strew digest batch v1\0", &text)));
    }

    proptest! {
        #[test]
        fn endorsements_round_trip(
            time in any::<u64>(),
            scheme in any::<u16>(),
            signature in 0..200usize,
            chain in proptest::collection::vec(0..300usize, 0..=4),
        ) {
            let endorsement = Endorsement { time, scheme, ..endorsement(signature, &chain) };
            prop_assert_eq!(Endorsement::parse(&endorsement.to_bytes()), Ok(endorsement));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(endorsement) = Endorsement::parse(&bytes) {
                prop_assert_eq!(endorsement.to_bytes(), bytes);
            }
        }
    }
}
