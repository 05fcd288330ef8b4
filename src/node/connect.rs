//! Connect: from an address to a neighbour, and from a neighbour to nothing.
//!
//! Invariant: whoever becomes a neighbour has shown a certificate of the swarm, said hello, is not ourselves and not there twice.
//!
//! Not here: TLS (`identity`), streams (`net::link`), which addresses are due (`candidates`).

use std::net::SocketAddr;

use quinn::Incoming;

use super::Node;
use super::candidates::Origin;
use super::content::OUR_INDEX;
use super::event::Event;
use super::links::{ACCEPT_MAX, ACCEPT_MAX_PUBLISHER, Admission, Link};
use super::report::Report;
use crate::discovery::ResolveError;
use crate::identity::{Failure, Role, identity_of};
use crate::net::{Greeted, LinkError, dial, greet, link, remote_address};
use crate::swarm::{Input, SourceId};
use crate::wire::{Hello, List, Message, Offer, PeerAddr, Peers, Reason, Reject, Text, VERSION, Wants};

/// Handshakes in progress beyond which a newcomer must first prove its address (32: more than any swarm's honest rush per node).
const UNPROVEN_HANDSHAKES: usize = 32;
/// Handshakes in progress beyond which newcomers are refused and try again later (256: a second of one core).
const HANDSHAKES_MAX: usize = 256;
/// Machines that were complained about are forgotten beyond this number, since addresses can be made up.
const COMPLAINED_MAX: usize = 4096;

impl Node {
    /// What we say of ourselves now.
    fn hello(&self) -> Hello {
        let (contents, wants) = match &self.content {
            Some(content) => {
                let offer = Offer { index: OUR_INDEX, id: content.id(), complete: content.swarm.is_complete() };
                (vec![offer], Wants::Id(content.id()))
            }
            None => (Vec::new(), Wants::Any),
        };
        Hello {
            version: VERSION,
            peer: self.peer,
            listen_port: self.listen.port(),
            zone: Text::lossy(self.config.zone.as_deref().unwrap_or_default()),
            publisher: self.content.as_ref().is_some_and(super::content::Content::redirects),
            agent: Text::lossy(concat!("strew/", env!("CARGO_PKG_VERSION"))),
            contents: List::split(contents).next().unwrap_or_default(),
            wants,
        }
    }

    /// A name of the peer list was looked up, or not; it is looked up again after a while either way.
    pub(super) fn on_resolved(&mut self, name: &str, outcome: Result<Vec<SocketAddr>, ResolveError>) {
        match outcome {
            Ok(addresses) => {
                for address in addresses {
                    self.candidates.add(address, Origin::Listed, self.clock.now());
                }
            }
            Err(error) => {
                // The error names the peer itself.
                if self.unresolved.insert(name.to_owned()) {
                    self.reports.send(Report::Warning(error.to_string()));
                }
                self.last_failure = Some(error.to_string());
            }
        }
    }

    /// How many addresses may be dialled now.
    pub(super) fn neighbours_wanted(&self) -> usize {
        self.dials.room(self.links.len(), self.clock.now())
    }

    /// Dials as many due addresses as neighbours are wanted.
    pub(super) fn dial_due(&mut self) {
        let wanted = self.neighbours_wanted();
        if wanted == 0 {
            return;
        }
        for address in self.candidates.dial(wanted, self.clock.now(), &mut self.rng) {
            self.dials.begin(address, self.clock.now());
            let (endpoint, hello, events) = (self.endpoint.clone(), self.hello(), self.events.clone());
            self.events.spawn(async move {
                let connect = async {
                    let connection = dial(&endpoint, address)?.await?;
                    greet(connection, true, &hello).await
                };
                match connect.await {
                    Ok(greeted) => events.send(Event::Greeted { greeted: Box::new(greeted), address: Some(address) }),
                    Err(error) => events.send(Event::NotGreeted { address, dialled: true, error }),
                }
            });
        }
    }

    /// Somebody knocks.
    pub(super) fn on_incoming(&mut self, incoming: Incoming) {
        let handshakes = self.endpoint.open_connections().saturating_sub(self.links.len() + self.dials.len());
        if handshakes >= HANDSHAKES_MAX {
            return incoming.refuse();
        }
        if handshakes >= UNPROVEN_HANDSHAKES && !incoming.remote_address_validated() && incoming.may_retry() {
            // Cannot fail: `may_retry` was asked.
            let _ = incoming.retry();
            return;
        }
        let address = incoming.remote_address();
        let (hello, events) = (self.hello(), self.events.clone());
        self.events.spawn(async move {
            let accept = async {
                let connection = incoming.accept()?.await?;
                greet(connection, false, &hello).await
            };
            match accept.await {
                Ok(greeted) => events.send(Event::Greeted { greeted: Box::new(greeted), address: None }),
                Err(error) => events.send(Event::NotGreeted { address, dialled: false, error }),
            }
        });
    }

