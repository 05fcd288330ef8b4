//! Fleet: the processes of a demonstration and what they tell.
//!
//! They are the very program that runs, started as a user would start it, and read through the same events that any other program
//! would read. A thread for each stream turns lines into news, so that one loop can wait for all of them.
//!
//! Invariant: no process outlives its [`Fleet`], and the key is passed in the environment, never as an argument.
//!
//! Not here: what is done about the news (`demo`).

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use zeroize::Zeroizing;

use super::DemoError;
use super::leash;
use crate::cli::environment;
use crate::cli::event::{Event, Line};
use crate::cli::exit::ExitCode;
use crate::identity::SwarmKey;

/// What a process told.
#[derive(Debug)]
pub(super) enum News {
    /// An event.
    Event(usize, Event),
    /// A line for people.
    Said(usize, String),
    /// It closed both of its streams, so it has ended or is about to. Nothing follows.
    Ended(usize),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum End {
    /// With an exit code.
    Code(ExitCode),
    /// By a signal, or with a code that strew does not have.
    Odd(ExitStatus),
}

/// Processes that end with it. They are numbered in the order of their start.
pub(super) struct Fleet {
    program: PathBuf,
    key: Zeroizing<String>,
    nodes: Vec<Child>,
    sender: UnboundedSender<News>,
}

impl Fleet {
    /// An empty fleet with a fresh key, and where its news will arrive.
    pub(super) fn new() -> Result<(Self, UnboundedReceiver<News>), DemoError> {
        let program = std::env::current_exe().map_err(DemoError::Program)?;
        let key = SwarmKey::generate()?.reveal_text();
        let (sender, news) = unbounded_channel();
        Ok((Self { program, key, nodes: Vec::new(), sender }, news))
    }

    /// Starts strew with these words.
    pub(super) fn start(&mut self, words: &[&OsStr]) -> Result<(), DemoError> {
        let mut command = Command::new(&self.program);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // What is set for the transfers of this machine is not for the demonstration.
        environment::ours().for_each(|name| _ = command.env_remove(name));
        command.env("STREW_KEY", self.key.as_str()).env(leash::PARENT, std::process::id().to_string());
        // A group of its own: the terminal's Ctrl-C reaches the demonstration alone, which then ends all in order.
        command.process_group(0);
        let mut child = command.spawn().map_err(DemoError::Program)?;
        let (number, out, err) = (self.nodes.len(), child.stdout.take(), child.stderr.take());
        self.nodes.push(child);
        let (events, words) = (self.sender.clone(), self.sender.clone());
        let reading = std::thread::spawn(move || tell(err, |line| words.send(News::Said(number, line)).is_ok()));
        std::thread::spawn(move || {
            tell(out, |line| {
                let event = serde_json::from_str::<Line>(&line).map(|line| News::Event(number, line.event));
                events.send(event.unwrap_or(News::Said(number, line))).is_ok()
            });
            // Neither fails unless nobody listens any more, who then ends the process himself.
            let _ = reading.join();
            let _ = events.send(News::Ended(number));
        });
        Ok(())
    }

    /// Asks a process to end in order.
    pub(super) fn stop(&self, number: usize) {
        // The child is not waited for yet, so the id is still its own. It may have ended meanwhile.
        let _ = kill_process(Pid::from_child(&self.nodes[number]), Signal::TERM);
    }

    /// Waits for a process that has closed its output.
    pub(super) fn wait(&mut self, number: usize) -> Result<End, DemoError> {
        let status = self.nodes[number].wait().map_err(DemoError::Program)?;
        let known = ExitCode::ALL.into_iter().find(|code| Some(i32::from(code.number())) == status.code());
        Ok(known.map_or(End::Odd(status), End::Code))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in &mut self.nodes {
            // Both fail only for what has ended already.
            let _ = child.kill();
        }
        for child in &mut self.nodes {
            let _ = child.wait();
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with code {} ({})", code.number(), code.meaning()),
            Self::Odd(status) => match status.signal() {
                Some(signal) => write!(f, "was ended by signal {signal}"),
                None => write!(f, "ended unexpectedly ({status})"),
            },
        }
    }
}

/// Passes on each line of a stream until it ends or nobody listens.
fn tell(stream: Option<impl Read>, mut each: impl FnMut(String) -> bool) {
    let Some(stream) = stream else { return };
    let mut lines = BufReader::new(stream).split(b'\n');
    while let Some(Ok(line)) = lines.next() {
        if !each(String::from_utf8_lossy(&line).into_owned()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fleet of another program.
    fn fleet_of(program: &str) -> (Fleet, UnboundedReceiver<News>) {
        let (mut fleet, news) = Fleet::new().unwrap();
        fleet.program = program.into();
        (fleet, news)
    }

    #[test]
    fn events_words_and_the_end_arrive_as_news() {
        let (mut fleet, mut news) = fleet_of("sh");
        let script = r#"echo '{"v":1,"ts":1,"event":"warning","message":"odd"}'; echo plain; exit 4"#;
        fleet.start(&["-c", script].map(OsStr::new)).unwrap();
        let mut told = Vec::new();
        while let Some(next) = news.blocking_recv() {
            told.push(format!("{next:?}"));
            if matches!(next, News::Ended(0)) {
                break;
            }
        }
        assert!(told[0].starts_with("Event(0, Warning") && told[1] == "Said(0, \"plain\")", "{told:?}");
        assert_eq!(fleet.wait(0).unwrap(), End::Code(ExitCode::Incomplete));
    }

    #[test]
    fn no_process_outlives_its_fleet() {
        let (mut fleet, mut news) = fleet_of("sh");
        // Ends only when it is killed: it ignores being asked.
        fleet.start(&["-c", "trap '' TERM; echo $$; exec cat /dev/zero > /dev/null"].map(OsStr::new)).unwrap();
        let Some(News::Said(0, pid)) = news.blocking_recv() else { panic!("no line arrived") };
        fleet.stop(0);
        drop(fleet);
        assert!(!std::path::Path::new("/proc").join(pid).exists());
    }

    #[test]
    fn the_key_is_in_the_environment_and_nowhere_else() {
        let (mut fleet, mut news) = fleet_of("sh");
        fleet.start(&["-c", "echo \"$STREW_KEY\"; tr '\\0' ' ' < /proc/$$/cmdline"].map(OsStr::new)).unwrap();
        let Some(News::Said(0, key)) = news.blocking_recv() else { panic!("no line arrived") };
        let Some(News::Said(0, command)) = news.blocking_recv() else { panic!("no second line arrived") };
        assert!(key == *fleet.key && key.starts_with("strew1-") && !command.contains("strew1-"), "{command}");
    }

    #[test]
    fn an_end_that_nobody_expects_is_described() {
        let (mut fleet, _news) = fleet_of("sh");
        fleet.start(&["-c", "kill -9 $$"].map(OsStr::new)).unwrap();
        assert_eq!(fleet.wait(0).unwrap().to_string(), "was ended by signal 9");
    }
}
