//! What goes wrong before and during transfers: the code and the message of each, and what is left behind.
//!
//! A job controller decides by the code whether to try again, and a person by the message what to mend; both are promises. Nothing here
//! needs root.
//!
//! Invariant: whatever happens, nothing that is not whole and verified is under a final name.
//!
//! Not here: wrong command lines (`cli.rs`), full disks and broken networks (`namespaces.rs`).

mod common;

use std::fs::{self, Permissions};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use common::node::{ANY_PORT, bare, program};
use common::{End, LOOK_EVERY, Node, PATIENCE, Relay, Stage, Tree, assert_equal};
use rustix::process::Signal;

/// A stage with a small tree.
fn stage_with_tree(seed: u64) -> (Stage, Tree) {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), seed);
    tree.files(10, 20_000);
    (stage, tree)
}

/// Publishes `src` and ends, because it must not even start to.
fn refused_seed(stage: &Stage, name: &str) -> End {
    stage.seed(&stage.path(name), &[]).ends()
}

#[test]
fn peers_with_another_key_are_refused_and_told_so() {
    let (stage, tree) = stage_with_tree(1);
    let stranger = Stage::new();
    let seeder = stage.seed(tree.path(), &[]);
    let copy = stranger.path("copy");
    let began = Instant::now();
    let end = stranger.pull(&copy, &[seeder.address()], &["--exit-complete"]).ends();
    end.failed(3, &["swarm key"]);
    assert!(began.elapsed() < Duration::from_secs(15), "a wrong key was tried until the time for peers was over");
    let seeds = seeder.interrupt();
    assert_eq!((seeds.code, seeds.total("uploaded"), seeds.total("peers_seen")), (0, 0, 0));
    let learned = end.events.iter().any(|event| event["event"] == "manifest");
    assert!(!learned, "a stranger learned what is replicated");
}

#[test]
fn a_node_without_a_key_does_not_start() {
    let stage = Stage::new();
    let mut command = bare(&[program()]);
    command.arg("--dst").arg(stage.path("copy")).args(["--peer-list", "127.0.0.1:1"]);
    Node::start(command).ends().failed(2, &["no swarm key", "strew key new"]);
    assert!(!stage.path("copy").exists());
}

#[test]
fn a_key_file_that_others_can_read_is_refused_and_a_group_s_is_not() {
    let (stage, tree) = stage_with_tree(2);
    let key = stage.path("swarm.key");
    fs::write(&key, stage.key()).unwrap();
    let start = |mode| {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        let mut command = bare(&[program()]);
        command.args(["--listen-addr", ANY_PORT, "--src"]).arg(tree.path()).arg("--key-file").arg(&key);
        Node::start(command)
    };
    for mode in [0o604, 0o644, 0o602] {
        start(mode).ends().failed(2, &["swarm.key", "chmod 6"]);
    }
    for mode in [0o600, 0o640] {
        let seeder = start(mode);
        seeder.event("manifest");
        assert_eq!(seeder.interrupt().code, 0);
    }
}

#[test]
fn unreachable_peers_end_a_pull_when_its_patience_does() {
    let stage = Stage::new();
    // Bound and never read: whoever sends there hears nothing.
    let socket = UdpSocket::bind(ANY_PORT).unwrap();
    let nobody = UdpSocket::bind(ANY_PORT).unwrap().local_addr().unwrap();
    let words = ["--peer-wait-timeout", "1500ms"];
    let began = Instant::now();
    let silent = socket.local_addr().unwrap();
    let end = stage.pull(&stage.path("copy"), &[silent, nobody], &words).ends();
    let why = [format!("no answer at all from {silent} over UDP"), format!("no program listens on UDP {nobody}")];
    end.failed(4, &["no peer offered a content within 1.5s", "peer list", &why[0], &why[1]]);
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(1500) && waited < Duration::from_secs(6), "it waited {waited:?}");
    assert_eq!(end.total("exit_code"), 4);
}

#[test]
fn sources_that_are_no_sources_are_named() {
    let (stage, mut tree) = stage_with_tree(3);
    refused_seed(&stage, "nowhere").failed(2, &["nowhere", "check the path"]);
    tree.fifo("pipe");
    refused_seed(&stage, "source/pipe").failed(2, &["pipe", "neither a directory nor a regular file"]);
}

