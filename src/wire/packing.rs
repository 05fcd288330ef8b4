//! Packing: a whole chunk as one Zstandard frame (RFC 8878), and back.
//!
//! Chunks are packed one by one, because each is verified, passed on and forgotten by itself. The receiver names the size, so the
//! frame's own word for it is not asked, no window is set aside for it, and a frame that holds more is cut off where the chunk ends.
//!
//! Invariant: what unpacks is exactly one frame without a dictionary, and exactly as many bytes as were expected; what does not pack
//! by a twentieth is not packed at all.
//!
//! Not here: whether packing is worth its time (`node`), and whether the bytes are right, which only their digest says.

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::find_frame_compressed_size;

/// How hard to pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackLevel(i32);

impl PackLevel {
    /// The highest level. From level 1 to 9 the time grows about tenfold and the frame shrinks by a sixth; beyond, a core packs less than what
    /// 100 Mbit/s carry, and its tables take more memory than a chunk.
    pub const MAX: u8 = 9;

    /// A level of 1 to [`Self::MAX`].
    #[must_use]
    pub fn new(level: u8) -> Option<Self> {
        (1..=Self::MAX).contains(&level).then(|| Self(i32::from(level)))
    }
}

impl Default for PackLevel {
    /// Level 1: 0.32 GB/s and a ratio of 3.1 on a core with text; level 3 takes twice the time for 3.5 (measured).
    fn default() -> Self {
        Self(1)
    }
}

/// A frame that is not what a chunk packs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a packed chunk of this size")]
pub struct BadFrame;

/// Packs `data`; `None` when that saves too little.
#[must_use]
pub fn pack(data: &[u8], level: PackLevel) -> Option<Vec<u8>> {
    let most = most_packed(data.len());
    let mut frame = Vec::with_capacity(most);
    // Fails when the frame outgrows its room, which ends the attempt early.
    Compressor::new(level.0).ok()?.compress_to_buffer(data, &mut frame).ok()?;
    frame.shrink_to_fit();
    (frame.len() <= most).then_some(frame)
}

/// Unpacks a frame that must hold exactly `len` bytes.
///
/// # Errors
/// [`BadFrame`] for anything else; no more than `len` bytes are written, whatever the frame says.
pub fn unpack(frame: &[u8], len: usize) -> Result<Vec<u8>, BadFrame> {
    // A frame to be skipped, or a second one behind the first, would be room for what nobody looks at.
    let is_one = frame.starts_with(&MAGIC) && find_frame_compressed_size(frame) == Ok(frame.len());
    if !is_one {
        return Err(BadFrame);
    }
    let mut data = Vec::with_capacity(len);
    let mut decompressor = Decompressor::new().map_err(|_| BadFrame)?;
    decompressor.decompress_to_buffer(frame, &mut data).map_err(|_| BadFrame)?;
    if data.len() == len { Ok(data) } else { Err(BadFrame) }
}

/// Where in `len` bytes samples lie that say whether the rest packs; `None` when looking at all of it costs as little.
#[must_use]
pub fn samples(len: usize) -> Option<[usize; SAMPLES]> {
    let step = len / SAMPLES;
    (len >= SAMPLED_FROM).then(|| std::array::from_fn(|n| n * step))
}

/// Whether these samples, one behind the other, pack enough for the rest to be tried.
#[must_use]
pub fn promises(samples: &[u8]) -> bool {
    pack(samples, PackLevel::default()).is_some()
}

/// The most that `len` bytes may pack to: less than a twentieth is not worth the receiver's time.
const fn most_packed(len: usize) -> usize {
    len / 21 * 20
}

