//! Requester: keeps every source busy with what we lack, within its window, and follows each request to its end.
//!
//! The idlest source first, publishers before others: a request to a publisher in its first pass is only a claim to be served, so it
//! should be there early. There is no cap over all sources; the windows are the cap.
//!
//! Invariant: a chunk is claimed by one request at a time, but for the end game and for requests that are far too old.
//!
//! Not here: which chunk (`picker`), how many at a time (`window`), whom to believe (`blame`).

use std::time::Duration;

use crate::chunk::ChunkId;
use crate::swarm::Swarm;
use crate::swarm::endgame::SOURCES_PER_CHUNK;
use crate::swarm::event::{Output, Part, SourceId};
use crate::swarm::picker::pick;
use crate::swarm::source::{Fetching, Source, smooth};
use crate::swarm::window::Sample;
use crate::units::Time;

/// Rate in bytes per second below which a request looks lost while nothing has been measured: 1 MiB/s, a slow office line.
const SLOWEST_EXPECTED: u64 = 1 << 20;

impl Swarm {
    /// Asks for chunks wherever there is room.
    pub(super) fn fill(&mut self, now: Time) {
        if self.complete {
            return;
        }
        let mut order: Vec<(u32, bool, SourceId)> = (self.board.sources().iter())
            .filter(|(_, source)| source.want > 0 && source.has_room())
            .map(|(id, source)| (source.outstanding(), !source.profile.publisher && !source.profile.local, *id))
            .collect();
        order.sort_unstable();
        // One each per round, so that wide windows do not empty the choice for those behind.
        while !order.is_empty() {
            order.retain(|&(_, _, id)| self.ask(now, id));
        }
        self.fill_twice(now);
    }

    /// Asks one source for one chunk; false when there is no room or nothing to ask for.
    fn ask(&mut self, now: Time, id: SourceId) -> bool {
        let Some(source) = self.board.source(id).filter(|s| s.want > 0 && s.has_room()) else { return false };
        let Some(chunk) = pick(&self.board, source, &mut self.rng) else { return false };
        // What may be here already is not to come in exchange.
        let exact = !self.board.withheld().is_empty();
        self.fetch(now, id, chunk, Part::Rest, exact);
        true
    }

    /// Asks `id` for these bytes of `chunk`. A chunk that was mixed wrongly is asked for whole, whatever was intended.
    pub(super) fn fetch(&mut self, now: Time, id: SourceId, chunk: ChunkId, part: Part, exact: bool) {
        let (part, exact) = if self.board.is_alone(chunk) { (Part::Alone, true) } else { (part, exact) };
        let (since, progress) = (now, now);
        let fetching =
            Fetching { asked: chunk, chunk, exact, since, progress, arriving: false, claims: true, cancelled: false };
        self.board.fetch(id, fetching);
        self.outputs.push_back(Output::Fetch { source: id, chunk, part, exact });
    }

    /// Gives up a request. It keeps its place in the window until it has ended.
    pub(super) fn cancel(&mut self, id: SourceId, asked: ChunkId) {
        let Some(fetching) = self.board.source_mut(id).and_then(|s| s.fetching(asked)) else { return };
        if fetching.cancelled {
            return;
        }
        fetching.cancelled = true;
        let chunk = fetching.chunk;
        self.board.set_claim(id, asked, chunk, false);
        self.tally.cancelled += 1;
        self.outputs.push_back(Output::Cancel { source: id, asked });
    }

    pub(super) fn on_arriving(&mut self, now: Time, id: SourceId, asked: ChunkId, chunk: ChunkId) {
        let Some(source) = self.board.source_mut(id) else { return };
        let Some(fetching) = source.fetching(asked) else { return };
        if fetching.cancelled {
            return;
        }
        let (expected, exact) = (fetching.chunk, fetching.exact);
        fetching.arriving = true;
        fetching.progress = now;
        let here = self.board.have().contains(chunk)
            || self.board.withheld().contains(chunk)
            || self.board.is_verifying(chunk);
        let redirected = chunk != expected;
        if here || redirected && (exact || self.is_coming_from_elsewhere(id, chunk)) {
            self.cancel(id, asked);
            return;
        }
        if redirected {
            // A request to the same source that still waits for this chunk has become idle.
            let twin =
                self.board.source(id).and_then(|s| s.fetching.iter().find(|f| f.asked != asked && f.chunk == chunk));
            if let Some(twin) = twin.map(|f| f.asked) {
                self.cancel(id, twin);
            }
        }
        // A request that was given up as too old counts again, unless two others have taken its place.
        let most = if self.board.is_alone(chunk) { 1 } else { SOURCES_PER_CHUNK };
        let claims = redirected || self.board.claims(chunk) < most;
        if claims {
            self.board.set_claim(id, asked, chunk, true);
        }
    }

