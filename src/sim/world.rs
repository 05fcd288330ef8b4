//! World: the machines, the connections between them, and the course of events.
//!
//! Connections are made as discovery would make them, at once and for free: how peers find each other is not what is judged here, what
//! they do with whom they found is. A dead machine is noticed after a while, and whoever is left with few neighbours
//! finds new ones.
//!
//! Invariant: an end of a connection is open exactly while its machine was told `Joined` and not `Left`.
//!
//! Not here: the effects of outputs (`effects`) and the links (`link`).

use std::rc::Rc;
use std::time::Duration;

use crate::bitfield::Bitfield;
use crate::chunk::{ChunkId, Layout};
use crate::sim::graph;
use crate::sim::link::Links;
use crate::sim::queue::{Event, Key, Queue};
use crate::sim::report::{Report, Shortfall, counts, fluid_bound};
use crate::sim::scenario::Scenario;
use crate::sim::transfer::Transfers;
use crate::swarm::{Config, Input, Profile, SourceId, Swarm, Zone};
use crate::units::{Bytes, Rng, Time};

/// Bytes of a bitfield message beside the set itself.
const HOLDS_BYTES: u64 = 8;

pub(super) struct Machine {
    /// `None` before it joins and while it is dead.
    pub(super) swarm: Option<Swarm>,
    /// Counts its lives, so that what a former one began is not taken for the present one's.
    pub(super) life: u32,
    /// What it had when it died.
    kept: Option<Bitfield>,
    /// Connections whose end here is open.
    pub(super) connections: Vec<u32>,
    pub(super) links: Links,
    /// When `Wake` is due, if it is.
    pub(super) wake: Option<Time>,
    pub(super) complete_at: Option<Time>,
    delivered: u64,
    duplicates: u64,
    fetched: u64,
}

pub(super) struct Connection {
    pub(super) ends: [usize; 2],
    pub(super) open: [bool; 2],
    /// Requests of each end, as client.
    pub(super) asking: [Vec<(ChunkId, Key)>; 2],
    /// Requests at each end, as server.
    pub(super) serving: [Vec<Key>; 2],
}

pub(super) struct World<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) layout: Layout,
    pub(super) queue: Queue,
    pub(super) hosts: Vec<Machine>,
    pub(super) connections: Vec<Connection>,
    pub(super) transfers: Transfers,
    /// When a chunk's signed digest is known to its first receivers.
    pub(super) proved: Vec<Option<Time>>,
    pub(super) control: u64,
    first_pass_copies: Option<f64>,
    rng: Rng,
    trace: u64,
}

impl<'a> World<'a> {
    pub(super) fn new(scenario: &'a Scenario, seed: u64) -> Self {
        let layout = Layout::new(scenario.total.0, scenario.chunk.0).expect("a scenario's content can be cut");
        let machine = |_| Machine {
            swarm: None,
            life: 0,
            kept: None,
            connections: Vec::new(),
            links: Links::default(),
            wake: None,
            complete_at: None,
            delivered: 0,
            duplicates: 0,
            fetched: 0,
        };
        Self {
            scenario,
            layout,
            queue: Queue::default(),
            hosts: (0..scenario.hosts.len()).map(machine).collect(),
            connections: Vec::new(),
            transfers: Transfers::default(),
            proved: vec![None; layout.count() as usize],
            control: 0,
            first_pass_copies: None,
            rng: Rng::with_seed(seed),
            trace: 0xcbf2_9ce4_8422_2325, // the offset basis of FNV-1a
        }
    }

