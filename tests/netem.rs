//! The network bench's own network: packets pass, are lost or cut off as asked, and nothing is left behind.
//!
//! The program of `netem/` brings hosts up and takes orders on its standard input; the tests open sockets within the hosts' namespaces.
//! It is an example, so it must have been built:
//!
//! ```console
//! # cargo build --example netem && cargo test --test netem -- --ignored
//! ```
//!
//! Invariant: bytes and counts are asserted, never a time: a busy machine is slow and not wrong.
//!
//! Not here: whether rates and delays are exact, which `netem validate` says.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Nothing more comes when nothing came for so long: packets here are on the way for microseconds.
const SILENCE: Duration = Duration::from_millis(300);
/// A packet that must come is waited for so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program with hosts that are up, until this is dropped.
struct Lab {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// Address and namespace of every host.
    hosts: Vec<(IpAddr, String)>,
}

/// The example that lies beside this test's own program.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples/netem");
    assert!(path.exists(), "build it first: cargo build --example netem");
    path
}

impl Lab {
    fn up(words: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.arg("run").args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (orders, answers) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut lab = Self { child, orders, answers, hosts: Vec::new() };
        for line in lab.until("ready") {
            let words: Vec<_> = line.split(' ').collect();
            lab.hosts.push((words[1].parse().unwrap(), words[2].to_owned()));
        }
        lab
    }

    /// The lines before the one that says this.
    fn until(&mut self, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "it ended before it said {last:?}: {lines:?}");
            let line = line.trim_end().to_owned();
            assert!(!line.starts_with("error"), "{line}");
            if line == last {
                return lines;
            }
            lines.push(line);
        }
    }

    fn order(&mut self, order: &str) -> Vec<String> {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        self.until("ok")
    }

    /// Opens a socket on a host.
    fn inside<T: Send>(&self, host: usize, work: impl FnOnce(IpAddr) -> io::Result<T> + Send) -> T {
        let (address, namespace) = &self.hosts[host];
        let enter = || {
            let door = open(format!("/run/netns/{namespace}"), OFlags::RDONLY, Mode::empty())?;
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&door), Some(LinkNameSpaceType::Network))?;
            work(*address)
        };
        thread::scope(|scope| scope.spawn(enter).join().unwrap()).unwrap()
    }

    fn socket(&self, host: usize) -> UdpSocket {
        self.inside(host, |address| UdpSocket::bind((address, 5000)))
    }

    fn address(&self, host: usize) -> SocketAddr {
        (self.hosts[host].0, 5000).into()
    }

    /// Ends it as its user would.
    fn ends(mut self) {
        self.orders = None;
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.orders = None;
        if thread::panicking() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Namespaces that a process made.
fn namespaces(maker: u32) -> usize {
    let names = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let prefix = format!("netem-{maker}-");
    names.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)).count()
}

/// Datagrams that a socket has or will have before a silence.
fn count(socket: &UdpSocket) -> usize {
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    std::iter::from_fn(|| socket.recv(&mut [0; 2000]).ok()).count()
}

#[test]
#[ignore = "needs root: cargo test --test netem -- --ignored"]
fn bytes_pass_unchanged_on_both_backends() {
    for backend in ["kernel", "emulator"] {
        let lab = Lab::up(&["--backend", backend, "--rate", "100Mbit"]);
        let to = lab.address(1);
        // No two kibibytes alike, so that one out of place is seen.
        let data: Vec<u8> = (0..1u32 << 18).flat_map(|at| at.wrapping_mul(0x9E37_79B9).to_le_bytes()).collect();
        let listener = lab.inside(1, |_| TcpListener::bind(to));
        let mut sender = lab.inside(0, |_| TcpStream::connect(to));
        let (mut receiver, _) = listener.accept().unwrap();
        receiver.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut arrived = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                sender.write_all(&data).unwrap();
                drop(sender);
            });
            receiver.read_to_end(&mut arrived).unwrap();
        });
        assert!(arrived == data, "{backend}");
        lab.ends();
    }
}

