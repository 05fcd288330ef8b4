//! The swarm: a state machine per content that decides who gives which chunk to whom, and when.
//!
//! Sans I/O, because the same decisions must be run by the node on real connections and by the simulator a thousand times on a
//! virtual clock. The rules together (rarest first, one outstanding chunk per neighbour, the most deprived served first, no
//! second copy before everything has left once) keep every uplink busy with something that somebody lacks.
//!
//! Invariant: what `event` promises about every request; [`Swarm::check_invariants`] states the rest.
//!
//! Not here: any rule. This file wires the parts: what is known (`board`, `source`), what we ask (`requester`, `picker`, `window`,
//! `hedge`, `silence`, `endgame`), what crosses between zones (`zone`, `border`, `members`, `thin`), what we give (`uploader`, `firstpass`,
//! `debt`), what we tell (`announce`), whom we stop believing (`blame`), who is not worth a place (`lag`), and what our own limits cost
//! (`allowance`). What happened, written down, is
//! `trace`; what all of it occupies, `footprint`.

mod allowance;
mod announce;
mod blame;
mod board;
mod border;
mod config;
mod debt;
mod endgame;
mod event;
mod firstpass;
mod footprint;
mod hedge;
mod lag;
mod members;
mod picker;
mod requester;
mod silence;
mod source;
#[cfg(test)]
mod tests;
mod thin;
pub mod trace;
mod uploader;
mod view;
mod window;
mod zone;

use std::collections::VecDeque;
use std::time::Duration;

pub use config::Config;
pub use event::{Input, Member, Outcome, Output, Part, Profile, RequestId, SourceId, Zone};
pub use view::{Phase, SourceView, Tally};

use crate::bitfield::Bitfield;
use crate::chunk::{ChunkId, Layout};
use crate::units::{Rng, Time};
use announce::Announcer;
use board::Board;
use firstpass::FirstPass;
use source::Source;
use uploader::Uploader;
use zone::Watch;

/// One content's state machine.
///
/// Give it every [`Input`] as it happens with [`handle`](Self::handle), in the order of time; then call [`poll`](Self::poll) until it
/// returns `None` and carry out what it returns; then ask [`deadline`](Self::deadline) and, when that moment comes before another
/// input, hand in [`Input::Tick`]. It never blocks, and its work per input grows with the number of neighbours, not with that
/// of chunks (but for whole bitfields and departures).
#[derive(Debug)]
pub struct Swarm {
    config: Config,
    board: Board,
    uploader: Uploader,
    /// Only a publisher has one.
    first_pass: Option<FirstPass>,
    announcer: Announcer,
    watch: Watch,
    tally: Tally,
    /// Smoothed time from a request to its last byte, over all sources.
    fetch_time: Option<Duration>,
    /// Whether `Complete` was said, and still holds.
    complete: bool,
    outputs: VecDeque<Output>,
    rng: Rng,
}

impl Swarm {
    /// The machine of a content cut as `layout`, of which this machine holds `have`. Equal seeds and inputs give equal outputs.
    ///
    /// # Panics
    /// When `have` is a set of another layout.
    #[must_use]
    pub fn new(layout: Layout, have: Bitfield, config: Config, seed: u64) -> Self {
        assert_eq!(have.layout(), layout, "what is held belongs to the layout");
        let zoned = (config.zone != Zone::default()).then_some(config.order);
        let board = Board::new(have, zoned);
        let mut swarm = Self {
            first_pass: config.publisher.then(|| FirstPass::new(layout, &board)),
            announcer: Announcer::new(config.announce_delay_min, config.announce_delay_max),
            uploader: Uploader::default(),
            watch: Watch::new(),
            tally: Tally::default(),
            fetch_time: None,
            complete: false,
            outputs: VecDeque::new(),
            rng: Rng::with_seed(seed),
            config,
            board,
        };
        swarm.conclude();
        swarm
    }

