//! The encoding of message bodies, and the only place that knows which library makes it.
//!
//! Messages are not signed, so their bytes may come from a library (bincode: small, fast, no schema). The protocol's name (ALPN)
//! stands for it, so another one can follow under another name. What is signed has its own encoding in `manifest` and is a run of
//! opaque bytes here.
//!
//! Invariant: [`take`] reads all bytes or fails, reads no more than its limit, and allocates no more than what it reads; list
//! lengths are compared with their bound before anything is read.
//!
//! Not here: frames around bodies (`frame`).

use bincode::de::read::Reader;
use bincode::de::{BorrowDecode, BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
pub(super) use bincode::{Decode, Encode};

use super::bounded::{List, Text};
use super::haves::Haves;
use super::reason::Reason;
use super::request::Ranges;
use crate::manifest::{BATCH_LEN_MAX, ContentId, ContentRoot, ENDORSEMENT_LEN_MAX, Endorsement, ROOT_LEN, SignedBatch};

/// A body that is not what its kind says.
pub(super) struct Malformed;

/// Appends the encoding of `value`.
pub(super) fn put(value: &impl Encode, out: &mut Vec<u8>) {
    let config = bincode::config::standard();
    let body = bincode::encode_to_vec(value, config).expect("no message has a part that cannot be encoded");
    out.extend_from_slice(&body);
}

/// Reads a value from exactly these bytes, of which there may be at most `LIMIT`.
pub(super) fn take<T: Decode<()>, const LIMIT: usize>(bytes: &[u8]) -> Result<T, Malformed> {
    let (value, used) = front::<T, LIMIT>(bytes)?;
    if used == bytes.len() { Ok(value) } else { Err(Malformed) }
}

/// Reads a value from the first of these bytes; says how many.
pub(super) fn front<T: Decode<()>, const LIMIT: usize>(bytes: &[u8]) -> Result<(T, usize), Malformed> {
    let config = bincode::config::standard().with_limit::<LIMIT>();
    bincode::decode_from_slice(bytes, config).map_err(|_| Malformed)
}

/// The refusal of a value that is out of its bounds; nobody reads the text.
const fn out_of_bounds() -> DecodeError {
    DecodeError::Other("out of bounds")
}

fn take_len<D: Decoder>(decoder: &mut D, most: usize) -> Result<usize, DecodeError> {
    let len = u32::decode(decoder)? as usize;
    if len <= most { Ok(len) } else { Err(out_of_bounds()) }
}

fn put_len<E: Encoder>(encoder: &mut E, len: usize) -> Result<(), EncodeError> {
    u32::try_from(len).expect("every bound is below 2^32").encode(encoder)
}

/// Reads a length of at most `most` and the bytes that it counts.
fn take_bytes<D: Decoder>(decoder: &mut D, most: usize) -> Result<Vec<u8>, DecodeError> {
    let len = take_len(decoder, most)?;
    decoder.claim_bytes_read(len)?;
    let mut bytes = vec![0; len];
    decoder.reader().read(&mut bytes)?;
    Ok(bytes)
}

fn put_bytes<E: Encoder>(encoder: &mut E, bytes: &[u8]) -> Result<(), EncodeError> {
    use bincode::enc::write::Writer;
    put_len(encoder, bytes.len())?;
    encoder.writer().write(bytes)
}

impl<T: Encode, const MAX: usize> Encode for List<T, MAX> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        put_len(encoder, self.len())?;
        self.iter().try_for_each(|item| item.encode(encoder))
    }
}

impl<C, T: Decode<C>, const MAX: usize> Decode<C> for List<T, MAX> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let len = take_len(decoder, MAX)?;
        // Grows with the items that are really there, not with the length that a peer claims.
        let items = (0..len).map(|_| T::decode(decoder)).collect::<Result<Vec<T>, _>>()?;
        Self::try_from(items).map_err(|_| out_of_bounds())
    }
}

// The derived decoders ask for this too; nothing is ever borrowed.
impl<'de, C, T: Decode<C>, const MAX: usize> BorrowDecode<'de, C> for List<T, MAX> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

impl<const MAX: usize> Encode for Text<MAX> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        put_bytes(encoder, self.as_bytes())
    }
}

impl<C, const MAX: usize> Decode<C> for Text<MAX> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let text = String::from_utf8(take_bytes(decoder, MAX)?).map_err(|_| out_of_bounds())?;
        Self::new(text).ok_or_else(out_of_bounds)
    }
}

impl<'de, C, const MAX: usize> BorrowDecode<'de, C> for Text<MAX> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

/// Encodes a type as a run of bytes that another module reads and writes.
macro_rules! opaque {
    ($type:ty, $most:expr, $write:expr, $read:expr) => {
        impl Encode for $type {
            fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
                put_bytes(encoder, $write(self).as_ref())
            }
        }

        impl<C> Decode<C> for $type {
            fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
                let bytes = take_bytes(decoder, $most)?;
                $read(bytes.as_slice()).ok_or_else(out_of_bounds)
            }
        }

        bincode::impl_borrow_decode!($type);
    };
}

opaque!(SignedBatch, BATCH_LEN_MAX, SignedBatch::as_bytes, |bytes| SignedBatch::parse(bytes).ok());
opaque!(Endorsement, ENDORSEMENT_LEN_MAX, Endorsement::to_bytes, |bytes| Endorsement::parse(bytes).ok());
opaque!(ContentRoot, ROOT_LEN, ContentRoot::to_bytes, |bytes| ContentRoot::parse(bytes).ok());
opaque!(Haves, Haves::ENCODED_LEN_MAX, Haves::to_bytes, Haves::parse);

/// Encodes a type as another one; `None` of the way back is a refusal.
macro_rules! via {
    ($type:ty, $other:ty, $there:expr, $back:expr) => {
        impl Encode for $type {
            fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
                let other: $other = $there(self);
                other.encode(encoder)
            }
        }

        impl<C> Decode<C> for $type {
            fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
                $back(<$other>::decode(decoder)?).ok_or_else(out_of_bounds)
            }
        }

        bincode::impl_borrow_decode!($type);
    };
}

via!(ContentId, [u8; 32], |id: &ContentId| id.0, |bytes| Some(ContentId(bytes)));
via!(Reason, u8, |reason: &Reason| reason.code(), |code| Some(Reason::from_code(code)));
via!(Ranges, List<(u32, u32), { super::limits::RANGES_MAX }>, Ranges::to_pairs, Ranges::from_pairs);
