//! Digests: 32 bytes that stand for other bytes, and the names made of them.
//!
//! BLAKE3 verifies a chunk at memory speed and can be checked by hand (`b3sum`): a chunk's digest is the plain hash of its bytes.
//! Everything else that is hashed has its own key-derivation context, so that no page can pass for a header and no list of
//! digests for a chunk.
//!
//! Where every member is trusted, XXH3 finds accidents for two thirds of the time (9.2 against 5.9 GB for a second of one core, 4 MiB at
//! a time in parts of 256 KiB; XXH3 is compiled for SSE2, BLAKE3 finds out what the machine can). Its 128 bits stand first in a [`Digest`] and zeros fill the
//! rest, so batches, proofs and journals have one form for all kinds. Names are made with BLAKE3 whatever the kind.
//!
//! Invariant: the kind of digest stands in the header that the content id is a hash of; no peer can talk another into a weaker one.
//!
//! Not here: who vouches for a digest (`batch`, `proofs`).

use std::fmt;
use std::str::FromStr;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use xxhash_rust::xxh3::Xxh3Default;

/// Context of a content id: the header's bytes, so everything that the header's page hashes cover.
const CONTENT_CONTEXT: &str = "strew content v1";
/// Context of a page hash.
const PAGE_CONTEXT: &str = "strew page v1";
/// Context of a content root: all digests of a content in chunk order.
const ROOT_CONTEXT: &str = "strew root v1";

/// How chunks are digested. The header of a content names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestKind {
    /// BLAKE3 with 256 bits of output.
    #[default]
    Blake3,
    /// XXH3 with 128 bits of output and the seed zero: finds accidents, and nobody's intent. Two texts of equal digest are easily made.
    Xxh3,
}

impl DigestKind {
    /// The number that stands for this kind in a header.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Blake3 => 1,
            Self::Xxh3 => 2,
        }
    }

    /// The kind with this number, `None` when this version knows none.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Blake3),
            2 => Some(Self::Xxh3),
            _ => None,
        }
    }

    /// Digest of `data`.
    #[must_use]
    pub fn digest(self, data: &[u8]) -> Digest {
        let mut hasher = self.hasher();
        hasher.update(data);
        hasher.finish()
    }

    /// A hasher for data that comes in parts.
    #[must_use]
    pub fn hasher(self) -> Hasher {
        match self {
            Self::Blake3 => Hasher(State::Blake3(Box::default())),
            Self::Xxh3 => Hasher(State::Xxh3(Box::default())),
        }
    }
}

impl fmt::Display for DigestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blake3 => f.write_str("blake3"),
            Self::Xxh3 => f.write_str("xxh3"),
        }
    }
}

/// Digests data that comes in parts: [`Hasher::update`] for each, then [`Hasher::finish`].
#[derive(Clone)]
pub struct Hasher(State);

/// Boxed, because a hasher moves between threads with every part and both are large.
#[derive(Clone)]
enum State {
    Blake3(Box<blake3::Hasher>),
    Xxh3(Box<Xxh3Default>),
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Blake3(_) => "Hasher(blake3)",
            State::Xxh3(_) => "Hasher(xxh3)",
        })
    }
}

impl Hasher {
    /// Takes the next part.
    pub fn update(&mut self, part: &[u8]) {
        match &mut self.0 {
            State::Blake3(hasher) => drop(hasher.update(part)),
            State::Xxh3(hasher) => hasher.update(part),
        }
    }

    /// The digest of all parts.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Blake3(hasher) => Digest(*hasher.finalize().as_bytes()),
            State::Xxh3(hasher) => {
                let mut bytes = [0; 32];
                // Most significant byte first, as `xxh128sum` shows it.
                bytes[..16].copy_from_slice(&hasher.digest128().to_be_bytes());
                Digest(bytes)
            }
        }
    }
}

/// The digest of a chunk, of a page, or of a list of digests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The hash of a manifest page, as the header lists it.
    pub(super) fn of_page(page: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(PAGE_CONTEXT);
        Self(*hasher.update(page).finalize().as_bytes())
    }

    /// The content root: the hash of all chunks' digests, laid end to end in chunk order.
    #[must_use]
    pub fn of_list(digests: impl Iterator<Item = Self>) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(ROOT_CONTEXT);
        for digest in digests {
            hasher.update(&digest.0);
        }
        Self(*hasher.finalize().as_bytes())
    }
}