    /// No neighbour came of a connection.
    pub(super) fn on_not_greeted(&mut self, address: SocketAddr, dialled: bool, error: &LinkError) {
        let mut refused = matches!(error, LinkError::Version(_));
        let text = match error {
            LinkError::Connection(lost) => {
                let failure = Failure::from(lost);
                self.refused_us |= dialled && failure.is_authentication();
                refused = failure.is_authentication();
                failure.to_string()
            }
            other => other.to_string(),
        };
        if dialled {
            self.dials.end(address);
            self.candidates.failed(address, self.clock.now(), &mut self.rng);
            self.last_failure = Some(format!("{address}: {text}"));
        }
        if self.complained.len() >= COMPLAINED_MAX {
            self.complained.clear();
        }
        let first = self.complained.insert(address.ip());
        if !first {
            return tracing::debug!(%address, dialled, "no connection: {text}");
        }
        tracing::warn!(%address, dialled, "no connection: {text}");
        if refused {
            self.report_refused(address, text);
        }
    }

    /// Tells that somebody does not take part.
    pub(super) fn report_refused(&self, address: SocketAddr, reason: String) {
        let peers = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        self.reports.send(Report::Refused { address, reason, peers });
    }

    /// Hellos are exchanged: keep the connection, or say why not.
    pub(super) fn on_greeted(&mut self, greeted: Greeted, dialled_address: Option<SocketAddr>) {
        let now = self.clock.now();
        if let Some(address) = dialled_address {
            self.dials.end(address);
        }
        let remote = remote_address(&greeted.connection);
        let address = dialled_address.unwrap_or_else(|| listening_address(remote, greeted.hello.listen_port));
        let publishes = self.content.as_ref().is_some_and(|content| content.press.is_some());
        let most = if publishes { ACCEPT_MAX_PUBLISHER } else { ACCEPT_MAX };
        match self.links.admit(self.peer, greeted.hello.peer, greeted.dialled, most) {
            Admission::Keep => {}
            Admission::Replace(older) => {
                self.drop_link(older, Reason::Duplicate, "a second connection to the same peer");
            }
            Admission::OurSelf => {
                link::close(&greeted.connection, Reason::SelfConnect, "this is ourselves");
                return self.candidates.bar(address, now);
            }
            Admission::Duplicate(older) => {
                link::close(&greeted.connection, Reason::Duplicate, "a second connection to the same peer");
                self.candidates.connected(address, now);
                if !self.links.link_mut(older).is_some_and(|link| link.add_alias(address)) {
                    self.candidates.failed(address, now, &mut self.rng);
                }
                return;
            }
            Admission::Full => {
                // Whoever finds no room here learns where else to ask.
                let elsewhere = self.addresses(None);
                tokio::spawn(link::turn_away(greeted, elsewhere));
                return;
            }
        }
        self.candidates.add(address, Origin::Gossip, now);
        self.candidates.connected(address, now);
        self.welcome(greeted, address);
    }

    /// Makes a neighbour of a connection.
    fn welcome(&mut self, mut greeted: Greeted, address: SocketAddr) {
        let source = SourceId(self.next_source);
        self.next_source += 1;
        let Some((identity, role)) = identity_of(&greeted.connection) else {
            return link::close(&greeted.connection, Reason::Protocol, "no certificate");
        };
        if self.bans.hold(identity, address) {
            self.candidates.bar(address, self.clock.now());
            self.report_refused(address, "it is banned for this run, because it sent bad chunks".to_owned());
            return link::close(&greeted.connection, Reason::BadChunks, "banned for this run");
        }
        // What it says of itself counts as far as its certificate goes.
        greeted.hello.publisher &= role == Role::Seed;
        let (connection, hello, dialled) = (greeted.connection.clone(), greeted.hello.clone(), greeted.dialled);
        let publisher = hello.publisher;
        let offers = hello.contents.to_vec();
        self.totals.begin(source, address.to_string());
        let control = link::start(greeted, source, self.link_events.clone());
        self.links.insert(
            source,
            Link {
                connection,
                control,
                hello,
                identity,
                address,
                aliases: Vec::new(),
                dialled,
                offers,
                theirs: None,
                joined: false,
                told: None,
            },
        );
        let peers = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        self.peers_seen += 1;
        tracing::info!(%address, %identity, ?role, dialled, "neighbour gained");
        self.reports.send(Report::Joined { address, identity, publisher, peers });
        if let Some(link) = self.links.link(source) {
            let others = self.addresses(Some(source));
            tell_peers(link, others);
        }
        self.newcomers.push(source);
        self.introduce(source);
    }

