//! Two endpoints on loopback: who meets whom, who refuses whom and how that is told.
//!
//! With real sockets and handshakes instead of stand-ins, because what counts is what both ends see of one refusal.
//!
//! Invariant: no test waits for time to pass; a hang ends in a failure after half a minute.
//!
//! Not here: certificates alone, which `identity` tests without a network.

use std::future::Future;
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, ConnectionError};
use rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig as TlsConfig, NamedGroup};

use super::*;
use crate::identity::{AuthenticationFault, CertificateFault, Failure, KeyRing, Role, SwarmKey, identity_of};

mod certificates;

const LOOPBACK: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

fn member(keys: &[u8]) -> Credentials {
    let keys = keys.iter().map(|byte| SwarmKey::from_bytes([*byte; 32])).collect();
    Credentials::from_keys(&KeyRing::new(keys).unwrap()).unwrap()
}

fn node(credentials: &Credentials) -> Endpoint {
    bind(LOOPBACK, credentials, &TransportSettings::default()).unwrap()
}

/// What each side learns from one handshake: first what the dialling side sees, then the dialled one.
///
/// The dialling side waits for the end of the connection where the dialled one refuses it, as a refusal comes late.
async fn meet(dialling: &Endpoint, dialled: &Endpoint) -> [Result<Connection, ConnectionError>; 2] {
    let dialled_sees = async { dialled.accept().await.expect("the endpoint is open").await };
    let dialling_sees = async {
        let connection = dial(dialling, dialled.local_addr().unwrap()).unwrap().await?;
        // An answer on a stream is what proves a neighbour.
        match connection.accept_uni().await {
            Ok(_) => Ok(connection),
            Err(error) => Err(error),
        }
    };
    let answered = async {
        let connection = dialled_sees.await?;
        connection.open_uni().await?.write_all(b"welcome").await.expect("the peer reads");
        Ok(connection)
    };
    within(async { tokio::join!(dialling_sees, answered) }).await.into()
}

/// A test that hangs should fail and say so.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("the exchange ends in time")
}

fn fault(result: &Result<Connection, ConnectionError>) -> AuthenticationFault {
    match Failure::from(result.as_ref().expect_err("the connection is refused")) {
        Failure::Authentication(fault) => fault,
        other => panic!("not an authentication failure: {other:?}"),
    }
}

/// A client of `credentials` with something changed in its TLS configuration.
fn spoilt(credentials: &Credentials, spoil: impl FnOnce(&mut TlsConfig)) -> Endpoint {
    let mut endpoint = node(credentials);
    let mut tls = credentials.client_tls();
    spoil(&mut tls);
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap())));
    endpoint
}

#[tokio::test]
async fn members_of_one_swarm_meet_and_know_each_other() {
    let (ours, theirs) = (member(&[1]), member(&[1]));
    let (dialling, dialled) = (node(&ours), node(&theirs));
    let [ours_sees, theirs_sees] = meet(&dialling, &dialled).await.map(Result::unwrap);
    assert_eq!(identity_of(&ours_sees), Some((theirs.identity(), Role::Seed)));
    assert_eq!(identity_of(&theirs_sees), Some((ours.identity(), Role::Seed)));
}

#[tokio::test]
async fn nodes_with_different_keys_refuse_each_other() {
    let (first, second) = (node(&member(&[1])), node(&member(&[2])));
    for (dialling, dialled) in [(&first, &second), (&second, &first)] {
        let [dialling_sees, dialled_sees] = meet(dialling, dialled).await;
        assert_eq!(fault(&dialling_sees), AuthenticationFault::Peer(CertificateFault::Foreign));
        assert_eq!(fault(&dialled_sees), AuthenticationFault::Ours(CertificateFault::Foreign));
    }
}

#[tokio::test]
async fn a_node_whose_certificate_is_refused_learns_it_after_its_handshake() {
    // The dialling node believes the other, but mints under a key that the other does not hold.
    let (dialling, dialled) = (node(&member(&[2, 1])), node(&member(&[1])));
    let [dialling_sees, dialled_sees] = meet(&dialling, &dialled).await;
    assert_eq!(fault(&dialling_sees), AuthenticationFault::Ours(CertificateFault::Foreign));
    assert_eq!(fault(&dialled_sees), AuthenticationFault::Peer(CertificateFault::Foreign));
}

