//! Path: what is known of the way to a peer: its rate, its least round trip, how it bunches, what it loses.
//!
//! All of it is counted in rounds: one is over when a packet is acknowledged that left after the round before was over. So a slow path gets
//! as many samples for a decision as a quick one.
//!
//! Invariant: a round in which there was too little to send lowers no estimate; it can only raise one.
//!
//! Not here: how much to send (`rate`).

use std::time::{Duration, Instant};

use super::deliveries::{Deliveries, Sample};
use super::extremes::{Least, Most};

/// What is known of a path.
#[derive(Clone, Debug)]
pub(super) struct Path {
    deliveries: Deliveries,
    /// Rounds with enough to send, which alone let the rate grow old.
    full_rounds: u64,
    rate: Most,
    round_trip: Least,
    /// Bytes that arrive beyond what the rate explains, because acknowledgements come in bunches.
    bunch: Most,
    bunch_since: Instant,
    bunch_bytes: f64,
    /// Share of the bytes that is lost, smoothed over rounds.
    loss: f64,
    round: Round,
    /// A round ends when a packet arrives that left after so many bytes had been delivered.
    round_ends: u64,
}

/// What happened in a round.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Round {
    /// The highest rate of a sample that was not limited by us, or zero.
    pub(super) rate: f64,
    /// The least round trip.
    pub(super) round_trip: Option<Duration>,
    /// Acknowledgements with a round trip.
    pub(super) samples: u32,
    /// Bytes that were acknowledged.
    pub(super) acknowledged: u64,
    /// Bytes that were lost.
    pub(super) lost: u64,
}

impl Round {
    /// Share of the bytes that was lost.
    #[allow(clippy::cast_precision_loss)] // a share
    pub(super) fn loss(&self) -> f64 {
        self.lost as f64 / (self.acknowledged + self.lost).max(1) as f64
    }

    /// Whether there was enough to send to learn the path's rate.
    pub(super) fn is_full(&self) -> bool {
        self.rate > 0.0
    }
}

impl Path {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            deliveries: Deliveries::new(now),
            full_rounds: 0,
            rate: Most::of_rounds(RATE_ROUNDS),
            round_trip: Least::new(now),
            bunch: Most::of_rounds(BUNCH_ROUNDS),
            bunch_since: now,
            bunch_bytes: 0.0,
            loss: 0.0,
            round: Round::default(),
            round_ends: 0,
        }
    }

    /// Bytes a second; zero before the first sample.
    pub(super) fn rate(&self) -> f64 {
        self.rate.value()
    }

    /// The round trip without queues, as far as it was seen.
    pub(super) const fn round_trip(&self) -> Option<Duration> {
        self.round_trip.value()
    }

    /// Bytes on the way of a full path without queues; zero before the first sample.
    pub(super) fn product(&self) -> f64 {
        self.rate() * self.round_trip().unwrap_or_default().as_secs_f64()
    }

    /// Bytes that must be on the way beyond the product for bunches not to starve the path.
    pub(super) fn bunch(&self) -> f64 {
        self.bunch.value()
    }

    /// Share of the bytes that is lost whatever we do.
    pub(super) const fn loss(&self) -> f64 {
        self.loss
    }

    /// The round so far.
    pub(super) const fn round(&self) -> &Round {
        &self.round
    }

    pub(super) const fn in_flight(&self) -> u64 {
        self.deliveries.in_flight()
    }

    /// Whether the least round trip was not seen for long.
    pub(super) fn is_old(&self, now: Instant) -> bool {
        self.round_trip.is_old(now)
    }

    pub(super) fn left(&mut self, now: Instant, bytes: u64) {
        self.deliveries.left(now, bytes);
    }

    pub(super) fn arrived(&mut self, now: Instant, left: Instant, bytes: u64) {
        self.deliveries.arrived(now, left, bytes);
    }

    pub(super) fn lost(&mut self, bytes: u64) {
        self.deliveries.lost(bytes);
        self.round.lost += bytes;
    }

    /// An acknowledgement was told: its sample, and the round that it ended.
    pub(super) fn acknowledged(
        &mut self,
        now: Instant,
        in_flight: u64,
        is_limited: bool,
    ) -> (Option<Sample>, Option<Round>) {
        let Some(sample) = self.deliveries.acknowledged(now, in_flight, is_limited) else { return (None, None) };
        let ended = (sample.delivered_before >= self.round_ends).then(|| self.end_round());
        self.round.samples += 1;
        self.round.acknowledged += sample.acknowledged;
        self.round.round_trip =
            Some(self.round.round_trip.map_or(sample.round_trip, |least| least.min(sample.round_trip)));
        self.round_trip.see(now, sample.round_trip);
        // A shorter interval than any round trip is a bunch, not a rate.
        if self.round_trip().is_some_and(|least| sample.interval >= least) {
            if !sample.is_limited {
                self.round.rate = self.round.rate.max(sample.rate);
                self.rate.see(self.full_rounds, sample.rate);
            } else if sample.rate > self.rate() {
                self.rate.see(self.full_rounds, sample.rate);
            }
        }
        self.see_bunch(now, &sample);
        (Some(sample), ended)
    }

    /// The loss that belongs to the path and not to us is what a quiet round shows.
    pub(super) fn learn_loss(&mut self, round: &Round) {
        self.loss += (round.loss().min(LOSS_MAX) - self.loss) * LOSS_GAIN;
    }

    /// The path carries less than it did.
    pub(super) fn lower_rate(&mut self, rate: f64) {
        self.rate.begin_again(self.full_rounds, rate);
    }

    /// A look at the empty path has shown its round trip.
    pub(super) const fn renew_round_trip(&mut self, now: Instant, round_trip: Duration) {
        self.round_trip.begin_again(now, round_trip);
    }

    fn end_round(&mut self) -> Round {
        self.round_ends = self.deliveries.delivered();
        self.full_rounds += u64::from(self.round.is_full());
        std::mem::take(&mut self.round)
    }

    /// Adds what came to the bunch, which begins anew as soon as it is explained by the rate.
    #[allow(clippy::cast_precision_loss)] // bytes of a window
    fn see_bunch(&mut self, now: Instant, sample: &Sample) {
        let explained = self.rate() * now.saturating_duration_since(self.bunch_since).as_secs_f64();
        if self.bunch_bytes <= explained {
            self.bunch_since = now;
            self.bunch_bytes = sample.acknowledged as f64;
        } else {
            self.bunch_bytes += sample.acknowledged as f64;
        }
        let explained = self.rate() * now.saturating_duration_since(self.bunch_since).as_secs_f64();
        self.bunch.see(self.full_rounds, self.bunch_bytes - explained);
    }
}

/// Rounds for which the best rate is believed: the cycle of eight (`rate`) and two for what its last step brings (BBR: ten as well).
const RATE_ROUNDS: u64 = 10;
/// Rounds for which the largest bunch is believed, for the same reason.
const BUNCH_ROUNDS: u64 = 10;
/// Weight of a new round in the smoothed loss: a burst of eight in a round of 200 packets moves it by half a percent.
const LOSS_GAIN: f64 = 0.1;
/// A round counts for no more loss than this: above it the path is broken and not lossy.
const LOSS_MAX: f64 = 0.2;
