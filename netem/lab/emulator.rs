//! The emulator: a TUN device per host, and one thread that carries whole IP packets between them.
//!
//! ```text
//!   host 0 ── eth0 (TUN) ──┐
//!   host 1 ── eth0 (TUN) ──┤ one thread, with the links in virtual time
//!   host 2 ── eth0 (TUN) ──┘
//! ```
//!
//! A packet is read, put through the links by the clock, and written when it is due. The thread wakes at most every [`GRAIN`] while packets flow, so
//! that one waking serves several packets; what is computed does not depend on when it wakes, as every moment on the way follows from
//! the one at which the packet was read. The devices declare no offloads, so the kernel cuts batches into packets before they come here.
//!
//! Invariant: packets of one host to another on plain links keep their order.
//!
//! Not here: what the links do (`network`, `link`).

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::process::setpriority_process;
use rustix::thread::{ClockId, clock_nanosleep_relative, set_current_timer_slack};
use rustix::time::clock_gettime;
use strew::units::Time;
use tappers::{Interface, Tun};

use super::system::{addresses, batch, inside};
use super::{Counters, LabError, Strain, Traffic, address, host_of};
use crate::link::Counts;
use crate::network::{Network, Packet};
use crate::topology::{Link, Topology};

/// The least time from one waking to the next while packets flow. Two of them, one when a packet is read and one when it is written, stay well
/// below the half of a millisecond that a delay may be off; at 1 Gbit/s a waking then serves five packets.
const GRAIN: Duration = Duration::from_micros(50);
/// The most packets read from one host before the next one has its turn: one full batch of a socket (64 KiB).
const TURN: usize = 44;
/// Packets that wait in a device while the thread does not run: 60 ms at 1 Gbit/s, longer than a scheduler keeps a waking thread waiting.
const BACKLOG: u32 = 5000;
/// A packet that is written so much later than due counts as late: twice what a delay may be off.
const LATE: Duration = Duration::from_millis(1);
/// The longest IP packet.
const PACKET_MAX: usize = 65_535;

/// Hosts whose packets are carried by a thread of this process.
pub(crate) struct Emulator {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    zones: Vec<(String, String)>,
    /// The kernel's counters of the devices in each namespace.
    devices: Vec<File>,
}

struct Shared {
    network: Mutex<(Network, Strain)>,
    ends: AtomicBool,
    /// Wakes the thread.
    alarm: OwnedFd,
}

impl Emulator {
    /// Makes a device in each of the hosts' namespaces and starts the thread.
    pub(crate) fn up(topology: &Topology, namespaces: &[String]) -> Result<Self, LabError> {
        let mut tuns = Vec::new();
        let mut devices = Vec::new();
        for (at, namespace) in namespaces.iter().enumerate() {
            let device = |source| LabError::Device { name: namespace.clone(), source };
            let open = || -> io::Result<(Tun, File)> {
                let mut tun = Tun::new_named(Interface::new("eth0")?)?;
                tun.set_nonblocking(true)?;
                Ok((tun, File::open("/proc/thread-self/net/dev")?))
            };
            let (tun, counters) = inside(namespace, open)?.map_err(device)?;
            let (v4, v6) = address(at);
            let size = format!("link set eth0 mtu {} txqueuelen {BACKLOG}", topology.mtu);
            batch("ip", namespace, &[vec![size], addresses(v4, IpAddr::V6(v6))].concat())?;
            tuns.push(tun);
            devices.push(counters);
        }
        let system = |source: rustix::io::Errno| LabError::Thread { source: source.into() };
        let shared = Arc::new(Shared {
            network: Mutex::new((Network::new(topology), Strain::default())),
            ends: AtomicBool::new(false),
            alarm: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(system)?,
        });
        let carrier = Carrier { shared: Arc::clone(&shared), tuns, outbox: Vec::new() };
        let thread = thread::Builder::new().name("emulator".into()).spawn(move || carrier.run());
        let thread = Some(thread.map_err(|source| LabError::Thread { source })?);
        let zones = topology.between.iter().map(|zones| (zones.from.clone(), zones.to.clone())).collect();
        Ok(Self { shared, thread, zones, devices })
    }

