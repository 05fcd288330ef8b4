//! The kernel's backend: a pair of virtual devices per host, a bridge in one more namespace, and a token bucket at both ends.
//!
//! ```text
//!   host 0 ── eth0 ──┐                 up:   tbf at eth0
//!   host 1 ── eth0 ──┤ bridge          down: tbf at the bridge's port
//!   host 2 ── eth0 ──┘
//! ```
//!
//! Where only rates matter this costs the machine least: packets stay in the kernel, and those of a batch travel together until a
//! queue cuts them up. So it is the backend for the scenarios whose links are fast.
//!
//! Invariant: every device has a queue that counts, also where nothing is limited.
//!
//! Not here: delay, loss and thin lines between zones (`emulator`).

use std::net::IpAddr;

use strew::sim::Rate;

use super::queues::Queues;
use super::system::{addresses, batch};
use super::{Counters, LabError, Traffic, address};
use crate::topology::{FRAME, Link, Topology};

/// The index of the port of host 0 at the bridge; those of the others follow.
const FIRST_PORT: u32 = 100;

/// Hosts whose links are the kernel's queues.
pub(crate) struct Kernel {
    hub: String,
    mtu: u32,
    namespaces: Vec<String>,
    links: Vec<(Link, Link)>,
    /// What queues did that are gone.
    gone: Vec<Counters>,
    hub_queues: Queues,
    host_queues: Vec<Queues>,
}

impl Kernel {
    /// Makes the devices between the hosts' namespaces and `hub`, all of which exist.
    pub(crate) fn up(topology: &Topology, hub: &str, namespaces: &[String]) -> Result<Self, LabError> {
        refuse_more_than_rates(topology)?;
        let mtu = topology.mtu;
        let bridges = ["bridge", "apart"].map(|name| format!("link add {name} type bridge\nlink set {name} up"));
        batch("ip", hub, &bridges)?;
        let mut links = Vec::new();
        let mut host_queues = Vec::new();
        for (at, (host, namespace)) in topology.hosts.iter().zip(namespaces).enumerate() {
            let (v4, v6) = address(at);
            let index = FIRST_PORT as usize + at;
            let add =
                format!("link add to{at} index {index} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {namespace}");
            batch("ip", hub, &[add, format!("link set to{at} master bridge up")])?;
            batch("ip", namespace, &addresses(v4, IpAddr::V6(v6)))?;
            batch("tc", namespace, &[format!("qdisc add dev eth0 root {}", queue(&host.up, mtu))])?;
            batch("tc", hub, &[format!("qdisc add dev to{at} root {}", queue(&host.down, mtu))])?;
            links.push((host.up, host.down));
            host_queues.push(Queues::of(namespace)?);
        }
        Ok(Self {
            hub: hub.to_owned(),
            mtu,
            namespaces: namespaces.to_vec(),
            gone: vec![Counters::default(); links.len()],
            links,
            hub_queues: Queues::of(hub)?,
            host_queues,
        })
    }

    /// The links of a host from now on.
    pub(crate) fn links(&mut self, host: usize, up: Link, down: Link) -> Result<(), LabError> {
        if up.needs_emulator() || down.needs_emulator() {
            return Err(LabError::NeedsEmulator("delay, jitter, loss or reordering"));
        }
        let (old_up, old_down) = self.links[host];
        let before = self.counters()?;
        for (old, new, namespace, device) in
            [(old_up, up, &self.namespaces[host], "eth0".to_owned()), (old_down, down, &self.hub, format!("to{host}"))]
        {
            if old != new {
                // What waits in a bucket stays when only its rate changes; a queue of another kind begins anew.
                let how = if old.rate.is_some() == new.rate.is_some() { "change" } else { "replace" };
                batch("tc", namespace, &[format!("qdisc {how} dev {device} root {}", queue(&new, self.mtu))])?;
            }
        }
        self.links[host] = (up, down);
        // A queue that was replaced counts from zero again.
        let missing = before[host].since(self.counters()?[host]);
        self.gone[host] = self.gone[host] + missing;
        Ok(())
    }

    /// The links of a host.
    pub(crate) fn links_of(&self, host: usize) -> (Link, Link) {
        self.links[host]
    }

    /// Leaves these hosts only each other, and the others only each other. Without hosts it joins all again.
    pub(crate) fn cut(&self, hosts: &[usize]) -> Result<(), LabError> {
        let bridge = |host| if hosts.contains(&host) { "apart" } else { "bridge" };
        let moves: Vec<_> =
            (0..self.namespaces.len()).map(|host| format!("link set to{host} master {}", bridge(host))).collect();
        batch("ip", &self.hub, &moves).map(|_| ())
    }

    /// What crossed the links of every host.
    pub(crate) fn counters(&self) -> Result<Vec<Counters>, LabError> {
        let down = self.hub_queues.read()?;
        let of_host = |at: usize| -> Result<Counters, LabError> {
            let up = self.host_queues[at].read()?;
            let port = u32::try_from(at).map_or(u32::MAX, |at| FIRST_PORT + at);
            let down = down.iter().find(|queue| queue.device == port);
            let now = Counters {
                sent: up.iter().fold(Traffic::default(), |sum, queue| sum + queue.sent),
                received: down.map_or(Traffic::default(), |queue| queue.sent),
                dropped: up.iter().chain(down).map(|queue| queue.dropped).sum(),
                lost: 0,
            };
            Ok(now + self.gone[at])
        };
        (0..self.namespaces.len()).map(of_host).collect()
    }
}

fn refuse_more_than_rates(topology: &Topology) -> Result<(), LabError> {
    if !topology.between.is_empty() {
        return Err(LabError::NeedsEmulator("a link between zones"));
    }
    if topology.needs_emulator() {
        return Err(LabError::NeedsEmulator("delay, jitter, loss or reordering"));
    }
    Ok(())
}

/// A queue in the words of tc(8).
fn queue(link: &Link, mtu: u32) -> String {
    match link.rate {
        Some(rate) => {
            let (burst, limit) = (burst(rate, mtu), link.queue.0.max(longest(mtu)));
            // tc takes bits; `bit` after a number means bits per second.
            format!("tbf rate {}bit burst {burst} limit {limit}", rate.0.saturating_mul(8))
        }
        // Counts, which a device without a queue would not; never full, as nothing slows it.
        None => "pfifo limit 10000".to_owned(),
    }
}

/// What may pass at once after a silence: 5 ms at the link's rate, so that slow links show no bursts of half a second.
///
/// At most 128 KiB, the largest batch that a socket hands over and some more: a batch that fits is passed on whole, which spares the machine most
/// of the work. At least two packets, without which the timer's grain would cost rate.
fn burst(rate: Rate, mtu: u32) -> u64 {
    (rate.0 / 200).clamp(2 * longest(mtu), 128 << 10)
}

fn longest(mtu: u32) -> u64 {
    u64::from(mtu) + FRAME
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::QUEUE;

    #[test]
    fn a_queue_is_said_in_bits_and_bytes() {
        let link = Link::of_rate(Rate(25_000_000));
        assert_eq!(queue(&link, 1500), format!("tbf rate 200000000bit burst 125000 limit {}", QUEUE.0));
        assert_eq!(queue(&Link::FREE, 1500), "pfifo limit 10000");
    }

    #[test]
    fn bursts_are_short_on_slow_links_and_hold_a_batch_on_fast_ones() {
        assert_eq!(burst(Rate(10_000), 1500), 3028);
        assert_eq!(burst(Rate(2_500_000), 1500), 12_500);
        assert_eq!(burst(Rate::GIGABIT, 1500), 128 << 10);
    }
}
