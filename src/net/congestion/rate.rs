//! Rate: the window follows what the path delivers, and not what it loses.
//!
//! ```text
//!   Startup ── delay rises, or the rate does not ──> Drain ──> Cruise <──> Probe (every eighth round)
//!      ^                                                          │  ^
//!      └── all is lost for long ──── from anywhere                v  │ the round trip was not confirmed for 10 s
//!                                                                Look
//! ```
//!
//! What is on the way is the rate times the least round trip, a twentieth more so that the estimate can rise by itself, and what the path
//! bunches. Every eighth round a fifth more asks whether the path has become wider, and less where that cost packets. The numbers were
//! found with `examples/congestion` on all links of the ladder.
//!
//! Invariant: the window is never below [`PACKETS_MIN`] packets of the present size, so quinn can always send.
//!
//! Not here: pacing, which quinn does at 1.25 windows a smoothed round trip; a controller cannot set it.

use std::any::Any;
use std::time::{Duration, Instant};

use quinn::congestion::Controller;
use quinn_proto::RttEstimator;

use super::path::{Path, Round};

/// What the controller is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Doubles every round.
    Startup {
        /// The best rate of a round so far.
        best: f64,
        /// Rounds since it grew by a quarter.
        plateau: u32,
    },
    /// Lets the queue of the startup run empty.
    Drain,
    /// Keeps the path just full.
    Cruise {
        /// Rounds in this phase.
        rounds: u32,
        /// The rate before the probe that led here.
        before: f64,
    },
    /// Sends more for a round.
    Probe {
        /// The rate before.
        before: f64,
    },
    /// Sends half for a round or two, to see the round trip without a queue.
    Look {
        /// Rounds in this phase.
        rounds: u32,
        /// The least round trip of this phase.
        least: Option<Duration>,
    },
}

/// The controller of one path.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    path: Path,
    phase: Phase,
    window: u64,
    initial_window: u64,
    packet: u64,
    /// By which share a probe raises the window.
    step: f64,
    /// Share of what may be on the way beyond the product: less than one after much loss.
    extra: f64,
    /// What came and was lost since that was looked at.
    tally: Round,
    /// Share of the window that is used: less than one after marks of a congested path.
    calm: f64,
    /// Rounds in a row that delivered much less than the estimate, behind a long queue.
    slow_rounds: u32,
}

impl Rate {
    /// A controller that knows nothing of its path.
    pub(super) fn new(now: Instant, initial_window: u64, packet: u16) -> Self {
        let packet = u64::from(packet);
        let initial_window = initial_window.max(PACKETS_MIN * packet);
        Self {
            path: Path::new(now),
            phase: STARTUP,
            window: initial_window,
            initial_window,
            packet,
            step: STEP_MAX,
            extra: 1.0,
            tally: Round::default(),
            calm: 1.0,
            slow_rounds: 0,
        }
    }

    /// A round is over.
    fn end_round(&mut self, now: Instant, round: &Round) {
        self.calm = (self.calm + CALM_RECOVERY).min(1.0);
        self.follow_loss(round);
        self.follow_fall(round);
        self.phase = match self.phase {
            Phase::Startup { best, plateau } if round.is_full() => {
                let grew = round.rate > best * STARTUP_GROWTH;
                let plateau = if grew { 0 } else { plateau + 1 };
                let fails = plateau >= STARTUP_ROUNDS || round.loss() > STARTUP_LOSS;
                if fails { Phase::Drain } else { Phase::Startup { best: best.max(round.rate), plateau } }
            }
            Phase::Look { rounds, least } if rounds + 1 >= LOOK_ROUNDS => {
                if let Some(least) = least {
                    self.path.renew_round_trip(now, least);
                }
                Phase::Cruise { rounds: 1, before: self.path.rate() }
            }
            Phase::Look { rounds, least } => Phase::Look { rounds: rounds + 1, least },
            Phase::Startup { .. } => self.phase,
            _ if self.path.is_old(now) => Phase::Look { rounds: 0, least: None },
            Phase::Drain => Phase::Probe { before: self.path.rate() },
            Phase::Probe { before } => Phase::Cruise { rounds: 0, before },
            Phase::Cruise { rounds, before } => self.cruise(round, rounds, before),
        };
    }

