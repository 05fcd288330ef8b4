//! A liar among real processes: a member of the swarm that offers everything and sends nothing but wrong bytes.
//!
//! The liar lives in this process and speaks through the library, with a certificate that the swarm's key made; the others are the
//! program as users run it.
//!
//! Invariant: whatever the liar sends, everybody else ends with every byte verified and in success.
//!
//! Not here: the many ways to lie (`tests/node`).

mod common;

// It serves other tests as well.
#[allow(dead_code)]
#[path = "node/actor.rs"]
mod actor;

/// What the actor wants to know of the swarm that it is in.
mod swarm {
    use std::path::PathBuf;
    use std::sync::OnceLock;

    use strew::identity::{Credentials, KeyRing};

    /// What the seeder is told to cut the content into.
    pub(crate) const CHUNK: u64 = 64 << 10;
    /// The key of this test program's only swarm.
    pub(crate) static KEY: OnceLock<String> = OnceLock::new();

    pub(crate) fn member() -> Credentials {
        let key = KEY.get().expect("the stage is set before its actors come").parse().unwrap();
        Credentials::from_keys(&KeyRing::single(key)).unwrap()
    }

    pub(crate) struct Tree(pub(crate) PathBuf);

    impl Tree {
        pub(crate) fn source(&self) -> PathBuf {
            self.0.clone()
        }
    }

    pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
        let patience = crate::common::PATIENCE;
        tokio::time::timeout(patience, future).await.unwrap_or_else(|_| panic!("no {what} within {patience:?}"))
    }
}

use std::fs;
use std::sync::Arc;

use common::node::list;
use common::{Node, Stage, assert_equal};
use serde_json::Value;
use strew::wire::Reason;

use actor::{Actor, Reply, closing_reason};

/// The reason for which `node` refused the peer at this address, of those that contain `part`.
fn refused(node: &Node, address: &str, part: &str) {
    node.until(&format!("refusal of {address} ({part})"), |event: &Value| {
        let refused = event["event"] == "peer" && event["state"] == "refused" && event["address"] == address;
        (refused && event["reason"].as_str().is_some_and(|reason| reason.contains(part))).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liar_among_five_is_found_out_by_each_and_keeps_nobody_from_its_copy() {
    let stage = Stage::new();
    let mut tree = common::Tree::new(stage.path("source"), 1);
    tree.files(40, 100_000);
    swarm::KEY.set(stage.key().to_owned()).unwrap();
    let source = swarm::Tree(fs::canonicalize(tree.path()).unwrap());
    let liar = Actor::with(&source, &strew::net::TransportSettings::default(), swarm::CHUNK);

    // It is the only one whom they know, so each of them must find out by itself.
    let mut pullers = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let puller = stage.pull(&stage.path(name), &[liar.address()], &[]);
        let meeting = liar.await_node().await;
        let proofs = Some(liar.proofs());
        let wrong = |actor: &Actor, request: &strew::wire::Request| {
            Reply::Data(vec![7; actor.chunk(request.chunk).len()], None)
        };
        let play = Arc::clone(&liar).play(meeting, proofs, wrong).await;
        assert_eq!(closing_reason(&play.connection).await, Reason::BadChunks);
        pullers.push((name, puller));
    }
    let mut addresses = Vec::new();
    for (_, puller) in &pullers {
        refused(puller, &liar.address().to_string(), "it sent bad chunks");
        addresses.push(puller.address());
    }
    let chunk = format!("{}KiB", swarm::CHUNK >> 10);
    let _seeder = stage.seed(tree.path(), &["--chunk-size", &chunk, "--peer-list", &list(&addresses)]);
    for (name, puller) in pullers {
        puller.event("complete");
        assert_equal(tree.path(), &stage.path(name));
        // It comes back, and is known.
        let connection = liar.connect(puller.address()).await;
        let mut send = connection.open_uni().await.unwrap();
        let _ = strew::net::frames::write(&mut send, &strew::wire::Message::Hello(liar.hello())).await;
        let _ = strew::net::frames::write(&mut send, &strew::wire::Message::Welcome).await;
        assert_eq!(closing_reason(&connection).await, Reason::BadChunks);
        refused(&puller, &liar.address().to_string(), "banned for this run");
        let end = puller.interrupt();
        assert_eq!(end.code, 0, "{}", end.log);
        assert!(end.total("chunks_bad") >= 2);
    }
}
