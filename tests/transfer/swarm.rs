//! Who gives what to whom: peers that find each other, that outlive the seeder, that serve from an earlier run.
//!
//! Invariant: a peer completes as long as every chunk is with somebody that it can reach.
//!
//! Not here: peers that are killed (`resume`).

use std::net::{SocketAddr, UdpSocket};

use crate::common::node::{ANY_PORT, list};
use crate::common::tree::set_all_times;
use crate::common::{Node, Stage, Tree, assert_equal};

/// Addresses that were free a moment ago, for those who must know them before anybody listens.
fn free_addresses(count: usize) -> Vec<SocketAddr> {
    // All are held until the last is chosen, so that no two are the same.
    let sockets: Vec<UdpSocket> = (0..count).map(|_| UdpSocket::bind(ANY_PORT).unwrap()).collect();
    sockets.iter().map(|socket| socket.local_addr().unwrap()).collect()
}

#[test]
fn everybody_may_have_the_same_peer_list_and_stand_in_it() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 10);
    tree.files(40, 50_000);
    let all = free_addresses(4);
    let names = ["a", "b", "c"];
    let peers: Vec<Node> = names
        .iter()
        .zip(&all)
        .map(|(name, listen)| {
            let mut command = stage.command(listen);
            command.arg("--dst").arg(stage.path(name)).args(["--exit-complete", "--peer-list", &list(&all)]);
            Node::start(command)
        })
        .collect();
    let mut command = stage.command(all[3]);
    command.arg("--src").arg(tree.path()).args(["--peer-list", &list(&all)]);
    let seeder = Node::start(command);
    for (peer, name) in peers.into_iter().zip(names) {
        let end = peer.ends_with(0);
        let own = end.last("start")["listen"].clone();
        let met_itself = end.events.iter().any(|event| event["event"] == "peer" && event["address"] == own);
        assert!(!met_itself, "a node is its own neighbour");
        assert_equal(tree.path(), &stage.path(name));
    }
    assert_eq!(seeder.interrupt().code, 0);
}

#[test]
fn peers_that_know_the_seeder_only_find_each_other() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 11);
    tree.files(40, 50_000);
    let seeder = stage.seed(tree.path(), &[]);
    let peers = ["a", "b", "c"].map(|name| stage.pull(&stage.path(name), &[seeder.address()], &[]));
    for peer in &peers {
        for other in peers.iter().filter(|other| other.address() != peer.address()) {
            peer.connected_to(other.address());
        }
        peer.event("complete");
    }
    for (peer, name) in peers.into_iter().zip(["a", "b", "c"]) {
        let end = peer.interrupt();
        assert_eq!(end.code, 0, "a signal after completion is no failure: {}", end.log);
        assert_equal(tree.path(), &stage.path(name));
    }
}

#[test]
fn peers_in_several_zones_and_without_one_all_become_complete() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 16);
    tree.file("large", 4 << 20);
    tree.files(40, 50_000);
    let seeder = stage.seed(tree.path(), &["--zone", "here", "--chunk-size", "64KiB"]);
    let places = [&["--zone", "here"][..], &["--zone", "there"], &["--zone", "there"], &["--zone", "alone"], &[]];
    let names = ["a", "b", "c", "d", "e"];
    let peers: Vec<Node> = names
        .iter()
        .zip(places)
        .map(|(name, place)| stage.pull(&stage.path(name), &[seeder.address()], place))
        .collect();
    for (peer, name) in peers.into_iter().zip(names) {
        peer.event("complete");
        assert_eq!(peer.interrupt().code, 0);
        assert_equal(tree.path(), &stage.path(name));
    }
}

#[test]
fn a_late_peer_is_served_by_peers_when_the_seeder_has_left() {
    let stage = Stage::new();
    let tree = Tree::hostile(stage.path("source"), 12);
    let seeder = stage.seed(tree.path(), &[]);
    let first = stage.pull(&stage.path("first"), &[seeder.address()], &[]);
    first.event("complete");
    assert_eq!(seeder.interrupt().code, 0);
    let end = stage.pull(&stage.path("late"), &[first.address()], &["--exit-complete"]).ends_with(0);
    assert_equal(tree.path(), &stage.path("late"));
    let served = first.interrupt();
    assert_eq!(served.code, 0, "{}", served.log);
    assert_eq!((end.total("peers_seen"), end.total("bytes_done")), (1, end.total("bytes_total")));
    assert!(served.last("summary").get("publisher_copies").is_none(), "a peer is no publisher");
}

#[test]
fn a_finished_copy_started_alone_serves_a_new_peer() {
    let stage = Stage::new();
    let tree = Tree::hostile(stage.path("source"), 13);
    let seeder = stage.seed(tree.path(), &[]);
    stage.pull(&stage.path("first"), &[seeder.address()], &["--exit-complete"]).ends_with(0);
    assert_eq!(seeder.interrupt().code, 0);
    let copy = stage.pull(&stage.path("first"), &[], &[]);
    let end = stage.pull(&stage.path("second"), &[copy.address()], &["--exit-complete"]).ends_with(0);
    assert_equal(tree.path(), &stage.path("second"));
    assert_eq!(end.total("bytes_kept"), 0);
    let served = copy.interrupt();
    assert_eq!((served.code, served.total("received")), (0, 0));
    assert_eq!(served.total("bytes_kept"), served.total("bytes_total"));
    assert_equal(tree.path(), &stage.path("first"));
}

#[test]
fn two_publishers_of_equal_trees_serve_one_swarm() {
    let stage = Stage::new();
    let trees = ["here", "there"].map(|name| Tree::hostile(stage.path(name), 14));
    trees.iter().for_each(|tree| set_all_times(tree.path(), 1_600_000_000));
    let seeders = trees.each_ref().map(|tree| stage.seed(tree.path(), &[]));
    let ids = seeders.each_ref().map(|seeder| seeder.event("manifest")["content"].clone());
    assert_eq!(ids[0], ids[1], "equal trees have equal content ids");
    let both = seeders.each_ref().map(Node::address);
    let end = stage.pull(&stage.path("copy"), &both, &["--exit-complete"]).ends_with(0);
    assert_eq!(end.total("peers_seen"), 2);
    assert_equal(trees[0].path(), &stage.path("copy"));
    let sent = seeders.map(|seeder| seeder.interrupt().total("uploaded"));
    assert!(sent.iter().all(|bytes| *bytes > 0), "one of the publishers gave nothing: {sent:?}");
}

#[test]
fn a_seeder_that_nobody_asks_leaves_after_its_idle_time() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 15);
    tree.files(3, 1000);
    let seeder = stage.seed(tree.path(), &["--seed-idle-timeout", "300ms"]);
    let end = seeder.ends_with(0);
    let idle = end.total("elapsed_ms");
    assert!((300..10_000).contains(&idle), "it left after {idle} ms");
}
