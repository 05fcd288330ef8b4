//! What the swarm gives, to whom, and in which order.

use super::*;

impl Stage {
    fn publisher() -> Self {
        Self::new(set(0..COUNT), Config { publisher: true, ..Config::default() })
    }

    /// One that sends a single chunk at a time, so that order shows.
    fn one_at_a_time(have: Bitfield, publisher: bool) -> Self {
        Self::new(have, Config { publisher, uploads_at_once: 1, ..Config::default() })
    }

    pub(super) fn ask(&mut self, id: u32, request: u64, index: u32) {
        let (source, request, chunk) = (SourceId(id), RequestId(request), chunk(index));
        self.tell(Input::Requested { source, request, chunk, exact: false });
    }

    pub(super) fn sent(&mut self, request: u64, outcome: Outcome) {
        self.tell(Input::Sent { request: RequestId(request), outcome });
    }

    /// The sends since the last look, as (request, chunk).
    pub(super) fn sends(&mut self) -> Vec<(u64, u32)> {
        let send = |output| match output {
            Output::Send { request, chunk, .. } => Some((request.0, chunk.index())),
            _ => None,
        };
        self.said().into_iter().filter_map(send).collect()
    }
}

#[test]
fn serves_the_most_deprived_first() {
    let mut stage = Stage::one_at_a_time(set(0..COUNT), false);
    stage.join(0, &[0, 1, 2, 3]);
    stage.join(1, &[0]);
    stage.join(2, &[0, 1]);
    stage.ask(0, 10, 7);
    for (id, request) in [(0, 11), (2, 12), (1, 13)] {
        stage.ask(id, request, 7);
    }
    for request in [10, 13, 12, 11] {
        assert_eq!(stage.sends(), [(request, 7)]);
        stage.sent(request, Outcome::Delivered);
    }
}

#[test]
fn serves_equally_deprived_ones_in_the_order_of_their_requests() {
    let mut stage = Stage::one_at_a_time(set(0..COUNT), false);
    for id in 0..3 {
        stage.join(id, &[]);
    }
    for (id, request) in [(2, 10), (0, 11), (1, 12)] {
        stage.ask(id, request, 7);
    }
    for request in [10, 11, 12] {
        assert_eq!(stage.sends(), [(request, 7)]);
        stage.sent(request, Outcome::Delivered);
    }
}

#[test]
fn nobody_is_overtaken_for_ever() {
    let mut stage = Stage::one_at_a_time(set(0..COUNT), false);
    stage.join(0, &[0, 1, 2]);
    stage.join(1, &[]);
    stage.ask(1, 0, 7);
    stage.ask(0, 1000, 7);
    let mut overtakes = 0;
    for request in 1..100 {
        stage.ask(1, request, 7);
        stage.sent(request - 1, Outcome::Delivered);
        if stage.sends().contains(&(1000, 7)) {
            break;
        }
        overtakes += 1;
    }
    assert_eq!(overtakes, Config::default().overtakes_max);
}

#[test]
fn an_upload_that_was_written_gives_its_turn_back() {
    let mut stage = Stage::one_at_a_time(set(0..COUNT), false);
    stage.join(0, &[]);
    stage.ask(0, 1, 1);
    stage.ask(0, 2, 2);
    assert_eq!(stage.sends(), [(1, 1)]);
    stage.tell(Input::Written { request: RequestId(1) });
    assert_eq!(stage.sends(), [(2, 2)]);
    stage.sent(1, Outcome::Delivered);
    assert_eq!(stage.swarm.tally().delivered, 1);
}

#[test]
fn an_upload_that_is_held_up_by_its_receiver_gives_its_turn_back() {
    let mut stage = Stage::one_at_a_time(set(0..COUNT), false);
    stage.join(0, &[]);
    stage.ask(0, 1, 1);
    stage.pass(Duration::from_millis(10));
    stage.sent(1, Outcome::Delivered);
    stage.ask(0, 2, 2);
    stage.ask(0, 3, 3);
    assert_eq!(stage.sends(), [(1, 1), (2, 2)]);
    stage.pass(Duration::from_millis(20));
    assert_eq!(stage.sends(), [(3, 3)]);
}

