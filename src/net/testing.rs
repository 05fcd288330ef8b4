//! Two connected endpoints on loopback, for the tests of this room.
//!
//! Real connections instead of stand-ins: what a stopped stream or a closed connection looks like is quinn's to say.
//!
//! Invariant: nothing here waits for time to pass; a hang ends in a failure after half a minute of the test's clock.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use quinn::{Connection, Endpoint};

use super::{TransportSettings, bind, dial};
use crate::identity::{Credentials, KeyRing, SwarmKey};
use crate::wire::{Hello, List, PeerId, Text, VERSION, Wants};

/// Two ends of a connection. The endpoints live as long as this.
pub(crate) struct Pair {
    pub(crate) dialling: Connection,
    pub(crate) dialled: Connection,
    _endpoints: [Endpoint; 2],
}

/// Connects two members of a swarm.
pub(crate) async fn pair() -> Pair {
    let node = || {
        let credentials = Credentials::from_keys(&KeyRing::single(SwarmKey::from_bytes([3; 32]))).unwrap();
        bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &credentials, &TransportSettings::default()).unwrap()
    };
    let (from, to) = (node(), node());
    let dialling = dial(&from, to.local_addr().unwrap()).unwrap();
    let accepting = async { to.accept().await.unwrap().await };
    let (dialling, dialled) = within(async { tokio::join!(dialling, accepting) }).await;
    Pair { dialling: dialling.unwrap(), dialled: dialled.unwrap(), _endpoints: [from, to] }
}

/// A test that hangs should fail and say so. Longer than every bound of this room, as some tests let the clock run ahead.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(3600), future).await.expect("the exchange ends in time")
}

/// A hello that says little.
pub(crate) fn hello(peer: u8) -> Hello {
    Hello {
        version: VERSION,
        peer: PeerId([peer; 16]),
        listen_port: 1000 + u16::from(peer),
        zone: Text::default(),
        publisher: false,
        agent: Text::default(),
        contents: List::default(),
        wants: Wants::Any,
    }
}
