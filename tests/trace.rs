//! Traces of real nodes: what `--trace` writes is repeated by the simulator, input for input.
//!
//! This is what makes the simulator's findings about a real run findings about that run: the machine there is the one that ran here.
//!
//! Invariant: nothing here depends on how fast the machine is.
//!
//! Not here: the form of a line and the figures (beside the code in `swarm::trace` and `sim::replay`).

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use common::node::{ANY_PORT, bare, program};
use common::{Node, Stage, Tree, assert_equal};
use strew::sim::replay::{Replayed, Run, have_delay, replay};
use strew::swarm::trace::{Line, Parser};
use strew::swarm::{Input, Output};

/// The trace in a file.
fn read(path: &Path) -> Replayed {
    replay(&fs::read(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The only run of a trace, which is repeated as it was.
fn equal_run(path: &Path) -> Run {
    let mut replayed = read(path);
    assert_eq!((replayed.runs.len(), replayed.cut), (1, false), "{}", path.display());
    let run = replayed.runs.remove(0);
    assert!(run.is_equal(), "{}: {run}", path.display());
    run
}

/// A stage with a tree of 6 MiB in chunks of 64 KiB.
fn stage_with_tree(seed: u64) -> (Stage, Tree) {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("source"), seed);
    (0..3).for_each(|n| drop(tree.file(format!("part {n}"), 2 << 20)));
    (stage, tree)
}

fn words<'a>(trace: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    [&["--trace", trace.to_str().unwrap()], more].concat()
}

#[test]
fn a_real_run_is_repeated_with_equal_outputs_and_names_who_took_part() {
    let (stage, tree) = stage_with_tree(1);
    let traces: Vec<_> = (0..4).map(|n| stage.path(format!("trace {n}"))).collect();
    let seeder = stage.seed(tree.path(), &words(&traces[0], &["--zone", "east"]));
    let peers: Vec<Node> = (1..4)
        .map(|n| {
            stage.pull(&stage.path(format!("copy {n}")), &[seeder.address()], &words(&traces[n], &["--exit-complete"]))
        })
        .collect();
    let address = seeder.address().to_string();
    peers.into_iter().for_each(|peer| drop(peer.ends_with(0)));
    assert_eq!(seeder.interrupt().code, 0);
    let runs: Vec<Run> = traces.iter().map(|path| equal_run(path)).collect();
    let total: u64 = runs.iter().map(|run| run.uplink.delivered).sum();
    for run in &runs[1..] {
        assert_eq!(run.progress.held(), run.progress.count);
        assert!(run.requests.fetched >= u64::from(run.progress.count) && run.outputs > 96, "{run}");
        let publishers: Vec<_> = run.sources.iter().filter(|(_, source)| source.publisher).collect();
        assert_eq!(publishers.len(), 1);
        let (_, seeder) = publishers[0];
        assert_eq!((seeder.address.as_str(), seeder.zone.as_str()), (address.as_str(), "east"));
        assert_eq!(seeder.peer, runs[0].header.peer);
    }
    assert!(total >= 3 * u64::from(runs[0].progress.count), "{total} answers in all");
    assert!(!have_delay(&runs.iter().collect::<Vec<_>>()).is_empty(), "nobody heard of anybody's chunks");
}

#[test]
fn a_resumed_run_begins_with_what_is_there_and_replaces_the_trace_of_the_first() {
    let (stage, tree) = stage_with_tree(2);
    let (trace, copy) = (stage.path("trace"), stage.path("copy"));
    let seeder = stage.seed(tree.path(), &[]);
    let pull = || stage.pull(&copy, &[seeder.address()], &words(&trace, &["--exit-complete"])).ends_with(0);
    pull();
    assert_eq!(equal_run(&trace).progress.kept, 0);
    fs::write(copy.join("part 1"), "something else").unwrap();
    pull();
    let run = equal_run(&trace);
    assert!(run.progress.kept > 0 && run.progress.held() == run.progress.count, "{run}");
    assert_equal(tree.path(), &copy);
}

#[test]
fn a_local_copy_is_repeated_too() {
    let (stage, tree) = stage_with_tree(3);
    let trace = stage.path("trace");
    let mut command = stage.pull_command(&stage.path("copy"), &[], &words(&trace, &["--exit-complete"]));
    command.arg("--src").arg(tree.path());
    Node::start(command).ends_with(0);
    let run = equal_run(&trace);
    let names: Vec<&str> = run.sources.iter().map(|(_, source)| source.address.as_str()).collect();
    assert_eq!(names, ["local"]);
}

#[test]
fn a_killed_node_leaves_a_trace_that_can_be_repeated_as_far_as_it_goes() {
    let (stage, tree) = stage_with_tree(4);
    let trace = stage.path("trace");
    let seeder = stage.seed(tree.path(), &[]);
    let peer = stage.pull(&stage.path("copy"), &[seeder.address()], &words(&trace, &[]));
    peer.event("complete");
    peer.kill();
    let replayed = read(&trace);
    assert!(replayed.runs.iter().all(Run::is_equal));
    assert_eq!(seeder.interrupt().code, 0);
}

#[test]
fn a_broken_trace_is_refused_with_the_number_of_the_line() {
    let (stage, tree) = stage_with_tree(5);
    let trace = stage.path("trace");
    let seeder = stage.seed(tree.path(), &words(&trace, &[]));
    seeder.event("manifest");
    stage.pull(&stage.path("copy"), &[seeder.address()], &["--exit-complete"]).ends_with(0);
    assert_eq!(seeder.interrupt().code, 0);
    let text = fs::read_to_string(&trace).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let middle = lines.len() / 2;
    let broken = [&lines[..middle], &["[1,\n"], &lines[middle..]].concat().concat();
    let error = replay(broken.as_bytes()).unwrap_err();
    assert_eq!(error.line, middle + 1);
    assert!(error.to_string().starts_with(&format!("line {}: ", middle + 1)), "{error}");
    // What is missing is noticed by the machine, as far as it matters to it.
    let requested = lines.iter().position(|line| line.contains("\"requested\"")).unwrap();
    let shorter = [&lines[..requested], &lines[requested + 1..]].concat().concat();
    assert!(!replay(shorter.as_bytes()).unwrap().runs[0].is_equal());
}

#[test]
fn a_trace_is_for_its_owner_alone_and_holds_no_key() {
    let (stage, tree) = stage_with_tree(6);
    let traces = [stage.path("trace 0"), stage.path("trace 1")];
    // An empty file may be there already, whatever its mode.
    fs::write(&traces[1], "").unwrap();
    fs::set_permissions(&traces[1], Permissions::from_mode(0o644)).unwrap();
    let seeder = stage.seed(tree.path(), &words(&traces[0], &[]));
    stage.pull(&stage.path("copy"), &[seeder.address()], &words(&traces[1], &["--exit-complete"])).ends_with(0);
    assert_eq!(seeder.interrupt().code, 0);
    let key = stage.key().trim_start_matches("strew1-");
    for trace in &traces {
        assert_eq!(fs::metadata(trace).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(trace).unwrap();
        // Neither as it is written nor a part of it, nor the bytes that it stands for.
        let bytes = data_encoding::BASE32_NOPAD_NOCASE.decode(key.replace('-', "").as_bytes());
        let hex = bytes.map(|bytes| data_encoding::HEXLOWER.encode(&bytes)).unwrap_or_default();
        let parts = [key, &key[..12], &key[key.len() - 12..], hex.get(..16).unwrap_or(key)];
        parts.iter().for_each(|part| assert!(!text.contains(part), "{part} is in the trace"));
        for word in ["strew1-", "PRIVATE", "BEGIN"] {
            assert!(!text.contains(word), "{word} is in the trace");
        }
    }
}

#[test]
fn files_that_are_no_traces_are_left_alone() {
    let (stage, tree) = stage_with_tree(7);
    let precious = stage.path("precious");
    fs::write(&precious, "{\"mine\":1}\n").unwrap();
    stage.seed(tree.path(), &words(&precious, &[])).ends().failed(2, &["--trace", "precious", "name another file"]);
    assert_eq!(fs::read(&precious).unwrap(), b"{\"mine\":1}\n");
    stage.seed(tree.path(), &words(&stage.path(""), &[])).ends().failed(2, &["not a regular file"]);
    let inside = tree.path().join("trace");
    stage.seed(tree.path(), &words(&inside, &[])).ends().failed(2, &["is replicated", "elsewhere"]);
    assert!(!inside.exists());
    stage.seed(tree.path(), &words(Path::new("/dev/null"), &[])).ends().failed(2, &["not a regular file"]);
    stage.seed(tree.path(), &words(&stage.path("no/such/folder"), &[])).ends().failed(5, &["cannot write to"]);
    symlink(&precious, stage.path("link")).unwrap();
    stage.seed(tree.path(), &words(&stage.path("link"), &[])).ends().failed(2, &["is no trace"]);
    // Two nodes cannot share one.
    let trace = stage.path("trace");
    let first = stage.seed(tree.path(), &words(&trace, &[]));
    first.event("manifest");
    stage.seed(tree.path(), &words(&trace, &[])).ends().failed(2, &["another strew writes"]);
    assert_eq!(first.interrupt().code, 0);
    equal_run(&trace);
}

#[test]
fn a_full_disk_ends_the_trace_and_not_the_job() {
    let (stage, tree) = stage_with_tree(8);
    let trace = stage.path("trace");
    // A limit on the size of files is a full disk that needs no rights; whoever only publishes writes no other file. 16 units are 8 KiB.
    let mut shell = bare(&["sh", "-c", "trap '' XFSZ; ulimit -f 16; exec \"$@\"", "sh", program()]);
    shell.arg(format!("--listen-addr={ANY_PORT}")).env("STREW_KEY", stage.key());
    shell.arg("--src").arg(tree.path()).arg("--trace").arg(&trace);
    let seeder = Node::start(shell);
    let peers: Vec<Node> = (0..2)
        .map(|n| stage.pull(&stage.path(format!("copy {n}")), &[seeder.address()], &["--exit-complete"]))
        .collect();
    peers.into_iter().for_each(|peer| drop(peer.ends_with(0)));
    (0..2).for_each(|n| assert_equal(tree.path(), &stage.path(format!("copy {n}"))));
    let end = seeder.interrupt();
    assert_eq!(end.code, 0);
    let warning = end.last("warning")["message"].as_str().unwrap();
    assert!(warning.contains("the trace in") && warning.contains("the job goes on"), "{warning}");
    // What was written before is of use.
    let replayed = read(&trace);
    assert!(replayed.runs[0].is_equal() && replayed.runs[0].inputs > 0);
}

#[test]
fn every_request_ends_in_the_trace_and_completion_is_said_once() {
    let (stage, tree) = stage_with_tree(9);
    let trace = stage.path("trace");
    let seeder = stage.seed(tree.path(), &[]);
    stage.pull(&stage.path("copy"), &[seeder.address()], &words(&trace, &["--exit-complete"])).ends_with(0);
    assert_eq!(seeder.interrupt().code, 0);
    let (mut parser, mut open, mut complete) = (Parser::default(), 0, 0);
    for line in fs::read(&trace).unwrap().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match parser.read(line).unwrap() {
            Line::Output(_, Output::Fetch { .. }) => open += 1,
            Line::Output(_, Output::Complete) => complete += 1,
            Line::Input(_, Input::Fetched { .. } | Input::Refused { .. }) => open -= 1,
            _ => {}
        }
    }
    assert_eq!((open, complete), (0, 1));
}