#[test]
fn says_how_many_requests_are_unfinished_beside_an_answer() {
    let mut stage = Stage::one_at_a_time(set(0..COUNT), false);
    stage.join(0, &[]);
    for request in 1..4 {
        stage.ask(0, request, 1);
    }
    stage.sent(1, Outcome::Delivered);
    let second = stage.said().into_iter().find(|o| matches!(o, Output::Send { request: RequestId(2), .. }));
    assert_eq!(second, Some(Output::Send { request: RequestId(2), chunk: chunk(1), waiting: 1 }));
}

#[test]
fn a_withdrawn_request_is_not_answered() {
    let mut stage = Stage::one_at_a_time(set(0..COUNT), false);
    stage.join(0, &[]);
    stage.ask(0, 1, 1);
    stage.ask(0, 2, 2);
    stage.tell(Input::Withdrawn { request: RequestId(2) });
    stage.sent(1, Outcome::Delivered);
    assert_eq!(stage.sends(), [(1, 1)]);
}

#[test]
fn rejects_what_it_does_not_hold_and_what_exceeds_the_queue() {
    let mut stage = Stage::new(set([1]), Config { uploads_at_once: 1, ..Config::default() });
    stage.join(0, &[]);
    stage.ask(0, 1, 2);
    assert_eq!(stage.said(), [Output::Reject { request: RequestId(1) }]);
    let first = 2;
    let last = first + u64::from(Config::default().queue_per_neighbour) + 1; // one is being answered, the rest waits
    for request in first..=last {
        stage.ask(0, request, 1);
    }
    let rejected: Vec<Output> = stage.said().into_iter().filter(|o| matches!(o, Output::Reject { .. })).collect();
    assert_eq!(rejected, [Output::Reject { request: RequestId(last) }]);
}

#[test]
fn the_requests_of_a_lost_neighbour_free_their_turns() {
    let mut stage = Stage::one_at_a_time(set(0..COUNT), false);
    stage.join(0, &[]);
    stage.join(1, &[]);
    stage.ask(0, 1, 1);
    stage.ask(0, 2, 1);
    stage.ask(1, 3, 1);
    stage.tell(Input::Left { source: SourceId(0) });
    assert_eq!(stage.sends(), [(1, 1), (3, 1)]);
}

#[test]
fn a_publisher_sends_everything_once_before_anything_twice() {
    let mut stage = Stage::publisher();
    let ids = 0..3;
    ids.clone().for_each(|id| stage.join(id, &[]));
    let mut sent = Vec::new();
    for request in 0..u64::from(COUNT) {
        stage.ask(u32::try_from(request % 3).unwrap(), request, 0);
        sent.extend(stage.sends().into_iter().map(|(_, chunk)| chunk));
        stage.sent(request, Outcome::Delivered);
    }
    sent.sort_unstable();
    assert_eq!(sent, (0..COUNT).collect::<Vec<_>>());
    assert_eq!(stage.swarm.unserved(), Some(0));
    stage.ask(0, 100, 0);
    assert_eq!(stage.sends(), [(100, 0)], "after the first pass it sends what is asked for");
}

#[test]
fn an_exact_request_is_not_redirected() {
    let mut stage = Stage::publisher();
    stage.join(0, &[]);
    stage.ask(0, 1, 0);
    stage.tell(Input::Requested { source: SourceId(0), request: RequestId(2), chunk: chunk(0), exact: true });
    assert_eq!(stage.sends(), [(1, 0), (2, 0)]);
}

#[test]
fn a_complete_copy_that_does_not_publish_sends_what_is_asked_for() {
    let mut stage = Stage::new(set(0..COUNT), Config::default());
    stage.join(0, &[]);
    stage.ask(0, 1, 0);
    stage.ask(0, 2, 0);
    assert_eq!(stage.sends(), [(1, 0), (2, 0)]);
}