#[test]
#[ignore = "needs root: cargo test --test netem -- --ignored"]
fn a_lossy_link_loses_its_share_and_says_so() {
    let mut lab = Lab::up(&["--loss", "10%", "--seed", "7", "--round-trip", "2ms"]);
    let (near, far) = (lab.socket(0), lab.socket(1));
    let mut arrived = 0;
    // In portions that every queue and socket holds.
    for _ in 0..10 {
        (0..200).for_each(|_| assert_eq!(near.send_to(&[0; 100], lab.address(1)).unwrap(), 100));
        arrived += count(&far);
    }
    // Four standard deviations of 2000 draws at 10 %: 54.
    assert!((1746..=1854).contains(&arrived), "{arrived} of 2000");
    let counters = lab.order("counters");
    let number = |word: &str| -> usize {
        let after = counters[0].split(&format!("{word} ")).nth(1).unwrap();
        after.split([' ', ',']).next().unwrap().parse().unwrap()
    };
    // The host itself sends some packets, looking for routers.
    let lost = number("lost");
    assert!((2000 - arrived..2020 - arrived).contains(&lost), "{lost} lost, {arrived} arrived");
    assert_eq!(number("dropped"), 0);
    lab.order("loss 0 0");
    (0..50).for_each(|_| assert_eq!(near.send_to(&[0; 100], lab.address(1)).unwrap(), 100));
    assert_eq!(count(&far), 50);
    lab.ends();
}

#[test]
#[ignore = "needs root: cargo test --test netem -- --ignored"]
fn a_cut_separates_hosts_until_it_is_healed() {
    for backend in ["kernel", "emulator"] {
        let mut lab = Lab::up(&["--hosts", "4", "--backend", backend]);
        let sockets = [0, 1, 2, 3].map(|host| lab.socket(host));
        let reach = |lab: &Lab| -> Vec<usize> {
            // Whoever hears of host 0.
            (1..4).for_each(|to| assert_eq!(sockets[0].send_to(b"here", lab.address(to)).unwrap(), 4));
            (1..4).filter(|host| count(&sockets[*host]) == 1).collect()
        };
        assert_eq!(reach(&lab), [1, 2, 3], "{backend}");
        lab.order("cut 2 3");
        assert_eq!(reach(&lab), [1], "{backend}");
        assert_eq!(sockets[3].send_to(b"there", lab.address(2)).unwrap(), 5);
        assert_eq!(count(&sockets[2]), 1, "{backend}: both on the other side");
        lab.order("heal");
        assert_eq!(reach(&lab), [1, 2, 3], "{backend}");
        lab.ends();
    }
}

#[test]
#[ignore = "needs root: cargo test --test netem -- --ignored"]
fn nothing_is_left_behind() {
    for backend in ["kernel", "emulator"] {
        let lab = Lab::up(&["--backend", backend]);
        let maker = lab.child.id();
        assert!(namespaces(maker) >= 2, "{backend}");
        lab.ends();
        assert_eq!(namespaces(maker), 0, "{backend}");

        // A program that is killed cannot clean up; the next one does, and ends what still runs there.
        let mut lab = Lab::up(&["--backend", backend]);
        let maker = lab.child.id();
        let namespace = lab.hosts[0].1.clone();
        let mut orphan = Command::new("ip").args(["netns", "exec", &namespace, "sleep", "1000"]).spawn().unwrap();
        lab.child.kill().unwrap();
        lab.child.wait().unwrap();
        assert!(namespaces(maker) >= 2, "{backend}");
        assert!(Command::new(program()).arg("clean").stdout(Stdio::null()).status().unwrap().success());
        assert_eq!(namespaces(maker), 0, "{backend}");
        let _ = orphan.kill();
        let _ = orphan.wait();
    }
}
