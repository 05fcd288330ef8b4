//! Standard error as people see it: lines that stay, and on a terminal a line (or a few) that is redrawn.
//!
//! Logs, warnings and progress share one stream, so they share one owner: whoever writes a line that stays first takes the
//! redrawn ones away and puts them back below. Without that owner a log line would end up in the middle of a progress line.
//!
//! Invariant: each write is whole lines in one call, and a stream that is closed, full or gone is silently done without: nobody
//! loses a transfer because a terminal was closed.
//!
//! Not here: what the lines say, and standard output, which belongs to events and keys.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Takes the cursor to the first column and clears the line (ECMA-48: CR, EL 2).
const CLEAR_LINE: &[u8] = b"\r\x1b[2K";
/// Clears from the cursor to the end of the screen (ECMA-48: ED 0).
const CLEAR_BELOW: &str = "\x1b[J";
/// The width when the terminal does not tell it: that of the VT100, which everything since can show.
const WIDTH_UNKNOWN: usize = 80;

/// The owner of a stream for people. Clones share it.
#[derive(Clone)]
pub struct Screen(Arc<Mutex<State>>);

struct State {
    out: Box<dyn Write + Send>,
    /// How a line can be redrawn; `None` where it cannot.
    width: Option<fn() -> usize>,
    /// What is redrawn now, with a newline between its lines; empty when there is nothing.
    line: String,
}

impl Screen {
    /// Standard error. A line is redrawn only on a terminal that can (`TERM` is not `dumb`).
    #[must_use]
    pub fn stderr() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let live = io::stderr().is_terminal() && !dumb;
        Self::new(Box::new(io::stderr()), live.then_some(terminal_width))
    }

    /// Any other stream; `width` gives the columns of its terminal, when it is one.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, width: Option<fn() -> usize>) -> Self {
        Self(Arc::new(Mutex::new(State { out, width, line: String::new() })))
    }

    /// The columns of the terminal now, or `None` when no line can be redrawn.
    #[must_use]
    pub fn width(&self) -> Option<usize> {
        self.state().width.map(|width| width())
    }

    /// Writes text that stays; a missing newline at its end is added.
    pub fn say(&self, text: &str) {
        self.state().say(text.as_bytes());
    }

    /// Replaces the redrawn line; several are parted by newlines. None of them may be wider than the terminal. Does nothing where
    /// no line can be redrawn.
    pub fn draw(&self, line: &str) {
        let mut state = self.state();
        if state.width.is_none() || state.line == line {
            return;
        }
        let clear = clearing(&state.line);
        line.clone_into(&mut state.line);
        state.write(&[&clear, line.as_bytes()]);
    }

    /// Takes the redrawn line away for good.
    pub fn clear(&self) {
        let mut state = self.state();
        if !state.line.is_empty() {
            let clear = clearing(&state.line);
            state.line.clear();
            state.write(&[&clear]);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked while writing left at worst half a line.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn say(&mut self, text: &[u8]) {
        let newline: &[u8] = if text.ends_with(b"\n") { b"" } else { b"\n" };
        let line = std::mem::take(&mut self.line);
        let clear = if line.is_empty() { Vec::new() } else { clearing(&line) };
        self.write(&[&clear, text, newline, line.as_bytes()]);
        self.line = line;
    }

    fn write(&mut self, parts: &[&[u8]]) {
        let whole = parts.concat();
        // Nobody is left to be told.
        let _ = self.out.write_all(&whole).and_then(|()| self.out.flush());
    }
}

/// What takes these lines away and leaves the cursor where the first of them began.
fn clearing(lines: &str) -> Vec<u8> {
    match lines.matches('\n').count() {
        0 => CLEAR_LINE.to_vec(),
        up => format!("\r\x1b[{up}A{CLEAR_BELOW}").into_bytes(),
    }
}

fn terminal_width() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stderr());
    size.ok().map(|size| usize::from(size.ws_col)).filter(|&columns| columns > 0).unwrap_or(WIDTH_UNKNOWN)
}

/// Each write is one log entry that stays.
impl Write for Screen {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        self.state().say(entry);
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A stream whose content can be read back.
    #[derive(Clone, Default)]
    pub(in crate::cli) struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        pub(in crate::cli) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap().replace("\r\x1b[2K", "<clear>")
        }

        pub(in crate::cli) fn screen(&self, width: Option<fn() -> usize>) -> Screen {
            Screen::new(Box::new(self.clone()), width)
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_stays_is_written_above_the_redrawn_one() {
        let paper = Paper::default();
        let screen = paper.screen(Some(|| 80));
        screen.draw("10%");
        screen.say("a warning");
        screen.draw("20%");
        screen.clear();
        screen.say("done\n");
        assert_eq!(paper.text(), "<clear>10%<clear>a warning\n10%<clear>20%<clear>done\n");
    }

    #[test]
    fn several_lines_are_redrawn_from_the_first_of_them() {
        let paper = Paper::default();
        let screen = paper.screen(Some(|| 80));
        screen.draw("a 10%\nb 20%\nc 30%");
        screen.draw("a 20%\nb 30%\nc 40%");
        screen.say("a warning");
        screen.clear();
        let up = "\r\x1b[2A\x1b[J";
        let expected =
            format!("<clear>a 10%\nb 20%\nc 30%{up}a 20%\nb 30%\nc 40%{up}a warning\na 20%\nb 30%\nc 40%{up}");
        assert_eq!(paper.text(), expected);
    }

    #[test]
    fn log_entries_go_the_same_way() {
        let paper = Paper::default();
        let mut screen = paper.screen(Some(|| 80));
        screen.draw("10%");
        screen.write_all(b"INFO hello\n").unwrap();
        assert_eq!(paper.text(), "<clear>10%<clear>INFO hello\n10%");
    }

    #[test]
    fn nothing_is_redrawn_where_that_is_impossible() {
        let paper = Paper::default();
        let screen = paper.screen(None);
        screen.draw("10%");
        screen.say("done");
        assert_eq!((paper.text().as_str(), screen.width()), ("done\n", None));
    }

    #[test]
    fn an_unchanged_line_is_not_drawn_again() {
        let paper = Paper::default();
        let screen = paper.screen(Some(|| 80));
        screen.draw("10%");
        screen.draw("10%");
        assert_eq!(paper.text(), "<clear>10%");
    }

    #[test]
    fn a_closed_stream_is_no_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let mut screen = Screen::new(Box::new(Closed), Some(|| 80));
        screen.draw("10%");
        screen.say("a warning");
        assert_eq!(screen.write(b"log").unwrap(), 3);
    }
}