#[test]
fn what_is_in_the_way_in_a_destination_stays() {
    let (stage, mut tree) = stage_with_tree(4);
    tree.file("name", 100);
    tree.file("folder/name", 100);
    let seeder = stage.seed(tree.path(), &[]);
    let pull = |name: &str| stage.pull(&stage.path(name), &[seeder.address()], &["--exit-complete"]).ends();

    fs::write(stage.path("a file"), "mine").unwrap();
    let end = pull("a file");
    assert!(matches!(end.code, 2 | 5), "{}: {}", end.code, end.log);
    assert!(end.error().contains("a file"), "{}", end.error());
    assert_eq!(fs::read(stage.path("a file")).unwrap(), b"mine");

    fs::create_dir_all(stage.path("copy/name/mine")).unwrap();
    pull("copy").failed(2, &["copy/name", "move it away"]);
    assert!(stage.path("copy/name/mine").is_dir());

    fs::create_dir_all(stage.path("other")).unwrap();
    fs::write(stage.path("other/folder"), "mine").unwrap();
    pull("other").failed(2, &["other/folder", "move it away"]);
    assert_eq!(fs::read(stage.path("other/folder")).unwrap(), b"mine");
}

#[test]
fn links_in_a_destination_are_not_followed_out_of_it() {
    let (stage, mut tree) = stage_with_tree(5);
    tree.file("folder/victim", 100);
    tree.file("victim", 100);
    for name in ["outside", "copy"] {
        fs::create_dir(stage.path(name)).unwrap();
    }
    fs::write(stage.path("outside/victim"), "mine").unwrap();
    symlink("../outside", stage.path("copy/folder")).unwrap();
    symlink("../outside/victim", stage.path("copy/victim")).unwrap();
    let seeder = stage.seed(tree.path(), &[]);
    let end = stage.pull(&stage.path("copy"), &[seeder.address()], &["--exit-complete"]).ends();
    end.failed(2, &["symlink", "move it away"]);
    assert_eq!(fs::read(stage.path("outside/victim")).unwrap(), b"mine");
    assert_eq!(fs::read_dir(stage.path("outside")).unwrap().count(), 1);
}

#[test]
fn a_destination_has_one_writer() {
    let (stage, tree) = stage_with_tree(6);
    let seeder = stage.seed(tree.path(), &[]);
    let first = stage.pull(&stage.path("copy"), &[seeder.address()], &[]);
    first.event("complete");
    let second = stage.pull(&stage.path("copy"), &[seeder.address()], &["--exit-complete"]).ends();
    second.failed(7, &["another strew", "copy"]);
    assert_eq!(first.interrupt().code, 0);
    stage.pull(&stage.path("copy"), &[seeder.address()], &["--exit-complete"]).ends_with(0);
    assert_equal(tree.path(), &stage.path("copy"));
}

#[test]
fn signals_before_completion_are_told_from_signals_after_it() {
    let (stage, tree) = stage_with_tree(7);
    for (signal, before) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let waiting = stage.pull(&stage.path("waiting"), &["127.0.0.1:1".parse().unwrap()], &[]);
        waiting.event("start");
        waiting.signal(signal);
        waiting.ends_with(before);

        let seeder = stage.seed(tree.path(), &[]);
        let peer = stage.pull(&stage.path(format!("copy {before}")), &[seeder.address()], &[]);
        peer.event("complete");
        for node in [peer, seeder] {
            node.signal(signal);
            assert_eq!(node.ends_with(0).total("exit_code"), 0);
        }
    }
}

#[test]
fn source_and_destination_within_each_other_are_refused() {
    let (stage, tree) = stage_with_tree(8);
    symlink("source", stage.path("link")).unwrap();
    for destination in ["source", "source/many/copy", "link/copy", "."] {
        let mut command = stage.pull_command(&stage.path(destination), &[], &[]);
        command.arg("--src").arg(tree.path());
        Node::start(command).ends().failed(2, &["overlap", "outside the source"]);
    }
    assert!(!stage.path("source/many/copy").exists() && !stage.path("source/.strew").exists());
}

#[test]
fn links_that_lead_outside_are_listed_kept_or_left_out_as_asked() {
    let (stage, tree) = stage_with_tree(9);
    for (name, to) in [("out", "../elsewhere"), ("absolute", "/etc/hostname"), ("inside", "many")] {
        symlink(to, tree.path().join(name)).unwrap();
    }
    refused_seed(&stage, "source").failed(2, &["out", "absolute", "--symlinks keep", "--symlinks skip"]);

    let keeper = stage.seed(tree.path(), &["--symlinks", "keep"]);
    let pull = |name: &str, peer: &Node, words: &[&str]| {
        stage.pull(&stage.path(name), &[peer.address()], &[words, &["--exit-complete"]].concat()).ends()
    };
    // Whoever pulls decides for itself what may lie on its disk.
    pull("refusing", &keeper, &[]).failed(2, &["lead outside", "--symlinks keep"]);
    assert_eq!(pull("kept", &keeper, &["--symlinks", "keep"]).code, 0);
    assert_equal(tree.path(), &stage.path("kept"));

    let skipper = stage.seed(tree.path(), &["--symlinks", "skip"]);
    let end = pull("skipped", &skipper, &[]);
    assert_eq!(end.code, 0, "{}", end.log);
    assert!(skipper.event("warning")["message"].as_str().unwrap().contains("2 symlinks"));
    for name in ["out", "absolute"] {
        assert!(fs::symlink_metadata(stage.path("skipped").join(name)).is_err(), "{name} was not left out");
        fs::remove_file(tree.path().join(name)).unwrap();
    }
    let found = |root: &std::path::Path| fs::read_link(root.join("inside")).unwrap();
    assert_eq!(found(&stage.path("skipped")), found(tree.path()));
}

