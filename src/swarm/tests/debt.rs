//! What a publisher gives to neighbours that do not pass on what they got, and is not asked for when others do.

use super::*;

/// A publisher with three neighbours that hold nothing; neighbour 0 was sent chunks 0, 1 and 2 and says so.
fn publisher_owed_by_0(uploads_at_once: usize) -> Stage {
    let mut stage = Stage::new(set(0..COUNT), Config { publisher: true, uploads_at_once, ..Config::default() });
    (0..3).for_each(|id| stage.join(id, &[]));
    for index in 0..3 {
        stage.ask(0, index, u32::try_from(index).unwrap());
        stage.sent(index, Outcome::Delivered);
    }
    stage.haves(0, &[0, 1, 2]);
    assert_eq!(stage.sends(), [(0, 0), (1, 1), (2, 2)]);
    stage
}

impl Stage {
    fn haves(&mut self, id: u32, indices: &[u32]) {
        self.tell(Input::Haves { source: SourceId(id), chunks: indices.iter().map(|i| chunk(*i)).collect() });
    }
}

#[test]
fn whoever_passes_chunks_on_is_served_before_one_in_debt_that_asked_earlier() {
    let mut stage = publisher_owed_by_0(1);
    stage.haves(2, &[5, 6, 7]); // as deprived as neighbour 0
    for (id, request) in [(1, 3), (0, 4), (2, 5)] {
        stage.ask(id, request, 3);
    }
    stage.sent(3, Outcome::Delivered);
    let requests: Vec<u64> = stage.sends().into_iter().map(|(request, _)| request).collect();
    assert_eq!(requests, [3, 5]);
}

#[test]
fn a_neighbour_in_debt_waits_while_two_uploads_keep_the_uplink_busy() {
    let mut stage = publisher_owed_by_0(5);
    stage.ask(1, 3, 3);
    stage.ask(2, 4, 4);
    stage.ask(0, 5, 5);
    assert_eq!(stage.sends(), [(3, 3), (4, 4)]);
    stage.tell(Input::Written { request: RequestId(3) });
    assert_eq!(stage.sends(), [(5, 5)]);
}

#[test]
fn a_debt_is_paid_when_others_hold_the_chunks() {
    let mut stage = publisher_owed_by_0(5);
    stage.haves(1, &[0]);
    stage.haves(2, &[1]);
    stage.ask(1, 3, 3);
    stage.ask(2, 4, 4);
    stage.ask(0, 5, 5);
    assert_eq!(stage.sends(), [(3, 3), (4, 4), (5, 5)]);
}

#[test]
fn nobody_is_in_debt_once_everything_has_left() {
    let mut stage = publisher_owed_by_0(5);
    stage.haves(1, &[3, 4, 5, 6, 7]);
    for (id, request, index) in [(1, 3, 0), (2, 4, 3), (0, 5, 5)] {
        stage.ask(id, request, index);
    }
    assert_eq!(stage.sends(), [(3, 0), (4, 3), (5, 5)]);
}

#[test]
fn a_neighbour_in_debt_is_not_overtaken_for_ever() {
    let mut stage = publisher_owed_by_0(5);
    stage.haves(2, &[7]);
    let exact = |stage: &mut Stage, request| {
        let (source, request) = (SourceId(1), RequestId(request));
        stage.tell(Input::Requested { source, request, chunk: chunk(7), exact: true });
    };
    exact(&mut stage, 100);
    exact(&mut stage, 101);
    stage.ask(0, 3, 3);
    let mut overtakes = 0;
    for request in 102..200 {
        exact(&mut stage, request);
        overtakes += 1;
        if stage.sends().contains(&(3, 3)) {
            break;
        }
        stage.sent(request - 2, Outcome::Delivered);
    }
    assert_eq!(overtakes, Config::default().overtakes_max);
}

#[test]
fn a_publisher_is_not_asked_for_what_two_peers_hold_until_one_of_them_is_lost() {
    let mut stage = Stage::leecher_among(&[&[0, 1, 2], &[0, 1, 2]]);
    assert_eq!(stage.fetches().len(), 2);
    stage.join_as(9, Profile { publisher: true, ..Profile::default() }, &[0, 1, 2]);
    assert_eq!(stage.fetches(), []);
    stage.tell(Input::Left { source: SourceId(0) });
    assert!(stage.fetches().iter().any(|(id, _)| *id == 9));
}
