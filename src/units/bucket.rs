//! Bucket: when the next bytes may pass, so that no more than a rate does.
//!
//! It remembers one moment, up to which everything that passed is paid for, instead of a level that somebody would have to refill. What
//! passes is paid for afterwards, so a portion of any size can pass; it is small against the rate because whoever asks cuts it so.
//!
//! Invariant: in any span of time no more passes than the rate in it, what may be saved, and one portion; and whoever always has something to
//! pass and is never late passes exactly the rate.
//!
//! Not here: clocks and waiting (`net`).

use std::time::Duration;

use super::{BytesPerSecond, Time};

/// Time without traffic for which bytes may pass afterwards (50 ms: a late timer loses nothing, and over two seconds it is 2.5 %).
const SAVED_MAX: Duration = Duration::from_millis(50);
/// Time that one portion should take (10 ms: a fifth of what may be saved, and longer than a timer is late).
const PORTION_TIME: Duration = Duration::from_millis(10);
/// The smallest portion, whatever the rate: about what a packet carries.
const PORTION_LEN_MIN: u64 = 1 << 10;

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: BytesPerSecond,
    /// Until when everything is paid for.
    paid: Time,
    /// What the last nanosecond left over, in bytes times 10^9.
    rest: u64,
}

impl Bucket {
    /// A bucket with nothing saved.
    #[must_use]
    pub const fn new(rate: BytesPerSecond, now: Time) -> Self {
        Self { rate, paid: now, rest: 0 }
    }

    /// Bytes that should pass at once, of `most` that could.
    #[must_use]
    pub fn portion(&self, most: u64) -> u64 {
        self.rate.bytes_in(PORTION_TIME).max(PORTION_LEN_MIN).min(most)
    }

    /// When the next portion may pass.
    #[must_use]
    pub const fn opens(&self) -> Time {
        self.paid
    }

    /// Takes in that `bytes` bytes pass at `now`.
    pub fn take(&mut self, now: Time, bytes: u64) {
        let saved =
            Time::from_nanos(now.as_nanos().saturating_sub(SAVED_MAX.as_nanos().try_into().unwrap_or(u64::MAX)));
        let (rate, due) = (u128::from(self.rate.bytes()), u128::from(bytes) * NANOS + u128::from(self.rest));
        let nanos = u64::try_from(due / rate).unwrap_or(u64::MAX);
        self.rest = u64::try_from(due % rate).expect("a remainder is smaller than the rate");
        self.paid = self.paid.max(saved) + Duration::from_nanos(nanos);
    }
}

const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Rng;

    const RATE: u64 = 10 << 20;

    fn rate(bytes: u64) -> BytesPerSecond {
        BytesPerSecond::new(bytes).unwrap()
    }

    /// What passed when, of portions of `len(..)` bytes that follow one another, each up to `late` after it may.
    fn run(rate: BytesPerSecond, seconds: u64, len: impl Fn(&mut Rng) -> u64, late: Duration) -> Vec<(Time, u64)> {
        let (mut rng, mut now) = (Rng::with_seed(3), Time::ZERO);
        let mut bucket = Bucket::new(rate, now);
        let (mut passed, end) = (Vec::new(), Time::ZERO + Duration::from_secs(seconds));
        while now < end {
            let delay = rng.u64(0..=u64::try_from(late.as_nanos()).unwrap());
            now = now.max(bucket.opens() + Duration::from_nanos(delay));
            let bytes = len(&mut rng);
            bucket.take(now, bytes);
            passed.push((now, bytes));
        }
        passed
    }

    fn most_and_least_in(passed: &[(Time, u64)], span: Duration) -> (u64, u64) {
        let last = passed.last().unwrap().0;
        let starts = passed.iter().map(|(at, _)| *at).filter(|at| *at + span < last);
        let within =
            |from: Time| passed.iter().filter(|(at, _)| *at >= from && *at < from + span).map(|(_, n)| n).sum();
        let sums: Vec<u64> = starts.step_by(7).map(within).collect();
        (*sums.iter().max().unwrap(), *sums.iter().min().unwrap())
    }

    #[test]
    fn every_span_of_two_seconds_is_within_five_percent_though_timers_are_late() {
        for bytes in [64 << 10, RATE, 1 << 30] {
            let portion = Bucket::new(rate(bytes), Time::ZERO).portion(256 << 10);
            for late in [0, 1, 20] {
                let passed = run(rate(bytes), 5, |rng| rng.u64(1..=portion), Duration::from_millis(late));
                // Ten thousand portions of the quickest are too many to compare all spans of.
                let passed = &passed[..passed.len().min(60_000)];
                if passed.last().unwrap().0 < Time::ZERO + Duration::from_secs(3) {
                    continue;
                }
                let (most, least) = most_and_least_in(passed, Duration::from_secs(2));
                assert!(
                    most <= bytes * 2 * 105 / 100 && least >= bytes * 2 * 95 / 100,
                    "{bytes} {late}: {least} {most}"
                );
            }
        }
    }

    #[test]
    fn many_tiny_portions_pass_no_more_than_the_rate() {
        let odd = 999_999_937; // a nanosecond is less than a byte here
        let mut bucket = Bucket::new(rate(odd), Time::ZERO);
        for _ in 0..1_000_000 {
            bucket.take(Time::ZERO, 7);
        }
        let expected = rate(odd).time_of(7_000_000);
        assert_eq!(bucket.opens() - Time::ZERO, expected);
    }

    #[test]
    fn after_a_pause_no_more_than_fifty_milliseconds_pass_at_once() {
        let mut bucket = Bucket::new(rate(RATE), Time::ZERO);
        let now = Time::ZERO + Duration::from_secs(3600);
        let mut at_once = 0;
        while bucket.opens() <= now {
            bucket.take(now, 1000);
            at_once += 1000;
        }
        assert!((RATE / 20..RATE / 20 + 2000).contains(&at_once), "{at_once}");
    }

    #[test]
    fn a_portion_is_a_hundredth_of_a_second_and_never_less_than_a_packet() {
        let portion = |bytes| Bucket::new(rate(bytes), Time::ZERO).portion(256 << 10);
        assert_eq!([portion(1000), portion(1_000_000), portion(1 << 40)], [1024, 10_000, 256 << 10]);
    }
}
