//! Sources: what each of them brought and took, and how long it was not asked for anything.
//!
//! A source that holds what we lack and is asked for nothing is capacity that lies idle: at the end because everything is on its way,
//! before that because somebody has to be told, or because a window is too small.
//!
//! Invariant: `lacking` of a source is the number of chunks that it holds, as far as it said, and we do not.
//!
//! Not here: how long a request took (`requests`).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bitfield::Bitfield;
use crate::chunk::ChunkId;
use crate::swarm::trace::Named;
use crate::swarm::{Input, Outcome, Output, RequestId, SourceId};
use crate::units::Time;

/// What one source gave and took.
#[derive(Clone, Debug)]
pub struct Neighbour {
    /// Where it listens; empty when the trace does not say.
    pub address: String,
    /// The peer that it is; empty for a path on this machine.
    pub peer: String,
    /// Its zone.
    pub zone: String,
    /// Whether it publishes.
    pub publisher: bool,
    /// Whether it is there at the end.
    pub here: bool,
    /// How long it was there.
    pub present: Duration,
    /// How long nothing was asked of it.
    pub idle: Duration,
    /// How long nothing was asked of it although it held something that we lacked.
    pub idle_in_vain: Duration,
    /// Chunks of which it brought the last byte.
    pub received: u64,
    /// Bytes of these chunks.
    pub received_bytes: u64,
    /// Answers that it took.
    pub sent: u64,
    outstanding: u32,
    known: Bitfield,
    lacking: u32,
}

/// All sources of a run.
#[derive(Clone, Debug)]
pub struct Sources {
    neighbours: BTreeMap<SourceId, Neighbour>,
    requests: BTreeMap<RequestId, SourceId>,
    held: Bitfield,
    now: Time,
}

impl Sources {
    pub(super) fn new(have: &Bitfield, begun: Time) -> Self {
        Self { neighbours: BTreeMap::new(), requests: BTreeMap::new(), held: have.clone(), now: begun }
    }

    /// Every source that ever joined, by its number.
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &Neighbour)> {
        self.neighbours.iter().map(|(source, neighbour)| (*source, neighbour))
    }

    /// The peer behind a number.
    #[must_use]
    pub fn peer(&self, source: SourceId) -> Option<&str> {
        self.neighbours.get(&source).map(|neighbour| neighbour.peer.as_str()).filter(|peer| !peer.is_empty())
    }

    pub(super) fn name(&mut self, named: Named) {
        let neighbour = self.neighbour(named.source);
        neighbour.address = named.address;
        neighbour.peer = named.peer;
        neighbour.zone = named.zone;
        neighbour.publisher = named.publisher;
    }

    pub(super) fn on_input(&mut self, now: Time, input: &Input) {
        self.advance(now);
        match input {
            Input::Joined { source, profile } => {
                let neighbour = self.neighbour(*source);
                (neighbour.here, neighbour.publisher) = (true, profile.publisher);
            }
            Input::Left { source } => {
                let neighbour = self.neighbour(*source);
                (neighbour.here, neighbour.outstanding) = (false, 0);
            }
            Input::Holds { source, chunks } => {
                let lacking = chunks.count_outside(&self.held);
                let neighbour = self.neighbour(*source);
                (neighbour.known, neighbour.lacking) = (chunks.clone(), lacking);
            }
            Input::Haves { source, chunks } => chunks.iter().for_each(|chunk| self.learn(*source, *chunk)),
            Input::Fetched { source, chunk, .. } => {
                let bytes = self.held.layout().len(*chunk);
                let neighbour = self.neighbour(*source);
                neighbour.outstanding = neighbour.outstanding.saturating_sub(1);
                neighbour.received += 1;
                neighbour.received_bytes += bytes;
            }
            Input::Refused { source, .. } => {
                let neighbour = self.neighbour(*source);
                neighbour.outstanding = neighbour.outstanding.saturating_sub(1);
            }
            Input::Verified { chunk, .. } if self.held.insert(*chunk) => self.count(*chunk, |lacking| lacking - 1),
            Input::Lost { chunk } if self.held.remove(*chunk) => self.count(*chunk, |lacking| lacking + 1),
            Input::Requested { source, request, .. } => _ = self.requests.insert(*request, *source),
            Input::Withdrawn { request } => _ = self.requests.remove(request),
            Input::Sent { request, outcome } => {
                if let (Some(source), Outcome::Delivered) = (self.requests.remove(request), outcome) {
                    self.neighbour(source).sent += 1;
                }
            }
            _ => {}
        }
    }

    pub(super) fn on_output(&mut self, now: Time, output: &Output) {
        self.advance(now);
        if let Output::Fetch { source, .. } = output {
            self.neighbour(*source).outstanding += 1;
        }
    }

    /// Lets the time until `now` pass.
    pub(super) fn advance(&mut self, now: Time) {
        let passed = now.since(std::mem::replace(&mut self.now, now));
        for neighbour in self.neighbours.values_mut().filter(|neighbour| neighbour.here) {
            neighbour.present += passed;
            if neighbour.outstanding == 0 {
                neighbour.idle += passed;
                neighbour.idle_in_vain += if neighbour.lacking > 0 { passed } else { Duration::ZERO };
            }
        }
    }

    fn learn(&mut self, source: SourceId, chunk: ChunkId) {
        let lacked = !self.held.contains(chunk);
        let neighbour = self.neighbour(source);
        if neighbour.known.insert(chunk) {
            neighbour.lacking += u32::from(lacked);
        }
    }

    /// Counts anew what those who hold `chunk` have and we lack.
    fn count(&mut self, chunk: ChunkId, change: impl Fn(u32) -> u32) {
        for neighbour in self.neighbours.values_mut().filter(|neighbour| neighbour.known.contains(chunk)) {
            neighbour.lacking = change(neighbour.lacking);
        }
    }

    fn neighbour(&mut self, source: SourceId) -> &mut Neighbour {
        let layout = self.held.layout();
        self.neighbours.entry(source).or_insert_with(|| Neighbour {
            address: String::new(),
            peer: String::new(),
            zone: String::new(),
            publisher: false,
            here: false,
            present: Duration::ZERO,
            idle: Duration::ZERO,
            idle_in_vain: Duration::ZERO,
            received: 0,
            received_bytes: 0,
            sent: 0,
            outstanding: 0,
            known: Bitfield::none(layout),
            lacking: 0,
        })
    }
}
