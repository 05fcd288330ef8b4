//! Blame: whom the swarm stops asking, and for how long.
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
use crate::units::Time;

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
            self.distrust(id);
            self.outputs.push_back(Output::Ban { source: id });
        }
    }

    pub(super) fn on_mixed(&mut self, chunk: ChunkId) {
        self.tally.mixed += 1;
        self.board.end_verifying(chunk);
        if !self.board.have().contains(chunk) {
            self.cancel_all(chunk);
            self.board.set_alone(chunk);
        }
    }

    /// Takes in that a source refused a request for something that it claims to hold.
    pub(super) fn doubt(&mut self, now: Time, id: SourceId) {
        let Some(source) = self.board.source_mut(id) else { return };
        source.refusals += 1;
        source.pause(now + self.config.refusal_pause);
        if source.refusals >= self.config.refusals_max {
            self.distrust(id);
        }
    }

    fn distrust(&mut self, id: SourceId) {
        let layout = self.board.layout();
        if let Some(source) = self.board.source_mut(id) {
            source.distrusted = true;
            self.replace(id, Bitfield::none(layout));
        }
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
