//! Rate: how many bytes may pass in a second, as a person sets it.
//!
//! Links are sold in decimal bits and files are counted in bytes, so both are taken, and a number without a unit is refused: it would
//! be wrong by a factor of eight for half of those who write it.
//!
//! Invariant: a rate is never zero. "No limit" is `None`, never a number.
//!
//! Not here: waiting (`bucket` says how long, `net` does it), and the rates of emulated links, which `sim` and the bench have themselves.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::parse::{ParseUnitError, parse_bytes, parse_rate, split_number};

/// Bytes in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BytesPerSecond(NonZeroU64);

impl BytesPerSecond {
    /// So many bytes in a second; `None` for none.
    #[must_use]
    pub const fn new(bytes: u64) -> Option<Self> {
        match NonZeroU64::new(bytes) {
            Some(bytes) => Some(Self(bytes)),
            None => None,
        }
    }

    /// Bytes that pass in a second.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0.get()
    }

    /// Bytes that pass in `span`.
    #[must_use]
    pub fn bytes_in(self, span: Duration) -> u64 {
        let bytes = u128::from(self.bytes()) * span.as_nanos() / NANOS;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// The time that `bytes` bytes take.
    #[must_use]
    pub fn time_of(self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * NANOS / u128::from(self.bytes());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for BytesPerSecond {
    /// As `--upload-limit` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[allow(clippy::cast_precision_loss)] // three digits are shown
        let kbit = self.bytes() as f64 * 8.0 / 1000.0;
        match kbit {
            ..1e3 => write!(f, "{kbit:.0}kbit/s"),
            ..1e6 => write!(f, "{:.1}Mbit/s", kbit / 1e3),
            _ => write!(f, "{:.1}Gbit/s", kbit / 1e6),
        }
    }
}

/// Reads a limit such as `80Mbit/s`, `10MiB/s` or `1.5Gbit`; `0` and `none` are no limit.
///
/// Bits are decimal and may leave out `/s`, as everybody does. Bytes need it, because `10MiB` is a size.
///
/// # Errors
/// [`ParseUnitError`] says what is wrong; the caller knows the flag's name.
pub fn parse_limit(text: &str) -> Result<Option<BytesPerSecond>, ParseUnitError> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("none") || text == "0" {
        return Ok(None);
    }
    if text.is_empty() {
        return Err(ParseUnitError::Empty);
    }
    let (number, unit) = split_number(text)?;
    let unknown = || ParseUnitError::Unit { unit: unit.to_owned(), allowed: LIMIT_UNITS };
    // Only these two words tell a rate in bytes from a size and from a bare number.
    let bytes = match text.strip_suffix("/s").map(str::trim_end) {
        Some(size) if unit.ends_with("B/s") => parse_bytes(size).map_err(|_| unknown())?,
        _ => parse_rate(text).map_err(|error| match error {
            ParseUnitError::Unit { .. } => unknown(),
            other => other,
        })?,
    };
    let is_zero = number.bytes().all(|digit| matches!(digit, b'0' | b'.'));
    // A fraction of a byte is very little, which is not the same as no limit.
    Ok(BytesPerSecond::new(if is_zero { 0 } else { bytes.max(1) }))
}

const LIMIT_UNITS: &str = "kbit/s, Mbit/s, Gbit/s (decimal bits) or KiB/s, MiB/s, GiB/s (or kB/s, MB/s, GB/s)";
const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_written_in_bits_or_in_bytes() {
        for (text, bytes) in [
            ("80Mbit/s", 10_000_000),
            ("80 mbit", 10_000_000),
            ("1.5Gbit/s", 187_500_000),
            ("10MiB/s", 10 << 20),
            ("1.5 MB/s", 1_500_000),
            ("64KiB/s", 64 << 10),
        ] {
            assert_eq!(parse_limit(text), Ok(BytesPerSecond::new(bytes)), "{text}");
        }
    }

    #[test]
    fn no_limit_is_zero_or_none() {
        assert_eq!(["0", "none", " None ", "0Mbit/s"].map(parse_limit), [Ok(None), Ok(None), Ok(None), Ok(None)]);
        assert_eq!(parse_limit("1bit/s"), Ok(BytesPerSecond::new(1)), "little is not nothing");
    }

    #[test]
    fn a_number_or_a_size_is_no_rate() {
        for text in ["", "80", "1.5", "10MiB", "10M", "10m/s", "MiB/s", "-1Mbit/s", "10MiB/h", "fast"] {
            assert!(parse_limit(text).is_err(), "{text}");
        }
        let told = parse_limit("80").unwrap_err().to_string();
        assert!(told.contains("Mbit/s") && told.contains("MiB/s"), "{told}");
    }

    #[test]
    fn a_rate_is_shown_as_it_can_be_written() {
        for text in ["64kbit/s", "80.0Mbit/s", "1.5Gbit/s"] {
            assert_eq!(parse_limit(text).unwrap().unwrap().to_string(), text);
        }
    }
}