#[test]
fn a_port_in_use_is_said_before_a_source_is_read() {
    let (stage, tree) = stage_with_tree(10);
    let taken = UdpSocket::bind(ANY_PORT).unwrap();
    let mut command = stage.command(taken.local_addr().unwrap());
    command.arg("--src").arg(tree.path());
    let port = taken.local_addr().unwrap().port().to_string();
    let end = Node::start(command).ends();
    end.failed(5, &[&port, "already listens", "--listen-addr"]);
    assert!(end.events.iter().all(|event| event["event"] != "manifest"));
}

#[test]
fn a_closed_standard_output_does_not_end_a_transfer() {
    let (stage, tree) = stage_with_tree(11);
    let seeder = stage.seed(tree.path(), &[]);
    for (name, words) in [("closed", ">&-"), ("closed too", ">&- 2>&-")] {
        let pull = stage.pull_command(&stage.path(name), &[seeder.address()], &["--exit-complete"]);
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("exec \"$@\" {words}"), "sh"]).arg(pull.get_program()).args(pull.get_args());
        shell.env("STREW_KEY", stage.key());
        Node::start(shell).ends_with(0);
        assert_equal(tree.path(), &stage.path(name));
    }
    // A reader that goes away in the middle is no reason to stop either.
    let (reader, writer) = std::io::pipe().unwrap();
    let mut pull = stage.pull_command(&stage.path("unread"), &[seeder.address()], &["--exit-complete"]);
    let mut child = pull.stdout(OwnedFd::from(writer)).stderr(std::process::Stdio::null()).spawn().unwrap();
    drop((reader, pull));
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                child.kill().unwrap();
                panic!("it does not end");
            }
            None => std::thread::sleep(LOOK_EVERY),
        }
    };
    assert!(status.success(), "{status}");
    assert_equal(tree.path(), &stage.path("unread"));
}

#[test]
fn a_publisher_of_another_content_is_dropped_alone() {
    let (stage, mut tree) = stage_with_tree(12);
    tree.file("large", 4 << 20);
    let mut other = Tree::new(stage.path("other"), 99);
    other.files(5, 10_000);
    let seeder = stage.seed(tree.path(), &[]);
    // It is held in the middle of the first content, so that the other one comes too late whatever happens. A quarter of it is far more
    // than handshake, manifest and probes for the largest datagram need.
    let relay = Relay::to(seeder.address(), 1 << 20);
    let peer = stage.pull(&stage.path("copy"), &[relay.address()], &[]);
    peer.event("manifest");
    let mut command = stage.command(ANY_PORT);
    command.arg("--src").arg(other.path()).args(["--peer-list", &peer.address().to_string()]);
    let stranger = Node::start(command);
    let dropped = |event: &serde_json::Value| {
        (event["state"] == "disconnected" && event["reason"].as_str()?.contains("another content")).then_some(())
    };
    stranger.until("parting from who follows another content", dropped);
    relay.open();
    peer.event("complete");
    assert_equal(tree.path(), &stage.path("copy"));
    for node in [peer, seeder, stranger] {
        assert_eq!(node.interrupt().code, 0);
    }
}

#[test]
fn nobody_joins_who_only_sends_noise() {
    let (stage, tree) = stage_with_tree(13);
    let seeder = stage.seed(tree.path(), &[]);
    let (noise, mut rng) = (UdpSocket::bind(ANY_PORT).unwrap(), fastrand::Rng::with_seed(13));
    for len in 0..1400 {
        let mut datagram = vec![0; len];
        rng.fill(&mut datagram);
        noise.send_to(&datagram, seeder.address()).unwrap();
    }
    stage.pull(&stage.path("copy"), &[seeder.address()], &["--exit-complete"]).ends_with(0);
    assert_equal(tree.path(), &stage.path("copy"));
    assert_eq!(seeder.interrupt().total("peers_seen"), 1);
}
