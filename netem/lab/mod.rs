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
use std::time::Duration;

use crate::topology::{Link, Topology};

mod emulator;
mod kernel;
mod queues;
pub(crate) mod remains;
mod system;

use emulator::Emulator;
use kernel::Kernel;
use remains::Maker;
pub(crate) use system::LabError;
use system::run;

/// The most hosts: the kernel gives a bridge no more than 1023 ports.
pub(crate) const HOSTS_MAX: usize = 1000;

const IS_UP: &str = "whoever has a lab has one that is up";

/// Makes the names of several labs of one process differ.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Hosts that are up, until this is dropped.
pub(crate) struct Lab {
    hosts: usize,
    /// Those of the hosts first.
    namespaces: Vec<String>,
    /// Dropped before the namespaces are removed.
    carrier: Option<Carrier>,
}

/// Who carries the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Backend {
    /// The kernel's queues: rates only.
    Kernel,
    /// A thread of this process: everything that a link says.
    Emulator,
}

enum Carrier {
    Kernel(Kernel),
    Emulator(Emulator),
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
    /// The link from one zone to another is another one.
    Between {
        /// The zone of the senders.
        from: String,
        /// The zone of the receivers.
        to: String,
        /// Their link from now on.
        link: Link,
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

/// How well the emulator kept up. The kernel's queues have no such figures; they are always in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strain {
    /// Packets that were delivered.
    pub(crate) packets: u64,
    /// Those of them that came more than a millisecond too late.
    pub(crate) late: u64,
    /// The most that one came too late.
    pub(crate) worst: Duration,
    /// Time of a processor that the thread has used.
    pub(crate) busy: Duration,
    /// Packets that were never read, because too many waited: the figures of a run with any of these are worth nothing.
    pub(crate) overrun: u64,
}

impl Lab {
    /// Brings a topology up, on the kernel's queues if they can do what it asks.
    ///
    /// # Errors
    /// [`LabError`]; nothing is left in that case either.
    pub(crate) fn up(topology: &Topology) -> Result<Self, LabError> {
        Self::up_on(if topology.needs_emulator() { Backend::Emulator } else { Backend::Kernel }, topology)
    }

