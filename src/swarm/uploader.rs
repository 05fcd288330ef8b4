//! Uploader: in which order requests are answered, and with what.
//!
//! The most deprived requester first: the one that lacks most of what we hold is the one that can pass most on. Fair shares look
//! kinder and cost nine to twelve points of the makespan when machines differ (simulated). An answer is not interrupted, as half a
//! chunk is of no use to anybody.
//!
//! Invariant: every request waits in `queue` or is in `active`, never both; with turns free and requests waiting, one is served, unless
//! only neighbours in `debt` wait and the uplink is busy.
//!
//! Not here: bytes and their pacing.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::chunk::ChunkId;
use crate::swarm::Swarm;
use crate::swarm::board::Board;
use crate::swarm::config::Config;
use crate::swarm::event::{Outcome, Output, RequestId, SourceId};
use crate::swarm::footprint::{list, queue, tree};
use crate::swarm::source::smooth;
use crate::units::Time;

/// Uploads whose duration is remembered: about two neighbourhoods, so that the measure follows the load within two rounds.
const RECENT: usize = 16;

/// A neighbour whose uploads take more than this many times the median does not get a chunk that nobody else has.
const SLOW_FACTOR: u32 = 2;

#[derive(Clone, Debug)]
struct Waiting {
    request: RequestId,
    source: SourceId,
    chunk: ChunkId,
    exact: bool,
    /// Later requests that were served before this one while it was the oldest.
    overtaken: u32,
}

#[derive(Clone, Debug)]
struct Upload {
    source: SourceId,
    chunk: ChunkId,
    since: Time,
    has_turn: bool,
    /// It is a whole chunk; an exact request may name less.
    whole: bool,
    /// Everything was handed to the transport.
    written: bool,
}

/// Requests of others.
#[derive(Clone, Debug, Default)]
pub(super) struct Uploader {
    /// In order of arrival.
    queue: Vec<Waiting>,
    active: BTreeMap<RequestId, Upload>,
    /// Entries of `active` that have their turn.
    turns: usize,
    /// How long the last few uploads took until they were written.
    recent: VecDeque<Duration>,
}