    /// Where our neighbours listen, `except` aside.
    fn addresses(&self, except: Option<SourceId>) -> Vec<PeerAddr> {
        let others = self.links.iter().filter(|(source, _)| Some(*source) != except);
        others.map(|(_, link)| peer_address(link)).collect()
    }

    /// Tells everybody about neighbours gained since the last time; called at most once a second.
    pub(super) fn spread_newcomers(&mut self) {
        let newcomers = std::mem::take(&mut self.newcomers);
        for (source, link) in self.links.iter() {
            let others = newcomers.iter().filter(|other| **other != source);
            tell_peers(link, others.filter_map(|other| self.links.link(*other)).map(peer_address));
        }
    }

    /// Neighbours named addresses: some may become neighbours.
    pub(super) fn on_peers(&mut self, source: SourceId, joined: &[PeerAddr]) {
        let Some(link) = self.links.link(source) else { return };
        let from_loopback = link.address.ip().to_canonical().is_loopback();
        let now = self.clock.now();
        for peer in joined.iter().filter(|peer| peer.peer != Some(self.peer)) {
            let address = SocketAddr::new(peer.addr.ip().to_canonical(), peer.addr.port());
            if is_dialable(address, from_loopback) {
                self.candidates.add(address, Origin::Gossip, now);
            }
        }
    }

    /// A link is over.
    pub(super) fn on_closed(&mut self, source: SourceId, reason: &str) {
        let Some(link) = self.links.remove(source) else { return };
        self.totals.end(source);
        for address in link.aliases.iter().chain([&link.address]) {
            self.candidates.failed(*address, self.clock.now(), &mut self.rng);
        }
        if let Some(content) = &mut self.content {
            content.requests.retain(|_, request| request.source != source);
            content.fetching.retain(|(from, _), _| *from != source);
            content.found.on_left(source);
        }
        if link.joined {
            self.tell_swarm(Input::Left { source });
        }
        let peers = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        tracing::info!(address = %link.address, identity = %link.identity, "neighbour lost: {reason}");
        self.reports.send(Report::Left { address: link.address, reason: reason.to_owned(), peers });
    }

    /// Ends a link from our side.
    pub(super) fn drop_link(&mut self, source: SourceId, reason: Reason, text: &str) {
        if let Some(link) = self.links.link(source) {
            link::close(&link.connection, reason, text);
            self.on_closed(source, text);
        }
    }

    /// A neighbour says why it does not want us; it ends the link itself.
    pub(super) fn on_rejected(&mut self, source: SourceId, reject: &Reject) {
        tracing::info!(?source, reason = %reject.reason, "a neighbour rejects us");
        if reject.reason == Reason::OtherContent {
            self.follows_another = self.links.link(source).map(|link| link.address).or(self.follows_another);
        }
    }

    /// Tells a neighbour that it follows another content, and drops it; nobody else is concerned.
    pub(super) fn refuse_other_content(&mut self, source: SourceId) {
        let Some(link) = self.links.link(source) else { return };
        let content = self.content.as_ref().map(super::content::Content::id);
        let text = Text::lossy("this node follows another content");
        link.tell(&Message::Reject(Reject { content, reason: Reason::OtherContent, text }));
        tracing::info!(address = %link.address, "a neighbour follows another content");
        self.follows_another = Some(link.address);
        self.report_refused(link.address, "it follows another content".to_owned());
        self.drop_link(source, Reason::OtherContent, "this node follows another content");
    }
}

/// Names peers to a neighbour, as many to a message as its cap allows.
fn tell_peers(link: &Link, peers: impl IntoIterator<Item = PeerAddr>) {
    for joined in List::split(peers) {
        link.tell(&Message::Peers(Peers { joined, left: List::default() }));
    }
}

/// How a neighbour is named to others.
fn peer_address(link: &Link) -> PeerAddr {
    PeerAddr { addr: link.address, peer: Some(link.hello.peer), zone: link.hello.zone.clone() }
}

/// Where somebody who dialled us can be dialled.
fn listening_address(remote: SocketAddr, port: u16) -> SocketAddr {
    SocketAddr::new(remote.ip(), port)
}

/// Whether an address from a neighbour may be dialled: never a special one, and loopback only for those who are there.
fn is_dialable(address: SocketAddr, from_loopback: bool) -> bool {
    let ip = address.ip();
    let link_local = match ip {
        std::net::IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        std::net::IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    address.port() != 0
        && !ip.is_unspecified()
        && !ip.is_multicast()
        && !link_local
        && (!ip.is_loopback() || from_loopback)
}
