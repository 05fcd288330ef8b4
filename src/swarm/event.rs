//! The whole vocabulary of the swarm: what it is told and what it asks for.
//!
//! Inputs are things that happened (past tense), outputs are things to do (imperative). Whoever owns a [`Swarm`](super::Swarm)
//! (the node, the simulator) turns outputs into effects and their results into inputs; nothing else passes between them.
//!
//! A chunk's way through a leecher: `Fetch` → `Arriving` → `Fetched` → `Verified` → `Announce`. Through whoever serves it:
//! `Requested` → `Send` → (`Written`) → `Sent`.
//!
//! Invariant: every `Fetch` ends in exactly one of `Fetched` or `Refused` (or with its source in `Left`), every `Fetched` in
//! exactly one of `Verified`, `Corrupt` or `Mixed`, and every `Requested` in exactly one `Send` + `Sent`, one `Reject`, or `Withdrawn`.
//!
//! Not here: addresses, certificates, digests, bytes. The swarm decides who gives what to whom, and when.

use serde::{Deserialize, Serialize};

use crate::bitfield::Bitfield;
use crate::chunk::ChunkId;

/// Something that can deliver chunks: a neighbour, or a local path. Chosen by the owner, never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceId(pub u32);

/// A neighbour's request for a chunk, as long as it is not answered. Chosen by the owner, never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// An operator's label for a place with cheap links inside; equal numbers are equal labels. Zero is "none given".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Zone(pub u32);

/// What is known of a source when it joins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// It publishes: it may answer with another chunk than the one asked, while its first pass lasts.
    pub publisher: bool,
    /// It is a path on this machine: it takes nothing, is not announced to, and has everything.
    pub local: bool,
    /// Where it stands among the publishers of this content, each of which sends its own share of the chunks first, and its id among
    /// the members of its zone: any number that nobody else has will do, as long as everybody is told the same.
    pub order: u64,
    /// Where it is.
    pub zone: Zone,
}

/// What somebody says of a member of its zone, or a member of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The member, by the `order` of its [`Profile`].
    pub id: u64,
    /// How often the member has come to reach outside: of two statements the later one counts.
    pub stamp: u32,
    /// Whether it can fetch from outside the zone: it is there, and has a neighbour in another zone.
    pub reaches: bool,
}

/// Why an upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every byte left, and the other side took them.
    Delivered,
    /// The other side stopped it, or the stream broke: the chunk has not left.
    Aborted,
}

