//! Board: how far the seeder and its peers are, on one screen.
//!
//! Each process has a line that always stands in the same place, so that one sees them fill side by side. The seeder's line counts
//! copies that left it, on a scale that ends where plain copying would end.
//!
//! Invariant: no line is wider than it may be, and a bar is full only when nothing is missing.
//!
//! Not here: where the lines go and how often (`demo`).

use std::time::Duration;

use crate::cli::event::{Complete, Event, PhaseName, Progress, Summary};
use crate::cli::progress::{duration, percent};
use crate::cli::statistics::elapsed;
use crate::units::Bytes;

/// The characters of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ink {
    full: char,
    empty: char,
}

/// What is known of one process.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// The last progress told.
    pub(super) progress: Option<Progress>,
    /// The completion, once there was one.
    pub(super) complete: Option<Complete>,
    /// The totals, once it is about to end.
    pub(super) summary: Option<Summary>,
}

/// What is known of all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Board {
    /// The seeder.
    pub(super) seeder: Row,
    /// The others.
    pub(super) peers: Vec<Row>,
}

impl Ink {
    /// Characters that look well, where the terminal's language has them.
    pub(super) fn of_locale() -> Self {
        // The order is POSIX's: the first one that is set decides.
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        Self::of(&locale)
    }

    fn of(locale: &str) -> Self {
        let locale = locale.to_ascii_lowercase();
        let unicode = locale.contains("utf-8") || locale.contains("utf8");
        if unicode { Self { full: '━', empty: '┄' } } else { Self { full: '#', empty: '.' } }
    }

    /// A bar of `width` characters.
    fn bar(self, width: usize, done: u64, total: u64) -> String {
        let filled = match total {
            0 => 0,
            _ => u128::from(done.min(total)) * width as u128 / u128::from(total),
        };
        let filled = usize::try_from(filled).unwrap_or(width);
        (0..width).map(|at| if at < filled { self.full } else { self.empty }).collect()
    }
}

impl Row {
    /// Takes in what the process told.
    pub(super) fn observe(&mut self, event: &Event) {
        match event {
            Event::Progress(progress) => self.progress = Some(progress.clone()),
            Event::Complete(complete) => self.complete = Some(complete.clone()),
            Event::Summary(summary) => self.summary = Some(summary.clone()),
            _ => {}
        }
    }

    /// Bytes that it sent until now.
    fn uploaded(&self) -> u64 {
        self.summary
            .as_ref()
            .map(|summary| summary.counters.uploaded)
            .or(self.progress.as_ref().map(|p| p.uploaded))
            .unwrap_or(0)
    }

    fn peer_line(&self, ink: Ink, width: usize) -> String {
        let bar = bar_width(width);
        if let Some(complete) = &self.complete {
            let time = elapsed(Duration::from_millis(complete.elapsed_ms));
            let sent = Bytes(self.uploaded());
            return format!("{}  100.0%  complete in {time}, sent on {sent}", ink.bar(bar, 1, 1));
        }
        let Some(progress) = &self.progress else { return format!("{}    0.0%  starting", ink.bar(bar, 0, 1)) };
        let (done, total) = (progress.bytes_done, progress.bytes_total);
        let share = if total == 0 { "0.0%".to_owned() } else { percent(Bytes(done), Bytes(total)) };
        let doing = match progress.phase {
            PhaseName::Connecting => "looking for the seeder".to_owned(),
            PhaseName::Manifest => "waiting for the list of files".to_owned(),
            PhaseName::Finishing => "giving the last files their names".to_owned(),
            _ => {
                let (rate, sent) = (Bytes(progress.bytes_per_second), Bytes(progress.uploaded).to_string());
                let eta = progress.eta_ms.map(|ms| format!("  ETA {}", duration(Duration::from_millis(ms))));
                format!("{:>12}  sent on {sent:>10}{}", format!("{rate}/s"), eta.unwrap_or_default())
            }
        };
        format!("{}  {share:>6}  {doing}", ink.bar(bar, done, total))
    }
}

impl Board {
    /// A board for so many peers.
    pub(super) fn new(peers: usize) -> Self {
        Self { seeder: Row::default(), peers: vec![Row::default(); peers] }
    }

    /// A line for each process, of at most `width` characters.
    pub(super) fn lines(&self, ink: Ink, width: usize) -> String {
        let mut lines = vec![format!("  seeder  {}", self.seeder_line(ink, width))];
        for (at, peer) in self.peers.iter().enumerate() {
            lines.push(format!("  peer {}  {}", at + 1, peer.peer_line(ink, width)));
        }
        lines.iter().map(|line| line.chars().take(width).collect::<String>()).collect::<Vec<_>>().join("\n")
    }

    /// All of it in one line, for where no line can be redrawn.
    pub(super) fn line(&self, since: Duration) -> String {
        let share = |row: &Row| match (&row.complete, &row.progress) {
            (Some(_), _) => "100.0%".to_owned(),
            (None, Some(p)) if p.bytes_total > 0 => percent(Bytes(p.bytes_done), Bytes(p.bytes_total)),
            _ => "0.0%".to_owned(),
        };
        let shares: Vec<String> = self.peers.iter().map(share).collect();
        format!("{:>6}  peers {}; the seeder {}", elapsed(since), shares.join(", "), self.copies())
    }

