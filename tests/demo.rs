//! The demonstration as a black box: five real processes, a table, and nothing left behind.
//!
//! It is the first thing that a stranger runs, and it fills disks and starts processes unasked. So what counts is looked at from
//! outside: the exit code, both streams, the directory for the copies and the list of processes.
//!
//! Invariant: whichever way it ended, the directory is as it was and every process is gone.
//!
//! Not here: what a transfer does with odd files; the demonstration's own comparison judges that.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A source and an empty directory for the copies.
struct Ground {
    source: TempDir,
    into: TempDir,
}

impl Ground {
    fn new() -> Self {
        Self { source: tempfile::tempdir().unwrap(), into: tempfile::tempdir().unwrap() }
    }

    /// Writes a file of `len` bytes that cannot be guessed from others.
    fn plant(&self, name: &str, len: usize) {
        let path = self.source.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut rng = fastrand::Rng::with_seed(len as u64);
        let mut bytes = vec![0; len];
        rng.fill(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    /// The demonstration on this ground.
    fn demo(&self) -> Command {
        demo(&[self.source.path(), Path::new("--into"), self.into.path()])
    }

    fn left_behind(&self) -> Vec<PathBuf> {
        fs::read_dir(self.into.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

fn demo(words: &[&Path]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strew"));
    command.arg("demo").args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["STREW_KEY", "STREW_KEY_FILE", "STREW_LOG", "STREW_DEMO"] {
        command.env_remove(name);
    }
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn refused(output: &Output, code: i32, part: &str) {
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(code), ""), "{said}");
    assert!(said.contains(part), "{part:?} is not in {said:?}");
}

/// The children of a process.
fn children(of: u32) -> Vec<PathBuf> {
    let list = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap();
    list.split_whitespace().map(|pid| Path::new("/proc").join(pid)).collect()
}

/// Whether a process is there; one that has ended and that nobody has asked about yet is not.
fn is_alive(process: &Path) -> bool {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    // The state stands behind the name, which is in parentheses and may contain anything.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Reads the story until the transfer has begun: the processes of the demonstration.
fn processes_of(running: &mut Child) -> (Vec<PathBuf>, impl Read + use<>) {
    let mut story = BufReader::new(running.stderr.take().unwrap());
    let mut line = String::new();
    let mut said = String::new();
    loop {
        line.clear();
        assert_ne!(story.read_line(&mut line).unwrap(), 0, "it ended before the transfer began: {said}");
        said.push_str(&line);
        if line.contains("; the seeder sent ") {
            break;
        }
    }
    let mut processes = children(running.id());
    // The first line comes as soon as the seeder runs; the peers start a moment later.
    let patience = Instant::now() + Duration::from_secs(60);
    while processes.len() < 5 {
        assert!(Instant::now() < patience, "{} processes instead of five: {said}", processes.len());
        std::thread::yield_now();
        processes = children(running.id());
    }
    (processes, story)
}

#[test]
fn four_copies_are_made_compared_and_removed() {
    let ground = Ground::new();
    for (name, len) in [("a/large", 3 << 20), ("a/b/small", 11), ("a/b/empty", 0), ("name with spaces", 70_000)] {
        ground.plant(name, len);
    }
    fs::create_dir(ground.source.path().join("nothing")).unwrap();
    symlink("../name with spaces", ground.source.path().join("a/inside")).unwrap();
    symlink("/nonexistent/elsewhere", ground.source.path().join("a/outside")).unwrap();
    let output = ground.demo().output().unwrap();
    let (table, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    for peer in 1..=4 {
        let row = table.lines().find(|line| line.trim_start().starts_with(&format!("peer {peer} "))).unwrap();
        assert!(row.contains("MiB/s ") && row.ends_with(" equal"), "{table}");
    }
    assert!(table.contains("seeder") && table.contains("copies"), "{table}");
    for part in ["4 files, 3.1 MiB (1 left out", "every copy equals the source", "a fresh key"] {
        assert!(said.contains(part), "{part:?} is not in {said:?}");
    }
    assert!(!said.contains("strew1-"), "the key is shown");
    assert_eq!(ground.left_behind(), [] as [PathBuf; 0]);
}

#[test]
fn a_single_file_can_be_shown_too() {
    let ground = Ground::new();
    ground.plant("only", 1 << 20);
    let file = ground.source.path().join("only");
    let output = demo(&[&file, Path::new("--into"), ground.into.path()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("1 file, 1.0 MiB"));
    assert_eq!(ground.left_behind(), [] as [PathBuf; 0]);
}

#[test]
fn an_interrupt_in_the_middle_ends_all_processes_and_removes_all_copies() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 143)] {
        let ground = Ground::new();
        ground.plant("large", 96 << 20);
        let mut running = ground.demo().spawn().unwrap();
        let (processes, mut story) = processes_of(&mut running);
        assert_eq!(ground.left_behind().len(), 1, "the copies are somewhere else");
        kill_process(Pid::from_child(&running), signal).unwrap();
        let mut said = String::new();
        story.read_to_string(&mut said).unwrap();
        let output = running.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(code), ""), "{said}");
        assert!(said.contains("stopped"), "{said}");
        assert_eq!(processes.iter().filter(|process| is_alive(process)).count(), 0);
        assert_eq!(ground.left_behind(), [] as [PathBuf; 0]);
    }
}

#[test]
fn a_process_that_dies_is_told_and_ends_everything() {
    let ground = Ground::new();
    ground.plant("large", 96 << 20);
    let mut running = ground.demo().spawn().unwrap();
    let (processes, mut story) = processes_of(&mut running);
    let victim = processes.last().unwrap().file_name().unwrap().to_str().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(victim).unwrap(), Signal::KILL).unwrap();
    let mut said = String::new();
    story.read_to_string(&mut said).unwrap();
    let output = running.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""), "{said}");
    assert!(said.contains("peer 4 was ended by signal 9"), "{said}");
    assert_eq!(processes.iter().filter(|process| is_alive(process)).count(), 0);
    assert_eq!(ground.left_behind(), [] as [PathBuf; 0]);
}

#[test]
fn no_process_outlives_a_demonstration_that_is_killed() {
    let ground = Ground::new();
    ground.plant("large", 96 << 20);
    let mut running = ground.demo().spawn().unwrap();
    let (processes, _story) = processes_of(&mut running);
    running.kill().unwrap();
    running.wait().unwrap();
    let patience = Instant::now() + Duration::from_secs(60);
    while processes.iter().any(|process| is_alive(process)) {
        assert!(Instant::now() < patience, "processes are left over");
        std::thread::yield_now();
    }
}

#[test]
fn what_cannot_be_shown_is_refused_before_anything_starts() {
    let ground = Ground::new();
    ground.plant("file", 1);
    let nowhere = Path::new("/nonexistent/source");
    refused(&demo(&[nowhere]).output().unwrap(), 2, "/nonexistent/source");
    refused(&demo(&[Path::new("/dev/null")]).output().unwrap(), 2, "neither a directory nor a regular file");
    let source = ground.source.path();
    refused(&demo(&[source, Path::new("--into"), nowhere]).output().unwrap(), 5, "--into");
    refused(&demo(&[source, Path::new("--into"), source]).output().unwrap(), 2, "inside");
    assert_eq!(fs::read_dir(source).unwrap().count(), 1, "something was left in the source");
}
