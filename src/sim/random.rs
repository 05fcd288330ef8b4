//! Random: small runs in which anything may happen, a different one for every seed.
//!
//! Shapes show how fast a swarm is; these show that it gets there at all. Machines of any rate join late, die, come back, freeze for a while or for
//! good, do so again and again, and lie. One run is over in milliseconds, so thousands of them meet what nobody thought of.
//!
//! Invariant: the first machine is an honest publisher; it may die or freeze, but only where others could take over.
//!
//! Not here: what must come of it ([`Report::converged`](super::Report::converged)).

use std::time::Duration;

use crate::sim::scenario::{Crossing, Failure, Host, Lie, Outage, Rate, Scenario};
use crate::units::{Bytes, Rng};

/// The kinds of liars.
const LIES: [Lie; 4] = [Lie::Corrupts, Lie::CorruptsSecond, Lie::Refuses, Lie::Silent];

impl Scenario {
    /// A small run with random sizes, rates, publishers, joins, outages and liars.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let chunk = 1024 << rng.u32(0..8);
        let total = rng.u64(1..chunk * 48);
        let count = rng.usize(2..24);
        // From a content that is there at once to one that takes minutes, so that every pause and patience is longer and shorter than it.
        let unit = 100_000 >> (2 * rng.u32(0..4));
        let mut hosts: Vec<Host> = (0..count).map(|_| Host::new(Rate(rng.u64(1..100) * unit))).collect();
        let publishers = rng.usize(1..4).min(count - 1);
        let ideal = hosts[0].up.time(total).max(Duration::from_millis(5));
        for (index, host) in hosts.iter_mut().enumerate() {
            host.publisher = index < publishers;
            if host.publisher {
                // Each publisher but one may go; the one may too, in a run of eight.
                let stays = if index == 0 { 8 } else { 2 };
                if rng.u8(0..stays) == 0 {
                    host.outages = outages(ideal, ideal.mul_f64(0.5), &mut rng);
                }
                continue;
            }
            host.down = Rate(rng.u64(1..100) * unit);
            if rng.u8(0..3) == 0 {
                host.joins = ideal.mul_f64(2.0 * rng.f64());
            }
            if rng.u8(0..3) == 0 {
                host.outages = outages(ideal, host.joins, &mut rng);
            }
            host.lie = (rng.u8(0..8) == 0).then(|| LIES[rng.usize(0..LIES.len())]);
        }
        let mut scenario = Self::new(Bytes(total), Bytes(chunk), hosts);
        scenario.round_trip = Duration::from_micros(rng.u64(10..50_000));
        scenario.detection = Duration::from_millis(rng.u64(10..10_000));
        scenario.degree = rng.usize(4..12);
        // The thinnest downlinks need most of an hour for the largest content, and more when much comes in vain.
        scenario.limit = Duration::from_secs(10 * 3600);
        scenario.check = true;
        scenario
    }
}

impl Scenario {
    /// The run of the same seed among machines in several zones, with links of any rate between them. Some have no label, and some
    /// find nobody outside; those have somebody in their zone who does.
    #[must_use]
    pub fn random_with_zones(seed: u64) -> Self {
        let mut scenario = Self::random(seed);
        // Another chance than that of the run without zones, or the two would be alike.
        let mut rng = Rng::with_seed(seed ^ 0x7a6f_6e65);
        let zones = rng.u32(2..5);
        for host in &mut scenario.hosts {
            host.zone = if rng.u8(0..8) == 0 { 0 } else { rng.u32(1..=zones) };
        }
        for zone in 1..=zones {
            let opens = |host: &Host| host.zone == zone && host.lie.is_none() && host.outages.is_empty();
            let Some(gateway) = scenario.hosts.iter().position(opens) else { continue };
            let others = scenario.hosts.iter_mut().enumerate().filter(|(index, _)| *index != gateway);
            for (_, host) in others.filter(|(_, host)| host.zone == zone && !host.publisher) {
                host.shut_in = rng.u8(0..4) == 0;
            }
        }
        let rate = scenario.hosts[rng.usize(0..scenario.hosts.len())].down;
        let round_trip = Duration::from_millis(rng.u64(1..200));
        scenario.crossing = Some(Crossing { rate, round_trip });
        scenario
    }
}

/// One to three outages of one kind or another after `from`, around the ideal time and around what it takes to notice them.
fn outages(ideal: Duration, from: Duration, rng: &mut Rng) -> Vec<Outage> {
    let mut outages = Vec::new();
    let mut at = from + ideal.mul_f64(1.5 * rng.f64());
    for left in (0..rng.u8(1..4)).rev() {
        let kind = if rng.bool() { Failure::Death } else { Failure::Freeze };
        let long = rng.bool();
        let lasts = if long { Duration::from_secs(12).mul_f64(rng.f64()) } else { ideal.mul_f64(rng.f64()) };
        let until = at + lasts.max(Duration::from_micros(1));
        let ends = left > 0 || rng.u8(0..3) > 0;
        outages.push(Outage { kind, at, until: ends.then_some(until) });
        at = until + ideal.mul_f64(0.2 * rng.f64()).max(Duration::from_micros(1));
    }
    outages
}