    /// Takes in something that happened at `now`, which is never earlier than in the call before.
    pub fn handle(&mut self, now: Time, input: Input) {
        if let Some(source) = input.speaker() {
            self.hear(now, source);
        }
        match input {
            Input::Joined { source, profile } => self.on_joined(now, source, profile),
            Input::Left { source } => self.on_left(source),
            Input::Members { source, members } => self.on_members(source, &members),
            Input::Holds { source, chunks } => self.on_holds(source, chunks),
            Input::Haves { source, chunks } => self.on_haves(source, &chunks),
            Input::Requested { source, request, chunk, exact } => self.on_requested(source, request, chunk, exact),
            Input::Withdrawn { request } => self.on_withdrawn(request),
            Input::Written { request } => self.on_written(now, request),
            Input::Sent { request, outcome } => self.on_sent(now, request, outcome),
            Input::Arriving { source, asked, chunk } => self.on_arriving(now, source, asked, chunk),
            Input::Fetched { source, asked, chunk, waiting } => self.on_fetched(now, source, asked, chunk, waiting),
            Input::Refused { source, asked } => self.on_refused(now, source, asked),
            Input::Verified { source, chunk } => self.on_verified(now, source, chunk),
            Input::Corrupt { source, chunk } => self.on_corrupt(now, source, chunk),
            Input::Mixed { chunk } => self.on_mixed(now, chunk),
            Input::Lost { chunk } => self.on_lost(chunk),
            Input::Withheld { chunks } => self.board.withhold(&chunks),
            Input::Released { chunk } => self.board.release(chunk),
            Input::Tick => self.on_tick(now),
        }
        if let Some(chunks) = self.announcer.flush(now) {
            self.outputs.push_back(Output::Announce { chunks });
        }
        self.conclude();
        self.mind_zone(now);
        self.fill(now);
        self.mind_thin(now);
        self.serve(now);
    }

    /// The next thing to do, in order; `None` until there is another input.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to hand in [`Input::Tick`] if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        [
            self.announcer.due(),
            self.next_pause_end(),
            self.next_trust(),
            self.next_hedge(),
            self.next_silence(),
            self.next_overdue(),
            self.next_zone(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn on_joined(&mut self, now: Time, id: SourceId, profile: Profile) {
        assert!(self.board.source(id).is_none(), "a source's id is not used twice: {id:?}");
        self.board.join(id, Source::new(self.board.layout(), profile, &self.config, now));
        self.trust_newcomer(id);
        self.on_member_joined(now, id);
        self.share_out();
    }

    fn on_left(&mut self, id: SourceId) {
        self.uploader.on_left(id);
        if let Some(source) = self.board.leave(id) {
            if let Some(pass) = &mut self.first_pass {
                pass.on_left(&self.board, id);
            }
            self.on_member_left(source.far, source.profile.order);
        }
        self.share_out();
    }

    /// Finds our place among the publishers that are connected.
    fn share_out(&mut self) {
        let Some(pass) = &mut self.first_pass else { return };
        let (others, before) = self.board.publishers(self.config.order);
        pass.on_share(others + 1, before);
    }

    fn on_holds(&mut self, id: SourceId, chunks: Bitfield) {
        match self.board.source_mut(id).map(|source| &mut source.distrust) {
            Some(Some(distrust)) => distrust.claimed = chunks,
            Some(None) => self.replace(id, chunks),
            None => {}
        }
    }

    fn on_haves(&mut self, id: SourceId, chunks: &[ChunkId]) {
        if let Some(distrust) = self.board.source_mut(id).and_then(|source| source.distrust.as_mut()) {
            chunks.iter().for_each(|chunk| _ = distrust.claimed.insert(*chunk));
            return;
        }
        for &chunk in chunks {
            if self.board.learn(id, chunk)
                && let Some(pass) = &mut self.first_pass
            {
                pass.refresh(&self.board, chunk);
            }
        }
    }

    fn on_tick(&mut self, now: Time) {
        self.board.end_pauses(now);
        self.end_distrust(now);
        self.give_up_claims(now);
        self.heed_silence(now);
        self.free_overdue_turns(now);
    }

    fn on_lost(&mut self, chunk: ChunkId) {
        if !self.board.lose(chunk) {
            return;
        }
        self.complete = false;
        self.announcer.remove(chunk);
        if let Some(pass) = &mut self.first_pass {
            pass.refresh(&self.board, chunk);
        }
    }

    /// Replaces what is known of a source, in all that depends on it.
    fn replace(&mut self, id: SourceId, chunks: Bitfield) {
        self.board.replace(id, chunks);
        if let Some(pass) = &mut self.first_pass {
            pass.refresh_all(&self.board);
        }
    }

    /// Says once that everything is here.
    fn conclude(&mut self) {
        if self.board.have().is_full() && !self.complete {
            self.complete = true;
            self.outputs.push_back(Output::Complete);
        }
    }

    /// Checks everything that must hold between two inputs, at the cost of a walk over all chunks and sources.
    ///
    /// # Panics
    /// When something does not hold: a bug of this machine.
    pub fn check_invariants(&self) {
        self.board.check_invariants();
        self.uploader.check_invariants(&self.board, &self.config);
        self.check_turns();
        if let Some(pass) = &self.first_pass {
            pass.check_invariants(&self.board);
        }
        assert_eq!(self.complete, self.board.have().is_full(), "completion is said when it is reached");
    }
}