    pub(super) fn run(mut self) -> Report {
        self.begin();
        let end = Time::ZERO + self.scenario.limit;
        while !self.is_over() {
            let Some((at, event)) = self.queue.pop() else { break };
            if at > end {
                break;
            }
            let (kind, about) = event.digest();
            for word in [at.as_nanos(), kind, about] {
                self.trace = (self.trace ^ word).wrapping_mul(0x0000_0100_0000_01b3); // FNV-1a's prime, a word at a time
            }
            self.happen(event);
        }
        self.report()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Join { host } => self.on_join(host),
            Event::Die { host } => self.on_die(host),
            Event::Wake { host } => {
                if self.hosts[host].wake == Some(self.queue.now()) {
                    self.hosts[host].wake = None;
                    self.tell(host, Input::Tick);
                }
            }
            Event::Gone { connection, side } => self.on_gone(connection, side),
            Event::Holds { connection, side, chunks } => self.on_holds(connection, side, &chunks),
            Event::Haves { connection, side, chunks } => self.on_haves(connection, side, &chunks),
            Event::Request { key } => self.on_request(key),
            Event::Withdraw { key } => self.on_withdraw(key),
            Event::Refuse { key } => self.on_refuse(key),
            Event::Left { host, key } => self.on_left(host, key),
            Event::Ready { host } => self.on_ready(host),
            Event::Run { key, run } => self.on_run(key, run),
            Event::Acknowledged { key } => self.on_acknowledged(key),
            Event::Verified { host, life, connection, chunk, verdict } => {
                self.on_verified(host, life, connection, chunk, verdict);
            }
        }
    }

    /// Starts everybody who is there from the beginning, connected as a graph, and plans the rest.
    fn begin(&mut self) {
        let hosts = &self.scenario.hosts;
        for (host, spec) in hosts.iter().enumerate() {
            if let Some(dies) = spec.dies {
                self.queue.push(Time::ZERO + dies, Event::Die { host });
                if let Some(returns) = spec.returns {
                    self.queue.push(Time::ZERO + returns, Event::Join { host });
                }
            }
            if spec.joins > Duration::ZERO {
                self.queue.push(Time::ZERO + spec.joins, Event::Join { host });
            }
        }
        let first: Vec<usize> = (0..hosts.len()).filter(|h| hosts[*h].joins.is_zero()).collect();
        first.iter().for_each(|host| self.start(*host));
        let (publishers, peers): (Vec<usize>, Vec<usize>) = first.iter().partition(|h| hosts[**h].publisher);
        let (degree, publisher_degree) = (self.scenario.degree, self.scenario.publisher_degree);
        for (a, b) in graph::edges(&publishers, &peers, degree, publisher_degree, &mut self.rng) {
            self.connect(a, b);
        }
    }

    /// Gives `host` a machine, with what it had before.
    fn start(&mut self, host: usize) {
        let publisher = self.scenario.hosts[host].publisher;
        let fresh = if publisher { Bitfield::all(self.layout) } else { Bitfield::none(self.layout) };
        let have = self.hosts[host].kept.take().unwrap_or(fresh);
        let config = Config { publisher, ..self.scenario.config.clone() };
        let swarm = Swarm::new(self.layout, have, config, self.rng.u64(..));
        let state = &mut self.hosts[host];
        state.life += 1;
        state.swarm = Some(swarm);
        self.tell(host, Input::Tick); // so that outputs of the beginning are carried out
    }

    fn on_join(&mut self, host: usize) {
        if self.hosts[host].swarm.is_none() {
            self.start(host);
            self.find_neighbours(host);
        }
    }

    fn on_die(&mut self, host: usize) {
        let state = &mut self.hosts[host];
        let Some(swarm) = state.swarm.take() else { return };
        state.delivered += swarm.tally().delivered_bytes;
        state.duplicates += swarm.tally().duplicates;
        state.fetched += swarm.tally().fetched;
        state.kept = Some(swarm.have().clone());
        state.complete_at = None;
        state.wake = None;
        state.links.clear();
        for connection in std::mem::take(&mut state.connections) {
            let side = self.side(connection, host);
            self.close(connection, side);
            let noticed = self.queue.now() + self.scenario.detection;
            self.queue.push(noticed, Event::Gone { connection, side: 1 - side });
        }
    }

    fn on_gone(&mut self, connection: u32, side: u8) {
        let Some(host) = self.open_end(connection, side) else { return };
        self.close(connection, side);
        self.tell(host, Input::Left { source: SourceId(connection) });
        self.find_neighbours(host);
    }

    /// Closes one end, with everything that it asked and served.
    fn close(&mut self, connection: u32, side: u8) {
        let ends = &mut self.connections[connection as usize];
        ends.open[usize::from(side)] = false;
        let asking = std::mem::take(&mut ends.asking[usize::from(side)]);
        let serving = std::mem::take(&mut ends.serving[usize::from(side)]);
        self.hosts[ends.ends[usize::from(side)]].connections.retain(|c| *c != connection);
        asking.iter().for_each(|(_, key)| self.transfers.end_client(*key));
        serving.iter().for_each(|key| self.transfers.end_server(*key));
    }

    /// Connects `host` to random others until it has enough neighbours, if it has few.
    fn find_neighbours(&mut self, host: usize) {
        let wanted = |h: usize| {
            if self.scenario.hosts[h].publisher { self.scenario.publisher_degree } else { self.scenario.degree }
        };
        let degree = wanted(host);
        // Four fifths: it looks for more only when some are gone, and then for several at once.
        if 5 * self.hosts[host].connections.len() >= 4 * degree {
            return;
        }
        let neighbours: Vec<usize> = self.hosts[host].connections.iter().map(|c| self.other_end(*c, host)).collect();
        let mut candidates: Vec<usize> = (0..self.hosts.len())
            .filter(|h| *h != host && self.hosts[*h].swarm.is_some() && !neighbours.contains(h))
            .collect();
        self.rng.shuffle(&mut candidates);
        // Those with room first; the others too, if need be: a swarm must not fall apart.
        candidates.sort_by_key(|h| self.hosts[*h].connections.len() > wanted(*h) + wanted(*h) / 5);
        let missing = degree - self.hosts[host].connections.len();
        for other in candidates.into_iter().take(missing) {
            self.connect(host, other);
        }
    }

    fn connect(&mut self, a: usize, b: usize) {
        let connection = u32::try_from(self.connections.len()).expect("fewer connections than 2^32");
        let (asking, serving) = (Default::default(), Default::default());
        self.connections.push(Connection { ends: [a, b], open: [true, true], asking, serving });
        let arrival = self.queue.now() + self.delay();
        for (side, host, other) in [(0, a, b), (1, b, a)] {
            self.hosts[host].connections.push(connection);
            let publisher = self.scenario.hosts[other].publisher;
            let profile = Profile { publisher, local: false, zone: Zone::default() };
            self.tell(host, Input::Joined { source: SourceId(connection), profile });
            if let Some(swarm) = &self.hosts[other].swarm {
                let chunks = Rc::new(swarm.have().clone());
                self.control += HOLDS_BYTES + u64::from(self.layout.count()).div_ceil(8);
                self.queue.push(arrival, Event::Holds { connection, side, chunks });
            }
        }
    }

    /// The machine at an end of a connection, if that end is open.
    pub(super) fn open_end(&self, connection: u32, side: u8) -> Option<usize> {
        let connection = &self.connections[connection as usize];
        connection.open[usize::from(side)].then_some(connection.ends[usize::from(side)])
    }

    pub(super) fn side(&self, connection: u32, host: usize) -> u8 {
        u8::from(self.connections[connection as usize].ends[1] == host)
    }

    fn other_end(&self, connection: u32, host: usize) -> usize {
        self.connections[connection as usize].ends[1 - usize::from(self.side(connection, host))]
    }

    pub(super) fn delay(&self) -> Duration {
        self.scenario.round_trip / 2
    }

    /// Takes down what the publishers had sent when the first of them had sent everything.
    pub(super) fn note_first_pass(&mut self, host: usize) {
        let Some(swarm) = self.hosts[host].swarm.as_ref() else { return };
        if self.first_pass_copies.is_none() && swarm.unserved() == Some(0) && !self.layout.is_empty() {
            self.first_pass_copies = Some(copies(swarm.tally().delivered + swarm.uploads().0 as u64, self.layout));
        }
    }

    /// Whether everybody is complete who is to be, and nobody is still to come or to die.
    fn is_over(&self) -> bool {
        let now = self.queue.now();
        self.hosts.iter().zip(&self.scenario.hosts).all(|(machine, spec)| {
            let last = spec.returns.filter(|_| spec.dies.is_some()).or(spec.dies).unwrap_or(spec.joins);
            now >= Time::ZERO + last && machine.swarm.as_ref().is_none_or(Swarm::is_complete)
        })
    }

    fn report(self) -> Report {
        let counted = counts(self.scenario);
        let alive = || self.hosts.iter().enumerate().filter_map(|(i, h)| Some((i, h.swarm.as_ref()?)));
        let incomplete: Vec<Shortfall> = alive()
            .filter(|(_, swarm)| !swarm.is_complete())
            .map(|(host, swarm)| Shortfall { host, missing: self.layout.count() - swarm.have().len() })
            .collect();
        let honest = || alive().filter(|(i, _)| !self.scenario.hosts[*i].lies);
        let held = |chunk: &ChunkId| honest().any(|(_, swarm)| swarm.have().contains(*chunk));
        let lost = self.layout.chunks().filter(|chunk| !held(chunk)).count();
        let end = self.queue.now();
        let makespan = counted.iter().map(|h| self.hosts[*h].complete_at.unwrap_or(end)).max().unwrap_or(end);
        let sum = |of: fn(&Machine) -> u64, tally: fn(&Swarm) -> u64| -> u64 {
            self.hosts.iter().map(|h| of(h) + h.swarm.as_ref().map_or(0, tally)).sum()
        };
        let published: u64 = (self.hosts.iter().zip(&self.scenario.hosts))
            .filter(|(_, spec)| spec.publisher)
            .map(|(h, _)| h.delivered + h.swarm.as_ref().map_or(0, |s| s.tally().delivered_bytes))
            .sum();
        Report {
            makespan: makespan.since(Time::ZERO),
            bound: fluid_bound(self.scenario, &counted),
            #[allow(clippy::cast_precision_loss)] // a ratio for people
            publisher_copies: published as f64 / self.scenario.total.0.max(1) as f64,
            first_pass_copies: self.first_pass_copies,
            control: Bytes(self.control),
            duplicates: sum(|h| h.duplicates, |s| s.tally().duplicates),
            fetched: sum(|h| h.fetched, |s| s.tally().fetched),
            incomplete,
            lost: u32::try_from(lost).unwrap_or(u32::MAX),
            events: self.queue.pushed(),
            trace: self.trace,
        }
    }
}

fn copies(chunks: u64, layout: Layout) -> f64 {
    #[allow(clippy::cast_precision_loss)] // a ratio for people
    let copies = chunks as f64 / f64::from(layout.count());
    copies
}
