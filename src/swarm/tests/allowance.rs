//! What the swarm makes of a limit that this machine was given.

use super::*;
use crate::units::BytesPerSecond;

/// At this rate a chunk takes ten seconds.
const SLOW: Option<BytesPerSecond> = BytesPerSecond::new(102);

impl Stage {
    fn silent(&self) -> usize {
        self.swarm.sources().filter(|source| source.silent).count()
    }
}

/// Whether what is arriving for so many seconds is asked of somebody else too, and whether its source then counts as silent.
fn is_given_up(download_limit: Option<BytesPerSecond>, seconds: u64) -> (bool, bool) {
    let mut stage = Stage::new(set([]), Config { download_limit, ..Config::default() });
    stage.join(0, &[0, 1, 2, 3]);
    let asked = stage.fetches()[0].1;
    stage.arriving(0, asked, asked);
    stage.pass(Duration::from_secs(seconds));
    let silent = stage.silent() > 0;
    stage.join(1, &[asked]);
    (stage.fetches() == [(1, asked)], silent)
}

#[test]
fn what_our_own_limit_holds_up_is_not_asked_elsewhere_and_its_source_is_not_silent() {
    assert_eq!(is_given_up(SLOW, 15), (false, false));
    assert_eq!(is_given_up(None, 15), (true, true));
}

#[test]
fn what_takes_longer_than_the_limit_explains_is_given_up() {
    assert_eq!(is_given_up(SLOW, 25), (true, true));
}

/// Chunks that are being sent after a few seconds in which no receiver took one whole.
fn sent_at_once(upload_limit: Option<BytesPerSecond>) -> usize {
    let config = Config { upload_limit, uploads_at_once: 2, ..Config::default() };
    let mut stage = Stage::new(set(0..COUNT), config);
    for id in 0..6 {
        stage.join(id, &[]);
        let request = RequestId(id.into());
        stage.tell(Input::Requested { source: SourceId(id), request, chunk: chunk(id), exact: true });
    }
    stage.pass(Duration::from_secs(5));
    stage.said().iter().filter(|output| matches!(output, Output::Send { .. })).count()
}

#[test]
fn uploads_that_our_own_limit_holds_up_keep_their_turns() {
    assert_eq!(sent_at_once(SLOW), 2);
    assert!(sent_at_once(None) > 2, "receivers that hold up the uplink lose their turn");
}
