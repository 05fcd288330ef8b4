//! A process of the program: started with arguments, followed by its events, ended by signals.
//!
//! Two threads read what it prints, since a pipe that nobody empties would stop it. A test asks for an event and gets it, whether it
//! was printed already or is still to come; so the order in which a test asks does not matter.
//!
//! Invariant: a process lives no longer than its [`Node`], and the key never stands on a command line.
//!
//! Not here: namespaces and mounts; whoever needs them gives a command that enters them ([`bare`]).

use std::fmt::Display;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{LOOK_EVERY, PATIENCE};

/// Where processes listen unless a test says otherwise.
pub(crate) const ANY_PORT: &str = "127.0.0.1:0";

/// A folder of its own and a fresh swarm key.
pub(crate) struct Stage {
    folder: TempDir,
    key: String,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let made = Command::new(program()).args(["key", "new"]).output().unwrap();
        assert!(made.status.success(), "no key could be made");
        let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        Self { folder: tempfile::tempdir().unwrap(), key }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The program with the swarm key; prints events.
    pub(crate) fn command(&self, listen: impl Display) -> Command {
        let mut command = bare(&[program()]);
        command.arg(format!("--listen-addr={listen}")).env("STREW_KEY", &self.key);
        command
    }

    /// Publishes `src`.
    pub(crate) fn seed(&self, src: &Path, words: &[&str]) -> Node {
        let mut command = self.command(ANY_PORT);
        command.arg("--src").arg(src).args(words);
        Node::start(command)
    }

    /// Pulls into `dst` from `peers`.
    pub(crate) fn pull(&self, dst: &Path, peers: &[SocketAddr], words: &[&str]) -> Node {
        Node::start(self.pull_command(dst, peers, words))
    }

    /// The command of [`Stage::pull`], to be changed before it runs.
    pub(crate) fn pull_command(&self, dst: &Path, peers: &[SocketAddr], words: &[&str]) -> Command {
        let mut command = self.command(ANY_PORT);
        command.arg("--dst").arg(dst).args(words);
        if !peers.is_empty() {
            command.arg("--peer-list").arg(list(peers));
        }
        command
    }
}

impl Drop for Stage {
    /// Makes folders writable, so that whoever is not root can remove them.
    fn drop(&mut self) {
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700));
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            folders.extend(entries.filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
        }
    }
}

/// The program under test.
pub(crate) fn program() -> &'static str {
    env!("CARGO_BIN_EXE_strew")
}

/// The program, by its name or by the words of a command that runs it, with nothing of this environment that it would look at.
pub(crate) fn bare(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.env_remove("STREW_KEY").env_remove("STREW_KEY_FILE").env("STREW_LOG", "strew=info");
    command.env_remove("STREW_REGISTRY_TOKEN").env_remove("SSL_CERT_FILE");
    command.args(&words[1..]).args(["--output", "json"]);
    command
}

