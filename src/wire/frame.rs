//! Frames: where one message ends and the next begins.
//!
//! A frame's length is a claim of the peer. It is compared with the most of all frames as soon as it is here, and with the most of
//! its kind as soon as the kind is, one byte later; a buffer then grows with the bytes that come, never with the claim.
//!
//! Invariant: after an error a [`FrameReader`] yields nothing but that error, since nobody knows where the next frame begins.
//!
//! Not here: bodies (`codec`, `control`, `request`), and how long a frame may take to arrive (`net`).

use std::marker::PhantomData;

use super::codec::Malformed;
use super::control::VERSION;
use super::limits::{CONTROL_LEN_MAX, FRAME_LEN_MAX};

/// Bytes of length and kind.
const HEAD_LEN: usize = 5;

/// Bytes that are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The length is zero, above the most of its kind, or not that of the bytes at hand.
    #[error("frame of {0} bytes is too long, empty, or cut short")]
    Length(u32),
    /// No frame of this stream has this kind.
    #[error("frame of unknown kind {0}")]
    Kind(u8),
    /// The body is not what its kind says, or something follows it.
    #[error("{0} frame is malformed")]
    Malformed(&'static str),
    /// A `Hello` of another version: tell the peer with `Reject`, which every version reads.
    #[error("peer speaks protocol version {0}, we speak {VERSION}; use the same strew version everywhere")]
    OtherVersion(u16),
}

/// A kind of frame: its number, its name for people, and the most bytes of its body.
#[derive(Clone, Copy, Debug)]
pub struct Kind(pub(super) u8, pub(super) &'static str, pub(super) usize);

/// Something that travels as a frame. Each part of a stream has its own type, so no frame is taken where it does not belong.
///
/// The methods are for [`encode`], [`decode`] and [`FrameReader`]; nobody else calls them.
pub trait Frame: Sized {
    /// Every kind that this type travels as.
    const KINDS: &'static [Kind];

    /// The number of this frame's kind.
    fn kind(&self) -> u8;

    /// Appends the body.
    fn put_body(&self, out: &mut Vec<u8>);

    /// Reads a body of a known kind, of at most the length that its kind allows.
    ///
    /// # Errors
    /// When the body is not what its kind says, or is a `Hello` of another version.
    fn take_body(kind: u8, body: &[u8]) -> Result<Self, BodyError>;
}

/// A body that is not what its kind says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Anything but the next.
    Malformed,
    /// A `Hello` of another version.
    OtherVersion(u16),
}

impl From<Malformed> for BodyError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Length and kind of a frame whose body is yet to come, within the bounds of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    kind: u8,
    body: usize,
}

impl Head {
    /// Bytes of a head.
    pub const LEN: usize = HEAD_LEN;

    /// Reads the head of a frame of type `F`.
    ///
    /// # Errors
    /// [`WireError`] when there is no such kind or the length is out of its bounds.
    pub fn parse<F: Frame>(bytes: [u8; HEAD_LEN]) -> Result<Self, WireError> {
        let [a, b, c, d, kind] = bytes;
        let length = u32::from_le_bytes([a, b, c, d]);
        let body = check_length(length)?;
        match F::KINDS.iter().find(|known| known.0 == kind) {
            Some(Kind(_, _, most)) if body <= *most => Ok(Self { kind, body }),
            Some(_) => Err(WireError::Length(length)),
            None => Err(WireError::Kind(kind)),
        }
    }

    /// Bytes of the body, which follow the head.
    #[must_use]
    pub const fn body_len(&self) -> usize {
        self.body
    }

    /// Reads the body.
    ///
    /// # Errors
    /// [`WireError`] when the body has another length or is not what its kind says.
    pub fn decode<F: Frame>(&self, body: &[u8]) -> Result<F, WireError> {
        if body.len() != self.body {
            return Err(WireError::Length(u32::try_from(self.body + 1).unwrap_or(u32::MAX)));
        }
        F::take_body(self.kind, body).map_err(|error| match error {
            BodyError::OtherVersion(version) => WireError::OtherVersion(version),
            BodyError::Malformed => {
                let name = F::KINDS.iter().find(|known| known.0 == self.kind).map_or("unknown", |known| known.1);
                WireError::Malformed(name)
            }
        })
    }
}

