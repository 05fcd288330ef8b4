//! What travels between two peers: messages and their one encoding.
//!
//! A connection carries one control stream each way, whose frames are [`Message`]s, and a bidirectional stream for each request:
//! one [`Open`] frame, then an [`Answer`] frame, the bytes that it announces, and for a chunk a [`Trailer`]. A frame is a length
//! (u32, least significant byte first), a kind (one byte, counted by the length), and a body. Both sides send
//! [`Message::Hello`] first, at once; whoever accepts the other's sends [`Message::Welcome`]. A peer is a neighbour when its
//! welcome has come, and not before: a client that the other side refuses still sees its connection succeed.
//!
//! Every message that names a content does so by an index that its sender gave it in its own `Hello` or `Offers`.
//!
//! Invariant: what decodes is within the bounds of [`limits`]; no length is believed before it was compared with its cap. Chunk
//! indices are numbers here, since only the receiver's layout can make a `ChunkId` of one.
//!
//! Not here: who says what when (`swarm`, `node`), sockets (`net`), and how often something may be said.

mod bounded;
mod codec;
mod control;
mod frame;
mod haves;
pub mod limits;
mod packing;
mod reason;
mod request;

pub use bounded::{List, Text, TooLong};
pub use control::{ContentIndex, Form, Hello, Message, Offer, PeerAddr, PeerId, Peers, Reach, Reject, VERSION, Wants};
pub use frame::{Frame, FrameReader, Head, WireError, decode, encode};
pub use haves::Haves;
pub use packing::{BadFrame, PackLevel, SAMPLE_LEN, pack, promises, samples, unpack};
pub use reason::{Reason, StreamCode};
pub use request::{Accepts, Answer, Encoding, Open, Ranges, Refusal, Request, Trailer};

#[cfg(test)]
mod tests;