    /// The links of a host.
    pub(crate) fn links_of(&self, host: usize) -> (Link, Link) {
        self.shared.lock().0.links_of(host)
    }

    /// The links of a host from now on.
    pub(crate) fn links(&self, host: usize, up: Link, down: Link) {
        self.shared.lock().0.change(clock(), host, up, down);
        self.shared.wake();
    }

    /// The link between two zones from now on.
    pub(crate) fn link_between(&self, from: &str, to: &str, link: Link) -> Result<(), LabError> {
        let place = self.place(from, to)?;
        self.shared.lock().0.change_between(clock(), place, link);
        self.shared.wake();
        Ok(())
    }

    /// Leaves these hosts only each other, and the others only each other. Without hosts it joins all again.
    pub(crate) fn cut(&self, hosts: &[usize]) {
        self.shared.lock().0.cut(hosts);
    }

    /// What crossed the links of every host.
    pub(crate) fn counters(&self) -> Vec<Counters> {
        let shared = self.shared.lock();
        let of_host = |host| {
            let (up, down, cut) = shared.0.counts(host);
            Counters {
                sent: whole(up),
                received: arrived(down),
                dropped: up.dropped + down.dropped,
                lost: up.lost + down.lost + cut.lost,
            }
        };
        (0..self.devices.len()).map(of_host).collect()
    }

    /// What crossed the link between two zones.
    pub(crate) fn between(&self, from: &str, to: &str) -> Result<Counters, LabError> {
        let counts = self.shared.lock().0.counts_between(self.place(from, to)?);
        let Counts { dropped, lost, .. } = counts;
        Ok(Counters { sent: whole(counts), received: arrived(counts), dropped, lost })
    }

    /// How well the thread kept up.
    pub(crate) fn strain(&self) -> Result<Strain, LabError> {
        let mut strain = self.shared.lock().1;
        for device in &self.devices {
            strain.overrun += dropped_by(device).map_err(|source| LabError::Thread { source })?;
        }
        Ok(strain)
    }

    fn place(&self, from: &str, to: &str) -> Result<usize, LabError> {
        let place = self.zones.iter().position(|zones| (zones.0.as_str(), zones.1.as_str()) == (from, to));
        place.ok_or_else(|| LabError::NoZoneLink { from: from.to_owned(), to: to.to_owned() })
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            // A thread that has panicked has said so itself.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, (Network, Strain)> {
        self.network.lock().expect("the emulator's thread has not panicked")
    }

    fn wake(&self) {
        // It fails when the counter is full, and then the thread wakes anyway.
        let _ = rustix::io::write(&self.alarm, &1u64.to_ne_bytes());
    }
}

/// The thread and what it owns.
struct Carrier {
    shared: Arc<Shared>,
    tuns: Vec<Tun>,
    /// What is due, with the moment.
    outbox: Vec<(Time, Packet)>,
}

impl Carrier {
    fn run(mut self) {
        // Timers end when they are due and not up to 50 us later, and programs under test do not keep this thread waiting. Where that is not
        // allowed it works all the same, less exactly; `strain` tells.
        let _ = set_current_timer_slack(NonZeroU64::new(1));
        let _ = setpriority_process(None, -20);
        let mut readable = vec![true; self.tuns.len()];
        let mut buffer = vec![0; PACKET_MAX];
        while !self.shared.ends.load(Ordering::Relaxed) {
            let woke = clock();
            let (read, next) = self.carry(woke, &readable, &mut buffer);
            if self.deliver() + read > 0 {
                rest(GRAIN.saturating_sub(clock().since(woke)));
            }
            self.wait(next, &mut readable);
        }
    }

