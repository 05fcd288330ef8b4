//! What is told, in which form, and when.

use super::super::Args;
use super::super::event::{Failure, Line};
use super::super::exit::ExitCode;
use super::super::screen::tests::Paper;
use super::*;

/// A reporter, with what it prints on standard error and on standard output.
struct Stage {
    reporter: Reporter,
    screen: Paper,
    out: Paper,
}

impl Stage {
    fn new(line: &str, width: Option<fn() -> usize>) -> Self {
        let args = Args::read(line.split(' ').map(Into::into)).unwrap();
        let config = Config::from_args(&args.transfer).unwrap();
        let (screen, out) = (Paper::default(), Paper::default());
        Self { reporter: Reporter::new(&config, screen.screen(width), Box::new(out.clone())), screen, out }
    }

    /// Ticks at this second of the run.
    fn tick(&mut self, second: u64, snapshot: &Snapshot) {
        self.reporter.tick(Time::from_nanos(second * 1_000_000_000), second * 1000, snapshot);
    }

    fn kinds(&self) -> Vec<String> {
        let kind = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].to_string();
        self.out.text().lines().map(kind).collect()
    }
}

fn transferring(received: u64) -> Snapshot {
    Snapshot {
        phase: Phase::Transferring,
        bytes_total: Bytes(100 << 20),
        bytes_done: Bytes(received),
        received: Bytes(received),
        peers: 2,
        ..Snapshot::default()
    }
}

fn complete() -> Event {
    Event::Complete(Complete {
        content: "1a".into(),
        root: "2b".into(),
        files: 3,
        bytes: 5 << 20,
        bytes_kept: 0,
        elapsed_ms: 1500,
        read_back: false,
    })
}

#[test]
fn whoever_stops_a_run_is_told_what_stays() {
    let told = |line: &str, code: ExitCode, done: u64| {
        let mut stage = Stage::new(line, None);
        stage.reporter.finish(0, Summary::new(code, 0, &transferring(done), Vec::new()));
        stage.screen.text()
    };
    for form in ["--dst /b", "--dst /b --output json"] {
        let stopped = told(form, ExitCode::Interrupted, 10 << 20);
        assert!(stopped.contains("10.0 MiB of 100.0 MiB") && stopped.contains("again"), "{stopped}");
        assert!(told(form, ExitCode::Terminated, 0).contains("before anything"));
    }
    assert_eq!(told("--dst /b", ExitCode::Complete, 100 << 20), "");
    assert_eq!(told("--src /a", ExitCode::Interrupted, 0), "", "what a publisher has stays in any case");
}

#[test]
fn without_a_terminal_a_line_comes_every_five_seconds_and_with_each_phase() {
    let mut stage = Stage::new("--dst /b", None);
    for second in 0..12 {
        stage.tick(second, &transferring(second << 20));
    }
    stage.tick(12, &Snapshot { phase: Phase::EndGame, ..transferring(12 << 20) });
    let text = stage.screen.text();
    let starts: Vec<&str> = text.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(starts, ["transferring", "transferring", "transferring", "last chunks"]);
    assert!(text.contains("transferring  5.0%  5.0 MiB of 100.0 MiB  1.0 MiB/s  ETA 1m35s  2 peers"), "{text}");
}

#[test]
fn on_a_terminal_one_line_is_redrawn() {
    let mut stage = Stage::new("--dst /b", Some(|| 40));
    stage.tick(0, &transferring(0));
    stage.tick(1, &transferring(1 << 20));
    let lines = "<clear>0.0%  0 B of 100.0 MiB  0 B/s  ETA --<clear>1.0%  1.0 MiB/s  ETA 1m39s";
    assert_eq!(stage.screen.text(), lines);
}

#[test]
fn an_idle_server_is_silent() {
    for line in ["--src /a", "--src /a --output json"] {
        let mut stage = Stage::new(line, None);
        let serving = Snapshot { phase: Phase::Serving, ..transferring(0) };
        for second in 0..100 {
            stage.tick(second, &serving);
        }
        let lines = stage.screen.text().lines().count() + stage.out.text().lines().count();
        assert!(lines <= 2, "{line}: {}{}", stage.screen.text(), stage.out.text());
        stage.tick(101, &Snapshot { uploaded: Bytes(1), ..serving });
        assert_eq!(stage.screen.text().lines().count() + stage.out.text().lines().count(), lines + 1, "{line}");
    }
}

