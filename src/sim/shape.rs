//! Shape: the scenarios that the efficiency table speaks of.
//!
//! Each bends one thing: a thin publisher, slow peers, departures, late arrivals, several publishers, places far from each other. A policy that is good in all of
//! them has no one thing to thank for it.
//!
//! Invariant: a shape, its numbers and a seed determine the scenario.
//!
//! Not here: the figures to be reached (`table`).

use std::time::Duration;

use crate::sim::scenario::{Crossing, Host, Outage, Rate, Scenario};
use crate::units::{Bytes, Rng};

/// Round trip between two regions: about that across the Atlantic.
const FAR: Duration = Duration::from_millis(80);

/// A named scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Everybody has the same rate both ways. The hardest: no byte may leave the publisher twice.
    Homogeneous,
    /// The same at a hundredth of the rate: what waits for a time of its own shows here.
    ThinLinks,
    /// The publisher's uplink is a quarter of the others'.
    SeederQuarter,
    /// A tenth of the peers has a tenth of the rate both ways; efficiency is that of the others.
    Slow,
    /// A tenth of the peers has a tenth of the uplink.
    SlowUplinks,
    /// Peers join one after the other during the bound.
    Arrivals,
    /// A tenth of the peers dies between 30 % and 70 % of the bound.
    Dying,
    /// A third of the peers does.
    DyingThird,
    /// An eighth of the peers dies then, and another eighth freezes for good.
    Freezing,
    /// Two publishers, each with everybody's rate.
    TwoPublishers,
    /// Four of them.
    FourPublishers,
    /// Two, of which one dies at half of the bound.
    PublisherDies,
    /// Every other peer is in a second zone, behind a link of half a machine's rate and 80 ms.
    TwoRegions,
    /// The same behind a link of twice a machine's rate, which is no bound.
    TwoRegionsWide,
    /// The publisher is alone in its zone, behind the link of half a machine's rate.
    LonePublisher,
    /// The publisher is alone in its zone, behind a link that is no bound, and one of the peers has a tenth of the uplink.
    SlowInZone,
    /// The same, and that one is a finished copy with a hundredth of the uplink, beside which the others begin.
    SlowCopyInZone,
    /// Every peer is alone in a zone, but for one that is a finished copy with a tenth of the uplink beside the publisher.
    AloneInZone,
}

impl Shape {
    /// All of them, with the names that the command line uses.
    pub const ALL: [(&str, Self); 18] = [
        ("homogeneous", Self::Homogeneous),
        ("thin-links", Self::ThinLinks),
        ("seeder-quarter", Self::SeederQuarter),
        ("slow", Self::Slow),
        ("slow-uplinks", Self::SlowUplinks),
        ("arrivals", Self::Arrivals),
        ("dying", Self::Dying),
        ("dying-third", Self::DyingThird),
        ("freezing", Self::Freezing),
        ("two-publishers", Self::TwoPublishers),
        ("four-publishers", Self::FourPublishers),
        ("publisher-dies", Self::PublisherDies),
        ("two-regions", Self::TwoRegions),
        ("two-regions-wide", Self::TwoRegionsWide),
        ("lone-publisher", Self::LonePublisher),
        ("slow-in-zone", Self::SlowInZone),
        ("slow-copy-in-zone", Self::SlowCopyInZone),
        ("alone-in-zone", Self::AloneInZone),
    ];

    /// The name that the command line uses.
    ///
    /// # Panics
    /// Never: every shape stands in [`Self::ALL`].
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, shape)| *shape == self).expect("every shape has a name").0
    }

    const fn publishers(self) -> usize {
        match self {
            Self::TwoPublishers | Self::PublisherDies => 2,
            Self::FourPublishers => 4,
            _ => 1,
        }
    }
}

impl Scenario {
    /// Publishers and `peers` peers of this shape with links of 1 Gbit/s; `seed` chooses who dies or joins when.
    #[must_use]
    pub fn shaped(shape: Shape, peers: usize, total: Bytes, chunk: Bytes, seed: u64) -> Self {
        Self::shaped_at(Rate::GIGABIT, shape, peers, total, chunk, seed)
    }

    /// The same with links of another rate.
    #[must_use]
    pub fn shaped_at(rate: Rate, shape: Shape, peers: usize, total: Bytes, chunk: Bytes, seed: u64) -> Self {
        let rate = if shape == Shape::ThinLinks { rate.over(100) } else { rate };
        let ideal = rate.time(total.0);
        let mut rng = Rng::with_seed(seed);
        let mut publishers = vec![Host::publisher(rate); shape.publishers()];
        let mut others = vec![Host::new(rate); peers];
        let mut midway = || ideal.mul_f64(0.3 + 0.4 * rng.f64());
        let (tenth, eighth, third) = (peers.div_ceil(10), peers / 8, peers / 3);
        match shape {
            Shape::Homogeneous | Shape::ThinLinks | Shape::TwoPublishers | Shape::FourPublishers => {}
            Shape::SeederQuarter => publishers[0].up = rate.over(4),
            Shape::Slow => others[..tenth].iter_mut().for_each(|h| (h.up, h.down) = (rate.over(10), rate.over(10))),
            Shape::SlowUplinks => others[..tenth].iter_mut().for_each(|h| h.up = rate.over(10)),
            Shape::Arrivals => others.iter_mut().for_each(|h| h.joins = ideal.mul_f64(rng.f64())),
            Shape::Dying => others[..tenth].iter_mut().for_each(|h| h.outages.push(Outage::death(midway()))),
            Shape::DyingThird => others[..third].iter_mut().for_each(|h| h.outages.push(Outage::death(midway()))),
            Shape::Freezing => {
                let (dying, rest) = others.split_at_mut(eighth);
                dying.iter_mut().for_each(|h| h.outages.push(Outage::death(midway())));
                rest[..eighth].iter_mut().for_each(|h| h.outages.push(Outage::freeze(midway())));
            }
            Shape::PublisherDies => publishers[1].outages.push(Outage::death(ideal / 2)),
            Shape::TwoRegions | Shape::TwoRegionsWide => {
                publishers[0].zone = 1;
                others.iter_mut().zip([2, 1].into_iter().cycle()).for_each(|(host, zone)| host.zone = zone);
            }
            Shape::LonePublisher | Shape::SlowInZone | Shape::SlowCopyInZone | Shape::AloneInZone => {
                publishers[0].zone = 1;
                others.iter_mut().for_each(|host| host.zone = 2);
                if let Some(first) = others.first_mut().filter(|_| shape != Shape::LonePublisher) {
                    first.finished = shape != Shape::SlowInZone;
                    first.up = rate.over(if shape == Shape::SlowCopyInZone { 100 } else { 10 });
                }
                if shape == Shape::AloneInZone {
                    others.iter_mut().zip(1..).for_each(|(host, zone)| host.zone = zone);
                }
            }
        }
        publishers.append(&mut others);
        let mut scenario = Self::new(total, chunk, publishers);
        let across = match shape {
            Shape::TwoRegions | Shape::LonePublisher => Some(rate.over(2)),
            Shape::TwoRegionsWide | Shape::SlowInZone | Shape::SlowCopyInZone | Shape::AloneInZone => {
                Some(Rate(2 * rate.0))
            }
            _ => None,
        };
        scenario.crossing = across.map(|rate| Crossing { rate, round_trip: FAR });
        scenario.limit = scenario.limit.min(Duration::from_secs(3600));
        scenario
    }
}
