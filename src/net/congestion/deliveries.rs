//! Deliveries: how fast what was sent arrives, one sample for each acknowledgement.
//!
//! A sample is what was delivered between two moments of one packet, its departure and its acknowledgement, over the time that took: at
//! the sender or at the receiver, whichever was longer. So neither a burst that leaves at once nor acknowledgements that arrive at once
//! look like a fast path. (The idea is that of the delivery-rate estimation drafts of the IETF.) quinn does not say which packet was acknowledged,
//! only when it left; packets that leave at the same moment are therefore one departure here.
//!
//! Invariant: departures are in the order of time, and at most about two round trips of them are kept.
//!
//! Not here: what is made of the samples (`rate`).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets that left at one moment, and what was known then.
#[derive(Clone, Copy, Debug)]
struct Departure {
    at: Instant,
    /// Bytes delivered until then, and when the last of them were.
    delivered: u64,
    delivered_at: Instant,
    /// When the packet had left that was acknowledged last.
    acknowledged_left: Instant,
    /// Whether there was less to send than the path might have carried.
    is_limited: bool,
}

/// What one acknowledgement says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// Bytes a second.
    pub(super) rate: f64,
    /// What that was averaged over.
    pub(super) interval: Duration,
    /// From the departure of the newest packet to its acknowledgement.
    pub(super) round_trip: Duration,
    /// Bytes that are acknowledged by it.
    pub(super) acknowledged: u64,
    /// Bytes that had been delivered when that packet left.
    pub(super) delivered_before: u64,
    /// Whether the rate says more about us than about the path.
    pub(super) is_limited: bool,
}

/// Bytes that left and arrived.
#[derive(Clone, Debug)]
pub(super) struct Deliveries {
    departures: VecDeque<Departure>,
    delivered: u64,
    delivered_at: Instant,
    acknowledged_left: Instant,
    in_flight: u64,
    /// Until so many bytes are delivered, what is delivered says little about the path.
    limited_until: u64,
    /// The newest departure of the acknowledgement that is being read, and its bytes.
    newest: Option<Departure>,
    acknowledged: u64,
}

impl Deliveries {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            departures: VecDeque::new(),
            delivered: 0,
            delivered_at: now,
            acknowledged_left: now,
            in_flight: 0,
            limited_until: 0,
            newest: None,
            acknowledged: 0,
        }
    }

    /// Bytes delivered so far.
    pub(super) const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Bytes on the way.
    pub(super) const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Packets of so many bytes leave.
    pub(super) fn left(&mut self, now: Instant, bytes: u64) {
        if self.in_flight == 0 {
            // Nothing was on the way, so the clock of the last delivery has run idly, and there was nothing to send.
            self.delivered_at = now;
            self.acknowledged_left = now;
            self.limited_until = self.delivered + 1;
        }
        self.in_flight += bytes;
        if self.departures.back().is_some_and(|last| last.at >= now) {
            return;
        }
        self.departures.push_back(Departure {
            at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            acknowledged_left: self.acknowledged_left,
            is_limited: self.delivered < self.limited_until,
        });
    }

    /// A packet that left at `left` is acknowledged. Ends with [`acknowledged`](Self::acknowledged).
    pub(super) fn arrived(&mut self, now: Instant, left: Instant, bytes: u64) {
        self.delivered += bytes;
        self.delivered_at = now;
        self.acknowledged += bytes;
        let known = self.departures.partition_point(|departure| departure.at <= left);
        let Some(departure) = known.checked_sub(1).and_then(|at| self.departures.get(at)) else { return };
        if self.newest.is_none_or(|newest| newest.at < departure.at) {
            self.newest = Some(*departure);
        }
    }

    /// All packets of an acknowledgement were told; `is_limited` when there was nothing more to send.
    pub(super) fn acknowledged(&mut self, now: Instant, in_flight: u64, is_limited: bool) -> Option<Sample> {
        self.in_flight = in_flight;
        if is_limited {
            self.limited_until = self.delivered + in_flight.max(1);
        }
        let acknowledged = std::mem::take(&mut self.acknowledged);
        let newest = self.newest.take()?;
        self.acknowledged_left = newest.at;
        let round_trip = now.saturating_duration_since(newest.at);
        // What left a round trip before the newest acknowledged packet is acknowledged or lost.
        while self.departures.front().is_some_and(|first| first.at + round_trip < newest.at) {
            self.departures.pop_front();
        }
        let arriving = now.saturating_duration_since(newest.delivered_at);
        let leaving = newest.at.saturating_duration_since(newest.acknowledged_left);
        let interval = arriving.max(leaving);
        if interval.is_zero() {
            return None;
        }
        #[allow(clippy::cast_precision_loss)] // a rate
        let rate = (self.delivered - newest.delivered) as f64 / interval.as_secs_f64();
        Some(Sample {
            rate,
            interval,
            round_trip,
            acknowledged,
            delivered_before: newest.delivered,
            is_limited: newest.is_limited,
        })
    }

    /// Bytes were lost.
    pub(super) fn lost(&mut self, bytes: u64) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A packet of 1000 bytes every millisecond over a path of 50 ms: the last sample.
    fn steady(packets: u32) -> (Deliveries, Option<Sample>, Instant) {
        let start = Instant::now();
        let mut deliveries = Deliveries::new(start);
        let mut sample = None;
        for tick in 0..packets {
            let now = start + MS * tick;
            deliveries.left(now, 1000);
            if tick >= 50 {
                deliveries.arrived(now, now - 50 * MS, 1000);
                sample = deliveries.acknowledged(now, 50_000, false);
            }
        }
        (deliveries, sample, start + MS * packets)
    }

    #[test]
    fn a_steady_flow_is_measured_at_its_rate() {
        let sample = steady(200).1.unwrap();
        assert!((990_000.0..1_010_000.0).contains(&sample.rate), "{sample:?}");
        assert_eq!((sample.round_trip, sample.is_limited), (50 * MS, false));
    }

    #[test]
    fn acknowledgements_that_come_at_once_do_not_look_like_a_faster_path() {
        let (mut deliveries, _, now) = steady(200);
        // Nothing for 20 ms, then everything of that time in one.
        for tick in 0..20 {
            deliveries.left(now + MS * tick, 1000);
        }
        let late = now + 20 * MS;
        for tick in 0..20 {
            deliveries.arrived(late, now + MS * tick - 50 * MS, 1000);
        }
        let sample = deliveries.acknowledged(late, 50_000, false).unwrap();
        assert!(sample.rate < 1_050_000.0, "{sample:?}");
    }

    #[test]
    fn what_follows_a_pause_is_marked_as_limited_by_us() {
        let (mut deliveries, _, now) = steady(200);
        deliveries.arrived(now, now - MS, 50_000);
        deliveries.acknowledged(now, 0, true);
        let later = now + 500 * MS;
        deliveries.left(later, 1000);
        deliveries.arrived(later + 50 * MS, later, 1000);
        let sample = deliveries.acknowledged(later + 50 * MS, 0, true).unwrap();
        assert!(sample.is_limited);
        assert_eq!(sample.interval, 50 * MS);
    }

    #[test]
    fn departures_are_forgotten_after_two_round_trips() {
        assert!(steady(10_000).0.departures.len() <= 102);
    }
}
