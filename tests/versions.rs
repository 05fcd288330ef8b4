//! Versions of a tree side by side: a rolling update, a publisher that comes back with another tree or another key, copies that outlive
//! their publisher.
//!
//! The real program on the loopback interface. Relays hold a transfer in its middle, so that who comes when is no matter of luck.
//!
//! Invariant: no copy ever holds bytes of two versions, whoever knows whom.
//!
//! Not here: two contents that have nothing to do with each other (`faults.rs`), pins alone (`expect.rs`).

mod common;

use std::net::{SocketAddr, UdpSocket};

use common::node::ANY_PORT;
use common::tree::set_all_times;
use common::{Node, Relay, Stage, Tree, assert_equal, assert_only_whole_files};
use serde_json::Value;

/// Two versions of a tree: `kept` is equal in both, `changed` has other bytes.
struct Versions {
    stage: Stage,
    trees: [Tree; 2],
}

impl Versions {
    fn new(seed: u64) -> Self {
        let stage = Stage::new();
        let trees = [("v1", seed + 1), ("v2", seed + 2)].map(|(name, changed)| {
            let mut equal = Tree::new(stage.path(name), seed);
            equal.file("kept", 6 << 20);
            let mut tree = Tree::new(stage.path(name), changed);
            tree.file("changed", 6 << 20);
            set_all_times(tree.path(), 1_600_000_000 + i64::try_from(changed).unwrap());
            tree
        });
        Self { stage, trees }
    }

    /// Publishes a version; small chunks make a transfer last.
    fn seed(&self, version: usize, words: &[&str]) -> Node {
        self.stage.seed(self.trees[version].path(), &[&["--chunk-size", "64KiB"], words].concat())
    }

    /// Publishes a version at this address.
    fn seed_at(&self, version: usize, address: SocketAddr, chunk_size: &str) -> Node {
        let mut command = self.stage.command(address);
        command.arg("--src").arg(self.trees[version].path()).args(["--chunk-size", chunk_size]);
        Node::start(command)
    }

    fn assert_copied(&self, version: usize, name: &str) {
        assert_equal(self.trees[version].path(), &self.stage.path(name));
    }
}

fn id(node: &Node) -> String {
    content(&node.event("manifest"))
}

fn content(event: &Value) -> String {
    event["content"].as_str().unwrap().to_owned()
}

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    UdpSocket::bind(ANY_PORT).unwrap().local_addr().unwrap()
}

#[test]
fn two_versions_replicate_side_by_side_and_never_mix() {
    let versions = Versions::new(10);
    let stage = &versions.stage;
    let old = versions.seed(0, &[]);
    // One for each, so that none is stopped before it has begun.
    let relays = [(); 3].map(|()| Relay::to(old.address(), 1 << 20));
    let new_address = free_address();
    // Everybody knows every address, also that of the version to come.
    let mut known = vec![new_address];
    known.extend(relays.each_ref().map(Relay::address));
    let begin = |at: usize, name| {
        let own: Vec<SocketAddr> = vec![relays[at].address(), new_address];
        stage.pull(&stage.path(name), &own, &[])
    };
    let first = [begin(0, "a"), begin(1, "b"), begin(2, "c")];
    relays.iter().for_each(Relay::until_stopped);
    assert!(first.iter().all(|peer| id(peer) == id(&old)));

    let new = versions.seed_at(1, new_address, "64KiB");
    let pin = format!("id:{}", id(&new));
    known.extend(first.each_ref().map(Node::address));
    let second = ["d", "e", "f"].map(|name| stage.pull(&stage.path(name), &known, &["--expect", &pin]));
    for peer in &second {
        peer.event("complete");
    }
    relays.iter().for_each(Relay::open);
    for peer in &first {
        peer.event("complete");
    }
    for (peers, version, names) in [(first, 0, ["a", "b", "c"]), (second, 1, ["d", "e", "f"])] {
        for (peer, name) in peers.into_iter().zip(names) {
            let end = peer.interrupt();
            assert_eq!((end.code, end.total("chunks_bad")), (0, 0), "{}", end.log);
            versions.assert_copied(version, name);
        }
    }
    for seeder in [old, new] {
        assert_eq!(seeder.interrupt().code, 0);
    }
}