/// Bytes of the body of a frame of this length, which counts the kind.
fn check_length(length: u32) -> Result<usize, WireError> {
    match (length as usize).checked_sub(1) {
        Some(body) if body <= FRAME_LEN_MAX => Ok(body),
        _ => Err(WireError::Length(length)),
    }
}

/// The frame as bytes, head and body.
#[must_use]
pub fn encode<F: Frame>(frame: &F) -> Vec<u8> {
    let mut out = vec![0, 0, 0, 0, frame.kind()];
    frame.put_body(&mut out);
    let length = u32::try_from(out.len() - 4).unwrap_or(u32::MAX);
    out[..4].copy_from_slice(&length.to_le_bytes());
    debug_assert!(
        F::KINDS.iter().any(|known| known.0 == frame.kind() && out.len() - HEAD_LEN <= known.2),
        "types bound every part, so that no frame is longer than its kind allows"
    );
    out
}

/// Reads one frame from exactly these bytes.
///
/// # Errors
/// [`WireError`], also when the frame is cut short or something follows it.
pub fn decode<F: Frame>(bytes: &[u8]) -> Result<F, WireError> {
    let short = WireError::Length(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    let (head, body) = bytes.split_first_chunk().ok_or(short)?;
    Head::parse::<F>(*head)?.decode(body)
}

/// Takes a stream's bytes as they come and yields its frames: [`FrameReader::feed`], then [`FrameReader::poll`] until `None`.
#[derive(Debug)]
pub struct FrameReader<F> {
    buffer: Vec<u8>,
    /// Where the next frame begins in `buffer`.
    start: usize,
    broken: Option<WireError>,
    frames: PhantomData<fn() -> F>,
}

impl<F: Frame> FrameReader<F> {
    /// A reader at the start of a stream.
    #[must_use]
    pub const fn new() -> Self {
        Self { buffer: Vec::new(), start: 0, broken: None, frames: PhantomData }
    }

    /// Takes the next bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.broken.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next frame, or `None` until more bytes come.
    ///
    /// # Errors
    /// [`WireError`]; the stream cannot be read any further.
    pub fn poll(&mut self) -> Result<Option<F>, WireError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let next = self.next_frame();
        if let Err(error) = &next {
            self.broken = Some(*error);
            self.buffer = Vec::new();
            self.start = 0;
        }
        next
    }

    /// Whether no part of a frame is waiting for the rest: a stream may end here.
    #[must_use]
    pub const fn is_between_frames(&self) -> bool {
        self.broken.is_none() && self.start == self.buffer.len()
    }

    /// Ends reading and hands back the bytes after the last frame, where a stream goes on with something else.
    #[must_use]
    pub fn into_rest(mut self) -> Vec<u8> {
        self.buffer.split_off(self.start)
    }

    /// Bytes of memory that the reader holds.
    #[cfg(test)]
    pub(super) fn buffer_capacity(&self) -> usize {
        self.buffer.capacity()
    }

    fn next_frame(&mut self) -> Result<Option<F>, WireError> {
        let rest = &self.buffer[self.start..];
        let Some((head, body)) = rest.split_first_chunk::<HEAD_LEN>() else {
            if let Some(length) = rest.first_chunk() {
                check_length(u32::from_le_bytes(*length))?;
            }
            self.compact();
            return Ok(None);
        };
        let head = Head::parse::<F>(*head)?;
        let Some(body) = body.get(..head.body) else {
            self.compact();
            return Ok(None);
        };
        let frame = head.decode(body)?;
        self.start += HEAD_LEN + head.body;
        Ok(Some(frame))
    }

    /// Forgets the frames that were read. Only done when no whole frame is left, so each byte moves once at most.
    fn compact(&mut self) {
        self.buffer.drain(..self.start);
        self.start = 0;
        // A neighbour that sent one large frame must not cost its size for ever.
        if self.buffer.is_empty() && self.buffer.capacity() > CONTROL_LEN_MAX {
            self.buffer = Vec::new();
        }
    }
}

impl<F: Frame> Default for FrameReader<F> {
    fn default() -> Self {
        Self::new()
    }
}
