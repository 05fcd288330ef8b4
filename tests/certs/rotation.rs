//! Renewal while a transfer runs: certificates with their authority, swarm keys, and files that are broken.
//!
//! The publisher is behind a relay that stops at each quarter, in the middle of chunks, so that every step falls into the transfer
//! however fast the machine is. A signal stands for the seconds until the files are looked at anyway.
//!
//! Invariant: nobody loses a connection or a chunk by a renewal.

use std::cell::Cell;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use crate::common::node::{ANY_PORT, bare, program};
use crate::common::{Node, Relay, Stage, Tree, assert_equal};
use crate::pki::{Pki, pull, seed};

/// The bytes of the source; the publisher sends at least so many.
const BYTES: usize = 32 << 20;
const CHUNK: [&str; 2] = ["--chunk-size", "64KiB"];

/// Puts a file in the place of another as whoever renews does.
fn replace(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    fs::write(&draft, text).unwrap();
    fs::set_permissions(&draft, Permissions::from_mode(0o600)).unwrap();
    fs::rename(draft, path).unwrap();
}

/// A relay to the publisher that stops after the first quarter.
fn relay(seeder: &Node) -> Relay {
    Relay::to(seeder.address(), BYTES as u64 / 4)
}

/// Takes the step with its number, 1 to 3, at the end of each quarter but the last, and lets the rest pass.
fn at_each_quarter(relay: &Relay, step: impl Fn(usize)) {
    for quarter in 1..=3 {
        relay.until_stopped();
        step(quarter);
        relay.allow((quarter as u64 + 1) * BYTES as u64 / 4);
    }
    relay.open();
}

/// Tells all to look at their files, and waits until each has used new ones so many times.
fn renewed(nodes: &[&Node], times: usize) {
    for node in nodes {
        node.signal(Signal::HUP);
    }
    for node in nodes {
        let seen = Cell::new(0);
        node.until("renewal", |event| {
            seen.set(seen.get() + usize::from(event["event"] == "renewed"));
            (seen.get() == times).then_some(())
        });
    }
}

/// Waits until all are complete and ends them; asserts that nothing failed and nobody was lost meanwhile.
fn unharmed(peers: Vec<Node>, source: &Path, copies: &[PathBuf]) {
    for peer in &peers {
        peer.event("complete");
    }
    for (peer, copy) in peers.into_iter().zip(copies) {
        let end = peer.interrupt();
        assert_eq!((end.total("chunks_bad"), end.code), (0, 0), "{}", end.log);
        let complete = end.events.iter().position(|event| event["event"] == "complete").unwrap();
        let before = &end.events[..complete];
        // The newcomer may be complete first, and leave.
        let left = |event: &&Value| event["reason"].as_str().is_some_and(|reason| reason.contains("leav"));
        let is_loss = |event: &&Value| event["event"] == "warning" || event["state"] == "disconnected";
        let lost = before.iter().find(|event| is_loss(event) && !left(event));
        assert_eq!(lost, None);
        assert_eq!(before.iter().filter(|event| event["event"] == "renewed").count(), 3, "all during the transfer");
        assert_equal(source, copy);
    }
}

/// Authorities, certificate and key in one text, as `--bundle` takes it.
fn bundle(authorities: &str, folder: &Path) -> String {
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| fs::read_to_string(folder.join(name)).unwrap());
    format!("{authorities}{certificate}{key}")
}

/// The program with a bundle.
fn bundled(file: &Path, words: &[&str], path: &Path, peer: Option<SocketAddr>) -> Node {
    let mut command = bare(&[program()]);
    command.arg("--bundle").arg(file).args(["--listen-addr", ANY_PORT]).args(words).arg(path);
    if let Some(peer) = peer {
        command.args(["--peer-list", &peer.to_string()]);
    }
    Node::start(command)
}

