//! Effects: what a machine's outputs do to the world, and what the world tells it.
//!
//! The same translation that the node makes with connections and files, with events instead.
//!
//! Invariant: a machine is told of a connection only between its `Joined` and its `Left`, as the vocabulary promises.
//!
//! Not here: decisions.

use std::rc::Rc;

use crate::bitfield::Bitfield;
use crate::chunk::ChunkId;
use crate::sim::link::{request_id, request_key};
use crate::sim::queue::{Event, Key, Verdict};
use crate::sim::transfer::{Assembly, Runs, Serving};
use crate::sim::world::World;
use crate::swarm::{Input, Member, Outcome, Output, Part, SourceId};

/// Bytes of a request: stream, content, chunk, ranges.
const REQUEST_BYTES: u64 = 12;
/// Bytes around a chunk: header and trailer.
const ANSWER_BYTES: u64 = 24;
/// Bytes of a have: a delta.
const HAVE_BYTES: u64 = 3;
/// Bytes of what is said of a member: id, stamp, whether it reaches outside.
const MEMBER_BYTES: u64 = 13;
/// Bytes of any control message beside what it says: length, kind, content.
const FRAME_BYTES: u64 = 8;

impl World<'_> {
    /// Gives `host` an input, carries out what it asks for, and sees to its next deadline.
    pub(super) fn tell(&mut self, host: usize, input: Input) {
        let now = self.queue.now();
        if self.hosts[host].swarm.is_some() {
            self.note_input(host, &input);
        }
        let Some(swarm) = &mut self.hosts[host].swarm else { return };
        // What shows that a neighbour is not worth its place.
        let shows = matches!(input, Input::Tick | Input::Fetched { .. });
        let counted_on = if shows { swarm.counted_on() } else { 0 };
        swarm.handle(now, input);
        let has_fewer = shows && swarm.counted_on() < counted_on;
        self.told += 1;
        if self.told.is_multiple_of(self.check_every) {
            swarm.check_invariants();
        }
        while let Some(output) = self.hosts[host].swarm.as_mut().and_then(|swarm| swarm.poll()) {
            self.carry_out(host, output);
        }
        self.note_first_pass(host);
        let state = &mut self.hosts[host];
        if let Some(at) = state.swarm.as_ref().and_then(|swarm| swarm.deadline()).map(|at| at.max(now))
            && state.wake.is_none_or(|due| at < due)
        {
            state.wake = Some(at);
            self.queue.push(at, Event::Wake { host });
        }
        if has_fewer {
            self.find_neighbours(host);
        }
    }

    fn carry_out(&mut self, host: usize, output: Output) {
        let now = self.queue.now();
        match output {
            Output::Fetch { source: SourceId(connection), chunk, part, exact } => {
                let side = self.side(connection, host);
                let (runs, exact) = self.runs_to_ask(host, chunk, part, exact);
                let key = self.transfers.begin(connection, side, chunk, exact, runs);
                self.connections[connection as usize].asking[usize::from(side)].push((chunk, key));
                self.control += REQUEST_BYTES;
                self.queue.push(now + self.delay(connection), Event::Request { key });
            }
            Output::Cancel { source: SourceId(connection), asked } => {
                let side = usize::from(self.side(connection, host));
                let asking = &self.connections[connection as usize].asking[side];
                let Some(key) = asking.iter().find(|(chunk, _)| *chunk == asked).map(|(_, key)| *key) else { return };
                if let Some(transfer) = self.transfers.find(key) {
                    transfer.cancelled = true;
                }
                self.control += FRAME_BYTES;
                self.queue.push(now, Event::Refuse { key });
                self.queue.push(now + self.delay(connection), Event::Withdraw { key });
            }
            Output::Send { request, chunk, waiting } => self.send(host, request_key(request), chunk, waiting),
            Output::Reject { request } => {
                let key = request_key(request);
                self.control += FRAME_BYTES;
                let Some(connection) = self.transfers.find(key).map(|transfer| transfer.connection) else { return };
                self.queue.push(now + self.delay(connection), Event::Refuse { key });
                self.end_server(key);
            }
            Output::Announce { chunks } => {
                let bytes = FRAME_BYTES + HAVE_BYTES * chunks.len() as u64;
                let chunks: Rc<[ChunkId]> = chunks.into();
                for connection in self.hosts[host].connections.clone() {
                    let side = 1 - self.side(connection, host);
                    self.control += bytes;
                    let arrival = now + self.delay(connection);
                    self.queue.push(arrival, Event::Haves { connection, side, chunks: Rc::clone(&chunks) });
                }
            }
            Output::Members { source: SourceId(connection), members } => {
                let side = 1 - self.side(connection, host);
                self.control += FRAME_BYTES + MEMBER_BYTES * members.len() as u64;
                let arrival = now + self.delay(connection);
                self.queue.push(arrival, Event::Members { connection, side, members: members.into() });
            }
            Output::Blame { .. } => self.control += FRAME_BYTES,
            Output::Ban { source: SourceId(connection) } => self.ban(host, connection),
            Output::Complete => self.hosts[host].complete_at = Some(now),
        }
    }

    fn send(&mut self, host: usize, key: Key, chunk: ChunkId, waiting: u32) {
        let now = self.queue.now();
        let all = Runs::all(self.runs_of(chunk));
        let transfer = self.transfers.find(key).expect("what is answered was asked");
        if chunk != transfer.asked {
            transfer.runs = all;
        }
        (transfer.chunk, transfer.waiting, transfer.serving) = (chunk, waiting, Serving::Sending);
        self.control += ANSWER_BYTES;
        if self.scenario.hosts[host].publisher {
            // Who is in another zone gets the bytes later than that anyhow.
            let proved = now + self.scenario.proof_delay + self.scenario.round_trip / 2;
            self.proved[chunk.as_usize()].get_or_insert(proved);
        }
        self.hosts[host].links.add(key);
        self.pump(host);
    }

    pub(super) fn on_holds(&mut self, connection: u32, side: u8, chunks: &Bitfield) {
        if let Some(host) = self.open_end(connection, side) {
            self.tell(host, Input::Holds { source: SourceId(connection), chunks: chunks.clone() });
        }
    }

    pub(super) fn on_haves(&mut self, connection: u32, side: u8, chunks: &[ChunkId]) {
        if let Some(host) = self.open_end(connection, side) {
            self.tell(host, Input::Haves { source: SourceId(connection), chunks: chunks.to_vec() });
        }
    }

    pub(super) fn on_members(&mut self, connection: u32, side: u8, members: &[Member]) {
        if let Some(host) = self.open_end(connection, side) {
            self.tell(host, Input::Members { source: SourceId(connection), members: members.to_vec() });
        }
    }

    pub(super) fn on_request(&mut self, key: Key) {
        let Some(transfer) = self.transfers.find(key) else { return };
        let (connection, side) = (transfer.connection, 1 - transfer.client);
        let (chunk, exact) = (transfer.asked, transfer.exact);
        let Some(host) = self.open_end(connection, side) else {
            self.transfers.end_server(key);
            return;
        };
        self.connections[connection as usize].serving[usize::from(side)].push(key);
        if let Some(transfer) = self.transfers.find(key) {
            transfer.serving = Serving::Waiting;
        }
        if self.is_evaded(key) {
            return;
        }
        self.tell(host, Input::Requested { source: SourceId(connection), request: request_id(key), chunk, exact });
    }

    pub(super) fn on_withdraw(&mut self, key: Key) {
        let Some(transfer) = self.transfers.find(key) else { return };
        let (serving, connection, side) = (transfer.serving, transfer.connection, 1 - transfer.client);
        let Some(host) = self.open_end(connection, side) else { return };
        let request = request_id(key);
        match serving {
            Serving::Waiting => {
                self.end_server(key);
                self.tell(host, Input::Withdrawn { request });
            }
            Serving::Sending => {
                self.end_server(key);
                self.tell(host, Input::Sent { request, outcome: Outcome::Aborted });
            }
            Serving::Coming | Serving::Ended => {}
        }
    }

    pub(super) fn on_refuse(&mut self, key: Key) {
        if let Some((host, connection, asked, _)) = self.client_of(key) {
            self.end_client(key);
            self.tell(host, Input::Refused { source: SourceId(connection), asked });
        }
    }

    /// What `part` of `chunk` means now, and whether another chunk would not do.
    fn runs_to_ask(&mut self, host: usize, chunk: ChunkId, part: Part, exact: bool) -> (Runs, bool) {
        let count = self.runs_of(chunk);
        let assembly = self.hosts[host].links.assemblies.entry(chunk).or_default();
        if part == Part::Alone {
            *assembly = Assembly::default();
        }
        let runs = assembly.missing(count, part == Part::RestFromEnd);
        (runs, exact || runs != Runs::all(count))
    }

    /// A packet run came: the chunk begins to arrive, or is whole.
    pub(super) fn on_run(&mut self, key: Key, run: u32) {
        let Some((host, connection, asked, chunk)) = self.client_of(key) else { return };
        let source = SourceId(connection);
        if self.transfers.find(key).is_some_and(|t| !std::mem::replace(&mut t.arriving, true)) {
            self.tell(host, Input::Arriving { source, asked, chunk });
        }
        let Some(waiting) = self.transfers.find(key).filter(|t| !t.cancelled).map(|t| t.waiting) else { return };
        let (bad, count) = (self.corrupts(key), self.runs_of(chunk));
        let assembly = self.hosts[host].links.assemblies.entry(chunk).or_default();
        let Some(verdict) = assembly.add(run, connection, bad, count) else { return };
        self.hosts[host].links.assemblies.remove(&chunk);
        self.end_client(key);
        let written = self.queue.now() + self.scenario.verify.time(self.layout.len(chunk));
        let at = self.proved[chunk.as_usize()].map_or(written, |proved| proved.max(written));
        let life = self.hosts[host].life;
        self.queue.push(at, Event::Verified { host, life, connection, chunk, verdict });
        self.tell(host, Input::Fetched { source, asked, chunk, waiting });
    }

    pub(super) fn on_acknowledged(&mut self, key: Key) {
        let Some(transfer) = self.transfers.find(key).filter(|t| t.serving == Serving::Sending) else { return };
        let (connection, side) = (transfer.connection, 1 - transfer.client);
        let Some(host) = self.open_end(connection, side) else { return };
        self.end_server(key);
        self.tell(host, Input::Sent { request: request_id(key), outcome: Outcome::Delivered });
    }

    pub(super) fn on_verified(&mut self, host: usize, life: u32, connection: u32, chunk: ChunkId, verdict: Verdict) {
        if self.hosts[host].life != life || self.hosts[host].swarm.is_none() {
            return; // it died meanwhile
        }
        let source = SourceId(connection);
        let input = match verdict {
            Verdict::Good => Input::Verified { source, chunk },
            Verdict::Bad => Input::Corrupt { source, chunk },
            Verdict::Mixed => Input::Mixed { chunk },
        };
        self.tell(host, input);
    }

    /// The client of a transfer with its connection, what it asked for and what comes, while it still waits.
    fn client_of(&mut self, key: Key) -> Option<(usize, u32, ChunkId, ChunkId)> {
        let transfer = self.transfers.find(key).filter(|t| t.client_open)?;
        let (connection, client, asked, chunk) = (transfer.connection, transfer.client, transfer.asked, transfer.chunk);
        Some((self.open_end(connection, client)?, connection, asked, chunk))
    }

    pub(super) fn end_client(&mut self, key: Key) {
        if let Some(transfer) = self.transfers.find(key) {
            let asking = &mut self.connections[transfer.connection as usize].asking[usize::from(transfer.client)];
            asking.retain(|(_, other)| *other != key);
            self.transfers.end_client(key);
        }
    }

    pub(super) fn end_server(&mut self, key: Key) {
        if let Some(transfer) = self.transfers.find(key) {
            let serving = &mut self.connections[transfer.connection as usize].serving[1 - usize::from(transfer.client)];
            serving.retain(|other| *other != key);
            self.transfers.end_server(key);
        }
    }
}
