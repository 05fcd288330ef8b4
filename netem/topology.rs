//! Topology: which hosts there are and what the links between them are like.
//!
//! ```text
//!   host ── up ──> (zone pair) ──> down ──> host
//! ```
//!
//! Every host has a link into the network and one out of it. Between two zones there may be one more, shared by all hosts of the two
//! zones: the thin line that a fleet in two places has in common. Three links in a row are enough to say all that the bench asks for, and
//! few enough to compute the bound of a scenario by hand.
//!
//! Invariant: plain data. Two equal topologies with equal seeds lose the same packets of equal traffic.
//!
//! Not here: how packets are carried (`lab`, `link`), and what runs on the hosts.

use std::time::Duration;

use strew::sim::{Rate, Rung};
use strew::units::Bytes;

/// The whole network.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    /// The hosts; an index names one.
    pub(crate) hosts: Vec<Host>,
    /// Links between zones. A pair without one is limited by the hosts' own links only.
    pub(crate) between: Vec<ZoneLink>,
    /// Stands for all chance: loss, jitter, reordering.
    pub(crate) seed: u64,
    /// The longest IP packet in bytes.
    pub(crate) mtu: u32,
}

/// A machine with a network of its own.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// What people call it.
    pub(crate) name: String,
    /// The place where it stands.
    pub(crate) zone: Option<String>,
    /// From the host into the network.
    pub(crate) up: Link,
    /// From the network to the host.
    pub(crate) down: Link,
}

/// What all hosts of one zone share on the way to those of another.
#[derive(Clone, Debug)]
pub(crate) struct ZoneLink {
    /// The zone of the senders.
    pub(crate) from: String,
    /// The zone of the receivers.
    pub(crate) to: String,
    /// Their link, in this direction.
    pub(crate) link: Link,
}

/// One direction of a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Link {
    /// What it carries, in bytes per second, Ethernet headers included ([`FRAME`]); `None` is no limit.
    pub(crate) rate: Option<Rate>,
    /// Time on the way, one way, beside the time in the queue.
    pub(crate) delay: Duration,
    /// How far the delay strays from its mean, either way.
    pub(crate) jitter: Duration,
    /// Which packets are lost on the way, after they have used the link.
    pub(crate) loss: Loss,
    /// Share of the packets that are overtaken by those behind them.
    pub(crate) reorder: f64,
    /// What may wait for the link; more is dropped at its tail.
    pub(crate) queue: Bytes,
}

/// Which packets are lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Loss {
    /// None.
    None,
    /// This share, each for itself.
    Random(f64),
    /// This share, but in bursts with this mean length in packets (Gilbert and Elliott's channel with two states).
    Bursty {
        /// Share of all packets that are lost.
        rate: f64,
        /// Mean number of packets lost in a row, at least 1.
        mean_burst: f64,
    },
}

/// What an IP packet costs on a link beside itself: an Ethernet header, which the kernel's `tbf` counts too. Preamble, checksum
/// and gap (24 bytes more on copper) are left out in both.
pub(crate) const FRAME: u64 = 14;

/// The queue of a link that says nothing about it: 512 KiB, what a port of a common switch holds.
pub(crate) const QUEUE: Bytes = Bytes(512 << 10);

/// The longest packet of ordinary Ethernet.
pub(crate) const MTU: u32 = 1500;

impl Link {
    /// No limit and no delay.
    pub(crate) const FREE: Self = Self {
        rate: None,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss: Loss::None,
        reorder: 0.0,
        queue: QUEUE,
    };

    /// Only a rate.
    pub(crate) const fn of_rate(rate: Rate) -> Self {
        Self { rate: Some(rate), ..Self::FREE }
    }

    /// The links of a host on a rung of the ladder: from it, and to it.
    ///
    /// Whatever happens on the way happens on the first, so between two such hosts it happens once each way.
    pub(crate) fn of_rung(rung: &Rung) -> (Self, Self) {
        let down = Self { queue: rung.queue(), ..Self::of_rate(rung.rate) };
        let loss = Loss::of_share(rung.loss, rung.burst);
        (Self { delay: rung.round_trip / 2, jitter: rung.jitter, loss, ..down }, down)
    }

    /// Whether it does what a token bucket cannot.
    pub(crate) fn needs_emulator(&self) -> bool {
        let Self { rate: _, queue: _, delay, jitter, loss, reorder } = *self;
        delay > Duration::ZERO || jitter > Duration::ZERO || loss.share() > 0.0 || reorder > 0.0
    }
}

impl Loss {
    /// This share, in bursts if their mean length is above 1.
    pub(crate) fn of_share(share: f64, burst: f64) -> Self {
        match share {
            0.0 => Self::None,
            _ if burst > 1.0 => Self::Bursty { rate: share, mean_burst: burst },
            _ => Self::Random(share),
        }
    }

    /// The share of all packets that is lost.
    pub(crate) const fn share(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Random(share) | Self::Bursty { rate: share, .. } => share,
        }
    }
}

impl Host {
    /// A host with these links, in no zone.
    pub(crate) fn new(name: impl Into<String>, up: Link, down: Link) -> Self {
        Self { name: name.into(), zone: None, up, down }
    }
}

impl Topology {
    /// These hosts and nothing between them, with the MTU of ordinary Ethernet.
    pub(crate) const fn new(hosts: Vec<Host>) -> Self {
        Self { hosts, between: Vec::new(), seed: 1, mtu: MTU }
    }

    /// Whether it asks for more than rates, queues and an MTU, which the kernel does alone and cheaper.
    pub(crate) fn needs_emulator(&self) -> bool {
        let of_hosts = self.hosts.iter().any(|host| host.up.needs_emulator() || host.down.needs_emulator());
        of_hosts || !self.between.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rates_and_queues_are_left_to_the_kernel() {
        let thin = Link { queue: Bytes(9000), ..Link::of_rate(Rate(1000)) };
        let mut topology = Topology::new(vec![Host::new("a", thin, Link::FREE)]);
        assert!(!topology.needs_emulator());
        for more in [
            Link { delay: Duration::from_nanos(1), ..thin },
            Link { jitter: Duration::from_nanos(1), ..thin },
            Link { loss: Loss::Random(0.1), ..thin },
            Link { loss: Loss::Bursty { rate: 0.1, mean_burst: 3.0 }, ..thin },
            Link { reorder: 0.1, ..thin },
        ] {
            topology.hosts[0].down = more;
            assert!(topology.needs_emulator(), "{more:?}");
        }
        topology.hosts[0].down = thin;
        topology.between.push(ZoneLink { from: "here".into(), to: "there".into(), link: thin });
        assert!(topology.needs_emulator());
    }
}