#[test]
fn who_was_killed_in_the_middle_of_a_version_goes_on_with_it() {
    let versions = Versions::new(20);
    let stage = &versions.stage;
    let old = versions.seed(0, &[]);
    let relay = Relay::to(old.address(), 4 << 20);
    let killed = stage.pull(&stage.path("copy"), &[relay.address()], &[]);
    relay.until_stopped();
    killed.kill();
    let new = versions.seed(1, &[]);
    // The new version answers at once, the old one only when its relay is opened.
    let again = stage.pull(&stage.path("copy"), &[new.address(), relay.address()], &["--exit-complete"]);
    let pin = format!("id:{}", id(&new));
    again.until("warning that the other version waits", |event| {
        let message = event["message"].as_str()?;
        (message.contains(&id(&old)) && message.contains(&format!("--expect {pin}"))).then_some(())
    });
    relay.open();
    let end = again.ends_with(0);
    assert_eq!(content(end.last("complete")), id(&old));
    assert!(end.total("bytes_kept") > 0, "nothing of the killed run was kept");
    versions.assert_copied(0, "copy");

    // Told to change over, it takes what is equal from what it has.
    let both = [old.address(), new.address()];
    let end = stage.pull(&stage.path("copy"), &both, &["--expect", &pin, "--exit-complete"]).ends_with(0);
    assert_eq!(content(end.last("complete")), id(&new));
    assert!(end.total("bytes_kept") >= 3 << 20, "only {} bytes were kept of 6 MiB", end.total("bytes_kept"));
    versions.assert_copied(1, "copy");
}

#[test]
fn who_was_killed_takes_the_other_version_when_nobody_has_the_first_any_more() {
    let versions = Versions::new(30);
    let stage = &versions.stage;
    let old = versions.seed(0, &[]);
    let relay = Relay::to(old.address(), 4 << 20);
    let killed = stage.pull(&stage.path("copy"), &[relay.address()], &[]);
    relay.until_stopped();
    killed.kill();
    assert_eq!(old.interrupt().code, 0);
    let new = versions.seed(1, &[]);
    let words = ["--peer-wait-timeout", "2s", "--exit-complete"];
    let end = stage.pull(&stage.path("copy"), &[new.address()], &words).ends_with(0);
    assert_eq!(content(end.last("complete")), id(&new));
    versions.assert_copied(1, "copy");
}

#[test]
fn a_finished_copy_takes_the_newer_version_unless_it_is_pinned() {
    let versions = Versions::new(40);
    let stage = &versions.stage;
    let old = versions.seed(0, &[]);
    for name in ["updated", "pinned", "alone"] {
        stage.pull(&stage.path(name), &[old.address()], &["--exit-complete"]).ends_with(0);
    }
    let new = versions.seed(1, &[]);
    let both = [old.address(), new.address()];
    let end = stage.pull(&stage.path("updated"), &both, &["--exit-complete"]).ends_with(0);
    assert_eq!(content(end.last("complete")), id(&new));
    versions.assert_copied(1, "updated");
    let pin = format!("id:{}", id(&old));
    let end = stage.pull(&stage.path("pinned"), &both, &["--expect", &pin, "--exit-complete"]).ends_with(0);
    assert_eq!((content(end.last("complete")), end.total("received")), (id(&old), 0));
    versions.assert_copied(0, "pinned");

    // With no peers of its version a finished copy serves on, also beside the other one.
    let old_id = id(&old);
    assert_eq!(old.interrupt().code, 0);
    let copy = stage.pull(&stage.path("alone"), &[], &[]);
    copy.event("complete");
    let late = stage.pull(
        &stage.path("late"),
        &[new.address(), copy.address()],
        &["--expect", &format!("id:{old_id}"), "--exit-complete"],
    );
    assert_eq!(content(late.ends_with(0).last("complete")), old_id);
    versions.assert_copied(0, "late");
}

