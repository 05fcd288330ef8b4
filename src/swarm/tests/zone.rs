//! Zones: who asks across, and who stands in for whom.

use super::*;
use crate::swarm::event::Member;

const OURS: Zone = Zone(1);
const OTHER: Zone = Zone(2);
/// The time after which the first successor steps in.
const STALL: Duration = Duration::from_secs(1);

fn config() -> Config {
    Config { zone: OURS, order: 1000, window_start: COUNT, ..Config::default() }
}

fn stage() -> Stage {
    Stage::new(set([]), config())
}

/// A source with this id, as a source and as a member.
fn profile(id: u32, zone: Zone) -> Profile {
    Profile { order: id.into(), zone, ..Profile::default() }
}

fn member(id: u64) -> Member {
    Member { id, stamp: 1, reaches: true }
}

impl Stage {
    fn join_in(&mut self, id: u32, zone: Zone, chunks: &[u32]) {
        self.join_as(id, profile(id, zone), chunks);
    }

    fn members(&mut self, source: u32, members: Vec<Member>) {
        self.tell(Input::Members { source: SourceId(source), members });
    }

    /// The chunks asked of a source since the last look, in order.
    fn asked_of(&mut self, id: u32) -> Vec<u32> {
        let mut chunks: Vec<u32> = self.fetches().into_iter().filter(|f| f.0 == id).map(|f| f.1).collect();
        chunks.sort_unstable();
        chunks
    }
}

/// What is said of members since the last look, with whom it is told.
fn told(stage: &mut Stage) -> Vec<(u32, Vec<Member>)> {
    let told = |output| match output {
        Output::Members { source, members } => Some((source.0, members)),
        _ => None,
    };
    stage.said().into_iter().filter_map(told).collect()
}

#[test]
fn only_owners_ask_across_and_every_chunk_has_one() {
    let ids = [1000_u64, 5, 6, 7];
    let mut asked = Vec::new();
    for own in ids {
        let mut stage = Stage::new(set([]), Config { order: own, ..config() });
        stage.join_in(1, OURS, &[]);
        stage.members(1, ids.into_iter().filter(|id| *id != own).map(member).collect());
        stage.join_in(2, OTHER, &[0, 1, 2, 3, 4, 5, 6, 7]);
        asked.extend(stage.asked_of(2));
    }
    asked.sort_unstable();
    assert_eq!(asked, (0..COUNT).collect::<Vec<_>>());
}

#[test]
fn a_chunk_that_is_inside_is_taken_there() {
    let mut stage = stage();
    stage.join_in(1, OURS, &[0, 1, 2]);
    assert_eq!(stage.asked_of(1), [0, 1, 2]);
    stage.join_in(2, OTHER, &[0, 1, 2, 3, 4]);
    assert_eq!(stage.asked_of(2), [3, 4]);
}