/// The name of a content: a hash of its header, so a function of the walk, the chunk size and the kind of digest alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId(pub [u8; 32]);

impl ContentId {
    /// The id of the content with this header.
    pub(super) fn of_header(header: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTENT_CONTEXT);
        Self(*hasher.update(header).finalize().as_bytes())
    }
}

/// A text that is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits")]
pub struct ParseDigestError;

/// Reads 64 hexadecimal digits of either case.
fn parse_hex(text: &str) -> Result<[u8; 32], ParseDigestError> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| ParseDigestError)?;
    bytes.try_into().map_err(|_| ParseDigestError)
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        parse_hex(text).map(Self)
    }
}

impl FromStr for ContentId {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        parse_hex(text).map(Self)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_has_the_digest_that_b3sum_shows() {
        // The published BLAKE3 vectors: no bytes, and the bytes 0, 1, 2.
        for (data, hex) in [
            (&b""[..], "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
            (&[0, 1, 2], "e1be4d7a8ab5560aa4199eea339849ba8e293d55ca0a81006726d184519e647f"),
        ] {
            assert_eq!(DigestKind::Blake3.digest(data).to_string(), hex);
        }
    }

    #[test]
    fn xxh3_is_the_published_one_and_zeros_fill_the_rest() {
        // From xxHash 0.8, tests/sanity_test_vectors.h (XSUM_XXH128_testdata, seed 0), with the test buffer as it is made there. The
        // lengths are one for each way in which XXH3 treats lengths.
        let (mut generator, prime) = (2_654_435_761_u64, 11_400_714_785_074_694_797_u64);
        let buffer: Vec<u8> = std::iter::repeat_with(|| {
            let byte = generator.to_be_bytes()[0];
            generator = generator.wrapping_mul(prime);
            byte
        })
        .take(4160)
        .collect();
        let vectors: [(usize, u64, u64); 6] = [
            (0, 0x99aa_06d3_0147_98d8, 0x6001_c324_468d_497f),
            (1, 0xa6cd_5e93_9200_0f6a, 0xc44b_dff4_074e_ecdb),
            (16, 0xc68c_368e_cf8a_9c05, 0x5629_8025_8a99_8629),
            (129, 0x0381_5fc9_1f1b_30b6, 0x86c9_e3bc_8f0a_3b5c),
            (241, 0x99a8_0ecf_0ecf_c647, 0xc5a6_39ec_d203_0e5e),
            (4160, 0x6714_0711_c1e3_e335, 0x4f32_3b15_321e_94e1),
        ];
        for (len, high, low) in vectors {
            let digest = DigestKind::Xxh3.digest(&buffer[..len]);
            assert_eq!(digest.to_string(), format!("{high:016x}{low:016x}{}", "0".repeat(32)), "{len}");
        }
    }

    #[test]
    fn parts_have_the_digest_of_the_whole() {
        let data = [7; 5000];
        for kind in [DigestKind::Blake3, DigestKind::Xxh3] {
            let mut hasher = kind.hasher();
            data.chunks(999).for_each(|part| hasher.update(part));
            assert_eq!(hasher.finish(), kind.digest(&data), "{kind}");
        }
    }

    #[test]
    fn ids_are_read_as_they_are_shown_and_nothing_else_is() {
        let id = ContentId([0xab; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
        for text in ["", "ab", &"ab".repeat(33), &"zz".repeat(32), &"é".repeat(32)] {
            assert_eq!(text.parse::<ContentId>(), Err(ParseDigestError));
        }
    }

    #[test]
    fn equal_bytes_in_different_roles_have_different_hashes() {
        let bytes = [1; 32];
        let roles = [
            DigestKind::Blake3.digest(&bytes),
            Digest::of_page(&bytes),
            Digest::of_list([Digest(bytes)].into_iter()),
            Digest(ContentId::of_header(&bytes).0),
        ];
        assert!((0..4).all(|i| (0..i).all(|j| roles[i] != roles[j])));
    }

    #[test]
    fn kinds_of_other_versions_are_unknown() {
        for kind in [DigestKind::Blake3, DigestKind::Xxh3] {
            assert_eq!(DigestKind::from_code(kind.code()), Some(kind));
        }
        assert!([0, 3, 255].into_iter().all(|code| DigestKind::from_code(code).is_none()));
    }
}
