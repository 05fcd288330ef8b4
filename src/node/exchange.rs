//! Exchange: neighbours tell each other who else is there.
//!
//! All that we know once, when a neighbour comes; then who came and went, at most once a second. Whoever finds no room with us is
//! told where else to ask, so that a swarm of hundreds fills from a list with one address.
//!
//! Invariant: only addresses of neighbours are passed on, which were reached or came from there; never hearsay.
//!
//! Not here: which addresses are dialled (`addresses`, `candidates`).

use std::net::SocketAddr;

use super::Node;
use super::addresses::{canonical, dialable, is_worth_telling};
use super::candidates::Origin;
use super::links::Link;
use crate::swarm::SourceId;
use crate::wire::{List, Message, PeerAddr, Peers};

/// Neighbours that came and went and that the others have not heard of yet.
#[derive(Debug, Default)]
pub(super) struct Changes {
    came: Vec<SourceId>,
    went: Vec<SocketAddr>,
}

impl Changes {
    /// A neighbour came.
    pub(super) fn came(&mut self, source: SourceId) {
        self.came.push(source);
    }

    /// A neighbour that had been named left the swarm, as far as we can tell.
    pub(super) fn went(&mut self, source: SourceId, address: SocketAddr) {
        match self.came.iter().position(|came| *came == source) {
            Some(at) => drop(self.came.swap_remove(at)),
            None => self.went.push(address),
        }
    }
}

impl Node {
    /// Where our neighbours listen, as far as it is of use to somebody at `listener`.
    pub(super) fn addresses_for(&self, listener: SocketAddr, except: Option<SourceId>) -> Vec<PeerAddr> {
        let others = self.links.iter().filter(|(source, _)| Some(*source) != except).map(|(_, link)| link);
        others.filter(|link| is_worth_telling(link.address, listener)).map(peer_address).collect()
    }

    /// Tells a new neighbour who else is there.
    pub(super) fn tell_addresses(&self, source: SourceId) {
        let Some(link) = self.links.link(source) else { return };
        tell_peers(link, self.addresses_for(link.address, Some(source)), Vec::new());
    }

    /// Tells everybody who came and went since the last time; called at most once a second.
    pub(super) fn spread_changes(&mut self) {
        let Changes { came, went } = std::mem::take(&mut self.changes);
        if came.is_empty() && went.is_empty() {
            return;
        }
        for (source, link) in self.links.iter() {
            let others = came.iter().filter(|other| **other != source).filter_map(|other| self.links.link(*other));
            let joined = others.filter(|other| is_worth_telling(other.address, link.address)).map(peer_address);
            let left = went.iter().copied().filter(|address| is_worth_telling(*address, link.address)).collect();
            tell_peers(link, joined, left);
        }
    }

    /// A neighbour named addresses: some may become neighbours.
    pub(super) fn on_peers(&mut self, source: SourceId, peers: &Peers) {
        let Some(link) = self.links.link(source) else { return };
        let teller = link.address;
        let mut ours = vec![self.listen];
        ours.extend(link.connection.local_ip().map(|ip| SocketAddr::new(ip, self.listen.port())));
        let now = self.clock.now();
        for peer in peers.joined.iter().filter(|peer| peer.peer != Some(self.peer)) {
            if let Some(address) = dialable(peer.addr, teller, &ours) {
                self.candidates.add(address, Origin::Gossip, now);
                if !peer.zone.is_empty() {
                    self.candidates.place(address, self.is_far(&peer.zone));
                }
            }
        }
        for address in peers.left.iter() {
            self.candidates.left(canonical(*address), now, &mut self.rng);
        }
    }
}

/// Names peers to a neighbour, as many to a message as its cap allows.
fn tell_peers(link: &Link, joined: impl IntoIterator<Item = PeerAddr>, left: Vec<SocketAddr>) {
    let (mut joined, mut left) = (List::split(joined), List::split(left));
    loop {
        let (came, went) = (joined.next(), left.next());
        if came.is_none() && went.is_none() {
            return;
        }
        let peers = Peers { joined: came.unwrap_or_default(), left: went.unwrap_or_default() };
        link.tell(&Message::Peers(peers));
    }
}

/// How a neighbour is named to others.
fn peer_address(link: &Link) -> PeerAddr {
    PeerAddr { addr: link.address, peer: Some(link.hello.peer), zone: link.hello.zone.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_that_went_before_it_was_named_is_not_mentioned() {
        let [first, second] = [1, 2].map(|port| SocketAddr::from(([10, 0, 0, 1], port)));
        let mut changes = Changes::default();
        changes.came(SourceId(1));
        changes.came(SourceId(2));
        changes.went(SourceId(1), first);
        changes.went(SourceId(0), second);
        assert_eq!((changes.came, changes.went), (vec![SourceId(2)], vec![second]));
    }
}