    fn seeder_line(&self, ink: Ink, width: usize) -> String {
        let all = self.bytes_total().saturating_mul(u64::try_from(self.peers.len()).unwrap_or(u64::MAX));
        let rate = self.seeder.progress.as_ref().map_or(0, |progress| progress.bytes_per_second);
        let bar = ink.bar(bar_width(width), self.seeder.uploaded(), all);
        let copies = self.copies();
        if self.seeder.summary.is_some() {
            format!("{bar}  {copies}")
        } else {
            format!("{bar}  {copies}  {}/s", Bytes(rate))
        }
    }

    /// How many copies have left the seeder.
    fn copies(&self) -> String {
        let peers = self.peers.len();
        #[allow(clippy::cast_precision_loss)] // two digits are shown
        let copies = self.seeder.uploaded() as f64 / self.bytes_total().max(1) as f64;
        format!("sent {copies:.2} of {peers} copies")
    }

    /// Bytes of the content; zero until somebody told.
    fn bytes_total(&self) -> u64 {
        let rows = self.peers.iter().chain([&self.seeder]);
        rows.filter_map(|row| row.progress.as_ref()).map(|progress| progress.bytes_total).max().unwrap_or(0)
    }
}

/// What the words beside it leave, within reason: a bar that is too long says no more.
fn bar_width(width: usize) -> usize {
    const WORDS: usize = 62;
    width.saturating_sub(WORDS).clamp(8, 40)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASCII: Ink = Ink { full: '#', empty: '.' };

    fn progress(phase: PhaseName, done: u64, uploaded: u64) -> Progress {
        Progress {
            phase,
            bytes_done: done << 20,
            bytes_total: 100 << 20,
            chunks_done: 0,
            chunks_total: 100,
            bytes_per_second: 25 << 20,
            eta_ms: (done < 100).then_some((100 - done) * 40),
            peers: 4,
            received: done << 20,
            copied: 0,
            uploaded: uploaded << 20,
            wire_received: done << 20,
            wire_uploaded: uploaded << 20,
        }
    }

    fn row(phase: PhaseName, done: u64, uploaded: u64) -> Row {
        let mut row = Row::default();
        row.observe(&Event::Progress(progress(phase, done, uploaded)));
        row
    }

    fn complete(uploaded: u64) -> Row {
        let mut row = row(PhaseName::Serving, 100, uploaded);
        let (content, root) = (String::new(), String::new());
        let (files, bytes, bytes_kept, read_back) = (1, 100 << 20, 0, false);
        row.observe(&Event::Complete(Complete {
            content,
            root,
            files,
            bytes,
            bytes_kept,
            elapsed_ms: 4250,
            read_back,
        }));
        row
    }

    fn board() -> Board {
        Board {
            seeder: row(PhaseName::Serving, 100, 61),
            peers: vec![
                row(PhaseName::Transferring, 45, 20),
                complete(70),
                Row::default(),
                row(PhaseName::Connecting, 0, 0),
            ],
        }
    }

    #[test]
    fn each_process_has_a_line_that_says_how_far_it_is() {
        let expected = "  seeder  ##................  sent 0.61 of 4 copies  25.0 MiB/s
  peer 1  ########..........   45.0%    25.0 MiB/s  sent on   20.0 MiB  ETA 2s
  peer 2  ##################  100.0%  complete in 4.2s, sent on 70.0 MiB
  peer 3  ..................    0.0%  starting
  peer 4  ..................    0.0%  looking for the seeder";
        assert_eq!(board().lines(ASCII, 80), expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 0..200 {
            assert!(board().lines(ASCII, width).lines().all(|line| line.chars().count() <= width), "{width}");
        }
        let usual = board().lines(ASCII, 79);
        assert!(usual.contains("ETA 2s") && usual.contains("sent on 70.0 MiB"), "{usual}");
    }

    #[test]
    fn without_a_terminal_one_line_says_it_all() {
        let line = board().line(Duration::from_millis(2100));
        assert_eq!(line, "  2.1s  peers 45.0%, 100.0%, 0.0%, 0.0%; the seeder sent 0.61 of 4 copies");
    }

    #[test]
    fn a_bar_is_full_only_when_nothing_is_missing() {
        assert_eq!(ASCII.bar(4, u64::MAX - 1, u64::MAX), "###.");
        assert_eq!(ASCII.bar(4, 7, 7), "####");
        assert_eq!(ASCII.bar(4, 0, 0), "....");
    }

    #[test]
    fn lines_are_drawn_finely_only_where_the_language_has_them() {
        assert_eq!(Ink::of("C"), ASCII);
        assert_eq!(Ink::of(""), ASCII);
        assert_ne!(Ink::of("en_GB.UTF-8"), ASCII);
        assert_ne!(Ink::of("C.utf8"), ASCII);
    }

    #[test]
    fn an_empty_source_divides_nothing_by_zero() {
        assert!(Board::new(4).lines(ASCII, 80).contains("sent 0.00 of 4 copies"));
    }
}
