//! Chunks that may lie in the destination already: nobody is asked for them before that is known.

use super::*;

fn withhold(stage: &mut Stage, chunks: &[u32]) {
    stage.tell(Input::Withheld { chunks: set(chunks.iter().copied()) });
}

#[test]
fn nobody_is_asked_for_what_may_be_here() {
    let mut stage = Stage::leecher();
    withhold(&mut stage, &[0, 1, 2, 3, 4, 5, 6]);
    (0..4).for_each(|id| stage.join(id, &[0, 1, 2, 3, 4, 5, 6, 7]));
    assert_eq!(stage.fetches().iter().map(|(_, chunk)| *chunk).collect::<Vec<_>>(), [7]);
    stage.fetched(0, 7);
    stage.verified(0, 7);
    stage.pass(Duration::from_secs(60));
    assert_eq!(stage.fetches(), [], "the end game took what was withheld");
}

#[test]
fn what_differs_is_fetched_and_what_is_proved_is_not() {
    let mut stage = Stage::leecher();
    withhold(&mut stage, &[0, 1, 2, 3, 4, 5, 6, 7]);
    stage.join(0, &[0, 1, 2, 3, 4, 5, 6, 7]);
    (0..7).for_each(|index| stage.verified(9, index));
    assert_eq!(stage.fetches(), []);
    stage.tell(Input::Released { chunk: chunk(7) });
    assert_eq!(stage.fetches(), [(0, 7)]);
    stage.fetched(0, 7);
    stage.verified(0, 7);
    assert!(stage.said().contains(&Output::Complete));
}

#[test]
fn a_publisher_is_asked_for_this_chunk_and_no_other_while_some_are_withheld() {
    let mut stage = Stage::leecher();
    withhold(&mut stage, &[1]);
    stage.join(0, &[0]);
    assert_eq!(stage.said(), [Output::Fetch { source: SourceId(0), chunk: chunk(0), part: Part::Rest, exact: true }]);
    stage.arriving(0, 0, 1);
    assert_eq!(stage.said(), [cancel(0, 0)]);
}

#[test]
fn the_end_game_waits_until_it_is_known_which_chunks_are_the_last() {
    let mut stage = Stage::leecher();
    withhold(&mut stage, &[0, 1, 2, 3, 4, 5, 6]);
    [0, 1].into_iter().for_each(|id| stage.join(id, &[6, 7]));
    assert_eq!(stage.fetches(), [(0, 7)]);
    (0..6).for_each(|index| stage.verified(9, index));
    assert_eq!((stage.fetches(), stage.swarm.phase()), (vec![], Phase::Fetching));
    stage.verified(9, 6);
    assert_eq!((stage.fetches(), stage.swarm.phase()), (vec![(1, 7)], Phase::EndGame));
}
