//! Image: what the records of a journal add up to.
//!
//! The file is read once, front to back, one record in memory at a time.
//!
//! Invariant: an [`Image`] holds a complete manifest; a journal that ends before its last page vouches for nothing.
//!
//! Not here: comparing stamps with the disk (`replica/survey`).

use std::collections::BTreeMap;
use std::io::{self, Read};

use xxhash_rust::xxh3::Xxh3Default;

use super::Boot;
use super::record::{CHECK_LEN, FILE_HEADER_LEN, HEAD_LEN, PAYLOAD_MAX, Record, file_header};
use crate::bitfield::Bitfield;
use crate::chunk::Layout;
use crate::store::stamp::Stamp;

/// What the layers above had stored with a content, byte by byte as they gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredContent {
    /// The content's id.
    pub content_id: [u8; 32],
    /// How it is cut into chunks.
    pub layout: Layout,
    /// The manifest's header.
    pub header: Vec<u8>,
    /// The manifest's pages, in order.
    pub pages: Vec<Vec<u8>>,
    /// Endorsements, in the order in which they came.
    pub endorsements: Vec<Vec<u8>>,
    /// Digest batches, in the order in which they came.
    pub batches: Vec<Vec<u8>>,
}

/// Everything that a journal says.
#[derive(Clone, Debug)]
pub(in crate::store) struct Image {
    /// What the layers above stored.
    pub(in crate::store) content: StoredContent,
    /// Chunks written since the machine was started: what the page cache still has even if the disk has not.
    pub(in crate::store) current: Bitfield,
    /// Chunks that were written at any time.
    pub(in crate::store) ever: Bitfield,
    /// Chunks that were found wrong and not written anew since: their files may lie under final names still.
    pub(in crate::store) forgotten: Bitfield,
    /// Files that were durable under their final names, and how they looked.
    pub(in crate::store) finals: BTreeMap<u32, Stamp>,
}

/// How far a journal could be read.
#[derive(Debug)]
pub(in crate::store) struct Reading {
    /// What it says, if that is anything.
    pub(in crate::store) image: Option<Image>,
    /// Bytes that count.
    pub(in crate::store) good: u64,
    /// Bytes of the file.
    pub(in crate::store) len: u64,
}

/// Reads a journal as seen from `boot`.
///
/// # Errors
/// Only those of the disk; what cannot be understood ends the reading and is no error.
pub(in crate::store) fn read(mut file: impl Read, boot: &Boot) -> io::Result<Reading> {
    let mut good = 0;
    let mut builder = Builder { boot, content: None, pages_due: 0, in_this_boot: false, header_due: true };
    let mut header = [0; FILE_HEADER_LEN];
    let mut read = fill(&mut file, &mut header)?;
    let mut len = read as u64;
    if read == FILE_HEADER_LEN && header == file_header() {
        good = len;
        let mut payload = Vec::new();
        loop {
            match next(&mut file, &mut payload)? {
                Next::Record { kind, bytes } => {
                    len += bytes;
                    let Some(record) = Record::decode(kind, &payload) else { break };
                    if builder.add(record).is_none() {
                        break;
                    }
                    good = len;
                }
                Next::Torn { bytes } => {
                    len += bytes;
                    break;
                }
            }
        }
    }
    let mut rest = [0; 4096];
    loop {
        read = fill(&mut file, &mut rest)?;
        len += read as u64;
        if read < rest.len() {
            return Ok(Reading { image: builder.finish(), good, len });
        }
    }
}

/// The next record of the file, or as many bytes as were there instead.
enum Next {
    Record { kind: u8, bytes: u64 },
    Torn { bytes: u64 },
}

fn next(file: &mut impl Read, payload: &mut Vec<u8>) -> io::Result<Next> {
    let mut head = [0; HEAD_LEN];
    let got = fill(file, &mut head)?;
    let torn = |bytes: usize| Ok(Next::Torn { bytes: bytes as u64 });
    if got < HEAD_LEN {
        return torn(got);
    }
    let [len @ .., kind] = head;
    let len = u32::from_le_bytes(len) as usize;
    if len > PAYLOAD_MAX {
        return torn(HEAD_LEN);
    }
    payload.clear();
    // Grows with what is there, not with what the length claims.
    let got = file.by_ref().take(len as u64).read_to_end(payload)?;
    let mut check = [0; CHECK_LEN];
    let checked = if got == len { fill(file, &mut check)? } else { 0 };
    let bytes = HEAD_LEN + got + checked;
    let mut hash = Xxh3Default::new();
    hash.update(&head);
    hash.update(payload);
    if checked < CHECK_LEN || hash.digest() != u64::from_le_bytes(check) {
        return torn(bytes);
    }
    Ok(Next::Record { kind, bytes: bytes as u64 })
}

/// Reads until `buf` is full or the file ends; how many bytes came.
fn fill(file: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buf.len() {
        match file.read(&mut buf[got..]) {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// Adds records up.
struct Builder<'a> {
    boot: &'a Boot,
    content: Option<Image>,
    pages_due: usize,
    header_due: bool,
    in_this_boot: bool,
}

impl Builder<'_> {
    /// Takes one record; `None` when it makes no sense where it stands.
    fn add(&mut self, record: Record<'_>) -> Option<()> {
        match record {
            Record::Boot(boot) => {
                self.in_this_boot = self.boot.is(boot);
                if let Some(image) = self.content.as_mut().filter(|_| !self.in_this_boot) {
                    // Another kernel was here in between, on this machine or, over a network file system, on another
                    // one.
                    image.current = Bitfield::none(image.content.layout);
                }
            }
            Record::Content { id, total, chunk_size, pages } if self.content.is_none() => {
                let layout = Layout::new(total, chunk_size).ok()?;
                let content = StoredContent {
                    content_id: id,
                    layout,
                    header: Vec::new(),
                    pages: Vec::new(),
                    endorsements: Vec::new(),
                    batches: Vec::new(),
                };
                let none = Bitfield::none(layout);
                let [current, ever, forgotten] = [none.clone(), none.clone(), none];
                self.content = Some(Image { content, current, ever, forgotten, finals: BTreeMap::new() });
                self.pages_due = pages as usize;
            }
            Record::Content { .. } => return None,
            Record::Header(bytes) if self.header_due => {
                self.content.as_mut()?.content.header = bytes.into();
                self.header_due = false;
            }
            Record::Header(_) => return None,
            Record::Page(bytes) => {
                self.pages_due = self.pages_due.checked_sub(1)?;
                self.content.as_mut()?.content.pages.push(bytes.into());
            }
            Record::Endorsement(bytes) => self.content.as_mut()?.content.endorsements.push(bytes.into()),
            Record::Batch(bytes) => self.content.as_mut()?.content.batches.push(bytes.into()),
            Record::Chunk(index) => {
                let in_this_boot = self.in_this_boot;
                let image = self.content.as_mut()?;
                let chunk = image.content.layout.chunk(index)?;
                image.ever.insert(chunk);
                image.forgotten.remove(chunk);
                if in_this_boot {
                    image.current.insert(chunk);
                }
            }
            Record::Forgotten(index) => {
                let image = self.content.as_mut()?;
                let chunk = image.content.layout.chunk(index)?;
                image.ever.remove(chunk);
                image.current.remove(chunk);
                image.forgotten.insert(chunk);
            }
            Record::Final { entry, stamp } => {
                self.content.as_mut()?.finals.insert(entry, stamp);
            }
        }
        Some(())
    }

    fn finish(self) -> Option<Image> {
        self.content.filter(|_| self.pages_due == 0 && !self.header_due)
    }
}
