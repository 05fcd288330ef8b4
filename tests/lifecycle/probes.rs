//! Probes over TCP: where they are answered, by whom, and what they say in the course of a run.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::common::node::{ANY_PORT, Node};
use crate::common::{LOOK_EVERY, PATIENCE, Relay, Stage, Tree, number};

/// Says this over a connection of its own, and returns all that comes back.
pub(crate) fn say(to: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

pub(crate) fn ask(to: SocketAddr, method: &str, path: &str) -> String {
    say(to, &format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
}

/// The status of the answer.
pub(crate) fn code(to: SocketAddr, path: &str) -> u16 {
    ask(to, "GET", path).split(' ').nth(1).unwrap().parse().unwrap()
}

pub(crate) fn body(to: SocketAddr, path: &str) -> String {
    ask(to, "GET", path).split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Where a node says that it answers probes.
pub(crate) fn probes(node: &Node) -> SocketAddr {
    node.event("start")["health"].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_node_answers_probes_on_the_tcp_port_of_its_number() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 1);
    tree.file("a", 10);
    let seeder = stage.seed(tree.path(), &[]);
    let at = seeder.address();
    assert_eq!(probes(&seeder), at);
    seeder.until("serving", |event| (event["phase"] == "serving").then_some(()));
    for path in ["/completed", "/healthz", "/version", "/status"] {
        assert_eq!(code(at, path), 200, "{path}");
    }
    assert_eq!(body(at, "/version"), format!("strew {}\n", env!("CARGO_PKG_VERSION")));
    let head = ask(at, "HEAD", "/completed");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(ask(at, "POST", "/completed").starts_with("HTTP/1.1 405"));
    assert_eq!((code(at, "/chunk/0"), code(at, "/manifest")), (404, 404));
    assert!(say(at, "no HTTP\r\n\r\n").starts_with("HTTP/1.1 400"));
    assert_eq!(seeder.interrupt().code, 0);
    assert!(TcpStream::connect(at).is_err(), "nobody answers for a node that is gone");
}

/// p2pcp said that it was complete before it had verified anything.
#[test]
fn a_copy_is_complete_for_probes_when_it_is_and_not_before() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 2);
    tree.file("a", 2 << 20);
    let seeder = stage.seed(tree.path(), &[]);
    let relay = Relay::to(seeder.address(), 0);
    let peer = stage.pull(&stage.path("dst"), &[relay.address()], &["--verify-on-complete"]);
    let at = probes(&peer);
    assert_eq!((code(at, "/completed"), code(at, "/healthz")), (503, 200));
    let status: Value = serde_json::from_str(&body(at, "/status")).unwrap();
    assert_eq!((&status["complete"], &status["phase"]), (&Value::Bool(false), &Value::from("connecting")));
    relay.open();
    // Whoever reads that it is complete and asks then hears the same.
    peer.event("complete");
    assert_eq!(code(at, "/completed"), 200);
    let status: Value = serde_json::from_str(&body(at, "/status")).unwrap();
    assert_eq!(status["content"], peer.event("manifest")["content"]);
    assert_eq!((number(&status, "bytes_done"), number(&status, "received")), (2 << 20, 2 << 20));
    assert_eq!(peer.interrupt().code, 0);
}

#[test]
fn a_port_that_is_taken_costs_the_probes_alone_unless_somebody_asked_for_it() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 3);
    tree.file("a", 10);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = stage.command(&address);
    command.arg("--src").arg(tree.path());
    let seeder = Node::start(command);
    let told = seeder.event("warning")["message"].as_str().unwrap().to_owned();
    assert!(told.contains(&address) && told.contains("--health-addr"), "{told}");
    assert!(seeder.event("start")["health"].is_null());
    // A publisher that has not walked its source yet has nothing to be complete with.
    seeder.event("manifest");
    assert_eq!(seeder.interrupt().code, 0);

    let mut command = stage.command(ANY_PORT);
    command.arg("--src").arg(tree.path()).args(["--health-addr", &address]);
    Node::start(command).ends().failed(5, &[&address, "--health-addr", "in use"]);
}

#[test]
fn probes_are_where_they_are_asked_for_or_nowhere() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 4);
    tree.file("a", 10);
    let elsewhere = stage.seed(tree.path(), &["--health-addr", ANY_PORT]);
    let at = probes(&elsewhere);
    assert_ne!(at, elsewhere.address());
    assert_eq!(code(at, "/status"), 200);
    assert!(TcpStream::connect(elsewhere.address()).is_err());
    let nowhere = stage.seed(tree.path(), &["-health-addr=none"]);
    assert!(nowhere.event("start")["health"].is_null());
    assert!(TcpStream::connect(nowhere.address()).is_err());
}

#[test]
fn whoever_connects_and_says_nothing_or_too_much_keeps_no_probe_waiting() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 5);
    tree.file("a", 10);
    let seeder = stage.seed(tree.path(), &[]);
    let at = probes(&seeder);
    let silent: Vec<TcpStream> = (0..32).map(|_| TcpStream::connect(at).unwrap()).collect();
    assert_eq!(code(at, "/healthz"), 200);
    let long = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(1 << 20));
    let mut stream = TcpStream::connect(at).unwrap();
    // It may be cut off before all is said.
    let _ = stream.write_all(long.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
    // Nobody holds a connection for ever: all of them are ended by the node.
    let deadline = Instant::now() + PATIENCE;
    for mut stream in silent {
        stream.set_nonblocking(true).unwrap();
        while stream.read(&mut [0; 64]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
            assert!(Instant::now() < deadline, "a silent connection lives on");
            thread::sleep(LOOK_EVERY);
        }
    }
    assert_eq!(code(at, "/healthz"), 200);
}
