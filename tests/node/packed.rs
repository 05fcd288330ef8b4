//! Chunks that travel packed: between nodes, from liars, and to whoever did not ask for them so.
//!
//! Invariant: what counts is what was signed, however it travelled.
//!
//! Not here: the format (`wire`), many processes (`tests/transfer`).

use strew::node::Compression;
use strew::wire::{Accepts, PackLevel, Reason, pack};

use crate::actor::{Actor, Reply, closing_reason};
use crate::swarm::{CHUNK, Running, Tree};

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_came_packed_is_passed_on_packed_and_as_it_is() {
    let tree = Tree::of_words(61);
    let publisher = Running::publisher(tree.source()).await;
    let mut first = Running::packed_puller(tree.destination("a"), &[publisher.address], Compression::Zstd).await;
    let whole = first.complete().await;
    tree.assert_copied_to("a");
    assert!(whole.wire_received.0 * 2 < whole.bytes_total.0, "{whole:?}");
    assert_eq!((whole.received, whole.arrived, whole.chunks_bad), (whole.bytes_total, whole.bytes_total, 0));
    let sent = publisher.stop().await.snapshot;
    assert_eq!((sent.wire_uploaded, sent.uploaded), (whole.wire_received, whole.bytes_total));
    // The publisher is gone: all that comes now was kept, or is packed anew.
    for (name, compress) in [("b", Compression::Zstd), ("c", Compression::Auto), ("d", Compression::None)] {
        let mut next = Running::packed_puller(tree.destination(name), &[first.address], compress).await;
        let got = next.complete().await;
        tree.assert_copied_to(name);
        let packed = got.wire_received.0 * 2 < got.bytes_total.0;
        assert_eq!(packed, compress != Compression::None, "{name}: {got:?}");
        assert!(compress != Compression::None || got.wire_received == got.bytes_total);
        next.stop().await;
    }
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_do_not_pack_travel_as_they_are() {
    let tree = Tree::random(62);
    let publisher = Running::publisher(tree.source()).await;
    let mut puller = Running::packed_puller(tree.destination("a"), &[publisher.address], Compression::Zstd).await;
    let whole = puller.complete().await;
    tree.assert_copied_to("a");
    assert_eq!((whole.wire_received, whole.repeated.0), (whole.bytes_total, 0));
    puller.stop().await;
    publisher.stop().await;
}

/// Wrong frames for a chunk, and what is wrong with them.
fn lies(chunk: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let level = PackLevel::default();
    let right = pack(chunk, level).expect("words pack");
    let bomb = pack(&vec![0; 64 << 20], level).expect("zeros pack");
    // As long as may be announced for a chunk: a frame may not be longer than what it unpacks to.
    assert!(bomb.len() < chunk.len(), "{} bytes are no bomb", bomb.len());
    vec![
        ("bomb", bomb),
        ("garbage", vec![0xa5; 1000]),
        ("cut off", right[..right.len() - 9].to_vec()),
        ("two frames", [&right[..], &right].concat()),
        ("too little", pack(&chunk[..chunk.len() / 2], level).expect("words pack")),
        ("other words", pack(&chunk.iter().rev().copied().collect::<Vec<_>>(), level).expect("words pack")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lies_in_packed_chunks_is_banned_and_does_no_harm() {
    let tree = Tree::of_words(63);
    let last = u32::try_from(lies(&Actor::knowing(&tree).chunk(0)).len()).unwrap();
    for lie in 0..last {
        let actor = Actor::knowing(&tree);
        let (what, _) = lies(&actor.chunk(0)).swap_remove(lie as usize);
        let name = format!("copy {lie}");
        let mut puller = Running::packed_puller(tree.destination(&name), &[actor.address()], Compression::Zstd).await;
        let meeting = actor.await_node().await;
        let proofs = Some(actor.proofs());
        let play = actor.play(meeting, proofs, move |actor, request| {
            assert_eq!(request.accepts, if request.ranges.is_whole() { Accepts::Packed } else { Accepts::Raw });
            let chunk = actor.chunk(request.chunk);
            // The last chunk may be too short for any of it.
            if chunk.len() as u64 != CHUNK {
                return Reply::Silence;
            }
            let (_, frame) = lies(&chunk).swap_remove(lie as usize);
            let length = u32::try_from(frame.len()).unwrap();
            Reply::Packed(frame, length)
        });
        let play = play.await;
        assert_eq!(closing_reason(&play.connection).await, Reason::BadChunks, "{what}");
        let helper = Running::publisher_among(tree.source(), &[puller.address]).await;
        let snapshot = puller.complete().await;
        tree.assert_copied_to(&name);
        assert!(snapshot.chunks_bad >= 2, "{what}: one bad chunk alone bans nobody");
        helper.stop().await;
        puller.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_ends_before_its_announced_end_or_that_nobody_asked_for_costs_the_connection() {
    let tree = Tree::of_words(64);
    for (name, compress, cut) in [("a", Compression::Zstd, 5), ("b", Compression::None, 0)] {
        let actor = Actor::knowing(&tree);
        let mut puller = Running::packed_puller(tree.destination(name), &[actor.address()], compress).await;
        let meeting = actor.await_node().await;
        let proofs = Some(actor.proofs());
        let play = actor.play(meeting, proofs, move |actor, request| {
            let frame = pack(&actor.chunk(request.chunk), PackLevel::default()).unwrap();
            let length = u32::try_from(frame.len()).unwrap();
            Reply::Packed(frame[..frame.len() - cut].to_vec(), length + if cut > 0 { 200 } else { 0 })
        });
        let play = play.await;
        assert_eq!(closing_reason(&play.connection).await, Reason::Protocol, "{name}");
        let publisher = Running::publisher_among(tree.source(), &[puller.address]).await;
        let snapshot = puller.complete().await;
        tree.assert_copied_to(name);
        assert_eq!(snapshot.chunks_bad, 0, "nobody is blamed for bytes that never came");
        publisher.stop().await;
        puller.stop().await;
    }
}
