//! Uplink: what others asked of us, and whether there was always something to send.
//!
//! Time in which nothing is sent although somebody could take something is what costs the swarm its makespan. A trace of one node
//! shows whether requests waited; whether the link was full meanwhile, only the link can tell.
//!
//! Invariant: a request waits or is being sent, never both.
//!
//! Not here: what was sent to whom (`sources`).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::chunk::{ChunkId, Layout};
use crate::swarm::{Input, Outcome, Output, RequestId, SourceId};
use crate::units::Time;

#[derive(Clone, Debug)]
struct Request {
    source: SourceId,
    chunk: ChunkId,
    sending: bool,
}

/// What others asked of us.
#[derive(Clone, Debug)]
pub struct Uplink {
    /// Requests that came.
    pub requested: u64,
    /// Answers that were begun.
    pub sent: u64,
    /// Answers that were taken whole.
    pub delivered: u64,
    /// Bytes of the chunks of these; parts of a chunk count for all of it.
    pub delivered_bytes: u64,
    /// Answers that the other side stopped, or that broke.
    pub aborted: u64,
    /// Requests that we answered with another chunk.
    pub redirected: u64,
    /// Requests that we rejected.
    pub rejected: u64,
    /// Requests that were taken back before their turn.
    pub withdrawn: u64,
    /// From the first request to the last moment at which there was one.
    pub span: Duration,
    /// How much of it something was being sent; an answer that nobody takes, as by who is frozen, counts too.
    pub active: Duration,
    /// How much of it somebody waited and nothing was being sent.
    pub stalled: Duration,
    /// The longest queue.
    pub queue_most: usize,
    /// Requests that waited, times the seconds that they did.
    waited: f64,
    layout: Layout,
    open: BTreeMap<RequestId, Request>,
    sending: usize,
    first: Option<Time>,
    now: Time,
}

impl Uplink {
    pub(super) fn new(layout: Layout) -> Self {
        Self {
            requested: 0,
            sent: 0,
            delivered: 0,
            delivered_bytes: 0,
            aborted: 0,
            redirected: 0,
            rejected: 0,
            withdrawn: 0,
            span: Duration::ZERO,
            active: Duration::ZERO,
            stalled: Duration::ZERO,
            queue_most: 0,
            waited: 0.0,
            layout,
            open: BTreeMap::new(),
            sending: 0,
            first: None,
            now: Time::ZERO,
        }
    }

    /// The number of requests that waited, on average over the span.
    #[must_use]
    pub fn queue_mean(&self) -> f64 {
        if self.span.is_zero() { 0.0 } else { self.waited / self.span.as_secs_f64() }
    }

    pub(super) fn on_input(&mut self, now: Time, input: &Input) {
        self.advance(now);
        match input {
            Input::Requested { source, request, chunk, .. } => {
                self.first.get_or_insert(now);
                self.requested += 1;
                self.end(*request); // in an edited trace an id may come twice
                self.open.insert(*request, Request { source: *source, chunk: *chunk, sending: false });
                self.queue_most = self.queue_most.max(self.open.len() - self.sending);
            }
            Input::Withdrawn { request } => {
                self.withdrawn += 1;
                self.end(*request);
            }
            Input::Sent { request, outcome } => {
                let Some(ended) = self.end(*request) else { return };
                match outcome {
                    Outcome::Delivered => {
                        self.delivered += 1;
                        self.delivered_bytes += self.layout.len(ended.chunk);
                    }
                    Outcome::Aborted => self.aborted += 1,
                }
            }
            Input::Left { source } => {
                let gone: Vec<RequestId> =
                    self.open.iter().filter(|(_, request)| request.source == *source).map(|(id, _)| *id).collect();
                gone.into_iter().for_each(|id| _ = self.end(id));
            }
            _ => {}
        }
    }

    pub(super) fn on_output(&mut self, now: Time, output: &Output) {
        self.advance(now);
        match output {
            Output::Send { request, chunk, .. } => {
                let Some(open) = self.open.get_mut(request) else { return };
                self.sent += 1;
                self.redirected += u64::from(open.chunk != *chunk);
                self.sending += usize::from(!open.sending);
                (open.chunk, open.sending) = (*chunk, true);
            }
            Output::Reject { request } => {
                self.rejected += 1;
                self.end(*request);
            }
            _ => {}
        }
    }

    /// Lets the time until `now` pass.
    pub(super) fn advance(&mut self, now: Time) {
        let passed = now.since(std::mem::replace(&mut self.now, now));
        if let Some(first) = self.first.filter(|_| !self.open.is_empty()) {
            self.span = now.since(first);
        }
        let waiting = self.open.len() - self.sending;
        if self.sending > 0 {
            self.active += passed;
        } else if waiting > 0 {
            self.stalled += passed;
        }
        #[allow(clippy::cast_precision_loss)] // queues are short
        let waiting = waiting as f64;
        self.waited += waiting * passed.as_secs_f64();
    }

    fn end(&mut self, request: RequestId) -> Option<Request> {
        let ended = self.open.remove(&request)?;
        self.sending -= usize::from(ended.sending);
        Some(ended)
    }
}
