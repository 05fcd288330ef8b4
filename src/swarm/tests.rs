//! The swarm's behaviour at its surface: what comes out for what went in.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

mod allowance;
mod blame;
mod debt;
mod lag;
mod random;
mod serving;
mod silence;
mod withheld;
mod zone;

const COUNT: u32 = 8;

/// Less than any time that matters.
const MOMENT: Duration = Duration::from_millis(1);

fn layout() -> Layout {
    Layout::new(u64::from(COUNT) * 1024, 1024).unwrap()
}

fn chunk(index: u32) -> ChunkId {
    layout().chunk(index).unwrap()
}

fn set(indices: impl IntoIterator<Item = u32>) -> Bitfield {
    let mut set = Bitfield::none(layout());
    indices.into_iter().for_each(|i| _ = set.insert(chunk(i)));
    set
}

/// A machine with a clock that moves when it is told to.
struct Stage {
    swarm: Swarm,
    now: Time,
    said: Vec<Output>,
}

impl Stage {
    fn new(have: Bitfield, config: Config) -> Self {
        let mut stage = Self { swarm: Swarm::new(layout(), have, config, 1), now: Time::ZERO, said: Vec::new() };
        stage.listen();
        stage
    }

    fn leecher() -> Self {
        Self::new(set([]), Config::default())
    }

    /// A leecher with neighbours 0, 1, 2… that hold these chunks.
    fn leecher_among(neighbours: &[&[u32]]) -> Self {
        let mut stage = Self::leecher();
        for (id, chunks) in (0..).zip(neighbours) {
            stage.join(id, chunks);
        }
        stage
    }

    fn tell(&mut self, input: Input) {
        self.swarm.handle(self.now, input);
        self.swarm.check_invariants();
        self.listen();
    }

    fn listen(&mut self) {
        while let Some(output) = self.swarm.poll() {
            self.said.push(output);
        }
    }

    fn join(&mut self, id: u32, chunks: &[u32]) {
        self.join_as(id, Profile::default(), chunks);
    }

    fn join_as(&mut self, id: u32, profile: Profile, chunks: &[u32]) {
        self.tell(Input::Joined { source: SourceId(id), profile });
        self.tell(Input::Holds { source: SourceId(id), chunks: set(chunks.iter().copied()) });
    }

    fn fetched(&mut self, id: u32, index: u32) {
        let chunk = chunk(index);
        self.tell(Input::Fetched { source: SourceId(id), asked: chunk, chunk, waiting: 1 });
    }

    fn verified(&mut self, id: u32, index: u32) {
        self.tell(Input::Verified { source: SourceId(id), chunk: chunk(index) });
    }

    fn arriving(&mut self, id: u32, asked: u32, comes: u32) {
        self.tell(Input::Arriving { source: SourceId(id), asked: chunk(asked), chunk: chunk(comes) });
    }

    fn refused(&mut self, id: u32, asked: u32) {
        self.tell(Input::Refused { source: SourceId(id), asked: chunk(asked) });
    }

    /// Lets time pass, with every tick that falls due.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(due) = self.swarm.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.tell(Input::Tick);
        }
        self.now = end;
    }

    fn said(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.said)
    }

    /// The fetches since the last look, as (source, chunk).
    fn fetches(&mut self) -> Vec<(u32, u32)> {
        let fetch = |output| match output {
            Output::Fetch { source, chunk, .. } => Some((source.0, chunk.index())),
            _ => None,
        };
        self.said().into_iter().filter_map(fetch).collect()
    }
}

fn cancel(id: u32, asked: u32) -> Output {
    Output::Cancel { source: SourceId(id), asked: chunk(asked) }
}

#[test]
fn asks_one_chunk_at_a_time_of_a_neighbour() {
    let mut stage = Stage::leecher_among(&[&[0, 1, 2]]);
    let first = stage.fetches();
    assert_eq!(first.len(), 1);
    stage.fetched(0, first[0].1);
    assert_eq!(stage.fetches().len(), 1);
}

#[test]
fn asks_no_two_neighbours_for_the_same_chunk_while_there_are_others() {
    let mut stage = Stage::leecher_among(&[&[0, 1, 2, 3], &[0, 1, 2, 3], &[0, 1, 2, 3]]);
    let mut chunks: Vec<u32> = stage.fetches().into_iter().map(|(_, chunk)| chunk).collect();
    chunks.sort_unstable();
    chunks.dedup();
    assert_eq!(chunks.len(), 3);
}

