//! Fleets: several publishers of equal trees, the peers that copy from all of them, and who gave how much.
//!
//! What a publisher gave is read from those who took it, since a publisher that was killed tells nothing.
//!
//! Invariant: bytes count whole chunks, also those that came twice or were thrown away.
//!
//! Not here: links and namespaces (`namespaces/network.rs`).

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Instant;

use super::node::{End, Node, Stage, program};
use super::tree::{Tree, set_all_times};
use super::{LOOK_EVERY, PATIENCE, assert_equal};

/// The same tree in folders of their own: so many random MiB in one file, some small files, and real ones: the program under test,
/// and its sources.
pub(crate) fn equal_trees<const N: usize>(stage: &Stage, names: [&str; N], mib: usize, seed: u64) -> [Tree; N] {
    names.map(|name| {
        let mut tree = Tree::new(stage.path(name), seed);
        tree.file("large", mib << 20);
        tree.files(30, 60_000);
        fs::copy(program(), tree.path().join("program")).unwrap();
        copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &tree.path().join("real"));
        set_all_times(tree.path(), 1_600_000_000);
        tree
    })
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Waits until the nodes hold this share of `total` bytes, on average, and returns what they hold by then.
pub(crate) fn until_held(nodes: &[Node], total: u64, share: f64) -> f64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let held: u64 = nodes.iter().map(|node| node.last("bytes_done")).sum();
        let held = held as f64 / (total * nodes.len() as u64) as f64;
        if held >= share {
            return held;
        }
        assert!(Instant::now() < deadline, "they hold {held} instead of {share}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Bytes that came to these nodes, started with `--statistics`, from who listens there.
pub(crate) fn came_from(ends: &[End], address: SocketAddr) -> u64 {
    let sources = ends.iter().flat_map(|end| end.last("summary")["sources"].as_array().expect("no --statistics"));
    let of_it = sources.filter(|source| {
        let name: SocketAddr = source["name"].as_str().unwrap().parse().unwrap();
        (name.ip().to_canonical(), name.port()) == (address.ip(), address.port())
    });
    of_it.map(|source| source["received"].as_u64().unwrap()).sum()
}

/// Waits until all are complete, sends them away, and asserts that each copy is whole; returns how they ended.
pub(crate) fn complete(nodes: Vec<Node>, source: &Path, copies: &[impl AsRef<Path>]) -> Vec<End> {
    for node in &nodes {
        node.event("complete");
    }
    let ends: Vec<End> = nodes.into_iter().map(Node::interrupt).collect();
    for (end, copy) in ends.iter().zip(copies) {
        assert_eq!(end.code, 0, "a signal after completion is no failure: {}", end.log);
        assert_equal(source, copy.as_ref());
    }
    ends
}