/// The first bytes of a Zstandard frame (RFC 8878, section 3.1.1), and of no frame that is to be skipped.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Samples of a chunk: a header that packs, or a tail that does not, is one of four.
const SAMPLES: usize = 4;
/// Bytes of a sample: enough for repetitions to show.
pub const SAMPLE_LEN: usize = 8 << 10;
/// The smallest chunk that is sampled first (256 KiB: packing random bytes of that size takes a tenth of a millisecond).
const SAMPLED_FROM: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::Rng;

    fn text(len: usize) -> Vec<u8> {
        let mut rng = Rng::with_seed(9);
        let words = ["chunk ", "peer ", "swarm ", "of ", "the ", "source\n"];
        let mut text = Vec::new();
        while text.len() < len {
            text.extend_from_slice(words[rng.usize(..words.len())].as_bytes());
        }
        text.truncate(len);
        text
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut data = vec![0; len];
        Rng::with_seed(8).fill(&mut data);
        data
    }

    #[test]
    fn text_packs_and_noise_does_not() {
        for level in [1, PackLevel::MAX] {
            let level = PackLevel::new(level).unwrap();
            let frame = pack(&text(100_000), level).unwrap();
            assert!(frame.len() < 50_000, "{}", frame.len());
            assert_eq!(unpack(&frame, 100_000), Ok(text(100_000)));
            assert_eq!(pack(&noise(100_000), level), None);
        }
        assert_eq!([0, PackLevel::MAX + 1].map(PackLevel::new), [None, None]);
    }

    #[test]
    fn samples_tell_text_from_noise() {
        let taken = |data: &[u8]| -> Vec<u8> {
            let starts = samples(data.len()).unwrap();
            starts.iter().flat_map(|start| &data[*start..*start + SAMPLE_LEN]).copied().collect()
        };
        assert!(promises(&taken(&text(1 << 20))) && !promises(&taken(&noise(1 << 20))));
        let mut header = noise(1 << 20);
        header[300_000..].copy_from_slice(&text((1 << 20) - 300_000));
        assert!(promises(&taken(&header)), "its beginning alone says nothing");
        assert_eq!(samples(SAMPLED_FROM - 1), None);
    }

    #[test]
    fn a_bomb_is_cut_off_and_what_is_too_short_is_refused() {
        let bomb = pack(&vec![0; 64 << 20], PackLevel::default()).unwrap();
        assert!(bomb.len() < 64 << 10, "{}", bomb.len());
        assert_eq!(unpack(&bomb, 64 << 10), Err(BadFrame));
        let frame = pack(&text(5000), PackLevel::default()).unwrap();
        assert_eq!([4999, 5001].map(|len| unpack(&frame, len)), [Err(BadFrame), Err(BadFrame)]);
    }

    #[test]
    fn only_one_whole_frame_is_a_chunk() {
        let frame = pack(&text(5000), PackLevel::default()).unwrap();
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4], &frame[..]].concat();
        let (twice, longer) = ([&frame[..], &frame].concat(), [&frame[..], &[0]].concat());
        for wrong in [&frame[..frame.len() - 3], &skipped, &twice, &longer, &[], &MAGIC, &noise(1000)] {
            assert_eq!(unpack(wrong, 5000), Err(BadFrame));
        }
        // A frame of nothing that says it needs a dictionary: flag 1, then the dictionary's number (RFC 8878, section 3.1.1.1).
        let with_dictionary = [&MAGIC[..], &[0x21, 7, 0, 1, 0, 0]].concat();
        assert_eq!(unpack(&with_dictionary, 0), Err(BadFrame));
    }

    proptest! {
        #[test]
        fn whatever_packs_unpacks_to_the_same(data in proptest::collection::vec(0..4u8, 0..5000)) {
            if let Some(frame) = pack(&data, PackLevel::default()) {
                prop_assert!(frame.len() < data.len());
                prop_assert_eq!(unpack(&frame, data.len()), Ok(data));
            }
        }

        #[test]
        fn a_changed_frame_is_refused_or_has_the_right_length(at in any::<proptest::sample::Index>(), to in any::<u8>()) {
            let mut frame = pack(&text(3000), PackLevel::default()).unwrap();
            let at = at.index(frame.len());
            frame[at] = to;
            prop_assert!(unpack(&frame, 3000).is_ok_and(|data| data.len() == 3000) || unpack(&frame, 3000).is_err());
        }
    }
}
