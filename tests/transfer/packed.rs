//! Compression with real processes: peers that ask for it beside peers that do not.
//!
//! Invariant: copies are equal whoever asks how, and what travelled is less than what it was where there is something to save.
//!
//! Not here: how much quicker that is, which is measured over links and not asserted.

use std::fs;

use crate::common::{End, Stage, Tree, assert_equal};

/// Text such as logs are: 3 MiB in one file, some in many, and noise beside it.
fn text_and_noise(stage: &Stage, seed: u64) -> Tree {
    let mut tree = Tree::new(stage.path("source"), seed);
    let line = |n: usize| format!("{n:08} peer {} holds chunk {} of {}\n", n * 7 % 97, n * 31 % 4099, n % 13);
    let text: String = (0..80_000).map(line).collect();
    fs::write(tree.path().join("log"), &text).unwrap();
    for n in 0..20 {
        fs::write(tree.path().join(format!("log {n}")), &text[n * 1000..n * 1000 + 20_000]).unwrap();
    }
    tree.file("noise", 300_000);
    tree
}

/// The share of its bytes that came over the wire.
fn share(end: &End) -> f64 {
    end.total("wire_received") as f64 / end.total("bytes_total") as f64
}

#[test]
fn peers_with_and_without_compression_serve_each_other() {
    let stage = Stage::new();
    let tree = text_and_noise(&stage, 50);
    let seeder = stage.seed(tree.path(), &["--chunk-size", "64KiB", "--compress-level", "3"]);
    let asks = [("a", "zstd"), ("b", "auto"), ("c", "none"), ("d", "")];
    let peers = asks.map(|(name, kind)| {
        stage.pull(&stage.path(name), &[seeder.address()], &[&format!("--compress-type={kind}"), "--statistics"])
    });
    for peer in &peers {
        peer.event("complete");
    }
    let ends = peers.map(|peer| peer.interrupt());
    for ((name, _), end) in asks.iter().zip(&ends) {
        assert_eq!((end.code, end.total("chunks_bad")), (0, 0), "{name}: {}", end.log);
        assert_equal(tree.path(), &stage.path(name));
        assert!(end.total("received") >= end.total("bytes_total"), "what it was counts, not what travelled");
    }
    assert!(share(&ends[0]) < 0.6, "{}", share(&ends[0]));
    // On a path as quick as this one it depends on the processor whether packing pays.
    assert!(share(&ends[1]) < 1.1, "{}", share(&ends[1]));
    // What was brought from both ends in the end game came in part twice, never in part only.
    assert!(ends[2..].iter().all(|end| share(end) >= 1.0));
    assert_eq!(seeder.interrupt().code, 0);
}

#[test]
fn a_copy_of_an_earlier_run_packs_for_who_asks_it() {
    let stage = Stage::new();
    let tree = text_and_noise(&stage, 51);
    let seeder = stage.seed(tree.path(), &[]);
    stage.pull(&stage.path("first"), &[seeder.address()], &["--exit-complete"]).ends_with(0);
    assert_eq!(seeder.interrupt().code, 0);
    let copy = stage.pull(&stage.path("first"), &[], &[]);
    let words = ["--exit-complete", "--compress-type", "zstd"];
    let end = stage.pull(&stage.path("second"), &[copy.address()], &words).ends_with(0);
    assert_equal(tree.path(), &stage.path("second"));
    assert!(share(&end) < 0.6, "{}", share(&end));
    assert_eq!(copy.interrupt().code, 0);
}

#[test]
fn a_limit_counts_what_travels_and_not_what_it_unpacks_to() {
    let stage = Stage::new();
    let tree = text_and_noise(&stage, 52);
    let seeder = stage.seed(tree.path(), &["--upload-limit", "16Mbit/s"]);
    let words = ["--exit-complete", "--compress-type", "zstd", "--download-limit", "16Mbit/s"];
    let end = stage.pull(&stage.path("copy"), &[seeder.address()], &words).ends_with(0);
    assert_equal(tree.path(), &stage.path("copy"));
    assert!(share(&end) < 0.6);
    let sent = seeder.interrupt();
    assert_eq!(sent.total("wire_uploaded"), end.total("wire_received"));
}
