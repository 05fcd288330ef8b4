//! A list of peers as text: what a URL answers, what a file holds.
//!
//! The format is p2pcp's: peers separated by commas. Lists written by hand have one a line, and comments; both are read, because a
//! fleet should not have to care. A list is made by somebody else, so a slip in it must not cost more than the entry that it is in:
//! what cannot be read is named with its place, and the rest counts.
//!
//! Invariant: pure; every entry that names a peer is in the result, once, and no more than [`ENTRIES_MAX`] of them.
//!
//! Not here: where the text comes from (`poll`), and saying a fault only once (`node`).

use std::collections::BTreeSet;

use super::name::{PeerName, PeerNameError};

/// The longest text of a list, in bytes (1 MiB: ten thousand of the longest usual entries, and nothing beside a node's memory).
pub(super) const TEXT_LEN_MAX: usize = 1 << 20;
/// The most peers that are taken of one list (10,000: ten times the largest fleet that was simulated).
pub const ENTRIES_MAX: usize = 10_000;
/// Faults that are told of one list; the rest is counted (3: enough to see whether it is one slip or no list at all).
const FAULTS_TOLD: usize = 3;
/// Characters that are told of an entry (80: the longest is a whole answer that has no comma).
const ENTRY_TOLD: usize = 80;

/// What a list holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The peers, each once.
    pub peers: BTreeSet<PeerName>,
    /// What could not be used of it, in words for the user.
    pub faults: Vec<String>,
}

/// Text that names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it holds no peer; {first}")]
pub struct NoPeerError {
    /// The first thing in it that is none.
    first: String,
}

impl Listing {
    /// Reads a list.
    ///
    /// # Errors
    /// [`NoPeerError`] when there is text and no peer in it: that is another text than a list, such as an error's page. An empty text is
    /// a list without peers.
    pub(super) fn parse(text: &str) -> Result<Self, NoPeerError> {
        let (mut listing, mut unreadable, mut excess) = (Self::default(), 0, 0);
        for (place, entry) in entries(text) {
            match parse_entry(entry) {
                Ok(peer) if listing.peers.len() < ENTRIES_MAX || listing.peers.contains(&peer) => {
                    listing.peers.insert(peer);
                }
                Ok(_) => excess += 1,
                Err(error) => {
                    unreadable += 1;
                    if unreadable <= FAULTS_TOLD {
                        listing.faults.push(format!("{place}: {error}"));
                    }
                }
            }
        }
        if listing.peers.is_empty() && !listing.faults.is_empty() {
            return Err(NoPeerError { first: listing.faults.swap_remove(0) });
        }
        if unreadable > FAULTS_TOLD {
            listing.faults.push(format!("{} more entries cannot be read", unreadable - FAULTS_TOLD));
        }
        if excess > 0 {
            listing.faults.push(format!("only the first {ENTRIES_MAX} peers are used, {excess} entries are not"));
        }
        Ok(listing)
    }
}

/// The entries of a text, each with its place. Empty ones name nobody and are nothing to complain about.
fn entries(text: &str) -> impl Iterator<Item = (String, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.split(['\n', '\r']).zip(1..).filter(|(line, _)| !line.trim_start().starts_with('#'));
    let fields = lines.flat_map(|(line, number)| {
        line.split(',').zip(1..).map(move |(field, at)| (format!("line {number}, entry {at}"), field))
    });
    fields.map(|(place, field)| (place, unquoted(field.trim()))).filter(|(_, field)| !field.is_empty())
}

/// A field without the quotation marks that writers of CSV may put around it.
fn unquoted(field: &str) -> &str {
    let inner = field.strip_prefix('"').and_then(|field| field.strip_suffix('"'));
    inner.map_or(field, str::trim)
}

/// One entry, cut short when it is long, so that what is told of it can be read.
fn parse_entry(entry: &str) -> Result<PeerName, PeerNameError> {
    let parsed = entry.parse();
    match (parsed, entry.char_indices().nth(ENTRY_TOLD)) {
        (Err(_), Some((end, _))) => format!("{}...", &entry[..end]).parse(),
        (parsed, _) => parsed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn peers(text: &str) -> Vec<String> {
        Listing::parse(text).unwrap().peers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn commas_and_lines_separate_peers() {
        assert_eq!(peers("10.0.0.1,seed:7"), ["10.0.0.1:10090", "seed:7"]);
        assert_eq!(peers("\u{feff}a:1\r\nb:2,\n\n# c:3, d:4\n  e:5 , \"f:6\",\n"), ["a:1", "b:2", "e:5", "f:6"]);
        assert_eq!(peers("http://a:1/,a:1,A:1"), ["a:1"], "the same peer is there once");
    }

    #[test]
    fn an_empty_text_is_a_list_without_peers() {
        for text in ["", "\n", " , ,\r\n", "# nobody yet\n"] {
            assert_eq!(Listing::parse(text), Ok(Listing::default()), "{text:?}");
        }
    }

    /// p2pcp threw the whole answer away for one entry that it could not read.
    #[test]
    fn one_bad_entry_costs_itself_and_is_named_with_its_place() {
        let listing = Listing::parse("a:1,b:2\nc:3,d:x,e:5\n").unwrap();
        assert_eq!(listing.peers.len(), 4);
        assert_eq!(listing.faults, ["line 2, entry 2: peer \"d:x\" has an invalid port \"x\"; ports are 1 to 65535"]);
    }

    #[test]
    fn many_bad_entries_are_counted() {
        let listing = Listing::parse(&format!("a:1,{}", "b:x,".repeat(50))).unwrap();
        assert_eq!(listing.faults.len(), 4);
        assert_eq!(listing.faults[3], "47 more entries cannot be read");
    }

    #[test]
    fn a_page_about_an_error_is_no_list() {
        let error = Listing::parse("<html>\n<body>It did not work</body>\n</html>").unwrap_err().to_string();
        assert!(error.starts_with("it holds no peer; line 1, entry 1: peer \"<html>\""), "{error}");
        let error = Listing::parse(&"\u{7}ü".repeat(100_000)).unwrap_err().to_string();
        assert!(error.len() < 1000 && !error.contains('\u{7}'), "{error}");
    }

    #[test]
    fn a_list_without_end_is_cut() {
        let text: String = (0..ENTRIES_MAX + 5).map(|n| format!("n{n}:1,")).collect();
        let listing = Listing::parse(&text).unwrap();
        assert_eq!(listing.peers.len(), ENTRIES_MAX);
        assert_eq!(listing.faults, ["only the first 10000 peers are used, 5 entries are not"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z0-9:.,\"#\\[\\]\n é]{0,120}") {
            if let Ok(listing) = Listing::parse(&text) {
                prop_assert!(listing.faults.len() <= FAULTS_TOLD + 2);
            }
        }
    }
}
