//! Connect: from an address to a neighbour, and from a neighbour to nothing.
//!
//! Invariant: whoever becomes a neighbour has shown a certificate of the swarm, said hello, is not ourselves and not there twice.
//!
//! Not here: TLS (`identity`), streams (`net::link`), which addresses are due (`candidates`).

use std::net::SocketAddr;
use std::time::Duration;

use quinn::{ConnectionError, Incoming};

use super::Node;
use super::candidates::Origin;
use super::content::OUR_INDEX;
use super::event::Event;
use super::links::{ACCEPT_MAX, Admission, Link};
use super::neighbourhood::Occasion;
use super::pulse::Pulse;
use super::report::Report;
use crate::identity::{Failure, Role, identity_of};
use crate::net::{Greeted, LinkError, dial, greet, link, remote_address};
use crate::swarm::{Input, SourceId};
use crate::wire::{Hello, List, Message, Offer, Reason, Reject, Text, VERSION, Wants};

/// Handshakes in progress beyond which a newcomer must first prove its address (32: more than any swarm's honest rush per node).
const UNPROVEN_HANDSHAKES: usize = 32;
/// Handshakes in progress beyond which newcomers are refused and try again later (256: a second of one core).
const HANDSHAKES_MAX: usize = 256;
/// A leecher to which nothing came for so long looks for more neighbours than usual (10 s: a third of the patience of a transfer, and as
/// long as a dead neighbour can hold up a chunk).
const STARVING_AFTER: Duration = Duration::from_secs(10);
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
            None => (Vec::new(), self.wants()),
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

    /// Whether chunks are missing and none came for a while.
    pub(super) fn is_starving(&self) -> bool {
        let incomplete = self.content.as_ref().is_some_and(|content| !content.swarm.is_complete());
        incomplete && self.clock.now() - self.last_progress > STARVING_AFTER
    }

    /// Parts with a neighbour that has nothing for us, when nobody has and there are others to try.
    pub(super) fn replace_if_starving(&mut self) {
        if !self.is_starving() || self.links.len() < ACCEPT_MAX || !self.candidates.has_untried() {
            return;
        }
        self.make_room(Occasion::Starving);
    }

    /// Parts with the neighbour that we can do without best, if with any.
    fn make_room(&mut self, occasion: Occasion) -> bool {
        let (standings, now) = (self.standings(), self.clock.now());
        let Some(source) = self.turnover.choose(&standings, occasion, now) else { return false };
        let address = self.links.link(source).map(|link| link.address);
        self.drop_link(source, Reason::TooMany, "its place was needed for another neighbour");
        if let Some(address) = address {
            self.candidates.turned_away(address, now, &mut self.rng);
        }
        true
    }

    /// What a newcomer would do here.
    fn occasion_of(&self, hello: &Hello) -> Occasion {
        let ours = self.content.as_ref().map(super::content::Content::id);
        let complete = hello.contents.iter().any(|offer| Some(offer.id) == ours && offer.complete);
        if complete || hello.publisher || hello.wants == Wants::Nothing { Occasion::Visitor } else { Occasion::Needy }
    }

    /// Dials as many due addresses as neighbours are wanted.
    pub(super) fn dial_due(&mut self) {
        let room = self.room_to_dial();
        if room.all == 0 {
            return;
        }
        for (address, origin) in self.candidates.dial(room, self.clock.now(), &mut self.rng) {
            self.dials.begin(address, origin, self.clock.now());
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
        // A machine may stand in its own list, and the other end of such a connection says so.
        let ourselves = matches!(error, LinkError::Connection(lost) if ended_for(Some(lost), Reason::SelfConnect));
        if !first || ourselves {
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
        if let Some(older) = self.links.predecessor(greeted.hello.peer, remote) {
            self.drop_link(older, Reason::Gone, "it was started again");
        }
        let (crowded, full) = self.room_for(&greeted.hello.zone);
        match self.links.admit(self.peer, greeted.hello.peer, greeted.dialled, full) {
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
            Admission::Full if crowded && self.make_room(self.occasion_of(&greeted.hello)) => {}
            Admission::Full => {
                // Whoever finds no room here learns where else to ask.
                let elsewhere = self.addresses_for(address, None);
                tokio::spawn(link::turn_away(greeted, elsewhere));
                return;
            }
        }
        self.candidates.add(address, Origin::Gossip, now);
        self.candidates.place(address, self.is_far(&greeted.hello.zone));
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
        if role == Role::Observer {
            let text = "an observer's certificate allows neither fetching nor serving";
            self.candidates.bar(address, self.clock.now());
            self.report_refused(address, text.to_owned());
            return link::close(&greeted.connection, Reason::NotAuthorised, text);
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
                pulse: Pulse::new(self.clock.now()),
                delivery: crate::net::Delivery::default(),
            },
        );
        let peers = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        self.peers_seen += 1;
        tracing::info!(%address, %identity, ?role, dialled, "neighbour gained");
        self.reports.send(Report::Joined { address, identity, publisher, peers });
        self.tell_addresses(source);
        self.changes.came(source);
        self.introduce(source);
    }

    /// A link is over.
    pub(super) fn on_closed(&mut self, source: SourceId, reason: &str) {
        let Some(link) = self.links.remove(source) else { return };
        self.totals.end(source);
        let (end, now) = (link.connection.close_reason(), self.clock.now());
        for address in link.aliases.iter().chain([&link.address]) {
            if ended_for(end.as_ref(), Reason::TooMany) {
                self.candidates.turned_away(*address, now, &mut self.rng);
            } else {
                self.candidates.failed(*address, now, &mut self.rng);
            }
        }
        if has_left(end.as_ref()) {
            self.changes.went(source, link.address);
        }
        if let Some(content) = &mut self.content {
            content.requests.retain(|_, request| request.source != source);
            content.sending.retain(|_, to| *to != source);
            content.fetching.retain(|(from, _), _| *from != source);
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

    /// A neighbour leaves the swarm.
    pub(super) fn on_bye(&mut self, source: SourceId, reason: Reason) {
        let Some(address) = self.links.link(source).map(|link| link.address) else { return };
        self.drop_link(source, Reason::Gone, &format!("it leaves: {reason}"));
        self.changes.went(source, address);
    }

    /// A neighbour says why it does not want us; unless it follows another content, it ends the link itself.
    pub(super) fn on_rejected(&mut self, source: SourceId, reject: &Reject) {
        tracing::info!(?source, reason = %reject.reason, "a neighbour rejects us");
        if reject.reason == Reason::OtherContent {
            self.part_for_content(source, "it follows another content");
        }
    }

    /// Tells a neighbour that it follows another content, and drops it; nobody else is concerned.
    pub(super) fn refuse_other_content(&mut self, source: SourceId) {
        let Some(link) = self.links.link(source) else { return };
        let content = self.content.as_ref().map(super::content::Content::id);
        let text = Text::lossy("this node follows another content");
        link.tell(&Message::Reject(Reject { content, reason: Reason::OtherContent, text }));
        tracing::info!(address = %link.address, "a neighbour follows another content");
        self.report_refused(link.address, "it follows another content".to_owned());
        self.part_for_content(source, "this node follows another content");
    }

    /// Ends a link to somebody who follows another content. As long as both of us do, knocking again is of no use, and costs a place among
    /// those that are dialled; while we have no content, the other side may soon have the one that we look for.
    fn part_for_content(&mut self, source: SourceId, text: &str) {
        let Some(link) = self.links.link(source) else { return };
        let addresses: Vec<SocketAddr> = link.aliases.iter().copied().chain([link.address]).collect();
        self.follows_another = Some(link.address);
        self.drop_link(source, Reason::OtherContent, text);
        if self.content.is_some() {
            let now = self.clock.now();
            addresses.into_iter().for_each(|address| self.candidates.put_off(address, now, &mut self.rng));
        }
    }
}

/// Whether the other side ended a connection for this reason.
fn ended_for(end: Option<&ConnectionError>, reason: Reason) -> bool {
    matches!(end, Some(ConnectionError::ApplicationClosed(close)) if close.error_code == u32::from(reason.code()).into())
}

/// Whether a connection ended with the other side, as far as that can be known: not when one of the two only parted with the other.
fn has_left(end: Option<&ConnectionError>) -> bool {
    let gone = [Reason::Gone, Reason::Complete, Reason::Stopped].map(|reason| u32::from(reason.code()).into());
    match end {
        Some(ConnectionError::TimedOut | ConnectionError::Reset) => true,
        Some(ConnectionError::ApplicationClosed(close)) => gone.contains(&close.error_code),
        _ => false,
    }
}

/// Where somebody who dialled us can be dialled.
fn listening_address(mut remote: SocketAddr, port: u16) -> SocketAddr {
    remote.set_port(port);
    remote
}
