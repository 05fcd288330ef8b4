//! Congestion control: how many bytes of a connection may be on the way.
//!
//! quinn's Cubic takes every loss for a full queue: one packet lost in a thousand leaves it a twentieth of an ocean's width. Ours measures
//! what arrives, and how long it takes when nothing waits, and keeps that product on the way (docs/congestion.md has the algorithm and
//! its figures). quinn asks a controller for a window and nothing else; it paces by itself, at 1.25 windows a smoothed round trip.
//!
//! Invariant: time comes as an argument, so that whole transfers are tested in virtual time.
//!
//! Not here: flow control, which is about memory and not about the path (`transport`, and the node within its budget).

mod auto;
mod deliveries;
mod extremes;
mod path;
mod rate;

use std::sync::Arc;
use std::time::Instant;

use quinn::congestion::{Controller, ControllerFactory, CubicConfig};

use auto::Auto;
use rate::Rate;

/// Which controller connections get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CongestionControl {
    /// Chosen for each path: Cubic where a round trip takes less than a millisecond, the delivery rate everywhere else.
    ///
    /// Default. Within a room Cubic keeps links a little fuller; on a long path that loses, the rate is many times as fast
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
            Self::Auto => Arc::new(AutoFactory { initial_window, cubic: cubic(initial_window) }),
            Self::Cubic => cubic(initial_window),
            Self::Rate => Arc::new(RateFactory { initial_window }),
        }
    }
}

fn cubic(initial_window: u64) -> Arc<CubicConfig> {
    let mut cubic = CubicConfig::default();
    cubic.initial_window(initial_window);
    Arc::new(cubic)
}

/// Makes an [`Auto`] for each path.
struct AutoFactory {
    initial_window: u64,
    cubic: Arc<CubicConfig>,
}

impl ControllerFactory for AutoFactory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let rate = Rate::new(now, self.initial_window, current_mtu);
        Box::new(Auto::new(rate, Arc::clone(&self.cubic).build(now, current_mtu)))
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
