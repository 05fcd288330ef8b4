//! Which sources count as neighbours.

use super::*;

/// A leecher whose sources 0, 1, 2… bring so many chunks each, in turn.
fn after(brought: &[u32]) -> Stage {
    let layout = Layout::new(1024 * 1024, 1024).unwrap();
    let mut stage = Stage::leecher();
    stage.swarm = Swarm::new(layout, Bitfield::none(layout), Config::default(), 1);
    for id in (0..).map(SourceId).take(brought.len()) {
        stage.tell(Input::Joined { source: id, profile: Profile::default() });
        stage.tell(Input::Holds { source: id, chunks: Bitfield::all(layout) });
    }
    for round in 0..brought.iter().copied().max().unwrap_or(0) {
        for (id, _) in (0..).zip(brought).filter(|(_, count)| round < **count) {
            bring(&mut stage, id);
        }
    }
    stage
}

/// Lets a source bring what it was asked for.
fn bring(stage: &mut Stage, id: u32) {
    let source = SourceId(id);
    let asked = stage.swarm.board.source(source).and_then(|s| s.fetching.first()).map(|f| f.asked);
    let chunk = asked.expect("whoever holds everything is asked for something");
    stage.tell(Input::Fetched { source, asked: chunk, chunk, waiting: 1 });
    stage.tell(Input::Verified { source, chunk });
}

fn lagging(stage: &Stage) -> Vec<u32> {
    stage.swarm.sources().filter(|view| view.lags).map(|view| view.id.0).collect()
}

#[test]
fn a_source_that_brings_much_less_than_others_does_not_count_as_a_neighbour() {
    let stage = after(&[12, 11, 1, 12]);
    assert_eq!(lagging(&stage), [2]);
    assert_eq!(stage.swarm.counted_on(), 3);
}

#[test]
fn half_of_the_sources_may_be_slow_and_are_seen_to_be() {
    assert_eq!(lagging(&after(&[1, 12, 1, 11, 0, 12])), [0, 2, 4]);
}

#[test]
fn equal_sources_all_count_however_little_they_bring() {
    assert_eq!(after(&[2, 1, 2, 1]).swarm.counted_on(), 4);
    assert_eq!(after(&[0, 0]).swarm.counted_on(), 2);
    assert_eq!(after(&[9, 4, 8, 5, 7, 6]).swarm.counted_on(), 6);
}

#[test]
fn a_newcomer_counts_until_the_others_have_shown_that_it_brings_nothing() {
    let mut stage = after(&[12, 12, 12, 12]);
    stage.tell(Input::Joined { source: SourceId(4), profile: Profile::default() });
    assert_eq!(stage.swarm.counted_on(), 5);
    for _ in 0..40 {
        (0..4).for_each(|id| bring(&mut stage, id));
    }
    assert_eq!(lagging(&stage), [4]);
}

#[test]
fn a_source_that_becomes_quick_counts_again() {
    let mut stage = after(&[14, 14, 0, 14]);
    assert_eq!(lagging(&stage), [2]);
    (0..8).for_each(|_| bring(&mut stage, 2));
    assert!(lagging(&stage).is_empty());
}

#[test]
fn a_silent_source_does_not_count_until_it_is_heard() {
    let mut stage = Stage::leecher_among(&[&[0], &[1]]);
    stage.fetched(0, 0);
    stage.pass(Config::default().hedge_after.max(Config::default().silence));
    assert_eq!(stage.swarm.counted_on(), 1);
    stage.tell(Input::Haves { source: SourceId(1), chunks: vec![chunk(5)] });
    assert_eq!(stage.swarm.counted_on(), 2);
}

#[test]
fn a_publisher_in_demand_counts_whatever_it_brings() {
    let mut stage = after(&[12, 12, 12]);
    let profile = Profile { publisher: true, ..Profile::default() };
    stage.tell(Input::Joined { source: SourceId(3), profile });
    for _ in 0..40 {
        (0..3).for_each(|id| bring(&mut stage, id));
    }
    assert_eq!(stage.swarm.counted_on(), 4);
}
