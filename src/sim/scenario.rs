//! Scenario: the machines and links of one simulated run.
//!
//! Plain data, so that a test can bend any part of it; the shapes that the efficiency table speaks of have makers.
//!
//! Invariant: a scenario and its seed determine the run completely.
//!
//! Not here: loss, congestion control and disks. The simulator judges the policy; real links judge the rest.

use std::time::Duration;

use crate::swarm::Config;
use crate::units::{Bytes, Rng};

/// A rate on a link, in bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(pub u64);

impl Rate {
    /// One gigabit per second.
    pub const GIGABIT: Self = Self(125_000_000);

    /// Time that this many bytes take.
    #[must_use]
    pub fn time(self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.0.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// This rate divided by `divisor`.
    #[must_use]
    pub const fn over(self, divisor: u64) -> Self {
        Self(self.0 / divisor)
    }
}

/// One machine.
#[derive(Clone, Debug)]
pub struct Host {
    /// What it can send.
    pub up: Rate,
    /// What it can take.
    pub down: Rate,
    /// It publishes, and holds everything from the start; otherwise it holds nothing.
    pub publisher: bool,
    /// When it joins.
    pub joins: Duration,
    /// When it dies without a word, if it does.
    pub dies: Option<Duration>,
    /// When it comes back with what it had, if it does.
    pub returns: Option<Duration>,
    /// Every chunk that it sends is bad.
    pub lies: bool,
}

impl Host {
    /// A machine with equal rates that is there from the start to the end.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self { up: rate, down: rate, publisher: false, joins: Duration::ZERO, dies: None, returns: None, lies: false }
    }

    /// A publisher with this uplink.
    #[must_use]
    pub const fn publisher(rate: Rate) -> Self {
        let mut host = Self::new(rate);
        host.publisher = true;
        host
    }
}

/// One run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Size of the content.
    pub total: Bytes,
    /// Size of a chunk.
    pub chunk: Bytes,
    /// The machines; an index names one.
    pub hosts: Vec<Host>,
    /// Round trip between any two machines.
    pub round_trip: Duration,
    /// Rate at which a machine digests and writes what it fetched.
    ///
    /// Default 1 GB/s: one core's BLAKE3 and a fast disk together.
    pub verify: Rate,
    /// Time from the publisher's first byte of a chunk until its neighbours hold the signed digest.
    ///
    /// Default 5 ms beside the link's delay: the chunk is read and digested (below 1 ms at 1 MiB), then waits for the signed batch, which
    /// goes out every 2 ms, and shares the connection with data. Others send digests ahead of the have, so they never delay.
    pub proof_delay: Duration,
    /// Time until a dead neighbour is noticed.
    ///
    /// Default 5 s: half of the idle time of a connection, as keep-alives are lost one after the other.
    pub detection: Duration,
    /// Neighbours that a peer looks for; up to `degree + 1` peers make a full mesh.
    ///
    /// Default 10: eight to twelve are within half a point of each other, four and sixteen lose one (simulated).
    pub degree: usize,
    /// Neighbours that a publisher looks for.
    ///
    /// Default 16, and 32 beyond 128 machines: below 16 its uplink has idle moments.
    pub publisher_degree: usize,
    /// The run ends here even if somebody is not complete.
    pub limit: Duration,
    /// Check every machine's invariants after every input. Costs a walk over all chunks each time.
    pub check: bool,
    /// What every machine runs with; the simulator sets `publisher`.
    pub config: Config,
}

/// The named scenarios of the efficiency table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Everybody has the same rate both ways. The hardest: no byte may leave the publisher twice.
    Homogeneous,
    /// The publisher's uplink is a quarter of the others'.
    SeederQuarter,
    /// A tenth of the peers has a tenth of the rate both ways; efficiency is that of the others.
    Slow,
    /// A tenth of the peers has a tenth of the uplink.
    SlowUplinks,
    /// A tenth of the peers dies between 30 % and 70 % of the bound.
    Failing,
    /// Peers join one after the other during the bound.
    Arrivals,
}

