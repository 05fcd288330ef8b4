//! The bounds of everything that a peer can say, in one table.
//!
//! A bound is there so that a peer's word never costs more memory than stated here; it is not there to shape traffic. Each is
//! compared before anything is allocated. Zero never means "no limit".
//!
//! Not here: rates (haves per second, dials), which are the node's, and QUIC's own windows, which are `net`'s.

use crate::chunk::CHUNK_COUNT_MAX;
use crate::manifest::{BATCH_LEN_MAX, ENDORSEMENT_LEN_MAX};

/// Contents that a peer can offer: a node carries few at a time.
pub const OFFERS_MAX: usize = 16;
/// Bytes of a zone label: a host name's label has at most 63.
pub const ZONE_LEN_MAX: usize = 64;
/// Bytes of the name and version of a peer's program.
pub const AGENT_LEN_MAX: usize = 64;
/// Bytes of the sentence beside a reason.
pub const TEXT_LEN_MAX: usize = 256;
/// Addresses in one message, joined and left each: as many as other peer-to-peer protocols take.
pub const PEERS_MAX: usize = 50;
/// Members of a zone in one message: whoever comes into a zone of hundreds is told of all in two.
pub const MEMBERS_MAX: usize = 256;
/// Bytes of a bitfield: one bit for each of 2^20 chunks.
pub const BITFIELD_LEN_MAX: usize = (CHUNK_COUNT_MAX / 8) as usize;
/// Chunks in one have: at 3 bytes each at worst they fill three quarters of a control frame.
pub const HAVES_MAX: usize = 1 << 14;
/// Digest batches in one message: 28 of the longest are just below 1 MiB.
pub const BATCHES_MAX: usize = 28;
/// Endorsements in one message: 15 of the longest are just below 1 MiB.
pub const ENDORSEMENTS_MAX: usize = 15;
/// Ranges in one request: an end game cuts a chunk in a few parts.
pub const RANGES_MAX: usize = 64;

/// The longest frame of all.
pub const FRAME_LEN_MAX: usize = 1 << 20;
/// The longest control frame without statements or bitfields in it.
pub const CONTROL_LEN_MAX: usize = 64 << 10;
/// The longest frame of a request stream without a digest batch in it; 64 ranges take less than 700 bytes.
pub const REQUEST_LEN_MAX: usize = 1 << 10;
/// The longest bitfield frame: a bitfield, and room for the fields beside it.
pub const BITFIELD_FRAME_LEN_MAX: usize = BITFIELD_LEN_MAX + 64;
/// The longest trailer: a digest batch, and room for the fields beside it.
pub const TRAILER_LEN_MAX: usize = BATCH_LEN_MAX + 64;

// No message that can be made is longer than its frame may be, so encoding needs no error.
const _: () = assert!(BATCHES_MAX * (BATCH_LEN_MAX + 8) + 64 <= FRAME_LEN_MAX);
const _: () = assert!(ENDORSEMENTS_MAX * (ENDORSEMENT_LEN_MAX + 8) + 64 <= FRAME_LEN_MAX);
const _: () = assert!(3 * HAVES_MAX + 64 <= CONTROL_LEN_MAX);
const _: () = assert!(PEERS_MAX * (2 * 24 + 24 + ZONE_LEN_MAX) + 64 <= CONTROL_LEN_MAX);
// A number of eight bytes takes nine, one of four takes five, and so on (`bincode`'s varint).
const _: () = assert!(MEMBERS_MAX * (9 + 5 + 1) + 64 <= CONTROL_LEN_MAX);
const _: () = assert!(RANGES_MAX * 10 + 64 <= REQUEST_LEN_MAX);