#[test]
fn a_chunk_that_is_being_verified_is_not_fetched_again() {
    let mut stage = Stage::leecher_among(&[&[0], &[0]]);
    stage.fetched(0, 0);
    assert_eq!(stage.fetches(), [(0, 0)]);
    assert!(!stage.swarm.have().contains(chunk(0)));
    stage.verified(0, 0);
    assert!(stage.swarm.have().contains(chunk(0)));
}

#[test]
fn news_of_a_needed_chunk_is_acted_upon_at_once() {
    let mut stage = Stage::leecher_among(&[&[]]);
    assert_eq!(stage.swarm.phase(), Phase::Waiting);
    stage.tell(Input::Haves { source: SourceId(0), chunks: vec![chunk(5)] });
    assert_eq!(stage.fetches(), [(0, 5)]);
    assert_eq!(stage.swarm.phase(), Phase::Fetching);
}

#[test]
fn what_a_lost_neighbour_had_in_flight_is_asked_elsewhere() {
    let mut stage = Stage::leecher_among(&[&[3]]);
    stage.join(1, &[3]);
    assert_eq!(stage.fetches(), [(0, 3)]);
    stage.tell(Input::Left { source: SourceId(0) });
    assert_eq!(stage.fetches(), [(1, 3)]);
}

#[test]
fn a_redirect_moves_the_reservation() {
    let mut stage = Stage::leecher();
    stage.join_as(0, Profile { publisher: true, ..Profile::default() }, &[4, 6]);
    let asked = stage.fetches()[0].1;
    let comes = 10 - asked;
    stage.arriving(0, asked, comes);
    stage.join(1, &[asked, comes]);
    assert_eq!(stage.fetches(), [(1, asked)], "what was asked is free again, what comes is not");
}

#[test]
fn a_redirect_to_a_chunk_that_is_here_or_under_way_is_stopped() {
    let mut stage = Stage::leecher_among(&[&[2]]);
    stage.join(1, &[5, 2]);
    assert_eq!(stage.fetches(), [(0, 2), (1, 5)]);
    stage.arriving(1, 5, 2);
    assert_eq!(stage.said(), [cancel(1, 5)]);
    stage.refused(1, 5);
    assert_eq!(stage.fetches(), [(1, 5)], "a request that we gave up ourselves is no reason for doubt");
    stage.fetched(0, 2);
    stage.verified(0, 2);
    stage.arriving(1, 5, 2);
    assert!(stage.said().contains(&cancel(1, 5)));
}

#[test]
fn a_redirect_to_another_request_of_the_same_source_ends_that_one() {
    let config = Config { window_start: 2, ..Config::default() };
    let mut stage = Stage::new(set([]), config);
    stage.join_as(0, Profile { publisher: true, ..Profile::default() }, &[0, 1, 2]);
    let asked: Vec<u32> = stage.fetches().into_iter().map(|(_, chunk)| chunk).collect();
    stage.arriving(0, asked[0], asked[1]);
    assert_eq!(stage.said(), [cancel(0, asked[1])]);
}

#[test]
fn an_idle_source_is_asked_for_a_late_chunk_and_the_loser_is_cancelled() {
    let mut stage = Stage::new(set(1..COUNT), Config::default());
    stage.join(0, &[0]);
    stage.join(1, &[0]);
    stage.join(2, &[0]);
    assert_eq!(
        stage.said().into_iter().filter(|o| matches!(o, Output::Fetch { .. })).collect::<Vec<_>>(),
        [
            Output::Fetch { source: SourceId(0), chunk: chunk(0), part: Part::Rest, exact: false },
            Output::Fetch { source: SourceId(1), chunk: chunk(0), part: Part::RestFromEnd, exact: true },
        ],
        "two sources for one chunk, and no third"
    );
    assert_eq!(stage.swarm.phase(), Phase::EndGame);
    stage.fetched(1, 0);
    stage.verified(1, 0);
    assert_eq!(stage.said(), [cancel(0, 0), Output::Complete]);
}

