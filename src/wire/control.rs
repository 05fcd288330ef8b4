//! The messages of the control stream.
//!
//! It has priority over all data, so what stands here is short and urgent; bulk has streams of its own.
//!
//! Two things stay as they are in every version, so that peers can at least tell each other why they part: a `Hello` begins with
//! its version, and a `Reject` has the form that it has here.
//!
//! Not here: requests and their answers (`request`).

use std::fmt;
use std::net::SocketAddr;

use data_encoding::HEXLOWER;

use super::bounded::{List, Text};
use super::codec::{self, Decode, Encode};
use super::frame::{BodyError, Frame, Kind};
use super::haves::Haves;
use super::limits::{
    AGENT_LEN_MAX, BATCHES_MAX, BITFIELD_FRAME_LEN_MAX, BITFIELD_LEN_MAX, CONTROL_LEN_MAX, ENDORSEMENTS_MAX,
    FRAME_LEN_MAX, MEMBERS_MAX, OFFERS_MAX, PEERS_MAX, TEXT_LEN_MAX, ZONE_LEN_MAX,
};
use super::reason::Reason;
use crate::bitfield::{Bitfield, BitfieldError};
use crate::chunk::Layout;
use crate::manifest::{ContentId, ContentRoot, Endorsement, SignedBatch};

/// The version of the messages. Whoever changes one in a way that an older peer misreads raises it.
pub const VERSION: u16 = 1;

/// A peer: 16 random bytes for each run. A certificate may serve a whole fleet, so it names nobody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct PeerId(pub [u8; 16]);

impl PeerId {
    /// Its first half as a number, in which peers can be put into an order that all agree on.
    #[must_use]
    pub const fn order(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self})")
    }
}

/// The number that the sender of a message gave to a content, on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct ContentIndex(pub u16);

/// A content that the sender has, or is getting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Offer {
    /// The sender's number for it, in this and all later messages.
    pub index: ContentIndex,
    /// The content.
    pub id: ContentId,
    /// Whether the sender has all of it.
    pub complete: bool,
}

/// What the sender wants to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Wants {
    /// Nothing: it publishes, or is complete.
    Nothing,
    /// Whatever the swarm's publisher endorses.
    Any,
    /// This content and no other.
    Id(ContentId),
}

/// The first frame of a control stream, in both directions.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// [`VERSION`]; a `Hello` with another one does not decode.
    pub version: u16,
    /// Who the sender is in this run.
    pub peer: PeerId,
    /// The UDP port where the sender accepts connections.
    pub listen_port: u16,
    /// The sender's zone label; empty when it has none.
    pub zone: Text<ZONE_LEN_MAX>,
    /// Whether the sender publishes.
    pub publisher: bool,
    /// Name and version of the sender's program, for logs alone.
    pub agent: Text<AGENT_LEN_MAX>,
    /// The contents that the sender has or is getting.
    pub contents: List<Offer, OFFERS_MAX>,
    /// What the sender wants.
    pub wants: Wants,
}

/// What a peer holds of a content, in the shortest form.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Form {
    /// Every chunk.
    All,
    /// No chunk.
    None,
    /// A bit for each chunk, as in [`Bitfield::to_bytes`].
    Bits(List<u8, BITFIELD_LEN_MAX>),
}

impl Form {
    /// The shortest form of a bitfield.
    #[must_use]
    pub fn of(held: &Bitfield) -> Self {
        if held.is_full() {
            return Self::All;
        }
        if held.is_empty() {
            return Self::None;
        }
        Self::Bits(held.to_bytes().try_into().expect("a layout has at most 2^20 chunks"))
    }

    /// The bitfield that is meant, once the layout is known.
    ///
    /// # Errors
    /// [`BitfieldError`] when it does not fit the layout: the sender broke the protocol.
    pub fn resolve(&self, layout: Layout) -> Result<Bitfield, BitfieldError> {
        match self {
            Self::All => Ok(Bitfield::all(layout)),
            Self::None => Ok(Bitfield::none(layout)),
            Self::Bits(bytes) => Bitfield::from_bytes(layout, bytes),
        }
    }
}

