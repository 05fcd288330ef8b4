//! Several publishers of one tree, with the real program: they die, join late, are started again, and disagree.
//!
//! A relay before each publisher lets so many bytes pass and then none, so that what happens in the middle of a transfer happens there on
//! any machine. How much publishers send is another question, which only links of a known rate answer (`namespaces/fleet.rs`).
//!
//! Invariant: whatever becomes of publishers, a peer that ends well has the tree of one of them, whole.
//!
//! Not here: peers that die (`transfer/resume.rs`).

mod common;

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use common::fleet::{came_from, complete, equal_trees};
use common::node::number;
use common::tree::set_all_times;
use common::{Node, Relay, Stage, assert_equal};
use rustix::process::Signal;

/// Peers of a fleet.
const PEERS: usize = 4;
/// Random MiB in the trees; the program and its sources are added to it.
const MIB: usize = 16;
/// Far more chunks than can be under way, so that the middle of a transfer is the middle for everybody.
const CHUNKS: [&str; 2] = ["--chunk-size", "128KiB"];

/// Where the copies go.
fn copies(stage: &Stage) -> Vec<PathBuf> {
    (0..PEERS).map(|at| stage.path(format!("copy {at}"))).collect()
}

/// Starts a peer for each copy.
fn pull(stage: &Stage, publishers: &[&Relay], words: &[&str]) -> Vec<Node> {
    let addresses: Vec<_> = publishers.iter().map(|relay| relay.address()).collect();
    copies(stage).iter().map(|copy| stage.pull(copy, &addresses, &[words, &["--statistics"]].concat())).collect()
}

fn bytes_of(publisher: &Node) -> u64 {
    number(&publisher.event("manifest"), "bytes")
}

#[test]
fn peers_complete_when_one_of_two_publishers_is_killed() {
    let stage = Stage::new();
    let trees = equal_trees(&stage, ["here", "there"], MIB, 50);
    let [stays, dies] = trees.each_ref().map(|tree| stage.seed(tree.path(), &CHUNKS));
    let bytes = bytes_of(&stays);
    // Together less than a copy, so that both are stopped before anybody is complete.
    let (to_stays, to_dies) = (Relay::to(stays.address(), bytes / 4), Relay::to(dies.address(), bytes / 4));
    let peers = pull(&stage, &[&to_stays, &to_dies], &[]);
    to_stays.until_stopped();
    to_dies.until_stopped();
    dies.kill();
    to_stays.open();
    let ends = complete(peers, trees[0].path(), &copies(&stage));
    assert!(came_from(&ends, to_dies.address()) > 0, "the publisher that died had given nothing");
    assert_eq!(stays.interrupt().code, 0);
}

#[test]
fn a_finished_copy_takes_the_place_of_a_publisher_that_is_gone_for_good() {
    let stage = Stage::new();
    let [tree] = equal_trees(&stage, ["source"], MIB, 51);
    let publisher = stage.seed(tree.path(), &CHUNKS);
    let finished = stage.path("finished");
    stage.pull(&finished, &[publisher.address()], &["--exit-complete"]).ends_with(0);
    assert_eq!(publisher.interrupt().code, 0);

    // Started again it signs with another key, which the finished copy has never heard of.
    let publisher = stage.seed(tree.path(), &CHUNKS);
    let bytes = bytes_of(&publisher);
    let relay = Relay::to(publisher.address(), bytes / 2);
    let peers = pull(&stage, &[&relay], &[]);
    relay.until_stopped();
    publisher.kill();
    let addresses: Vec<_> = peers.iter().map(Node::address).collect();
    let joins = stage.pull(&finished, &addresses, &[]);
    let ends = complete(peers, tree.path(), &copies(&stage));
    let given = came_from(&ends, joins.address());
    assert!(given >= bytes / 2, "only {given} of {bytes} bytes came from the finished copy");
    let end = joins.interrupt();
    assert_eq!((end.code, end.total("received")), (0, 0));
    assert_equal(tree.path(), &finished);
}

#[test]
fn a_fleet_that_was_stopped_resumes() {
    let stage = Stage::new();
    let trees = equal_trees(&stage, ["here", "there"], MIB, 52);
    let publishers = trees.each_ref().map(|tree| stage.seed(tree.path(), &CHUNKS));
    let bytes = bytes_of(&publishers[0]);
    let relays = publishers.each_ref().map(|publisher| Relay::to(publisher.address(), bytes / 4));
    let peers = pull(&stage, &relays.each_ref(), &[]);
    relays.iter().for_each(Relay::until_stopped);
    let signals = [(Signal::INT, 130), (Signal::TERM, 143)];
    for (peer, (signal, _)) in peers.iter().zip(signals.into_iter().cycle()) {
        peer.signal(signal);
    }
    for (peer, (_, code)) in peers.into_iter().zip(signals.into_iter().cycle()) {
        peer.ends_with(code);
    }
    for publisher in publishers {
        assert_eq!(publisher.interrupt().code, 0);
    }

    let publishers = trees.each_ref().map(|tree| stage.seed(tree.path(), &CHUNKS));
    let relays = publishers.each_ref().map(|publisher| Relay::to(publisher.address(), u64::MAX));
    let ends = complete(pull(&stage, &relays.each_ref(), &[]), trees[0].path(), &copies(&stage));
    let kept: u64 = ends.iter().map(|end| end.total("bytes_kept")).sum();
    assert!(kept >= bytes / 4, "only {kept} bytes were kept of two quarters that had come");
    for end in &ends {
        let missing = bytes - end.total("bytes_kept");
        let received = end.total("received");
        // On a machine so loaded that digests stay out for seconds, some of what lies there is fetched all the same.
        assert!(received <= missing + bytes / 8, "{received} bytes came where {missing} were missing");
    }
}

#[test]
fn of_two_publishers_that_disagree_the_earlier_is_believed() {
    let stage = Stage::new();
    let trees = equal_trees(&stage, ["earlier", "later"], MIB, 53);
    let seconds = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // Files that take one chunk and less, and one that takes many: equal in length and time, so that only their bytes tell.
    for name in ["many/0/file 0", "many/5/file 5", "many/9/file 29", "program"] {
        let path = trees[1].path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
        fs::write(path, bytes).unwrap();
    }
    set_all_times(trees[1].path(), 1_600_000_000);
    let earlier = stage.seed(trees[0].path(), &CHUNKS);
    let bytes = bytes_of(&earlier);
    let began = seconds();
    // Endorsements tell whole seconds.
    while seconds() == began {
        std::thread::sleep(common::LOOK_EVERY);
    }
    // The later one alone is heard until the peers hold half of its tree, on its word.
    let to_earlier = Relay::to(earlier.address(), 0);
    let listed = to_earlier.address().to_string();
    let words = [&CHUNKS[..], &["--peer-list", &listed]].concat();
    let later = stage.seed(trees[1].path(), &words);
    assert_eq!(later.event("manifest")["content"], earlier.event("manifest")["content"]);
    let to_later = Relay::to(later.address(), bytes / 2);
    let peers = pull(&stage, &[&to_earlier, &to_later], &[]);
    to_later.until_stopped();
    to_earlier.open();
    later.ends().failed(6, &["an earlier publisher disagrees"]);
    let ends = complete(peers, trees[0].path(), &copies(&stage));
    assert!(came_from(&ends, to_later.address()) > 0, "nobody had believed the later publisher");
    assert_eq!(earlier.interrupt().code, 0);
}
