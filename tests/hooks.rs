//! Hooks with the real program: what they see, how often they run, and what their failures mean.
//!
//! Hooks here write down what they find, as hooks of users do: a hash of the file as it is at that moment, and what they were told.
//!
//! Not here: the rules of a line and the running of many at a time; they are tested where they are (`src/cli/hooks`).

mod common;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::net::UdpSocket;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use common::{End, Node, Stage, Tree, assert_equal, number};
use rustix::process::Signal;
use serde_json::Value;

const EACH: &str = "--execute-on-each-file-complete";
const LAST: &str = "--execute-on-complete";

/// A script that a hook runs.
fn script(stage: &Stage, name: &str, text: &str) -> String {
    let path = stage.path(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A script that makes one record of each call, under the hash of the path that it was given: the path, its size and whether it was kept,
/// then the hash of the bytes that lie there.
fn recorder(stage: &Stage, records: &str) -> String {
    let folder = stage.path(records);
    fs::create_dir(&folder).unwrap();
    let text = format!(
        "name=$(printf %s \"$1\" | sha256sum | cut -c1-64)\n\
         printf '%s\\0%s\\0%s\\0' \"$1\" \"$2\" \"$STREW_FILE_KEPT\" >> {0}/$name && sha256sum < \"$1\" >> {0}/$name",
        folder.display()
    );
    script(stage, &format!("{records}.sh"), &text)
}

/// A record of one file.
#[derive(Debug, PartialEq)]
struct Record {
    size: u64,
    kept: bool,
    hash: String,
}

/// What a recorder wrote, by path; each file must have been seen once.
fn records(stage: &Stage, records: &str) -> BTreeMap<PathBuf, Record> {
    let read = |path: PathBuf| {
        let bytes = fs::read(path).unwrap();
        let parts: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
        assert_eq!(parts.len(), 4, "not one record: {:?}", bytes.escape_ascii().to_string());
        let text = |part: &[u8]| std::str::from_utf8(part).unwrap().to_owned();
        let (size, kept) = (text(parts[1]).parse().unwrap(), text(parts[2]).parse().unwrap());
        let hash = text(parts[3]).split(' ').next().unwrap().to_owned();
        (PathBuf::from(OsStr::from_bytes(parts[0])), Record { size, kept, hash })
    };
    fs::read_dir(stage.path(records)).unwrap().map(|entry| read(entry.unwrap().path())).collect()
}

/// The files of a destination that are not empty, with their sizes.
fn files(dst: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = files_beneath(dst);
    // Only the folder's own state is not of the content.
    found.retain(|path, _| !path.starts_with(dst.join(".strew")));
    found
}

fn files_beneath(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let meta = entry.path().symlink_metadata().unwrap();
        if meta.is_dir() {
            found.append(&mut files_beneath(&entry.path()));
        } else if meta.is_file() && meta.len() > 0 {
            found.insert(entry.path(), meta.len());
        }
    }
    found
}

/// The hashes that coreutils finds, so that no code of ours judges ours.
fn hash(path: &Path) -> String {
    let output = std::process::Command::new("sha256sum").stdin(fs::File::open(path).unwrap()).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

fn hooks<'a>(events: &'a [Value], hook: &str, state: &str) -> Vec<&'a Value> {
    let is_it = |event: &&Value| event["event"] == "hook" && event["hook"] == hook && event["state"] == state;
    events.iter().filter(is_it).collect()
}

/// A local copy with these flags, to its end.
fn copy(stage: &Stage, src: &Path, words: &[&str]) -> End {
    let mut command = stage.command(common::node::ANY_PORT);
    command.arg("--src").arg(src).arg("--dst").arg(stage.path("dst")).arg("--exit-complete").args(words);
    Node::start(command).ends()
}

#[test]
fn a_hook_sees_each_file_once_whole_and_under_its_name() {
    let stage = Stage::new();
    let tree = Tree::hostile(stage.path("src"), 1);
    let record = recorder(&stage, "seen");
    let last = script(&stage, "last", &format!("printf '%s %s' \"$1\" \"$2\" > {}", stage.path("last.txt").display()));
    let seeder = stage.seed(tree.path(), &["--chunk-size", "8192"]);
    let each = format!("{record} %{{file_path}} %{{file_size}}");
    let last = format!("{last} %{{file_count}} %{{total_file_size}}");
    let words = ["--exit-complete", EACH, &each, LAST, &last, "--exec-jobs=4", "--command-timeout=1m"];
    let end = stage.pull(&stage.path("dst"), &[seeder.address()], &words).ends_with(0);
    assert_equal(tree.path(), &stage.path("dst"));

    let (seen, there) = (records(&stage, "seen"), files(&stage.path("dst")));
    assert_eq!(seen.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>());
    for (path, record) in &seen {
        let expected = Record { size: there[path], kept: false, hash: hash(path) };
        assert_eq!(*record, expected, "{}", path.display());
    }
    let told = fs::read_to_string(stage.path("last.txt")).unwrap();
    assert_eq!(told, format!("{} {}", there.len(), there.values().sum::<u64>()));
    for (hook, count) in [("file", there.len()), ("complete", 1)] {
        assert_eq!(hooks(&end.events, hook, "begun").len(), count);
        assert_eq!(hooks(&end.events, hook, "done").len(), count);
    }
    assert!(number(hooks(&end.events, "complete", "done")[0], "elapsed_ms") < 60_000);
}