    /// What follows a round of cruising. The first one shows what the probe before it brought and what it cost.
    fn cruise(&mut self, round: &Round, rounds: u32, before: f64) -> Phase {
        let mut pays = false;
        if rounds == 0 {
            let usual = (self.path.loss() + PROBE_LOSS) * to_f64(round.acknowledged + round.lost);
            let costs = to_f64(round.lost) > usual + BURST * to_f64(self.packet);
            self.step = if costs { (self.step / 2.0).max(STEP_MIN) } else { (self.step * STEP_GROWTH).min(STEP_MAX) };
            pays = !costs && self.path.rate() > before * (1.0 + self.step * PROBE_PAYS);
        } else {
            self.path.learn_loss(round);
        }
        // Without enough to send, more of it shows nothing.
        let is_due = rounds + 1 >= CRUISE_ROUNDS && round.is_full();
        if pays || is_due {
            Phase::Probe { before: self.path.rate() }
        } else {
            Phase::Cruise { rounds: rounds + 1, before }
        }
    }

    /// A short queue that many senders share overflows with what each has on the way beyond its product, so whoever loses much
    /// takes less of that.
    fn follow_loss(&mut self, round: &Round) {
        self.tally.acknowledged += round.acknowledged;
        self.tally.lost += round.lost;
        if self.tally.acknowledged + self.tally.lost < TALLY_PACKETS * self.packet {
            return;
        }
        let loses = self.tally.loss() > EXTRA_LOSS;
        self.tally = Round::default();
        self.extra = if loses { (self.extra / 2.0).max(EXTRA_MIN) } else { (self.extra * EXTRA_GROWTH).min(1.0) };
    }

    /// A path that has become narrower would be flooded until the old estimate is forgotten: two rounds behind a long queue are proof.
    fn follow_fall(&mut self, round: &Round) {
        let waits = match (round.round_trip, self.path.round_trip()) {
            (Some(now), Some(least)) => now > least + least / 2 + DELAY_MIN,
            _ => false,
        };
        let is_slow = round.is_full() && waits && round.rate < self.path.rate() * FALL;
        self.slow_rounds = if is_slow { self.slow_rounds + 1 } else { 0 };
        if self.slow_rounds >= FALL_ROUNDS {
            self.path.lower_rate(round.rate);
            self.slow_rounds = 0;
        }
    }

    /// Whether the queue of this round shows that the startup has filled the path.
    fn is_delayed(&self) -> bool {
        let round = self.path.round();
        match (round.round_trip, self.path.round_trip()) {
            (Some(now), Some(least)) => {
                round.samples >= DELAY_SAMPLES && now > least + (least / 8).clamp(DELAY_MIN, DELAY_MAX)
            }
            _ => false,
        }
    }

    /// The window of this moment, after so many bytes of a full path were acknowledged.
    fn follow_path(&mut self, acknowledged: u64) {
        let full = self.path.product() / (1.0 - self.path.loss().min(LOSS_MADE_GOOD));
        let bunch_min = BUNCH_MIN * to_f64(self.packet);
        let bunch = self.path.bunch().clamp(bunch_min, full + bunch_min) * self.extra;
        let wanted = match self.phase {
            Phase::Startup { .. } => {
                let most = (full * STARTUP_GAIN + bunch).max(to_f64(self.initial_window));
                to_f64(self.window + acknowledged).min(most).max(to_f64(self.window))
            }
            Phase::Drain => full,
            Phase::Cruise { .. } => full * GAIN * self.calm + bunch,
            Phase::Probe { .. } => (full * GAIN * self.calm + bunch) * (1.0 + self.step),
            Phase::Look { .. } => full * LOOK_GAIN,
        };
        let is_near = self.path.round_trip().is_some_and(|least| least < NEAR);
        let has_floor = is_near && !matches!(self.phase, Phase::Look { .. });
        let floor = if has_floor { NEAR_FLOOR * self.extra } else { 0.0 };
        self.window = to_u64(wanted.max(floor)).max(PACKETS_MIN * self.packet);
    }
}

impl Controller for Rate {
    fn on_sent(&mut self, now: Instant, bytes: u64, _: u64) {
        self.path.left(now, bytes);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, _: bool, _: &RttEstimator) {
        self.path.arrived(now, sent, bytes);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, _: Option<u64>) {
        let (sample, ended) = self.path.acknowledged(now, in_flight, app_limited);
        let Some(sample) = sample else { return };
        if let Some(round) = ended {
            self.end_round(now, &round);
        }
        let is_delayed = self.is_delayed();
        match &mut self.phase {
            Phase::Startup { .. } if is_delayed => self.phase = Phase::Drain,
            Phase::Drain if to_f64(self.path.in_flight()) <= self.path.product() => {
                self.phase = Phase::Probe { before: self.path.rate() };
            }
            Phase::Look { least, .. } => {
                *least = Some(least.map_or(sample.round_trip, |least| least.min(sample.round_trip)));
            }
            _ => {}
        }
        self.follow_path(if app_limited { 0 } else { sample.acknowledged });
    }

