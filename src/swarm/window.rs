//! Window: how many chunks are asked of one source at a time.
//!
//! The source says with every chunk how many requests were unfinished when it answered. None but our own, and an answer that took
//! hardly longer than the quickest ever, mean that it idles while our next request is under way, so the path needs one more; many of
//! others mean that ours only wait. A queue that is empty at the moment of the answer is not enough: with several uploads at once it
//! nearly always is, and windows of 32 cost a LAN mesh ten points of the makespan (simulated).
//!
//! Invariant: `1 ≤ size ≤ max`.
//!
//! Not here: bytes in flight, which the transport's own windows bound.

use std::time::Duration;

use crate::units::Time;

/// Requests of others waiting at a source beyond which our window for it shrinks: half a neighbourhood of ten.
const CROWDED: u32 = 4;

/// The adaptive number of outstanding requests of one source.
#[derive(Clone, Debug)]
pub(super) struct Window {
    size: u32,
    max: u32,
    /// Every answer so far found nothing waiting: grow with each, to fill a long path within few round trips.
    slow_start: bool,
    changed: Time,
}

impl Window {
    pub(super) fn adaptive(start: u32, max: u32) -> Self {
        let max = max.max(1);
        Self { size: start.clamp(1, max), max, slow_start: true, changed: Time::ZERO }
    }

    /// A window that stays as it is, for sources without a path.
    pub(super) fn fixed(size: u32) -> Self {
        let size = size.max(1);
        Self { size, max: size, slow_start: false, changed: Time::ZERO }
    }

    pub(super) const fn size(&self) -> u32 {
        self.size
    }

    /// Takes in a finished request.
    pub(super) fn on_fetched(&mut self, now: Time, sample: &Sample) {
        let quick = sample.took < 2 * sample.least;
        if self.slow_start {
            self.slow_start = sample.waiting <= sample.others && quick;
        } else if now.since(self.changed) < 2 * sample.least {
            return; // the last change has not shown its effect yet
        }
        let before = self.size;
        if self.slow_start || sample.waiting == 0 && quick {
            self.size = (self.size + 1).min(self.max);
        } else if sample.waiting > sample.others + CROWDED {
            self.size = (self.size - 1).max(1);
        }
        if self.size != before {
            self.changed = now;
        }
    }
}

/// What a finished request shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Requests unfinished at the source when it answered.
    pub(super) waiting: u32,
    /// Our own other requests to it.
    pub(super) others: u32,
    /// Time from the request to its last byte.
    pub(super) took: Duration,
    /// The least such time.
    pub(super) least: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_millis(10);

    fn fetched(window: &mut Window, millis: u64, waiting: u32, took: Duration) {
        let others = window.size() - 1;
        let now = Time::ZERO + Duration::from_millis(millis);
        window.on_fetched(now, &Sample { waiting, others, took, least: LEAST });
    }

    #[test]
    fn grows_with_every_chunk_while_only_our_own_requests_wait() {
        let mut window = Window::adaptive(1, 32);
        for millis in 0..5 {
            let own = window.size() - 1;
            fetched(&mut window, millis, own, LEAST);
        }
        assert_eq!(window.size(), 6);
    }

    #[test]
    fn does_not_grow_when_requests_take_twice_the_least_time() {
        let mut window = Window::adaptive(1, 32);
        for step in 1..100 {
            fetched(&mut window, 100 * step, 0, 2 * LEAST);
        }
        assert_eq!(window.size(), 1);
    }

    #[test]
    fn changes_at_most_once_in_two_round_trips_after_somebody_waited() {
        let mut window = Window::adaptive(1, 32);
        fetched(&mut window, 0, 1, LEAST);
        for millis in 100..120 {
            fetched(&mut window, millis, 0, LEAST);
        }
        assert_eq!(window.size(), 2);
        fetched(&mut window, 120, 0, LEAST);
        assert_eq!(window.size(), 3);
    }

    #[test]
    fn shrinks_when_others_crowd_the_source_but_never_below_one() {
        let mut window = Window::adaptive(3, 32);
        for step in 1..10 {
            fetched(&mut window, 100 * step, CROWDED + 3, 5 * LEAST);
        }
        assert_eq!(window.size(), 1);
    }

    #[test]
    fn never_exceeds_its_maximum() {
        let mut window = Window::adaptive(1, 4);
        for millis in 0..100 {
            fetched(&mut window, millis, 0, LEAST);
        }
        assert_eq!(window.size(), 4);
        let mut fixed = Window::fixed(4);
        fetched(&mut fixed, 1000, 0, LEAST);
        assert_eq!(fixed.size(), 4);
    }
}
