//! Quantities as scenario files write them: `200Mbit`, `256MiB`, `80ms`.
//!
//! A file that says `rate = 200` leaves the reader to guess the unit, so every quantity is a text with one. It becomes a strong type when
//! the file is read; what does not parse is an error with its line.
//!
//! Invariant: a rate is more than zero, since a link that carries nothing is a cut and written as one; `none` is no limit.
//!
//! Not here: what the quantities are for (`scenario`).

use std::time::Duration;

use serde::Deserialize;
use strew::sim;
use strew::units::{parse_bytes, parse_duration, parse_rate};

/// What a link carries, on the wire; `None` as much as the machine can.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Rate(pub(crate) Option<sim::Rate>);

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Size(pub(crate) u64);

/// A time.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Span(pub(crate) Duration);

impl Rate {
    /// For arithmetic.
    pub(crate) fn bytes_per_second(self) -> f64 {
        self.0.map_or(f64::INFINITY, |rate| rate.0 as f64)
    }
}

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        match parse_rate(&text) {
            Ok(0) => Err(format!("{text:?} carries nothing; write a cut as a fault")),
            Ok(rate) => Ok(Self(Some(sim::Rate(rate)))),
            Err(error) => Err(format!("{text:?} {error}")),
        }
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_bytes(&text).map(Self).map_err(|error| format!("{text:?} {error}"))
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_duration(&text).map(Self).map_err(|error| format!("{text:?} {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_bytes_of_decimal_bits_and_never_nothing() {
        assert_eq!(Rate::try_from("200Mbit".to_owned()), Ok(Rate(Some(sim::Rate(25_000_000)))));
        assert_eq!(Rate::try_from("none".to_owned()), Ok(Rate(None)));
        for text in ["0Mbit", "1bit", "200", "fast"] {
            assert!(Rate::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
