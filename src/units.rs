//! Quantities with their unit in the type: bytes and virtual time.
//!
//! A bare integer says neither what it counts nor from when. The pure half never asks a clock, so its time is a number
//! that somebody passes in: nanoseconds since an origin that the caller chose (process start in `node`, zero in `sim`).
//!
//! Invariant: [`Time`] never goes backwards within one run; only the shell makes one from a clock.
//!
//! Not here: wall-clock time (only the store and the certificates need it) and rates of emulated links (`sim` has its own).

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

mod bucket;
mod parse;
mod rate;

pub use bucket::Bucket;
pub use parse::{ParseUnitError, parse_bytes, parse_duration, parse_rate};
pub use rate::{BytesPerSecond, parse_limit};

/// The random numbers of the pure half, always made from a seed and passed in.
pub type Rng = fastrand::Rng;

/// A moment: nanoseconds since the run's origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The origin of the run.
    pub const ZERO: Self = Self(0);

    /// The moment `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to this moment; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub<Time> for Time {
    type Output = Duration;

    fn sub(self, earlier: Time) -> Duration {
        self.since(earlier)
    }
}

/// A number of bytes, shown with a binary unit ("1.5 GiB").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let power = (self.0.ilog2() / 10) as usize;
        #[allow(clippy::cast_precision_loss)] // three digits are shown
        let value = self.0 as f64 / (1u64 << (10 * power)) as f64;
        write!(f, "{value:.1} {}", UNITS[power - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_with_the_largest_unit_that_fits() {
        let shown: Vec<String> = [0, 1023, 1024, 1536, 1 << 20, 5 << 30, u64::MAX].map(|n| Bytes(n).to_string()).into();
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "5.0 GiB", "16.0 EiB"]);
    }

    #[test]
    fn time_saturates_instead_of_wrapping() {
        let late = Time::from_nanos(u64::MAX - 1) + Duration::from_secs(1);
        assert_eq!(late.as_nanos(), u64::MAX);
        assert_eq!(Time::ZERO - late, Duration::ZERO);
    }
}
