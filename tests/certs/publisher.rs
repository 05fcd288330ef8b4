//! Only the role seed publishes: others refuse to try, and whoever tries all the same is not believed.
//!
//! The hostile publisher is played by hand, since the program itself would not start as one.
//!
//! Not here: publishers that may (`rotation`).

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread;

use quinn::{Connection, Endpoint};
use rcgen::SanType;
use strew::identity::{CertificateFiles, Credentials};
use strew::manifest::{ContentId, DatasetKey, Endorsement};
use strew::net::{TransportSettings, bind, frames};
use strew::wire::{ContentIndex, Hello, List, Message, Offer, PeerId, Text, VERSION, Wants};

use crate::common::Tree;
use crate::pki::{Pki, pull, seed};

#[test]
fn without_the_role_seed_nobody_starts_to_publish() {
    let pki = Pki::new();
    let mut tree = Tree::new(pki.path("source"), 1);
    tree.file("a", 10);
    seed(&pki.issue("peer", "peer"), tree.path(), &[]).ends().failed(3, &["role peer", "--role seed"]);
    let named = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names = vec![SanType::URI("spiffe://a/b".try_into().unwrap())];
    };
    let end = seed(&pki.spoilt("nameless", named), tree.path(), &[]).ends();
    end.failed(3, &["names no role", "--role seed"]);
}

#[test]
fn a_manifest_that_a_mere_peer_endorses_is_refused() {
    let pki = Pki::new();
    for (role, code, part) in [("peer", 3, "role peer and may not publish"), ("seed", 4, "no peer offered a content")] {
        let address = publish_by_hand(&pki.issue("hostile", role));
        let words = ["--peer-wait-timeout", "2s"];
        let end = pull(&pki.issue("victim", "peer"), &pki.path("copy"), &[address], &words).ends();
        end.failed(code, &[part]);
    }
}

/// Offers and endorses a content to whoever connects, and sends nothing of it; lives as long as the test's process.
fn publish_by_hand(certificates: &Path) -> SocketAddr {
    let credentials = CertificateFiles::Directory(certificates.to_owned()).load().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let settings = TransportSettings::default();
            let endpoint = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &credentials, &settings).unwrap();
            tell.send(endpoint.local_addr().unwrap()).unwrap();
            serve(&endpoint, &credentials).await;
        });
    });
    told.recv().unwrap()
}

async fn serve(endpoint: &Endpoint, credentials: &Credentials) {
    let mut kept = Vec::new();
    while let Some(incoming) = endpoint.accept().await {
        let Ok(connection) = incoming.await else { continue };
        if let Some(streams) = offer(&connection, credentials, endpoint.local_addr().unwrap().port()).await {
            kept.push((connection, streams));
        }
    }
}

/// Says hello, offers and endorses; the control streams, which end the neighbourhood when they are dropped.
async fn offer(
    connection: &Connection,
    credentials: &Credentials,
    port: u16,
) -> Option<(quinn::SendStream, quinn::RecvStream)> {
    let (id, key) = (ContentId([7; 32]), DatasetKey::from_seed(&[9; 32]));
    let signed = credentials.sign(&Endorsement::payload_of(id, key.id(), 1_700_000_000)).unwrap();
    let (scheme, signature, chain) = (signed.scheme, signed.signature, signed.chain);
    let endorsement = Endorsement { content: id, key: key.id(), time: 1_700_000_000, scheme, signature, chain };
    let index = ContentIndex(5);
    let contents = || List::try_from(vec![Offer { index, id, complete: true }]).unwrap();
    let hello = Hello {
        version: VERSION,
        peer: PeerId([1; 16]),
        listen_port: port,
        zone: Text::default(),
        publisher: true,
        agent: Text::default(),
        contents: contents(),
        wants: Wants::Nothing,
    };
    let mut send = connection.open_uni().await.ok()?;
    frames::write(&mut send, &Message::Hello(hello)).await.ok()?;
    let mut recv = connection.accept_uni().await.ok()?;
    frames::read::<Message>(&mut recv).await.ok()?;
    frames::write(&mut send, &Message::Welcome).await.ok()?;
    let list = List::try_from(vec![endorsement]).unwrap();
    for message in [Message::Offers(contents()), Message::Endorsements { content: index, list }] {
        frames::write(&mut send, &message).await.ok()?;
    }
    Some((send, recv))
}
