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
//! Not here: unequal delays. Runs join the downlink's queue in the order in which they left, which is the order of arrival only while
//! all delays are equal.

use std::collections::{BTreeMap, VecDeque};

use crate::chunk::ChunkId;
use crate::sim::queue::{Event, Key};
use crate::sim::transfer::{Assembly, Serving};
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

    /// Runs of one transfer that may be unacknowledged.
    fn window(&self, host: usize) -> usize {
        let product = u128::from(self.scenario.hosts[host].up.0) * self.scenario.round_trip.as_nanos() / 1_000_000_000;
        usize::try_from(2 * product / u128::from(self.run_length()) + u128::from(RUNS_AHEAD)).unwrap_or(usize::MAX)
    }

    /// Puts the next packet run on the uplink of `host`, if it is free and there is one.
    pub(super) fn pump(&mut self, host: usize) {
        let now = self.queue.now();
        let window = self.window(host);
        if self.hosts[host].links.busy {
            return;
        }
        let mut ready: Option<Time> = None;
        for _ in 0..self.hosts[host].links.turns.len() {
            let Some(key) = self.hosts[host].links.turns.pop_front() else { break };
            let Some(transfer) = self.transfers.find(key).filter(|t| t.serving == Serving::Sending) else { continue };
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
        let now = self.queue.now();
        let (window, delay) = (self.window(host), self.delay());
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
        let receiver = self.connections[transfer.connection as usize].ends[usize::from(transfer.client)];
        let taken = if self.hosts[receiver].swarm.is_some() {
            let free = &mut self.hosts[receiver].links.down_free;
            *free = (now + delay).max(*free) + self.scenario.hosts[receiver].down.time(bytes);
            *free
        } else {
            NEVER // nobody acknowledges
        };
        if transfer.acknowledged.len() >= window {
            transfer.acknowledged.pop_front();
        }
        transfer.acknowledged.push_back(if taken == NEVER { NEVER } else { taken + delay });
        if taken < NEVER {
            self.queue.push(taken, Event::Run { key, run });
            if last {
                self.queue.push(taken + delay, Event::Acknowledged { key });
            }
        }
        if last {
            self.tell(host, Input::Written { request: request_id(key) });
        } else {
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
