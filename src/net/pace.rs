//! Pace: how many control messages a neighbour may send.
//!
//! Every message costs the node a decision and some cost a walk over all chunks, so the number of them is bounded like their
//! length. Four buckets: haves and proofs come all the time, news about a zone's members when many come at once, the rest when a neighbour joins
//! or something rare happens. A bucket holds what gathers while a path or this machine stands still for as long as a connection can, so that no honest neighbour is cut off when all of it comes at once.
//!
//! Invariant: in any span of time, a neighbour gets at most a bucket and its refill through.
//!
//! Not here: bytes, which QUIC's windows bound.

use tokio::time::Instant;

use crate::wire::Message;

/// Haves in a second, and messages with proofs in a second: an honest neighbour announces 500 times at the quickest, each time perhaps with
/// the proofs before it. News about members are gathered, and come a hundred times at most.
const NEWS_RATE: f64 = 1000.0;
/// Other messages in a second: addresses once, the rest hardly ever.
const REST_RATE: f64 = 10.0;
/// Seconds of messages that may come at once: the idle timeout of a connection.
const GATHERED: f64 = 10.0;

/// What one neighbour may still say.
#[derive(Debug)]
pub(super) struct Pace {
    haves: Bucket,
    proofs: Bucket,
    members: Bucket,
    rest: Bucket,
}

impl Pace {
    /// Full buckets.
    pub(super) fn new(now: Instant) -> Self {
        let news = || Bucket::new(NEWS_RATE, now);
        Self { haves: news(), proofs: news(), members: news(), rest: Bucket::new(REST_RATE, now) }
    }

    /// Takes a message into account; false when the neighbour says too much.
    pub(super) fn admits(&mut self, message: &Message, now: Instant) -> bool {
        match message {
            Message::Have { .. } => self.haves.take(now),
            Message::Digests { .. } => self.proofs.take(now),
            Message::Members { .. } => self.members.take(now),
            _ => self.rest.take(now),
        }
    }
}

#[derive(Debug)]
struct Bucket {
    rate: f64,
    left: f64,
    since: Instant,
}

impl Bucket {
    fn new(rate: f64, now: Instant) -> Self {
        Self { rate, left: rate * GATHERED, since: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let refill = (now - self.since).as_secs_f64() * self.rate;
        self.left = (self.left + refill).min(self.rate * GATHERED);
        self.since = now;
        let admitted = self.left >= 1.0;
        if admitted {
            self.left -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::chunk::Layout;
    use crate::wire::{ContentIndex, Form, Haves, Peers};

    fn have() -> Message {
        let chunk = Layout::new(1024, 1024).unwrap().chunk(0).unwrap();
        Message::Have { content: ContentIndex(0), chunks: Haves::split(&[chunk]).next().unwrap() }
    }

    /// How many of these get through when one comes every `every`, for a minute.
    fn admitted(message: &Message, every: Duration) -> (u32, u32) {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let sent = u32::try_from(Duration::from_secs(60).as_nanos() / every.as_nanos()).unwrap();
        let through = (0..sent).filter(|n| pace.admits(message, start + every * *n)).count();
        (u32::try_from(through).unwrap(), sent)
    }

    #[test]
    fn the_quickest_honest_neighbour_is_heard_whole() {
        let (through, sent) = admitted(&have(), Duration::from_millis(1));
        assert_eq!(through, sent);
        let (through, sent) = admitted(&Message::Peers(Peers::default()), Duration::from_secs(1));
        assert_eq!(through, sent);
    }

    #[test]
    fn a_flood_of_haves_is_not() {
        let (through, sent) = admitted(&have(), Duration::from_micros(100));
        assert_eq!(sent, 600_000);
        assert!(through <= 71_000, "{through}: a minute's news and what may gather");
    }

    #[test]
    fn messages_that_cost_a_walk_are_rarer_than_news() {
        let whole = Message::Bitfield { content: ContentIndex(0), form: Form::All };
        let (through, _) = admitted(&whole, Duration::from_millis(1));
        assert!(through <= 710, "{through}");
    }

    #[test]
    fn news_that_gathered_on_a_path_that_stood_still_may_come_at_once() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        let have = have();
        assert!((0..10_000).all(|_| pace.admits(&have, now)));
        assert!(!pace.admits(&have, now));
    }
}
