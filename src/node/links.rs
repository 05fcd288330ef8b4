//! The neighbours of a node: who they are, what was agreed with them, and which of two connections to the same peer stays.
//!
//! Invariant: no two links have the same peer id, and none has ours.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::pulse::Pulse;
use crate::bitfield::Bitfield;
use crate::identity::Identity;
use crate::net::{ControlSender, Delivery, remote_address};
use crate::swarm::SourceId;
use crate::wire::limits::OFFERS_MAX;
use crate::wire::{ContentIndex, Hello, Message, Offer, PeerId, Reason};

/// Neighbours that a node dials for: enough for rarest-first to work (ten is best, and others dial us too).
pub(super) const DIAL_TARGET: usize = 8;
/// Neighbours that a leecher or seeder accepts: more active ones cost two to five percent of the makespan.
pub(super) const ACCEPT_MAX: usize = 12;
/// Neighbours that a publisher accepts: below 16 its uplink idles in a large swarm.
pub(super) const ACCEPT_MAX_PUBLISHER: usize = 32;
/// Addresses remembered of one neighbour: a machine has few, and a list may name it by each.
const ALIASES_MAX: usize = 16;

/// One neighbour.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) connection: quinn::Connection,
    pub(super) control: ControlSender,
    pub(super) hello: Hello,
    pub(super) identity: Identity,
    /// Where others may dial it: its address here, with the port that it listens on.
    pub(super) address: SocketAddr,
    /// Other addresses that led to the same peer: no use to dial them while it is a neighbour.
    pub(super) aliases: Vec<SocketAddr>,
    /// Whether we dialled it.
    pub(super) dialled: bool,
    /// The contents that it offers.
    pub(super) offers: Vec<Offer>,
    /// The index under which it speaks of our content, once it offered it.
    pub(super) theirs: Option<ContentIndex>,
    /// Whether it takes part in the swarm of our content.
    pub(super) joined: bool,
    /// Chunks whose proof it has from us, or we from it.
    pub(super) told: Option<Bitfield>,
    /// Whether it is alive and of use.
    pub(super) pulse: Pulse,
    /// How quickly its chunks come.
    pub(super) delivery: Delivery,
}

impl Link {
    /// Sends a control message; a neighbour that takes none any more is cut off, and its link reports the end.
    pub(super) fn tell(&self, message: &Message) {
        if !self.control.send(message) {
            crate::net::close(&self.connection, Reason::Protocol, "control messages are not read");
        }
    }

    /// Notes that `address` leads to this neighbour too; false when there are too many to remember.
    pub(super) fn add_alias(&mut self, address: SocketAddr) -> bool {
        let known = self.address == address || self.aliases.contains(&address);
        let remembered = known || self.aliases.len() < ALIASES_MAX;
        if remembered && !known {
            self.aliases.push(address);
        }
        remembered
    }

    /// Notes what the neighbour offers in addition; an index or a content that it named before has a new meaning now.
    pub(super) fn add_offers(&mut self, offers: Vec<Offer>) {
        self.offers.retain(|old| offers.iter().all(|new| new.index != old.index && new.id != old.id));
        self.offers.extend(offers);
        // Whoever offers more than fits in a message has forgotten its oldest.
        self.offers.drain(..self.offers.len().saturating_sub(OFFERS_MAX));
    }

    /// Notes that the neighbour has the proof of these chunks.
    pub(super) fn mark_told(&mut self, set: &Bitfield, indices: impl Iterator<Item = u32>) {
        let layout = set.layout();
        let told = self.told.get_or_insert_with(|| Bitfield::none(layout));
        for chunk in indices.filter_map(|index| layout.chunk(index)) {
            told.insert(chunk);
        }
    }
}

/// All neighbours, by the name that the swarm knows them by.
#[derive(Debug, Default)]
pub(super) struct Links {
    by_source: BTreeMap<SourceId, Link>,
}

/// What to do with a new connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Keep it.
    Keep,
    /// Keep it and drop the older one to the same peer.
    Replace(SourceId),
    /// It leads to ourselves.
    OurSelf,
    /// This older connection to the same peer stays.
    Duplicate(SourceId),
    /// We have as many as we want.
    Full,
}

impl Links {
    /// Decides about a connection to `theirs` that we `dialled` or accepted, when all places are taken or not.
    ///
    /// Of two simultaneous connections the one dialled by the smaller peer id stays; both sides see the same two, so both
    /// decide alike.
    pub(super) fn admit(&self, ours: PeerId, theirs: PeerId, dialled: bool, full: bool) -> Admission {
        if ours == theirs {
            return Admission::OurSelf;
        }
        if let Some((source, older)) = self.iter().find(|(_, link)| link.hello.peer == theirs) {
            return if older.dialled != dialled && dialled == (ours < theirs) {
                Admission::Replace(source)
            } else {
                Admission::Duplicate(source)
            };
        }
        if !dialled && full { Admission::Full } else { Admission::Keep }
    }

    /// The neighbour whose place a peer takes that calls itself `theirs` and sends from `remote`: a port belongs to one process, so
    /// another peer there before it is its earlier run.
    pub(super) fn predecessor(&self, theirs: PeerId, remote: SocketAddr) -> Option<SourceId> {
        let same_port = |link: &Link| link.hello.peer != theirs && remote_address(&link.connection) == remote;
        self.iter().find(|(_, link)| same_port(link)).map(|(source, _)| source)
    }

    pub(super) fn insert(&mut self, source: SourceId, link: Link) {
        self.by_source.insert(source, link);
    }

    pub(super) fn remove(&mut self, source: SourceId) -> Option<Link> {
        self.by_source.remove(&source)
    }

    pub(super) fn link(&self, source: SourceId) -> Option<&Link> {
        self.by_source.get(&source)
    }

    pub(super) fn link_mut(&mut self, source: SourceId) -> Option<&mut Link> {
        self.by_source.get_mut(&source)
    }

    pub(super) fn len(&self) -> usize {
        self.by_source.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SourceId, &Link)> {
        self.by_source.iter().map(|(source, link)| (*source, link))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (SourceId, &mut Link)> {
        self.by_source.iter_mut().map(|(source, link)| (*source, link))
    }

    /// The neighbours that take part in our content's swarm.
    pub(super) fn joined_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.by_source.values_mut().filter(|link| link.joined)
    }

    pub(super) fn sources(&self) -> Vec<SourceId> {
        self.by_source.keys().copied().collect()
    }
}
