//! Pack: sending a chunk packed, to a neighbour that takes it so.
//!
//! A chunk that is packed is read whole, hashed and packed in one job on the pool, and only then does its answer begin: its length stands
//! at the beginning of the answer. Before all of it is read, a few samples tell whether that would be in vain.
//!
//! Invariant: a chunk that cannot be sent packed is sent as it is, whatever the reason; a neighbour never waits for both.
//!
//! Not here: what is kept (`forms`), when it pays (`worth`), the format (`wire`).

use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;
use quinn::SendStream;

use super::content::Tree;
use super::forms::{Form, Forms};
use super::upload::{SEGMENT, Upload, UploadError};
use crate::manifest::{Digest, DigestKind};
use crate::net::frames;
use crate::store::StoreError;
use crate::wire::{Accepts, Answer, Encoding, Ranges, SAMPLE_LEN, pack, promises, samples};

impl Upload {
    /// The form in which the chunk is to be sent, with its digest if it was read just now; `None` when it is to be sent as it is.
    pub(super) async fn form(&self) -> Result<Option<(Form, Option<Digest>)>, UploadError> {
        if self.accepts == Accepts::Raw || !self.ranges.is_whole() {
            return Ok(None);
        }
        if let Some(form) = self.forms.form(self.chunk) {
            return Ok(Some((form, None)));
        }
        if !self.forms.pays(self.chunk, self.accepts) {
            return Ok(None);
        }
        let _turn = self.forms.turn(self.chunk).await;
        // Whoever had its turn before has packed it, or found that it does not pack.
        if let Some(form) = self.forms.form(self.chunk) {
            return Ok(Some((form, None)));
        }
        if !self.forms.pays(self.chunk, self.accepts) {
            return Ok(None);
        }
        let range = self.layout.range(self.chunk);
        let Some(_room) = self.forms.room(range.end - range.start).await else { return Ok(None) };
        let (tree, forms) = (self.tree.clone(), self.forms.clone());
        let kind = self.key.is_some().then_some(self.digest_kind);
        let packed = self.pool.run(move || read_and_pack(&tree, range, kind, &forms)).await;
        match packed.map_err(UploadError::Store)? {
            Some(form) => {
                self.forms.keep(self.chunk, form.clone());
                let digest = form.digest;
                Ok(Some((form, digest)))
            }
            None => {
                self.forms.note_solid(self.chunk);
                Ok(None)
            }
        }
    }

    /// Sends the chunk in this form.
    pub(super) async fn send_form(
        mut self,
        form: Form,
        digest: Option<Digest>,
    ) -> Result<(Option<Digest>, SendStream), UploadError> {
        let Form { mut frame, digest: proven } = form;
        let length = u32::try_from(frame.len()).expect("a form is shorter than its chunk");
        let (chunk, ranges) = (self.chunk.index(), Ranges::WHOLE);
        frames::write(&mut self.send, &Answer::Data { chunk, ranges, encoding: Encoding::Zstd, length }).await?;
        while !frame.is_empty() {
            let len = usize::try_from(SEGMENT).unwrap_or(usize::MAX).min(frame.len());
            self.hand_over(frame.split_to(len)).await?;
        }
        self.finish(digest.or(proven), digest).await
    }
}

/// Reads a chunk and packs it, and digests it if a kind is named; `None` when it does not pack. Blocks.
fn read_and_pack(
    tree: &Tree,
    range: Range<u64>,
    kind: Option<DigestKind>,
    forms: &Forms,
) -> Result<Option<Form>, StoreError> {
    let len = usize::try_from(range.end - range.start).expect("a chunk fits memory");
    if let Some(starts) = samples(len) {
        let mut sampled = vec![0; SAMPLE_LEN * starts.len()];
        for (start, sample) in starts.into_iter().zip(sampled.chunks_mut(SAMPLE_LEN)) {
            tree.read_at(range.start + start as u64, sample)?;
        }
        if !promises(&sampled) {
            return Ok(None);
        }
    }
    let mut data = vec![0; len];
    tree.read_at(range.start, &mut data)?;
    let began = Instant::now();
    let Some(frame) = pack(&data, forms.level()) else { return Ok(None) };
    forms.measure(len, frame.len(), began.elapsed());
    let digest = kind.map(|kind| kind.digest(&data));
    Ok(Some(Form { frame: Bytes::from(frame), digest }))
}
