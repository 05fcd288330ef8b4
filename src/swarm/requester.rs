//! Requester: keeps every source busy with what we lack, within its window, and follows each request to its end.
//!
//! The idlest source first, publishers before others: a request to a publisher in its first pass is only a claim to be served, so it
//! should be there early. There is no cap over all sources; the windows are the cap.
//!
//! Invariant: a chunk is claimed by one request at a time, but for the end game and for requests that are far too old.
//!
//! Not here: which chunk (`picker`), how many at a time (`window`), requests that are too old (`hedge`), whom to believe (`blame`).

use crate::chunk::ChunkId;
use crate::swarm::Swarm;
use crate::swarm::endgame::SOURCES_PER_CHUNK;
use crate::swarm::event::{Output, Part, SourceId};
use crate::swarm::picker::pick;
use crate::swarm::source::{Fetching, Source, smooth};
use crate::swarm::window::Sample;
use crate::units::Time;

/// Holders from which on a chunk is left to peers. With two publishers among eight peers, copies sent by the publishers fall from 1.6 and
/// 1.7 (256 KiB, 1 MiB) to 1.05 and 1.1 at the same makespan. One holder would do for that, but costs 2 to 6 points where it has
/// the one thin uplink; four leave 1.13 and 1.2 (simulated).
const SPREAD: u16 = 2;

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
        if source.profile.publisher && self.is_spread(chunk) {
            return false;
        }
        let (part, beside) = self.part_beside_others(chunk);
        // What may be here already is not to come in exchange.
        // What comes from another zone has to be what we own.
        let exact = beside || !self.board.withheld().is_empty() || self.board.source(id).is_some_and(|s| s.far);
        self.fetch(now, id, chunk, part, exact);
        true
    }

    /// Whether a publisher need not be asked for `chunk`: enough others that may be relied upon hold it.
    fn is_spread(&self, chunk: ChunkId) -> bool {
        let usable = |s: &&Source| {
            let open = s.spreads() && s.paused_until.is_none() && !s.is_stuck();
            open && s.known.contains(chunk) && self.may_cross(s, chunk)
        };
        self.board.copies(chunk) >= SPREAD
            && self.board.sources().values().filter(usable).count() >= usize::from(SPREAD)
    }

    /// Asks `id` for these bytes of `chunk`. A chunk that was mixed wrongly is asked for whole, whatever was intended.
    pub(super) fn fetch(&mut self, now: Time, id: SourceId, chunk: ChunkId, part: Part, exact: bool) {
        let (part, exact) = if self.board.is_alone(chunk) { (Part::Alone, true) } else { (part, exact) };
        let (since, progress) = (now, now);
        let claims = self.board.source(id).is_some_and(|s| s.silent.is_none());
        let fetching =
            Fetching { asked: chunk, chunk, part, exact, since, progress, arriving: false, claims, cancelled: false };
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
        if fetching.part == Part::Alone {
            self.board.bring_alone(chunk, id);
        }
        let Some(source) = self.board.source_mut(id) else { return };
        source.refusals = 0;
        if fetching.part == Part::RestFromEnd {
            return; // less than a chunk says nothing about the time that one takes
        }
        let took = now.since(fetching.since);
        smooth(&mut source.fetch_time, took);
        smooth(&mut self.fetch_time, took);
        let least = source.least_time.map_or(took, |least| least.min(took));
        source.least_time = Some(least);
        let sample = Sample { waiting, others: source.outstanding(), took, least };
        source.window.on_fetched(now, &sample);
        self.credit(id);
    }

    pub(super) fn on_verified(&mut self, now: Time, id: SourceId, chunk: ChunkId) {
        self.board.end_verifying(chunk);
        self.trust(id);
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
                self.hear(now, id);
                self.tally.refused += 1;
                self.doubt(now, id);
            }
            _ => {}
        }
    }
}
