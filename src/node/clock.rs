//! The clock of a run: the system's, as the virtual time that the pure half knows.
//!
//! Invariant: it begins at zero and never goes back.
//!
//! Not here: wall-clock time, which endorsements need (`exchange`).

use std::time::Instant;

use crate::units::Time;

/// When a run began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(pub(super) Instant);

impl Clock {
    /// This moment.
    pub(super) fn now(self) -> Time {
        Time::ZERO + self.0.elapsed()
    }

    /// A moment as a timer takes it.
    pub(super) fn instant(self, time: Time) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.0 + (time - Time::ZERO))
    }
}