/// Where a peer listens.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PeerAddr {
    /// Its address, as the sender sees it.
    pub addr: SocketAddr,
    /// Who it is, when the sender is connected to it.
    pub peer: Option<PeerId>,
    /// Its zone label; empty when it has none.
    pub zone: Text<ZONE_LEN_MAX>,
}

/// News about who else is there: whole on connect, then changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Peers {
    /// Peers that came.
    pub joined: List<PeerAddr, PEERS_MAX>,
    /// Addresses of peers that left.
    pub left: List<SocketAddr, PEERS_MAX>,
}

/// What somebody says of a member of its own zone, or of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Reach {
    /// The member: [`PeerId::order`].
    pub member: u64,
    /// How often it has come to reach other zones; of two statements the one with the higher number counts.
    pub stamp: u32,
    /// Whether it is there and has a neighbour in another zone; of equal numbers, "no" counts.
    pub reaches: bool,
}

/// "I do not deal with you", or with one content of yours.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Reject {
    /// The content that is meant, or `None` when the connection ends.
    pub content: Option<ContentId>,
    /// Why.
    pub reason: Reason,
    /// A sentence for the other side's user.
    pub text: Text<TEXT_LEN_MAX>,
}

/// A frame of the control stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Who the sender is; always the first frame.
    Hello(Hello),
    /// The other side's `Hello` is accepted; only now does the sender count as its neighbour.
    Welcome,
    /// Contents that the sender has in addition, or has become complete with.
    Offers(List<Offer, OFFERS_MAX>),
    /// What the sender holds, whole; replaces what was said before.
    Bitfield {
        /// The content.
        content: ContentIndex,
        /// The set.
        form: Form,
    },
    /// What the sender holds in addition. The digests behind it were sent before.
    Have {
        /// The content.
        content: ContentIndex,
        /// The chunks.
        chunks: Haves,
    },
    /// Signed digests, as their publisher made them.
    Digests {
        /// The content.
        content: ContentIndex,
        /// The batches.
        batches: List<SignedBatch, BATCHES_MAX>,
    },
    /// Who vouches for the content.
    Endorsements {
        /// The content.
        content: ContentIndex,
        /// The endorsements.
        list: List<Endorsement, ENDORSEMENTS_MAX>,
    },
    /// The root that closes the list of digests.
    Root {
        /// The content.
        content: ContentIndex,
        /// The root.
        root: ContentRoot,
    },
    /// Who else is there.
    Peers(Peers),
    /// Who in the zone that both are in can fetch from other zones.
    Members {
        /// The content.
        content: ContentIndex,
        /// The members.
        list: List<Reach, MEMBERS_MAX>,
    },
    /// A chunk that only the receiver of this message sent did not match its digest: it should look at its disk.
    BadChunk {
        /// The content.
        content: ContentIndex,
        /// The chunk's index.
        chunk: u32,
    },
    /// The sender does not deal with the receiver, or with one content of it.
    Reject(Reject),
    /// The sender leaves; nothing follows.
    Bye {
        /// Why.
        reason: Reason,
    },
}

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const OFFERS: u8 = 3;
const BITFIELD: u8 = 4;
const HAVE: u8 = 5;
const DIGESTS: u8 = 6;
const ENDORSEMENTS: u8 = 7;
const ROOT: u8 = 8;
const PEERS: u8 = 9;
const BAD_CHUNK: u8 = 10;
const REJECT: u8 = 11;
const BYE: u8 = 12;
const MEMBERS: u8 = 13;

