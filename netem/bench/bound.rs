//! The bound: the shortest time in which a wave of peers can become complete, whatever program moves the data.
//!
//! The fluid bound of Kumar and Ross: the seeder must send every byte once, the thinnest judged downlink must take in every byte, and all
//! uplinks together must send as many copies as there are judged peers. A link between zones must carry every byte once into a zone that has
//! none. Peers of earlier waves are sources like the seeder.
//!
//! A frame is larger than what it carries: on payload rate, the bound grows by the share of a full frame that is payload.
//!
//! Invariant: no real run beats the bound; each term alone is a lower bound, so their maximum is one.
//!
//! Not here: faults. A bound that knew them would excuse them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;

use crate::lab::Traffic;

use super::scenario::{Machine, Role, Scenario, What, When};

/// Bytes of an Ethernet header, which shapers count as well.
const ETHERNET: f64 = 14.0;
/// IPv4 header (20 bytes, RFC 791) and TCP header with timestamps (20 + 12 bytes, RFC 9293 and RFC 7323).
const TCP: f64 = 52.0;
/// IPv4 header (20 bytes) and UDP header (8 bytes, RFC 768).
const UDP: f64 = 28.0;
/// What QUIC puts around stream data in a full datagram: short header with an 8 byte connection id and a 2 byte number (11 bytes), tag of
/// the AEAD (16 bytes, RFC 9001), and about 3 bytes of a stream frame beside its offset (RFC 9000, sections 17.3 and 19.8).
const QUIC: f64 = 30.0;

/// What carries a contender's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    Tcp,
    Quic,
}

impl Transport {
    /// The share of a full frame that is payload.
    pub(crate) fn payload_share(self, mtu: u32) -> f64 {
        (f64::from(mtu) - self.around()) / (f64::from(mtu) + ETHERNET)
    }

    /// The same as a formula.
    pub(crate) fn formula(self, mtu: u32) -> String {
        match self {
            Self::Tcp => format!("({mtu} - {TCP} TCP/IPv4) / ({mtu} + {ETHERNET} Ethernet)"),
            Self::Quic => format!("({mtu} - {UDP} UDP/IPv4 - {QUIC} QUIC) / ({mtu} + {ETHERNET} Ethernet)"),
        }
    }

    /// About how many bytes of payload so many packets with so many bytes on the wire held. Small packets (acknowledgements,
    /// requests) come out as next to nothing, as they should.
    pub(crate) fn payload(self, traffic: Traffic) -> f64 {
        (traffic.bytes as f64 - traffic.packets as f64 * (ETHERNET + self.around())).max(0.0)
    }

    fn around(self) -> f64 {
        match self {
            Self::Tcp => TCP,
            Self::Quic => UDP + QUIC,
        }
    }
}

/// The bound of one wave on the rate of the wire.
pub(crate) fn of_wave(scenario: &Scenario, wave: usize, bytes: u64) -> Duration {
    let machines = scenario.machines();
    let rate = |machine: &&Machine| machine.group.up.bytes_per_second();
    let own: Vec<&Machine> = of(&machines, |machine| machine.group.role == Role::Peer && machine.group.wave == wave);
    let judged: Vec<&Machine> = own.iter().filter(|machine| machine.group.judged).copied().collect();
    let sources: Vec<&Machine> = of(&machines, |machine| is_source(scenario, machine, wave));
    let first = sources.iter().map(rate).sum::<f64>();
    let all = first + own.iter().map(rate).sum::<f64>();
    let down = judged.iter().map(|machine| machine.group.down.bytes_per_second()).fold(f64::INFINITY, f64::min);
    let mut per_byte = (1.0 / first).max(1.0 / down).max(judged.len() as f64 / all);
    let supplied: BTreeSet<_> = sources.iter().map(|machine| &machine.group.zone).collect();
    for machine in judged.iter().filter(|machine| !supplied.contains(&machine.group.zone)) {
        per_byte = per_byte.max(1.0 / into(scenario, machine, &sources));
    }
    Duration::from_secs_f64(bytes as f64 * per_byte)
}

/// What all links between zones can bring from `sources` into the zone of this machine. Zones without a link between them are joined
/// by one that is never full.
fn into(scenario: &Scenario, machine: &Machine, sources: &[&Machine]) -> f64 {
    let zones: BTreeSet<_> = sources.iter().map(|source| &source.group.zone).collect();
    let links = zones.into_iter().map(|from| {
        let joins = |zone: &Option<String>, name: &String| zone.as_ref() == Some(name);
        let link = scenario.between.iter().find(|link| {
            let [a, b] = &link.zones;
            let to = &machine.group.zone;
            (joins(from, a) && joins(to, b)) || (joins(from, b) && joins(to, a))
        });
        link.and_then(|link| link.rate).map_or(f64::INFINITY, |rate| rate.bytes_per_second())
    });
    links.sum()
}

/// Whether a machine holds everything when `wave` begins, as far as the scenario tells.
fn is_source(scenario: &Scenario, machine: &Machine, wave: usize) -> bool {
    let holds = machine.group.role == Role::Seeder || machine.group.wave < wave;
    let gone = scenario.faults.iter().any(|fault| {
        let ends = matches!(fault.what, What::Kill | What::Leave) && fault.hosts.contains(&machine.name);
        ends && wave > 1 && !matches!(fault.when, When::Wave(at) if at >= wave)
    });
    holds && !gone
}

fn of(machines: &[Machine], wanted: impl Fn(&Machine) -> bool) -> Vec<&Machine> {
    machines.iter().filter(|machine| wanted(machine)).collect()
}

#[cfg(test)]
#[path = "bound_tests.rs"]
mod tests;
