//! Records: the journal's format.
//!
//! ```text
//! file    "strewjnl", version u32, record*
//! record  length u32 of the payload, kind u8, payload, xxh3-64 u64 of all three before it
//! ```
//!
//! All numbers are little-endian. The checksum finds torn and rotten records, not forged ones: the state folder belongs
//! to this user alone, and whoever can write there can write the data too.
//!
//! Not here: what the records add up to (`image`).

use xxhash_rust::xxh3::xxh3_64;

use crate::store::stamp::Stamp;

/// The first bytes of every journal.
const MAGIC: [u8; 8] = *b"strewjnl";
/// The version of this format; another one is not read.
const VERSION: u32 = 1;
/// Length of the file header.
pub(super) const FILE_HEADER_LEN: usize = MAGIC.len() + 4;

/// Bytes of a record before its payload.
pub(super) const HEAD_LEN: usize = 5;
/// Bytes of a record after its payload.
pub(super) const CHECK_LEN: usize = 8;
/// The longest payload: far above a manifest page, and a bound for what a rotten length can make the reader allocate.
pub(super) const PAYLOAD_MAX: usize = 64 << 20;

/// One thing that the journal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Record<'a> {
    /// What follows was written during this boot.
    Boot(&'a [u8]),
    /// The content that the rest is about.
    Content {
        /// Its id.
        id: [u8; 32],
        /// Bytes of the content.
        total: u64,
        /// Bytes of a chunk.
        chunk_size: u64,
        /// How many pages follow.
        pages: u32,
    },
    /// The manifest's header, as the layer above gave it.
    Header(&'a [u8]),
    /// A page of the manifest, in order.
    Page(&'a [u8]),
    /// An endorsement.
    Endorsement(&'a [u8]),
    /// A batch of digests.
    Batch(&'a [u8]),
    /// A verified chunk was written.
    Chunk(u32),
    /// The file of an entry got its final name, durably, and looked like this.
    Final {
        /// Index of the entry.
        entry: u32,
        /// The file's stamp after the rename.
        stamp: Stamp,
    },
    /// A chunk that was written turned out to be wrong.
    Forgotten(u32),
}

/// The header of a journal file.
pub(super) fn file_header() -> [u8; FILE_HEADER_LEN] {
    let mut header = [0; FILE_HEADER_LEN];
    header[..MAGIC.len()].copy_from_slice(&MAGIC);
    header[MAGIC.len()..].copy_from_slice(&VERSION.to_le_bytes());
    header
}

impl<'a> Record<'a> {
    /// Appends the record's bytes.
    ///
    /// # Panics
    /// When a payload is longer than [`PAYLOAD_MAX`]; the layers above make theirs far smaller.
    pub(super) fn encode(self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; HEAD_LEN]);
        let kind = match self {
            Self::Boot(bytes) => opaque(1, bytes, out),
            Self::Content { id, total, chunk_size, pages } => {
                out.extend_from_slice(&id);
                out.extend_from_slice(&total.to_le_bytes());
                out.extend_from_slice(&chunk_size.to_le_bytes());
                out.extend_from_slice(&pages.to_le_bytes());
                2
            }
            Self::Header(bytes) => opaque(3, bytes, out),
            Self::Page(bytes) => opaque(4, bytes, out),
            Self::Endorsement(bytes) => opaque(5, bytes, out),
            Self::Batch(bytes) => opaque(6, bytes, out),
            Self::Chunk(index) => opaque(7, &index.to_le_bytes(), out),
            Self::Final { entry, stamp } => {
                out.extend_from_slice(&entry.to_le_bytes());
                out.extend_from_slice(&stamp.to_bytes());
                8
            }
            Self::Forgotten(index) => opaque(9, &index.to_le_bytes(), out),
        };
        let len = out.len() - start - HEAD_LEN;
        assert!(len <= PAYLOAD_MAX, "a journal record of {len} bytes");
        out[start..start + 4].copy_from_slice(&u32::try_from(len).expect("below 64 MiB").to_le_bytes());
        out[start + 4] = kind;
        let check = xxh3_64(&out[start..]);
        out.extend_from_slice(&check.to_le_bytes());
    }

    /// Reads a payload of this kind; `None` when there is no such kind or its length is wrong.
    pub(super) fn decode(kind: u8, payload: &'a [u8]) -> Option<Self> {
        Some(match kind {
            1 => Self::Boot(payload),
            2 => {
                let (id, rest) = payload.split_first_chunk::<32>()?;
                let (total, rest) = rest.split_first_chunk::<8>()?;
                let (chunk_size, rest) = rest.split_first_chunk::<8>()?;
                let pages = u32::from_le_bytes(rest.try_into().ok()?);
                let (total, chunk_size) = (u64::from_le_bytes(*total), u64::from_le_bytes(*chunk_size));
                Self::Content { id: *id, total, chunk_size, pages }
            }
            3 => Self::Header(payload),
            4 => Self::Page(payload),
            5 => Self::Endorsement(payload),
            6 => Self::Batch(payload),
            7 => Self::Chunk(u32::from_le_bytes(payload.try_into().ok()?)),
            8 => {
                let (entry, stamp) = payload.split_first_chunk::<4>()?;
                Self::Final { entry: u32::from_le_bytes(*entry), stamp: Stamp::from_bytes(stamp.try_into().ok()?) }
            }
            9 => Self::Forgotten(u32::from_le_bytes(payload.try_into().ok()?)),
            _ => return None,
        })
    }
}

fn opaque(kind: u8, bytes: &[u8], out: &mut Vec<u8>) -> u8 {
    out.extend_from_slice(bytes);
    kind
}