#[test]
fn what_a_neighbour_holds_counts_as_served() {
    let mut stage = Stage::publisher();
    stage.join(0, &[0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(stage.swarm.unserved(), Some(1));
    stage.join(1, &[]);
    stage.ask(1, 1, 0);
    assert_eq!(stage.sends(), [(1, 7)]);
}

#[test]
fn what_another_publisher_holds_does_not_count_as_served() {
    let mut stage = Stage::publisher();
    stage.join_as(0, Profile { publisher: true, ..Profile::default() }, &[0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(stage.swarm.unserved(), Some(COUNT));
}

#[test]
fn a_stopped_upload_has_not_left() {
    let mut stage = Stage::publisher();
    stage.join(0, &[]);
    stage.ask(0, 1, 0);
    assert_eq!(stage.swarm.unserved(), Some(COUNT - 1));
    stage.sent(1, Outcome::Aborted);
    assert_eq!(stage.swarm.unserved(), Some(COUNT));
}

#[test]
fn what_only_a_lost_neighbour_got_is_unserved_again() {
    let mut stage = Stage::publisher();
    stage.join(0, &[]);
    stage.join(1, &[2]);
    stage.ask(0, 1, 0);
    stage.sent(1, Outcome::Delivered);
    stage.tell(Input::Haves { source: SourceId(0), chunks: vec![chunk(0), chunk(2)] });
    assert_eq!(stage.swarm.unserved(), Some(COUNT - 2));
    stage.tell(Input::Left { source: SourceId(0) });
    assert_eq!(stage.swarm.unserved(), Some(COUNT - 1), "chunk 2 is held by another");
}

#[test]
fn a_second_request_of_a_neighbour_is_preferred_to_redirecting_its_first() {
    let mut stage = Stage::one_at_a_time(set(0..COUNT), true);
    stage.join(0, &[]);
    stage.join(1, &[]);
    stage.ask(1, 1, 0);
    stage.ask(0, 2, 0);
    stage.ask(0, 3, 5);
    stage.sent(1, Outcome::Delivered);
    assert_eq!(stage.sends(), [(1, 0), (3, 5)]);
}

#[test]
fn a_slow_neighbour_does_not_get_a_chunk_that_nobody_else_has_while_others_wait() {
    let mut stage = Stage::one_at_a_time(set(0..COUNT), true);
    for id in 0..3 {
        stage.join(id, &[]);
    }
    for (id, millis) in [(0, 10), (1, 10), (2, 100)] {
        stage.ask(id, u64::from(id), id);
        stage.pass(Duration::from_millis(millis));
        stage.sent(u64::from(id), Outcome::Delivered);
    }
    stage.ask(0, 10, 7);
    stage.said();
    stage.ask(2, 12, 5);
    stage.ask(1, 11, 6);
    stage.sent(10, Outcome::Delivered);
    assert_eq!(stage.sends(), [(11, 6)]);
}

#[test]
fn publishers_send_their_own_shares_first_and_take_over_that_of_a_lost_one() {
    let config = Config { publisher: true, order: 7, uploads_at_once: 1, ..Config::default() };
    let mut stage = Stage::new(set(0..COUNT), config);
    stage.join_as(9, Profile { publisher: true, order: 3, ..Profile::default() }, &[0, 1, 2, 3, 4, 5, 6, 7]);
    stage.join(0, &[]);
    let mut sent = Vec::new();
    for request in 0..u64::from(COUNT) {
        if request == 3 {
            stage.tell(Input::Left { source: SourceId(9) });
        }
        stage.ask(0, request, 0);
        sent.extend(stage.sends().into_iter().map(|(_, chunk)| chunk));
        stage.sent(request, Outcome::Delivered);
    }
    assert!(
        sent[..3].iter().all(|chunk| chunk % 2 == 1),
        "the odd ones are ours, as one order is less than ours: {sent:?}"
    );
    sent.sort_unstable();
    assert_eq!(sent, (0..COUNT).collect::<Vec<_>>());
}