impl Frame for Message {
    const KINDS: &'static [Kind] = &[
        Kind(HELLO, "Hello", CONTROL_LEN_MAX),
        Kind(WELCOME, "Welcome", 0),
        Kind(OFFERS, "Offers", CONTROL_LEN_MAX),
        Kind(BITFIELD, "Bitfield", BITFIELD_FRAME_LEN_MAX),
        Kind(HAVE, "Have", CONTROL_LEN_MAX),
        Kind(DIGESTS, "Digests", FRAME_LEN_MAX),
        Kind(ENDORSEMENTS, "Endorsements", FRAME_LEN_MAX),
        Kind(ROOT, "Root", CONTROL_LEN_MAX),
        Kind(PEERS, "Peers", CONTROL_LEN_MAX),
        Kind(BAD_CHUNK, "BadChunk", CONTROL_LEN_MAX),
        Kind(REJECT, "Reject", CONTROL_LEN_MAX),
        Kind(BYE, "Bye", CONTROL_LEN_MAX),
        Kind(MEMBERS, "Members", CONTROL_LEN_MAX),
    ];

    fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => HELLO,
            Self::Welcome => WELCOME,
            Self::Offers(_) => OFFERS,
            Self::Bitfield { .. } => BITFIELD,
            Self::Have { .. } => HAVE,
            Self::Digests { .. } => DIGESTS,
            Self::Endorsements { .. } => ENDORSEMENTS,
            Self::Root { .. } => ROOT,
            Self::Peers(_) => PEERS,
            Self::BadChunk { .. } => BAD_CHUNK,
            Self::Reject(_) => REJECT,
            Self::Bye { .. } => BYE,
            Self::Members { .. } => MEMBERS,
        }
    }

    fn put_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello(hello) => codec::put(hello, out),
            Self::Welcome => {}
            Self::Offers(offers) => codec::put(offers, out),
            Self::Bitfield { content, form } => codec::put(&(content, form), out),
            Self::Have { content, chunks } => codec::put(&(content, chunks), out),
            Self::Digests { content, batches } => codec::put(&(content, batches), out),
            Self::Endorsements { content, list } => codec::put(&(content, list), out),
            Self::Root { content, root } => codec::put(&(content, root), out),
            Self::Peers(peers) => codec::put(peers, out),
            Self::BadChunk { content, chunk } => codec::put(&(content, chunk), out),
            Self::Reject(reject) => codec::put(reject, out),
            Self::Bye { reason } => codec::put(reason, out),
            Self::Members { content, list } => codec::put(&(content, list), out),
        }
    }

    fn take_body(kind: u8, body: &[u8]) -> Result<Self, BodyError> {
        const CONTROL: usize = CONTROL_LEN_MAX;
        const FRAME: usize = FRAME_LEN_MAX;
        Ok(match kind {
            HELLO => Self::Hello(take_hello(body)?),
            WELCOME if body.is_empty() => Self::Welcome,
            OFFERS => Self::Offers(codec::take::<_, CONTROL>(body)?),
            BITFIELD => {
                let (content, form) = codec::take::<_, BITFIELD_FRAME_LEN_MAX>(body)?;
                Self::Bitfield { content, form }
            }
            HAVE => {
                let (content, chunks) = codec::take::<_, CONTROL>(body)?;
                Self::Have { content, chunks }
            }
            DIGESTS => {
                let (content, batches) = codec::take::<_, FRAME>(body)?;
                Self::Digests { content, batches }
            }
            ENDORSEMENTS => {
                let (content, list) = codec::take::<_, FRAME>(body)?;
                Self::Endorsements { content, list }
            }
            ROOT => {
                let (content, root) = codec::take::<_, CONTROL>(body)?;
                Self::Root { content, root }
            }
            PEERS => Self::Peers(codec::take::<_, CONTROL>(body)?),
            BAD_CHUNK => {
                let (content, chunk) = codec::take::<_, CONTROL>(body)?;
                Self::BadChunk { content, chunk }
            }
            REJECT => Self::Reject(codec::take::<_, CONTROL>(body)?),
            BYE => Self::Bye { reason: codec::take::<_, CONTROL>(body)? },
            MEMBERS => {
                let (content, list) = codec::take::<_, CONTROL>(body)?;
                Self::Members { content, list }
            }
            _ => return Err(BodyError::Malformed),
        })
    }
}

/// Reads a `Hello`; of another version only its version.
fn take_hello(body: &[u8]) -> Result<Hello, BodyError> {
    let (version, _) = codec::front::<u16, CONTROL_LEN_MAX>(body)?;
    if version != VERSION {
        return Err(BodyError::OtherVersion(version));
    }
    Ok(codec::take::<_, CONTROL_LEN_MAX>(body)?)
}
