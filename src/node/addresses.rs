//! Addresses: which of those that a neighbour names may be dialled, and which of ours may be named to it.
//!
//! A name from a neighbour is a wish that we send packets somewhere. Honest ones are addresses of other peers as the neighbour sees
//! them; so what makes sense only on one machine or one link is of use only to whoever is there too, and what no peer can be at is
//! refused. Private networks are allowed, since most fleets live there.
//!
//! A link-local IPv6 address means nothing without its interface, and the interface's number means nothing on another machine. So such
//! an address is dialled through the interface on which the neighbour who named it is seen.
//!
//! Invariant: pure; the same question has the same answer. What the user lists is never asked about here.
//!
//! Not here: when to dial (`candidates`).

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// Ports below this belong to services of the system; a peer that listens there is named only to a fleet that does so too.
const PORT_MIN: u16 = 1024;

/// The address to dial when a neighbour that is seen at `teller` names `named`; `None` when it is not to be dialled. `ours` are the
/// addresses where we ourselves are reached.
pub(super) fn dialable(named: SocketAddr, teller: SocketAddr, ours: &[SocketAddr]) -> Option<SocketAddr> {
    let (named, teller) = (canonical(named), canonical(teller));
    let port = named.port();
    let is_system_port = port < PORT_MIN && ours.iter().all(|our| our.port() != port);
    if port == 0 || is_system_port || !is_a_host(named.ip()) {
        return None;
    }
    let dialled = match (named.ip(), teller) {
        (ip, _) if ip.is_loopback() && !teller.ip().is_loopback() => return None,
        (IpAddr::V6(ip), SocketAddr::V6(seen)) if ip.is_unicast_link_local() => {
            if !seen.ip().is_unicast_link_local() {
                return None;
            }
            SocketAddr::V6(SocketAddrV6::new(ip, port, 0, seen.scope_id()))
        }
        (ip, _) if is_link_local(ip) && !is_link_local(teller.ip()) => return None,
        (ip, _) => SocketAddr::new(ip, port),
    };
    // With the wildcard we are at every address of this machine; of those, a neighbour can only know loopback to be ours.
    let is_ours = |our: &SocketAddr| {
        let our = canonical(*our);
        our.port() == port && (our.ip() == dialled.ip() || (our.ip().is_unspecified() && dialled.ip().is_loopback()))
    };
    (!ours.iter().any(is_ours)).then_some(dialled)
}

/// Whether it is of any use to a neighbour at `listener` to hear of `address`.
pub(super) fn is_worth_telling(address: SocketAddr, listener: SocketAddr) -> bool {
    let (ip, listener) = (canonical(address).ip(), canonical(listener).ip());
    (!ip.is_loopback() || listener.is_loopback()) && (!is_link_local(ip) || is_link_local(listener))
}

/// One form for each address: an IPv4 address inside IPv6 is an IPv4 address, and a flow label names nobody.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(v4.into(), v6.port()),
            None => SocketAddr::V6(SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id())),
        },
        v4 => v4,
    }
}

/// Whether one machine can have this address (RFC 6890): not a group, not "any", not reserved.
fn is_a_host(ip: IpAddr) -> bool {
    match ip {
        // 0.0.0.0/8 is "this network", 224.0.0.0/4 are groups, 240.0.0.0/4 is reserved and ends with the broadcast address.
        IpAddr::V4(v4) => (1..224).contains(&v4.octets()[0]),
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast(),
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: &str = "10.0.0.9:5000";
    const LOOPBACK: &str = "127.0.0.1:5000";

    fn dialled(named: &str, teller: &str) -> Option<String> {
        let ours = ["[::]:10090", "10.0.0.1:10090"].map(|our| our.parse().unwrap());
        dialable(named.parse().unwrap(), teller.parse().unwrap(), &ours).map(|address| address.to_string())
    }

    #[test]
    fn what_is_dialled_of_what_neighbours_name() {
        let table = [
            // Peers as they are.
            ("10.0.0.2:10090", NEAR, Some("10.0.0.2:10090")),
            ("203.0.113.7:40000", NEAR, Some("203.0.113.7:40000")),
            ("[fd00::2]:10090", NEAR, Some("[fd00::2]:10090")),
            ("[::ffff:10.0.0.2]:10090", NEAR, Some("10.0.0.2:10090")),
            ("[fd00::2%7]:10090", NEAR, Some("[fd00::2]:10090")),
            // Nobody is there.
            ("0.0.0.0:10090", NEAR, None),
            ("0.1.2.3:10090", NEAR, None),
            ("[::]:10090", NEAR, None),
            ("224.0.0.1:10090", NEAR, None),
            ("[ff02::1]:10090", NEAR, None),
            ("255.255.255.255:10090", NEAR, None),
            ("240.0.0.1:10090", NEAR, None),
            ("[::ffff:255.255.255.255]:10090", NEAR, None),
            ("10.0.0.2:0", NEAR, None),
            // Services of the system.
            ("10.0.0.2:53", NEAR, None),
            ("10.0.0.2:1023", NEAR, None),
            ("10.0.0.2:1024", NEAR, Some("10.0.0.2:1024")),
            // What is only here, from somebody who is elsewhere and from somebody who is here.
            ("127.0.0.1:6000", NEAR, None),
            ("127.0.0.1:6000", LOOPBACK, Some("127.0.0.1:6000")),
            ("127.0.0.1:6000", "[::ffff:127.0.0.1]:5000", Some("127.0.0.1:6000")),
            ("[::1]:6000", "[fd00::9]:5000", None),
            ("[::1]:6000", "[::1]:5000", Some("[::1]:6000")),
            ("[::ffff:127.0.0.1]:6000", NEAR, None),
            ("169.254.169.254:8080", NEAR, None),
            ("169.254.1.1:6000", "169.254.1.2:5000", Some("169.254.1.1:6000")),
            ("[fe80::1]:6000", "[fd00::9]:5000", None),
            ("[fe80::1]:6000", NEAR, None),
            ("[fe80::1%9]:6000", "[fe80::2%3]:5000", Some("[fe80::1%3]:6000")),
            // Ourselves.
            ("10.0.0.1:10090", NEAR, None),
            ("127.0.0.1:10090", LOOPBACK, None),
            ("10.0.0.1:10091", NEAR, Some("10.0.0.1:10091")),
        ];
        for (named, teller, expected) in table {
            assert_eq!(dialled(named, teller).as_deref(), expected, "{named} named by {teller}");
        }
    }

    #[test]
    fn a_fleet_on_a_system_port_may_name_that_port() {
        let ours = ["10.0.0.1:443".parse().unwrap()];
        let teller = NEAR.parse().unwrap();
        assert!(dialable("10.0.0.2:443".parse().unwrap(), teller, &ours).is_some());
        assert!(dialable("10.0.0.2:53".parse().unwrap(), teller, &ours).is_none());
    }

    #[test]
    fn what_is_only_here_is_told_to_those_who_are_here() {
        let tell = |address: &str, to: &str| is_worth_telling(address.parse().unwrap(), to.parse().unwrap());
        assert!(tell("10.0.0.2:1024", NEAR) && tell("10.0.0.2:1024", LOOPBACK));
        assert!(tell("127.0.0.1:6000", LOOPBACK) && !tell("127.0.0.1:6000", NEAR));
        assert!(tell("[fe80::1%3]:6000", "[fe80::2%3]:6000") && !tell("[fe80::1%3]:6000", NEAR));
    }
}