    /// Reads what hosts have sent and computes what is due; says how many packets were read, and when something is due next.
    fn carry(&mut self, now: Time, readable: &[bool], buffer: &mut [u8]) -> (usize, Option<Time>) {
        let Self { shared, tuns, outbox } = self;
        let network = &mut shared.lock().0;
        network.advance(now, |at, packet| outbox.push((at, packet)));
        let mut read = 0;
        for (from, tun) in tuns.iter().enumerate().filter(|(host, _)| readable[*host]) {
            for _ in 0..TURN {
                // Nothing more is there, or the device is going.
                let Ok(length) = tun.recv(buffer) else { break };
                read += 1;
                // Some packets are for nobody here: a host looks for routers and groups.
                if let Some(to) = destination(&buffer[..length]).and_then(host_of).filter(|to| *to < tuns.len()) {
                    network.send(now, Packet { from, to, data: buffer[..length].to_vec() });
                }
            }
        }
        network.advance(now, |at, packet| outbox.push((at, packet)));
        (read, network.next())
    }

    /// Writes what is due, and says how many packets that were.
    fn deliver(&mut self) -> usize {
        let count = self.outbox.len();
        let (mut late, mut worst) = (0, Duration::ZERO);
        for (due, packet) in self.outbox.drain(..) {
            let lateness = clock().since(due);
            late += u64::from(lateness > LATE);
            worst = worst.max(lateness);
            // A host that is going takes nothing any more.
            let _ = self.tuns[packet.to].send(&packet.data);
        }
        if count > 0 {
            let strain = &mut self.shared.lock().1;
            strain.packets += count as u64;
            strain.late += late;
            strain.worst = strain.worst.max(worst);
            strain.busy = clock_of(ClockId::ThreadCPUTime).since(Time::ZERO);
        }
        count
    }

    /// Waits until something is due or a host sends, and notes which hosts do.
    fn wait(&self, next: Option<Time>, readable: &mut [bool]) {
        let timeout = next.map(|at| timespec(at.since(clock())));
        let mut all: Vec<_> = self.tuns.iter().map(|tun| PollFd::new(tun, PollFlags::IN)).collect();
        all.push(PollFd::new(&self.shared.alarm, PollFlags::IN));
        // An interruption is no different from a timeout.
        let _ = poll(&mut all, timeout.as_ref());
        for (readable, fd) in readable.iter_mut().zip(&all) {
            *readable = fd.revents().contains(PollFlags::IN);
        }
        if all.last().is_some_and(|alarm| !alarm.revents().is_empty()) {
            // It was full or not; empty it is.
            let _ = rustix::io::read(&self.shared.alarm, &mut [0; 8]);
        }
    }
}

fn whole(counts: Counts) -> Traffic {
    Traffic { bytes: counts.bytes, packets: counts.packets }
}

fn arrived(counts: Counts) -> Traffic {
    whole(counts).since(Traffic { bytes: counts.lost_bytes, packets: counts.lost })
}

/// Whom an IP packet is for.
fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(packet.get(16..20)?).ok()?)),
        6 => Some(IpAddr::from(<[u8; 16]>::try_from(packet.get(24..40)?).ok()?)),
        _ => None,
    }
}

/// Packets that a device had no room for: the twelfth number of its line in `net/dev`.
fn dropped_by(devices: &File) -> io::Result<u64> {
    let mut text = [0; 4096];
    let length = devices.read_at(&mut text, 0)?;
    let text = String::from_utf8_lossy(&text[..length]);
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("eth0:"));
    Ok(line.and_then(|line| line.split_whitespace().nth(11)?.parse().ok()).unwrap_or(0))
}

fn clock() -> Time {
    clock_of(ClockId::Monotonic)
}

fn clock_of(which: ClockId) -> Time {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(which);
    let nanos = i128::from(tv_sec) * 1_000_000_000 + i128::from(tv_nsec);
    Time::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

fn rest(span: Duration) {
    if span > Duration::ZERO {
        // Interrupted or not, it goes on.
        let _ = clock_nanosleep_relative(ClockId::Monotonic, &timespec(span));
    }
}

fn timespec(span: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX), tv_nsec: span.subsec_nanos().into() }
}
