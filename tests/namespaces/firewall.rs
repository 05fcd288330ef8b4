//! Firewalls: nodes that cannot be dialled, and what is said when nobody answers.
//!
//! Invariant: nothing is filtered outside the namespaces of the test.
//!
//! Not here: networks that fail in the middle of a transfer (the tests beside this file).

use std::path::Path;

use crate::common::node::Stage;
use crate::common::{End, Node, Tree, assert_equal};
use crate::network::Network;

/// What a firewall does with UDP that somebody else began: datagrams of flows that its own machine began pass.
const NOTHING_NEW_COMES_IN: [&str; 4] = [
    "add table inet wall",
    "add chain inet wall input { type filter hook input priority 0; policy accept; }",
    "add rule inet wall input ct state established,related accept",
    "add rule inet wall input meta l4proto udp drop",
];
const NO_UDP_COMES_IN: [&str; 3] = [
    "add table inet wall",
    "add chain inet wall input { type filter hook input priority 0; policy accept; }",
    "add rule inet wall input meta l4proto udp drop",
];
const NO_UDP_GOES_OUT: [&str; 3] = [
    "add table inet wall",
    "add chain inet wall output { type filter hook output priority 0; policy accept; }",
    "add rule inet wall output meta l4proto udp drop",
];

/// A pull on machine `at` that finds nobody.
fn vain_pull(network: &Network, at: usize, stage: &Stage, name: &str, peer: &str) -> End {
    let mut command = network.command(at, stage, "[::]:0");
    command.arg("--dst").arg(stage.path(name)).args(["--peer-list", peer, "--peer-wait-timeout", "3s"]);
    Node::start(command).ends()
}

fn seed(network: &Network, at: usize, stage: &Stage, source: &Path) -> Node {
    let mut command = network.command(at, stage, "[::]:10090");
    command.arg("--src").arg(source);
    let seeder = Node::start(command);
    seeder.event("manifest");
    seeder
}

#[test]
#[ignore = "needs root: cargo test --test namespaces -- --ignored"]
fn a_peer_that_cannot_be_dialled_serves_over_the_connections_that_it_made() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 20);
    tree.files(20, 100_000);
    let network = Network::new(3);
    let seeder = seed(&network, 0, &stage, tree.path());
    network.filter(1, &NOTHING_NEW_COMES_IN);
    let [walled, other] = [1, 2].map(|at| network.v4(at).to_string());
    let mut command = network.command(1, &stage, "[::]:10090");
    let list = format!("{},{other}", network.v4(0));
    command.arg("--dst").arg(stage.path("behind")).args(["--peer-list", &list]);
    let behind = Node::start(command);
    behind.event("complete");
    assert_eq!(seeder.interrupt().code, 0);
    // Nobody gets in who was not dialled; so what comes next comes over a connection that was made from behind the wall.
    vain_pull(&network, 2, &stage, "vain", &walled).failed(4, &["no answer at all", &walled]);

    let mut command = network.command(2, &stage, "[::]:10090");
    command.arg("--dst").arg(stage.path("outside")).args(["--peer-list", &walled, "--peer-wait-timeout", "50s"]);
    let outside = Node::start(command);
    outside.event("complete");
    assert_equal(tree.path(), &stage.path("outside"));
    assert_eq!(outside.interrupt().code, 0);
    let served = behind.interrupt();
    assert_eq!((served.code, served.total("uploaded")), (0, served.total("bytes_total")));
}

#[test]
#[ignore = "needs root: cargo test --test namespaces -- --ignored"]
fn whoever_gets_no_answer_is_told_what_may_be_the_cause_and_what_to_do() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 21);
    tree.files(3, 1000);
    let network = Network::new(2);
    let seeder = seed(&network, 0, &stage, tree.path());
    for (peer, at) in [(network.v4(0).to_string(), 1), ("127.0.0.1".to_owned(), 0)] {
        let [address, nobody] = [10090, 10091].map(|port| format!("{peer}:{port}"));
        network.filter(0, &NO_UDP_COMES_IN);
        let silent = format!("no answer at all from {address} over UDP");
        let end = vain_pull(&network, at, &stage, "silent", &peer);
        end.failed(4, &[&silent, "firewall", "UDP port 10090", "tcpdump"]);
        network.filter(0, &["delete table inet wall"]);

        network.filter(at, &NO_UDP_GOES_OUT);
        let end = vain_pull(&network, at, &stage, "forbidden", &peer);
        end.failed(4, &["firewall of this machine", &address]);
        network.filter(at, &["delete table inet wall"]);

        let refused = format!("no program listens on UDP {nobody}");
        vain_pull(&network, at, &stage, "nobody", &nobody).failed(4, &[&refused, "start strew there"]);
    }
    vain_pull(&network, 1, &stage, "far", "192.0.2.1").failed(4, &["no route to 192.0.2.1:10090"]);
    assert_eq!(seeder.interrupt().code, 0);
}
