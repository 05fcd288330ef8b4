//! Blame: whom the swarm stops asking or believing, and for how long.
//!
//! One bad chunk may come from a bad disk, two hardly by chance; a source that refuses what it claims to hold is confused or
//! lies, and either way only wastes round trips. Nobody is judged for being slow: order and hedging take care of that.
//!
//! Invariant: only the sole sender of a chunk is blamed for it; when several contributed (`Mixed`), it is fetched again from one at
//! a time, so that the next time there is a sole sender.
//!
//! Not here: identities. A source that comes back under a new id starts anew here; the owner remembers whom it banned.

use crate::bitfield::Bitfield;
use crate::chunk::ChunkId;
use crate::swarm::Swarm;
use crate::swarm::board::Board;
use crate::swarm::event::{Output, SourceId};
use crate::swarm::source::Distrust;
use crate::units::Time;

/// Times that the distrust of a source doubles: 32 times ten seconds are five minutes, about the length of a run.
const DOUBLINGS: u32 = 5;

impl Swarm {
    pub(super) fn on_corrupt(&mut self, now: Time, id: SourceId, chunk: ChunkId) {
        self.tally.corrupt += 1;
        self.board.end_verifying(chunk);
        let Some(source) = self.board.source_mut(id) else { return };
        source.bad += 1;
        let banned = source.bad > 1;
        source.pause(now + self.config.quarantine);
        self.outputs.push_back(Output::Blame { source: id, chunk });
        if banned {
            // It is about to be dropped; what it claims to hold must not count as a copy until then.
            self.distrust(id, None);
            self.outputs.push_back(Output::Ban { source: id });
        }
    }

    pub(super) fn on_mixed(&mut self, now: Time, chunk: ChunkId) {
        self.tally.mixed += 1;
        self.board.end_verifying(chunk);
        // Nobody is blamed for what a publisher once vouched for; but whoever brings it again would do so for ever, so others are asked.
        if let Some(source) = self.board.take_bringer(chunk).and_then(|id| self.board.source_mut(id)) {
            source.pause(now + self.config.refusal_pause);
        }
        if !self.board.have().contains(chunk) {
            self.cancel_all(chunk);
            self.board.set_alone(chunk);
        }
    }

    /// Takes in that a source refused a request for something that it claims to hold.
    pub(super) fn doubt(&mut self, now: Time, id: SourceId) {
        let Some(source) = self.board.source_mut(id) else { return };
        source.pause(now + self.config.refusal_pause);
        self.count_refusal(now, id);
    }

    /// Takes in that a source lets a request wait for something that it claims to hold. One that is silent may be stopped, and
    /// means nothing by it.
    pub(super) fn doubt_late(&mut self, now: Time, id: SourceId) {
        if self.board.source(id).is_some_and(|source| now < source.heard + self.config.silence) {
            self.count_refusal(now, id);
        }
    }

    fn count_refusal(&mut self, now: Time, id: SourceId) {
        let Some(source) = self.board.source_mut(id) else { return };
        source.refusals += 1;
        if source.refusals >= self.config.refusals_max && source.distrust.is_none() {
            let pause = self.config.distrust * (1 << source.distrusts.min(DOUBLINGS));
            source.distrusts += 1;
            self.distrust(id, Some(now + pause));
        }
    }

    /// Ignores what a source says that it holds, but remembers it: it may be the only one that does hold it.
    fn distrust(&mut self, id: SourceId, until: Option<Time>) {
        let layout = self.board.layout();
        let Some(source) = self.board.source_mut(id) else { return };
        let claimed = source.distrust.take().map_or_else(|| source.known.clone(), |distrust| distrust.claimed);
        source.distrust = Some(Distrust { until, claimed });
        self.replace(id, Bitfield::none(layout));
    }

    /// Believes a source again, which has delivered or had its time, unless it is to be dropped.
    pub(super) fn trust(&mut self, id: SourceId) {
        let Some(source) = self.board.source_mut(id) else { return };
        if let Some(distrust) = source.distrust.take_if(|distrust| distrust.until.is_some()) {
            source.refusals = 0;
            self.replace(id, distrust.claimed);
        }
    }

    pub(super) fn end_distrust(&mut self, now: Time) {
        let over = |until: Option<Time>| until.is_some_and(|until| until <= now);
        let due = self.board.sources().iter().filter(|(_, s)| s.distrust.as_ref().is_some_and(|d| over(d.until)));
        let due: Vec<SourceId> = due.map(|(id, _)| *id).collect();
        due.into_iter().for_each(|id| self.trust(id));
    }

    pub(super) fn next_trust(&self) -> Option<Time> {
        self.board.sources().values().filter_map(|s| s.distrust.as_ref()?.until).min()
    }

    pub(super) fn next_pause_end(&self) -> Option<Time> {
        self.board.sources().values().filter_map(|s| s.paused_until).min()
    }
}

impl Board {
    pub(super) fn end_pauses(&mut self, now: Time) {
        for (_, source) in self.sources_mut() {
            source.paused_until = source.paused_until.filter(|until| *until > now);
        }
    }
}