    /// Whether another source, or another answer of the same one, is bringing `chunk`.
    fn is_coming_from_elsewhere(&self, id: SourceId, chunk: ChunkId) -> bool {
        let own = self.board.source(id).into_iter().flat_map(|s| &s.fetching).filter(|f| f.claims && f.chunk == chunk);
        let (mut claims, mut arriving) = (0, false);
        for fetching in own {
            claims += 1;
            arriving |= fetching.arriving;
        }
        arriving || self.board.claims(chunk) > claims
    }

    pub(super) fn on_fetched(&mut self, now: Time, id: SourceId, asked: ChunkId, chunk: ChunkId, waiting: u32) {
        self.tally.fetched += 1;
        if self.board.have().contains(chunk) || self.board.is_verifying(chunk) {
            self.tally.duplicates += 1;
        }
        // Verifying before the claim ends: the chunk is at no moment free to be asked for.
        self.board.begin_verifying(chunk);
        let fetching = self.board.end_fetch(id, asked);
        self.cancel_all(chunk);
        let Some(fetching) = fetching else { return };
        let Some(source) = self.board.source_mut(id) else { return };
        let took = now.since(fetching.since);
        source.refusals = 0;
        smooth(&mut source.fetch_time, took);
        smooth(&mut self.fetch_time, took);
        let least = source.least_time.map_or(took, |least| least.min(took));
        source.least_time = Some(least);
        let sample = Sample { waiting, others: source.outstanding(), took, least };
        source.window.on_fetched(now, &sample);
    }

    pub(super) fn on_verified(&mut self, now: Time, chunk: ChunkId) {
        self.board.end_verifying(chunk);
        if !self.board.gain(chunk) {
            return;
        }
        self.announcer.add(now, chunk);
        if let Some(pass) = &mut self.first_pass {
            pass.refresh(&self.board, chunk);
        }
        self.cancel_all(chunk);
    }

    /// Gives up every request that would bring `chunk`.
    pub(super) fn cancel_all(&mut self, chunk: ChunkId) {
        let late: Vec<(SourceId, ChunkId)> = (self.board.sources().iter())
            .flat_map(|(id, s)| s.fetching.iter().filter(|f| f.chunk == chunk).map(|f| (*id, f.asked)))
            .collect();
        for (id, asked) in late {
            self.cancel(id, asked);
        }
    }

    pub(super) fn on_refused(&mut self, now: Time, id: SourceId, asked: ChunkId) {
        match self.board.end_fetch(id, asked) {
            Some(fetching) if !fetching.cancelled => {
                self.tally.refused += 1;
                self.doubt(now, id);
            }
            _ => {}
        }
    }

    /// When the next request will be too old to keep its claim.
    pub(super) fn next_hedge(&self) -> Option<Time> {
        let sources = self.board.sources().values();
        sources
            .filter_map(|s| {
                let oldest = s.fetching.iter().filter(|f| f.claims).map(|f| f.progress).min()?;
                Some(oldest + self.patience(s))
            })
            .min()
    }

    /// Takes the claims of requests that are too old, so that their chunks are asked elsewhere as well.
    pub(super) fn give_up_claims(&mut self, now: Time) {
        let stuck: Vec<(SourceId, ChunkId, ChunkId)> = (self.board.sources().iter())
            .flat_map(|(id, s)| {
                let patience = self.patience(s);
                let old = s.fetching.iter().filter(move |f| f.claims && f.progress + patience <= now);
                old.map(|f| (*id, f.asked, f.chunk))
            })
            .collect();
        for (id, asked, chunk) in stuck {
            if self.board.is_alone(chunk) {
                self.cancel(id, asked);
            } else {
                self.board.set_claim(id, asked, chunk, false);
            }
        }
    }

    /// The age at which a request to this source is hedged.
    fn patience(&self, source: &Source) -> Duration {
        let guess = || Duration::from_secs(self.board.layout().chunk_size().div_ceil(SLOWEST_EXPECTED));
        match source.fetch_time.or(self.fetch_time) {
            Some(usual) => self.config.hedge_after.max(usual * self.config.hedge_factor),
            None => self.config.hedge_after.max(guess()),
        }
    }
}
