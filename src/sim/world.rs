//! World: the machines, the connections between them, and the course of events.
//!
//! One loop takes the earliest event and lets it happen; whatever follows from it is another event. So a run is a sequence, and can be
//! repeated from its seed.
//!
//! Invariant: an event happens at its moment, or when the machine that it needs goes on.
//!
//! Not here: the effects of outputs (`effects`), the links (`link`), who is connected (`neighbours`) and who fails (`outage`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::bitfield::Bitfield;
use crate::chunk::{ChunkId, Layout};
use crate::sim::link::Links;
use crate::sim::queue::{Event, Key, Queue};
use crate::sim::record::Recording;
use crate::sim::report::{Past, Report, ratio};
use crate::sim::scenario::{Crossing, Host, Scenario};
use crate::sim::transfer::Transfers;
use crate::swarm::trace::Beginning;
use crate::swarm::{Config, Input, Swarm};
use crate::units::{Rng, Time};

/// Peers up to which invariants are checked after every input; among more, it would take minutes.
const CHECKED_PEERS: usize = 128;
/// Among more, after every input whose number this divides: a prime, so that it keeps step with nothing.
const CHECKED_INPUTS: u64 = 997;

#[derive(Default)]
pub(super) struct Machine {
    /// `None` before it joins and while it is dead.
    pub(super) swarm: Option<Swarm>,
    /// Counts its lives, so that what a former one began is not taken for the present one's.
    pub(super) life: u32,
    /// What it had when it died.
    pub(super) kept: Option<Bitfield>,
    /// What happens to it when it goes on; `None` unless it is frozen.
    pub(super) backlog: Option<Vec<Event>>,
    /// Counts its freezes.
    pub(super) freezes: u32,
    /// Connections whose end here is open.
    pub(super) connections: Vec<u32>,
    pub(super) links: Links,
    /// When `Wake` is due, if it is.
    pub(super) wake: Option<Time>,
    pub(super) complete_at: Option<Time>,
    /// Bytes of chunks that left its uplink.
    pub(super) sent: u64,
    /// What its former lives did.
    pub(super) past: Past,
    /// Whom it dropped for good.
    pub(super) banned: BTreeSet<usize>,
    /// The next pause before it looks for neighbours again, and whether it is in one.
    pub(super) pause: Duration,
    pub(super) seeks: bool,
    /// Requests that it refused as a liar.
    pub(super) refusals: u32,
}

impl Machine {
    /// Whether it runs its program.
    pub(super) const fn is_awake(&self) -> bool {
        self.swarm.is_some() && self.backlog.is_none()
    }
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
    /// When the link from one zone to another has taken in everything that was sent.
    pub(super) crossings: BTreeMap<(u32, u32), Time>,
    /// Bytes of chunks that crossed from one zone to another.
    pub(super) crossed: BTreeMap<(u32, u32), u64>,
    pub(super) control: u64,
    /// Machines that are frozen now.
    pub(super) frozen: usize,
    /// Honest machines that somebody banned.
    pub(super) wronged: Vec<usize>,
    /// Inputs between two checks of invariants; zero for none.
    pub(super) check_every: u64,
    pub(super) told: u64,
    pub(super) first_pass_copies: Option<f64>,
    /// Machines that are to be recorded, and what they were told in their last lives.
    pub(super) recorded: Vec<usize>,
    pub(super) recordings: BTreeMap<usize, Recording>,
    /// A machine that was not settled when we looked last: as long as it is not, nobody else need be looked at.
    unsettled: usize,
    pub(super) rng: Rng,
    pub(super) trace: u64,
}