    fn on_congestion_event(&mut self, _: Instant, _: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        self.path.lost(lost_bytes);
        if is_persistent_congestion {
            // The path was gone; what comes back may be another one.
            self.path.lower_rate(0.0);
            self.phase = STARTUP;
            self.window = RESTART_PACKETS * self.packet;
        } else if lost_bytes == 0 && self.calm >= 1.0 {
            // A mark instead of a loss (RFC 3168): once a round, as for a loss.
            self.calm = CALM;
            if matches!(self.phase, Phase::Startup { .. }) {
                self.phase = Phase::Drain;
            }
            self.follow_path(0);
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.packet = u64::from(new_mtu);
        self.window = self.window.max(PACKETS_MIN * self.packet);
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.initial_window
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[allow(clippy::cast_precision_loss)] // bytes of a window
fn to_f64(bytes: u64) -> f64 {
    bytes as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates; a window is not negative
fn to_u64(bytes: f64) -> u64 {
    bytes as u64
}

const STARTUP: Phase = Phase::Startup { best: 0.0, plateau: 0 };
/// Packets that may always be on the way: two acknowledge each other, two more bridge one loss (RFC 9002 has two).
const PACKETS_MIN: u64 = 4;
/// Packets to begin with after the path was gone (RFC 9002, initial window).
const RESTART_PACKETS: u64 = 10;
/// The startup may have twice the product on the way: it doubles every round, as the rate that it sees is that of the round before.
const STARTUP_GAIN: f64 = 2.0;
/// A round of the startup in which the rate grows by less than a quarter is a plateau, and after three of them the path is full (BBR).
const STARTUP_GROWTH: f64 = 1.25;
const STARTUP_ROUNDS: u32 = 3;
/// Loss that no usable path has by itself and a queue that overflows always has.
const STARTUP_LOSS: f64 = 0.15;
/// The startup ends when eight acknowledgements of a round came later by an eighth, at least 4 and at most 16 ms (HyStart++, RFC 9406).
const DELAY_SAMPLES: u32 = 8;
const DELAY_MIN: Duration = Duration::from_millis(4);
const DELAY_MAX: Duration = Duration::from_millis(16);
/// What is on the way beyond the product: enough for an estimate that is a little low to rise, and a queue of a twentieth.
const GAIN: f64 = 1.05;
/// What a probe adds: a fifth, which fits into a queue of a quarter of the product; less, down to a sixteenth, while probes overflow it.
const STEP_MAX: f64 = 0.2;
const STEP_MIN: f64 = 0.06;
const STEP_GROWTH: f64 = 1.25;
/// Loss beyond the usual that makes a probe too large, and packets beside it: in a round of fifty, one more is no sign.
const PROBE_LOSS: f64 = 0.02;
const BURST: f64 = 3.0;
/// A probe that brought two fifths of what it asked for is followed by another one at once.
const PROBE_PAYS: f64 = 0.4;
/// Rounds of cruising between probes.
const CRUISE_ROUNDS: u32 = 6;
/// Two rounds at half the window: in the first the queue runs empty, in the second it is seen.
const LOOK_ROUNDS: u32 = 2;
const LOOK_GAIN: f64 = 0.5;
/// Packets of headroom at least: what one acknowledgement tells (`TransportSettings::ack_threshold`).
const BUNCH_MIN: f64 = 10.0;
/// A path with a shorter round trip is near. There the timers of two busy machines are longer than the way.
const NEAR: Duration = Duration::from_millis(5);
/// The window on a near path (64 KiB: 200 Mbit/s at 2.6 ms), so that a sleeping thread costs nothing.
const NEAR_FLOOR: f64 = 65536.0;
/// Loss of a hundred packets and more that halves what is on the way beyond the product, how that comes back, and what stays: with
/// sixteen senders into one queue the headroom of ten packets is one.
const EXTRA_LOSS: f64 = 0.1;
const TALLY_PACKETS: u64 = 100;
const EXTRA_GROWTH: f64 = 1.1;
const EXTRA_MIN: f64 = 0.1;
/// Loss of the path that the window makes good, as what is lost is not delivered and yet on the way. No more of it: a queue that overflows
/// looks alike, and would be answered by more.
const LOSS_MADE_GOOD: f64 = 0.03;
/// A rate of less than three quarters of the estimate, two rounds long behind a queue of half a round trip, replaces it.
const FALL: f64 = 0.75;
const FALL_ROUNDS: u32 = 2;
/// What is left of the window after a mark, and what comes back each round (RFC 8511: 0.85 is the answer to a mark).
const CALM: f64 = 0.85;
const CALM_RECOVERY: f64 = 0.03;

#[cfg(test)]
mod tests;
