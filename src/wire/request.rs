//! Requests and their answers, each on a bidirectional stream of its own.
//!
//! Asking: one [`Open`] frame, then the asking side ends its half. Answering a chunk: [`Answer::Data`], the bytes that it
//! announces, a [`Trailer`]. Answering for header or page: [`Answer::Manifest`] and the bytes. Or [`Answer::Rejected`], and nothing.
//! Streams of their own mean that a lost packet of one chunk holds up no other, and that a request is cancelled by resetting it.
//!
//! Invariant: lengths are within the bounds of a chunk or page, ranges do not overlap, and an all-zero chunk brings no bytes. The
//! order of ranges is kept, because it is the order in which their bytes travel: two senders of one chunk meet in its middle when one
//! is asked from the front and the other from the end.
//!
//! Not here: whether the answer suits the request, which takes the layout and what was asked (`net`).

use std::ops::Range;

use super::bounded::List;
use super::codec::{self, Decode, Encode};
use super::control::ContentIndex;
use super::frame::{BodyError, Frame, Kind};
use super::limits::{RANGES_MAX, REQUEST_LEN_MAX, TRAILER_LEN_MAX};
use crate::chunk::CHUNK_SIZE_MAX;
use crate::manifest::{ContentId, PAGE_LEN_MAX, SignedBatch};

/// The parts of a chunk that are meant, in bytes from its start; none named means all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(List<(u32, u32), RANGES_MAX>);

impl Ranges {
    /// The whole chunk.
    pub const WHOLE: Self = Self(List::new());

    /// These parts, in the order in which they are to travel; `None` when there are more than [`RANGES_MAX`], one is empty or reaches
    /// beyond the largest chunk, or two overlap.
    #[must_use]
    pub fn new(parts: &[Range<u32>]) -> Option<Self> {
        let pairs: Vec<(u32, u32)> = parts.iter().map(|part| (part.start, part.end)).collect();
        Self::from_pairs(List::try_from(pairs).ok()?)
    }

    /// Whether the whole chunk is meant.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// The parts; none when the whole chunk is meant.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Range<u32>> + '_ {
        self.0.iter().map(|(start, end)| *start..*end)
    }

    /// Bytes of a chunk of `len` bytes that are meant; `None` when they reach beyond it.
    #[must_use]
    pub fn bytes_of(&self, len: u64) -> Option<u64> {
        if self.is_whole() {
            return Some(len);
        }
        let fits = self.iter().all(|part| u64::from(part.end) <= len);
        fits.then(|| self.iter().map(|part| u64::from(part.end - part.start)).sum())
    }

    pub(super) fn to_pairs(&self) -> List<(u32, u32), RANGES_MAX> {
        self.0.clone()
    }

    pub(super) fn from_pairs(pairs: List<(u32, u32), RANGES_MAX>) -> Option<Self> {
        let mut ascending = pairs.to_vec();
        ascending.sort_unstable();
        let mut free = 0;
        for (start, end) in ascending {
            if start < free || end <= start {
                return None;
            }
            free = end;
        }
        (u64::from(free) <= CHUNK_SIZE_MAX).then_some(Self(pairs))
    }
}

/// How an asker takes the bytes of a whole chunk. Parts of one, and zeros, travel the same way whatever this says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accepts {
    /// As they are.
    #[default]
    Raw,
    /// Packed where that saves something, or as they are.
    Packed,
    /// The same, unless packing takes longer than it saves.
    Quicker {
        /// How quickly the sender's bytes came to the asker of late, in KiB a second; zero when that is not known.
        delivery: u32,
    },
}

/// "Send me this chunk."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The content, by the asking side's number.
    pub content: ContentIndex,
    /// The chunk's index.
    pub chunk: u32,
    /// The parts of it, in the order in which they are wanted.
    pub ranges: Ranges,
    /// Whether another chunk will not do. Always set together with ranges.
    pub exact: bool,
    /// Whether it may be packed. Never with ranges.
    pub accepts: Accepts,
}

impl Request {
    fn put(&self, out: &mut Vec<u8>) {
        let (packing, delivery) = match self.accepts {
            Accepts::Raw => (0, None),
            Accepts::Packed => (PACKED, None),
            Accepts::Quicker { delivery } => (PACKED | QUICKER, Some(delivery)),
        };
        codec::put(&(self.content, self.chunk, &self.ranges, u8::from(self.exact) | packing), out);
        if let Some(delivery) = delivery {
            codec::put(&delivery, out);
        }
    }

    fn take(body: &[u8]) -> Result<Self, BodyError> {
        let ((content, chunk, ranges, how), used) =
            codec::front::<(ContentIndex, u32, Ranges, u8), REQUEST_LEN_MAX>(body)?;
        let rest = &body[used..];
        let accepts = match how & !EXACT {
            0 => Accepts::Raw,
            PACKED => Accepts::Packed,
            how if how == PACKED | QUICKER => Accepts::Quicker { delivery: codec::take::<_, REQUEST_LEN_MAX>(rest)? },
            _ => return Err(BodyError::Malformed),
        };
        let exact = how & EXACT != 0;
        let ends = rest.is_empty() || matches!(accepts, Accepts::Quicker { .. });
        let fits = ranges.is_whole() || exact && accepts == Accepts::Raw;
        (ends && fits).then_some(Self { content, chunk, ranges, exact, accepts }).ok_or(BodyError::Malformed)
    }
}

