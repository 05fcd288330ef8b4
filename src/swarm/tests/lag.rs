//! Which sources count as neighbours.

use super::*;

/// Lets every source bring one chunk of its own, each after so many milliseconds.
fn after_a_chunk_each(millis: &[u64]) -> Stage {
    let chunks: Vec<[u32; 1]> = (0..).take(millis.len()).map(|index| [index]).collect();
    let neighbours: Vec<&[u32]> = chunks.iter().map(|chunk| &chunk[..]).collect();
    let mut stage = Stage::leecher_among(&neighbours);
    let mut order: Vec<(u64, u32)> = millis.iter().copied().zip(0..).collect();
    order.sort_unstable();
    for (at, id) in order {
        stage.now = Time::ZERO + Duration::from_millis(at);
        stage.fetched(id, id);
    }
    stage
}

#[test]
fn a_source_that_is_much_slower_than_the_others_does_not_count_as_a_neighbour() {
    assert_eq!(after_a_chunk_each(&[10, 10, 12, 100]).swarm.counted_on(), 3);
    let lags: Vec<bool> = after_a_chunk_each(&[10, 100, 12]).swarm.sources().map(|view| view.lags).collect();
    assert_eq!(lags, [false, true, false]);
}

#[test]
fn half_of_the_sources_may_be_slow_and_are_seen_to_be() {
    assert_eq!(after_a_chunk_each(&[100, 10, 110, 12, 120, 9]).swarm.counted_on(), 3);
}

#[test]
fn equal_sources_all_count_however_slow_they_are() {
    assert_eq!(after_a_chunk_each(&[400, 420, 390, 410]).swarm.counted_on(), 4);
    assert_eq!(after_a_chunk_each(&[400]).swarm.counted_on(), 1);
}

#[test]
fn a_source_whose_chunks_are_always_fetched_elsewhere_before_they_come_does_not_count() {
    let mut stage = after_a_chunk_each(&[10, 12, 11]);
    stage.join(3, &[3]);
    stage.arriving(3, 3, 3);
    for _ in 0..10 {
        stage.pass(Config::default().hedge_after / 10);
        stage.tell(Input::Haves { source: SourceId(3), chunks: vec![chunk(4)] });
    }
    assert_eq!(stage.swarm.counted_on(), 3);
}

#[test]
fn whoever_brought_nothing_yet_counts() {
    assert_eq!(Stage::leecher_among(&[&[0], &[1]]).swarm.counted_on(), 2);
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
fn a_publisher_in_demand_counts_however_long_its_chunks_take() {
    let mut stage = Stage::leecher_among(&[&[0], &[1], &[2]]);
    stage.join_as(3, Profile { publisher: true, ..Profile::default() }, &[3]);
    for id in 0..3 {
        stage.now = stage.now + MOMENT;
        stage.fetched(id, id);
    }
    stage.now = stage.now + 100 * MOMENT;
    stage.fetched(3, 3);
    assert_eq!(stage.swarm.counted_on(), 4);
}
