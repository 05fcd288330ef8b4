use std::net::Ipv4Addr;

use super::candidates::Origin;
use super::links::DIAL_TARGET;
use super::*;
use crate::identity::{KeyRing, SwarmKey};

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
    (0..DIAL_TARGET).for_each(|n| node.dials.begin(address(2 + u16::try_from(n).unwrap()), now));
    assert_eq!(node.deadline(), node.next_review);
}

#[tokio::test]
async fn a_name_that_cannot_be_looked_up_is_named_once() {
    let (mut node, _inbox) = node();
    let peer = "nowhere.invalid".parse().unwrap();
    node.on_resolved("nowhere.invalid:10090", Err(crate::discovery::ResolveError::Unknown { peer }));
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
