//! Stage: a transfer between the processes of a demonstration, from the first start to the last end.
//!
//! One loop hears processes, signals and a clock. It knows of the transfer only what the events say.
//!
//! Invariant: an outcome is given only when every peer told that it is complete, and ended, like the seeder, with code 0.
//!
//! Not here: starting and ending processes (`fleet`), what is drawn (`board`).

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Interval, interval, timeout};

use super::DemoError;
use super::board::{Board, Ink, Row};
use super::fleet::{End, Fleet, News};
use super::table::{Outcome, Share};
use crate::cli::event::Event;
use crate::cli::exit::ExitCode;
use crate::cli::report::printable;
use crate::cli::screen::Screen;
use crate::cli::statistics::elapsed;
use crate::units::Bytes;

/// The number of the seeder among the processes; the peers follow.
const SEEDER: usize = 0;
/// How often the lines are drawn, if they changed: what the eye takes for steady.
const TICK: Duration = Duration::from_millis(100);
/// How often a line is written where none can be redrawn: a log of a minute stays on one screen.
const LINE_INTERVAL: Duration = Duration::from_secs(2);
/// How long the seeder may take to leave: uploads under way end within 5 s, and the good-bye takes at most one more.
const LEAVE_MAX: Duration = Duration::from_secs(15);

/// The signals that end a demonstration.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// From now on these signals are heard, and do not end the process any more.
    pub(super) fn watch() -> io::Result<Self> {
        let [interrupt, terminate, hang_up] = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Ok(Self { interrupt: signal(interrupt)?, terminate: signal(terminate)?, hang_up: signal(hang_up)? })
    }

    /// The exit code that belongs to the next signal.
    pub(super) async fn next(&mut self) -> ExitCode {
        tokio::select! {
            _ = self.interrupt.recv() => ExitCode::Interrupted,
            _ = self.terminate.recv() => ExitCode::Terminated,
            // A closed terminal has no code of its own, and asks for the same.
            _ = self.hang_up.recv() => ExitCode::Terminated,
        }
    }
}

/// The processes and what is known of them.
pub(super) struct Stage<'a> {
    fleet: Fleet,
    news: UnboundedReceiver<News>,
    signals: &'a mut Signals,
    tick: Interval,
    screen: &'a Screen,
    ink: Ink,
    board: Board,
    /// The reason that each process gave, or else its last words.
    words: Vec<String>,
    began: Instant,
    /// When the last line was written.
    told: Option<Instant>,
}

impl<'a> Stage<'a> {
    /// A stage for a seeder and so many peers. Must be called in a runtime.
    pub(super) fn new(screen: &'a Screen, signals: &'a mut Signals, peers: u32) -> Result<Self, DemoError> {
        let (fleet, news) = Fleet::new()?;
        let peers = usize::try_from(peers).unwrap_or(usize::MAX);
        let (board, words) = (Board::new(peers), vec![String::new(); peers + 1]);
        let (tick, ink, began) = (interval(TICK), Ink::of_locale(), Instant::now());
        Ok(Self { fleet, news, signals, tick, screen, ink, board, words, began, told: None })
    }

    /// Replicates `source` into `folders`, one for each peer.
    pub(super) async fn transfer(mut self, source: &Path, folders: &[PathBuf]) -> Result<Outcome, DemoError> {
        let outcome = self.play(source, folders).await;
        self.screen.clear();
        outcome
    }

    async fn play(&mut self, source: &Path, folders: &[PathBuf]) -> Result<Outcome, DemoError> {
        let address = self.seed(source).await?;
        for folder in folders {
            self.fleet.start(&[
                &flag("--dst=", folder.as_os_str()),
                &flag("--peer-list=", OsStr::new(&address)),
                OsStr::new("--listen-addr=127.0.0.1:0"),
                OsStr::new("--exit-complete"),
                OsStr::new("--output=json"),
            ])?;
        }
        self.began = Instant::now();
        let mut left = folders.len();
        while left > 0 {
            match self.next().await? {
                News::Ended(SEEDER) => return Err(self.failure(SEEDER)),
                News::Ended(number) if self.row(number).complete.is_none() => return Err(self.failure(number)),
                News::Ended(number) => {
                    self.expect_success(number)?;
                    left -= 1;
                }
                News::Event(..) | News::Said(..) => {}
            }
        }
        let time = elapsed(self.began.elapsed());
        self.end_seeder().await?;
        self.screen.clear();
        self.screen.say(&format!("all peers are complete and have left, {time} after their start"));
        self.outcome()
    }