    /// Brings a topology up on this backend.
    ///
    /// Removes first what dead programs left behind.
    ///
    /// # Errors
    /// [`LabError`]; nothing is left in that case either.
    pub(crate) fn up_on(backend: Backend, topology: &Topology) -> Result<Self, LabError> {
        if !rustix::process::geteuid().is_root() {
            return Err(LabError::NotRoot);
        }
        if topology.hosts.len() > HOSTS_MAX {
            return Err(LabError::TooManyHosts(topology.hosts.len()));
        }
        remains::remove_of_the_dead()?;
        let name = format!("{}-{}", Maker::this().prefix(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut lab = Self { hosts: 0, namespaces: Vec::new(), carrier: None };
        let hub = (backend == Backend::Kernel).then(|| format!("{name}-hub"));
        for namespace in (0..topology.hosts.len()).map(|at| format!("{name}-{at}")).chain(hub.clone()) {
            run("ip", &["netns", "add", &namespace])?;
            lab.namespaces.push(namespace);
        }
        let hosts = &lab.namespaces[..topology.hosts.len()];
        lab.carrier = Some(match hub {
            Some(hub) => Carrier::Kernel(Kernel::up(topology, &hub, hosts)?),
            None => Carrier::Emulator(Emulator::up(topology, hosts)?),
        });
        lab.hosts = hosts.len();
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

    /// Opens something on a host: a socket stays there, whichever thread uses it.
    pub(crate) fn inside<T: Send>(
        &self,
        host: usize,
        open: impl FnOnce() -> std::io::Result<T> + Send,
    ) -> Result<T, LabError> {
        system::inside(&self.namespaces[host], open)?.map_err(|source| LabError::Thread { source })
    }

    /// Changes the network.
    pub(crate) fn change(&mut self, change: &Change) -> Result<(), LabError> {
        let count = self.hosts;
        let known = |host: &usize| if *host < count { Ok(()) } else { Err(LabError::NoHost(*host)) };
        match change {
            Change::Rate { host, up, down } => {
                known(host)?;
                let (old_up, old_down) = self.links_of(*host)?;
                self.set_links(*host, Link { rate: *up, ..old_up }, Link { rate: *down, ..old_down })
            }
            Change::Links { host, up, down } => known(host).and_then(|()| self.set_links(*host, *up, *down)),
            Change::Between { from, to, link } => match self.carrier() {
                Carrier::Kernel(_) => Err(LabError::NeedsEmulator("a link between zones")),
                Carrier::Emulator(emulator) => emulator.link_between(from, to, *link),
            },
            Change::Cut { hosts } => hosts.iter().try_for_each(known).and_then(|()| self.cut(hosts)),
            Change::Heal => self.cut(&[]),
        }
    }

    fn set_links(&mut self, host: usize, up: Link, down: Link) -> Result<(), LabError> {
        match &mut self.carrier {
            Some(Carrier::Kernel(kernel)) => kernel.links(host, up, down),
            Some(Carrier::Emulator(emulator)) => {
                emulator.links(host, up, down);
                Ok(())
            }
            None => unreachable!("{IS_UP}"),
        }
    }

    fn cut(&self, hosts: &[usize]) -> Result<(), LabError> {
        match self.carrier() {
            Carrier::Kernel(kernel) => kernel.cut(hosts),
            Carrier::Emulator(emulator) => {
                emulator.cut(hosts);
                Ok(())
            }
        }
    }

    /// The links of a host, as they are now.
    pub(crate) fn links_of(&self, host: usize) -> Result<(Link, Link), LabError> {
        if host >= self.hosts {
            return Err(LabError::NoHost(host));
        }
        Ok(match self.carrier() {
            Carrier::Kernel(kernel) => kernel.links_of(host),
            Carrier::Emulator(emulator) => emulator.links_of(host),
        })
    }

    /// What crossed the links of a host.
    pub(crate) fn counters(&self, host: usize) -> Result<Counters, LabError> {
        self.all_counters()?.get(host).copied().ok_or(LabError::NoHost(host))
    }

    /// What crossed the links of every host, read together.
    pub(crate) fn all_counters(&self) -> Result<Vec<Counters>, LabError> {
        match self.carrier() {
            Carrier::Kernel(kernel) => kernel.counters(),
            Carrier::Emulator(emulator) => Ok(emulator.counters()),
        }
    }

    /// What crossed the link from one zone to another.
    pub(crate) fn between(&self, from: &str, to: &str) -> Result<Counters, LabError> {
        match self.carrier() {
            Carrier::Kernel(_) => Err(LabError::NoZoneLink { from: from.to_owned(), to: to.to_owned() }),
            Carrier::Emulator(emulator) => emulator.between(from, to),
        }
    }

    /// How well the emulator kept up; `None` on the kernel's queues.
    pub(crate) fn strain(&self) -> Result<Option<Strain>, LabError> {
        match self.carrier() {
            Carrier::Kernel(_) => Ok(None),
            Carrier::Emulator(emulator) => emulator.strain().map(Some),
        }
    }

    fn carrier(&self) -> &Carrier {
        self.carrier.as_ref().expect(IS_UP)
    }

    /// The namespace of a host.
    pub(crate) fn namespace(&self, host: usize) -> &str {
        &self.namespaces[host]
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.carrier = None;
        // What cannot be removed now is removed when this process is gone.
        let _ = remains::remove(self.namespaces.drain(..).collect());
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

/// The host that has this address, if there are so many.
fn host_of(address: IpAddr) -> Option<usize> {
    let number = match address {
        IpAddr::V4(v4) => match v4.octets() {
            [10, 77, high, low] => u16::from_be_bytes([high, low]),
            _ => return None,
        },
        IpAddr::V6(v6) => match v6.segments() {
            [0xfd77, 0, 0, 0, 0, 0, 0, number] => number,
            _ => return None,
        },
    };
    usize::from(number).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_back_to_their_hosts() {
        for host in [0, 1, 254, 255, 999] {
            let (v4, v6) = address(host);
            assert_eq!((host_of(v4), host_of(v6.into())), (Some(host), Some(host)));
        }
        for nobody in ["10.77.0.0", "10.78.0.1", "ff02::2", "fe80::1", "fd77::"] {
            assert_eq!(host_of(nobody.parse().unwrap()), None, "{nobody}");
        }
    }
}
