//! Link: the up- and downlink of a machine.
//!
//! An uplink sends packet runs (an eighth of a chunk, at least 16 KiB) of its uploads in turns; a run then crosses the delay and queues
//! at the receiver's downlink. A transfer has a transport window: when the receiver is slow, its runs wait at the sender and
//! leave the uplink to others, as flow and congestion control would.
//!
//! Invariant: an uplink is busy or has nothing that may be sent now; in the second case `ready` says when it may.
//!
//! A run is the least that arrives: the ends of a chunk that two senders bring meet between two runs.
//!
//! Runs within a zone join the downlink's queue as they leave, which is the order of arrival because their delays are equal. Those from
//! another zone queue at the link between the two first, and join when they come.
//!
//! Not here: congestion control. A transfer to another zone fills its window whatever waits at that link.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::chunk::ChunkId;
use crate::sim::queue::{Event, Key};
use crate::sim::scenario::Crossing;
use crate::sim::transfer::{Assembly, Serving, Transfer};
use crate::sim::world::World;
use crate::swarm::{Input, RequestId};
use crate::units::Time;

/// Packet runs that a chunk is sent in: enough to share an uplink fairly, few enough to simulate a thousand machines.
const RUNS_PER_CHUNK: u64 = 8;
/// The shortest packet run in bytes: what one segmentation-offload batch holds, about.
const RUN_MIN: u64 = 16 << 10;
/// Runs that a transport keeps under way beyond the bandwidth-delay product, so that its window does not idle the link.
const RUNS_AHEAD: u64 = 4;

#[derive(Default)]
pub(super) struct Links {
    /// Uploads with something left to send, in turns.
    turns: VecDeque<Key>,
    busy: bool,
    /// When `Ready` is due, if it is.
    ready: Option<Time>,
    /// When the downlink has taken in everything that came.
    pub(super) down_free: Time,
    /// Chunks of which something came.
    pub(super) assemblies: BTreeMap<ChunkId, Assembly>,
}

impl Links {
    pub(super) fn add(&mut self, key: Key) {
        self.turns.push_back(key);
    }

    pub(super) fn clear(&mut self) {
        self.turns.clear();
        self.assemblies.clear();
    }
}

