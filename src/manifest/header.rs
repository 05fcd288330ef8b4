//! The header of a manifest: what a content id is the hash of.
//!
//! It is small (at most 33 KiB), comes first and is checked against the id at once; after it every page can be checked on arrival,
//! in any order and from anybody. So nothing of a manifest is kept on a stranger's word.
//!
//! Format, numbers with the least significant byte first: magic `strewman` · version u16 · digest kind u8 · chunk size u64 ·
//! entries u32 · total bytes u64 · pages u32 · 32 bytes for each page. That is what is hashed. What is sent and stored may go on with
//! what the files occupy u64, a hint that a receiver compares with its free space; it is not part of a content, as it differs
//! between disks. Nothing follows.
//!
//! Not here: how entries are cut into pages (`page`), and who vouches for an id (`endorsement`).

use super::bytes::Taker;
use super::content::ManifestError;
use super::digest::{ContentId, Digest, DigestKind};
use super::entry::ENTRIES_MAX;
use crate::chunk::Layout;

/// The longest header in bytes that anybody has to look at.
pub const HEADER_LEN_MAX: usize = 64 << 10;
/// The most pages of a manifest: 1 GiB of entries, 256 bytes for each of 4 million.
pub const PAGES_MAX: usize = 1024;

/// The first bytes of every header, so that a stray file is told from one.
const MAGIC: [u8; 8] = *b"strewman";
/// The version of the format of header and pages.
const VERSION: u16 = 1;

/// What a content is, in brief: enough to lay out its chunks and to check its pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    digest_kind: DigestKind,
    layout: Layout,
    entries: u32,
    pages: Vec<Digest>,
    allocated: Option<u64>,
}

impl Header {
    /// Puts a header together; the caller has bounded entries and pages.
    pub(super) fn new(digest_kind: DigestKind, layout: Layout, entries: u32, pages: Vec<Digest>) -> Self {
        debug_assert!(pages.len() <= PAGES_MAX, "paging refuses more pages than a header may list");
        Self { digest_kind, layout, entries, pages, allocated: None }
    }

    /// The same with a hint of what the files occupy.
    pub(super) const fn with_allocated(mut self, allocated: Option<u64>) -> Self {
        self.allocated = allocated;
        self
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`ManifestError`] when the bytes are no header, are one of another version, or name numbers out of bounds.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > HEADER_LEN_MAX {
            return Err(ManifestError::Header);
        }
        let mut taker = Taker::new(bytes);
        if taker.array() != Some(MAGIC) {
            return Err(ManifestError::Header);
        }
        match taker.u16().ok_or(ManifestError::Header)? {
            VERSION => Self::fields(&mut taker),
            other => Err(ManifestError::Version(other)),
        }
    }

    /// Reads what follows the version.
    fn fields(taker: &mut Taker<'_>) -> Result<Self, ManifestError> {
        let code = taker.u8().ok_or(ManifestError::Header)?;
        let digest_kind = DigestKind::from_code(code).ok_or(ManifestError::DigestKind(code))?;
        let mut numbers = || Some((taker.u64()?, taker.u32()?, taker.u64()?, taker.u32()?));
        let (chunk_size, entries, total, pages) = numbers().ok_or(ManifestError::Header)?;
        let (entries_len, pages_len) = (entries as usize, pages as usize);
        if entries_len > ENTRIES_MAX || pages_len > PAGES_MAX || pages_len > entries_len {
            return Err(ManifestError::Header);
        }
        let layout = Layout::new(total, chunk_size)?;
        let pages: Option<Vec<Digest>> = (0..pages).map(|_| taker.array().map(Digest)).collect();
        let allocated = if taker.is_empty() { None } else { Some(taker.u64().ok_or(ManifestError::Header)?) };
        match pages {
            Some(pages) if taker.is_empty() => Ok(Self { digest_kind, layout, entries, pages, allocated }),
            _ => Err(ManifestError::Header),
        }
    }

    /// The header as it is sent and stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.hashed();
        out.extend(self.allocated.iter().flat_map(|allocated| allocated.to_le_bytes()));
        out
    }

    /// The header as it is hashed.
    fn hashed(&self) -> Vec<u8> {
        let pages = u32::try_from(self.pages.len()).expect("a header lists at most PAGES_MAX pages");
        let mut out = Vec::with_capacity(35 + 32 * self.pages.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.push(self.digest_kind.code());
        out.extend_from_slice(&self.layout.chunk_size().to_le_bytes());
        out.extend_from_slice(&self.entries.to_le_bytes());
        out.extend_from_slice(&self.layout.total().to_le_bytes());
        out.extend_from_slice(&pages.to_le_bytes());
        self.pages.iter().for_each(|page| out.extend_from_slice(&page.0));
        out
    }

    /// The id of the content.
    #[must_use]
    pub fn id(&self) -> ContentId {
        ContentId::of_header(&self.hashed())
    }

    /// How chunks are digested.
    #[must_use]
    pub const fn digest_kind(&self) -> DigestKind {
        self.digest_kind
    }

    /// How the content is cut into chunks.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// What the files occupy at the publisher: less than their length where they have holes. A word of whoever sent the header;
    /// `None` when it said nothing.
    #[must_use]
    pub const fn allocated(&self) -> Option<u64> {
        self.allocated
    }

    /// Number of entries.
    #[must_use]
    pub const fn entries(&self) -> u32 {
        self.entries
    }

    /// The hashes of the pages, in order.
    #[must_use]
    pub fn pages(&self) -> &[Digest] {
        &self.pages
    }
}
