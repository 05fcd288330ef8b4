//! Fleet: a large swarm to which everything happens at once.
//!
//! Shapes bend one thing each, and random runs are small. Here machines in four zones join late, die, come back, freeze and lie while
//! everybody else is at work, as in any fleet of a thousand on any day.
//!
//! Invariant: the publisher is honest and stays, so nothing is lost; nothing befalls a machine twice.
//!
//! Not here: what must come of it ([`Report`](super::Report)).

use std::time::Duration;

use crate::sim::scenario::{Crossing, Host, Lie, Outage, Rate, Scenario};
use crate::units::{Bytes, Rng};

/// Zones, the publisher's included.
const ZONES: [u32; 4] = [1, 2, 3, 4];
/// Round trip between two zones: two regions of one continent.
const APART: Duration = Duration::from_millis(20);
/// The kinds of liars; one peer in a hundred is one of them, and there is one of each at least.
const LIES: [Lie; 4] = [Lie::Corrupts, Lie::CorruptsSecond, Lie::Refuses, Lie::Silent];

impl Scenario {
    /// One publisher and `peers` peers with links of `rate`, and of the same rate between any two of four zones. In units of the time that the
    /// content takes at this rate: a fifth of the peers join within the first fifth; at 0.3 to 0.7, one in twenty dies for good, and one in ten
    /// dies and one in twenty freezes for 0.1 to 0.2; one in a hundred lies.
    #[must_use]
    pub fn fleet(rate: Rate, peers: usize, total: Bytes, chunk: Bytes, seed: u64) -> Self {
        let ideal = rate.time(total.0);
        let mut rng = Rng::with_seed(seed);
        let mut hosts = vec![Host::new(rate); peers];
        let mut order: Vec<usize> = (0..peers).collect();
        rng.shuffle(&mut order);
        let midway = |rng: &mut Rng| ideal.mul_f64(0.3 + 0.4 * rng.f64());
        let mut left = &order[..];
        let mut take = |count: usize| {
            let (some, rest) = left.split_at(count.min(left.len()));
            left = rest;
            some
        };
        for (at, index) in take((peers / 100).max(LIES.len())).iter().enumerate() {
            hosts[*index].lie = Some(LIES[at % LIES.len()]);
        }
        for index in take(peers / 5) {
            hosts[*index].joins = ideal.mul_f64(0.2 * rng.f64());
        }
        for index in take(peers / 20) {
            hosts[*index].outages = vec![Outage::death(midway(&mut rng))];
        }
        for (count, begins) in [(peers / 10, Outage::death as fn(Duration) -> Outage), (peers / 20, Outage::freeze)] {
            for index in take(count) {
                let at = midway(&mut rng);
                hosts[*index].outages = vec![begins(at).until(at + ideal.mul_f64(0.1 + 0.1 * rng.f64()))];
            }
        }
        hosts.insert(0, Host::publisher(rate));
        hosts.iter_mut().zip(ZONES.iter().cycle()).for_each(|(host, zone)| host.zone = *zone);
        let mut scenario = Self::new(total, chunk, hosts);
        scenario.crossing = Some(Crossing { rate, round_trip: APART });
        scenario.limit = scenario.limit.min(20 * ideal + Duration::from_secs(600));
        scenario
    }
}