impl World<'_> {
    pub(super) fn run_length(&self) -> u64 {
        (self.scenario.chunk.0 / RUNS_PER_CHUNK).max(RUN_MIN)
    }

    /// Runs that `chunk` is sent in.
    pub(super) fn runs_of(&self, chunk: ChunkId) -> u32 {
        u32::try_from(self.layout.len(chunk).div_ceil(self.run_length())).expect("few runs to a chunk")
    }

    /// The run that a transfer sends next with its length, or `None` when all have left.
    fn next_run(&mut self, key: Key) -> Option<(u32, u64)> {
        let length = self.run_length();
        let transfer = self.transfers.find(key)?;
        // All but the last run of a chunk have the same length, so this counts them whatever their order.
        let sent = u32::try_from(transfer.left.div_ceil(length)).expect("few runs to a chunk");
        let run = (sent < transfer.runs.len()).then(|| transfer.runs.nth(sent))?;
        let total = self.layout.len(transfer.chunk);
        Some((run, length.min(total - u64::from(run) * length)))
    }

    /// Runs of one transfer over this connection that may be unacknowledged.
    fn window(&self, host: usize, connection: u32) -> usize {
        let product =
            u128::from(self.scenario.hosts[host].up.0) * self.round_trip(connection).as_nanos() / 1_000_000_000;
        usize::try_from(2 * product / u128::from(self.run_length()) + u128::from(RUNS_AHEAD)).unwrap_or(usize::MAX)
    }

    /// Puts the next packet run on the uplink of `host`, if it is free and there is one.
    pub(super) fn pump(&mut self, host: usize) {
        let now = self.queue.now();
        if self.hosts[host].links.busy {
            return;
        }
        let mut ready: Option<Time> = None;
        for _ in 0..self.hosts[host].links.turns.len() {
            let Some(key) = self.hosts[host].links.turns.pop_front() else { break };
            let sending = |t: &&mut Transfer| t.serving == Serving::Sending;
            let Some(connection) = self.transfers.find(key).filter(sending).map(|t| t.connection) else { continue };
            let window = self.window(host, connection);
            let Some(transfer) = self.transfers.find(key) else { continue };
            let free_at = match transfer.acknowledged.front() {
                Some(oldest) if transfer.acknowledged.len() >= window => *oldest,
                _ => Time::ZERO,
            };
            if free_at <= now {
                let (_, bytes) = self.next_run(key).expect("what has its turn has something to send");
                self.hosts[host].links.busy = true;
                self.queue.push(now + self.scenario.hosts[host].up.time(bytes), Event::Left { host, key });
                return;
            }
            self.hosts[host].links.turns.push_back(key);
            ready = Some(ready.map_or(free_at, |least| least.min(free_at)));
        }
        if let Some(at) = ready.filter(|at| *at < NEVER)
            && self.hosts[host].links.ready.is_none_or(|due| at < due)
        {
            self.hosts[host].links.ready = Some(at);
            self.queue.push(at, Event::Ready { host });
        }
    }

    pub(super) fn on_ready(&mut self, host: usize) {
        let links = &mut self.hosts[host].links;
        if links.ready == Some(self.queue.now()) {
            links.ready = None;
        }
        self.pump(host);
    }

    /// A packet run has left the uplink: it crosses the delay and queues at the receiver.
    pub(super) fn on_left(&mut self, host: usize, key: Key) {
        self.hosts[host].links.busy = false;
        let next = self.next_run(key);
        let Some((transfer, (run, bytes))) =
            self.transfers.find(key).filter(|t| t.serving == Serving::Sending).zip(next)
        else {
            self.pump(host);
            return;
        };
        transfer.left += bytes;
        let last = self.next_run(key).is_none();
        let transfer = self.transfers.find(key).expect("it was found above");
        let (connection, client) = (transfer.connection, transfer.client);
        let receiver = self.connections[connection as usize].ends[usize::from(client)];
        self.hosts[host].sent += bytes;
        let acknowledged = match self.crossing(connection) {
            _ if !self.hosts[receiver].is_awake() => NEVER, // nobody acknowledges
            None => self.take_in(key, receiver, run, bytes, last),
            Some(crossing) => {
                let at = self.cross(host, receiver, crossing, bytes);
                self.queue.push(at, Event::Crossed { key, run, bytes, last });
                at + crossing.round_trip / 2
            }
        };
        let window = self.window(host, connection);
        let transfer = self.transfers.find(key).expect("it was found above");
        if transfer.acknowledged.len() >= window {
            transfer.acknowledged.pop_front();
        }
        transfer.acknowledged.push_back(acknowledged);
        if last {
            self.tell(host, Input::Written { request: request_id(key) });
        } else {
            self.hosts[host].links.add(key);
        }
        self.pump(host);
    }

    /// Puts bytes on the link between two zones; when they come to the receiver.
    fn cross(&mut self, host: usize, receiver: usize, crossing: Crossing, bytes: u64) -> Time {
        let ends = (self.scenario.hosts[host].zone, self.scenario.hosts[receiver].zone);
        let free = self.crossings.entry(ends).or_insert(Time::ZERO);
        *free = self.queue.now().max(*free) + crossing.rate.time(bytes);
        *self.crossed.entry(ends).or_default() += bytes;
        *free + crossing.round_trip / 2
    }

    pub(super) fn on_crossed(&mut self, key: Key, run: u32, bytes: u64, last: bool) {
        let Some(transfer) = self.transfers.find(key) else { return };
        let (connection, client) = (transfer.connection, transfer.client);
        let receiver = self.connections[connection as usize].ends[usize::from(client)];
        self.take_in(key, receiver, run, bytes, last);
    }

    /// Lets a run that has left its sender, or has crossed, queue at the receiver's downlink; when it is acknowledged.
    fn take_in(&mut self, key: Key, receiver: usize, run: u32, bytes: u64, last: bool) -> Time {
        let Some(connection) = self.transfers.find(key).map(|t| t.connection) else { return NEVER };
        // A crossing was waited for before.
        let ahead = if self.crossing(connection).is_some() { Duration::ZERO } else { self.delay(connection) };
        let free = &mut self.hosts[receiver].links.down_free;
        *free = (self.queue.now() + ahead).max(*free) + self.scenario.hosts[receiver].down.time(bytes);
        let taken = *free;
        let acknowledged = taken + self.delay(connection);
        self.queue.push(taken, Event::Run { key, run });
        if last {
            self.queue.push(acknowledged, Event::Acknowledged { key });
        }
        acknowledged
    }

    /// Sends again what a transfer's receiver could not take while it was frozen.
    pub(super) fn resend(&mut self, key: Key) {
        let (length, waits_for_turn) = (self.run_length(), self.next_run(key).is_some());
        let Some(transfer) = self.transfers.find(key).filter(|t| t.serving == Serving::Sending) else { return };
        let known = transfer.acknowledged.len();
        transfer.acknowledged.retain(|at| *at < NEVER);
        let lost = (known - transfer.acknowledged.len()) as u64;
        if lost == 0 {
            return;
        }
        transfer.left = (transfer.left.div_ceil(length) - lost) * length;
        let (connection, server) = (transfer.connection, 1 - transfer.client);
        let Some(host) = self.open_end(connection, server) else { return };
        if !waits_for_turn {
            self.hosts[host].links.add(key);
        }
        self.pump(host);
    }
}

/// A moment that does not come.
const NEVER: Time = Time::from_nanos(u64::MAX);

pub(super) fn request_id(key: Key) -> RequestId {
    RequestId(u64::from(key.serial) << 32 | u64::from(key.place))
}

pub(super) fn request_key(request: RequestId) -> Key {
    let [low, high] = [request.0, request.0 >> 32].map(|half| u32::try_from(half & u64::from(u32::MAX)).unwrap_or(0));
    Key { place: low, serial: high }
}