#[test]
fn peers_finish_their_version_among_themselves_when_its_publisher_comes_back_with_another() {
    let versions = Versions::new(50);
    let stage = &versions.stage;
    let address = free_address();
    // Small chunks, so that the peers are still busy when every chunk has left.
    let old = versions.seed_at(0, address, "4KiB");
    let names = ["a", "b", "c", "d"];
    let peers = names.map(|name| stage.pull(&stage.path(name), &[address], &[]));
    old.until("whole copy sent", |event| {
        let (sent, total) = (event["uploaded"].as_u64()?, event["bytes_total"].as_u64()?);
        (total > 0 && sent >= total).then_some(())
    });
    let old_id = id(&old);
    old.kill();
    let new = versions.seed_at(1, address, "64KiB");
    let mut known = vec![address];
    known.extend(peers.each_ref().map(Node::address));
    let pin = format!("id:{}", id(&new));
    let end = stage.pull(&stage.path("new"), &known, &["--expect", &pin, "--exit-complete"]).ends_with(0);
    assert_eq!(content(end.last("complete")), id(&new));
    versions.assert_copied(1, "new");
    for (peer, name) in peers.into_iter().zip(names) {
        assert_eq!(content(&peer.event("complete")), old_id);
        assert_eq!(peer.interrupt().code, 0);
        versions.assert_copied(0, name);
    }
}

#[test]
fn a_peer_whose_version_nobody_has_whole_ends_with_the_hint_that_the_source_changed() {
    let versions = Versions::new(60);
    let stage = &versions.stage;
    let address = free_address();
    let old = versions.seed_at(0, address, "64KiB");
    let relay = Relay::to(address, 4 << 20);
    // Longer than the 10 s after which a silent neighbour is gone, so that it meets the publisher again.
    let peer = stage.pull(&stage.path("copy"), &[relay.address()], &["--transfer-idle-timeout", "20s"]);
    relay.until_stopped();
    old.kill();
    let new = versions.seed_at(1, address, "64KiB");
    new.event("manifest");
    relay.open();
    let end = peer.ends();
    end.failed(4, &["chunks are missing", "follows another content", "source has changed"]);
    assert_only_whole_files(versions.trees[0].path(), &stage.path("copy"));
    // What the message promises: the next run fetches the new one.
    let words = ["--peer-wait-timeout", "2s", "--exit-complete"];
    stage.pull(&stage.path("copy"), &[address], &words).ends_with(0);
    versions.assert_copied(1, "copy");
}

#[test]
fn a_publisher_that_comes_back_with_another_key_goes_on_with_its_swarm() {
    let versions = Versions::new(70);
    let stage = &versions.stage;
    let address = free_address();
    let before = versions.seed_at(0, address, "64KiB");
    let relay = Relay::to(address, 4 << 20);
    let near = stage.pull(&stage.path("near"), &[relay.address()], &[]);
    near.event("manifest");
    // Meets the publisher through its neighbour alone, and so hears of the new key.
    let far = stage.pull(&stage.path("far"), &[near.address()], &[]);
    relay.until_stopped();
    before.kill();
    let after = versions.seed_at(0, address, "64KiB");
    relay.open();
    for (peer, name) in [(near, "near"), (far, "far")] {
        assert_eq!(content(&peer.event("complete")), id(&after));
        assert_eq!(peer.interrupt().code, 0);
        versions.assert_copied(0, name);
    }
}

#[test]
fn a_finished_copy_takes_the_place_of_a_publisher_that_died_half_way() {
    let versions = Versions::new(80);
    let stage = &versions.stage;
    let publisher = versions.seed(0, &[]);
    stage.pull(&stage.path("finished"), &[publisher.address()], &["--exit-complete"]).ends_with(0);
    let relay = Relay::to(publisher.address(), 4 << 20);
    let names = ["a", "b"];
    let peers = names.map(|name| stage.pull(&stage.path(name), &[relay.address()], &[]));
    relay.until_stopped();
    publisher.kill();
    let copy = stage.pull(&stage.path("finished"), &peers.each_ref().map(Node::address), &[]);
    for (peer, name) in peers.into_iter().zip(names) {
        peer.event("complete");
        assert_eq!(peer.interrupt().code, 0);
        versions.assert_copied(0, name);
    }
    let end = copy.interrupt();
    assert!(end.code == 0 && end.total("received") == 0 && end.total("uploaded") > 0, "{}", end.log);
}
