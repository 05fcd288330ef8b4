//! Paths of large packets: used without being asked for, and no harm where only the machines' own interfaces take them.
//!
//! Batches of the kernel's offload travel as one packet through virtual devices, so they are switched off: what is counted is what a wire
//! would carry.
//!
//! Invariant: what is asserted is a mean of bytes over packets, which does not depend on how busy the machine is.
//!
//! Not here: what large packets save (docs/benchmarks.md).

use std::net::SocketAddr;

use serde_json::Value;

use crate::common::{Node, Stage, Tree, assert_equal};
use crate::network::Network;

/// Where both machines listen.
const LISTEN: &str = "0.0.0.0:10090";

/// Moves 16 MiB from machine 0 to machine 1, and says how long packets were on average.
fn mean_packet(network: &Network) -> f64 {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), 50);
    tree.file("large", 16 << 20);
    (0..2).for_each(|at| _ = network.ip(at, "link set eth0 gso_max_segs 1"));
    let mut command = network.command(0, &stage, LISTEN);
    command.arg("--src").arg(tree.path());
    let publisher = Node::start(command);
    publisher.event("manifest");
    let copy = stage.path("copy");
    let seeder: SocketAddr = (network.v4(0), 10090).into();
    let mut command = network.command(1, &stage, LISTEN);
    command.arg("--dst").arg(&copy).args(["--peer-list", &seeder.to_string(), "--exit-complete"]);
    Node::start(command).ends_with(0);
    assert_equal(tree.path(), &copy);
    let told: Value = serde_json::from_str(&network.ip(1, "-s -j link show eth0")).unwrap();
    let count = |name: &str| told[0]["stats64"]["rx"][name].as_f64().unwrap_or_else(|| panic!("no {name} in {told}"));
    count("bytes") / count("packets")
}

#[test]
#[ignore = "needs root: cargo test --test namespaces -- --ignored"]
fn a_path_of_9000_bytes_is_used_without_being_asked_for() {
    let network = Network::new(2);
    (0..2).for_each(|at| network.widen(at, 9000, 9000));
    let mean = mean_packet(&network);
    assert!(mean > 4000.0, "{mean} bytes to a packet");
}

#[test]
#[ignore = "needs root: cargo test --test namespaces -- --ignored"]
fn a_path_that_drops_what_interfaces_take_still_works() {
    let network = Network::new(2);
    (0..2).for_each(|at| network.widen(at, 9000, 1500));
    let mean = mean_packet(&network);
    assert!((1000.0..1515.0).contains(&mean), "{mean} bytes to a packet");
}
