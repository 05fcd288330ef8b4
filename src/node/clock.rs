//! Clock: the moments of a run, as the machines of the pure half count them.
//!
//! Invariant: the only clock that the node's loop asks.
//!
//! Not here: deadlines (each part has its own).

use std::time::Instant;

use crate::units::Time;

/// The clock of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(pub(super) Instant);

impl Clock {
    pub(super) fn now(self) -> Time {
        Time::ZERO + self.0.elapsed()
    }

    pub(super) fn instant(self, time: Time) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.0 + (time - Time::ZERO))
    }
}
