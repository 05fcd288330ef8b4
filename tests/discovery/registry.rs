//! Registries: `strew registry` with a fleet, and one written for the test that only listens to what nodes say.
//!
//! Not here: what is in the book and for how long (`src/discovery/registry/book.rs`).

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::node::program;
use crate::common::{LOOK_EVERY, PATIENCE, Stage};
use crate::fleet::{Fleet, PEERS, lists, warned, warnings};
use crate::web::{Asked, Say, Web};

/// A process of `strew registry`.
struct Registry {
    child: Child,
    /// Where it is, without a path.
    url: String,
}

impl Registry {
    fn start(words: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.args(["registry", "--listen-addr", "127.0.0.1:0"]).args(words).env_remove("STREW_REGISTRY_TOKEN");
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let url = line.split_whitespace().find_map(|word| word.strip_suffix("/heartbeat,"));
        let url = url.unwrap_or_else(|| panic!("the registry says {line:?}")).to_owned();
        // A pipe that nobody empties would stop it.
        thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Self { child, url }
    }

    fn address(&self) -> SocketAddr {
        self.url.rsplit('/').next().unwrap().parse().unwrap()
    }

    /// Says this over a connection of its own, and returns all that comes back.
    fn ask(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(&self, path: &str, header: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n"))
    }

    fn post(&self, body: &str) -> String {
        let head = "POST /heartbeat HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length:";
        self.ask(&format!("{head} {}\r\n\r\n{body}", body.len()))
    }

    /// Peers that it knows, from the view for programs.
    fn peers(&self, header: &str) -> Vec<Value> {
        let answer = self.get("/peers.json", header);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str::<Value>(body).unwrap()["peers"].as_array().unwrap().clone()
    }

    /// Waits until it knows so many peers.
    fn until_peers(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.peers("").len() != count {
            assert!(Instant::now() < deadline, "it knows {:?}", self.peers(""));
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Asks it to stop, and returns its exit code.
    fn stop(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn twelve_peers_find_each_other_by_a_registry_and_sign_off_when_they_leave() {
    let stage = Stage::new();
    let token = stage.path("token");
    fs::write(&token, "open-sesame\n").unwrap();
    let token = token.to_str().unwrap();
    let registry = Registry::start(&["--token-file", token]);
    let (beat, list) = (format!("{}/heartbeat", registry.url), format!("{}/peers", registry.url));
    let words = [
        ["--peer-registry-heartbeat-url", &beat],
        ["--peer-registry-heartbeat-interval", "3s"],
        ["--peer-registry-token-file", token],
        ["--peer-list-url", &list],
        ["--peer-list-poll-interval", "200ms"],
    ]
    .concat();
    let mut fleet = Fleet::seeding(21, &words);
    for _ in 0..PEERS {
        fleet.join(&[], &words);
    }
    let mut all: Vec<String> = fleet.addresses().iter().map(ToString::to_string).collect();
    fleet.peers.iter().for_each(|peer| drop(lists(peer, PEERS + 1)));
    let header = "Authorization: Bearer open-sesame\r\n";
    let known: Vec<Value> = registry.peers(header).iter().map(|peer| peer["address"].clone()).collect();
    let mut known: Vec<String> = known.iter().map(|address| address.as_str().unwrap().to_owned()).collect();
    known.sort_unstable();
    all.sort_unstable();
    assert_eq!(known, all);
    for end in fleet.complete() {
        assert!(warnings(&end, "").is_empty(), "{:?}", warnings(&end, ""));
    }
    assert_eq!(registry.peers(header), Vec::<Value>::new(), "everybody said good-bye");
    assert_eq!(registry.stop(), Some(0));
}

/// The heartbeats that a registry was sent.
fn beats(asked: &[Asked]) -> Vec<Value> {
    asked.iter().map(|asked| serde_json::from_str(&asked.body).unwrap()).collect()
}

/// p2pcp announced an address at which nobody listened yet, never signed off, and panicked for intervals below a second.
#[test]
fn a_node_announces_itself_when_it_listens_and_says_good_bye() {
    let web = Web::saying(Say::Body("welcome".into()));
    let url = web.url();
    let words =
        ["--peer-registry-heartbeat-url", &url, "--peer-registry-heartbeat-interval", "200ms", "--peer-list-url", ""];
    let fleet = Fleet::seeding(22, &words);
    let first = web.until("an announcement", |asked| beats(asked).first().cloned());
    let listen: SocketAddr = first["address"].as_str().unwrap().parse().unwrap();
    assert!(UdpSocket::bind(listen).is_err(), "nobody listens at {listen}");
    assert_eq!((listen, first["expires_in_seconds"].as_u64()), (fleet.seeder.address(), Some(1)));
    web.until_asked_again(2);
    fleet.complete();
    let asked = web.asked();
    assert!(asked.iter().all(|asked| asked.line == "POST /peers HTTP/1.1"), "{asked:?}");
    let beats = beats(&asked);
    assert!(beats.iter().all(|beat| beat["uuid"] == first["uuid"] && beat["address"] == first["address"]));
    let goodbyes = beats.iter().filter(|beat| beat["expires_in_seconds"] == 0).count();
    assert_eq!((goodbyes, beats.last().unwrap()["expires_in_seconds"].as_u64()), (1, Some(0)), "{beats:?}");
}

#[test]
fn a_node_that_listens_everywhere_announces_from_where_it_reaches_the_registry() {
    let web = Web::saying(Say::Body("welcome".into()));
    let url = web.url();
    let words = ["--peer-registry-heartbeat-url", &url, "--peer-registry-self-endpoint", "auto"];
    let fleet = Fleet::seeding_at("[::]:0", 27, &words);
    let first = web.until("an announcement", |asked| beats(asked).first().cloned());
    assert_eq!(first["address"], format!("127.0.0.1:{}", fleet.seeder.address().port()));
    fleet.complete();
}

#[test]
fn an_address_of_choice_is_announced_as_it_is() {
    let web = Web::saying(Say::Body("welcome".into()));
    let url = web.url();
    let words = ["--peer-registry-heartbeat-url", &url, "--peer-registry-self-endpoint", "node7.example"];
    let fleet = Fleet::seeding(23, &words);
    let first = web.until("an announcement", |asked| beats(asked).first().cloned());
    assert_eq!(first["address"], "node7.example:10090");
    fleet.complete();
}

/// p2pcp ended when its first heartbeat failed.
#[test]
fn a_registry_that_fails_ends_no_job_and_is_told_once_until_it_works() {
    let web = Web::saying(Say::Status(503));
    let url = web.url();
    let words = ["--peer-registry-heartbeat-url", &url, "--peer-registry-heartbeat-interval", "200ms"];
    let mut fleet = Fleet::seeding(24, &[]);
    let seeder = fleet.seeder.address();
    fleet.join(&[seeder], &words);
    warned(&fleet.peers[0], "503");
    web.until_asked_again(3);
    fleet.peers[0].event("complete");
    let end = fleet.complete().remove(0);
    assert_eq!(warnings(&end, "registry").len(), 1, "{:?}", warnings(&end, ""));
}

#[test]
fn a_node_that_was_killed_is_not_listed_for_long() {
    let registry = Registry::start(&[]);
    let beat = format!("{}/heartbeat", registry.url);
    let words = ["--peer-registry-heartbeat-url", &beat, "--peer-registry-heartbeat-interval", "500ms"];
    let fleet = Fleet::seeding(25, &words);
    registry.until_peers(1);
    assert_eq!(fleet.seeder.kill().code, -9);
    registry.until_peers(0);
}

#[test]
fn a_registry_says_what_is_wrong_with_a_question() {
    let registry = Registry::start(&[]);
    let good = r#"{"uuid":"a","address":"node7","expires_in_seconds":60}"#;
    assert!(registry.post(good).starts_with("HTTP/1.1 200"));
    assert!(registry.get("/peers", "").ends_with("\r\n\r\nnode7:10090\n"));
    assert!(registry.get("/health", "").ends_with("\r\n\r\nok\n"));
    for (answer, status, words) in [
        (registry.post("no json"), 400, "not a heartbeat"),
        (registry.post(r#"{"uuid":"b","address":"a b","expires_in_seconds":60}"#), 400, "letters, digits"),
        (registry.post(&" ".repeat(5000)), 413, "at most 4096 bytes"),
        (registry.get("/heartbeat", ""), 405, "POST /heartbeat"),
        (registry.get("/elsewhere", ""), 404, "GET /peers"),
    ] {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(words), "{answer}");
    }
    assert!(registry.ask("no HTTP\r\n\r\n").starts_with("HTTP/1.1 400"));
    assert_eq!(registry.peers("").len(), 1);
    assert_eq!(registry.stop(), Some(0));
}

#[test]
fn without_the_token_a_registry_tells_and_takes_nothing() {
    let stage = Stage::new();
    let token = stage.path("token");
    fs::write(&token, "open-sesame").unwrap();
    let registry = Registry::start(&["--token-file", token.to_str().unwrap()]);
    for header in ["", "Authorization: Bearer open\r\n", "Authorization: Basic open-sesame\r\n"] {
        for path in ["/peers", "/peers.json", "/heartbeat", "/elsewhere"] {
            let answer = registry.get(path, header);
            assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("www-authenticate: Bearer"), "{answer}");
        }
    }
    assert!(registry.post(r#"{"uuid":"a","address":"b","expires_in_seconds":60}"#).starts_with("HTTP/1.1 401"));
    assert!(registry.get("/health", "").starts_with("HTTP/1.1 200"), "a probe needs no secret");
    assert_eq!(registry.peers("Authorization: Bearer open-sesame\r\n").len(), 0);
}

/// A certificate for this machine, its key, both in files.
fn certificate(folder: &Path) -> [String; 2] {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let files = [("registry.pem", made.cert.pem()), ("registry.key", made.signing_key.serialize_pem())];
    files.map(|(name, text)| {
        fs::write(folder.join(name), text).unwrap();
        folder.join(name).to_str().unwrap().to_owned()
    })
}

#[test]
fn a_registry_behind_tls_is_believed_by_its_authority_alone() {
    let stage = Stage::new();
    let [chain, key] = certificate(&stage.path(""));
    let registry = Registry::start(&["--tls-cert", &chain, "--tls-key", &key]);
    assert!(registry.url.starts_with("https://"), "{}", registry.url);
    let (beat, list) = (format!("{}/heartbeat", registry.url), format!("{}/peers", registry.url));
    let words = [
        ["--peer-registry-heartbeat-url", &beat],
        ["--peer-registry-heartbeat-interval", "500ms"],
        ["--peer-list-url", &list],
        ["--peer-list-poll-interval", "100ms"],
    ]
    .concat();
    let trusting = [&words[..], &["--http-ca-file", &chain]].concat();
    let mut fleet = Fleet::seeding(26, &trusting);
    fleet.join(&[], &trusting);
    lists(&fleet.peers[0], 2);
    fleet.peers[0].event("complete");
    // Whoever trusts the web's authorities alone is told why there is no list, and completes without one.
    let seeder = fleet.seeder.address();
    fleet.join(&[seeder], &words);
    warned(&fleet.peers[1], "--http-ca-file");
    let told = fleet.complete();
    assert!(told[1].events.iter().all(|event| event["event"] != "peer_list"));
    let mut wrong = registry_with_a_foreign_key(&stage, &chain);
    assert_eq!(wrong.wait().unwrap().code(), Some(2));
}

/// A registry whose key belongs to no certificate.
fn registry_with_a_foreign_key(stage: &Stage, chain: &str) -> Child {
    let folder = stage.path("other");
    fs::create_dir(&folder).unwrap();
    let [_, key] = certificate(&folder);
    let mut command = Command::new(program());
    command.args(["registry", "--listen-addr", "127.0.0.1:0", "--tls-cert", chain, "--tls-key", &key]);
    command.stderr(Stdio::null()).spawn().unwrap()
}
