//! The manifest of a content, made from a walk or put together from pages that came over the network.
//!
//! A publisher makes one from the entries alone, without reading a byte of data, so a swarm starts as soon as the walk is done. A
//! receiver starts with an id, takes the header that hashes to it, then pages in any order and from anybody.
//!
//! Invariant: a [`Manifest`] encodes to its own id again. [`Assembly`] makes sure by encoding what it decoded, so no second
//! spelling of a tree ever gets an id of its own.
//!
//! Not here: digests of chunks, which come later and from elsewhere (`proofs`), and whether an id deserves trust.

use std::sync::Arc;

use super::digest::{ContentId, Digest, DigestKind};
use super::entry::{Entries, EntriesError};
use super::header::Header;
use super::page::{self, PAGE_LEN_MAX, Paging};
use super::path::PathError;
use crate::chunk::{Layout, LayoutError, automatic_chunk_size};

/// The fewest bytes that an entry takes on a page: a folder with one byte of path.
const ENTRY_LEN_MIN: usize = 20;

/// A manifest that cannot be made, or bytes that are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The header is too long, cut short, or names impossible numbers.
    #[error("manifest header is malformed")]
    Header,
    /// A header of another version of the format.
    #[error(
        "manifest header has format version {0}, this strew knows version 1; use the same strew version everywhere"
    )]
    Version(u16),
    /// A kind of digest that this version does not know.
    #[error("content uses digest kind {0}, which this strew does not know; use the same strew version everywhere")]
    DigestKind(u8),
    /// The header is that of another content.
    #[error("manifest header is that of content {found}, not of {expected}")]
    OtherContent {
        /// The content that was expected.
        expected: ContentId,
        /// The content that the header belongs to.
        found: ContentId,
    },
    /// The chunk size does not suit the content.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The entries are no tree.
    #[error("manifest is not a tree: {0}")]
    Entries(#[from] EntriesError),
    /// A path that may not occur in a content.
    #[error("manifest holds an impossible path: {0}")]
    Path(#[from] PathError),
    /// More entries than 1024 pages hold.
    #[error("names of all entries together are longer than 1 GiB; replicate parts of the tree on their own")]
    TooLarge,
    /// A page that the header does not list.
    #[error("manifest has no page {0}")]
    PageIndex(u32),
    /// A page that does not hash to what the header says.
    #[error("manifest page {0} does not match the header")]
    PageHash(u32),
    /// A page whose bytes are no list of entries.
    #[error("manifest page is malformed")]
    Page,
    /// Asked to finish before every page was here.
    #[error("{0} manifest pages are missing")]
    Incomplete(usize),
    /// The entries, encoded again, make another manifest.
    #[error("manifest is not in canonical form")]
    NotCanonical,
}

/// Everything about a content that is known before its data is read.
#[derive(Clone, Debug)]
pub struct Manifest {
    header: Header,
    entries: Arc<Entries>,
    /// Index of the first entry of each page.
    page_starts: Arc<[u32]>,
    id: ContentId,
}

impl Manifest {
    /// The manifest of these entries, with chunks of `chunk_size` bytes or of the size that suits the total.
    ///
    /// # Errors
    /// [`ManifestError::Layout`] for an unusable chunk size, [`ManifestError::TooLarge`] for too many names.
    pub fn publish(entries: impl Into<Arc<Entries>>, chunk_size: Option<u64>) -> Result<Self, ManifestError> {
        let entries = entries.into();
        let total = entries.total();
        let layout = Layout::new(total, chunk_size.unwrap_or_else(|| automatic_chunk_size(total)))?;
        let count = u32::try_from(entries.as_slice().len()).map_err(|_| ManifestError::TooLarge)?;
        let paging = Paging::of(entries.as_slice())?;
        let header = Header::new(DigestKind::default(), layout, count, paging.hashes);
        let id = header.id();
        Ok(Self { header, entries, page_starts: paging.starts.into(), id })
    }

    /// The same manifest with a hint of what the files occupy, for the receivers' check of free space.
    #[must_use]
    pub fn with_allocated(self, allocated: u64) -> Self {
        Self { header: self.header.with_allocated(Some(allocated)), ..self }
    }

    /// Reads a manifest that was kept as header and pages.
    ///
    /// # Errors
    /// As [`Assembly`]: nothing is believed because it was stored.
    pub fn load(expected: ContentId, header: &[u8], pages: Vec<Vec<u8>>) -> Result<Self, ManifestError> {
        let mut assembly = Assembly::start(expected, header)?;
        for (index, page) in (0..).zip(pages) {
            assembly.insert(index, page)?;
        }
        assembly.finish()
    }

    /// The content id.
    #[must_use]
    pub const fn id(&self) -> ContentId {
        self.id
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The header as it is sent and stored.
    #[must_use]
    pub fn header_bytes(&self) -> Vec<u8> {
        self.header.to_bytes()
    }

    /// The entries in order.
    #[must_use]
    pub const fn entries(&self) -> &Arc<Entries> {
        &self.entries
    }

    /// How the content is cut into chunks.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.header.layout()
    }

    /// How chunks are digested.
    #[must_use]
    pub const fn digest_kind(&self) -> DigestKind {
        self.header.digest_kind()
    }

    /// Page `index` as it is sent and stored, made anew each time: a million entries stay in memory once, not twice.
    #[must_use]
    pub fn page(&self, index: u32) -> Option<Vec<u8>> {
        let start = *self.page_starts.get(index as usize)?;
        Some(page::fill(&self.entries.as_slice()[start as usize..]).0)
    }

    /// All pages in order.
    pub fn pages(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        (0..).map_while(|index| self.page(index))
    }
}

/// A manifest on its way: started with a header, fed with pages, finished when none is missing.
#[derive(Debug)]
pub struct Assembly {
    header: Header,
    id: ContentId,
    pages: Vec<Option<Vec<u8>>>,
    missing: usize,
}

impl Assembly {
    /// Starts with the header of the content `expected`.
    ///
    /// # Errors
    /// [`ManifestError`] when the bytes are no header or that of another content.
    pub fn start(expected: ContentId, header: &[u8]) -> Result<Self, ManifestError> {
        let header = Header::parse(header)?;
        let found = header.id();
        if found != expected {
            return Err(ManifestError::OtherContent { expected, found });
        }
        let missing = header.pages().len();
        Ok(Self { header, id: expected, pages: vec![None; missing], missing })
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The pages that are not here yet, ascending.
    pub fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.pages).filter(|(_, page)| page.is_none()).map(|(index, _)| index)
    }

    /// Whether every page is here, so that [`Assembly::finish`] may be called.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// Takes a page; true when it was missing.
    ///
    /// # Errors
    /// [`ManifestError::PageIndex`] or [`ManifestError::PageHash`]: the sender is to blame, the assembly is unharmed.
    pub fn insert(&mut self, index: u32, page: Vec<u8>) -> Result<bool, ManifestError> {
        let slot = self.pages.get_mut(index as usize).ok_or(ManifestError::PageIndex(index))?;
        let due = self.header.pages()[index as usize];
        if page.len() > PAGE_LEN_MAX || Digest::of_page(&page) != due {
            return Err(ManifestError::PageHash(index));
        }
        let new = slot.is_none();
        *slot = Some(page);
        self.missing -= usize::from(new);
        Ok(new)
    }

    /// The manifest.
    ///
    /// # Errors
    /// [`ManifestError`] when a page is missing, or when whoever made the header listed something that is no content: then it
    /// is the publisher who is to blame, since every page matched the header.
    pub fn finish(self) -> Result<Manifest, ManifestError> {
        if self.missing > 0 {
            return Err(ManifestError::Incomplete(self.missing));
        }
        let bytes: usize = self.pages.iter().flatten().map(Vec::len).sum();
        let most = self.header.entries() as usize;
        let mut list = Vec::with_capacity(most.min(bytes / ENTRY_LEN_MIN));
        for page in self.pages.into_iter().flatten() {
            page::read(&page, &mut list, most)?;
        }
        let mut manifest = Manifest::publish(Entries::parse(list)?, Some(self.header.layout().chunk_size()))?;
        if manifest.id != self.id {
            return Err(ManifestError::NotCanonical);
        }
        manifest.header = self.header;
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests;