/// The frame that opens a request stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Open {
    /// Asks for a chunk.
    Chunk(Request),
    /// Asks for the header of a manifest.
    Header {
        /// The content.
        id: ContentId,
    },
    /// Asks for a page of a manifest.
    Page {
        /// The content.
        id: ContentId,
        /// The page's index.
        page: u32,
    },
}

/// How the bytes of a chunk travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Encoding {
    /// As they are.
    Raw,
    /// Not at all: every byte is zero.
    Zero,
    /// As one Zstandard frame (RFC 8878), of a whole chunk.
    Zstd,
}

/// Why one request is refused; the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Refusal {
    /// The chunk, page or content is not here.
    NotHeld,
    /// Too many requests wait already.
    Busy,
    /// It is here, but cannot be read or is not what it was.
    Failed,
}

/// The frame that begins an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A chunk, or parts of it, perhaps another than the one asked for. Bytes and a [`Trailer`] follow.
    Data {
        /// The chunk's index.
        chunk: u32,
        /// The parts of it, as they were asked for.
        ranges: Ranges,
        /// How its bytes travel.
        encoding: Encoding,
        /// Bytes that follow on the stream; zero exactly when the encoding is [`Encoding::Zero`].
        length: u32,
    },
    /// A header or a page. Its bytes follow, and nothing else.
    Manifest {
        /// Bytes that follow on the stream.
        length: u32,
    },
    /// Nothing follows.
    Rejected {
        /// Why.
        reason: Refusal,
    },
}

/// The frame that ends a chunk.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Trailer {
    /// A batch that lists the chunk, when the sender has not shown one yet.
    pub proof: Option<SignedBatch>,
    /// Requests that wait in the sender's queue.
    pub waiting: u32,
}

const CHUNK: u8 = 64;
const HEADER: u8 = 65;
const PAGE: u8 = 66;
const DATA: u8 = 80;
const MANIFEST: u8 = 81;
const REJECTED: u8 = 82;
const TRAILER: u8 = 96;

/// Bits of the byte that says how a chunk is wanted.
const EXACT: u8 = 1;
const PACKED: u8 = 2;
const QUICKER: u8 = 4;

impl Frame for Open {
    const KINDS: &'static [Kind] = &[
        Kind(CHUNK, "Chunk", REQUEST_LEN_MAX),
        Kind(HEADER, "Header", REQUEST_LEN_MAX),
        Kind(PAGE, "Page", REQUEST_LEN_MAX),
    ];

    fn kind(&self) -> u8 {
        match self {
            Self::Chunk(_) => CHUNK,
            Self::Header { .. } => HEADER,
            Self::Page { .. } => PAGE,
        }
    }

    fn put_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Chunk(request) => request.put(out),
            Self::Header { id } => codec::put(id, out),
            Self::Page { id, page } => codec::put(&(id, page), out),
        }
    }

    fn take_body(kind: u8, body: &[u8]) -> Result<Self, BodyError> {
        match kind {
            CHUNK => Request::take(body).map(Self::Chunk),
            HEADER => Ok(Self::Header { id: codec::take::<_, REQUEST_LEN_MAX>(body)? }),
            PAGE => {
                let (id, page) = codec::take::<_, REQUEST_LEN_MAX>(body)?;
                Ok(Self::Page { id, page })
            }
            _ => Err(BodyError::Malformed),
        }
    }
}

impl Frame for Answer {
    const KINDS: &'static [Kind] = &[
        Kind(DATA, "Data", REQUEST_LEN_MAX),
        Kind(MANIFEST, "Manifest", REQUEST_LEN_MAX),
        Kind(REJECTED, "Rejected", REQUEST_LEN_MAX),
    ];

    fn kind(&self) -> u8 {
        match self {
            Self::Data { .. } => DATA,
            Self::Manifest { .. } => MANIFEST,
            Self::Rejected { .. } => REJECTED,
        }
    }

    fn put_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Data { chunk, ranges, encoding, length } => codec::put(&(chunk, ranges, encoding, length), out),
            Self::Manifest { length } => codec::put(length, out),
            Self::Rejected { reason } => codec::put(reason, out),
        }
    }

    fn take_body(kind: u8, body: &[u8]) -> Result<Self, BodyError> {
        match kind {
            DATA => {
                let (chunk, ranges, encoding, length) = codec::take::<_, REQUEST_LEN_MAX>(body)?;
                let fits = u64::from(length) <= CHUNK_SIZE_MAX && (length == 0) == (encoding == Encoding::Zero);
                fits.then_some(Self::Data { chunk, ranges, encoding, length }).ok_or(BodyError::Malformed)
            }
            MANIFEST => {
                let length: u32 = codec::take::<_, REQUEST_LEN_MAX>(body)?;
                let fits = length as usize <= PAGE_LEN_MAX;
                fits.then_some(Self::Manifest { length }).ok_or(BodyError::Malformed)
            }
            REJECTED => Ok(Self::Rejected { reason: codec::take::<_, REQUEST_LEN_MAX>(body)? }),
            _ => Err(BodyError::Malformed),
        }
    }
}

impl Frame for Trailer {
    const KINDS: &'static [Kind] = &[Kind(TRAILER, "Trailer", TRAILER_LEN_MAX)];

    fn kind(&self) -> u8 {
        TRAILER
    }

    fn put_body(&self, out: &mut Vec<u8>) {
        codec::put(self, out);
    }

    fn take_body(_: u8, body: &[u8]) -> Result<Self, BodyError> {
        Ok(codec::take::<_, TRAILER_LEN_MAX>(body)?)
    }
}
