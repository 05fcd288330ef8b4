//! Transfers over real interfaces, and disks and networks that fail: what only root can set up.
//!
//! Every machine is a network namespace with an interface of its own, joined by a bridge in one more namespace, so that nothing of the
//! machine that runs the tests is changed. Small disks are tmpfs mounts. All of it is taken down when a test ends, also when it fails.
//!
//! ```console
//! $ cargo test --test namespaces -- --ignored --test-threads=1
//! ```
//!
//! Invariant: no namespace and no mount outlives its test.
//!
//! Not here: speed over such links.

mod common;

#[path = "namespaces/firewall.rs"]
mod firewall;
#[path = "namespaces/fleet.rs"]
mod fleet;
#[path = "namespaces/jumbo.rs"]
mod jumbo;
#[path = "namespaces/network.rs"]
mod network;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use common::node::{Stage, number};
use common::{Node, Relay, Tree, assert_equal, assert_only_whole_files};
use network::{Network, run};

/// A mount that ends with its test.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    /// A disk of `size`, in the words of tmpfs(5).
    fn small(at: &'a Path, size: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        run("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", at.to_str().unwrap()]);
        Self(at)
    }

    /// What is at `from`, for reading only.
    fn read_only(from: &Path, at: &'a Path) -> Self {
        fs::create_dir_all(at).unwrap();
        run("mount", &["--bind", from.to_str().unwrap(), at.to_str().unwrap()]);
        let mount = Self(at);
        run("mount", &["-o", "remount,bind,ro", at.to_str().unwrap()]);
        mount
    }

    fn resize(&self, size: &str) {
        run("mount", &["-o", &format!("remount,size={size}"), self.0.to_str().unwrap()]);
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        // Lazily, as a process that a failed test left behind may have a file open for one moment more.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
#[ignore = "needs root: cargo test --test namespaces -- --ignored"]
fn a_destination_without_room_is_refused_before_anything_is_written() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 1);
    tree.file("large", 12 << 20);
    let copy = stage.path("copy");
    let disk = Mount::small(&copy, "8m");
    let seeder = stage.seed(tree.path(), &[]);
    let pull = || stage.pull(&copy, &[seeder.address()], &["--exit-complete"]).ends();
    let end = pull();
    end.failed(5, &["copy", "free some space", "12.0 MiB"]);
    assert_eq!(end.total("received"), 0);
    assert_eq!(assert_only_whole_files(tree.path(), &copy), 0);
    disk.resize("32m");
    assert_eq!(pull().code, 0);
    assert_equal(tree.path(), &copy);
}

#[test]
#[ignore = "needs root: cargo test --test namespaces -- --ignored"]
fn a_sparse_file_that_is_longer_than_the_disk_fits() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 7);
    let file = tree.file("sparse", 1 << 20);
    fs::File::options().write(true).open(file).unwrap().set_len(200 << 20).unwrap();
    let copy = stage.path("copy");
    let _disk = Mount::small(&copy, "8m");
    let seeder = stage.seed(tree.path(), &[]);
    stage.pull(&copy, &[seeder.address()], &["--exit-complete"]).ends_with(0);
    assert_equal(tree.path(), &copy);
}

