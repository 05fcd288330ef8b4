//! Neighbours that die, freeze, come back, and that are many: real processes on the loopback interface.
//!
//! A fleet is never whole. What is tested here is that whoever is alive goes on and completes, that whoever comes back is noticed, and
//! that a list with one address is enough for sixty nodes to find each other.
//!
//! ```console
//! $ cargo test --test neighbours -- --nocapture              # also prints what frozen neighbours cost
//! $ cargo test --test neighbours -- --ignored --nocapture   # sixty processes
//! ```
//!
//! Invariant: everything is told from events and traces; nothing here depends on how fast the machine is, within wide bounds.
//!
//! Not here: firewalls and interfaces (`namespaces.rs`), one peer that is killed and resumes (`transfer.rs`).

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::node::number;
use common::{End, Node, Relay, Stage, Tree, assert_equal};
use rustix::process::Signal;
use serde_json::Value;
use strew::sim::replay::{Spans, replay};
use strew::units::Time;

/// Says what was measured; only `--nocapture` shows it.
#[allow(clippy::print_stderr)] // figures are for whoever runs this test by hand
fn say(text: &str) {
    eprintln!("{text}");
}

/// Why the neighbour at `address` went, in an event that says so.
fn parting(event: &Value, address: &str) -> Option<String> {
    let gone = event["state"] == "disconnected" && event["address"] == address;
    gone.then(|| event["reason"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_neighbour_that_was_killed_and_started_again_is_met_again_before_its_silence_is_noticed() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 1);
    tree.files(10, 50_000);
    let seeder = stage.seed(tree.path(), &[]);
    let listen = seeder.address();
    let peer = stage.pull(&stage.path("copy"), &[listen], &[]);
    peer.event("complete");
    seeder.kill();
    let mut command = stage.command(listen);
    command.arg("--src").arg(tree.path());
    let again = Node::start(command);
    // It does not know its old neighbours, so all depends on what it says to their packets.
    let reason = peer.until("end of the old connection", |event| parting(event, &listen.to_string()));
    assert!(reason.contains("reset"), "{reason}");
    again.connected_to(peer.address());
    for node in [again, peer] {
        assert_eq!(node.interrupt().code, 0);
    }
}

#[test]
fn a_killed_peer_that_comes_back_takes_the_place_of_its_earlier_run() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 2);
    tree.files(10, 50_000);
    let seeder = stage.seed(tree.path(), &[]);
    let first = stage.pull(&stage.path("copy"), &[seeder.address()], &[]);
    first.event("complete");
    let listen = first.address();
    first.kill();
    let mut command = stage.command(listen);
    command.arg("--dst").arg(stage.path("copy")).args(["--peer-list", &seeder.address().to_string()]);
    let again = Node::start(command);
    again.event("complete");
    let reason = seeder.until("end of the old connection", |event| parting(event, &listen.to_string()));
    assert!(["reset", "started again"].iter().any(|word| reason.contains(word)), "{reason}");
    assert_eq!(again.interrupt().code, 0);
    assert_eq!(seeder.interrupt().code, 0);
}

/// The longest time without a verified chunk in a node's run, before and after the moment `wall` (nanoseconds since 1970), from its
/// trace, which must be repeated as it was.
fn longest_gaps(trace: &Path, wall: u64) -> (Duration, Duration) {
    let mut replayed = replay(&fs::read(trace).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", trace.display()));
    let run = replayed.runs.remove(0);
    assert!(run.is_equal(), "{run}");
    let at = Time::from_nanos(wall.saturating_sub(run.header.wall));
    let first = run.progress.first().unwrap_or(at);
    (run.progress.longest_gap(first, at).0, run.progress.longest_gap(at, run.end).0)
}

/// Median and longest, in milliseconds.
fn median_and_most(spans: impl IntoIterator<Item = Duration>) -> (u128, u128) {
    let spans: Spans = spans.into_iter().collect();
    (spans.percentile(50).as_millis(), spans.longest().as_millis())
}

#[test]
fn frozen_and_killed_neighbours_keep_nobody_from_completing() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 3);
    (0..8).for_each(|n| drop(tree.file(format!("part {n}"), 8 << 20)));
    let seeder = stage.seed(tree.path(), &["--chunk-size", "256KiB"]);
    let total = number(&seeder.event("manifest"), "bytes");
    let victims: Vec<Node> =
        (0..4).map(|n| stage.pull(&stage.path(format!("victim {n}")), &[seeder.address()], &[])).collect();
    let traces: Vec<PathBuf> = (0..12).map(|n| stage.path(format!("trace {n}"))).collect();
    let peers: Vec<Node> = (traces.iter().enumerate())
        .map(|(n, trace)| {
            let words = ["--exit-complete", "--trace", trace.to_str().unwrap()];
            stage.pull(&stage.path(format!("copy {n}")), &[seeder.address()], &words)
        })
        .collect();
    for victim in &victims {
        victim.until("an eighth", |event| (event["bytes_done"].as_u64()? > total / 8).then_some(()));
    }
    let mut victims = victims.into_iter();
    let frozen: Vec<Node> = victims.by_ref().take(2).collect();
    frozen.iter().for_each(|node| node.signal(Signal::STOP));
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let from = u64::try_from(since.as_nanos()).unwrap();
    let killed = victims.map(Node::kill).map(|end| end.code).collect::<Vec<_>>();
    assert_eq!(killed, [-9, -9]);
    let ends: Vec<End> = peers.into_iter().map(|peer| peer.ends_with(0)).collect();
    (0..12).for_each(|n| assert_equal(tree.path(), &stage.path(format!("copy {n}"))));
    let (before, after): (Vec<Duration>, Vec<Duration>) = traces.iter().map(|trace| longest_gaps(trace, from)).unzip();
    let ((usual, longest), (median, most)) = (median_and_most(before), median_and_most(after));
    let mut times: Vec<u64> = ends.iter().map(|end| number(end.last("complete"), "elapsed_ms")).collect();
    times.sort_unstable();
    say(&format!(
        "12 of 16 complete after {} to {} ms; longest time without a verified chunk: median {median} ms, most {most} ms; before \
         anybody was frozen: median {usual} ms, most {longest} ms",
        times[0], times[11]
    ));
    // A connection to who is silent ends after ten seconds; whoever waited for that would be seen even on a machine that does much else.
    assert!(median < 5000 && most < 9000, "somebody waited for who was frozen: median {median} ms, most {most} ms");
    // Who was frozen goes on where it was.
    for node in &frozen {
        node.signal(Signal::CONT);
        node.event("complete");
    }
    for (n, node) in frozen.into_iter().enumerate() {
        assert_eq!(node.interrupt().code, 0);
        assert_equal(tree.path(), &stage.path(format!("victim {n}")));
    }
    assert_eq!(seeder.interrupt().code, 0);
}

