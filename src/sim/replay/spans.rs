//! Spans of time, and what is said of many of them.
//!
//! Not here: what they are spans of.

use std::fmt;
use std::time::Duration;

/// Many spans of time of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<Duration>);

impl Spans {
    /// Adds one.
    pub fn add(&mut self, span: Duration) {
        self.0.push(span);
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one that so many percent of them do not exceed; zero when there are none.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }

    /// All of them, in the order of their coming.
    pub fn iter(&self) -> impl Iterator<Item = Duration> + '_ {
        self.0.iter().copied()
    }

    /// The longest; zero when there are none.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }
}

impl FromIterator<Duration> for Spans {
    fn from_iter<I: IntoIterator<Item = Duration>>(spans: I) -> Self {
        Self(spans.into_iter().collect())
    }
}

impl fmt::Display for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let (median, late, most) = (self.percentile(50), self.percentile(99), self.longest());
        write!(f, "median {}, p99 {}, most {} ({})", millis(median), millis(late), millis(most), self.len())
    }
}

/// A span in milliseconds, for people.
pub(super) fn millis(span: Duration) -> String {
    format!("{:.1} ms", 1000.0 * span.as_secs_f64())
}

/// A span in seconds, for people.
pub(super) fn secs(span: Duration) -> String {
    format!("{:.3} s", span.as_secs_f64())
}
