//! An address under which other machines may reach this one.
//!
//! A seeder prints the command for the other machines, and they need an address in it. The system knows which of ours it would use
//! for a far destination; connecting a datagram socket asks for that without sending anything.
//!
//! Invariant: no packet leaves the machine.
//!
//! Not here: whether others can reach that address (a translation or a firewall may stand between), and names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// An address of this machine that others may reach, IPv4 first; `None` when there is no network.
#[must_use]
pub fn own_address() -> Option<IpAddr> {
    // Addresses for documentation (RFC 5737 and RFC 3849), port 9 (discard): any far destination would do.
    let far = |ip: IpAddr| SocketAddr::new(ip, 9);
    let v4 = || facing(Ipv4Addr::UNSPECIFIED.into(), far(Ipv4Addr::new(192, 0, 2, 1).into()));
    let v6 = || facing(Ipv6Addr::UNSPECIFIED.into(), far(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()));
    v4().or_else(v6)
}

/// The address of this machine from which `far` is reached.
pub(super) fn address_toward(far: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if far.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    facing(any, far)
}

fn facing(any: IpAddr, far: SocketAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(far).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_side_that_faces_loopback_is_loopback() {
        let ip = Ipv4Addr::LOCALHOST.into();
        assert_eq!(facing(Ipv4Addr::UNSPECIFIED.into(), SocketAddr::new(ip, 9)), Some(ip));
    }

    #[test]
    fn an_own_address_is_one_that_others_can_use() {
        if let Some(ip) = own_address() {
            assert!(!ip.is_unspecified() && !ip.is_multicast(), "{ip}");
        }
    }
}
