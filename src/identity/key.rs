//! The swarm key: the one secret that makes a machine a member.
//!
//! 32 random bytes, shown as `strew1-` and 56 characters of base32. Base32 in lower case survives being read aloud,
//! typed and pasted into YAML, and has no 0, 1, 8 or 9 to be confused with letters. Three bytes of checksum follow the
//! key inside the same text, because a typo would otherwise be a valid key of an empty swarm, and the user would wait
//! for peers that never come.
//!
//! Invariant: the bytes are wiped when the last owner lets go of them, and neither `Debug` nor any error shows them.
//! Only [`SwarmKey::reveal_text`] does, so that every place that shows the secret can be found by its name.
//!
//! Not here: where a key comes from ([`super::KeyRing`]) and what is derived from it (`authority`).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::rand;
use data_encoding::BASE32_NOPAD_NOCASE;
use zeroize::{Zeroize, Zeroizing};

use super::IdentityError;

/// The secret shared by all members of a swarm.
#[derive(Clone, PartialEq, Eq)]
pub struct SwarmKey([u8; KEY_LEN]);

/// Why a text is not a swarm key. No variant carries the text: it may be the secret with one typo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseKeyError {
    /// It does not begin as a key does.
    #[error("a swarm key begins with `{PREFIX}`; make one with `strew key new`")]
    Prefix,
    /// It is too short or too long.
    #[error("a swarm key has {TEXT_LEN} characters after `{PREFIX}`, this one has {found}; was it cut off in copying?")]
    Length {
        /// Characters after the prefix.
        found: usize,
    },
    /// A character outside the alphabet.
    #[error("character {position} after `{PREFIX}` is not one of a-z and 2-7; compare with the original")]
    Character {
        /// Its place after the prefix, counted from 1.
        position: usize,
    },
    /// All characters are possible, but they do not belong together.
    #[error("the checksum of this swarm key is wrong: at least one character is mistyped; compare with the original")]
    Checksum,
}

impl SwarmKey {
    /// A new key from the system's random numbers.
    ///
    /// # Errors
    /// [`IdentityError::Random`] when the system has none.
    pub fn generate() -> Result<Self, IdentityError> {
        let mut key = Self([0; KEY_LEN]);
        rand::fill(&mut key.0).map_err(|_| IdentityError::Random)?;
        Ok(key)
    }

    /// The key as text, to be given to another machine. Whoever sees it can join the swarm.
    #[must_use]
    pub fn reveal_text(&self) -> Zeroizing<String> {
        let mut raw = Zeroizing::new([0; KEY_LEN + CHECKSUM_LEN]);
        raw[..KEY_LEN].copy_from_slice(&self.0);
        raw[KEY_LEN..].copy_from_slice(&checksum(&self.0));
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + TEXT_LEN));
        text.push_str(PREFIX);
        BASE32_NOPAD_NOCASE.encode_append(&raw[..], &mut text);
        text.make_ascii_lowercase();
        text
    }

    /// The secret bytes, for deriving from them.
    pub(super) fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The key made of exactly these bytes.
    #[cfg(test)]
    pub(crate) fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }
}

impl FromStr for SwarmKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let text = text.trim();
        let body = match text.split_at_checked(PREFIX.len()) {
            Some((head, body)) if head.eq_ignore_ascii_case(PREFIX) => body,
            _ => return Err(ParseKeyError::Prefix),
        };
        let alphabet = |c: char| c.is_ascii_alphabetic() || ('2'..='7').contains(&c);
        if let Some(index) = body.chars().position(|c| !alphabet(c)) {
            return Err(ParseKeyError::Character { position: index + 1 });
        }
        if body.len() != TEXT_LEN {
            return Err(ParseKeyError::Length { found: body.len() });
        }
        let mut raw = Zeroizing::new([0; KEY_LEN + CHECKSUM_LEN]);
        BASE32_NOPAD_NOCASE.decode_mut(body.as_bytes(), &mut raw[..]).map_err(|_| ParseKeyError::Checksum)?;
        let mut key = Self([0; KEY_LEN]);
        key.0.copy_from_slice(&raw[..KEY_LEN]);
        if raw[KEY_LEN..] != checksum(&key.0) {
            return Err(ParseKeyError::Checksum);
        }
        Ok(key)
    }
}

