//! Pins and kinds of digests with the real program: what is followed, what is left alone, and what may become final.
//!
//! Every test runs its own swarm of processes on the loopback interface, as `transfer.rs` does.
//!
//! Invariant: whatever does not match a pin leaves no name in a destination.
//!
//! Not here: trees that change while a fleet replicates them (`versions.rs`).

mod common;

use std::fs;
use std::path::Path;

use common::{End, Node, Relay, Stage, Tree, assert_equal};
use serde_json::Value;

/// A stage with a tree of a few files.
fn stage_with_tree(seed: u64) -> (Stage, Tree) {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), seed);
    tree.files(20, 50_000);
    tree.file("large", 3 << 20);
    (stage, tree)
}

fn text(event: &Value, field: &str) -> String {
    event[field].as_str().unwrap_or_else(|| panic!("no {field} in {event}")).to_owned()
}

/// The pins of what a publisher publishes: its content id and its root.
fn pins(seeder: &Node) -> [String; 2] {
    [
        format!("id:{}", text(&seeder.event("manifest"), "content")),
        format!("root:{}", text(&seeder.event("root"), "root")),
    ]
}

/// A pin with one bit flipped.
fn flipped(pin: &str) -> String {
    let (rest, last) = pin.split_at(pin.len() - 1);
    format!("{rest}{:x}", u8::from_str_radix(last, 16).unwrap() ^ 1)
}

/// Asserts that nothing but its own folder is in a destination.
fn assert_empty(copy: &Path) {
    let names: Vec<_> = fs::read_dir(copy).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name == ".strew"), "{names:?} are in the destination");
}

#[test]
fn what_is_pinned_is_followed_and_the_pins_are_told_at_the_end() {
    let (stage, tree) = stage_with_tree(1);
    let seeder = stage.seed(tree.path(), &[]);
    let [id, root] = pins(&seeder);
    for (name, words) in [
        ("id", &["--expect", &id][..]),
        ("root", &["--expect", &root]),
        ("both", &["--expect", &id, "--expect", &root]),
    ] {
        let copy = stage.path(name);
        let end = stage.pull(&copy, &[seeder.address()], &[words, &["--exit-complete"]].concat()).ends_with(0);
        let complete = end.last("complete");
        assert_eq!(
            (format!("id:{}", text(complete, "content")), format!("root:{}", text(complete, "root"))),
            (id.clone(), root.clone())
        );
        assert_equal(tree.path(), &copy);
        // A finished copy is held against its pins as well.
        let again = stage.pull(&copy, &[seeder.address()], &[words, &["--exit-complete"]].concat()).ends_with(0);
        assert_eq!(again.total("received"), 0);
    }
    let copy = stage.pull(&stage.path("id"), &[], &["--expect", &flipped(&root)]).ends();
    copy.failed(6, &["root:"]);
}

#[test]
fn another_content_than_the_pinned_one_is_left_alone_and_named() {
    let (stage, tree) = stage_with_tree(2);
    let seeder = stage.seed(tree.path(), &[]);
    let [id, _] = pins(&seeder);
    let copy = stage.path("copy");
    let words = ["--expect", &flipped(&id), "--peer-wait-timeout", "2s", "--exit-complete"];
    let end = stage.pull(&copy, &[seeder.address()], &words).ends();
    end.failed(4, &[&flipped(&id), "offered instead", &id, &seeder.address().to_string()]);
    assert_eq!(end.total("received"), 0);
    assert_empty(&copy);
}

#[test]
fn a_pinned_content_is_found_beside_another_one() {
    let (stage, tree) = stage_with_tree(3);
    let mut other = Tree::new(stage.path("other"), 4);
    other.files(10, 50_000);
    let seeders = [tree.path(), other.path()].map(|path| stage.seed(path, &[]));
    let addresses = seeders.each_ref().map(Node::address);
    for (name, seeder, tree) in [("a", &seeders[0], &tree), ("b", &seeders[1], &other)] {
        let copy = stage.path(name);
        let words = ["--expect", &pins(seeder)[0], "--exit-complete"];
        stage.pull(&copy, &addresses, &words).ends_with(0);
        assert_equal(tree.path(), &copy);
    }
    // Whoever holds the one and is told to follow the other changes over.
    let words = ["--expect", &pins(&seeders[1])[0], "--exit-complete"];
    let end = stage.pull(&stage.path("a"), &addresses, &words).ends_with(0);
    assert_eq!(format!("id:{}", text(end.last("complete"), "content")), pins(&seeders[1])[0]);
}

#[test]
fn no_file_becomes_final_under_a_wrong_root() {
    let (stage, tree) = stage_with_tree(5);
    let seeder = stage.seed(tree.path(), &["--chunk-size", "64KiB"]);
    let [id, root] = pins(&seeder);
    for words in [&["--expect", &flipped(&root)][..], &["--expect", &id, "--expect", &flipped(&root)]] {
        let copy = stage.path("copy");
        let end = stage.pull(&copy, &[seeder.address()], &[words, &["--exit-complete"]].concat()).ends();
        end.failed(6, &[&root, &flipped(&root), "do not retry"]);
        assert_empty(&copy);
    }
    // With the right one the same destination becomes complete.
    stage.pull(&stage.path("copy"), &[seeder.address()], &["--expect", &root, "--exit-complete"]).ends_with(0);
    assert_equal(tree.path(), &stage.path("copy"));
}

