//! What is replicated: trees of every shape, single files, nothing at all, in chunks of every size.
//!
//! Invariant: whatever the shape, every copy is equal and everybody ends with 0.
//!
//! Not here: who gives what to whom (`swarm`).

use std::fs;

use crate::common::{End, Node, Stage, Tree, assert_equal, number};

/// Ends a seeder; a signal to one that only serves is no failure.
fn dismiss(seeder: Node) -> End {
    let end = seeder.interrupt();
    assert_eq!(end.code, 0, "{}", end.log);
    end
}

#[test]
fn a_tree_with_everything_in_it_reaches_three_peers() {
    let stage = Stage::new();
    let mut tree = Tree::hostile(stage.path("source"), 1);
    tree.fifo("pipe");
    let seeder = stage.seed(tree.path(), &[]);
    let peers = ["a", "b", "c"].map(|name| stage.pull(&stage.path(name), &[seeder.address()], &["--exit-complete"]));
    let ends = peers.map(|peer| peer.ends_with(0));
    for (name, end) in ["a", "b", "c"].iter().zip(&ends) {
        assert_equal(tree.path(), &stage.path(name));
        let complete = end.last("complete");
        assert_eq!(number(complete, "bytes"), end.total("bytes_total"));
        assert_eq!((end.total("bytes_done"), end.total("bytes_kept")), (end.total("bytes_total"), 0));
        assert_eq!(end.total("chunks_bad"), 0);
    }
    // What is sent counts when it is acknowledged, which a peer that is complete and leaves may not do for the last chunks.
    let end = dismiss(seeder);
    assert!(end.last("warning")["message"].as_str().unwrap().starts_with("1 special file"), "{}", end.log);
    // Half of the chunks are zeros, which nobody has to send.
    let copies = end.last("summary")["publisher_copies"].as_f64().unwrap();
    assert!((0.4..3.0).contains(&copies), "the publisher sent {copies} copies to three peers");
    let received: u64 = ends.iter().map(|end| end.total("received")).sum();
    let uploaded: u64 = ends.iter().chain([&end]).map(|end| end.total("uploaded")).sum();
    let data = 9 << 20;
    assert!(received >= 3 * data, "{received} bytes are not three copies of the large files");
    assert!(uploaded >= received / 10 * 9, "{uploaded} bytes were sent and {received} came");
}

#[test]
fn a_single_file_lands_under_its_name_in_the_destination() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 2);
    let file = tree.file("one file.bin", 700_001);
    let seeder = stage.seed(&file, &[]);
    stage.pull(&stage.path("copy"), &[seeder.address()], &["--exit-complete"]).ends_with(0);
    assert_equal(tree.path(), &stage.path("copy"));
    dismiss(seeder);
}

#[test]
fn content_of_no_bytes_is_complete_at_once() {
    let stage = Stage::new();
    for (name, make) in [("nothing", false), ("folders", true)] {
        let tree = Tree::new(stage.path(name), 3);
        if make {
            fs::create_dir_all(tree.path().join("a/b")).unwrap();
            fs::write(tree.path().join("a/empty"), "").unwrap();
        }
        let seeder = stage.seed(tree.path(), &[]);
        let copy = stage.path(format!("copy of {name}"));
        let end = stage.pull(&copy, &[seeder.address()], &["--exit-complete"]).ends_with(0);
        assert_eq!(number(end.last("complete"), "bytes"), 0);
        assert_equal(tree.path(), &copy);
        dismiss(seeder);
    }
}

#[test]
fn the_publisher_chooses_the_size_of_chunks_and_peers_follow() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 4);
    tree.files(30, 30_000);
    tree.file("odd", 1_000_003);
    for (size, bytes) in [("1KiB", 1024), ("8KiB", 8192), ("128MiB", 128 << 20)] {
        let seeder = stage.seed(tree.path(), &["--chunk-size", size, "--memory", "512MiB"]);
        let address = seeder.address();
        let copies = ["a", "b"].map(|name| stage.path(format!("{name} {size}")));
        let peers = copies.each_ref().map(|copy| stage.pull(copy, &[address], &["--exit-complete"]));
        for (peer, copy) in peers.into_iter().zip(&copies) {
            let end = peer.ends_with(0);
            assert_eq!(number(end.last("manifest"), "chunk_size"), bytes);
            assert_equal(tree.path(), copy);
        }
        dismiss(seeder);
    }
}

#[test]
fn source_and_destination_on_one_machine_make_a_verified_copy() {
    let stage = Stage::new();
    let tree = Tree::hostile(stage.path("source"), 5);
    let copy = stage.path("copy");
    let start = |words: &[&str]| {
        let mut command = stage.pull_command(&copy, &[], words);
        command.arg("--src").arg(tree.path()).arg("--exit-complete");
        Node::start(command)
    };
    let first = start(&["--verify-on-complete"]).ends_with(0);
    assert_equal(tree.path(), &copy);
    assert_eq!((first.total("received"), first.total("bytes_kept")), (0, 0));
    // All of the data, and of the holes what shares a chunk with it.
    let (copied, total) = (first.total("copied"), first.total("bytes_total"));
    assert!((9 << 20..total - (7 << 20)).contains(&copied), "{copied} bytes were read of {total}");
    assert_eq!(first.last("complete")["read_back"], true);
    let again = start(&[]).ends_with(0);
    assert_equal(tree.path(), &copy);
    assert_eq!((again.total("copied"), again.total("bytes_kept")), (0, again.total("bytes_total")));
}

#[test]
fn a_copy_that_other_machines_pull_from_while_it_is_made_is_theirs_too() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 6);
    tree.files(20, 100_000);
    let mut command = stage.pull_command(&stage.path("copy"), &[], &[]);
    command.arg("--src").arg(tree.path());
    let copier = Node::start(command);
    stage.pull(&stage.path("peer"), &[copier.address()], &["--exit-complete"]).ends_with(0);
    copier.event("complete");
    assert_equal(tree.path(), &stage.path("copy"));
    assert_equal(tree.path(), &stage.path("peer"));
    dismiss(copier);
}

#[test]
fn what_was_written_is_read_back_when_that_is_asked_for() {
    let stage = Stage::new();
    let tree = Tree::hostile(stage.path("source"), 7);
    let seeder = stage.seed(tree.path(), &[]);
    let words = ["--exit-complete", "--verify-on-complete"];
    let end = stage.pull(&stage.path("copy"), &[seeder.address()], &words).ends_with(0);
    assert_eq!(end.last("complete")["read_back"], true);
    let verifying = |event: &&serde_json::Value| event["phase"] == "verifying";
    assert!(end.events.iter().any(|event| verifying(&event)), "it never said that it verifies");
    assert_equal(tree.path(), &stage.path("copy"));
    dismiss(seeder);
}
