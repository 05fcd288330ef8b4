//! Extremes: the most of the last rounds, and the least of the last seconds.
//!
//! A path is what it was at its best lately: anything slower may be our own doing. So both figures of the path are extremes, which a single
//! sample raises at once and which fall only when the good samples are old.
//!
//! Invariant: a figure is never forgotten for want of a newer one.
//!
//! Not here: which samples count (`rate`).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The most of the last rounds.
#[derive(Clone, Debug)]
pub(super) struct Most {
    rounds: u64,
    /// Falling values with the rounds in which they were seen, oldest first.
    values: VecDeque<(u64, f64)>,
}

impl Most {
    pub(super) const fn of_rounds(rounds: u64) -> Self {
        Self { rounds, values: VecDeque::new() }
    }

    /// The most, or zero.
    pub(super) fn value(&self) -> f64 {
        self.values.front().map_or(0.0, |(_, value)| *value)
    }

    /// Another value, seen in this round.
    pub(super) fn see(&mut self, round: u64, value: f64) {
        while self.values.back().is_some_and(|(_, last)| *last <= value) {
            self.values.pop_back();
        }
        self.values.push_back((round, value));
        while self.values.len() > 1 && self.values.front().is_some_and(|(seen, _)| seen + self.rounds <= round) {
            self.values.pop_front();
        }
    }

    /// Only this value is left.
    pub(super) fn begin_again(&mut self, round: u64, value: f64) {
        self.values.clear();
        self.values.push_back((round, value));
    }
}

/// The least round trip, and when it was last seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Least {
    value: Option<Duration>,
    seen: Instant,
}

impl Least {
    pub(super) const fn new(now: Instant) -> Self {
        Self { value: None, seen: now }
    }

    pub(super) const fn value(&self) -> Option<Duration> {
        self.value
    }

    /// Another round trip. One that is as short as the least, but for a fiftieth, confirms it.
    pub(super) fn see(&mut self, now: Instant, round_trip: Duration) {
        if self.value.is_none_or(|least| round_trip <= least + least / CONFIRMS) {
            self.seen = now;
            self.value = Some(self.value.map_or(round_trip, |least| least.min(round_trip)));
        }
    }

    /// Whether it was not confirmed for so long that the path may be another one.
    pub(super) fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.seen) > OLD
    }

    /// What a look at the empty path has shown takes its place.
    pub(super) const fn begin_again(&mut self, now: Instant, round_trip: Duration) {
        *self = Self { value: Some(round_trip), seen: now };
    }
}

/// A round trip confirms the least one when it is longer by less than its fiftieth: two packets of a queue on 1 Gbit/s and 1 ms.
const CONFIRMS: u32 = 50;
/// How long the least round trip is believed: routes change within minutes, and a look costs about one round trip (10 s: the value of BBR).
const OLD: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_forgotten_after_its_rounds_and_not_before() {
        let mut most = Most::of_rounds(3);
        most.see(1, 9.0);
        most.see(2, 5.0);
        most.see(3, 4.0);
        assert_eq!(most.value(), 9.0);
        most.see(4, 3.0);
        assert_eq!(most.value(), 5.0);
    }

    #[test]
    fn a_value_stays_as_long_as_no_other_comes() {
        let mut most = Most::of_rounds(3);
        most.see(1, 9.0);
        assert_eq!(most.value(), 9.0);
        most.see(100, 2.0);
        assert_eq!(most.value(), 2.0);
    }

    #[test]
    fn the_least_grows_old_unless_it_is_confirmed() {
        let start = Instant::now();
        let (ms, second) = (Duration::from_millis(1), Duration::from_secs(1));
        let mut least = Least::new(start);
        least.see(start, 100 * ms);
        least.see(start + 9 * second, 101 * ms);
        assert!(!least.is_old(start + 18 * second));
        least.see(start + 18 * second, 130 * ms);
        assert!(least.is_old(start + 20 * second));
        assert_eq!(least.value(), Some(100 * ms));
    }
}
