//! Limits: how much a machine sends and takes, whatever its neighbours would.
//!
//! A limit can be checked from one side without a quiet machine: whatever is late, bytes need at least the time that they have at the rate.
//! That they need hardly more is measured and not asserted.
//!
//! Invariant: what our own limit holds up is neither fetched twice nor given up.
//!
//! Not here: the arithmetic (`units`), and the refusal of wrong rates (`cli`).

use std::time::Duration;

use crate::common::{End, Node, Stage, Tree, assert_equal};

/// One million bytes a second: two seconds for the tree of these tests, and half a chunk in the time after which a request counts as stuck
/// where there is no limit.
const RATE: &str = "8Mbit/s";
const BYTES_PER_SECOND: u64 = 1_000_000;
const LARGE: usize = 2 << 20;
/// What may pass before the rate is felt: what a bucket saves, and a portion.
const AT_ONCE: u64 = BYTES_PER_SECOND / 10;

fn tree(stage: &Stage, seed: u64) -> Tree {
    let mut tree = Tree::new(stage.path("source"), seed);
    tree.file("large", LARGE);
    tree.files(20, 5000);
    tree
}

/// The shortest time in which so many bytes can pass.
fn least_time(bytes: u64) -> Duration {
    Duration::from_millis(bytes.saturating_sub(AT_ONCE) * 1000 / BYTES_PER_SECOND)
}

fn elapsed(end: &End) -> Duration {
    Duration::from_millis(end.total("elapsed_ms"))
}

#[test]
fn a_seeder_sends_no_more_than_its_limit_to_all_peers_together() {
    let stage = Stage::new();
    let tree = tree(&stage, 40);
    let seeder = stage.seed(tree.path(), &["--upload-limit", RATE, "--chunk-size", "1MiB"]);
    // Peers that know nobody but the seeder and hold nothing for each other: what one of them has, the seeder sent.
    let names = ["a", "b"];
    let peers = names.map(|name| stage.pull(&stage.path(name), &[seeder.address()], &["--exit-complete"]));
    let ends = peers.map(|peer| peer.ends_with(0));
    for (name, end) in names.iter().zip(&ends) {
        assert_equal(tree.path(), &stage.path(name));
        assert_eq!(end.total("chunks_bad"), 0);
    }
    let end = seeder.interrupt();
    let sent = end.total("wire_uploaded");
    assert!(sent >= LARGE as u64, "{sent}");
    assert!(elapsed(&end) >= least_time(sent), "{sent} bytes in {:?}", elapsed(&end));
}

#[test]
fn a_peer_takes_no_more_than_its_limit_from_all_seeders_together_and_nothing_twice() {
    let stage = Stage::new();
    let tree = tree(&stage, 41);
    let seeders = [0, 1].map(|_| stage.seed(tree.path(), &["--chunk-size", "256KiB"]));
    let both = seeders.each_ref().map(Node::address);
    let peer = stage.pull(&stage.path("copy"), &both, &["--exit-complete", "--download-limit", RATE]);
    let end = peer.ends_with(0);
    assert_equal(tree.path(), &stage.path("copy"));
    let came = end.total("wire_received");
    assert!(came >= LARGE as u64, "{came}");
    assert!(elapsed(&end) >= least_time(came), "{came} bytes in {:?}", elapsed(&end));
    // In the end game both bring one chunk and meet in its middle; a whole one would be 256 KiB.
    let repeated = end.total("repeated");
    assert!(repeated < 256 << 10, "{repeated} bytes came twice");
}

#[test]
fn one_chunk_that_takes_many_seconds_at_the_limit_is_fetched_once() {
    let stage = Stage::new();
    let tree = tree(&stage, 42);
    // The whole tree is one chunk, which takes four times as long as what counts as stuck without a limit.
    let seeder = stage.seed(tree.path(), &["--chunk-size", "4MiB", "--upload-limit", RATE]);
    let first = stage.pull(&stage.path("first"), &[seeder.address()], &["--download-limit", RATE]);
    first.event("complete");
    let end = first.interrupt();
    assert_eq!(end.code, 0, "{}", end.log);
    assert_equal(tree.path(), &stage.path("first"));
    assert_eq!((end.total("repeated"), end.total("wire_received")), (0, end.total("bytes_total")));
    let sent = seeder.interrupt().total("wire_uploaded");
    assert_eq!(sent, end.total("bytes_total"));
}
