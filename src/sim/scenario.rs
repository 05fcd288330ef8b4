//! Scenario: the machines and links of one simulated run.
//!
//! Plain data, so that a test can bend any part of it. The shapes that the efficiency table speaks of have makers (`shape`), and so have
//! small runs in which anything may happen (`random`).
//!
//! Invariant: a scenario and its seed determine the run completely.
//!
//! Not here: loss, congestion control and disks. The simulator judges the policy; real links judge the rest.

use std::time::Duration;

use crate::swarm::{Config, Zone};
use crate::units::Bytes;

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

/// The link between two zones: what any machines at its ends send each other goes through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// What it carries each way.
    pub rate: Rate,
    /// Round trip between two machines at its ends.
    pub round_trip: Duration,
}

/// One machine.
#[derive(Clone, Debug)]
pub struct Host {
    /// What it can send.
    pub up: Rate,
    /// What it can take.
    pub down: Rate,
    /// It publishes, and holds everything from the start; otherwise it holds nothing, unless it is `finished`.
    pub publisher: bool,
    /// It holds everything when it joins, and does not publish.
    pub finished: bool,
    /// When it joins.
    pub joins: Duration,
    /// When it does nothing: one after the other, none before it joins.
    pub outages: Vec<Outage>,
    /// How it lies, if it does.
    pub lie: Option<Lie>,
    /// Its zone; zero has no label, and no crossing lies between it and others.
    pub zone: u32,
    /// It finds no neighbours in other zones.
    pub shut_in: bool,
}

impl Host {
    /// A machine with equal rates that is there from the start to the end.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self {
            up: rate,
            down: rate,
            publisher: false,
            finished: false,
            joins: Duration::ZERO,
            outages: Vec::new(),
            lie: None,
            zone: 0,
            shut_in: false,
        }
    }

    /// A publisher with this uplink.
    #[must_use]
    pub const fn publisher(rate: Rate) -> Self {
        let mut host = Self::new(rate);
        host.publisher = true;
        host
    }

    /// A finished copy with these rates.
    #[must_use]
    pub const fn copy(rate: Rate) -> Self {
        let mut host = Self::new(rate);
        host.finished = true;
        host
    }

    /// Whether it holds everything when it joins.
    #[must_use]
    pub const fn begins_whole(&self) -> bool {
        self.publisher || self.finished
    }

    /// Whether its last outage has no end.
    #[must_use]
    pub fn goes_for_good(&self) -> bool {
        self.outages.last().is_some_and(|outage| outage.until.is_none())
    }
}

/// A time in which a machine does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// What happens to it.
    pub kind: Failure,
    /// When it begins.
    pub at: Duration,
    /// When it ends, if it does.
    pub until: Option<Duration>,
}

impl Outage {
    /// A death at `at`, without a word and for good.
    #[must_use]
    pub const fn death(at: Duration) -> Self {
        Self { kind: Failure::Death, at, until: None }
    }

    /// A freeze at `at`, for good.
    #[must_use]
    pub const fn freeze(at: Duration) -> Self {
        Self { kind: Failure::Freeze, at, until: None }
    }

    /// The same, ending at `until`.
    #[must_use]
    pub const fn until(self, until: Duration) -> Self {
        Self { until: Some(until), ..self }
    }
}

/// What happens to a machine in an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Its process is gone; afterwards a new one comes up with what the old one had verified.
    Death,
    /// Its process is stopped (`SIGSTOP`): it does nothing, and whatever comes for it waits. Its connections end when they have been idle for
    /// too long, which it learns when it goes on.
    Freeze,
}

/// How a machine lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Every chunk that it sends is bad.
    Corrupts,
    /// It sends bad bytes only where another sender has brought a part of the same chunk, so that it might not be found out.
    CorruptsSecond,
    /// It says that it holds everything, refuses every request, and says it again.
    Refuses,
    /// It says that it holds everything, and answers no request.
    Silent,
}

impl Lie {
    /// Whether it claims chunks that it does not give.
    pub(super) const fn claims_all(self) -> bool {
        matches!(self, Self::Refuses | Self::Silent)
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
    /// Round trip between any two machines that no crossing lies between.
    pub round_trip: Duration,
    /// What lies between any two zones.
    ///
    /// Default none: zones are mere labels.
    pub crossing: Option<Crossing>,
    /// Whether machines are told their zones.
    ///
    /// Default true; otherwise they meet at random and take from whomever they met, as if they had no labels.
    pub steering: bool,
    /// Rate at which a machine digests and writes what it fetched.
    ///
    /// Default 1 GB/s: one core's BLAKE3 and a fast disk together.
    pub verify: Rate,
    /// Time from the publisher's first byte of a chunk until its neighbours hold the signed digest.
    ///
    /// Default 5 ms beside the link's delay: the chunk is read and digested (below 1 ms at 1 MiB), then waits for the signed batch, which
    /// goes out every 2 ms, and shares the connection with data. Others send digests ahead of the have, so they never delay.
    pub proof_delay: Duration,
    /// Time until the connections of a dead or frozen neighbour end.
    ///
    /// Default 10 s: the idle time of a connection (`net`).
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
    /// Check every machine's invariants: after every input among up to 128 peers, now and then among more, as it costs a walk over
    /// all chunks each time.
    pub check: bool,
    /// What every machine runs with; the simulator sets `publisher`, `order` and `zone`.
    pub config: Config,
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
            crossing: None,
            steering: true,
            verify: Rate(1_000_000_000),
            proof_delay: Duration::from_millis(5),
            detection: Duration::from_secs(10),
            degree: 10,
            publisher_degree,
            limit: Duration::from_secs(24 * 3600),
            check: false,
            config: Config::default(),
        }
    }

    /// The zone that a machine is told to be in.
    pub(super) fn label(&self, host: usize) -> Zone {
        Zone(if self.steering { self.hosts[host].zone } else { 0 })
    }

    /// Whether two machines are in zones of their own.
    pub(super) fn are_apart(&self, a: usize, b: usize) -> bool {
        let [a, b] = [a, b].map(|host| self.hosts[host].zone);
        a != b && a != 0 && b != 0
    }

    /// Whether two machines can reach each other.
    pub(super) fn can_meet(&self, a: usize, b: usize) -> bool {
        !self.are_apart(a, b) || !self.hosts[a].shut_in && !self.hosts[b].shut_in
    }
}