impl Shape {
    /// All of them, with the names that the command line uses.
    pub const ALL: [(&str, Self); 6] = [
        ("homogeneous", Self::Homogeneous),
        ("seeder-quarter", Self::SeederQuarter),
        ("slow", Self::Slow),
        ("slow-uplinks", Self::SlowUplinks),
        ("failing", Self::Failing),
        ("arrivals", Self::Arrivals),
    ];
}

impl Scenario {
    /// A content among these machines, everything else at its default.
    #[must_use]
    pub fn new(total: Bytes, chunk: Bytes, hosts: Vec<Host>) -> Self {
        let publisher_degree = if hosts.len() > 129 { 32 } else { 16 };
        Self {
            total,
            chunk,
            hosts,
            round_trip: Duration::from_micros(500),
            verify: Rate(1_000_000_000),
            proof_delay: Duration::from_millis(5),
            detection: Duration::from_secs(5),
            degree: 10,
            publisher_degree,
            limit: Duration::from_secs(24 * 3600),
            check: false,
            config: Config::default(),
        }
    }

    /// One publisher and `peers` peers of this shape; `seed` chooses who is slow or dies.
    #[must_use]
    pub fn shaped(shape: Shape, peers: usize, total: Bytes, chunk: Bytes, seed: u64) -> Self {
        let rate = Rate::GIGABIT;
        let ideal = rate.time(total.0);
        let mut rng = Rng::with_seed(seed);
        let mut hosts = vec![Host::new(rate); peers + 1];
        hosts[0] = Host::publisher(rate);
        let tenth = peers.div_ceil(10);
        match shape {
            Shape::Homogeneous => {}
            Shape::SeederQuarter => hosts[0].up = rate.over(4),
            Shape::Slow => hosts[1..=tenth].iter_mut().for_each(|h| (h.up, h.down) = (rate.over(10), rate.over(10))),
            Shape::SlowUplinks => hosts[1..=tenth].iter_mut().for_each(|h| h.up = rate.over(10)),
            Shape::Failing => {
                hosts[1..=tenth].iter_mut().for_each(|h| h.dies = Some(ideal.mul_f64(0.3 + 0.4 * rng.f64())));
            }
            Shape::Arrivals => hosts[1..].iter_mut().for_each(|h| h.joins = ideal.mul_f64(rng.f64())),
        }
        Self::new(total, chunk, hosts)
    }

    /// A small run with random sizes, rates, joins, deaths, returns, perhaps a liar or a second publisher; the first one stays.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let chunk = 1024 << rng.u32(0..8);
        let total = rng.u64(1..chunk * 48);
        let mut hosts: Vec<Host> = (0..rng.usize(2..24)).map(|_| Host::new(Rate(rng.u64(1..100) * 100_000))).collect();
        let ideal = hosts[0].up.time(total).max(Duration::from_millis(5));
        hosts[0].publisher = true;
        for host in &mut hosts[1..] {
            host.down = Rate(rng.u64(1..100) * 100_000);
            if rng.u8(0..3) == 0 {
                host.joins = ideal.mul_f64(2.0 * rng.f64());
            }
            if rng.u8(0..4) == 0 {
                host.dies = Some(host.joins + ideal.mul_f64(2.0 * rng.f64()));
                host.returns = rng.bool().then(|| host.joins + ideal.mul_f64(2.0 + rng.f64()));
            }
            host.lies = rng.u8(0..20) == 0;
        }
        hosts[1].publisher = rng.u8(0..4) == 0;
        let mut scenario = Self::new(Bytes(total), Bytes(chunk), hosts);
        scenario.round_trip = Duration::from_micros(rng.u64(10..50_000));
        scenario.detection = Duration::from_millis(rng.u64(10..10_000));
        scenario.degree = rng.usize(2..12);
        scenario.check = true;
        scenario
    }
}
