//! View: what others may read of a swarm.
//!
//! The progress line, the statistics and the decision to leave need facts, not fields: the parts stay free to change how
//! they keep them.
//!
//! Invariant: nothing here changes the machine.
//!
//! Not here: rates, which need a clock and belong to whoever shows them.

use crate::bitfield::Bitfield;
use crate::chunk::{ChunkId, Layout};
use crate::swarm::Swarm;
use crate::swarm::event::{Profile, SourceId};
use crate::swarm::firstpass::FirstPass;
use crate::swarm::lag::lags;

/// Where a content stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Something is missing and nothing is being fetched: nobody here holds it.
    Waiting,
    /// Chunks are being fetched.
    Fetching,
    /// Every missing chunk is being fetched or verified.
    EndGame,
    /// Everything is here, but this publisher has not sent all of it to somebody yet.
    FirstPass,
    /// Everything is here.
    Complete,
}

/// What happened so far, in chunks unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Fetched, whether they were needed or not.
    pub fetched: u64,
    /// Fetched although they were here already: the price of the end game.
    pub duplicates: u64,
    /// Fetched and found bad.
    pub corrupt: u64,
    /// Fetched from several sources together and found bad.
    pub mixed: u64,
    /// Requests of ours that others refused.
    pub refused: u64,
    /// Requests of ours that we cancelled.
    pub cancelled: u64,
    /// Sent, and taken by the other side.
    pub delivered: u64,
    /// Bytes of those.
    pub delivered_bytes: u64,
    /// Uploads that the other side stopped, or that broke.
    pub aborted: u64,
    /// Requests that we answered with another chunk, in the first pass.
    pub redirected: u64,
    /// Requests that we rejected.
    pub rejected: u64,
}

/// A source as others may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceView {
    /// Which one.
    pub id: SourceId,
    /// What it is.
    pub profile: Profile,
    /// Chunks that it holds, as far as we know.
    pub known: u32,
    /// Chunks that we hold and it does not.
    pub gain: u32,
    /// Chunks asked of it and not ended.
    pub outstanding: u32,
    /// Chunks that may be asked of it at a time.
    pub window: u32,
    /// Its requests that wait here.
    pub queued: u32,
    /// It owes us something and says nothing, so that it is not relied upon.
    pub silent: bool,
    /// It brings much less than others do.
    pub lags: bool,
}

impl Swarm {
    /// How the content is cut.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.board.layout()
    }

    /// What this machine holds, verified.
    #[must_use]
    pub const fn have(&self) -> &Bitfield {
        self.board.have()
    }

    /// Whether everything is here and verified.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.board.have().is_full()
    }

    /// What happened so far. `delivered / layout().count()` is the number of copies that this machine gave.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Every source, by id.
    pub fn sources(&self) -> impl Iterator<Item = SourceView> + '_ {
        let least = self.least_brought();
        self.board.sources().iter().map(move |(id, source)| SourceView {
            id: *id,
            profile: source.profile,
            known: source.known.len(),
            gain: source.gain,
            outstanding: source.outstanding(),
            window: source.window.size(),
            queued: source.queued,
            silent: source.silent.is_some(),
            lags: lags(source, least),
        })
    }

    /// Uploads under way, and requests that wait for their turn.
    #[must_use]
    pub fn uploads(&self) -> (usize, usize) {
        (self.uploader.active(), self.uploader.waiting())
    }

    /// Chunks that this publisher has not sent to anybody yet; `None` when it does not publish.
    #[must_use]
    pub fn unserved(&self) -> Option<u32> {
        self.first_pass.as_ref().map(FirstPass::len)
    }

    /// Where the content stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        if self.is_complete() {
            return if self.unserved().unwrap_or(0) > 0 { Phase::FirstPass } else { Phase::Complete };
        }
        if self.board.taken().is_full() && self.board.withheld().is_empty() {
            return Phase::EndGame;
        }
        let idle = self.board.sources().values().all(|source| source.fetching.is_empty());
        if idle && self.board.taken().len() == self.board.have().len() { Phase::Waiting } else { Phase::Fetching }
    }

    /// Whether a source holds `chunk`, as far as we know.
    #[must_use]
    pub fn is_offered(&self, chunk: ChunkId) -> bool {
        self.board.sources().values().any(|source| source.known.contains(chunk))
    }

    /// Whether every chunk that this machine holds is held by a neighbour that `counts` too, so that nothing is lost when it leaves.
    /// Neighbours that are silent while they owe an answer do not count.
    #[must_use]
    pub fn is_replicated(&self, counts: impl Fn(SourceId) -> bool) -> bool {
        let neighbours: Vec<&Bitfield> = self
            .board
            .sources()
            .iter()
            .filter(|(id, s)| !s.profile.local && s.silent.is_none() && counts(**id))
            .map(|(_, s)| &s.known)
            .collect();
        self.have().words().iter().enumerate().all(|(i, held)| {
            let elsewhere = neighbours.iter().fold(0, |union, known| union | known.words()[i]);
            held & !elsewhere == 0
        })
    }
}
