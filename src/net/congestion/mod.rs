//! Congestion control: how many bytes of a connection may be on the way.
//!
//! quinn's Cubic takes every loss for a full queue: one packet lost in a thousand leaves it a twentieth of an ocean's width. Ours measures
//! what arrives, and how long it takes when nothing waits, and keeps that product on the way (docs/congestion.md has the algorithm and
//! its figures). quinn asks a controller for a window and nothing else; it paces by itself, at 1.25 windows a smoothed round trip.
//!
//! Invariant: time comes as an argument, so that whole transfers are tested in virtual time.
//!
//! Not here: flow control, which is about memory and not about the path (`transport`, and the node within its budget).

mod deliveries;
mod extremes;
mod path;
mod rate;

use std::sync::Arc;
use std::time::Instant;

use quinn::congestion::{Controller, ControllerFactory, CubicConfig};

use rate::Rate;

/// Which controller connections get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CongestionControl {
    /// Chosen for the user: the delivery rate, on every path.
    ///
    /// Default. It is never much worse than Cubic on a path that loses nothing, and on one that loses it is many times as fast
    /// (docs/congestion.md).
    #[default]
    Auto,
    /// quinn's Cubic (RFC 8312), for those who must share a line on the terms of everybody else's TCP.
    Cubic,
    /// The delivery rate and the least round trip.
    Rate,
}

impl CongestionControl {
    /// What makes the controllers of connections; `initial_window` is what may be on the way before the first acknowledgement.
    #[must_use]
    pub(super) fn factory(self, initial_window: u64) -> Arc<dyn ControllerFactory + Send + Sync> {
        match self {
            Self::Cubic => {
                let mut cubic = CubicConfig::default();
                cubic.initial_window(initial_window);
                Arc::new(cubic)
            }
            Self::Auto | Self::Rate => Arc::new(RateFactory { initial_window }),
        }
    }
}

/// Makes a [`Rate`] for each path.
struct RateFactory {
    initial_window: u64,
}

impl ControllerFactory for RateFactory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Rate::new(now, self.initial_window, current_mtu))
    }
}
