//! A process of a contender in the namespace of its machine: started, listened to, signalled, ended, and what it cost.
//!
//! Threads read what it prints, since a full pipe would stop it, and note the moment of every line: the sign of completion counts from
//! when it was printed, not from when somebody looked. What it cost is read when it has ended and before it is reaped; the kernel
//! keeps the times of a process, and of the children that it waited for, until then.
//!
//! Invariant: a process lives no longer than its [`Process`], nor than the bench, also when that is killed (`setpriv --pdeathsig`).
//!
//! Not here: what the lines mean (`contender`, `events`).

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// Clock ticks of /proc/PID/stat in a second; fixed in the ABI of Linux on x86-64 and arm64 (proc_pid_stat(5), USER_HZ).
const TICKS: f64 = 100.0;
/// How often a process that was asked to end is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long it may take to end before it is killed. strew drains for up to 10 s.
const PATIENCE: Duration = Duration::from_secs(12);

/// A line that a process printed.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) at: Instant,
    pub(crate) text: String,
}

/// A running process.
pub(crate) struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<Line>>>,
    readers: Vec<JoinHandle<()>>,
    /// How many lines [`Process::printed`] has looked at.
    looked: usize,
    peak: u64,
    frozen: bool,
}

/// How a process ended.
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    /// Time of processors that it and its children used.
    pub(crate) cpu: f64,
    /// The most memory that it and its children occupied, in bytes, as last seen.
    pub(crate) peak: u64,
    pub(crate) lines: Vec<Line>,
}

impl Process {
    /// Starts a command whose program enters a namespace and becomes the contender.
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        // A group of its own, so that a signal reaches its children too.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let mut readers = Vec::new();
        if let Some(out) = child.stdout.take() {
            readers.push(listen(out, Arc::clone(&lines)));
        }
        if let Some(err) = child.stderr.take() {
            readers.push(listen(err, Arc::clone(&lines)));
        }
        Ok(Self { child, lines, readers, looked: 0, peak: 0, frozen: false })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// When it first printed a line with this text, among the lines that were not looked at yet.
    pub(crate) fn printed(&mut self, text: &str) -> Option<Instant> {
        let lines = held(&self.lines);
        let new = &lines[self.looked..];
        let found = new.iter().find(|line| line.text.contains(text)).map(|line| line.at);
        self.looked = lines.len();
        found
    }

    /// Whether it listens on this port, by TCP or UDP.
    pub(crate) fn listens(&self, port: u16) -> bool {
        let at = format!(":{port:04X}");
        // In these tables, the second word is the local address. TCP listens in state 0A; an unconnected UDP socket is in state 07.
        [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")].iter().any(|(table, state)| {
            let table = fs::read_to_string(format!("/proc/{}/net/{table}", self.id())).unwrap_or_default();
            table.lines().any(|line| {
                let mut words = line.split_whitespace().skip(1);
                let (local, _, is) = (words.next(), words.next(), words.next());
                local.is_some_and(|local| local.ends_with(&at)) && is == Some(state)
            })
        })
    }

    /// Looks at the memory of it and its children, which is known only while they live.
    pub(crate) fn weigh(&mut self) {
        let id = self.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let all = children.split_whitespace().map(str::to_owned).chain([id.to_string()]);
        let peak: u64 = all.filter_map(|id| high_water(&id)).sum();
        self.peak = self.peak.max(peak);
    }

    /// How it ended, if it has; it stays there to be asked what it cost.
    pub(crate) fn has_ended(&self) -> Option<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(Pid::from_child(&self.child)), options).ok()??;
        Some(status.exit_status() == Some(0))
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::STOP => self.frozen = true,
            Signal::CONT => self.frozen = false,
            _ => {}
        }
        // It may have ended already; then there is nobody to tell.
        let _ = kill_process_group(Pid::from_child(&self.child), signal);
    }

    /// Waits until it has ended, and kills it when that takes too long after it was asked.
    pub(crate) fn end(mut self) -> io::Result<End> {
        if self.frozen {
            self.signal(Signal::KILL);
        }
        let deadline = Instant::now() + PATIENCE;
        while self.has_ended().is_none() {
            self.weigh();
            if Instant::now() > deadline {
                self.signal(Signal::KILL);
            }
            thread::sleep(LOOK_EVERY);
        }
        // Children that outlived it would go on in the namespace; the group has its name as long as it is not reaped.
        self.signal(Signal::KILL);
        let cpu = used(self.id());
        let status = self.child.wait()?;
        for reader in self.readers.drain(..) {
            // A reader only reads; it does not panic.
            let _ = reader.join();
        }
        let lines = std::mem::take(&mut *held(&self.lines));
        Ok(End { status, cpu, peak: self.peak, lines })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After `end` it is reaped, and its number may be somebody else's.
        if !self.readers.is_empty() {
            self.signal(Signal::KILL);
        }
        // Reaped twice it is not found; that is as good.
        let _ = self.child.wait();
    }
}

impl End {
    /// How it ended and the last lines that it printed, for a message.
    pub(crate) fn told(&self) -> String {
        let last = self.lines.iter().rev().take(5).rev().map(|line| format!("\n    {}", line.text));
        let how = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no exit code".to_owned(),
        };
        how + &last.collect::<String>()
    }
}

fn listen(out: impl Read + Send + 'static, lines: Arc<Mutex<Vec<Line>>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut out = BufReader::new(out);
        let mut line = Vec::new();
        while out.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            held(&lines).push(Line { at: Instant::now(), text });
            line.clear();
        }
    })
}

/// The lines, also when a reader panicked: a list of lines is whole after any of its steps.
fn held(lines: &Mutex<Vec<Line>>) -> MutexGuard<'_, Vec<Line>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most memory that a process occupied, in bytes.
fn high_water(id: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    kibibytes.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}

/// Seconds of processors that a process and its children used.
fn used(id: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name stands in brackets and may contain anything; user, system, and both of the children are the 12th to 15th word after it.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks: u64 = after.split_whitespace().skip(11).take(4).filter_map(|word| word.parse::<u64>().ok()).sum();
    ticks as f64 / TICKS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start(command).unwrap()
    }

    fn until<T>(mut find: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            assert!(Instant::now() < deadline, "time is up");
            match find() {
                Some(found) => return found,
                None => thread::sleep(LOOK_EVERY),
            }
        }
    }

    #[test]
    fn a_line_is_seen_with_its_moment_and_once() {
        let before = Instant::now();
        let mut process = start("echo one; echo two >&2; read never < /dev/zero");
        assert!(until(|| process.printed("two")) >= before);
        assert_eq!(process.printed("two"), None);
        process.signal(Signal::KILL);
        assert_eq!(process.end().unwrap().status.signal(), Some(9));
    }

    #[test]
    fn what_its_children_used_counts() {
        let process = start("i=0; (while [ $i -lt 300000 ]; do i=$((i+1)); done); exit 3");
        let end = process.end().unwrap();
        assert!(end.cpu > 0.0, "{}", end.cpu);
        assert_eq!(end.status.code(), Some(3));
    }

    #[test]
    fn a_frozen_process_can_be_ended() {
        let mut process = start("echo here; while :; do sleep 1; done");
        until(|| process.printed("here"));
        process.signal(Signal::STOP);
        process.signal(Signal::INT);
        assert_eq!(process.end().unwrap().status.signal(), Some(9));
    }
}
