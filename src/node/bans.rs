//! Bans: who has done wrong in this run, and who is not let in again.
//!
//! A peer that reconnects is a new source to the swarm, so what it did is remembered here. It is remembered by the identity of its
//! certificate, which it cannot change as easily as its address. A certificate that several peers share says nothing about one of them,
//! though: then the address counts at which the peer listens, so that one liar does not cost a fleet its swarm. Such a liar may come
//! back from another address, and is found out there again.
//!
//! Invariant: an identity that is known to be shared is never banned.
//!
//! Not here: what is wrong (the swarm, `blame`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::identity::Identity;

/// Bad chunks from one peer that are too many, whether over one connection or over several: one may come from a bad disk.
const BAD_MAX: u32 = 2;
/// Times that a peer may send what nobody vouches for: a proof may be lost once by chance, and the next connection brings it anew.
const UNPROVEN_MAX: u32 = 3;
/// Wrongdoers that are remembered, since identities and addresses can be made up; beyond that all but the banned are forgiven.
const REMEMBERED_MAX: usize = 4096;

/// Whom a wrong is remembered of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Offender {
    /// The holder of a certificate of its own.
    Identity(Identity),
    /// Whoever listens there, and shares its certificate with others.
    Address(SocketAddr),
}

/// What a peer did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wrong {
    /// It sent a chunk that does not match its signed digest.
    Bad,
    /// It sent a chunk that nobody vouches for, which it must not even say to have.
    Unproven,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Bans {
    wrongs: BTreeMap<(Offender, Wrong), u32>,
    banned: BTreeSet<Offender>,
}

impl Bans {
    /// Remembers a wrong; true when it is one too many.
    pub(super) fn note(&mut self, offender: Offender, wrong: Wrong) -> bool {
        if self.wrongs.len() >= REMEMBERED_MAX {
            self.wrongs.clear();
        }
        let most = match wrong {
            Wrong::Bad => BAD_MAX,
            Wrong::Unproven => UNPROVEN_MAX,
        };
        let times = self.wrongs.entry((offender, wrong)).or_default();
        *times += 1;
        *times >= most
    }

    /// Bans for the rest of the run.
    pub(super) fn ban(&mut self, offender: Offender) {
        self.banned.insert(offender);
    }

    /// Whether this peer is banned.
    pub(super) fn hold(&self, identity: Identity, address: SocketAddr) -> bool {
        [Offender::Identity(identity), Offender::Address(address)].iter().any(|offender| self.banned.contains(offender))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Offender {
        Offender::Address(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    #[test]
    fn a_second_bad_chunk_and_a_third_unproven_one_are_too_many() {
        let mut bans = Bans::default();
        assert!(!bans.note(at(1), Wrong::Bad));
        assert!(!bans.note(at(2), Wrong::Bad), "another peer's wrongs are its own");
        assert!(!bans.note(at(1), Wrong::Unproven) && !bans.note(at(1), Wrong::Unproven));
        assert!(bans.note(at(1), Wrong::Bad) && bans.note(at(1), Wrong::Unproven));
    }

    #[test]
    fn made_up_wrongdoers_do_not_fill_the_memory() {
        let mut bans = Bans::default();
        (0..2 * REMEMBERED_MAX).for_each(|port| assert!(!bans.note(at(u16::try_from(port).unwrap()), Wrong::Bad)));
        assert!(bans.wrongs.len() <= REMEMBERED_MAX);
    }
}