#[test]
fn thousands_of_small_files_have_their_hooks_while_the_transfer_goes_on() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 2);
    tree.files(2000, 100);
    let touched = stage.path("touched");
    fs::create_dir(&touched).unwrap();
    let each = format!("ln -s %{{file_path}} {}", touched.display());
    let end = copy(&stage, tree.path(), &[EACH, &each]);
    assert_eq!(end.code, 0, "{}", end.log);
    // Two files of one name in different folders do not occur.
    let names = fs::read_dir(&touched).unwrap().count();
    assert_eq!(names, files(&stage.path("dst")).len());
    assert!(names > 1900);
}

#[test]
fn the_transfer_does_not_wait_for_a_hook_of_a_file() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 3);
    tree.files(30, 1000);
    let go = stage.path("go");
    let each = script(&stage, "wait", &format!("while [ ! -e {} ]; do sleep 0.01; done", go.display()));
    let seeder = stage.seed(tree.path(), &[]);
    let words = ["--exit-complete", EACH, &each, "--command-timeout=0", "--exec-jobs=2"];
    let mut peer = stage.pull(&stage.path("dst"), &[seeder.address()], &words);
    // Every hook waits, and the copy is complete all the same.
    peer.event("complete");
    assert_equal(tree.path(), &stage.path("dst"));
    // It says good-bye, and only its end waits.
    seeder.until("good-bye", |event| (event["event"] == "peer" && event["state"] == "disconnected").then_some(()));
    assert!(peer.is_running());
    fs::write(go, "").unwrap();
    let end = peer.ends_with(0);
    assert_eq!(hooks(&end.events, "file", "done").len(), files(&stage.path("dst")).len());
}

#[test]
fn a_signal_cuts_short_the_hooks_of_a_node_that_has_left() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 11);
    tree.file("a", 10);
    let mut command = stage.command(common::node::ANY_PORT);
    command.arg("--src").arg(tree.path()).arg("--dst").arg(stage.path("dst"));
    command.args(["--exit-complete", "--command-timeout=0", LAST, "sleep 1000"]);
    let node = Node::start(command);
    let address = node.address();
    node.until("hook", |event| (event["event"] == "hook").then_some(()));
    // As soon as its port is free the node has left, and only the hook is waited for.
    let began = Instant::now();
    while UdpSocket::bind(address).is_err() {
        assert!(began.elapsed() < common::PATIENCE, "it does not leave");
        std::thread::sleep(common::LOOK_EVERY);
    }
    node.signal(Signal::TERM);
    node.ends().failed(9, &["complete", "cut short"]);
}

#[test]
fn a_failed_hook_ends_a_complete_run_with_9_unless_it_does_not_matter() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 4);
    tree.file("good", 10);
    tree.file("bad", 10);
    let each = format!("{} %{{file_path}}", script(&stage, "each", "case $1 in */bad) exit 3;; esac"));
    let last = script(&stage, "last", &format!("touch {}", stage.path("last.ran").display()));
    let end = copy(&stage, tree.path(), &[EACH, &each, LAST, &last]);
    end.failed(9, &["complete", "1 of its hooks failed"]);
    assert_equal(tree.path(), &stage.path("dst"));
    let failed = hooks(&end.events, "file", "failed");
    let path = stage.path("dst/bad");
    assert_eq!((failed.len(), number(failed[0], "code")), (1, 3));
    assert_eq!(failed[0]["path"]["path"], path.to_str().unwrap());
    let line = format!("warning: the hook of {EACH} for {} ended with code 3", path.display());
    assert!(end.log.contains(&line), "{}", end.log);
    assert!(stage.path("last.ran").exists(), "the content is complete, so the last hook runs");

    let end = copy(&stage, tree.path(), &[EACH, &each, "--exec-failure", "warn"]);
    assert_eq!((end.code, hooks(&end.events, "file", "failed").len()), (0, 1));
}