#[test]
fn people_are_told_how_to_stop_a_complete_node() {
    let mut stage = Stage::new("--dst /b", None);
    stage.reporter.tell(0, &complete());
    assert_eq!(
        stage.screen.text(),
        "3 files, 5.0 MiB in 1.5s, every byte verified\nid:1a root:2b\ncomplete; serving, Ctrl-C to stop\n"
    );
    let mut stage = Stage::new("--dst /b --exit-complete", None);
    stage.reporter.tell(0, &complete());
    assert!(stage.screen.text().ends_with("complete; leaving\n"));
    let mut stage = Stage::new("--src /a", None);
    stage.tick(0, &Snapshot { phase: Phase::Serving, ..Snapshot::default() });
    assert!(stage.screen.text().starts_with("serving, Ctrl-C to stop\n"));
}

#[test]
fn a_publisher_s_user_is_told_the_root_and_whoever_pulls_reads_it_at_the_end() {
    let root = || Event::Root(Root { content: "1a".into(), root: "2b".into() });
    let mut stage = Stage::new("--src /a", None);
    stage.reporter.tell(0, &root());
    assert!(stage.screen.text().contains("--expect root:2b"), "{}", stage.screen.text());
    let mut stage = Stage::new("--dst /b", None);
    stage.reporter.tell(0, &root());
    assert_eq!(stage.screen.text(), "");
}

#[test]
fn programs_get_events_and_nothing_else_on_standard_output() {
    let mut stage = Stage::new("--dst /b --output json", Some(|| 80));
    let config = Config::from_args(&Args::read(["--dst=/b".into()]).unwrap().transfer).unwrap();
    stage.reporter.tell(1, &Event::Start(Box::new(Start::new(&config, "s".into(), "i".into(), "[::]:1".into(), None))));
    for second in 0..3 {
        stage.tick(second, &transferring(second << 20));
    }
    stage.reporter.tell(4, &Event::Error(Failure { exit_code: 4, message: "no peer".into() }));
    stage.reporter.finish(5, Summary::new(ExitCode::Incomplete, 5, &transferring(0), vec![]));
    let expected = ["start", "progress", "progress", "progress", "error", "summary"].map(|kind| format!("{kind:?}"));
    assert_eq!(stage.kinds(), expected);
    assert_eq!(stage.screen.text(), "strew: no peer\n", "people read errors on standard error");
    let third: Line = serde_json::from_str(stage.out.text().lines().nth(3).unwrap()).unwrap();
    let Event::Progress(progress) = third.event else { panic!("not a progress event") };
    assert_eq!((third.ts, progress.bytes_per_second, progress.eta_ms), (2000, 1 << 20, Some(98_000)));
}

#[test]
fn totals_are_shown_when_they_are_asked_for() {
    let summary = || Summary::new(ExitCode::Complete, 5, &transferring(0), vec![]);
    let mut stage = Stage::new("--dst /b", None);
    stage.reporter.finish(5, summary());
    assert_eq!(stage.screen.text(), "");
    let mut stage = Stage::new("--dst /b --statistics", None);
    stage.reporter.finish(5, summary());
    assert!(stage.screen.text().starts_with("statistics\n"));
}

#[test]
fn a_file_name_cannot_command_the_terminal() {
    let mut stage = Stage::new("--dst /b", None);
    let path = Some(Path::new("a\x1b[2J\nb").into());
    stage.reporter.tell(0, &Event::Warning(Warning { message: "is skipped".into(), path }));
    assert_eq!(stage.screen.text(), "warning: a\\u{1b}[2J\\nb: is skipped\n");
}

#[test]
fn the_rate_begins_anew_when_the_phase_counts_something_else() {
    let mut stage = Stage::new("--dst /b", None);
    stage.tick(0, &transferring(0));
    stage.tick(1, &transferring(50 << 20));
    let serving = Snapshot { phase: Phase::Serving, uploaded: Bytes(80 << 20), ..transferring(100 << 20) };
    stage.tick(2, &serving);
    assert!(stage.screen.text().lines().last().unwrap().ends_with("80.0 MiB sent  0 B/s"), "{}", stage.screen.text());
}