/// Which bytes of a chunk to ask a source for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// What has not come yet, from the front.
    Rest,
    /// What has not come yet, from the end: another source is bringing it from the front.
    RestFromEnd,
    /// All of it from this source, and nothing that others brought: several together have brought something wrong.
    Alone,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A source of this content is connected; it holds nothing until it says so.
    Joined {
        /// The source.
        source: SourceId,
        /// What is known of it.
        profile: Profile,
    },
    /// A source is gone. Its requests and our requests to it are void; the owner sends nothing more about them.
    Left {
        /// The source.
        source: SourceId,
    },
    /// A source said what it holds, whole; replaces what was known.
    Holds {
        /// The source.
        source: SourceId,
        /// The set.
        chunks: Bitfield,
    },
    /// A source said what it holds in addition.
    Haves {
        /// The source.
        source: SourceId,
        /// The additional chunks.
        chunks: Vec<ChunkId>,
    },
    /// A neighbour of our zone said who can fetch from outside.
    Members {
        /// The neighbour.
        source: SourceId,
        /// What it said of each.
        members: Vec<Member>,
    },
    /// A neighbour asks for a chunk.
    Requested {
        /// The neighbour.
        source: SourceId,
        /// The owner's name for this request.
        request: RequestId,
        /// The chunk it asks for.
        chunk: ChunkId,
        /// It wants this chunk and no other.
        exact: bool,
    },
    /// A neighbour does not want its answer any more, and nothing of it was sent yet.
    Withdrawn {
        /// The request.
        request: RequestId,
    },
    /// The last byte of an upload was handed to the transport: its turn is free for the next one, though `Sent` is still to
    /// come. Optional, and what fills a long path: without it a turn lasts until the other side has acknowledged everything.
    Written {
        /// The request that it answers.
        request: RequestId,
    },
    /// An upload ended, so its turn is free.
    Sent {
        /// The request that it answered.
        request: RequestId,
        /// How.
        outcome: Outcome,
    },
    /// A source began to answer our request for `asked` with `chunk` (the same one, or another: a redirect).
    Arriving {
        /// The source.
        source: SourceId,
        /// What we asked for.
        asked: ChunkId,
        /// What comes.
        chunk: ChunkId,
    },
    /// All bytes of `chunk` came in answer to our request for `asked`; they are not verified yet.
    Fetched {
        /// The source.
        source: SourceId,
        /// What we asked for.
        asked: ChunkId,
        /// What came.
        chunk: ChunkId,
        /// Requests that were unfinished at the source when it answered: zero means that it could have done with more from us.
        waiting: u32,
    },
    /// Our request for `asked` ended without a chunk: rejected, cancelled by us, or its stream broke.
    Refused {
        /// The source.
        source: SourceId,
        /// What we asked for.
        asked: ChunkId,
    },
    /// `chunk` from `source` matches its signed digest and is written: it counts.
    Verified {
        /// The source.
        source: SourceId,
        /// The chunk.
        chunk: ChunkId,
    },
    /// `chunk` from `source` (its only sender) does not match its signed digest; it was thrown away.
    Corrupt {
        /// The source.
        source: SourceId,
        /// The chunk.
        chunk: ChunkId,
    },
    /// `chunk`, to which several sources contributed, does not match its signed digest; it was thrown away, and nobody can be
    /// blamed.
    Mixed {
        /// The chunk.
        chunk: ChunkId,
    },
    /// A chunk that we counted is lost (its file changed on disk): it counts no more.
    Lost {
        /// The chunk.
        chunk: ChunkId,
    },
    /// These may be here already and are being looked at: they count as taken, so that nobody is asked for them, also not in the
    /// end game, and no other chunk is exchanged for them. Adds to what was withheld before.
    Withheld {
        /// The chunks.
        chunks: Bitfield,
    },
    /// `chunk`, which was withheld, is not here after all, or nobody can tell in time: it is fetched like any other.
    Released {
        /// The chunk.
        chunk: ChunkId,
    },
    /// Time passed; `deadline()` is due.
    Tick,
}

impl Input {
    /// The source that gave a sign of life.
    pub(super) const fn speaker(&self) -> Option<SourceId> {
        match self {
            Self::Holds { source, .. }
            | Self::Haves { source, .. }
            | Self::Members { source, .. }
            | Self::Requested { source, .. }
            | Self::Arriving { source, .. }
            | Self::Fetched { source, .. } => Some(*source),
            _ => None,
        }
    }
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask `source` for `chunk`.
    Fetch {
        /// The source.
        source: SourceId,
        /// The chunk.
        chunk: ChunkId,
        /// Which bytes of it.
        part: Part,
        /// Whether another chunk will not do.
        exact: bool,
    },
    /// Give up the request for `asked`. It still ends in `Refused`, or in `Fetched` when its last byte was here already.
    Cancel {
        /// The source.
        source: SourceId,
        /// What we asked for.
        asked: ChunkId,
    },
    /// Answer `request` with `chunk`; `waiting` goes into the trailer.
    Send {
        /// The request.
        request: RequestId,
        /// The chunk, perhaps another than the one asked.
        chunk: ChunkId,
        /// Requests that are unfinished here beside it.
        waiting: u32,
    },
    /// Answer `request` with a refusal: we do not hold the chunk, or the queue is full.
    Reject {
        /// The request.
        request: RequestId,
    },
    /// Tell every neighbour that we hold these as well.
    Announce {
        /// The chunks, ascending.
        chunks: Vec<ChunkId>,
    },
    /// Tell `source`, which is in our zone, who can fetch from outside.
    Members {
        /// The source.
        source: SourceId,
        /// What to say of each.
        members: Vec<Member>,
    },
    /// Tell `source` that a chunk which only it sent was bad.
    Blame {
        /// The source.
        source: SourceId,
        /// The chunk.
        chunk: ChunkId,
    },
    /// Drop `source` for the rest of the run.
    Ban {
        /// The source.
        source: SourceId,
    },
    /// Every chunk is here and verified.
    Complete,
}
