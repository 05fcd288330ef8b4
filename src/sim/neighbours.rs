//! Neighbours: how machines find each other, and find others when some are gone.
//!
//! Connections are made at once and for free, as what peers do with whom they found is judged here. But nobody answers who is
//! dead or frozen, so whoever is left with few neighbours tries again after a pause, as a node's candidates do.
//!
//! Invariant: an end of a connection is open exactly while its machine was told `Joined` and not `Left`; nobody is connected to whom
//! it has banned.
//!
//! Not here: the graph at the beginning (`graph`).

use std::rc::Rc;
use std::time::Duration;

use crate::bitfield::Bitfield;
use crate::sim::graph;
use crate::sim::queue::Event;
use crate::sim::scenario::Lie;
use crate::sim::world::{Connection, World};
use crate::swarm::{Input, Profile, SourceId, Swarm};

/// Bytes of a bitfield message beside the set itself.
const HOLDS_BYTES: u64 = 8;
/// The first pause before others are looked for again; it doubles with each further one (`node`'s candidates).
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// The longest pause (`node`'s candidates).
const PAUSE_MAX: Duration = Duration::from_secs(15);

impl World<'_> {
    /// Connects those who are there from the beginning.
    pub(super) fn connect_all(&mut self, first: &[usize]) {
        let (publishers, peers): (Vec<usize>, Vec<usize>) =
            first.iter().partition(|host| self.scenario.hosts[**host].publisher);
        let (degree, publisher_degree) = (self.scenario.degree, self.scenario.publisher_degree);
        let edges = if self.has_zones() {
            self.edges_of_zones(&publishers, &peers)
        } else {
            graph::edges(&publishers, &peers, degree, publisher_degree, &mut self.rng)
        };
        for (a, b) in edges {
            self.connect(a, b);
        }
    }

    pub(super) fn on_gone(&mut self, connection: u32, side: u8) {
        let Some(host) = self.open_end(connection, side) else { return };
        self.close(connection, side);
        self.tell(host, Input::Left { source: SourceId(connection) });
        self.find_neighbours(host);
    }

    /// Closes one end, with everything that it asked and served.
    pub(super) fn close(&mut self, connection: u32, side: u8) {
        let ends = &mut self.connections[connection as usize];
        ends.open[usize::from(side)] = false;
        let asking = std::mem::take(&mut ends.asking[usize::from(side)]);
        let serving = std::mem::take(&mut ends.serving[usize::from(side)]);
        self.hosts[ends.ends[usize::from(side)]].connections.retain(|c| *c != connection);
        asking.iter().for_each(|(_, key)| self.transfers.end_client(*key));
        serving.iter().for_each(|key| self.transfers.end_server(*key));
    }

    /// `host` drops a neighbour for the rest of its life.
    pub(super) fn ban(&mut self, host: usize, connection: u32) {
        let (now, side) = (self.queue.now(), self.side(connection, host));
        let other = self.other_end(connection, host);
        self.hosts[host].banned.insert(other);
        if self.scenario.hosts[other].lie.is_none() {
            self.wronged.push(other);
        }
        self.queue.push(now, Event::Gone { connection, side });
        self.queue.push(now + self.delay(connection), Event::Gone { connection, side: 1 - side });
    }

    /// Neighbours that `host` looks for.
    pub(super) fn wanted(&self, host: usize) -> usize {
        if self.scenario.hosts[host].publisher { self.scenario.publisher_degree } else { self.scenario.degree }
    }

    /// Neighbours that `host` counts on: whoever may be gone is replaced long before its connection ends, and whoever is slow has somebody
    /// else beside it (`node`'s pulse).
    pub(super) fn counted_on(&self, host: usize) -> usize {
        self.hosts[host].swarm.as_ref().map_or(0, Swarm::counted_on)
    }

    /// Connects `host` to random others until it has enough neighbours, if it has few, and tries again later when that was not enough.
    pub(super) fn find_neighbours(&mut self, host: usize) {
        // Four fifths: it looks for more only when some are gone, and then for several at once.
        let has_few = |world: &Self| 5 * world.counted_on(host) < 4 * world.wanted(host) || world.is_cut_off(host);
        if !has_few(self) {
            self.hosts[host].pause = PAUSE_FIRST;
            return;
        }
        let neighbours: Vec<usize> = self.hosts[host].connections.iter().map(|c| self.other_end(*c, host)).collect();
        let mut strangers: Vec<usize> = (0..self.hosts.len())
            .filter(|h| *h != host && !neighbours.contains(h) && self.scenario.can_meet(host, *h))
            .filter(|h| !self.hosts[host].banned.contains(h) && !self.hosts[*h].banned.contains(&host))
            .collect();
        let known = strangers.len();
        strangers.retain(|h| self.is_awake(*h));
        let silent = known > strangers.len();
        self.rng.shuffle(&mut strangers);
        // Those with room first; the others too, if need be: a swarm must not fall apart.
        strangers.sort_by_cached_key(|h| self.counted_on(*h) > self.wanted(*h) + self.wanted(*h) / 5);
        let missing = self.choose_by_zone(host, &mut strangers);
        for other in strangers.into_iter().take(missing) {
            self.connect(host, other);
        }
        if silent && has_few(self) && !self.hosts[host].seeks {
            let pause = self.hosts[host].pause.max(PAUSE_FIRST);
            self.hosts[host].seeks = true;
            self.hosts[host].pause = (2 * pause).min(PAUSE_MAX);
            // A fifth up or down, so that nobody knocks in step.
            let at = self.queue.now() + pause.mul_f64(0.8 + 0.4 * self.rng.f64());
            self.queue.push(at, Event::Seek { host });
        }
    }

    pub(super) fn on_seek(&mut self, host: usize) {
        self.hosts[host].seeks = false;
        if self.hosts[host].swarm.is_some() {
            self.find_neighbours(host);
        }
    }

    fn connect(&mut self, a: usize, b: usize) {
        let connection = u32::try_from(self.connections.len()).expect("fewer connections than 2^32");
        let (asking, serving) = (Default::default(), Default::default());
        self.connections.push(Connection { ends: [a, b], open: [true, true], asking, serving });
        for (side, host, other) in [(0, a, b), (1, b, a)] {
            self.hosts[host].connections.push(connection);
            let publisher = self.scenario.hosts[other].publisher;
            let profile = Profile { publisher, local: false, order: other as u64, zone: self.scenario.label(other) };
            self.tell(host, Input::Joined { source: SourceId(connection), profile });
            self.say_holdings(connection, 1 - side);
        }
    }

    /// Sends what the machine at this end holds, or claims to hold, to the other end.
    pub(super) fn say_holdings(&mut self, connection: u32, side: u8) {
        let host = self.connections[connection as usize].ends[usize::from(side)];
        let Some(swarm) = &self.hosts[host].swarm else { return };
        let claims_all = self.scenario.hosts[host].lie.is_some_and(Lie::claims_all);
        let chunks = Rc::new(if claims_all { Bitfield::all(self.layout) } else { swarm.have().clone() });
        self.control += HOLDS_BYTES + u64::from(self.layout.count()).div_ceil(8);
        let arrival = self.queue.now() + self.delay(connection);
        self.queue.push(arrival, Event::Holds { connection, side: 1 - side, chunks });
    }

    /// The machine at an end of a connection, if that end is open.
    pub(super) fn open_end(&self, connection: u32, side: u8) -> Option<usize> {
        let connection = &self.connections[connection as usize];
        connection.open[usize::from(side)].then_some(connection.ends[usize::from(side)])
    }

    pub(super) fn side(&self, connection: u32, host: usize) -> u8 {
        u8::from(self.connections[connection as usize].ends[1] == host)
    }

    pub(super) fn other_end(&self, connection: u32, host: usize) -> usize {
        self.connections[connection as usize].ends[1 - usize::from(self.side(connection, host))]
    }
}
