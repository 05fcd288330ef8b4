//! Course: a line, who sends over it, and what came of it.
//!
//! Goodput is the share of the payload rate: the line's rate less what headers take of a full packet (`netem/README.md`), so 1 is all
//! that any program could get. Queue and goodput are those of the second half of a run, so the start does not count there; the loss
//! counts all of it.
//!
//! Invariant: equal courses give equal outcomes.
//!
//! Not here: which courses make a table (`table`).

use std::time::Duration;

use strew::net::CongestionControl;
use strew::sim::{Rate, Rung};
use strew::units::{Bytes, Time};

use crate::topology::{FRAME, Link, Loss};
use crate::world::{Flow, World};

/// Payload of a full packet: MTU less IPv4, UDP and QUIC's 30 bytes, over the MTU with Ethernet's header (`netem/README.md`).
pub(crate) const PAYLOAD: f64 = 1442.0 / (1500.0 + FRAME as f64);
/// The MTU of the payload rate, for counting a queue in packets.
pub(crate) const PACKET: f64 = 1500.0 + FRAME as f64;

/// A loss as the ladder says it.
pub(crate) fn loss_of((share, burst): (f64, f64)) -> Loss {
    match (share > 0.0, burst > 1.0) {
        (false, _) => Loss::None,
        (true, false) => Loss::Random(share),
        (true, true) => Loss::Bursty { rate: share, mean_burst: burst },
    }
}

/// A line between two places; loss and jitter are the same both ways.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    /// Bytes a second.
    pub(crate) rate: u64,
    pub(crate) round_trip: Duration,
    pub(crate) jitter: Duration,
    pub(crate) loss: Loss,
    /// What may wait.
    pub(crate) queue: u64,
    /// The loss of what comes back, acknowledgements above all.
    pub(crate) loss_back: Loss,
    pub(crate) seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// Share of the payload rate, of each flow.
    pub(crate) goodput: Vec<f64>,
    /// Median time in the queue.
    pub(crate) wait: Duration,
    /// Share of the packets that the queue dropped.
    pub(crate) dropped: f64,
}

impl Outcome {
    /// The goodput of all flows.
    pub(crate) fn total(&self) -> f64 {
        self.goodput.iter().sum()
    }
}

impl Course {
    /// A line with a queue of so many bandwidth-delay products, without jitter and loss.
    pub(crate) fn new(rate: u64, round_trip: Duration, queue: f64) -> Self {
        let product = rate as f64 * round_trip.as_secs_f64();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bytes of a queue
        let queue = (product * queue) as u64;
        Self { rate, round_trip, jitter: Duration::ZERO, loss: Loss::None, queue, loss_back: Loss::None, seed: 1 }
    }

    /// A link of the ladder with another queue, a share of the one it has, and without loss.
    pub(crate) fn of(rung: &Rung, queue: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bytes of a queue
        let queue = (rung.queue().0 as f64 * queue) as u64;
        Self { jitter: rung.jitter, queue, ..Self::new(rung.rate.0, rung.round_trip, 1.0) }
    }

    /// The same with this loss in both directions. Acknowledgements are one for ten packets: in bursts of their own, as long as those of
    /// the data, all of a near path's would be lost for ever.
    pub(crate) const fn losing(self, loss: Loss) -> Self {
        let loss_back = match loss {
            Loss::Bursty { rate, .. } => Loss::Random(rate),
            other => other,
        };
        Self { loss, loss_back, ..self }
    }

    /// What leads to the receivers, and back.
    pub(crate) fn links(&self) -> [Link; 2] {
        let link = Link {
            rate: Some(Rate(self.rate)),
            delay: self.round_trip / 2,
            jitter: self.jitter,
            loss: self.loss,
            queue: Bytes(self.queue),
            ..Link::FREE
        };
        [link, Link { loss: self.loss_back, queue: Bytes(self.queue.max(256 << 10)), ..link }]
    }

    /// Flows without end over this time.
    pub(crate) fn run(&self, flows: &[CongestionControl], time: Duration) -> Outcome {
        let flow = |control: &CongestionControl| Flow { control: *control, starts: Time::ZERO, bytes: None };
        let mut world = World::new(&flows.iter().map(flow).collect::<Vec<_>>(), self.links(), self.seed);
        world.run(Time::ZERO + time / 2);
        self.measure(&mut world, time / 2)
    }

    /// What comes of the next `time`.
    pub(crate) fn measure(&self, world: &mut World, time: Duration) -> Outcome {
        let before = world.received();
        world.waits.clear();
        world.run(world.now() + time);
        let most = self.rate as f64 * PAYLOAD * time.as_secs_f64();
        let share = |(after, before): (u64, u64)| (after - before) as f64 / most;
        let counts = world.counts();
        world.waits.sort_unstable();
        let wait = world.waits.get(world.waits.len() / 2).copied();
        Outcome {
            goodput: world.received().into_iter().zip(before).map(share).collect(),
            wait: wait.unwrap_or_default(),
            dropped: counts.dropped as f64 / (counts.dropped + counts.packets).max(1) as f64,
        }
    }

    /// One transfer of so many bytes, from the first packet of its handshake to the last byte: the share of the payload rate.
    pub(crate) fn transfer(&self, control: CongestionControl, bytes: u64, patience: Duration) -> f64 {
        let flow = Flow { control, starts: Time::ZERO, bytes: Some(bytes) };
        let mut world = World::new(&[flow], self.links(), self.seed);
        world.run(Time::ZERO + patience);
        let least = bytes as f64 / (self.rate as f64 * PAYLOAD);
        let arrived = world.received()[0] as f64 / bytes as f64;
        arrived * least / world.now().since(Time::ZERO).as_secs_f64()
    }
}
