//! The registry's book: who said that it is there, where, and until when that holds.
//!
//! Invariant: pure; time is an argument. There are never more than [`ENTRIES_MAX`] entries, so memory is bounded by about 5 MB whoever
//! writes (a name of 253 bytes, an id of 64 and the tree's own part each). What is over is neither told nor counted.
//!
//! Not here: HTTP and tokens (`server`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::Beat;
use crate::discovery::list::ENTRIES_MAX;
use crate::discovery::name::PeerName;
use crate::units::Time;

/// What one node said.
#[derive(Debug)]
struct Entry {
    peer: PeerName,
    since: Time,
    until: Time,
}

/// Who is there.
#[derive(Debug, Default)]
pub(super) struct Book {
    entries: BTreeMap<String, Entry>,
}

/// What a heartbeat changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// Somebody came, or has another address now.
    Came,
    /// It was there already.
    Stayed,
    /// It said good-bye, or was not there anyway.
    Went,
    /// There is no room for more.
    Full,
}

/// One peer, as the view for programs shows it. The id is not in it: whoever knows it can say good-bye in the name of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Shown {
    /// Where it can be reached.
    pub(super) address: String,
    /// How long it has been there, in seconds.
    pub(super) age_seconds: u64,
    /// How long its last word holds, in seconds.
    pub(super) expires_in_seconds: u64,
}

impl Book {
    /// Takes in a heartbeat.
    pub(super) fn note(&mut self, beat: Beat, now: Time) -> Noted {
        self.expire(now);
        if beat.holds.is_zero() {
            self.entries.remove(&beat.id);
            return Noted::Went;
        }
        let (until, full) = (now + beat.holds, self.entries.len() >= ENTRIES_MAX);
        match self.entries.get_mut(&beat.id) {
            Some(entry) if entry.peer == beat.peer => {
                entry.until = until;
                Noted::Stayed
            }
            None if full => Noted::Full,
            _ => {
                self.entries.insert(beat.id, Entry { peer: beat.peer, since: now, until });
                Noted::Came
            }
        }
    }

    /// Forgets what does not hold any more.
    pub(super) fn expire(&mut self, now: Time) {
        self.entries.retain(|_, entry| entry.until > now);
    }

    /// Everybody who is there, each address once.
    pub(super) fn peers(&mut self, now: Time) -> BTreeSet<&PeerName> {
        self.expire(now);
        self.entries.values().map(|entry| &entry.peer).collect()
    }

    /// The same in more words.
    pub(super) fn shown(&mut self, now: Time) -> Vec<Shown> {
        self.expire(now);
        let seconds = |span: Duration| span.as_secs() + u64::from(span.subsec_nanos() > 0);
        let shown = |entry: &Entry| Shown {
            address: entry.peer.to_string(),
            age_seconds: (now - entry.since).as_secs(),
            expires_in_seconds: seconds(entry.until - now),
        };
        self.entries.values().map(shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn beat(id: &str, peer: &str, seconds: u64) -> Beat {
        Beat { id: id.into(), peer: peer.parse().unwrap(), holds: Duration::from_secs(seconds) }
    }

    fn peers(book: &mut Book, now: Time) -> Vec<String> {
        book.peers(now).into_iter().map(ToString::to_string).collect()
    }

    #[test]
    fn whoever_falls_silent_is_not_listed_any_more() {
        let mut book = Book::default();
        assert_eq!(book.note(beat("1", "a", 10), at(0)), Noted::Came);
        assert_eq!(book.note(beat("2", "b", 10), at(5)), Noted::Came);
        assert_eq!(peers(&mut book, at(9)), ["a:10090", "b:10090"]);
        assert_eq!(book.note(beat("1", "a", 10), at(9)), Noted::Stayed);
        assert_eq!(peers(&mut book, at(18)), ["a:10090"]);
        assert_eq!(peers(&mut book, at(19)), Vec::<String>::new());
    }

    #[test]
    fn a_good_bye_holds_at_once() {
        let mut book = Book::default();
        book.note(beat("1", "a", 10), at(0));
        assert_eq!(book.note(beat("1", "a", 0), at(1)), Noted::Went);
        assert_eq!(book.note(beat("9", "x", 0), at(1)), Noted::Went);
        assert!(book.peers(at(1)).is_empty());
    }

    #[test]
    fn a_node_that_moves_is_listed_where_it_is_and_two_runs_at_one_address_once() {
        let mut book = Book::default();
        book.note(beat("1", "a", 10), at(0));
        assert_eq!(book.note(beat("1", "b", 10), at(1)), Noted::Came);
        book.note(beat("2", "b", 20), at(2));
        assert_eq!(peers(&mut book, at(3)), ["b:10090"]);
        assert_eq!(peers(&mut book, at(15)), ["b:10090"], "the earlier run fell silent, the later one did not");
    }

    #[test]
    fn a_full_book_takes_nobody_else_until_somebody_is_gone() {
        let mut book = Book::default();
        for n in 0..ENTRIES_MAX {
            assert_eq!(book.note(beat(&n.to_string(), "a", 10), at(0)), Noted::Came);
        }
        assert_eq!(book.note(beat("more", "a", 10), at(0)), Noted::Full);
        assert_eq!(book.note(beat("7", "a", 10), at(0)), Noted::Stayed, "whoever is there may stay");
        assert_eq!(book.note(beat("more", "a", 10), at(10)), Noted::Came);
    }

    #[test]
    fn the_view_for_programs_shows_times_and_no_ids() {
        let mut book = Book::default();
        book.note(beat("secret", "a", 10), at(5));
        let shown = serde_json::to_string(&book.shown(at(8))).unwrap();
        assert_eq!(shown, r#"[{"address":"a:10090","age_seconds":3,"expires_in_seconds":7}]"#);
    }
}
