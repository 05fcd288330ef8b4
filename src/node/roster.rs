//! Roster: which peers the user's lists name at this moment, and the addresses behind each name.
//!
//! Two lists make it: the one on the command line, which stays, and the one that is asked for again and again. Several names may lead to
//! one address, and one name to several, so an address is on the lists as long as any name leads there. A look-up that fails says nothing
//! about who is there: the addresses of the last good one stand.
//!
//! Invariant: pure; an address is reported as gone once, and only when no name that is listed leads to it.
//!
//! Not here: asking for lists and names (`lookout`), dialling (`candidates`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::discovery::PeerName;

/// One name.
#[derive(Debug, Default)]
struct Entry {
    /// It stands on the command line.
    fixed: bool,
    /// It stands on the list that changes.
    listed: bool,
    /// It was looked up, or could not be.
    known: bool,
    addresses: BTreeSet<SocketAddr>,
}

/// Everybody who is listed.
#[derive(Debug, Default)]
pub(super) struct Roster {
    names: BTreeMap<PeerName, Entry>,
    /// Whether the list that changes was asked for, with whatever result. True when there is none.
    asked: bool,
    /// There is a list that changes.
    changes: bool,
}

/// What a list changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Names that the list has now and had not before.
    pub(super) added: Vec<PeerName>,
    /// Names that it had before.
    pub(super) removed: Vec<PeerName>,
    /// Names to look up from now on.
    pub(super) begun: Vec<PeerName>,
    /// Names not to look up any more.
    pub(super) ended: Vec<PeerName>,
    /// Addresses that no name leads to any more.
    pub(super) gone: Vec<SocketAddr>,
}

impl Roster {
    /// With these names on the command line, and a list that changes or none.
    pub(super) fn new(fixed: impl IntoIterator<Item = PeerName>, changes: bool) -> Self {
        let entry = |name| (name, Entry { fixed: true, ..Entry::default() });
        Self { names: fixed.into_iter().map(entry).collect(), asked: !changes, changes }
    }

    /// Whether nobody is listed and nobody will be.
    pub(super) fn is_empty(&self) -> bool {
        !self.changes && self.names.is_empty()
    }

    /// Whether every list was asked for and every name on them was looked up, as far as it can be.
    pub(super) fn is_known(&self) -> bool {
        self.asked && self.names.values().all(|entry| entry.known)
    }

    /// Names on the list that changes.
    pub(super) fn listed(&self) -> usize {
        self.names.values().filter(|entry| entry.listed).count()
    }

    /// The list that changes holds these names now.
    pub(super) fn take(&mut self, listed: &BTreeSet<PeerName>) -> Change {
        self.asked = true;
        let mut change = Change::default();
        for name in listed {
            let begun = !self.names.contains_key(name);
            let entry = self.names.entry(name.clone()).or_default();
            if begun {
                change.begun.push(name.clone());
            }
            if !std::mem::replace(&mut entry.listed, true) {
                change.added.push(name.clone());
            }
        }
        let mut left = BTreeSet::new();
        self.names.retain(|name, entry| {
            if !entry.listed || listed.contains(name) {
                return true;
            }
            entry.listed = false;
            change.removed.push(name.clone());
            if !entry.fixed {
                change.ended.push(name.clone());
                left.append(&mut entry.addresses);
            }
            entry.fixed
        });
        change.gone = self.without_name(left);
        change
    }

    /// The list that changes could not be had.
    pub(super) fn failed_to_ask(&mut self) {
        self.asked = true;
    }

    /// A name leads to these addresses now. Returns addresses that no name leads to any more, or nothing for a name that is not listed.
    pub(super) fn resolved(&mut self, name: &PeerName, found: &[SocketAddr]) -> Option<Vec<SocketAddr>> {
        let entry = self.names.get_mut(name)?;
        entry.known = true;
        let found: BTreeSet<SocketAddr> = found.iter().copied().collect();
        let left = &entry.addresses - &found;
        entry.addresses = found;
        Some(self.without_name(left))
    }

    /// A name could not be looked up.
    pub(super) fn unresolved(&mut self, name: &PeerName) {
        if let Some(entry) = self.names.get_mut(name) {
            entry.known = true;
        }
    }

    /// Those of these addresses that no name leads to.
    fn without_name(&self, addresses: BTreeSet<SocketAddr>) -> Vec<SocketAddr> {
        // The usual case, for each of ten thousand names when a list comes: no walk over all of them.
        if addresses.is_empty() {
            return Vec::new();
        }
        let listed: BTreeSet<&SocketAddr> = self.names.values().flat_map(|entry| &entry.addresses).collect();
        addresses.into_iter().filter(|address| !listed.contains(address)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> BTreeSet<PeerName> {
        text.split_whitespace().map(|name| name.parse().unwrap()).collect()
    }

    fn list(text: &str) -> Vec<PeerName> {
        names(text).into_iter().collect()
    }

    fn address(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 10090))
    }

    #[test]
    fn a_list_that_changes_adds_and_removes_names() {
        let mut roster = Roster::new(list("fixed both"), true);
        let change = roster.take(&names("both a b"));
        assert_eq!((change.added, change.begun), (list("both a b"), list("a b")));
        let change = roster.take(&names("b c"));
        assert_eq!((change.added, change.begun), (list("c"), list("c")));
        assert_eq!((change.removed, change.ended), (list("a both"), list("a")), "what is on the command line stays");
        assert_eq!(roster.take(&names("b c")), Change::default());
        assert_eq!(roster.listed(), 2);
    }

    #[test]
    fn an_address_is_gone_when_its_last_name_is() {
        let mut roster = Roster::new(list("fixed"), true);
        roster.take(&names("a b"));
        let fixed = roster.resolved(&list("fixed")[0], &[address(1)]);
        assert_eq!(fixed, Some(vec![]));
        roster.resolved(&list("a")[0], &[address(1), address(2), address(3)]);
        roster.resolved(&list("b")[0], &[address(2)]);
        assert_eq!(roster.take(&names("b")).gone, [address(3)]);
        assert_eq!(roster.take(&names("")).gone, [address(2)]);
        assert_eq!(roster.resolved(&list("a")[0], &[address(4)]), None, "a late answer about a name that is gone");
    }

    #[test]
    fn a_name_that_leads_elsewhere_leaves_its_old_address_behind() {
        let mut roster = Roster::new(list("a"), false);
        roster.resolved(&list("a")[0], &[address(1), address(2)]);
        roster.unresolved(&list("a")[0]);
        assert_eq!(roster.resolved(&list("a")[0], &[address(2), address(3)]), Some(vec![address(1)]));
    }

    #[test]
    fn all_is_known_when_every_list_and_every_name_was_asked_about() {
        let mut roster = Roster::new(list("a"), true);
        assert!(!roster.is_known() && !roster.is_empty());
        roster.resolved(&list("a")[0], &[address(1)]);
        assert!(!roster.is_known(), "the list was not asked for");
        roster.take(&names("b"));
        assert!(!roster.is_known(), "b was not looked up");
        roster.unresolved(&list("b")[0]);
        assert!(roster.is_known());
        assert!(Roster::new([], false).is_known() && Roster::new([], false).is_empty());
    }
}