/// A peer list.
pub(crate) fn list(peers: &[SocketAddr]) -> String {
    peers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A number of an event; missing ones fail.
pub(crate) fn number(event: &Value, field: &str) -> u64 {
    event[field].as_u64().unwrap_or_else(|| panic!("no number {field} in {event}"))
}

/// What a process printed so far.
#[derive(Default)]
struct Told {
    events: Vec<Value>,
    /// Standard error, and lines of standard output that are no events.
    log: String,
    /// Whether standard output is closed.
    over: bool,
}

/// A running process.
pub(crate) struct Node {
    name: String,
    child: Child,
    told: Arc<(Mutex<Told>, Condvar)>,
    readers: Vec<thread::JoinHandle<()>>,
}

/// How a process ended.
pub(crate) struct End {
    /// Its exit code; minus the number of the signal that killed it.
    pub(crate) code: i32,
    pub(crate) events: Vec<Value>,
    /// What it wrote on standard error.
    pub(crate) log: String,
}

impl Node {
    /// Runs a command that prints events on standard output, unless that is redirected already.
    pub(crate) fn start(mut command: Command) -> Self {
        let name = command.get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let told = Arc::new((Mutex::new(Told::default()), Condvar::new()));
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (for_out, for_err) = (Arc::clone(&told), Arc::clone(&told));
        let readers = vec![
            thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    let mut told = for_out.0.lock().unwrap();
                    match serde_json::from_str(&line) {
                        Ok(event) => told.events.push(event),
                        Err(_) => told.log.push_str(&format!("not an event: {line}\n")),
                    }
                    for_out.1.notify_all();
                }
                for_out.0.lock().unwrap().over = true;
                for_out.1.notify_all();
            }),
            thread::spawn(move || {
                let mut lines = BufReader::new(err);
                let mut line = Vec::new();
                while lines.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
                    for_err.0.lock().unwrap().log.push_str(&String::from_utf8_lossy(&line));
                    line.clear();
                }
            }),
        ];
        Self { name, child, told, readers }
    }

    /// Waits for an event of which `find` makes something, and returns that. Events of the past count.
    pub(crate) fn until<T>(&self, what: &str, find: impl Fn(&Value) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let (mut told, mut seen) = (self.told.0.lock().unwrap(), 0);
        loop {
            if let Some(found) = told.events[seen..].iter().find_map(&find) {
                return found;
            }
            seen = told.events.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if told.over || left.is_zero() {
                let why = if told.over { "it ended" } else { "time is up" };
                drop(told);
                panic!("no {what}: {why}; {}", self.name);
            }
            told = self.told.1.wait_timeout(told, left).unwrap().0;
        }
    }

    /// Waits for an event of this kind.
    pub(crate) fn event(&self, kind: &str) -> Value {
        self.until(kind, |event| (event["event"] == kind).then(|| event.clone()))
    }

    /// Waits until it is a neighbour of who listens there.
    pub(crate) fn connected_to(&self, address: SocketAddr) {
        let address = address.to_string();
        self.until(&format!("connection to {address}"), |event| {
            (event["event"] == "peer" && event["state"] == "connected" && event["address"] == address).then_some(())
        });
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.event("start")["listen"].as_str().unwrap().parse().unwrap()
    }

    /// The last counter of this name that it told.
    pub(crate) fn last(&self, field: &str) -> u64 {
        let told = self.told.0.lock().unwrap();
        told.events.iter().rev().find_map(|event| event[field].as_u64()).unwrap_or(0)
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Kills it as a power cut does, as far as it can tell, and waits until it is gone.
    pub(crate) fn kill(mut self) -> End {
        self.child.kill().unwrap();
        self.end()
    }

    /// Asks a node to leave and waits until it did.
    pub(crate) fn interrupt(self) -> End {
        self.signal(Signal::INT);
        self.ends()
    }

    /// Waits for its end.
    pub(crate) fn ends(mut self) -> End {
        self.end()
    }

    /// Waits for its end, which must have this exit code.
    pub(crate) fn ends_with(mut self, code: i32) -> End {
        let end = self.end();
        assert!(end.code == code, "ended with {} instead of {code}: {}", end.code, self.name);
        end
    }

    fn end(&mut self) -> End {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.name);
            thread::sleep(LOOK_EVERY);
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let told = self.told.0.lock().unwrap();
        let code = status.code().unwrap_or_else(|| -status.signal().unwrap_or_default());
        End { code, events: told.events.clone(), log: told.log.clone() }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let told = match self.told.0.lock() {
                Ok(told) => told,
                Err(poisoned) => poisoned.into_inner(),
            };
            let events: String = told.events.iter().map(|event| format!("{event}\n")).collect();
            // The only place where it can be seen why a test failed.
            #[allow(clippy::print_stderr)]
            {
                eprintln!("---- {}\n{events}{}", self.name, told.log);
            }
        }
    }
}

impl End {
    /// The last event of this kind.
    pub(crate) fn last(&self, kind: &str) -> &Value {
        let found = self.events.iter().rev().find(|event| event["event"] == kind);
        found.unwrap_or_else(|| panic!("no event {kind}; code {}, log: {}", self.code, self.log))
    }

    /// A total of the run.
    pub(crate) fn total(&self, field: &str) -> u64 {
        number(self.last("summary"), field)
    }

    /// The message of the error that ended it.
    pub(crate) fn error(&self) -> String {
        self.last("error")["message"].as_str().unwrap().to_owned()
    }

    /// Asserts that it failed with this code and that the message has all of these parts.
    pub(crate) fn failed(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "{}", self.log);
        let message = if self.events.is_empty() { self.log.clone() } else { self.error() };
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
    }
}
