//! Packing: what `--compress-type` and `--compress-level` say.
//!
//! Names and the meaning of the first are p2pcp's: who receives says whether chunks come compressed, and an empty word is "none". How hard
//! a machine packs for others is its own affair, since it is its processor that does it.
//!
//! Invariant: a level is one that a machine can afford.
//!
//! Not here: whether a chunk is packed in the end (`node`).

use super::usage::UsageError;
use crate::node::Compression;
use crate::wire::PackLevel;

/// The meaning of `--compress-type`.
pub(super) fn compress_type(value: Option<&str>) -> Result<Compression, UsageError> {
    match value.map(str::trim) {
        None | Some("" | "none") => Ok(Compression::None),
        Some("zstd") => Ok(Compression::Zstd),
        Some("auto") => Ok(Compression::Auto),
        Some(other) => Err(UsageError::CompressType { value: other.to_owned() }),
    }
}

/// The meaning of `--compress-level`.
pub(super) fn compress_level(value: Option<&str>) -> Result<PackLevel, UsageError> {
    let Some(value) = value else { return Ok(PackLevel::default()) };
    let level = value.trim().parse().ok().and_then(PackLevel::new);
    level.ok_or_else(|| UsageError::CompressLevel { value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_is_what_the_word_says_and_nothing_else() {
        let words = [None, Some(""), Some("none"), Some("zstd"), Some("auto")].map(|word| compress_type(word).unwrap());
        assert_eq!(
            words,
            [Compression::None, Compression::None, Compression::None, Compression::Zstd, Compression::Auto]
        );
        let told = compress_type(Some("gzip")).unwrap_err().to_string();
        assert!(told.contains("--compress-type") && told.contains("gzip") && told.contains("zstd"), "{told}");
    }

    #[test]
    fn a_level_has_bounds() {
        assert_eq!(compress_level(None), Ok(PackLevel::default()));
        assert_eq!(compress_level(Some("9")).ok(), PackLevel::new(9));
        for value in ["0", "10", "-1", "fast", ""] {
            let told = compress_level(Some(value)).unwrap_err().to_string();
            assert!(told.contains("--compress-level") && told.contains("1 to 9"), "{told}");
        }
    }
}
