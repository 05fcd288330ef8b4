//! The network bench, small: real processes in namespaces, over links that are narrower than the machine.
//!
//! These are the bench's scenarios with next to no data. They say that every copy is whole and that a publisher sends about one, also
//! when machines die, are out of reach or come late; and that the bench itself notices a copy that is not.
//!
//! They need root, iproute2 and nftables, and the example program beside this one:
//! `cargo build --example netem && cargo test --test netem_bench -- --ignored --test-threads=1`.
//!
//! Invariant: no figure of time is asserted, since the machine may be busy.
//!
//! Not here: the links (`tests/netem.rs`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// A publisher and a peer with links of 40 Mbit/s, in an inline table's words.
const LINK: &str = "up = \"40Mbit\", down = \"40Mbit\"";

/// Runs a scenario with a contender's name or file, and returns the record of each run.
fn bench(folder: &TempDir, scenario: &str, contender: &str) -> Vec<Value> {
    let file = folder.path().join("small.toml");
    fs::write(&file, format!("about = \"small\"\nruns = 1\nsize = \"3MiB\"\nsmall_files = 60\n{scenario}")).unwrap();
    let json = folder.path().join("runs.json");
    let mut command = Command::new(netem());
    command.arg("bench").arg(&file).args(["--only", contender, "--strew", env!("CARGO_BIN_EXE_strew")]);
    let output = command.arg("--json").arg(&json).output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    let records = fs::read_to_string(&json).unwrap_or_else(|_| panic!("no run was made: {said}"));
    let left = fs::read_to_string("/proc/mounts").unwrap();
    assert!(!left.contains("strew-netem-bench"), "a mount is left: {left}");
    records.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The bench, where cargo puts examples.
fn netem() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let program = own.parent().and_then(Path::parent).unwrap().join("examples/netem");
    assert!(program.is_file(), "{} is not there: run `cargo build --example netem` first", program.display());
    program
}

/// Asserts that a run had no problem and that so many machines hold verified copies.
fn assert_whole(record: &Value, count: usize) {
    assert_eq!(record["problem"], Value::Null, "{record}");
    let verified = record["hosts"].as_array().unwrap().iter().filter(|host| host["verified"] == true).count();
    assert_eq!(verified, count, "{record}");
}

fn figure(record: &Value, name: &str) -> f64 {
    record[name].as_f64().unwrap_or_else(|| panic!("no {name} in {record}"))
}

#[test]
#[ignore = "needs root: cargo build --example netem; cargo test --test netem_bench -- --ignored"]
fn every_copy_is_whole_and_the_publisher_sends_about_one() {
    let folder = tempfile::tempdir().unwrap();
    let records = bench(
        &folder,
        &format!("data = [\"file\", \"tree\"]\nhosts = [{{ role = \"seeder\", {LINK} }}, {{ count = 3, {LINK} }}]"),
        "strew",
    );
    assert_eq!(records.len(), 2);
    for record in &records {
        assert_whole(record, 3);
        // A second copy of a chunk or two of twelve, when processes are late on a busy machine.
        assert!(figure(record, "copies_told") <= 1.25, "{record}");
        // What left the link is more than what was told: of so little data, handshakes, proofs and chunks that were called off
        // half way are a part that shows.
        let beyond = figure(record, "copies_counted") - figure(record, "copies_told");
        assert!((-0.01..=0.5).contains(&beyond), "{record}");
    }
}

#[test]
#[ignore = "needs root: cargo build --example netem; cargo test --test netem_bench -- --ignored"]
fn survivors_of_a_kill_are_complete() {
    let folder = tempfile::tempdir().unwrap();
    let records = bench(
        &folder,
        &format!(
            "hosts = [{{ role = \"seeder\", {LINK} }}, {{ count = 3, {LINK} }}, {{ {LINK}, judged = false }}]\n\
             faults = [{{ hosts = [\"peer-4\"], when = {{ share = 0.4 }}, what = \"kill\" }}]"
        ),
        "strew",
    );
    assert_whole(&records[0], 3);
}

#[test]
#[ignore = "needs root: cargo build --example netem; cargo test --test netem_bench -- --ignored"]
fn a_zone_that_accepts_no_connection_is_completed_and_uploads() {
    let folder = tempfile::tempdir().unwrap();
    let records = bench(
        &folder,
        &format!(
            "closed = [\"far\"]\nhosts = [{{ role = \"seeder\", {LINK}, zone = \"near\" }}, \
             {{ count = 2, {LINK}, zone = \"near\" }}, {{ count = 2, {LINK}, zone = \"far\" }}]"
        ),
        "strew",
    );
    assert_whole(&records[0], 4);
    let far = records[0]["hosts"].as_array().unwrap().iter().filter(|host| host["zone"] == "far");
    let sent: u64 = far.map(|host| host["sent"].as_u64().unwrap()).sum();
    assert!(sent > 512 << 10, "a zone that cannot be dialled gave nothing: {}", records[0]);
}

#[test]
#[ignore = "needs root: cargo build --example netem; cargo test --test netem_bench -- --ignored"]
fn whoever_comes_after_the_seeder_has_left_is_completed_by_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let records = bench(
        &folder,
        &format!(
            "hosts = [{{ role = \"seeder\", {LINK} }}, {{ count = 2, {LINK} }}, {{ {LINK}, wave = 2 }}]\n\
             faults = [{{ hosts = [\"seeder\"], when = {{ wave = 1 }}, what = \"leave\" }}]"
        ),
        "strew",
    );
    assert_whole(&records[0], 3);
}

#[test]
#[ignore = "needs root: cargo build --example netem; cargo test --test netem_bench -- --ignored"]
fn a_copy_that_is_not_the_source_fails_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let contender = folder.path().join("careless.toml");
    let text = "program = \"sh\"\ntransport = \"tcp\"\nport = 1\nready = { output = \"here\" }\ncomplete = \"exit\"\n\
                seeder = [\"sh\", \"-c\", \"echo here; sleep 600\"]\n\
                peer = [\"sh\", \"-c\", \"cp -r {src}/. {dst}/; printf x >> {dst}/data.bin\"]";
    fs::write(&contender, text).unwrap();
    let scenario = format!("hosts = [{{ role = \"seeder\", {LINK} }}, {{ {LINK} }}]");
    let records = bench(&folder, &scenario, contender.to_str().unwrap());
    let problem = records[0]["problem"].as_str().expect("a longer copy was taken for the source");
    assert!(problem.contains("the copy of peer-1 is not the source: data.bin"), "{problem}");
}
