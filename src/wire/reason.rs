//! Why a peer ends something: numbers that travel in messages and in QUIC's own close, reset and stop frames.
//!
//! One list serves `Reject`, `Bye` and the closing of a connection, so that the same cause has the same number wherever it is seen.
//! Numbers are never reused, and an unknown one is kept as it is: a newer peer may have reasons that this one cannot name.
//!
//! Not here: what to do about a reason.

use std::fmt;

/// Why a peer refuses us, or leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It went away without saying why: QUIC's own number for a dropped endpoint.
    Gone,
    /// It speaks another version of the protocol.
    OtherVersion,
    /// It has and wants nothing that we have or want.
    OtherContent,
    /// Our certificate does not allow what we asked for.
    NotAuthorised,
    /// It is this very process, met under another address.
    SelfConnect,
    /// There is a connection between the two of us already.
    Duplicate,
    /// It has as many connections as it takes.
    TooMany,
    /// We sent something against the protocol.
    Protocol,
    /// We sent bad chunks again and again.
    BadChunks,
    /// It has what it came for.
    Complete,
    /// It was told to stop.
    Stopped,
    /// Nothing happened for too long.
    Idle,
    /// Something on its side failed.
    Failed,
    /// A publisher contradicts itself, so it believes nothing about this content any more.
    Integrity,
    /// A reason that this version does not know.
    Unknown(u8),
}

/// The numbers of the reasons.
const REASONS: [(u8, Reason, &str); 14] = [
    (0, Reason::Gone, "it went away"),
    (1, Reason::OtherVersion, "it speaks another version of the protocol"),
    (2, Reason::OtherContent, "it has another content"),
    (3, Reason::NotAuthorised, "our certificate does not allow this"),
    (4, Reason::SelfConnect, "it is this very process"),
    (5, Reason::Duplicate, "there is a connection already"),
    (6, Reason::TooMany, "it has too many connections"),
    (7, Reason::Protocol, "we broke the protocol"),
    (8, Reason::BadChunks, "we sent bad chunks"),
    (9, Reason::Complete, "it is complete"),
    (10, Reason::Stopped, "it was told to stop"),
    (11, Reason::Idle, "nothing happened for too long"),
    (12, Reason::Failed, "something failed on its side"),
    (13, Reason::Integrity, "a publisher contradicts itself"),
];

impl Reason {
    /// The number in messages, and as QUIC's application error code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Unknown(code) => code,
            known => REASONS.iter().find(|(_, reason, _)| *reason == known).map_or(0, |(code, ..)| *code),
        }
    }

    /// The reason with this number.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        REASONS.iter().find(|(known, ..)| *known == code).map_or(Self::Unknown(code), |(_, reason, _)| *reason)
    }
}

/// From the other side's point of view, to follow "the peer refused us: ".
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match REASONS.iter().find(|(_, reason, _)| reason == self) {
            Some((_, _, text)) => f.write_str(text),
            None => write!(f, "reason {}, which this version does not know", self.code()),
        }
    }
}

/// Why one stream was reset or stopped; the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StreamCode {
    /// The chunk is not needed any more.
    Cancelled = 1,
    /// The chunk sent in place of the one asked is on its way from elsewhere: it has not left.
    InFlight = 2,
    /// The sender cannot read its copy, or cannot go on for another reason of its own.
    Failed = 3,
    /// Bytes came too slowly.
    TooSlow = 4,
    /// The stream broke the protocol.
    Protocol = 5,
}

impl StreamCode {
    /// The number, as QUIC's application error code.
    #[must_use]
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The code with this number, `None` when this version does not know it.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        [Self::Cancelled, Self::InFlight, Self::Failed, Self::TooSlow, Self::Protocol]
            .into_iter()
            .find(|known| u64::from(known.code()) == code)
    }
}