#[test]
fn an_authority_and_all_its_certificates_are_replaced_while_a_transfer_runs() {
    let (old, new) = (Pki::new(), Pki::new());
    let mut tree = Tree::new(old.path("source"), 1);
    tree.file("a", BYTES);
    let [before, after] = [&old, &new].map(|pki| fs::read_to_string(pki.path("ca.pem")).unwrap());
    let both = format!("{before}{after}");
    let names = ["seeder", "first", "second"];
    let files = names.map(|name| old.path(format!("{name}.bundle")));
    let lay = |authorities: &str, pki: &Pki, fresh: bool| {
        for (name, file) in names.iter().zip(&files) {
            let folder = if fresh { pki.issue(name, role(name)) } else { pki.path(name) };
            replace(file, &bundle(authorities, &folder));
        }
    };
    lay(&before, &old, true);
    let seeder = bundled(&files[0], &[CHUNK[0], CHUNK[1], "--src"], tree.path(), None);
    let copies = [old.path("copy 1"), old.path("copy 2")];
    let relay = relay(&seeder);
    let peers: Vec<Node> =
        (0..2).map(|n| bundled(&files[n + 1], &["--dst"], &copies[n], Some(relay.address()))).collect();
    // Both authorities are believed first, then the new one issues, then the old one is forgotten.
    let steps = [(&both, &old, true), (&both, &new, true), (&after, &new, false)];
    at_each_quarter(&relay, |number| {
        let (authorities, pki, fresh) = steps[number - 1];
        lay(authorities, pki, fresh);
        renewed(&[&seeder, &peers[0], &peers[1]], number);
    });
    // A newcomer that knows the new authority alone believes what the publisher signed anew.
    let late = pull(&new.issue("late", "peer"), &new.path("copy"), &[seeder.address()], &["--exit-complete"]);
    late.event("manifest");
    unharmed(peers, tree.path(), &copies);
    late.ends_with(0);
    assert_equal(tree.path(), &new.path("copy"));
    assert_eq!(seeder.interrupt().code, 0);
}

fn role(name: &str) -> &'static str {
    if name == "seeder" { "seed" } else { "peer" }
}

#[test]
fn a_swarm_key_is_replaced_while_a_transfer_runs() {
    let [old, new] = [Stage::new(), Stage::new()];
    let mut tree = Tree::new(old.path("source"), 2);
    tree.file("a", BYTES);
    let file = old.path("swarm.key");
    replace(&file, old.key());
    let start = |words: &[&str], path: &Path, peer: Option<SocketAddr>| {
        let mut command = bare(&[program()]);
        command.arg("--key-file").arg(&file).args(["--listen-addr", ANY_PORT]).args(words).arg(path);
        if let Some(peer) = peer {
            command.args(["--peer-list", &peer.to_string()]);
        }
        Node::start(command)
    };
    let seeder = start(&[CHUNK[0], CHUNK[1], "--src"], tree.path(), None);
    let copies = ["copy 1", "copy 2", "copy 3"].map(|name| old.path(name));
    let relay = relay(&seeder);
    let peers: Vec<Node> = (0..2).map(|n| start(&["--dst"], &copies[n], Some(relay.address()))).collect();
    let steps =
        [format!("{}\n{}", old.key(), new.key()), format!("{}\n{}", new.key(), old.key()), new.key().to_owned()];
    at_each_quarter(&relay, |number| {
        replace(&file, &steps[number - 1]);
        renewed(&[&seeder, &peers[0], &peers[1]], number);
    });
    // The newcomer has the new key alone.
    let late = start(&["--exit-complete", "--dst"], &copies[2], Some(seeder.address()));
    late.event("manifest");
    unharmed(peers, tree.path(), &copies);
    late.ends_with(0);
    assert_equal(tree.path(), &copies[2]);
    seeder.interrupt();
}

#[test]
fn a_broken_new_pair_leaves_the_old_one_in_use_and_is_told_once() {
    let pki = Pki::new();
    let mut tree = Tree::new(pki.path("source"), 3);
    tree.file("a", 100_000);
    let folder = pki.issue("seeder", "seed");
    let seeder = seed(&folder, tree.path(), &[]);
    let address = seeder.address();
    seeder.event("manifest");
    let good = fs::read_to_string(folder.join("cert.pem")).unwrap();
    replace(&folder.join("cert.pem"), &good[..good.len() / 2]);
    seeder.signal(Signal::HUP);
    let warning = seeder.event("warning");
    assert!(warning["message"].as_str().unwrap().contains("the old one stays"), "{warning}");
    pull(&pki.issue("peer", "peer"), &pki.path("copy"), &[address], &["--exit-complete"]).ends_with(0);
    assert_equal(tree.path(), &pki.path("copy"));
    pki.issue("seeder", "seed");
    seeder.event("renewed");
    let end = seeder.interrupt();
    assert_eq!(end.events.iter().filter(|event| event["event"] == "warning").count(), 1);
}