impl Uploader {
    pub(super) fn active(&self) -> usize {
        self.active.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn on_left(&mut self, id: SourceId) {
        self.queue.retain(|w| w.source != id);
        self.active.retain(|_, upload| upload.source != id);
        self.turns = self.active.values().filter(|u| u.has_turn).count();
    }

    /// Who is being served, and since when.
    pub(super) fn receivers(&self) -> impl Iterator<Item = (SourceId, Time)> {
        self.active.values().map(|upload| (upload.source, upload.since))
    }

    /// The longest time that one of the last few uploads took.
    pub(super) fn longest(&self) -> Option<Duration> {
        self.recent.iter().max().copied()
    }

    fn on_written(&mut self, now: Time, request: RequestId) {
        self.end_turn(request);
        let Some(upload) = self.active.get_mut(&request).filter(|upload| !upload.written) else { return };
        upload.written = true;
        if !upload.whole {
            return;
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(now.since(upload.since));
    }

    fn end_turn(&mut self, request: RequestId) {
        if let Some(upload) = self.active.get_mut(&request) {
            self.turns -= usize::from(upload.has_turn);
            upload.has_turn = false;
        }
    }

    /// Bytes that it has allocated.
    pub(super) fn footprint(&self) -> usize {
        list(&self.queue) + tree(&self.active) + queue(&self.recent)
    }

    pub(super) fn check_invariants(&self, board: &Board, config: &Config) {
        assert_eq!(self.turns, self.active.values().filter(|u| u.has_turn).count(), "turns are counted");
        assert!(self.turns <= config.uploads_at_once, "no more uploads than turns");
        assert!(self.queue.iter().all(|w| !self.active.contains_key(&w.request)), "a request waits or is served");
        for (id, source) in board.sources() {
            let waiting = self.queue.iter().filter(|w| w.source == *id).count();
            assert_eq!(waiting, source.queued as usize, "requests of {id:?} are counted");
        }
    }
}

impl Swarm {
    pub(super) fn on_requested(&mut self, id: SourceId, request: RequestId, chunk: ChunkId, exact: bool) {
        let cap = self.config.queue_per_neighbour;
        let holds = self.board.have().contains(chunk);
        match self.board.source_mut(id) {
            Some(source) if holds && !source.profile.local && source.queued < cap => {
                source.queued += 1;
                self.uploader.queue.push(Waiting { request, source: id, chunk, exact, overtaken: 0 });
            }
            _ => self.reject(request),
        }
    }

    pub(super) fn on_withdrawn(&mut self, request: RequestId) {
        match self.uploader.queue.iter().position(|w| w.request == request) {
            Some(index) => drop(self.take_waiting(index)),
            // It crossed with our `Send`.
            None => self.on_aborted(request),
        }
    }

    pub(super) fn on_written(&mut self, now: Time, request: RequestId) {
        self.uploader.on_written(now, request);
    }

    pub(super) fn on_sent(&mut self, now: Time, request: RequestId, outcome: Outcome) {
        if outcome == Outcome::Aborted {
            self.on_aborted(request);
            return;
        }
        self.uploader.on_written(now, request);
        let Some(upload) = self.uploader.active.remove(&request) else { return };
        self.tally.delivered += 1;
        self.tally.delivered_bytes += self.board.layout().len(upload.chunk);
        if let Some(source) = self.board.source_mut(upload.source) {
            let took = now.since(upload.since);
            if upload.whole {
                smooth(&mut source.upload_time, took);
            }
            self.hear(now, upload.source);
        }
    }

    fn on_aborted(&mut self, request: RequestId) {
        self.uploader.end_turn(request);
        let Some(upload) = self.uploader.active.remove(&request) else { return };
        self.tally.aborted += 1;
        if let Some(pass) = &mut self.first_pass {
            pass.on_aborted(&self.board, upload.source, upload.chunk);
        }
    }

    /// Answers requests while there are turns.
    pub(super) fn serve(&mut self, now: Time) {
        while self.uploader.turns < self.config.uploads_at_once && !self.uploader.queue.is_empty() {
            let Some(waiting) = self.next_to_serve() else { break };
            if !self.board.have().contains(waiting.chunk) {
                self.reject(waiting.request); // lost while it waited
                continue;
            }
            let chunk = self.answer(&waiting);
            self.tally.redirected += u64::from(chunk != waiting.chunk);
            let silent = self.board.source(waiting.source).is_some_and(|s| s.silent.is_some());
            // What is sent to nobody in particular has not left.
            if let Some(pass) = self.first_pass.as_mut().filter(|_| !silent) {
                pass.on_send(&self.board, waiting.source, chunk);
            }
            let (source, whole) = (waiting.source, !waiting.exact);
            let upload = Upload { source, chunk, since: now, has_turn: true, whole, written: false };
            self.uploader.active.insert(waiting.request, upload);
            self.uploader.turns += 1;
            let behind = u32::try_from(self.uploader.queue.len() + self.uploader.turns - 1).unwrap_or(u32::MAX);
            self.outputs.push_back(Output::Send { request: waiting.request, chunk, waiting: behind });
        }
    }

    /// Takes the request to be answered now out of the queue, unless those who wait are in debt and the uplink is busy.
    fn next_to_serve(&mut self) -> Option<Waiting> {
        let mut chosen = 0;
        if self.uploader.queue[0].overtaken < self.config.overtakes_max {
            let (slow, limit) = (self.slow_from(), self.debt_limit());
            let first_pass = self.first_pass.as_ref().is_some_and(|pass| !pass.is_over());
            let rank = |waiting: &Waiting| {
                let source = self.board.source(waiting.source).expect("requests leave with their source");
                let quick = slow.is_none_or(|slow| source.upload_time.is_none_or(|time| time <= slow));
                // What leaves first for another zone has to leave again for our own, or to come back.
                let near = !(first_pass && source.far);
                (source.silent.is_none(), !self.is_in_debt(waiting.source, limit), near, quick, source.gain)
            };
            for index in 1..self.uploader.queue.len() {
                if rank(&self.uploader.queue[index]) > rank(&self.uploader.queue[chosen]) {
                    chosen = index;
                }
            }
            let in_debt = self.is_in_debt(self.uploader.queue[chosen].source, limit);
            if Self::is_put_off(in_debt, self.uploader.turns) {
                return None;
            }
        }
        if chosen > 0 {
            self.uploader.queue[0].overtaken += 1;
        }
        let chosen = self.same_but_unserved(chosen);
        Some(self.take_waiting(chosen))
    }

    /// A request of the same neighbour that names an unserved chunk, if the chosen one does not: its turn is that neighbour's, and
    /// a redirect to what it asked for anyway would only confuse both.
    fn same_but_unserved(&self, chosen: usize) -> usize {
        let Some(pass) = self.first_pass.as_ref().filter(|pass| !pass.is_over()) else { return chosen };
        let waiting = &self.uploader.queue[chosen];
        if waiting.exact || pass.is_next(waiting.chunk) {
            return chosen;
        }
        let twin = |w: &Waiting| w.source == waiting.source && pass.is_next(w.chunk);
        self.uploader.queue.iter().position(twin).unwrap_or(chosen)
    }

    /// During the first pass: the upload time beyond which a neighbour is slow, `SLOW_FACTOR` times the median.
    fn slow_from(&self) -> Option<Duration> {
        self.first_pass.as_ref().filter(|pass| !pass.is_over())?;
        let mut times: Vec<Duration> = self.board.sources().values().filter_map(|s| s.upload_time).collect();
        if times.is_empty() {
            return None;
        }
        let middle = times.len() / 2;
        Some(SLOW_FACTOR * *times.select_nth_unstable(middle).1)
    }

    /// The chunk to send: the one asked for, unless it has left before and others have not.
    fn answer(&mut self, waiting: &Waiting) -> ChunkId {
        let Some(pass) = self.first_pass.as_ref().filter(|pass| !pass.is_over()) else { return waiting.chunk };
        if waiting.exact || pass.is_next(waiting.chunk) {
            return waiting.chunk;
        }
        // Another publisher may hold unserved chunks; it is hardly ever the one who asks.
        let lacks = |chunk: &ChunkId| self.board.source(waiting.source).is_none_or(|s| !s.known.contains(*chunk));
        pass.draw(&mut self.rng).filter(lacks).unwrap_or(waiting.chunk)
    }

    fn take_waiting(&mut self, index: usize) -> Waiting {
        let waiting = self.uploader.queue.remove(index);
        if let Some(source) = self.board.source_mut(waiting.source) {
            source.queued -= 1;
        }
        waiting
    }

    fn reject(&mut self, request: RequestId) {
        self.tally.rejected += 1;
        self.outputs.push_back(Output::Reject { request });
    }

    /// Checks that nobody waits without a reason while a turn is free.
    pub(super) fn check_turns(&self) {
        let (turns, limit) = (self.uploader.turns, self.debt_limit());
        let waits = |waiting: &Waiting| {
            let silent = self.board.source(waiting.source).is_some_and(|s| s.silent.is_some());
            silent || Self::is_put_off(self.is_in_debt(waiting.source, limit), turns)
        };
        let full = turns == self.config.uploads_at_once;
        assert!(full || self.uploader.queue.iter().all(waits), "nobody waits while a turn is free");
    }

    /// When the oldest upload will have had its turn for too long, if anybody waits for it.
    pub(super) fn next_overdue(&self) -> Option<Time> {
        if self.uploader.queue.is_empty() {
            return None;
        }
        let oldest = self.uploader.active.values().filter(|u| u.has_turn).map(|u| u.since).min()?;
        Some(oldest + self.turn_time())
    }

    /// Ends the turns of uploads that are held up by their receivers.
    pub(super) fn free_overdue_turns(&mut self, now: Time) {
        let turn = self.turn_time();
        let overdue: Vec<RequestId> = (self.uploader.active.iter())
            .filter(|(_, upload)| upload.has_turn && upload.since + turn <= now)
            .map(|(request, _)| *request)
            .collect();
        for request in overdue {
            self.uploader.end_turn(request);
        }
    }

    /// How long an upload keeps its turn: half as long again as the quickest of late. All share our uplink alike, so what takes
    /// longer is held up by its receiver and leaves the uplink idle. The quickest also grows with the number of uploads, which keeps
    /// that number from running away. A factor between 1 and 3 moves the makespan by a point at most (simulated).
    fn turn_time(&self) -> Duration {
        let quickest = self.uploader.recent.iter().min();
        let usual = quickest.map_or(self.config.hedge_after, |time| *time + *time / 2);
        // What our own limit holds up is not held up by its receiver.
        usual.max(self.allowed_upload_time())
    }
}
