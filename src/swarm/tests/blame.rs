//! Whom the swarm stops asking or believing, and for how long.

use super::*;

#[test]
fn the_sender_of_a_bad_chunk_is_blamed_and_left_alone_for_a_while() {
    let mut stage = Stage::leecher_among(&[&[3, 4]]);
    let first = stage.fetches()[0].1;
    stage.fetched(0, first);
    let second = stage.fetches()[0].1;
    stage.tell(Input::Corrupt { source: SourceId(0), chunk: chunk(first) });
    stage.fetched(0, second);
    stage.verified(0, second);
    assert_eq!(stage.said()[0], Output::Blame { source: SourceId(0), chunk: chunk(first) });
    stage.pass(Config::default().quarantine - Duration::from_millis(1));
    assert_eq!(stage.fetches(), []);
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.fetches(), [(0, first)]);
}

#[test]
fn the_second_bad_chunk_bans_its_sender() {
    let mut stage = Stage::leecher_among(&[&[3]]);
    for _ in 0..2 {
        stage.fetched(0, 3);
        stage.tell(Input::Corrupt { source: SourceId(0), chunk: chunk(3) });
        stage.pass(Config::default().quarantine);
    }
    assert_eq!(stage.said().iter().filter(|o| **o == Output::Ban { source: SourceId(0) }).count(), 1);
}

#[test]
fn three_refusals_in_a_row_end_the_belief_in_all_claims_for_a_time_that_doubles() {
    let mut stage = Stage::leecher_among(&[&[3]]);
    for times in 0..3 {
        for _ in 0..3 {
            assert_eq!(stage.fetches(), [(0, 3)]);
            stage.refused(0, 3);
            stage.pass(Config::default().refusal_pause);
        }
        stage.tell(Input::Haves { source: SourceId(0), chunks: vec![chunk(3)] });
        stage.tell(Input::Holds { source: SourceId(0), chunks: set([3]) });
        stage.pass(Config::default().distrust * (1 << times) - Config::default().refusal_pause - MOMENT);
        assert_eq!(stage.fetches(), [], "claiming it again does not help");
        stage.pass(MOMENT);
    }
}

#[test]
fn whoever_lets_requests_wait_and_is_there_is_not_believed_after_three() {
    let mut stage = Stage::new(set(3..COUNT), Config::default());
    stage.join(0, &[0, 1, 2]);
    for times in 0..3 {
        let late = stage.fetches().last().unwrap().1;
        for _ in 0..10 {
            stage.pass(Config::default().silence - MOMENT);
            stage.tell(Input::Haves { source: SourceId(0), chunks: vec![chunk(7)] });
        }
        stage.join(1 + times, &[late]);
        stage.tell(Input::Left { source: SourceId(1 + times) });
        stage.verified(1 + times, late);
        stage.refused(0, late);
    }
    assert_eq!(stage.swarm.sources().next().unwrap().known, 0);
}

#[test]
fn what_several_brought_wrongly_together_is_fetched_from_one_at_a_time() {
    let mut stage = Stage::new(set(1..COUNT), Config::default());
    for id in 0..3 {
        stage.join(id, &[0]);
    }
    stage.said();
    stage.fetched(1, 0);
    assert_eq!(stage.said(), [cancel(0, 0)], "the chunk is whole, nothing more of it is wanted");
    stage.tell(Input::Mixed { chunk: chunk(0) });
    let alone = |id| Output::Fetch { source: SourceId(id), chunk: chunk(0), part: Part::Alone, exact: true };
    assert_eq!(stage.said(), [alone(1)], "nobody is blamed, and no second source is asked");
    stage.pass(Config::default().hedge_after);
    assert_eq!(stage.said(), [cancel(1, 0), alone(2)]);
    stage.fetched(2, 0);
    stage.tell(Input::Corrupt { source: SourceId(2), chunk: chunk(0) });
    assert!(stage.said().contains(&Output::Blame { source: SourceId(2), chunk: chunk(0) }));
}

#[test]
fn each_attempt_at_a_chunk_that_is_fetched_alone_is_given_twice_the_time_of_the_one_before() {
    let mut stage = Stage::new(set(1..COUNT), Config::default());
    stage.join(0, &[0]);
    stage.fetched(0, 0);
    stage.tell(Input::Mixed { chunk: chunk(0) });
    for doublings in 0..5 {
        stage.arriving(0, 0, 0);
        stage.said();
        stage.pass(Config::default().hedge_after * (1 << doublings) - MOMENT);
        assert_eq!(stage.said(), [], "attempt {doublings}");
        stage.pass(MOMENT);
        assert_eq!(stage.said(), [cancel(0, 0)], "attempt {doublings}");
        stage.refused(0, 0);
    }
}

#[test]
fn whoever_brings_a_chunk_alone_that_is_wrong_again_is_not_the_next_to_be_asked() {
    let mut stage = Stage::new(set(1..COUNT), Config::default());
    stage.join(0, &[0]);
    stage.join(1, &[0]);
    stage.said();
    stage.tell(Input::Mixed { chunk: chunk(0) });
    stage.refused(0, 0);
    stage.refused(1, 0);
    let asked = stage.fetches();
    assert_eq!(asked.len(), 1, "one at a time");
    stage.fetched(asked[0].0, 0);
    stage.tell(Input::Mixed { chunk: chunk(0) });
    assert_eq!(stage.fetches(), [(1 - asked[0].0, 0)]);
}