#[test]
fn who_has_no_label_is_near_and_without_a_label_everybody_is() {
    let mut labelled = stage();
    labelled.join_in(1, OURS, &[0]);
    labelled.join_in(2, Zone::default(), &[0, 1]);
    assert_eq!(labelled.fetches(), [(1, 0), (2, 1)]);
    let mut bare = Stage::new(set([]), Config { zone: Zone::default(), ..config() });
    bare.join_in(1, OURS, &[]);
    bare.members(1, vec![member(5)]);
    bare.join_in(2, OTHER, &[0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(bare.asked_of(2), (0..COUNT).collect::<Vec<_>>());
}

#[test]
fn a_machine_alone_in_its_zone_asks_for_everything() {
    let mut stage = stage();
    stage.join_in(2, OTHER, &[0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(stage.asked_of(2), (0..COUNT).collect::<Vec<_>>());
}

#[test]
fn no_other_chunk_is_taken_from_another_zone() {
    let mut stage = stage();
    stage.join_as(2, Profile { publisher: true, ..profile(2, OTHER) }, &[4]);
    let exact = stage.said().into_iter().find_map(|output| match output {
        Output::Fetch { exact, .. } => Some(exact),
        _ => None,
    });
    assert_eq!(exact, Some(true));
}

#[test]
fn a_publisher_inside_is_asked_though_peers_outside_hold_the_chunk() {
    let mut stage = stage();
    stage.join_in(2, OTHER, &[]);
    stage.join_in(3, OTHER, &[]);
    stage.join_as(1, Profile { publisher: true, ..profile(1, OURS) }, &[4]);
    stage.said();
    stage.tell(Input::Refused { source: SourceId(1), asked: chunk(4) });
    for id in [2, 3] {
        stage.tell(Input::Haves { source: SourceId(id), chunks: vec![chunk(4)] });
    }
    stage.pass(Config::default().refusal_pause);
    assert_eq!(stage.fetches(), [(1, 4)], "two who may not be asked are no reason to spare it");
}

/// A machine that owns nothing, as so many members come before it, with a source outside that holds everything.
fn without_chunks(members: u64) -> Stage {
    let mut stage = stage();
    stage.join_in(1, OURS, &[]);
    stage.members(1, (1..=members).map(member).collect());
    stage.join_in(2, OTHER, &[]);
    let unowned: Vec<ChunkId> =
        layout().chunks().filter(|c| stage.swarm.board.border().unwrap().members.ahead(*c) == 1).collect();
    assert!(!unowned.is_empty(), "some chunk has us as its first successor");
    stage.tell(Input::Holds { source: SourceId(2), chunks: set(unowned.iter().map(|c| c.index())) });
    assert_eq!(stage.fetches(), []);
    stage
}

#[test]
fn the_first_successor_asks_when_nothing_new_has_come_into_the_zone_for_a_second() {
    let mut stage = without_chunks(3);
    stage.pass(STALL - MOMENT);
    assert_eq!(stage.fetches(), []);
    stage.pass(MOMENT);
    assert!(!stage.fetches().is_empty());
}

#[test]
fn news_in_the_zone_makes_successors_wait_again_however_old_a_chunk_is() {
    let mut stage = without_chunks(3);
    let held = stage.swarm.board.source(SourceId(2)).unwrap().known.clone();
    let others: Vec<ChunkId> = layout().chunks().filter(|c| !held.contains(*c)).collect();
    for news in others {
        stage.pass(STALL * 3 / 4);
        stage.tell(Input::Haves { source: SourceId(1), chunks: vec![news] });
        stage.fetched(1, news.index());
        stage.verified(1, news.index());
    }
    assert_eq!(stage.asked_of(2), [] as [u32; 0]);
}

#[test]
fn an_owner_that_is_silent_or_gone_is_stood_in_for_at_once() {
    let mut stage = stage();
    stage.join_in(1, OURS, &[]);
    stage.members(1, vec![member(1)]);
    stage.join_in(2, OTHER, &[0, 1, 2, 3, 4, 5, 6, 7]);
    let before = stage.asked_of(2);
    assert!(before.len() < COUNT as usize);
    stage.tell(Input::Left { source: SourceId(1) });
    assert_eq!(before.len() + stage.asked_of(2).len(), COUNT as usize);
}

#[test]
fn who_comes_to_reach_outside_says_so_and_who_does_no_more_says_that() {
    let mut stage = stage();
    stage.join_in(1, OURS, &[]);
    assert_eq!(told(&mut stage), [], "who reaches nobody outside is no owner");
    stage.join_in(2, OTHER, &[]);
    stage.pass(MOMENT * 10);
    let ours = Member { id: 1000, stamp: 1, reaches: true };
    assert_eq!(told(&mut stage), [(1, vec![ours])]);
    stage.tell(Input::Left { source: SourceId(2) });
    stage.pass(MOMENT * 10);
    assert_eq!(told(&mut stage), [(1, vec![Member { reaches: false, ..ours }])]);
}

#[test]
fn members_are_told_to_those_who_come_and_news_to_those_who_are_there() {
    let mut stage = stage();
    stage.join_in(1, OURS, &[]);
    stage.members(1, vec![member(5)]);
    stage.join_in(3, OURS, &[]);
    assert_eq!(told(&mut stage), [(3, vec![member(5)])]);
    stage.pass(MOMENT * 10);
    assert_eq!(told(&mut stage), [(1, vec![member(5)]), (3, vec![member(5)])]);
    stage.join_in(2, OTHER, &[]);
    stage.pass(MOMENT * 10);
    assert!(told(&mut stage).iter().all(|(id, _)| *id != 2), "members are nobody's business outside");
}

#[test]
fn what_a_machine_does_not_get_inside_it_asks_for_outside_at_last() {
    let mut stage = Stage::new(set(1..COUNT), config());
    stage.join_in(1, OURS, &[0]);
    stage.join_in(2, OTHER, &[0]);
    assert_eq!(stage.fetches(), [(1, 0)]);
    stage.refused(1, 0);
    let late = STALL * 3;
    stage.pass(late);
    assert!(stage.asked_of(2).contains(&0), "a source that refuses is no wall");
}

/// A machine that asks one chunk at a time of a source inside and of one outside, which both hold everything.
fn between_two() -> Stage {
    let mut stage = Stage::new(set([]), Config { window_start: 1, ..config() });
    stage.join_in(1, OURS, &[0, 1, 2, 3, 4, 5, 6, 7]);
    stage.join_in(2, OTHER, &[0, 1, 2, 3, 4, 5, 6, 7]);
    stage
}

#[test]
fn what_is_inside_is_taken_there_while_it_comes_as_quickly_as_anything() {
    let mut stage = between_two();
    for _ in 0..COUNT {
        let (from, asked) = stage.fetches()[0];
        assert_eq!(from, 1);
        stage.pass(MOMENT);
        stage.fetched(1, asked);
        stage.verified(1, asked);
    }
    assert!(stage.swarm.is_complete());
}

#[test]
fn what_is_inside_with_somebody_slow_is_asked_for_outside_as_well() {
    let mut stage = between_two();
    assert_eq!(stage.fetches().len(), 1, "one chunk is asked of the source inside, and nothing outside");
    stage.pass(MOMENT * 200);
    let asked = stage.fetches();
    assert!(!asked.is_empty() && asked.iter().all(|(from, _)| *from == 2), "{asked:?}");
}
