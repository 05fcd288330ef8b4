//! Silence: sources of which nothing is heard although they owe us something.
//!
//! A stopped process keeps its connections for as long as they may be idle, and its neighbours lose that time unless they notice
//! earlier. Slow is not silent: whoever announces, asks or acknowledges is there. Nothing is held against a silent source, it is
//! only not relied upon: what it was asked for is free for others, what it holds or was sent counts as no copy, and it is served last.
//!
//! Invariant: a silent source claims nothing; the first word of it ends its silence.
//!
//! Not here: the end of a connection (the owner says `Left`).

use crate::chunk::ChunkId;
use crate::swarm::Swarm;
use crate::swarm::event::{Part, SourceId};
use crate::swarm::picker::pick;
use crate::swarm::source::Source;
use crate::units::Time;

/// Usual times of a request without any word at all after which a source counts as silent, although the request is not too old yet. Half of
/// what a request of somebody who speaks may take: whoever takes part says something many times in that span.
const QUIET_FACTOR: u32 = 4;

impl Swarm {
    /// Takes in that a source gave a sign of life.
    pub(super) fn hear(&mut self, now: Time, id: SourceId) {
        let Some(source) = self.board.source_mut(id) else { return };
        source.heard = now;
        if source.silent.is_some() {
            self.board.set_silent(id, None);
            self.on_member_relied(id);
            if let Some(pass) = &mut self.first_pass {
                pass.refresh_all(&self.board);
            }
            self.share_out();
        }
    }

    /// When a source may have been silent for too long, or is to be tried again.
    pub(super) fn next_silence(&self) -> Option<Time> {
        let (asked, served) = self.debtors();
        let probes = self.board.sources().values().filter_map(|s| s.silent).filter(|_| !self.complete);
        asked.chain(served).map(|(_, at)| at).chain(probes).min()
    }

    /// Stops relying on sources that are silent, and asks those that are for something now and then.
    pub(super) fn heed_silence(&mut self, now: Time) {
        let (asked, served) = self.debtors();
        let mut silent: Vec<SourceId> = asked.chain(served).filter(|(_, at)| *at <= now).map(|(id, _)| id).collect();
        silent.sort_unstable();
        silent.dedup();
        for id in silent {
            self.fall_silent(now, id);
        }
        self.probe(now);
    }

    /// Sources that owe us an answer or an acknowledgement for longer than usual, each with the time at which it counts as silent.
    fn debtors(&self) -> (impl Iterator<Item = (SourceId, Time)>, impl Iterator<Item = (SourceId, Time)>) {
        let silence = self.config.silence;
        let (fetch_time, upload_time) = (self.allowed_fetch_time(), self.allowed_upload_time());
        let counts = |s: &&Source| s.silent.is_none() && !s.profile.local;
        let asked = self.board.sources().iter().filter(move |(_, s)| counts(s)).filter_map(move |(id, s)| {
            let stuck = s.is_stuck();
            // What is fetched from one source at a time has a patience of its own, and what crosses a thin link comes when it comes.
            let owed = s.fetching.iter().filter(|f| !f.cancelled && (stuck || !s.far && !self.board.is_alone(f.chunk)));
            let oldest = owed.map(|f| f.progress).min()?;
            let quiet =
                if stuck { silence } else { silence.max(self.usual(s.fetch_time) * QUIET_FACTOR).max(fetch_time) };
            Some((*id, (s.heard + quiet).max(oldest + quiet)))
        });
        let served = self.uploader.receivers().filter_map(move |(id, since)| {
            let source = self.board.source(id).filter(counts)?;
            let usual = source.upload_time.or_else(|| self.uploader.longest());
            Some((id, (since + self.patience(usual).max(upload_time)).max(source.heard + silence)))
        });
        (asked, served)
    }

    fn fall_silent(&mut self, now: Time, id: SourceId) {
        let Some(source) = self.board.source(id) else { return };
        let asked: Vec<ChunkId> = source.fetching.iter().filter(|f| f.claims).map(|f| f.asked).collect();
        asked.into_iter().for_each(|asked| self.give_up(id, asked));
        self.board.set_silent(id, Some(now + self.config.silence));
        self.on_member_relied(id);
        if let Some(pass) = &mut self.first_pass {
            pass.on_left(&self.board, id);
        }
        self.share_out();
    }

    /// Asks silent sources that owe us nothing for a chunk each, without relying on it: a source that has nothing to say would
    /// otherwise stay silent.
    fn probe(&mut self, now: Time) {
        if self.complete {
            return;
        }
        let due = self.board.sources().iter().filter(|(_, s)| s.silent.is_some_and(|at| at <= now));
        let due: Vec<SourceId> = due.map(|(id, _)| *id).collect();
        for id in due {
            self.board.set_silent(id, Some(now + self.config.silence));
            let Some(source) = self.board.source(id) else { continue };
            if !source.fetching.is_empty() || source.paused_until.is_some() || source.want == 0 {
                continue;
            }
            if let Some(chunk) = pick(&self.board, source, &mut self.rng) {
                let far = source.far;
                self.fetch(now, id, chunk, Part::Rest, far);
            }
        }
    }
}
