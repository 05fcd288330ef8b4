//! Auto: Cubic within a machine room, the delivery rate everywhere else.
//!
//! Where a round trip takes less than two milliseconds, a loss costs Cubic some of those and is nearly always a queue's. Its long queues do
//! no harm there, and they keep the links of a busy fleet full while threads wait for a processor: eight peers at 100 Mbit/s reach 95.5 % with
//! it and 93 % with the rate (`netem bench lan-8`, two cores). On any longer path it is the other way round, and by far.
//!
//! Invariant: both controllers are told everything, so the one that takes over knows its path.
//!
//! Not here: either of the two (`rate`, and quinn's Cubic).

use std::any::Any;
use std::time::{Duration, Instant};

use quinn::congestion::Controller;
use quinn_proto::RttEstimator;

use super::rate::Rate;

/// The controller that chooses.
pub(super) struct Auto {
    rate: Rate,
    cubic: Box<dyn Controller>,
    is_near: bool,
}

impl Auto {
    /// One that holds every path for a long one until the first round trip.
    pub(super) const fn new(rate: Rate, cubic: Box<dyn Controller>) -> Self {
        Self { rate, cubic, is_near: false }
    }

    fn chosen(&self) -> &dyn Controller {
        if self.is_near { self.cubic.as_ref() } else { &self.rate }
    }
}

impl Controller for Auto {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.rate.on_sent(now, bytes, last_packet_number);
        self.cubic.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        // The least of the connection's life: a queue of our own, however long it stands, makes no path longer.
        self.is_near = rtt.min() < NEAR;
        self.rate.on_ack(now, sent, bytes, app_limited, rtt);
        self.cubic.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_packet_num_acked: Option<u64>) {
        self.rate.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
        self.cubic.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        self.rate.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
        self.cubic.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.rate.on_mtu_update(new_mtu);
        self.cubic.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.chosen().window()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { rate: self.rate.clone(), cubic: self.cubic.clone_box(), is_near: self.is_near })
    }

    fn initial_window(&self) -> u64 {
        self.rate.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// Round trips below it are those of one room (the ladder's: 0.2 to 0.4 ms), and the millisecond that both ends leave their sockets alone for
/// while datagrams come all the time. At 2 ms and 1 % of loss TCP's law (Mathis et al. 1997) leaves Cubic 70 Mbit/s, which radio links,
/// with their losses, hardly reach.
const NEAR: Duration = Duration::from_millis(2);
