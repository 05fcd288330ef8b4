//! `strew status`: what it prints, and what its exit code says.

use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};

use serde_json::Value;

use crate::common::node::program;
use crate::common::{Relay, Stage, Tree};
use crate::probes::probes;

fn status(words: &[&str]) -> (i32, String, String) {
    let output: Output = Command::new(program()).arg("status").args(words).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn of(node: SocketAddr, words: &[&str]) -> (i32, String, String) {
    status(&[&[node.to_string().as_str()], words].concat())
}

#[test]
fn the_state_of_a_node_is_shown_and_its_exit_code_says_whether_it_is_complete() {
    let stage = Stage::new();
    let mut tree = Tree::new(stage.path("src"), 1);
    tree.file("a", 1 << 20);
    let seeder = stage.seed(tree.path(), &[]);
    let relay = Relay::to(seeder.address(), 0);
    let peer = stage.pull(&stage.path("dst"), &[relay.address()], &[]);
    let (code, out, _) = of(probes(&peer), &[]);
    assert_eq!(code, 4, "{out}");
    assert!(out.contains("incomplete") && out.contains("connecting"), "{out}");
    relay.open();
    peer.event("complete");
    let (code, out, err) = of(probes(&peer), &[]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("1.0 MiB of 1.0 MiB") && out.contains("serving"), "{out}");
    let (code, out, _) = of(probes(&peer), &["--output", "json"]);
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, out.lines().count(), &shown["complete"]), (0, 1, &Value::Bool(true)));
    assert_eq!(shown["listen"], peer.address().to_string());
    // Others than loopback too, as long as it is this machine that asks: by a name that leads here.
    assert_eq!(status(&[&format!("localhost:{}", probes(&peer).port())]).0, 0);
}

#[test]
fn where_nobody_answers_it_says_so_and_ends_with_4() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, out, err) = of(free, &[]);
    assert_eq!((code, out.as_str()), (4, ""), "{err}");
    assert!(err.contains(&free.to_string()) && err.contains("--health-addr"), "{err}");
    let (code, _, err) = status(&["nowhere.invalid"]);
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("nowhere.invalid"), "{err}");
}

#[test]
fn who_answers_otherwise_is_no_node_and_a_wrong_address_is_wrong_usage() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let web = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        // Answering before everything is read would reset the connection.
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
    });
    let (code, out, err) = of(address, &[]);
    web.join().unwrap();
    assert_eq!((code, out.as_str()), (4, ""), "{err}");
    assert!(err.contains("no node of strew"), "{err}");
    assert_eq!(status(&["host:port"]).0, 2);
    assert_eq!(status(&["127.0.0.1:1", "--output", "xml"]).0, 2);
}