impl fmt::Debug for SwarmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SwarmKey(secret)")
    }
}

impl Drop for SwarmKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

fn checksum(key: &[u8; KEY_LEN]) -> [u8; CHECKSUM_LEN] {
    let hash = Zeroizing::new(blake3::derive_key("strew 2026 swarm key checksum v1", key));
    let mut sum = [0; CHECKSUM_LEN];
    sum.copy_from_slice(&hash[..CHECKSUM_LEN]);
    sum
}

/// 256 bits: as strong as the Ed25519 seed that is derived from them needs.
const KEY_LEN: usize = 32;
/// A typo passes with probability 2^-24, and 35 bytes are exactly 56 characters of base32, so nothing is left over.
const CHECKSUM_LEN: usize = 3;
/// Characters after the prefix: 8 for each 5 bytes.
const TEXT_LEN: usize = (KEY_LEN + CHECKSUM_LEN) * 8 / 5;
/// Says what the text is, in which version, and lets secret scanners find a leaked one.
const PREFIX: &str = "strew1-";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text_of_a_key_never_changes() {
        // Deployed key files hold this form: another encoding would lock their machines out.
        let text = SwarmKey::from_bytes(std::array::from_fn(|i| u8::try_from(i).unwrap())).reveal_text();
        assert_eq!(*text, "strew1-aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dyp4w6gk");
    }

    #[test]
    fn text_is_read_in_either_case_and_with_space_around_it() {
        let key = SwarmKey::generate().unwrap();
        let text = key.reveal_text();
        assert_eq!(format!(" {}\n", text.to_uppercase()).parse(), Ok(key));
    }

    #[test]
    fn each_mistake_is_told_by_its_own_error() {
        let text = SwarmKey::generate().unwrap().reveal_text();
        let read = |text: &str| text.parse::<SwarmKey>().unwrap_err();
        assert_eq!(read("hunter2"), ParseKeyError::Prefix);
        assert_eq!(read("strew1é"), ParseKeyError::Prefix);
        assert_eq!(read(&text[..text.len() - 1]), ParseKeyError::Length { found: 55 });
        assert_eq!(read(&format!("{}a", *text)), ParseKeyError::Length { found: 57 });
        let third_is_zero = format!("{}0{}", &text[..PREFIX.len() + 2], &text[PREFIX.len() + 3..]);
        assert_eq!(read(&third_is_zero), ParseKeyError::Character { position: 3 });
    }

    #[test]
    fn debug_shows_nothing_of_the_secret() {
        assert_eq!(format!("{:?}", SwarmKey::from_bytes([7; KEY_LEN])), "SwarmKey(secret)");
    }

    proptest! {
        #[test]
        fn every_key_survives_its_text(bytes: [u8; KEY_LEN]) {
            let key = SwarmKey::from_bytes(bytes);
            prop_assert_eq!(key.reveal_text().parse(), Ok(key));
        }

        #[test]
        fn one_wrong_character_is_told(bytes: [u8; KEY_LEN], place in 0..TEXT_LEN, shift in 1usize..32) {
            let mut text = SwarmKey::from_bytes(bytes).reveal_text().as_bytes().to_vec();
            let alphabet = b"abcdefghijklmnopqrstuvwxyz234567";
            let at = PREFIX.len() + place;
            let old = alphabet.iter().position(|c| *c == text[at]).unwrap();
            text[at] = alphabet[(old + shift) % alphabet.len()];
            prop_assert_eq!(String::from_utf8(text).unwrap().parse::<SwarmKey>(), Err(ParseKeyError::Checksum));
        }
    }
}
