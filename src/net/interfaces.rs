//! Interfaces: the largest datagram that may leave this machine.
//!
//! A path of jumbo frames costs a third of the processor time of an ordinary one, and nobody should have to say that he has one. So the
//! search for the largest datagram goes up to what the machine's own interfaces take; whether the rest of the path takes it as well is what
//! quinn finds out with packets of that size, whose loss costs nothing but themselves.
//!
//! Invariant: what is found is never less than an ordinary Ethernet has, nor more than a jumbo frame: larger datagrams save little more and
//! cost memory, since the buffer of an endpoint grows with them.
//!
//! Not here: which interface leads to a peer. One that has a smaller MTU answers larger packets by dropping them, as any other hop does.

use std::fs;
use std::path::Path;

/// Where Linux tells of interfaces (sysfs(5)).
const INTERFACES: &str = "/sys/class/net";
/// The name of the one that leads nowhere else.
const LOOPBACK: &str = "lo";
/// IPv6 (40) and UDP (8) headers.
const HEADERS: u16 = 48;
/// Largest UDP payload of an Ethernet frame: 1500 less headers.
pub(super) const ETHERNET: u16 = 1500 - HEADERS;
/// Largest UDP payload of a jumbo frame of 9000 bytes.
pub(super) const JUMBO: u16 = 9000 - HEADERS;

/// The largest UDP payload that any interface of this machine takes.
pub(super) fn largest_payload() -> u16 {
    let names = fs::read_dir(INTERFACES).into_iter().flatten().flatten().filter(|entry| entry.file_name() != LOOPBACK);
    names.filter_map(|entry| mtu(&entry.path())).map(payload).max().unwrap_or(ETHERNET)
}

/// The MTU of an interface, unless it is down.
fn mtu(interface: &Path) -> Option<u32> {
    let read = |name| fs::read_to_string(interface.join(name)).ok();
    let is_down = read("operstate").is_some_and(|state| state.trim() == "down");
    read("mtu").filter(|_| !is_down)?.trim().parse().ok()
}

/// What is left of an MTU for the payload, within the bounds of the invariant.
fn payload(mtu: u32) -> u16 {
    u16::try_from(mtu).unwrap_or(u16::MAX).saturating_sub(HEADERS).clamp(ETHERNET, JUMBO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_lies_between_ethernet_and_a_jumbo_frame() {
        assert_eq!([1280, 1500, 4000, 9000, 9216, 65_536].map(payload), [1452, 1452, 3952, 8952, 8952, 8952]);
    }

    #[test]
    fn an_interface_that_is_down_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("mtu", "9000\n");
        assert_eq!(mtu(folder.path()), Some(9000), "some drivers do not tell their state");
        write("operstate", "up\n");
        assert_eq!(mtu(folder.path()), Some(9000));
        write("operstate", "down\n");
        assert_eq!(mtu(folder.path()), None);
    }
}
