//! A seeder and twelve peers that have nothing but a list in common.
//!
//! Not here: where the list is; each test has its own place for it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::common::node::{ANY_PORT, number};
use crate::common::{End, Node, Stage, Tree, assert_equal};

/// Twelve, as in the ancestor's acceptance tests.
pub(crate) const PEERS: usize = 12;

/// The fleet, and what it replicates.
pub(crate) struct Fleet {
    pub(crate) stage: Stage,
    tree: Tree,
    pub(crate) seeder: Node,
    pub(crate) peers: Vec<Node>,
}

impl Fleet {
    /// A seeder with these further words.
    pub(crate) fn seeding(seed: u64, words: &[&str]) -> Self {
        Self::seeding_at(ANY_PORT, seed, words)
    }

    /// The same at an address of choice.
    pub(crate) fn seeding_at(listen: &str, seed: u64, words: &[&str]) -> Self {
        let stage = Stage::new();
        let mut tree = Tree::new(stage.path("source"), seed);
        tree.file("large", 4 << 20);
        tree.files(20, 30_000);
        let mut command = stage.command(listen);
        command.arg("--src").arg(tree.path()).args(words);
        let seeder = Node::start(command);
        seeder.event("manifest");
        Self { stage, tree, seeder, peers: Vec::new() }
    }

    fn copy(&self, n: usize) -> PathBuf {
        self.stage.path(format!("copy {n}"))
    }

    /// Another peer with these words, and with `peers` in its own list.
    pub(crate) fn join(&mut self, peers: &[SocketAddr], words: &[&str]) -> SocketAddr {
        self.start(self.stage.pull_command(&self.copy(self.peers.len()), peers, words))
    }

    /// The same at an address of choice, with nobody in its own list.
    pub(crate) fn join_at(&mut self, listen: &str, words: &[&str]) -> SocketAddr {
        let mut command = self.stage.command(listen);
        command.arg("--dst").arg(self.copy(self.peers.len())).args(words);
        self.start(command)
    }

    fn start(&mut self, mut command: Command) -> SocketAddr {
        // Lists are made when all have started, which takes its time on a machine that does much else.
        command.args(["--peer-wait-timeout", "60s"]);
        let peer = Node::start(command);
        let address = peer.address();
        self.peers.push(peer);
        address
    }

    /// Where all of them listen, the seeder first.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        std::iter::once(&self.seeder).chain(&self.peers).map(Node::address).collect()
    }

    /// Waits until every peer has a complete and equal copy, then ends all; returns how the peers ended.
    pub(crate) fn complete(self) -> Vec<End> {
        for peer in &self.peers {
            peer.event("complete");
        }
        let copies: Vec<PathBuf> = (0..self.peers.len()).map(|n| self.copy(n)).collect();
        let ends: Vec<End> = self.peers.into_iter().map(Node::interrupt).collect();
        for (end, copy) in ends.iter().zip(&copies) {
            assert_eq!(end.code, 0, "{}", end.log);
            assert_equal(self.tree.path(), copy);
        }
        assert_eq!(self.seeder.interrupt().code, 0);
        ends
    }
}

/// Waits until a node's list has so many peers; that it had them once counts.
pub(crate) fn lists(node: &Node, peers: usize) -> Value {
    node.until(&format!("list of {peers} peers"), |event| {
        (event["event"] == "peer_list" && number(event, "listed") == peers as u64).then(|| event.clone())
    })
}

/// Messages of warnings that have this part.
pub(crate) fn warnings(end: &End, part: &str) -> Vec<String> {
    let warnings = end.events.iter().filter(|event| event["event"] == "warning");
    let messages = warnings.map(|event| event["message"].as_str().unwrap().to_owned());
    messages.filter(|message| message.contains(part)).collect()
}

/// Waits for a warning that has this part.
pub(crate) fn warned(node: &Node, part: &str) {
    node.until(&format!("warning about {part}"), |event| {
        let message = event["message"].as_str().filter(|_| event["event"] == "warning")?;
        message.contains(part).then_some(())
    });
}