    /// Starts the seeder and waits for the address that it listens on.
    async fn seed(&mut self, source: &Path) -> Result<String, DemoError> {
        self.fleet.start(&[
            &flag("--src=", source.as_os_str()),
            OsStr::new("--listen-addr=127.0.0.1:0"),
            OsStr::new("--symlinks=skip"),
            OsStr::new("--output=json"),
        ])?;
        loop {
            match self.next().await? {
                News::Event(_, Event::Start(start)) => return Ok(start.listen),
                News::Ended(number) => return Err(self.failure(number)),
                News::Event(..) | News::Said(..) => {}
            }
        }
    }

    /// Lets the seeder leave, now that nobody needs it.
    async fn end_seeder(&mut self) -> Result<(), DemoError> {
        self.fleet.stop(SEEDER);
        let end = async {
            while !matches!(self.next().await?, News::Ended(SEEDER)) {}
            Ok::<(), DemoError>(())
        };
        match timeout(LEAVE_MAX, end).await {
            Ok(ended) => ended?,
            Err(_) => return Err(DemoError::Silent { who: name(SEEDER), what: "did not leave when it was asked to" }),
        }
        self.expect_success(SEEDER)
    }

    /// What is told next. Draws meanwhile, and ends everything at a signal.
    async fn next(&mut self) -> Result<News, DemoError> {
        loop {
            tokio::select! {
                // The fleet holds a sender of its own, so the channel never ends.
                Some(news) = self.news.recv() => {
                    self.observe(&news);
                    return Ok(news);
                }
                _ = self.tick.tick() => self.show(),
                code = self.signals.next() => return Err(DemoError::Stopped(code)),
            }
        }
    }

    fn observe(&mut self, news: &News) {
        match news {
            News::Event(number, Event::Error(failure)) => self.words[*number].clone_from(&failure.message),
            News::Event(SEEDER, event) => self.board.seeder.observe(event),
            News::Event(number, event) => self.board.peers[number - 1].observe(event),
            News::Said(number, line) if self.words[*number].is_empty() => self.words[*number].clone_from(line),
            News::Said(..) | News::Ended(_) => {}
        }
    }

    /// Shows how far it is, where and when that is due.
    fn show(&mut self) {
        if let Some(width) = self.screen.width() {
            // The last column stays free: some terminals wrap as soon as it is written.
            self.screen.draw(&self.board.lines(self.ink, width.saturating_sub(1)));
        } else if self.told.is_none_or(|told| told.elapsed() >= LINE_INTERVAL) {
            self.screen.say(&self.board.line(self.began.elapsed()));
            self.told = Some(Instant::now());
        }
    }

    fn row(&self, number: usize) -> &Row {
        if number == SEEDER { &self.board.seeder } else { &self.board.peers[number - 1] }
    }

    fn expect_success(&mut self, number: usize) -> Result<(), DemoError> {
        match self.fleet.wait(number)? {
            End::Code(ExitCode::Complete) => Ok(()),
            end => Err(DemoError::Node { who: name(number), end, why: self.why(number) }),
        }
    }

    /// The error of a process that ended before its time.
    fn failure(&mut self, number: usize) -> DemoError {
        match self.fleet.wait(number) {
            Ok(end) => DemoError::Node { who: name(number), end, why: self.why(number) },
            Err(error) => error,
        }
    }

    fn why(&self, number: usize) -> String {
        let words = &self.words[number];
        if words.is_empty() { String::new() } else { format!(": {}", printable(words)) }
    }

    fn outcome(&self) -> Result<Outcome, DemoError> {
        let summary = |number: usize| {
            let silent = || DemoError::Silent { who: name(number), what: "ended without its summary" };
            self.row(number).summary.as_ref().ok_or_else(silent)
        };
        let seeder = summary(SEEDER)?;
        let mut peers = Vec::new();
        for number in 1..=self.board.peers.len() {
            let summary = summary(number)?;
            let millis = self.row(number).complete.as_ref().map_or(summary.elapsed_ms, |complete| complete.elapsed_ms);
            let (received, sent) = (Bytes(summary.counters.received), Bytes(summary.counters.uploaded));
            peers.push(Share { elapsed: Duration::from_millis(millis), received, sent });
        }
        let (bytes, seeder_sent) = (Bytes(seeder.counters.bytes_total), Bytes(seeder.counters.uploaded));
        Ok(Outcome { bytes, peers, seeder_sent, copies: seeder.counters.publisher_copies.unwrap_or(0.0) })
    }
}

/// A flag with a value that may be any bytes.
fn flag(name: &str, value: &OsStr) -> OsString {
    let mut word = OsString::from(name);
    word.push(value);
    word
}

/// What a process is called.
fn name(number: usize) -> String {
    if number == SEEDER { "the seeder".to_owned() } else { format!("peer {number}") }
}