#[test]
fn a_chunk_that_came_twice_is_harmless() {
    let mut stage = Stage::new(set(1..COUNT), Config::default());
    stage.join(0, &[0]);
    stage.join(1, &[0]);
    stage.fetched(0, 0);
    stage.fetched(1, 0);
    stage.verified(0, 0);
    stage.verified(1, 0);
    assert_eq!(stage.said().iter().filter(|o| **o == Output::Complete).count(), 1);
    assert_eq!(stage.swarm.tally().duplicates, 1);
}

#[test]
fn a_stuck_request_is_asked_elsewhere_although_much_else_is_missing() {
    let mut stage = Stage::leecher_among(&[&[3]]);
    stage.join(1, &[3]);
    stage.said();
    stage.pass(Config::default().hedge_after);
    assert_eq!(stage.fetches(), [(1, 3)]);
}

#[test]
fn a_frozen_pair_of_sources_does_not_hang_the_end_game() {
    let mut stage = Stage::new(set(1..COUNT), Config::default());
    stage.join(0, &[0]);
    stage.join(1, &[0]);
    stage.join(2, &[0]);
    stage.said();
    stage.pass(Config::default().hedge_after);
    assert_eq!(stage.fetches(), [(2, 0)]);
}

#[test]
fn a_bad_chunk_is_fetched_from_somebody_else() {
    let mut stage = Stage::leecher_among(&[&[3]]);
    stage.fetched(0, 3);
    stage.join(1, &[3]);
    stage.said();
    stage.tell(Input::Corrupt { source: SourceId(0), chunk: chunk(3) });
    assert_eq!(stage.fetches(), [(1, 3)]);
}

#[test]
fn a_local_source_holds_everything_and_is_asked_for_several_chunks() {
    let mut stage = Stage::leecher();
    stage.tell(Input::Joined { source: SourceId(0), profile: Profile { local: true, ..Profile::default() } });
    assert_eq!(stage.fetches().len(), Config::default().window_local as usize);
}

#[test]
fn verified_chunks_are_announced_together_and_soon() {
    let mut stage = Stage::leecher_among(&[&[1], &[2]]);
    for index in [1, 2] {
        stage.fetched(index - 1, index);
        stage.verified(index - 1, index);
    }
    stage.said();
    stage.pass(Config::default().announce_delay_max);
    assert_eq!(stage.said(), [Output::Announce { chunks: vec![chunk(1), chunk(2)] }]);
}

#[test]
fn a_complete_copy_says_so_at_once_and_asks_for_nothing() {
    let mut stage = Stage::new(set(0..COUNT), Config::default());
    stage.join(0, &[1, 2, 3]);
    assert_eq!(stage.said(), [Output::Complete]);
}

#[test]
fn a_content_without_chunks_is_complete() {
    let empty = Layout::new(0, 1024).unwrap();
    let mut swarm = Swarm::new(empty, Bitfield::none(empty), Config::default(), 1);
    assert_eq!(swarm.poll(), Some(Output::Complete));
    swarm.handle(Time::ZERO, Input::Joined { source: SourceId(0), profile: Profile::default() });
    swarm.handle(Time::ZERO, Input::Holds { source: SourceId(0), chunks: Bitfield::all(empty) });
    assert_eq!((swarm.poll(), swarm.deadline()), (None, None));
}

#[test]
fn a_lost_chunk_is_fetched_again_and_completion_is_said_again() {
    let mut stage = Stage::new(set(0..COUNT), Config::default());
    stage.join(0, &[1]);
    stage.said();
    stage.tell(Input::Lost { chunk: chunk(1) });
    assert_eq!(stage.fetches(), [(0, 1)]);
    stage.fetched(0, 1);
    stage.verified(0, 1);
    assert_eq!(stage.said(), [Output::Complete]);
}

#[test]
fn a_copy_is_replicated_when_its_neighbours_together_hold_all_of_it() {
    let mut stage = Stage::new(set(0..4), Config::default());
    stage.join(0, &[0, 1]);
    assert!(!stage.swarm.is_replicated(|_| true));
    stage.join(1, &[2, 3, 7]);
    assert!(stage.swarm.is_replicated(|_| true));
    assert!(!stage.swarm.is_replicated(|source| source == SourceId(1)), "the other one does not count");
}