#[test]
fn a_hook_that_hangs_is_killed_and_counts_as_failed() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 5);
    tree.file("a", 10);
    let end = copy(&stage, tree.path(), &[LAST, "sleep 1000", "-command-timeout=300ms"]);
    end.failed(9, &["1 of its hooks failed"]);
    assert_eq!(hooks(&end.events, "complete", "timed_out").len(), 1);
    assert!(end.log.contains("took longer than --command-timeout"), "{}", end.log);
}

#[test]
fn a_program_or_shell_that_is_missing_is_said_before_anything_starts() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 6);
    tree.file("a", 10);
    let end = copy(&stage, tree.path(), &[LAST, "no-such-program x"]);
    end.failed(2, &[LAST, "\"no-such-program\""]);
    let mut command = stage.command(common::node::ANY_PORT);
    command.arg("--src").arg(tree.path()).arg("--dst").arg(stage.path("dst")).env("PATH", "/nowhere");
    command.args(["--exec-shell", EACH, "echo %{file_path} > /dev/null"]);
    Node::start(command).ends().failed(2, &["--exec-shell", "neither bash nor sh"]);
    assert!(!stage.path("dst").exists());
}

#[test]
fn a_shell_gets_values_by_its_environment_and_never_the_key() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 7);
    tree.file("x $(touch injected); `touch injected` \"'\n", 10);
    let out = stage.path("out");
    let each =
        format!("cd {} && printf '%s|%s' %{{file_path}} \"%{{file_size}}\" > out", out.parent().unwrap().display());
    let last = format!("env > {}", stage.path("env").display());
    let end = copy(&stage, tree.path(), &["-exec-shell", EACH, &each, LAST, &last]);
    assert_eq!(end.code, 0, "{}", end.log);
    let path = files(&stage.path("dst")).into_keys().next().unwrap();
    assert_eq!(fs::read(out).unwrap(), [path.as_os_str().as_bytes(), b"|10"].concat());
    assert!(!stage.path("injected").exists());
    let env = fs::read_to_string(stage.path("env")).unwrap();
    assert!(env.contains("STREW_FILE_COUNT=1") && env.contains("STREW_ROOT=") && env.contains("PATH="), "{env}");
    assert!(!env.contains(stage.key()) && !env.contains("STREW_KEY") && !env.contains("STREW_LOG"), "a secret leaked");
}

#[test]
fn a_resumed_run_has_every_file_again_and_says_which_were_here() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 8);
    tree.file("first", 5000);
    tree.file("second", 5000);
    let record = recorder(&stage, "one");
    let each = format!("{record} %{{file_path}} %{{file_size}}");
    assert_eq!(copy(&stage, tree.path(), &[EACH, &each]).code, 0);
    assert!(records(&stage, "one").values().all(|record| !record.kept));

    tree.file("third", 5000);
    fs::remove_file(stage.path("dst/second")).unwrap();
    let record = recorder(&stage, "two");
    let each = format!("{record} %{{file_path}} %{{file_size}}");
    assert_eq!(copy(&stage, tree.path(), &[EACH, &each]).code, 0);
    let kept: Vec<(String, bool)> = records(&stage, "two")
        .into_iter()
        .map(|(path, record)| (path.file_name().unwrap().to_str().unwrap().to_owned(), record.kept))
        .collect();
    let expected = [("first", true), ("second", false), ("third", false)].map(|(name, kept)| (name.to_owned(), kept));
    assert_eq!(kept, expected);
}

#[test]
fn an_unfinished_run_runs_no_last_hook_and_a_publisher_none_at_all() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 9);
    tree.file("a", 10);
    let last = script(&stage, "last", &format!("touch {}", stage.path("ran").display()));
    let words = [LAST, &last, "--peer-wait-timeout=100ms"];
    stage.pull(&stage.path("dst"), &["127.0.0.1:1".parse().unwrap()], &words).ends_with(4);
    let seeder = stage.seed(tree.path(), &[LAST, &last]);
    assert!(seeder.event("warning")["message"].as_str().unwrap().contains("runs no hooks"));
    seeder.event("manifest");
    let end = seeder.interrupt();
    assert_eq!((end.code, stage.path("ran").exists()), (0, false));
}

#[test]
fn what_a_hook_prints_never_mixes_with_events() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 10);
    tree.file("a", 10);
    let end = copy(&stage, tree.path(), &[LAST, "echo said by the hook"]);
    assert_eq!(end.code, 0);
    assert!(end.log.contains("said by the hook") && !end.log.contains("not an event"), "{}", end.log);
    assert_eq!(fs::metadata(stage.path("dst/a")).unwrap().size(), 10);
}
