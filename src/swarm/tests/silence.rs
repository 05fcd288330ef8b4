//! What the swarm does about sources of which nothing is heard, and about requests that take too long.

use super::*;

impl Stage {
    /// Lets so much time pass that whoever owes something and says nothing is silent.
    fn wait(&mut self) {
        self.pass(Config::default().hedge_after.max(Config::default().silence));
    }
}

fn fetch(id: u32, index: u32, part: Part, exact: bool) -> Output {
    Output::Fetch { source: SourceId(id), chunk: chunk(index), part, exact }
}

#[test]
fn a_late_request_is_hedged_from_the_end_and_one_that_is_late_there_from_the_front() {
    let mut stage = Stage::new(set(1..COUNT), Config::default());
    stage.join(0, &[0]);
    assert_eq!(stage.said(), [fetch(0, 0, Part::Rest, false)]);
    stage.wait();
    stage.join(1, &[0]);
    assert_eq!(stage.said(), [fetch(1, 0, Part::RestFromEnd, true)]);
    stage.arriving(1, 0, 0);
    stage.wait();
    stage.join(2, &[0]);
    assert_eq!(stage.said(), [fetch(2, 0, Part::Rest, true)], "the first one has brought nothing");
}

#[test]
fn a_silent_source_is_tried_now_and_then_without_keeping_others_from_its_chunks() {
    let mut stage = Stage::leecher_among(&[&[0, 1, 2, 3, 4, 5]]);
    let asked = stage.fetches()[0].1;
    stage.wait();
    stage.verified(9, asked);
    stage.refused(0, asked);
    assert_eq!(stage.fetches(), [], "it is not asked for more at once");
    stage.wait();
    let tried = stage.fetches();
    assert_eq!(tried.len(), 1);
    stage.wait();
    assert_eq!(stage.fetches(), [], "nor while it does not answer");
    stage.join(1, &[tried[0].1]);
    assert_eq!(stage.fetches(), [(1, tried[0].1)]);
}

#[test]
fn a_source_that_answers_again_is_in_use_again() {
    let mut stage = Stage::leecher_among(&[&[0, 1, 2]]);
    let late = stage.fetches()[0].1;
    stage.wait();
    stage.arriving(0, late, late);
    stage.fetched(0, late);
    assert_eq!(stage.fetches().len(), 1);
}

#[test]
fn whoever_says_something_is_slow_and_not_silent() {
    let mut stage = Stage::new(set([]), Config { publisher: true, ..Config::default() });
    stage.join(0, &[0]);
    stage.said();
    stage.pass(Config::default().hedge_after - MOMENT);
    stage.tell(Input::Haves { source: SourceId(0), chunks: vec![chunk(1)] });
    stage.pass(Config::default().silence - MOMENT);
    assert_eq!(stage.swarm.board.copies(chunk(1)), 1, "what it holds counts");
    stage.pass(MOMENT);
    assert_eq!(stage.swarm.board.copies(chunk(1)), 0, "now it does not");
}

#[test]
fn what_a_silent_neighbour_was_sent_is_unserved_until_it_is_heard_of() {
    let mut stage = Stage::new(set(0..COUNT), Config { publisher: true, ..Config::default() });
    stage.join(0, &[5]);
    stage.tell(Input::Requested { source: SourceId(0), request: RequestId(1), chunk: chunk(0), exact: false });
    assert_eq!(stage.swarm.unserved(), Some(COUNT - 2));
    stage.wait();
    assert_eq!(stage.swarm.unserved(), Some(COUNT), "neither what it was sent nor what it holds is of use");
    assert!(!stage.swarm.is_replicated(|_| true));
    stage.tell(Input::Sent { request: RequestId(1), outcome: Outcome::Delivered });
    stage.tell(Input::Haves { source: SourceId(0), chunks: vec![chunk(0)] });
    assert_eq!(stage.swarm.unserved(), Some(COUNT - 2));
}

#[test]
fn a_silent_neighbour_is_served_after_all_others() {
    let mut stage = Stage::new(set(0..COUNT), Config { uploads_at_once: 1, ..Config::default() });
    stage.join(0, &[]);
    stage.join(1, &[0, 1]);
    for (id, request) in [(0, 1), (0, 2)] {
        let (source, request) = (SourceId(id), RequestId(request));
        stage.tell(Input::Requested { source, request, chunk: chunk(3), exact: false });
    }
    stage.tell(Input::Written { request: RequestId(1) });
    stage.tell(Input::Requested { source: SourceId(0), request: RequestId(3), chunk: chunk(4), exact: false });
    stage.wait();
    stage.tell(Input::Requested { source: SourceId(1), request: RequestId(4), chunk: chunk(5), exact: false });
    stage.said();
    stage.tell(Input::Sent { request: RequestId(2), outcome: Outcome::Aborted });
    let sent =
        stage.said().into_iter().find_map(|o| if let Output::Send { request, .. } = o { Some(request) } else { None });
    assert_ne!(sent, Some(RequestId(3)), "the silent one waits");
}
