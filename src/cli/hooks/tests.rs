//! Hooks as processes, without a transfer.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::manifest::{Entries, Entry, EntryKind, RelPath};
use crate::store::Named;

/// Less than the hook takes, however slow the machine is.
const LIMIT: Duration = Duration::from_millis(100);

fn config(file: Option<&str>, complete: Option<&str>) -> HookConfig {
    let args = HookArgs {
        execute_on_each_file_complete: file.map(Into::into),
        execute_on_complete: complete.map(Into::into),
        exec_shell: true,
        ..HookArgs::default()
    };
    HookConfig::from_args(&args, None).unwrap().unwrap()
}

fn entries(count: usize, size: u64) -> Arc<Entries> {
    let entry = |n: usize| Entry {
        path: RelPath::parse(format!("{n}").as_bytes()).unwrap(),
        kind: EntryKind::File { size },
        mode: 0o644,
        mtime_secs: 0,
        mtime_nanos: 0,
    };
    Arc::new(Entries::from_walk((0..count).map(entry).collect()).unwrap())
}

fn all(entries: &Arc<Entries>) -> Vec<Named> {
    let count = u32::try_from(entries.as_slice().len()).unwrap();
    (0..count).map(|entry| Named { entry, kept: false }).collect()
}

fn completion() -> Completion {
    Completion { content: "c".into(), root: "r".into(), bytes: 7, elapsed: Duration::from_millis(1500) }
}

fn start(config: &HookConfig) -> Hooks {
    Hooks::start(config, Path::new("/nowhere"), Printing::Out).unwrap()
}

/// Waits for the end of all hooks and returns how they ended, in that order.
async fn ends(hooks: &mut Hooks) -> Vec<(Occasion, Outcome)> {
    let mut ends = Vec::new();
    while let Some(news) = hooks.next().await {
        ends.extend(news.ended.map(|(outcome, _)| (news.occasion, outcome)));
    }
    ends
}

#[tokio::test]
async fn the_hook_of_the_whole_comes_after_those_of_all_files() {
    let mut hooks = start(&config(Some("exit 3"), Some("test %{file_count}/%{elapsed_time} = 20/1.5s")));
    let entries = entries(20, 1);
    hooks.files(Arc::clone(&entries), all(&entries));
    hooks.complete(completion());
    hooks.close(false);
    let ends = ends(&mut hooks).await;
    assert_eq!(ends.len(), 21);
    assert!(ends[..20].iter().all(|end| *end == (Occasion::File, Outcome::Code(3))), "{ends:?}");
    assert_eq!(ends[20], (Occasion::Complete, Outcome::Done));
}

#[tokio::test]
async fn no_more_run_at_a_time_than_are_allowed() {
    let mut config = config(Some("true"), None);
    config.jobs = NonZeroUsize::new(3).unwrap();
    let mut hooks = start(&config);
    let entries = entries(50, 1);
    hooks.files(Arc::clone(&entries), all(&entries));
    hooks.close(false);
    let (mut running, mut most) = (0, 0);
    while let Some(news) = hooks.next().await {
        running = if news.ended.is_some() { running - 1 } else { running + 1 };
        most = most.max(running);
    }
    assert_eq!((running, most), (0, 3));
}

#[tokio::test]
async fn an_empty_file_has_no_hook() {
    let mut hooks = start(&config(Some("true"), Some("test $STREW_FILE_COUNT = 0")));
    let entries = entries(5, 0);
    hooks.files(Arc::clone(&entries), all(&entries));
    hooks.complete(completion());
    hooks.close(false);
    assert_eq!(ends(&mut hooks).await, [(Occasion::Complete, Outcome::Done)]);
}

#[tokio::test]
async fn what_takes_too_long_is_killed() {
    let mut config = config(None, Some("sleep 1000"));
    config.timeout = Some(LIMIT);
    let mut hooks = start(&config);
    hooks.complete(completion());
    hooks.close(false);
    assert_eq!(ends(&mut hooks).await, [(Occasion::Complete, Outcome::TimedOut(LIMIT))]);
}

#[tokio::test]
async fn a_hook_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let mut hooks = start(&config(None, Some(&format!("sleep 1000 & echo $! > {}; wait", fifo.display()))));
    hooks.complete(completion());
    assert!(hooks.next().await.unwrap().ended.is_none());
    // Reading waits for the hook to write.
    let pid = std::fs::read_to_string(fifo).unwrap();
    drop(hooks);
    assert_gone(&pid);
}

#[tokio::test]
async fn what_waits_can_be_forgotten() {
    let mut config = config(Some("true"), Some("true"));
    config.jobs = NonZeroUsize::MIN;
    let mut hooks = start(&config);
    hooks.complete(completion());
    hooks.close(true);
    let entries = entries(5, 1);
    hooks.files(Arc::clone(&entries), all(&entries));
    assert!(ends(&mut hooks).await.len() <= 1, "at most what had begun already");
}

#[tokio::test]
async fn a_program_that_vanished_is_told_as_not_started() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    std::fs::copy("/bin/true", &program).unwrap();
    let line = format!("{} %{{file_path}}", program.display());
    let args = HookArgs { execute_on_each_file_complete: Some(line), ..HookArgs::default() };
    let mut hooks = start(&HookConfig::from_args(&args, None).unwrap().unwrap());
    std::fs::remove_file(&program).unwrap();
    let entries = entries(1, 1);
    hooks.files(Arc::clone(&entries), all(&entries));
    let begun = hooks.next().await.unwrap();
    assert_eq!(begun.path, Some(PathBuf::from("/nowhere/0")));
    hooks.close(false);
    assert!(matches!(ends(&mut hooks).await[..], [(Occasion::File, Outcome::NotStarted(_))]));
}

/// Waits until the process is gone. It may be a zombie for as long as its new parent needs to wait for it.
fn assert_gone(pid: &str) {
    let began = Instant::now();
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        let state = stat.rsplit(')').next().unwrap_or_default().trim().chars().next();
        if matches!(state, None | Some('Z' | 'X')) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it still runs: {stat}");
        std::thread::yield_now();
    }
}
