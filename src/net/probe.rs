//! Probe: what becomes of a datagram to an address where no peer answers.
//!
//! A handshake that fails says only that nothing came back. A socket that is connected to one address hears more: the system passes on
//! what the other machine, a router or its own firewall says about each datagram, which QUIC's shared socket cannot tell apart. The
//! datagram is a QUIC packet of a version that does not exist, because whoever speaks QUIC answers such a one with the versions
//! that it knows, without any state and without a certificate.
//!
//! Invariant: ends within the patience given, sends a handful of datagrams, and never more than it might get back.
//!
//! Not here: what to make of it (`node::reach`).

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

/// What became of datagrams to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// Nothing came back.
    Silent,
    /// The machine is there and says that nobody has that port.
    Refused,
    /// Somebody answered over UDP.
    Answered,
    /// This machine does not let datagrams out to it.
    Forbidden,
    /// There is no way to it, or a router on the way says so.
    NoRoute,
}

/// Datagrams are sent again after this pause (300 ms, as QUIC's first packets): one may be lost.
const PAUSE: Duration = Duration::from_millis(300);
/// Length of a datagram: what QUIC's first packets have, so that it passes where they do (RFC 9000, section 14.1).
const LEN: usize = 1200;

/// Sends to `address` until something is known or `patience` is over.
pub async fn probe(address: SocketAddr, patience: Duration) -> Echo {
    timeout(patience, listen(address)).await.unwrap_or(Ok(Echo::Silent)).unwrap_or_else(|error| meaning(&error))
}

async fn listen(address: SocketAddr) -> io::Result<Echo> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(address).await?;
    let datagram = unknown_version();
    let mut answer = [0; LEN];
    loop {
        socket.send(&datagram).await?;
        if let Ok(heard) = timeout(PAUSE, socket.recv(&mut answer)).await {
            return heard.map(|_| Echo::Answered);
        }
    }
}

/// What the system says about a datagram.
fn meaning(error: &io::Error) -> Echo {
    match error.kind() {
        ErrorKind::ConnectionRefused => Echo::Refused,
        ErrorKind::PermissionDenied => Echo::Forbidden,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => Echo::NoRoute,
        _ => Echo::Silent,
    }
}

/// A packet with a long header (RFC 9000, section 17.2) and a version of the form that is reserved to make others name theirs
/// (section 6.3), with two connection ids of eight bytes.
fn unknown_version() -> [u8; LEN] {
    let mut packet = [0; LEN];
    packet[0] = 0b1100_0000;
    packet[1..5].copy_from_slice(&0x1a2a_3a4a_u32.to_be_bytes());
    packet[5] = 8;
    packet[14] = 8;
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Credentials, KeyRing, SwarmKey};
    use crate::net::{TransportSettings, bind};

    const LOOPBACK: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));
    /// Longer than any answer on this machine takes; only silence waits for its end.
    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_machine_without_a_listener_refuses() {
        let nobody = UdpSocket::bind(LOOPBACK).await.unwrap().local_addr().unwrap();
        assert_eq!(probe(nobody, LONG).await, Echo::Refused);
    }

    #[tokio::test]
    async fn whoever_does_not_answer_is_silent() {
        let silent = UdpSocket::bind(LOOPBACK).await.unwrap();
        assert_eq!(probe(silent.local_addr().unwrap(), Duration::from_millis(10)).await, Echo::Silent);
    }

    #[tokio::test]
    async fn a_node_answers_also_to_whoever_holds_no_key() {
        let credentials = Credentials::from_keys(&KeyRing::single(SwarmKey::from_bytes([1; 32]))).unwrap();
        let node = bind(LOOPBACK, &credentials, &TransportSettings::default()).unwrap();
        assert_eq!(probe(node.local_addr().unwrap(), LONG).await, Echo::Answered);
    }
}
