//! Whole fleets on links of a known rate: how much publishers send, and what happens when they come and go.
//!
//! On the loopback interface a publisher is simply the fastest source, and what it sends says nothing. Here each machine has a link of
//! its own, and that of a publisher is the narrowest part of the way, so that whatever it sends twice is time lost for everybody.
//! Rates are low, so that two busy processors are never what the transfer waits for.
//!
//! Invariant: bounds are ratios of bytes, which a loaded machine does not change.
//!
//! Not here: speed; the figures are printed for whoever wants them.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::common::fleet::{came_from, complete, equal_trees, until_held};
use crate::common::node::{list, number};
use crate::common::{End, Node, Stage, Tree};
use crate::network::Network;

/// Where all machines of a fleet listen.
const LISTEN: &str = "0.0.0.0:10090";
/// Peers of a fleet.
const PEERS: usize = 6;
/// What the link of a peer carries each way, in Mbit/s.
const RATE: u32 = 40;

/// Machines: publishers first, then peers.
struct Fleet {
    stage: Stage,
    network: Network,
    trees: [Tree; 2],
    peers: Vec<Node>,
    bytes: u64,
}

impl Fleet {
    /// Publishers, each with an equal tree of its own and an uplink that carries so many Mbit/s, and links to them; nothing runs yet.
    fn new(uplinks: [u32; 2], seed: u64) -> Self {
        let stage = Stage::new();
        let network = Network::new(2 + PEERS);
        for at in 0..2 + PEERS {
            network.shape(at, uplinks.get(at).copied().unwrap_or(RATE), RATE);
        }
        let trees = equal_trees(&stage, ["here", "there"], 12, seed);
        Self { stage, network, trees, peers: Vec::new(), bytes: 0 }
    }

    fn address(&self, at: usize) -> SocketAddr {
        (self.network.v4(at), 10090).into()
    }

    /// Every machine has the same peer list, and stands in it.
    fn everybody(&self) -> String {
        list(&(0..2 + PEERS).map(|at| self.address(at)).collect::<Vec<_>>())
    }

    fn publish(&mut self, at: usize) -> Node {
        let mut command = self.network.command(at, &self.stage, LISTEN);
        command.arg("--src").arg(self.trees[at].path()).args(["--chunk-size", "128KiB"]);
        command.args(["--peer-list", &self.everybody()]);
        let publisher = Node::start(command);
        self.bytes = number(&publisher.event("manifest"), "bytes");
        publisher
    }

    fn copy(&self, at: usize) -> PathBuf {
        self.stage.path(format!("copy {at}"))
    }

    fn pull(&mut self) {
        for at in 0..PEERS {
            let mut command = self.network.command(2 + at, &self.stage, LISTEN);
            command.arg("--dst").arg(self.copy(at)).args(["--statistics", "--peer-list", &self.everybody()]);
            self.peers.push(Node::start(command));
        }
    }

    fn until_held(&self, share: f64) -> f64 {
        until_held(&self.peers, self.bytes, share)
    }

    /// Waits until all peers are complete, with exit code 0 and equal copies, and says how many copies each publisher sent.
    fn ends(self) -> Sent {
        let copies: Vec<PathBuf> = (0..PEERS).map(|at| self.copy(at)).collect();
        let addresses = [self.address(0), self.address(1)];
        let ends = complete(self.peers, self.trees[0].path(), &copies);
        let copies = addresses.map(|address| came_from(&ends, address) as f64 / self.bytes as f64);
        Sent { copies, bytes: self.bytes, ends }
    }
}

/// What publishers sent in a run.
struct Sent {
    copies: [f64; 2],
    bytes: u64,
    ends: Vec<End>,
}

impl Sent {
    fn copies(&self) -> f64 {
        self.copies.iter().sum()
    }

    /// Shows the figures, for whoever runs this with `--nocapture`.
    // What a measurement is for; nothing else of a test is printed.
    #[allow(clippy::print_stdout)]
    fn tell(&self, what: &str) {
        println!("{what}: publishers sent {:.3?} copies, a peer received {:.3}", self.copies, self.received());
    }

    /// The most that any peer received, in copies.
    fn received(&self) -> f64 {
        let most = self.ends.iter().map(|end| end.total("received")).max().unwrap();
        most as f64 / self.bytes as f64
    }
}

#[test]
#[ignore = "needs root: cargo test --test namespaces -- --ignored"]
fn two_publishers_share_out_what_they_send() {
    let mut fleet = Fleet::new([RATE / 2; 2], 40);
    let _publishers = [fleet.publish(0), fleet.publish(1)];
    fleet.pull();
    let sent = fleet.ends();
    sent.tell("both stayed");
    assert!(sent.copies() <= 1.1, "{:?}", sent.copies);
    let share = sent.copies[0] / sent.copies();
    assert!((0.35..=0.65).contains(&share), "{:?}", sent.copies);
}

#[test]
#[ignore = "needs root: cargo test --test namespaces -- --ignored"]
fn a_publisher_that_dies_half_way_leaves_its_share_to_the_other() {
    let mut fleet = Fleet::new([RATE / 2; 2], 41);
    let (_stays, dies) = (fleet.publish(0), fleet.publish(1));
    fleet.pull();
    let held = fleet.until_held(0.5);
    dies.kill();
    let sent = fleet.ends();
    sent.tell(&format!("killed when they held {held:.2}"));
    assert!(sent.copies() <= 1.1, "{:?}", sent.copies);
}

#[test]
#[ignore = "needs root: cargo test --test namespaces -- --ignored"]
fn a_late_publisher_sends_only_what_is_missing() {
    let mut fleet = Fleet::new([RATE / 2; 2], 42);
    let _first = fleet.publish(0);
    fleet.pull();
    let held = fleet.until_held(0.5);
    let _late = fleet.publish(1);
    let sent = fleet.ends();
    sent.tell(&format!("joined when they held {held:.2}"));
    assert!(sent.copies[1] > 0.0, "the late publisher gave nothing");
    assert!(sent.copies[1] <= (1.0 - held) + 0.1, "{:?} when {held} was there", sent.copies);
    assert!(sent.copies() <= 1.15, "{:?}", sent.copies);
}

#[test]
#[ignore = "needs root: cargo test --test namespaces -- --ignored"]
fn a_publisher_that_is_restarted_goes_on_where_its_swarm_is() {
    let mut fleet = Fleet::new([RATE; 2], 43);
    let publisher = fleet.publish(0);
    fleet.pull();
    let held = fleet.until_held(0.5);
    publisher.kill();
    // Another process, another dataset key, the same tree.
    let _again = fleet.publish(0);
    let sent = fleet.ends();
    sent.tell(&format!("restarted when they held {held:.2}"));
    assert!(sent.copies() <= 1.15, "{:?}", sent.copies);
    assert!(sent.received() <= 1.02, "{} copies came to one peer", sent.received());
}
