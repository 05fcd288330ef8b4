use std::net::Ipv4Addr;
use std::time::Instant;

use super::bans::Offender;
use super::candidates::Origin;
use super::content::Tree;
use super::links::{ACCEPT_MAX, DIAL_TARGET};
use super::zero::Zeros;
use super::*;
use crate::bitfield::Bitfield;
use crate::chunk::Layout;
use crate::identity::{KeyRing, SwarmKey, identity_of};
use crate::manifest::{ContentId, DatasetKey, Manifest, Proofs};
use crate::net::testing::{Pair, hello, pair, within};
use crate::net::{Greeted, greet};
use crate::swarm::trace::Beginning;
use crate::wire::{ContentIndex, Offer, Wants};

/// A node that pulls, as it is before it did anything.
fn node() -> (Node, Inbox) {
    let mut config = NodeConfig::new(Task::Pull { dst: "unused".into() });
    config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let credentials = Credentials::from_keys(&KeyRing::single(SwarmKey::from_bytes([7; 32]))).unwrap();
    Node::start(config, credentials, Reports::channel().0).unwrap()
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[tokio::test]
async fn a_due_address_wakes_nobody_while_no_more_neighbours_are_wanted() {
    let (mut node, _inbox) = node();
    node.next_review = node.clock.now() + REVIEW_EVERY;
    node.candidates.add(address(1), Origin::Gossip, Time::ZERO);
    assert!(node.deadline() <= node.clock.now(), "it is to be dialled at once");
    let now = node.clock.now();
    (0..DIAL_TARGET).for_each(|n| node.dials.begin(address(2 + u16::try_from(n).unwrap()), Origin::Gossip, now));
    assert_eq!(node.deadline(), node.next_review);
}

#[tokio::test]
async fn a_name_that_cannot_be_looked_up_is_named_once() {
    let (mut node, _inbox) = node();
    let peer: crate::discovery::PeerName = "nowhere.invalid".parse().unwrap();
    node.on_resolved(&peer, Err(crate::discovery::ResolveError::Unknown { peer: peer.clone() }));
    assert_eq!(node.last_failure.as_deref().unwrap().matches("nowhere.invalid").count(), 1);
}

#[tokio::test]
async fn events_do_not_put_off_the_review() {
    let (mut node, _inbox) = node();
    assert!(!node.on_time().unwrap());
    let due = node.deadline();
    node.drive();
    assert_eq!(node.deadline(), due);
    assert!(due > node.clock.now() && due <= node.clock.now() + REVIEW_EVERY);
}

/// A connection to a peer of this number, as the node gets it after the hellos, and the peer's end of it.
async fn greeted(peer: u8) -> (Greeted, Greeted, Pair) {
    let pair = pair().await;
    let (ours, theirs) = (hello(0), hello(peer));
    let both =
        async { tokio::join!(greet(pair.dialling.clone(), true, &ours), greet(pair.dialled.clone(), false, &theirs)) };
    let (ours, theirs) = within(both).await;
    (ours.unwrap(), theirs.unwrap(), pair)
}

/// A node with a neighbour that it knows by the address of port 1.
async fn acquainted() -> (Node, Inbox, SourceId, Pair) {
    let (mut node, inbox) = node();
    let (greeted, _, pair) = greeted(2).await;
    node.candidates.add(address(1), Origin::Listed, Time::ZERO);
    node.dials.begin(address(1), Origin::Listed, Time::ZERO);
    node.on_greeted(greeted, Some(address(1)));
    let source = node.links.sources()[0];
    (node, inbox, source, pair)
}

/// Every address that the node would dial an hour from now.
fn dialled_later(node: &mut Node) -> Vec<SocketAddr> {
    dialled_in(3600, node)
}

/// Every address that the node would dial so many seconds from now.
fn dialled_in(seconds: u64, node: &mut Node) -> Vec<SocketAddr> {
    let later = node.clock.now() + Duration::from_secs(seconds);
    let room = super::dials::Room { all: 100, gossip: 100, near: 100, far: 100 };
    let mut due: Vec<SocketAddr> =
        node.candidates.dial(room, later, &mut node.rng).into_iter().map(|(address, _)| address).collect();
    due.sort_unstable();
    due
}

#[tokio::test]
async fn a_lost_neighbour_is_looked_for_at_every_address_that_led_to_it() {
    let (mut node, _inbox, source, _pair) = acquainted().await;
    let (again, _, _other) = greeted(2).await;
    node.candidates.add(address(9), Origin::Listed, Time::ZERO);
    node.dials.begin(address(9), Origin::Listed, Time::ZERO);
    node.on_greeted(again, Some(address(9)));
    assert_eq!(node.links.len(), 1, "one connection for each peer");
    assert_eq!(dialled_later(&mut node), []);
    node.on_closed(source, "gone");
    assert_eq!(dialled_later(&mut node), [address(1), address(9)]);
}

#[tokio::test]
async fn a_banned_peer_is_neither_dialled_nor_let_in_again() {
    let (mut node, _inbox, source, pair) = acquainted().await;
    let identity = node.links.link(source).unwrap().identity;
    node.ban(source);
    assert!(node.bans.hold(identity, address(77)), "wherever it comes from");
    assert!(within(pair.dialled.closed()).await.to_string().contains("bad chunks"));
    assert_eq!((node.links.len(), dialled_later(&mut node)), (0, vec![]));
    // Somebody with another number comes from elsewhere, with a banned certificate.
    let (again, _, other) = greeted(3).await;
    node.bans.ban(Offender::Identity(identity_of(&again.connection).unwrap().0));
    node.dials.begin(address(2), Origin::Listed, Time::ZERO);
    node.on_greeted(again, Some(address(2)));
    assert!(within(other.dialled.closed()).await.to_string().contains("banned"));
    assert_eq!(node.links.len(), 0);
}

#[tokio::test]
async fn of_those_who_share_a_certificate_only_the_liar_s_address_is_banned() {
    let (mut node, _inbox, source, _pair) = acquainted().await;
    let identity = node.links.link(source).unwrap().identity;
    let (another, _, _other) = greeted(3).await;
    node.dials.begin(address(2), Origin::Listed, Time::ZERO);
    node.on_greeted(another, Some(address(2)));
    for source in node.links.sources() {
        node.links.link_mut(source).unwrap().identity = identity;
    }
    assert_eq!(node.links.len(), 2);
    node.ban(source);
    assert!(node.bans.hold(identity, address(1)) && !node.bans.hold(identity, address(2)));
    assert_eq!(node.links.len(), 1);
}

#[tokio::test]
async fn a_bad_chunk_on_each_of_two_connections_is_one_too_many() {
    let (mut node, _inbox, source, _pair) = acquainted().await;
    let chunk = Layout::new(10, 1 << 10).unwrap().chunk(0).unwrap();
    let identity = node.links.link(source).unwrap().identity;
    node.blame(source, chunk);
    node.drop_link(source, Reason::Gone, "it comes back");
    let (again, _, _pair) = greeted(2).await;
    node.dials.begin(address(1), Origin::Listed, Time::ZERO);
    node.on_greeted(again, Some(address(1)));
    let source = node.links.sources()[0];
    node.links.link_mut(source).unwrap().identity = identity;
    assert!(!node.bans.hold(identity, address(1)), "one may come from a bad disk");
    node.blame(source, chunk);
    assert!(node.bans.hold(identity, address(1)));
    assert_eq!(node.links.len(), 0);
}

#[tokio::test]
async fn whoever_breaks_the_protocol_is_not_listened_to_any_more() {
    let (mut node, _inbox, source, pair) = acquainted().await;
    node.on_link_event(source, LinkEvent::Control(Message::Welcome)).unwrap();
    assert_eq!(node.links.len(), 0);
    let warning = node.on_link_event(source, LinkEvent::Control(Message::Welcome));
    assert!(warning.is_ok() && node.links.len() == 0);
    assert!(within(pair.dialled.closed()).await.to_string().contains("second hello"));
}

#[tokio::test]
async fn a_second_content_does_not_take_the_place_of_the_first() {
    let (mut node, _inbox, source, _pair) = acquainted().await;
    let offer = |index, id| Offer { index: ContentIndex(index), id: ContentId([id; 32]), complete: false };
    node.on_offers(source, vec![offer(0, 10)]);
    node.on_offers(source, vec![offer(1, 11)]);
    assert_eq!(node.links.link(source).unwrap().offers, [offer(0, 10), offer(1, 11)]);
    node.on_offers(source, vec![offer(0, 12)]);
    assert_eq!(node.links.link(source).unwrap().offers, [offer(1, 11), offer(0, 12)]);
}

#[tokio::test]
async fn with_a_pin_only_those_stay_who_can_have_the_content() {
    for (offered, stays) in [(10, true), (11, false)] {
        let (mut node, _inbox, source, _pair) = acquainted().await;
        let id = ContentId([10; 32]);
        node.config.expect.id = Some(id);
        assert_eq!(node.wants(), Wants::Id(id));
        node.note_offers(source);
        assert_eq!(node.links.len(), 1, "it offers nothing yet");
        node.on_offers(source, vec![Offer { index: ContentIndex(0), id: ContentId([offered; 32]), complete: true }]);
        assert_eq!(node.links.len() == 1, stays);
        let named = node.nothing_acceptable().unwrap().to_string().contains(&"0b".repeat(32));
        assert_eq!(named, !stays, "what was offered instead is named");
        // While it seeks, it looks again soon: a publisher may just be walking its new source.
        assert_eq!(dialled_soon(&mut node).len(), usize::from(!stays));
    }
}

#[tokio::test]
async fn whoever_follows_another_content_is_not_dialled_again_at_once() {
    let (mut node, _inbox, source, _pair) = acquainted().await;
    let source_tree = tempfile::tempdir().unwrap();
    let scan = crate::store::scan(source_tree.path(), crate::store::SymlinkPolicy::Refuse).unwrap();
    let manifest = Manifest::publish(Arc::clone(&scan.entries), None).unwrap();
    let layout = manifest.layout();
    let (proofs, zeros) = (Proofs::new(manifest.id(), layout), Zeros::new(manifest.digest_kind(), layout));
    let tree = Tree::Published(Arc::new(Published::new(scan)));
    let beginning = Beginning { layout, have: Bitfield::all(layout), config: node.swarm_config(layout), seed: 1 };
    node.content = Some(Content::new(Arc::new(manifest), proofs, tree, &beginning, zeros, &node.config));
    node.on_offers(source, vec![Offer { index: ContentIndex(0), id: ContentId([10; 32]), complete: true }]);
    assert_eq!(node.links.len(), 0);
    assert_eq!(dialled_in(10, &mut node), []);
    assert_eq!(dialled_in(30, &mut node), [address(1)]);
}

#[tokio::test]
async fn an_endorsement_that_comes_while_the_destination_is_made_ready_is_kept() {
    let (mut node, _inbox, source, _pair) = acquainted().await;
    let id = ContentId([10; 32]);
    node.on_offers(source, vec![Offer { index: ContentIndex(0), id, complete: true }]);
    let (time, key) = (5, DatasetKey::from_seed(&[1; 32]).id());
    let signed = node.credentials.sign(&Endorsement::payload_of(id, key, time)).unwrap();
    let endorsement =
        Endorsement { content: id, key, time, scheme: signed.scheme, signature: signed.signature, chain: signed.chain };
    node.seek = Seek::Preparing;
    node.on_endorsements(source, vec![endorsement.clone()]).unwrap();
    assert_eq!(node.endorsements, [endorsement]);
}

#[tokio::test]
async fn bytes_that_arrive_keep_a_job_from_being_given_up() {
    let (mut node, _inbox) = node();
    let now = node.clock.now();
    node.notice_arrivals(now);
    assert_eq!(node.last_progress, Time::ZERO, "nothing arrived");
    node.budget = Budget::new(1 << 20);
    node.arrivals = 1;
    node.notice_arrivals(now);
    assert_eq!(node.last_progress, now);
}

#[tokio::test]
async fn a_node_that_is_dropped_closes_its_connections() {
    let (node, _inbox) = node();
    let endpoint = node.endpoint.clone();
    drop(node);
    assert!(within(endpoint.accept()).await.is_none());
}

/// A node that has all the neighbours that it lets in, its clock some seconds ahead, with what keeps them alive.
async fn full() -> (Node, Inbox, Vec<(Greeted, Pair)>) {
    let (mut node, inbox) = node();
    node.clock = Clock(Instant::now().checked_sub(Duration::from_secs(20)).unwrap());
    let mut pairs = Vec::new();
    for peer in 1..=u8::try_from(ACCEPT_MAX).unwrap() {
        let (greeted, theirs, pair) = greeted(peer).await;
        node.on_greeted(greeted, Some(address(u16::from(peer))));
        pairs.push((theirs, pair));
    }
    assert_eq!(node.links.len(), ACCEPT_MAX);
    (node, inbox, pairs)
}

/// Lets a peer of this number knock.
async fn knock(node: &mut Node, peer: u8) -> Pair {
    let pair = pair().await;
    let (ours, theirs) = (hello(0), hello(peer));
    let both =
        async { tokio::join!(greet(pair.dialling.clone(), true, &theirs), greet(pair.dialled.clone(), false, &ours)) };
    let (_, greeted) = within(both).await;
    node.on_greeted(greeted.unwrap(), None);
    pair
}

#[tokio::test]
async fn a_full_node_gives_a_newcomer_the_place_of_a_neighbour_that_does_not_answer() {
    let (mut node, _inbox, pairs) = full().await;
    let _turned_away = knock(&mut node, 100).await;
    assert_eq!(node.links.len(), ACCEPT_MAX, "all of them are alive and young");
    assert!(node.links.iter().all(|(_, link)| link.hello.peer != PeerId([100; 16])));
    let silent = node.links.sources()[3];
    node.links.link_mut(silent).unwrap().pulse = pulse::Pulse::new(Time::ZERO);
    assert_eq!(node.counted_on().len(), ACCEPT_MAX - 1);
    let _taken = knock(&mut node, 101).await;
    assert!(node.links.link(silent).is_none() && node.links.iter().any(|(_, l)| l.hello.peer == PeerId([101; 16])));
    assert!(within(pairs[3].1.dialled.closed()).await.to_string().contains("place was needed"));
    assert!(!dialled_soon(&mut node).contains(&address(4)), "it is not dialled again at once");
}

/// Every address that the node would dial two seconds from now.
fn dialled_soon(node: &mut Node) -> Vec<SocketAddr> {
    dialled_in(2, node)
}

#[tokio::test]
async fn neighbours_that_do_not_answer_hold_no_place() {
    let (mut node, _inbox, _pairs) = full().await;
    node.candidates.add(address(200), Origin::Listed, Time::ZERO);
    assert_eq!(node.dial_deadline(), None);
    for source in node.links.sources().into_iter().take(ACCEPT_MAX - DIAL_TARGET + 1) {
        node.links.link_mut(source).unwrap().pulse = pulse::Pulse::new(Time::ZERO);
    }
    assert_eq!(node.dial_deadline(), Some(Time::ZERO));
}
