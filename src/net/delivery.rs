//! Delivery: how quickly the bytes of one neighbour's answers come once they do.
//!
//! Measured where they arrive, from the first bytes of an answer to the last: the sender only knows when they were acknowledged, which for
//! a small chunk says more about acknowledgements than about the path. Bytes and times are added up before they are divided, so that an
//! answer that came in one burst does not count for more than it is.
//!
//! Invariant: nothing is claimed before a few packets' worth of bytes was seen.
//!
//! Not here: what follows from it (the sender decides whether packing keeps up).

use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What came of late. Clones are the same measure.
#[derive(Clone, Debug, Default)]
pub struct Delivery(Arc<Mutex<Recent>>);

#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    bytes: f64,
    seconds: f64,
}

impl Delivery {
    /// Takes in that so many bytes came within this time after the first ones of the same answer.
    #[allow(clippy::cast_precision_loss)] // a measure
    pub(super) fn note(&self, bytes: u64, took: Duration) {
        let mut recent = self.0.lock().expect("no thread panics while it counts");
        recent.bytes = recent.bytes * FADE + bytes as f64;
        recent.seconds = recent.seconds * FADE + took.as_secs_f64();
    }

    /// The rate in KiB a second; zero when it is not known.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // never negative, and `as` saturates
    pub fn kib_per_second(&self) -> u32 {
        let recent = *self.0.lock().expect("no thread panics while it counts");
        let known = recent.bytes >= BYTES_MIN && recent.seconds > 0.0;
        if known { (recent.bytes / recent.seconds / 1024.0) as u32 } else { 0 }
    }
}

/// What remains of the past with every answer: the last eight or so count.
const FADE: f64 = 7.0 / 8.0;
/// Bytes from which on there is a rate (128 KiB: several bursts of any transport).
const BYTES_MIN: f64 = (128 << 10) as f64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_among_steady_answers_counts_for_its_bytes_alone() {
        let delivery = Delivery::default();
        assert_eq!(delivery.kib_per_second(), 0);
        delivery.note(1000, Duration::from_micros(1));
        assert_eq!(delivery.kib_per_second(), 0, "too little to tell");
        for _ in 0..20 {
            delivery.note(100 << 10, Duration::from_millis(10));
        }
        assert!((9_900..10_100).contains(&delivery.kib_per_second()), "{}", delivery.kib_per_second());
        delivery.note(100 << 10, Duration::ZERO);
        assert!((10_000..12_000).contains(&delivery.kib_per_second()), "{}", delivery.kib_per_second());
    }
}
