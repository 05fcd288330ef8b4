//! A network of its own for a test: machines as namespaces, joined by a bridge in one more.
//!
//! ```text
//!   machine 0 ── eth0 ──┐
//!   machine 1 ── eth0 ──┤ bridge, in the hub
//!   machine 2 ── eth0 ──┘
//! ```
//!
//! Invariant: nothing is made outside these namespaces, and they are gone when the network is dropped.
//!
//! Not here: what is sent over it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use crate::common::node::{Stage, bare, program};

/// Makes the names of several networks of one process differ.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Namespaces that end with their test.
pub(crate) struct Network {
    hub: String,
    machines: Vec<String>,
}

/// A machine that hears nothing and is not heard, until this is dropped.
pub(crate) struct Partition<'a> {
    machine: &'a str,
}

impl Network {
    /// So many machines, each with an IPv4 and an IPv6 address.
    pub(crate) fn new(count: usize) -> Self {
        let name = format!("strew-{}-{}", id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut network = Self { hub: format!("{name}-hub"), machines: Vec::new() };
        run("ip", &["netns", "add", &network.hub]);
        let hub = network.hub.clone();
        ip(&hub, "link add bridge type bridge");
        ip(&hub, "link set bridge up");
        for at in 0..count {
            let machine = format!("{name}-{at}");
            run("ip", &["netns", "add", &machine]);
            network.machines.push(machine.clone());
            ip(&hub, &format!("link add to{at} type veth peer name eth0 netns {machine}"));
            ip(&hub, &format!("link set to{at} master bridge up"));
            let (v4, v6) = (network.v4(at), network.v6(at));
            ip(&machine, "link set lo up");
            ip(&machine, &format!("address add {v4}/24 dev eth0"));
            // Without duplicate address detection, which would keep the address unusable for a second or two.
            ip(&machine, &format!("address add {v6}/64 dev eth0 nodad"));
            ip(&machine, "link set eth0 up");
        }
        network
    }

    pub(crate) fn v4(&self, at: usize) -> IpAddr {
        Ipv4Addr::new(10, 77, 0, last_part(at)).into()
    }

    pub(crate) fn v6(&self, at: usize) -> IpAddr {
        Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, last_part(at).into()).into()
    }

    /// The program on this machine, with the stage's key; prints events.
    pub(crate) fn command(&self, at: usize, stage: &Stage, listen: &str) -> Command {
        let mut command = bare(&["ip", "netns", "exec", &self.machines[at], program()]);
        command.args(["--listen-addr", listen]).env("STREW_KEY", stage.key());
        command
    }

    /// Limits what this machine sends.
    pub(crate) fn limit(&self, at: usize, rate: &str) {
        let queue = format!("-n {} qdisc add dev eth0 root tbf rate {rate} burst 64k latency 50ms", self.machines[at]);
        run("tc", &queue.split(' ').collect::<Vec<_>>());
    }

    /// Limits what this machine sends and what reaches it, each way at a rate in Mbit/s.
    ///
    /// Bursts of 128 KiB let the largest batch that a socket hands over pass whole; queues of 512 KiB are those of a switch's port.
    pub(crate) fn shape(&self, at: usize, up: u32, down: u32) {
        for (namespace, device, rate) in
            [(&self.machines[at], "eth0".to_owned(), up), (&self.hub, format!("to{at}"), down)]
        {
            let queue = format!("-n {namespace} qdisc add dev {device} root tbf rate {rate}mbit burst 128k limit 512k");
            run("tc", &queue.split(' ').collect::<Vec<_>>());
        }
    }

    /// What the interface of this machine takes, and the port of the bridge to which it leads, in bytes.
    pub(crate) fn widen(&self, at: usize, interface: u32, port: u32) {
        ip(&self.machines[at], &format!("link set eth0 mtu {interface}"));
        ip(&self.hub, &format!("link set to{at} mtu {port}"));
    }

    /// `ip` on this machine; returns what it printed.
    pub(crate) fn ip(&self, at: usize, words: &str) -> String {
        ip(&self.machines[at], words)
    }

    /// Gives rules to the firewall of this machine, in the words of nft(8).
    pub(crate) fn filter(&self, at: usize, rules: &[&str]) {
        for rule in rules {
            run("ip", &["netns", "exec", &self.machines[at], "nft", rule]);
        }
    }

    /// Cuts this machine off.
    pub(crate) fn cut_off(&self, at: usize) -> Partition<'_> {
        let partition = Partition { machine: &self.machines[at] };
        partition.nft("add table inet cut");
        for way in ["input", "output"] {
            partition.nft(&format!("add chain inet cut {way} {{ type filter hook {way} priority 0; policy drop; }}"));
        }
        partition
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in self.machines.iter().chain([&self.hub]) {
            // One that could not be made cannot be removed; the test has failed already.
            let _ = Command::new("ip").args(["netns", "delete", namespace]).status();
        }
    }
}

impl Partition<'_> {
    fn nft(&self, words: &str) {
        run("ip", &["netns", "exec", self.machine, "nft", words]);
    }
}

impl Drop for Partition<'_> {
    fn drop(&mut self) {
        // When the test has failed already, the namespace goes next and takes the rules with it.
        if !thread::panicking() {
            self.nft("delete table inet cut");
        }
    }
}

fn last_part(at: usize) -> u8 {
    u8::try_from(at + 1).unwrap()
}

/// `ip` within a namespace.
fn ip(namespace: &str, words: &str) -> String {
    run("ip", &["-n", namespace].into_iter().chain(words.split(' ')).collect::<Vec<_>>())
}

/// Runs a command of the system that must succeed, and returns what it printed.
pub(crate) fn run(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {said} (root is needed)", words.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