impl<'a> World<'a> {
    pub(super) fn new(scenario: &'a Scenario, seed: u64) -> Self {
        let layout = Layout::new(scenario.total.0, scenario.chunk.0).expect("a scenario's content can be cut");
        let check_every = match (scenario.check, scenario.hosts.len() > CHECKED_PEERS + 1) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => CHECKED_INPUTS,
        };
        Self {
            scenario,
            layout,
            queue: Queue::default(),
            hosts: scenario.hosts.iter().map(|_| Machine::default()).collect(),
            connections: Vec::new(),
            transfers: Transfers::default(),
            proved: vec![None; layout.count() as usize],
            crossings: BTreeMap::new(),
            crossed: BTreeMap::new(),
            control: 0,
            frozen: 0,
            wronged: Vec::new(),
            check_every,
            told: 0,
            first_pass_copies: None,
            recorded: Vec::new(),
            recordings: BTreeMap::new(),
            unsettled: 0,
            rng: Rng::with_seed(seed),
            trace: 0xcbf2_9ce4_8422_2325, // the offset basis of FNV-1a
        }
    }

    pub(super) fn run(mut self) -> (Report, Vec<Recording>) {
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
        let recordings = std::mem::take(&mut self.recordings);
        (self.report(), recordings.into_values().collect())
    }

    /// Lets `event` happen, or puts it aside when it needs a machine that is frozen.
    pub(super) fn happen(&mut self, event: Event) {
        if let Some(host) = self.waits_for(&event) {
            self.hosts[host].backlog.get_or_insert_default().push(event);
            return;
        }
        match event {
            Event::Join { host } => self.on_join(host),
            Event::Die { host } => self.on_die(host),
            Event::Freeze { host } => self.on_freeze(host),
            Event::Thaw { host } => self.on_thaw(host),
            Event::Idle { host, freeze } => self.on_idle(host, freeze),
            Event::Seek { host } => self.on_seek(host),
            Event::Wake { host } => {
                if self.hosts[host].wake == Some(self.queue.now()) {
                    self.hosts[host].wake = None;
                    self.tell(host, Input::Tick);
                }
            }
            Event::Gone { connection, side } => self.on_gone(connection, side),
            Event::Holds { connection, side, chunks } => self.on_holds(connection, side, &chunks),
            Event::Haves { connection, side, chunks } => self.on_haves(connection, side, &chunks),
            Event::Members { connection, side, members } => self.on_members(connection, side, &members),
            Event::Request { key } => self.on_request(key),
            Event::Withdraw { key } => self.on_withdraw(key),
            Event::Refuse { key } => self.on_refuse(key),
            Event::Left { host, key } => self.on_left(host, key),
            Event::Ready { host } => self.on_ready(host),
            Event::Crossed { key, run, bytes, last } => self.on_crossed(key, run, bytes, last),
            Event::Run { key, run } => self.on_run(key, run),
            Event::Acknowledged { key } => self.on_acknowledged(key),
            Event::Verified { host, life, connection, chunk, verdict } => {
                self.on_verified(host, life, connection, chunk, verdict);
            }
        }
    }

    /// Starts everybody who is there from the beginning, connected as a graph, and plans the rest.
    fn begin(&mut self) {
        self.plan();
        let first = self.first_hosts();
        first.iter().for_each(|host| self.start(*host));
        self.connect_all(&first);
    }

    /// Gives `host` a machine, with what it had before.
    pub(super) fn start(&mut self, host: usize) {
        let Host { publisher, finished, .. } = self.scenario.hosts[host];
        let fresh = if publisher || finished { Bitfield::all(self.layout) } else { Bitfield::none(self.layout) };
        let have = self.hosts[host].kept.take().unwrap_or(fresh);
        let zone = self.scenario.label(host);
        let config = Config { publisher, order: host as u64, zone, ..self.scenario.config.clone() };
        let seed = self.rng.u64(..);
        let swarm = self.begin_machine(host, Beginning { layout: self.layout, have, config, seed });
        let state = &mut self.hosts[host];
        state.life += 1;
        state.banned.clear();
        state.swarm = Some(swarm);
        self.tell(host, Input::Tick); // so that outputs of the beginning are carried out
    }

    /// The delay from one end of a connection to the other.
    pub(super) fn delay(&self, connection: u32) -> Duration {
        self.round_trip(connection) / 2
    }

    pub(super) fn round_trip(&self, connection: u32) -> Duration {
        self.crossing(connection).map_or(self.scenario.round_trip, |crossing| crossing.round_trip)
    }

    /// What lies between the ends of a connection, if they are in two zones.
    pub(super) fn crossing(&self, connection: u32) -> Option<Crossing> {
        let [a, b] = self.connections[connection as usize].ends;
        self.scenario.crossing.filter(|_| self.scenario.are_apart(a, b))
    }

    /// Takes down what the publishers had sent when the first of them had sent everything.
    pub(super) fn note_first_pass(&mut self, host: usize) {
        let Some(swarm) = self.hosts[host].swarm.as_ref() else { return };
        if self.first_pass_copies.is_none() && swarm.unserved() == Some(0) && !self.layout.is_empty() {
            let swarms = self.hosts.iter().filter_map(|host| host.swarm.as_ref()).filter(|s| s.unserved().is_some());
            let sent = swarms.map(|swarm| swarm.tally().delivered + swarm.uploads().0 as u64).sum();
            self.first_pass_copies = Some(ratio(sent, self.layout.count().into()));
        }
    }

    pub(super) fn is_complete(&self, host: usize) -> bool {
        self.hosts[host].swarm.as_ref().is_some_and(Swarm::is_complete)
    }

    /// Whether everybody is complete who is to be, and nothing is still to befall anybody.
    fn is_over(&mut self) -> bool {
        let (now, count) = (self.queue.now(), self.hosts.len());
        // From the one that kept us last time on; among thousands, looking at all after every event would take longer than the event.
        let next = (0..count).map(|step| (self.unsettled + step) % count).find(|host| !self.is_settled(*host, now));
        self.unsettled = next.unwrap_or(0);
        next.is_none()
    }
}
