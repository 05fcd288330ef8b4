//! A web server that says what a test wants, and remembers what it was asked.
//!
//! It is written with plain sockets, because most of what it has to do (break off, say too much, say nothing) is what a web server's
//! library prevents.
//!
//! Invariant: each connection carries one question; an answer is the one that was set when the question had come.
//!
//! Not here: TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use crate::common::PATIENCE;

/// What to say.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// This body, with 200.
    Body(String),
    /// No body, with this status.
    Status(u16),
    /// A body of so many bytes, all of them entries.
    Much(usize),
    /// Nothing, and keep the connection open.
    Nothing,
}

/// A question: its first line, and its body.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) body: String,
}

struct State {
    say: Say,
    asked: Vec<Asked>,
    /// Connections that were told nothing.
    held: Vec<TcpStream>,
}

/// The server; it ends with the test's process.
pub(crate) struct Web {
    address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Web {
    pub(crate) fn saying(say: Say) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { say, asked: Vec::new(), held: Vec::new() };
        let state = Arc::new((Mutex::new(state), Condvar::new()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || answer(stream, &shared));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/peers", self.address)
    }

    /// From now on it says something else.
    pub(crate) fn say(&self, say: Say) {
        self.state.0.lock().unwrap().say = say;
    }

    /// From now on it says this list.
    pub(crate) fn list(&self, peers: &[SocketAddr]) {
        self.say(Say::Body(crate::common::node::list(peers)));
    }

    /// Waits for a question of which `find` makes something. Those of the past count.
    pub(crate) fn until<T>(&self, what: &str, find: impl Fn(&[Asked]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.0.lock().unwrap();
        loop {
            if let Some(found) = find(&state.asked) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} was not asked for: {:?}", state.asked);
            state = self.state.1.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits until so many more questions came than until now.
    pub(crate) fn until_asked_again(&self, times: usize) {
        let now = self.asked().len();
        self.until("a list, again", |asked| (asked.len() >= now + times).then_some(()));
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.0.lock().unwrap().asked.clone()
    }
}

fn answer(mut stream: TcpStream, shared: &(Mutex<State>, Condvar)) {
    let Some(asked) = question(&mut stream) else { return };
    let mut state = shared.0.lock().unwrap();
    state.asked.push(asked);
    shared.1.notify_all();
    let say = state.say.clone();
    if matches!(say, Say::Nothing) {
        return state.held.push(stream);
    }
    drop(state);
    let (status, body) = match say {
        Say::Body(body) => (200, body),
        Say::Status(status) => (status, String::new()),
        Say::Much(bytes) => (200, "10.0.0.1:7,".repeat(bytes / 11)),
        Say::Nothing => unreachable!("it was dealt with"),
    };
    let head = format!("HTTP/1.1 {status} So\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // Whoever has heard enough closes early.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}

/// One question, or nothing from whoever goes away.
fn question(stream: &mut TcpStream) -> Option<Asked> {
    let mut text = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let len = stream.read(&mut buffer).ok().filter(|len| *len > 0)?;
        text.extend_from_slice(&buffer[..len]);
        let shown = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = shown.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            let line = head.lines().next().unwrap_or_default().to_owned();
            return Some(Asked { line, body: body.to_owned() });
        }
    }
}
