//! Lab: a topology in operation. Hosts are network namespaces; any program runs in them unchanged.
//!
//! Two backends carry packets. The kernel's queues are cheapest and know rates only; the emulator knows everything that a
//! [`Link`] says, and costs a system call or two per packet. A lab takes the cheaper one that can do what its topology asks.
//!
//! Invariant: nothing outside the lab's namespaces is changed, and they are gone when it is dropped. When the process is killed,
//! the next one that starts removes them ([`remains`]).
//!
//! Not here: what is run on the hosts, and when links change.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Add;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::topology::{Link, Topology};

mod kernel;
mod queues;
pub(crate) mod remains;
mod system;

use kernel::Kernel;
use remains::Maker;
pub(crate) use system::LabError;
use system::run;

/// The most hosts: the kernel gives a bridge no more than 1023 ports.
pub(crate) const HOSTS_MAX: usize = 1000;

/// Makes the names of several labs of one process differ.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Hosts that are up, until this is dropped.
pub(crate) struct Lab {
    hub: String,
    namespaces: Vec<String>,
    /// Dropped before the namespaces are removed.
    backend: Option<Kernel>,
}

/// Something that happens to the network while programs run on it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// The links of a host have other rates.
    Rate {
        /// The host.
        host: usize,
        /// The rate of what it sends.
        up: Option<strew::sim::Rate>,
        /// The rate of what it receives.
        down: Option<strew::sim::Rate>,
    },
    /// The links of a host are other ones altogether.
    Links {
        /// The host.
        host: usize,
        /// From the host into the network.
        up: Link,
        /// From the network to the host.
        down: Link,
    },
    /// These hosts reach only each other, and the others only each other, until [`Change::Heal`].
    Cut {
        /// The hosts of one side.
        hosts: Vec<usize>,
    },
    /// Everybody reaches everybody.
    Heal,
}

/// Packets and their bytes, Ethernet headers included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Bytes.
    pub(crate) bytes: u64,
    /// Packets.
    pub(crate) packets: u64,
}

/// What crossed the links of a host since the lab is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// What left its link into the network.
    pub(crate) sent: Traffic,
    /// What left its link from the network.
    pub(crate) received: Traffic,
    /// Packets that found its queues full, either way.
    pub(crate) dropped: u64,
    /// Packets that its links lost by chance, or that a cut ended.
    pub(crate) lost: u64,
}

impl Lab {
    /// Brings a topology up, on the kernel's queues if they can do what it asks.
    ///
    /// Removes first what dead programs left behind.
    ///
    /// # Errors
    /// [`LabError`]; nothing is left in that case either.
    pub(crate) fn up(topology: &Topology) -> Result<Self, LabError> {
        if !rustix::process::geteuid().is_root() {
            return Err(LabError::NotRoot);
        }
        if topology.hosts.len() > HOSTS_MAX {
            return Err(LabError::TooManyHosts(topology.hosts.len()));
        }
        remains::remove_of_the_dead()?;
        let name = format!("{}-{}", Maker::this().prefix(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut lab = Self { hub: format!("{name}-hub"), namespaces: Vec::new(), backend: None };
        run("ip", &["netns", "add", &lab.hub])?;
        for at in 0..topology.hosts.len() {
            let namespace = format!("{name}-{at}");
            run("ip", &["netns", "add", &namespace])?;
            lab.namespaces.push(namespace);
        }
        lab.backend = Some(Kernel::up(topology, &lab.hub, &lab.namespaces)?);
        Ok(lab)
    }

    /// The IPv4 address of a host.
    pub(crate) fn address(&self, host: usize) -> IpAddr {
        address(host).0
    }

    /// A command that runs on a host.
    pub(crate) fn command(&self, host: usize, program: &OsStr) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespaces[host]]).arg(program);
        command
    }

    /// Changes the network.
    pub(crate) fn change(&mut self, change: &Change) -> Result<(), LabError> {
        let count = self.namespaces.len();
        let known = |host: &usize| if *host < count { Ok(()) } else { Err(LabError::NoHost(*host)) };
        let kernel = self.backend.as_mut().expect("a lab has a backend from the moment it is up");
        match change {
            Change::Rate { host, up, down } => {
                known(host)?;
                let (old_up, old_down) = kernel.links_of(*host);
                kernel.links(*host, Link { rate: *up, ..old_up }, Link { rate: *down, ..old_down })
            }
            Change::Links { host, up, down } => known(host).and_then(|()| kernel.links(*host, *up, *down)),
            Change::Cut { hosts } => hosts.iter().try_for_each(known).and_then(|()| kernel.cut(hosts)),
            Change::Heal => kernel.heal(),
        }
    }

    /// What crossed the links of a host.
    pub(crate) fn counters(&self, host: usize) -> Result<Counters, LabError> {
        self.all_counters()?.get(host).copied().ok_or(LabError::NoHost(host))
    }

    /// What crossed the links of every host, read together.
    pub(crate) fn all_counters(&self) -> Result<Vec<Counters>, LabError> {
        self.backend.as_ref().expect("a lab has a backend from the moment it is up").counters()
    }

    /// What crossed the link from one zone to another.
    pub(crate) fn between(&self, from: &str, to: &str) -> Result<Counters, LabError> {
        Err(LabError::NoZoneLink { from: from.to_owned(), to: to.to_owned() })
    }

    /// The namespace of a host.
    pub(crate) fn namespace(&self, host: usize) -> &str {
        &self.namespaces[host]
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.backend = None;
        let all = std::iter::once(self.hub.clone()).chain(self.namespaces.drain(..)).collect();
        // What cannot be removed now is removed when this process is gone.
        let _ = remains::remove(all);
    }
}

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { bytes: self.bytes + other.bytes, packets: self.packets + other.packets }
    }
}

impl Traffic {
    /// What was added to `earlier`.
    pub(crate) const fn since(self, earlier: Self) -> Self {
        let bytes = self.bytes.saturating_sub(earlier.bytes);
        Self { bytes, packets: self.packets.saturating_sub(earlier.packets) }
    }
}

impl Add for Counters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            received: self.received + other.received,
            dropped: self.dropped + other.dropped,
            lost: self.lost + other.lost,
        }
    }
}

impl Counters {
    /// What was added to `earlier`.
    pub(crate) const fn since(self, earlier: Self) -> Self {
        Self {
            sent: self.sent.since(earlier.sent),
            received: self.received.since(earlier.received),
            dropped: self.dropped.saturating_sub(earlier.dropped),
            lost: self.lost.saturating_sub(earlier.lost),
        }
    }
}

/// The addresses of a host: 10.77.0.1 and fd77::1 for the first.
fn address(host: usize) -> (IpAddr, Ipv6Addr) {
    let number = u16::try_from(host + 1).expect("there are fewer hosts");
    let [high, low] = number.to_be_bytes();
    (Ipv4Addr::new(10, 77, high, low).into(), Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, number))
}
