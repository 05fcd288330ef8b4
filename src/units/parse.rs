//! Sizes, durations and rates as a person types them.
//!
//! Sizes carry a binary or decimal unit ("16MiB", "64k", "1.5GB"); durations are Go's ("1h30m", "250ms"), because the
//! fleets that move here have them in their manifests; rates are decimal bits ("200Mbit"). A bare number is bytes; whether
//! that is allowed is the flag's decision (`cli`), not the parser's.
//!
//! Invariant: what parses is finite, not negative, and fits the type; nothing is rounded silently except below one byte or
//! one nanosecond.

use std::time::Duration;

/// A size or duration that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseUnitError {
    /// Nothing was given.
    #[error("is empty")]
    Empty,
    /// The number before the unit is not one.
    #[error("does not start with a number")]
    Number,
    /// The unit is unknown or missing.
    #[error("has an unknown or missing unit {unit:?}; use {allowed}")]
    Unit {
        /// What stood where the unit should.
        unit: String,
        /// The units that are understood.
        allowed: &'static str,
    },
    /// The value does not fit.
    #[error("is too large")]
    TooLarge,
}

const SIZE_UNITS: &str = "B, KiB, MiB, GiB, TiB (or kB, MB, GB, TB)";
const TIME_UNITS: &str = "ns, us, ms, s, m, h";
const RATE_UNITS: &str = "bit, kbit, Mbit, Gbit (a second, decimal)";

/// Reads a size in bytes, such as `16MiB`, `1.5GB` or `4096`.
///
/// A single letter (`k`, `m`, `g`, `t`, either case) is binary, as in most tools of this kind.
///
/// # Errors
/// [`ParseUnitError`] says what is wrong; the caller knows the flag's name.
pub fn parse_bytes(text: &str) -> Result<u64, ParseUnitError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ParseUnitError::Empty);
    }
    let (number, unit) = split_number(text)?;
    let scale: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(ParseUnitError::Unit { unit: unit.to_owned(), allowed: SIZE_UNITS }),
    };
    scaled(number, scale)
}

/// Reads the rate of a link, such as `200Mbit`, `1.5Gbit/s` or `64kbit`, as bytes per second.
///
/// Links are sold and measured in decimal bits, whatever the case of the letters; bytes per second would be taken for them by somebody.
///
/// # Errors
/// [`ParseUnitError`] says what is wrong; the caller knows the flag's name.
pub fn parse_rate(text: &str) -> Result<u64, ParseUnitError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ParseUnitError::Empty);
    }
    let (number, unit) = split_number(text)?;
    let name = unit.strip_suffix("/s").unwrap_or(unit);
    let scale: u64 = match name.to_ascii_lowercase().as_str() {
        "bit" => 1,
        "kbit" => 1_000,
        "mbit" => 1_000_000,
        "gbit" => 1_000_000_000,
        _ => return Err(ParseUnitError::Unit { unit: unit.to_owned(), allowed: RATE_UNITS }),
    };
    Ok(scaled(number, scale)? / 8)
}

/// Reads a Go duration such as `1h30m`, `20s` or `250ms`; `0` needs no unit.
///
/// # Errors
/// [`ParseUnitError`] says what is wrong; the caller knows the flag's name.
pub fn parse_duration(text: &str) -> Result<Duration, ParseUnitError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(ParseUnitError::Empty);
    }
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut nanos: u64 = 0;
    while !rest.is_empty() {
        let (number, tail) = split_number(rest)?;
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, next) = tail.split_at(end);
        let scale: u64 = match unit {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(ParseUnitError::Unit { unit: unit.to_owned(), allowed: TIME_UNITS }),
        };
        nanos = nanos.checked_add(scaled(number, scale)?).ok_or(ParseUnitError::TooLarge)?;
        rest = next;
    }
    Ok(Duration::from_nanos(nanos))
}

/// The leading decimal number and what follows it.
pub(super) fn split_number(text: &str) -> Result<(&str, &str), ParseUnitError> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    if number.is_empty() || number.starts_with('.') || number.ends_with('.') {
        return Err(ParseUnitError::Number);
    }
    Ok((number, rest.trim_start()))
}

/// `number * scale` in integers: a float would round sizes above 2^53.
fn scaled(number: &str, scale: u64) -> Result<u64, ParseUnitError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') {
        return Err(ParseUnitError::Number);
    }
    let whole: u128 = whole.parse().map_err(|_| ParseUnitError::TooLarge)?;
    let mut value = whole.checked_mul(u128::from(scale)).ok_or(ParseUnitError::TooLarge)?;
    if !fraction.is_empty() {
        let digits: u128 = fraction.parse().map_err(|_| ParseUnitError::TooLarge)?;
        let denominator = u32::try_from(fraction.len()).ok().and_then(|n| 10u128.checked_pow(n));
        let numerator = digits.checked_mul(u128::from(scale));
        value += numerator.zip(denominator).map(|(n, d)| n / d).ok_or(ParseUnitError::TooLarge)?;
    }
    u64::try_from(value).map_err(|_| ParseUnitError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_binary_and_decimal_units() {
        for (text, bytes) in
            [("16777216", 16 << 20), ("16MiB", 16 << 20), ("16m", 16 << 20), ("1.5 KiB", 1536), ("2kB", 2000), ("0", 0)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn refuses_sizes_that_are_not_sizes() {
        for text in ["", "MiB", "-1", "1.", ".5k", "1.2.3k", "5 parsecs", "99999999999G", "1e9"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_decimal_bits_a_second() {
        for (text, bytes) in
            [("200Mbit", 25_000_000), ("1Gbit/s", 125_000_000), ("1.5 mbit/s", 187_500), ("64kbit", 8000), ("8bit", 1)]
        {
            assert_eq!(parse_rate(text), Ok(bytes), "{text}");
        }
        for text in ["", "200", "200MB", "25MB/s", "Mbit", "1Mbit/h", "-1Mbit"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_go_durations() {
        for (text, millis) in [("20s", 20_000), ("1h30m", 5_400_000), ("1.5s", 1500), ("250ms", 250), ("0", 0)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "5d", "s", "-3s", "99999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
