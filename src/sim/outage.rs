//! Outage: machines that die, freeze, and come back.
//!
//! A frozen machine is not a dead one: its connections stay until they have been idle for too long, bytes wait at its door, its timers
//! fire late and all at once. So an event that needs a frozen machine's program is put aside and happens when it goes on, in order.
//! The transport is part of the program: nothing that reaches a frozen machine is acknowledged, and what was under way is sent again
//! afterwards.
//!
//! Invariant: a frozen machine's swarm gets no input.
//!
//! Not here: when outages happen (`scenario`) and how the others find new neighbours (`neighbours`).

use crate::sim::queue::{Event, Key};
use crate::sim::scenario::Failure;
use crate::sim::world::World;
use crate::swarm::Input;
use crate::units::Time;

impl World<'_> {
    /// Plans the joins and outages of all machines.
    pub(super) fn plan(&mut self) {
        for (host, spec) in self.scenario.hosts.iter().enumerate() {
            if !spec.joins.is_zero() {
                self.queue.push(Time::ZERO + spec.joins, Event::Join { host });
            }
            for outage in &spec.outages {
                let (begins, ends) = match outage.kind {
                    Failure::Death => (Event::Die { host }, Event::Join { host }),
                    Failure::Freeze => (Event::Freeze { host }, Event::Thaw { host }),
                };
                self.queue.push(Time::ZERO + outage.at, begins);
                if let Some(until) = outage.until {
                    self.queue.push(Time::ZERO + until, ends);
                }
            }
        }
    }

    /// The machines that are to be there from the beginning on.
    pub(super) fn first_hosts(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|host| self.scenario.hosts[*host].joins.is_zero()).collect()
    }

    pub(super) fn is_frozen(&self, host: usize) -> bool {
        self.hosts[host].backlog.is_some()
    }

    /// Whether `host` runs its program.
    pub(super) fn is_awake(&self, host: usize) -> bool {
        self.hosts[host].is_awake()
    }

    /// A frozen machine without which `event` cannot happen.
    pub(super) fn waits_for(&mut self, event: &Event) -> Option<usize> {
        if self.frozen == 0 {
            return None;
        }
        let mut of_transfer = |key: &Key| {
            let (connection, client) = self.transfers.find(*key).map(|t| (t.connection, t.client))?;
            let ends = self.connections[connection as usize].ends;
            Some((ends[usize::from(client)], ends[1 - usize::from(client)]))
        };
        let host = match event {
            Event::Wake { host }
            | Event::Seek { host }
            | Event::Left { host, .. }
            | Event::Ready { host }
            | Event::Verified { host, .. } => *host,
            Event::Gone { connection, side }
            | Event::Holds { connection, side, .. }
            | Event::Members { connection, side, .. }
            | Event::Haves { connection, side, .. } => self.connections[*connection as usize].ends[usize::from(*side)],
            Event::Request { key } | Event::Withdraw { key } => of_transfer(key)?.1,
            Event::Refuse { key } | Event::Run { key, .. } => of_transfer(key)?.0,
            Event::Acknowledged { key } => {
                // The client's program acknowledges, and the server's takes that in.
                let (client, server) = of_transfer(key)?;
                if self.is_frozen(client) { client } else { server }
            }
            Event::Join { .. }
            | Event::Die { .. }
            | Event::Freeze { .. }
            | Event::Thaw { .. }
            | Event::Idle { .. }
            | Event::Crossed { .. } => return None,
        };
        Some(host).filter(|host| self.is_frozen(*host))
    }

    pub(super) fn on_join(&mut self, host: usize) {
        if self.hosts[host].swarm.is_none() {
            self.start(host);
            self.find_neighbours(host);
        }
    }

    pub(super) fn on_die(&mut self, host: usize) {
        let backlog = self.end_freeze(host);
        let state = &mut self.hosts[host];
        let Some(swarm) = state.swarm.take() else { return };
        state.past.add(swarm.tally());
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
        backlog.into_iter().for_each(|event| self.happen(event));
    }

    pub(super) fn on_freeze(&mut self, host: usize) {
        if !self.is_awake(host) {
            return;
        }
        self.frozen += 1;
        let state = &mut self.hosts[host];
        state.backlog = Some(Vec::new());
        state.freezes += 1;
        let freeze = state.freezes;
        self.queue.push(self.queue.now() + self.scenario.detection, Event::Idle { host, freeze });
    }

    /// The connections of a machine that is still frozen have been idle for too long.
    pub(super) fn on_idle(&mut self, host: usize, freeze: u32) {
        if !self.is_frozen(host) || self.hosts[host].freezes != freeze {
            return;
        }
        let now = self.queue.now();
        for connection in self.hosts[host].connections.clone() {
            for side in [0, 1] {
                self.queue.push(now, Event::Gone { connection, side });
            }
        }
    }

    pub(super) fn on_thaw(&mut self, host: usize) {
        let backlog = self.end_freeze(host);
        if self.hosts[host].swarm.is_none() {
            return;
        }
        backlog.into_iter().for_each(|event| self.happen(event));
        // Timers that were due meanwhile.
        self.hosts[host].wake = None;
        self.tell(host, Input::Tick);
        self.on_ready(host);
        for connection in self.hosts[host].connections.clone() {
            let server = 1 - self.side(connection, host);
            let keys = self.connections[connection as usize].serving[usize::from(server)].clone();
            keys.into_iter().for_each(|key| self.resend(key));
        }
    }

    /// What was put aside, if `host` was frozen; it is not any more.
    fn end_freeze(&mut self, host: usize) -> Vec<Event> {
        let backlog = self.hosts[host].backlog.take();
        self.frozen -= usize::from(backlog.is_some());
        backlog.unwrap_or_default()
    }

    /// Whether nothing is still to befall `host` at `now`, and it is complete, honest or not there.
    pub(super) fn is_settled(&self, host: usize, now: Time) -> bool {
        let spec = &self.scenario.hosts[host];
        let last = spec.outages.last().map_or(spec.joins, |outage| outage.until.unwrap_or(outage.at));
        now >= Time::ZERO + last && (!self.is_awake(host) || spec.lie.is_some() || self.is_complete(host))
    }
}
