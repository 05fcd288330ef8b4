//! How a complete node leaves: when it has done enough, and when it is told to.

use rustix::process::Signal;

use crate::common::{Stage, Tree, assert_equal};

#[test]
fn a_publisher_leaves_when_it_has_sent_the_copies_that_it_was_to_send() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 1);
    tree.file("a", 1 << 20);
    let seeder = stage.seed(tree.path(), &["--seed-until", "copies=2"]);
    // One after the other, so that the second has nobody else to take anything from.
    for name in ["one", "two"] {
        stage.pull(&stage.path(name), &[seeder.address()], &["--exit-complete"]).ends_with(0);
        assert_equal(tree.path(), &stage.path(name));
    }
    let end = seeder.ends_with(0);
    assert!(end.total("uploaded") >= 2 << 20);
}

#[test]
fn a_node_leaves_when_it_has_been_complete_for_the_time_that_it_was_to_stay() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 2);
    tree.file("a", 10);
    let seeder = stage.seed(tree.path(), &[]);
    let peer = stage.pull(&stage.path("dst"), &[seeder.address()], &["--seed-until", "time=300ms"]);
    peer.ends_with(0);
    assert_equal(tree.path(), &stage.path("dst"));
    let publisher = stage.seed(tree.path(), &["--seed-until=time=300ms"]);
    publisher.ends_with(0);
}

#[test]
fn an_unfinished_copy_stays_whatever_the_time_is() {
    let stage = Stage::new();
    let words = ["--seed-until", "time=1ms", "--peer-wait-timeout", "1s"];
    stage.pull(&stage.path("dst"), &["127.0.0.1:1".parse().unwrap()], &words).ends_with(4);
}

#[test]
fn a_publisher_that_is_told_to_end_finishes_what_it_is_sending_and_says_good_bye() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 3);
    // One chunk of seven seconds.
    tree.file("a", 14 << 20);
    let seeder = stage.seed(tree.path(), &["--chunk-size=16MiB", "--upload-limit=2MiB/s"]);
    let peer = stage.pull(&stage.path("dst"), &[seeder.address()], &[]);
    peer.until("first byte", |event| (event["wire_received"].as_u64()? > 0).then_some(()));
    seeder.signal(Signal::TERM);
    let end = seeder.ends_with(0);
    assert_eq!(end.total("uploaded"), 14 << 20);
    peer.event("complete");
    peer.until("good-bye", |event| {
        let reason = event["reason"].as_str()?;
        // The message and the closing of the connection race each other; both say it.
        (event["state"] == "disconnected" && (reason.starts_with("it leaves") || reason.contains("leaving")))
            .then_some(())
    });
    assert_eq!(peer.interrupt().code, 0);
    assert_equal(tree.path(), &stage.path("dst"));
}

#[test]
fn a_publisher_that_is_told_to_end_begins_nothing_more() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 4);
    tree.file("a", 16 << 20);
    let seeder = stage.seed(tree.path(), &["--chunk-size=1MiB", "--upload-limit=2MiB/s"]);
    let peer = stage.pull(&stage.path("dst"), &[seeder.address()], &[]);
    peer.until("first byte", |event| (event["wire_received"].as_u64()? > 0).then_some(()));
    seeder.signal(Signal::TERM);
    let end = seeder.ends_with(0);
    let sent = end.total("uploaded");
    assert!((1..16 << 20).contains(&sent), "{sent}");
    // All that left is there and verified.
    peer.until("what was sent", |event| (event["bytes_done"].as_u64()? >= sent).then_some(()));
}