#[test]
#[ignore = "needs root: cargo test --test namespaces -- --ignored"]
fn a_disk_that_fills_up_in_the_middle_keeps_what_came() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 2);
    tree.files(40, 100_000);
    tree.file("large", 10 << 20);
    let copy = stage.path("copy");
    let _disk = Mount::small(&copy, "16m");
    let seeder = stage.seed(tree.path(), &[]);
    let total = number(&seeder.event("manifest"), "bytes");
    let relay = Relay::to(seeder.address(), total / 2);
    let peer = stage.pull(&copy, &[relay.address()], &["--exit-complete"]);
    relay.until_stopped();
    // Somebody else takes all the room that is left.
    let filler = copy.join("filler");
    let full = fs::write(&filler, vec![1; 16 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    relay.open();
    peer.ends().failed(5, &["no space left", "free some space"]);
    fs::remove_file(filler).unwrap();
    assert!(assert_only_whole_files(tree.path(), &copy) < 41);

    let end = stage.pull(&copy, &[seeder.address()], &["--exit-complete"]).ends_with(0);
    assert_equal(tree.path(), &copy);
    assert!(end.total("bytes_kept") > total / 4, "only {} of {total} bytes were kept", end.total("bytes_kept"));
}

#[test]
#[ignore = "needs root: cargo test --test namespaces -- --ignored"]
fn a_finished_copy_serves_from_a_read_only_mount() {
    let stage = Stage::new();
    let tree = Tree::hostile(stage.path("source"), 3);
    let seeder = stage.seed(tree.path(), &[]);
    stage.pull(&stage.path("copy"), &[seeder.address()], &["--exit-complete"]).ends_with(0);
    assert_eq!(seeder.interrupt().code, 0);

    let frozen = stage.path("frozen");
    let _mount = Mount::read_only(&stage.path("copy"), &frozen);
    assert!(fs::write(frozen.join("new"), "").is_err(), "the mount is not read-only");
    let server = stage.pull(&frozen, &[], &["--verify-on-complete"]);
    let end = stage.pull(&stage.path("second"), &[server.address()], &["--exit-complete"]).ends_with(0);
    assert_equal(tree.path(), &stage.path("second"));
    let served = server.interrupt();
    assert_eq!(served.code, 0, "{}", served.log);
    assert_eq!((end.total("peers_seen"), end.total("bytes_done")), (1, end.total("bytes_total")));
}

#[test]
#[ignore = "needs root: cargo test --test namespaces -- --ignored"]
fn machines_reach_each_other_by_both_families_on_the_default_port() {
    let stage = Stage::new();
    let tree = Tree::hostile(stage.path("source"), 4);
    let network = Network::new(3);
    let mut command = network.command(0, &stage, "[::]:10090");
    command.arg("--src").arg(tree.path());
    let seeder = Node::start(command);
    seeder.event("manifest");
    // Both reach the one socket of the seeder, and each other by what it tells them.
    let peers = [network.v4(0), network.v6(0)].map(|address| address.to_string());
    let names = ["by v4", "by v6"];
    let peers = [0, 1].map(|at| {
        let mut command = network.command(at + 1, &stage, "[::]:10090");
        command.arg("--dst").arg(stage.path(names[at])).args(["--peer-list", &peers[at]]);
        Node::start(command)
    });
    for (at, peer) in peers.iter().enumerate() {
        peer.event("complete");
        let other = 2 - at;
        let addresses = [network.v4(other).to_string(), network.v6(other).to_string()].map(|ip| ip.to_string());
        peer.until("connection to the other peer", |event| {
            let address: SocketAddr = event["address"].as_str()?.parse().ok()?;
            addresses.contains(&address.ip().to_canonical().to_string()).then_some(())
        });
        assert_equal(tree.path(), &stage.path(names[at]));
    }
    for node in peers.into_iter().chain([seeder]) {
        assert_eq!(node.interrupt().code, 0);
    }
}

#[test]
#[ignore = "needs root: cargo test --test namespaces -- --ignored"]
fn a_peer_that_was_cut_off_for_a_while_completes() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 5);
    tree.file("large", 24 << 20);
    let network = Network::new(3);
    // Slow enough that both peers are in the middle of it when one is cut off.
    network.limit(0, "50mbit");
    let mut command = network.command(0, &stage, "[::]:10090");
    command.arg("--src").arg(tree.path());
    let seeder = Node::start(command);
    seeder.event("manifest");
    let peers = [1, 2].map(|at| {
        let mut command = network.command(at, &stage, "[::]:10090");
        command.arg("--dst").arg(stage.path(format!("copy {at}"))).args(["--peer-list", &network.v4(0).to_string()]);
        Node::start(command)
    });
    let [cut, other] = &peers;
    let moving = |event: &serde_json::Value| (event["bytes_done"].as_u64()? > 1 << 20).then_some(());
    peers.iter().for_each(|peer| peer.until("first MiB", moving));
    let partition = network.cut_off(1);
    let began = Instant::now();
    // The connections end after 10 s of silence; a cut shorter than that would not show whether they come back.
    cut.until("end of its connection", |event| (event["state"] == "disconnected").then_some(()));
    thread::sleep(Duration::from_secs(12).saturating_sub(began.elapsed()));
    assert!(cut.last("bytes_done") < 24 << 20, "it was complete before it was cut off");
    other.event("complete");
    drop(partition);
    cut.event("complete");
    for (at, peer) in peers.into_iter().enumerate() {
        assert_equal(tree.path(), &stage.path(format!("copy {}", at + 1)));
        assert_eq!(peer.interrupt().code, 0);
    }
}