#[test]
fn a_seeder_that_is_told_to_stop_does_not_wait_for_a_frozen_peer() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 4);
    tree.file("large", 32 << 20);
    let seeder = stage.seed(tree.path(), &[]);
    let total = number(&seeder.event("manifest"), "bytes");
    // It goes silent in the middle of chunks that it asked for.
    let relay = Relay::to(seeder.address(), total / 2);
    let peer = stage.pull(&stage.path("copy"), &[relay.address()], &[]);
    relay.until_stopped();
    peer.signal(Signal::STOP);
    let began = Instant::now();
    assert_eq!(seeder.interrupt().code, 0);
    say(&format!("it left after {} ms", began.elapsed().as_millis()));
    assert!(peer.last("bytes_done") < total, "nothing was under way");
}

/// Who is whose neighbour at the end, by address, as one node tells it.
fn neighbours(end: &End) -> BTreeSet<String> {
    let mut there = BTreeSet::new();
    for event in end.events.iter().filter(|event| event["event"] == "peer") {
        let address = event["address"].as_str().unwrap().to_owned();
        match event["state"].as_str() {
            Some("connected") => {
                there.insert(address);
            }
            Some("disconnected") => {
                there.remove(&address);
            }
            _ => {}
        }
    }
    there
}

/// The most neighbours that a node had at once.
fn most_neighbours(end: &End) -> u64 {
    end.events.iter().filter_map(|event| event["peers"].as_u64()).max().unwrap_or(0)
}

/// Everybody that can be reached from the first.
fn reached(mesh: &BTreeMap<String, BTreeSet<String>>) -> usize {
    let mut known: BTreeSet<&String> = mesh.keys().take(1).collect();
    let mut next: Vec<&String> = known.iter().copied().collect();
    while let Some(address) = next.pop() {
        for other in mesh.get(address).into_iter().flatten() {
            if known.insert(other) {
                next.push(other);
            }
        }
    }
    known.len()
}

#[test]
#[ignore = "sixty processes keep two cores busy for half a minute: cargo test --test neighbours -- --ignored --nocapture"]
fn sixty_nodes_that_know_the_seeder_only_become_one_mesh_without_crowds() {
    const NODES: usize = 60;
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 5);
    (0..4).for_each(|n| drop(tree.file(format!("part {n}"), 4 << 20)));
    let seeder = stage.seed(tree.path(), &["--chunk-size", "256KiB"]);
    let address = seeder.address();
    let words = ["--peer-wait-timeout", "60s", "--transfer-idle-timeout", "60s"];
    let peers: Vec<Node> =
        (1..NODES).map(|n| stage.pull(&stage.path(format!("copy {n}")), &[address], &words)).collect();
    peers.iter().for_each(|peer| drop(peer.event("complete")));
    let listens: Vec<String> = peers.iter().map(|peer| peer.address().to_string()).collect();
    // Whoever is killed says no good-bye, so each remembers the neighbours that it had.
    peers.iter().chain([&seeder]).for_each(|node| node.signal(Signal::KILL));
    let ends: Vec<End> = peers.into_iter().map(Node::ends).collect();
    let seeds = seeder.ends();
    let mesh: BTreeMap<String, BTreeSet<String>> = listens.iter().cloned().zip(ends.iter().map(neighbours)).collect();
    let mut degrees: Vec<usize> = mesh.values().map(BTreeSet::len).collect();
    degrees.sort_unstable();
    let mut most: Vec<u64> = ends.iter().map(most_neighbours).collect();
    most.sort_unstable();
    say(&format!(
        "neighbours at the end: least {}, median {}, most {}; at any time: median {}, most {}; the seeder had {}",
        degrees[0],
        degrees[degrees.len() / 2],
        degrees[degrees.len() - 1],
        most[most.len() / 2],
        most[most.len() - 1],
        most_neighbours(&seeds)
    ));
    for n in 1..NODES {
        assert_equal(tree.path(), &stage.path(format!("copy {n}")));
    }
    // Twelve are let in, and eight may have been dialled meanwhile.
    assert!(most[most.len() - 1] <= 12 + 8 && most_neighbours(&seeds) <= 32);
    // The seeder is everybody's hub as long as it lives; the mesh must hold without it.
    let mut peers_only = mesh;
    peers_only.values_mut().for_each(|others| others.retain(|other| *other != address.to_string()));
    assert_eq!(reached(&peers_only), NODES - 1, "the mesh falls apart without the seeder");
}