#[tokio::test]
async fn a_key_is_changed_without_a_standstill() {
    // The three states of a rotation, each beside a machine that is one step behind.
    for (before, after) in [(&[1][..], &[1, 2][..]), (&[1, 2], &[2, 1]), (&[2, 1], &[2])] {
        let (before, after) = (node(&member(before)), node(&member(after)));
        for (dialling, dialled) in [(&before, &after), (&after, &before)] {
            let [dialling_sees, dialled_sees] = meet(dialling, dialled).await;
            assert!(dialling_sees.is_ok() && dialled_sees.is_ok());
        }
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let anonymous = spoilt(&member(&[1]), |tls| {
        tls.client_auth_cert_resolver = Arc::new(NoCertificate);
    });
    let dialled = node(&member(&[1]));
    let [dialling_sees, dialled_sees] = meet(&anonymous, &dialled).await;
    assert_eq!(fault(&dialling_sees), AuthenticationFault::OursAnonymous);
    assert_eq!(fault(&dialled_sees), AuthenticationFault::PeerAnonymous);
}

#[tokio::test]
async fn another_version_is_refused_as_such() {
    let newer = spoilt(&member(&[1]), |tls| tls.alpn_protocols = vec![b"strew/2".to_vec()]);
    for seen in meet(&newer, &node(&member(&[1]))).await {
        let failure = Failure::from(&seen.unwrap_err());
        assert!(matches!(failure, Failure::Incompatible(_)), "{failure:?}");
    }
}

#[tokio::test]
async fn a_peer_that_never_answers_is_unreachable() {
    let silent = UdpSocket::bind(LOOPBACK).unwrap();
    let settings = TransportSettings { idle_timeout: Duration::from_millis(200), ..TransportSettings::default() };
    let endpoint = bind(LOOPBACK, &member(&[1]), &settings).unwrap();
    let dialling = dial(&endpoint, silent.local_addr().unwrap()).unwrap();
    assert_eq!(Failure::from(&within(dialling).await.unwrap_err()), Failure::Unreachable);
}

#[tokio::test]
async fn no_session_ticket_is_ever_handed_out() {
    let tickets = Arc::new(TicketCount::default());
    let store = Arc::clone(&tickets);
    let eager = spoilt(&member(&[1]), |tls| tls.resumption = Resumption::store(store));
    let dialled = node(&member(&[1]));
    for seen in meet(&eager, &dialled).await {
        seen.unwrap();
    }
    assert_eq!(tickets.asked.load(Ordering::Relaxed), 1, "the client would have resumed");
    assert_eq!(tickets.received.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_socket_for_every_address_serves_ipv4() {
    let dialled = bind((Ipv6Addr::UNSPECIFIED, 0).into(), &member(&[1]), &TransportSettings::default()).unwrap();
    let port = dialled.local_addr().unwrap().port();
    let dialling = node(&member(&[1]));
    let connecting = dial(&dialling, (Ipv4Addr::LOCALHOST, port).into()).unwrap();
    let accepted = async { dialled.accept().await.unwrap().await };
    let (dialling_sees, dialled_sees) = within(async { tokio::join!(connecting, accepted) }).await;
    assert_eq!(remote_address(&dialling_sees.unwrap()), (Ipv4Addr::LOCALHOST, port).into());
    assert_eq!(remote_address(&dialled_sees.unwrap()), dialling.local_addr().unwrap());
}

#[tokio::test]
async fn large_datagrams_survive_a_burst_on_loopback() {
    // Without the cap on batches the kernel refuses them, and the datagrams shrink to 1200 bytes.
    let settings = TransportSettings::bound_to(LOOPBACK.ip());
    let [dialling, dialled] = [0, 1].map(|_| bind(LOOPBACK, &member(&[1]), &settings).unwrap());
    let [receiver, sender] = meet(&dialling, &dialled).await.map(Result::unwrap);
    let exchange = async {
        // Each round gives the search for the largest datagram something to ride on.
        while sender.stats().path.current_mtu < settings.mtu_upper {
            sender.open_uni().await.unwrap().write_all(&[1; 4096]).await.unwrap();
            assert_eq!(receiver.accept_uni().await.unwrap().read_to_end(4096).await.unwrap().len(), 4096);
        }
        let burst = vec![2; 4 << 20];
        let send = async { sender.open_uni().await.unwrap().write_all(&burst).await.unwrap() };
        let receive = async { receiver.accept_uni().await.unwrap().read_to_end(burst.len()).await.unwrap() };
        assert_eq!(tokio::join!(send, receive).1.len(), burst.len());
    };
    within(exchange).await;
    let path = sender.stats().path;
    assert_eq!((path.current_mtu, path.black_holes_detected), (settings.mtu_upper, 0));
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_remedy() {
    let first = node(&member(&[1]));
    let address = first.local_addr().unwrap();
    let refusal = bind(address, &member(&[1]), &TransportSettings::default()).unwrap_err();
    assert!(matches!(refusal, BindError::InUse { .. }), "{refusal:?}");
    assert!(refusal.to_string().contains(&format!("UDP {address}; stop it")));
}

#[tokio::test]
async fn an_address_of_another_machine_is_refused() {
    // 192.0.2.0/24 is reserved for documentation (RFC 5737), so no machine has it.
    let refusal = bind("192.0.2.1:0".parse().unwrap(), &member(&[1]), &TransportSettings::default()).unwrap_err();
    assert!(matches!(refusal, BindError::NotOurs { .. }), "{refusal:?}");
}

#[test]
fn only_the_address_for_all_falls_back_to_ipv4() {
    let [unsupported, in_use] = [rustix::io::Errno::AFNOSUPPORT, rustix::io::Errno::ADDRINUSE].map(io::Error::from);
    let any: SocketAddr = "[::]:10090".parse().unwrap();
    assert_eq!(ipv4_instead(any, &unsupported), Some("0.0.0.0:10090".parse().unwrap()));
    assert_eq!(ipv4_instead(any, &in_use), None);
    assert_eq!(ipv4_instead("[::1]:10090".parse().unwrap(), &unsupported), None);
}

/// A client that was asked for a certificate and has none.
#[derive(Debug)]
struct NoCertificate;

impl rustls::client::ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// A client's session store that counts what it is given.
#[derive(Debug, Default)]
struct TicketCount {
    asked: AtomicUsize,
    received: AtomicUsize,
}

impl ClientSessionStore for TicketCount {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        None
    }
}