#[test]
fn with_a_pinned_root_no_name_appears_before_the_last_chunk_and_a_killed_run_resumes() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 6);
    tree.files(300, 30_000);
    tree.file("large", 20 << 20);
    let seeder = stage.seed(tree.path(), &["--chunk-size", "64KiB"]);
    let root = pins(&seeder)[1].clone();
    let total = common::number(&seeder.event("manifest"), "bytes");
    // The seeder's digests are all signed and come first, so what is held back here is held back until they have come.
    let relay = Relay::to(seeder.address(), total / 2);
    let copy = stage.path("copy");
    let peer = stage.pull(&copy, &[relay.address()], &["--expect", &flipped(&root)]);
    peer.ends().failed(6, &["root:"]);
    assert_empty(&copy);
    let peer = stage.pull(&copy, &[relay.address()], &["--expect", &root]);
    relay.until_stopped();
    peer.kill();
    let end = stage.pull(&copy, &[seeder.address()], &["--expect", &root, "--exit-complete"]).ends_with(0);
    assert!(end.total("bytes_kept") > 0, "nothing of the killed run was kept");
    assert_equal(tree.path(), &copy);
}

#[test]
fn a_publisher_checks_its_source_against_its_pins() {
    let (stage, tree) = stage_with_tree(7);
    let seeder = stage.seed(tree.path(), &[]);
    let [id, root] = pins(&seeder);
    assert_eq!(seeder.interrupt().code, 0);
    let seed = |pins: &[&str]| -> Node {
        let words: Vec<&str> = pins.iter().flat_map(|pin| ["--expect", pin]).collect();
        stage.seed(tree.path(), &words)
    };
    let right = seed(&[&id, &root]);
    right.event("root");
    assert_eq!(right.interrupt().code, 0);
    let end: End = seed(&[&flipped(&id)]).ends();
    end.failed(6, &[&id, &flipped(&id), "nothing was published"]);
    assert!(end.events.iter().all(|event| event["event"] != "manifest"));
    seed(&[&flipped(&root)]).ends().failed(6, &[&root, &flipped(&root)]);
    let mut copying = stage.pull_command(&stage.path("copy"), &[], &["--expect", &flipped(&root), "--exit-complete"]);
    copying.arg("--src").arg(tree.path());
    Node::start(copying).ends().failed(6, &[&root]);
    assert_empty(&stage.path("copy"));
}

#[test]
fn weak_digests_must_be_asked_for_on_both_sides() {
    let (stage, tree) = stage_with_tree(8);
    let weak = stage.seed(tree.path(), &["--digest", "xxh3"]);
    let strong = stage.seed(tree.path(), &[]);
    let [weak_id, strong_id] = [&weak, &strong].map(|seeder| text(&seeder.event("manifest"), "content"));
    assert_ne!(weak_id, strong_id, "the kind of digest is a part of the content id");

    let pull = |name: &str, peers: &[&Node], words: &[&str]| {
        let addresses: Vec<_> = peers.iter().map(|peer| peer.address()).collect();
        stage
            .pull(&stage.path(name), &addresses, &[words, &["--exit-complete", "--peer-wait-timeout", "2s"]].concat())
            .ends()
    };
    let refused = pull("refused", &[&weak], &[]);
    refused.failed(2, &["--digest xxh3", &weak_id]);
    assert_eq!(refused.total("received"), 0);
    assert_empty(&stage.path("refused"));
    // Beside a strong one the weak one does no harm.
    assert_eq!(text(pull("both", &[&weak, &strong], &[]).last("complete"), "content"), strong_id);

    let end = pull("weak", &[&weak], &["--digest", "xxh3"]);
    assert_eq!((end.code, text(end.last("complete"), "content")), (0, weak_id.clone()), "{}", end.log);
    assert_equal(tree.path(), &stage.path("weak"));
    let end = pull("stronger", &[&strong], &["--digest", "xxh3"]);
    assert_eq!((end.code, text(end.last("complete"), "content")), (0, strong_id), "{}", end.log);
    assert!(text(end.last("warning"), "message").contains("stronger"));

    // A finished copy keeps its kind: it resumes and serves with the flag, and with it alone.
    assert_eq!(weak.interrupt().code, 0);
    let copy = stage.pull(&stage.path("weak"), &[], &["--digest", "xxh3"]);
    let end = pull("from a copy", &[&copy], &["--digest", "xxh3", "--verify-on-complete"]);
    assert_eq!(end.code, 0, "{}", end.log);
    assert_equal(tree.path(), &stage.path("from a copy"));
    pull("refused", &[&copy], &[]).failed(2, &["--digest xxh3"]);
    assert_eq!(copy.interrupt().code, 0);
    pull("weak", &[], &[]).failed(2, &["--digest xxh3"]);
}
