//! Chunks that come from several sources, and what is wrong in them.
//!
//! Invariant: whoever is blamed sent all of a wrong chunk, and whatever anybody sends, what counts is what was signed.
//!
//! Not here: wrong messages (`tests/node.rs`), many peers at once (`tests/liars.rs`).

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use strew::chunk::Layout;
use strew::manifest::SignedBatch;
use strew::net::TransportSettings;
use strew::node::{NodeError, Phase, Report, Snapshot};
use strew::wire::{Haves, List, Message, Reason};

use crate::actor::{Actor, INDEX, Reply, closing_reason};
use crate::swarm::{CHUNK, Running, Tree};

/// So large that the content is one chunk.
const ONE: u64 = 4 << 20;

fn of_one_chunk(tree: &Tree) -> Arc<Actor> {
    let actor = Actor::with(tree, &TransportSettings::default(), ONE);
    assert_eq!(actor.chunk_count(), 1);
    actor
}

/// Waits until so many bytes are here, of chunks that are not whole yet.
async fn arrived(puller: &mut Running, what: &str, enough: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let report = |report: &Report| match report {
        Report::Progress(snapshot) if enough(snapshot) => Some(snapshot.clone()),
        _ => None,
    };
    puller.report(what, report).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_together_brought_something_wrong_nobody_is_blamed() {
    let tree = Tree::random(30);
    let (honest, liar) = (of_one_chunk(&tree), of_one_chunk(&tree));
    let mut puller = Running::puller(tree.destination("a"), &[honest.address()]).await;
    let meeting = honest.await_node().await;
    // It begins, and brings the rest only when it is asked anew.
    let first = AtomicBool::new(true);
    let proofs = Some(honest.proofs());
    let play = honest.play(meeting, proofs, move |actor, request| {
        let data = actor.chunk(request.chunk);
        let half = data.len() / 2;
        let begins = first.swap(false, Ordering::Relaxed);
        if begins { Reply::Begun(data, half) } else { Reply::Data(data, None) }
    });
    let mut honest_play = play.await;
    assert!(honest_play.asked().await.ranges.is_whole());
    let meeting = liar.meet(puller.address, liar.hello()).await;
    let proofs = Some(liar.proofs());
    let mut liar_play =
        liar.play(meeting, proofs, |actor, request| Reply::Data(vec![0; actor.chunk(request.chunk).len()], None)).await;
    let asked = liar_play.asked().await;
    assert!(asked.exact && !asked.ranges.is_whole(), "another brings the beginning: {asked:?}");
    let last = asked.ranges.iter().next().unwrap();
    assert!(asked.ranges.iter().all(|part| part.end <= last.end), "from the end");
    let snapshot = puller.complete().await;
    tree.assert_copied_to("a");
    assert!((1..=2).contains(&snapshot.chunks_bad), "once together, and perhaps once by the liar alone");
    for play in [&honest_play, &liar_play] {
        assert!(play.connection.close_reason().is_none(), "nobody is banned for one");
    }
    // Whoever was asked again was asked for all of it.
    let again = tokio::select! {
        asked = honest_play.asked() => asked,
        asked = liar_play.asked() => asked,
    };
    assert!(again.exact && again.ranges.is_whole(), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_neighbour_brought_before_it_went_away_is_not_asked_for_again() {
    let tree = Tree::random(31);
    let (first, second) = (of_one_chunk(&tree), of_one_chunk(&tree));
    let mut puller = Running::puller(tree.destination("a"), &[first.address()]).await;
    let meeting = first.await_node().await;
    const BROUGHT: usize = 1_000_000;
    let proofs = Some(first.proofs());
    let begun = first.play(meeting, proofs, |actor, request| Reply::Begun(actor.chunk(request.chunk), BROUGHT)).await;
    arrived(&mut puller, "first bytes", |snapshot| snapshot.arrived.0 >= BROUGHT as u64).await;
    begun.connection.close(0u32.into(), b"gone");
    puller.report("loss", |report| matches!(report, Report::Left { .. }).then_some(())).await;
    let meeting = second.meet(puller.address, second.hello()).await;
    let proofs = Some(second.proofs());
    let mut play = second.play(meeting, proofs, |actor, request| Reply::Data(actor.chunk(request.chunk), None)).await;
    let asked = play.asked().await;
    assert_eq!(asked.ranges.iter().map(|part| part.start).collect::<Vec<_>>(), [u32::try_from(BROUGHT).unwrap()]);
    let snapshot = puller.complete().await;
    tree.assert_copied_to("a");
    assert_eq!((snapshot.repeated.0, snapshot.arrived), (0, snapshot.bytes_total));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_nobody_adds_to_make_room_for_others() {
    let tree = Tree::random(38);
    let actor = Actor::knowing(&tree);
    let mut puller = Running::narrow_puller(tree.destination("a"), &[actor.address()]).await;
    let meeting = actor.await_node().await;
    let proofs = Some(actor.proofs());
    let begun = actor.play(meeting, proofs, |actor, request| Reply::Begun(actor.chunk(request.chunk), 5000)).await;
    arrived(&mut puller, "first bytes", |snapshot| snapshot.arrived.0 > 0).await;
    begun.connection.close(0u32.into(), b"gone");
    // The only room is taken by a chunk of which something came.
    let _publisher = Running::publisher_among(tree.source(), &[puller.address]).await;
    puller.complete().await;
    tree.assert_copied_to("a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_that_falls_silent_in_the_middle_of_a_chunk_holds_nobody_up() {
    let tree = Tree::random(32);
    let silent = of_one_chunk(&tree);
    let mut puller = Running::puller(tree.destination("a"), &[silent.address()]).await;
    let meeting = silent.await_node().await;
    let proofs = Some(silent.proofs());
    let play = silent.play(meeting, proofs, |actor, request| Reply::Begun(actor.chunk(request.chunk), 500_000)).await;
    arrived(&mut puller, "first bytes", |snapshot| snapshot.arrived.0 >= 500_000).await;
    let helper = of_one_chunk(&tree);
    let meeting = helper.meet(puller.address, helper.hello()).await;
    let proofs = Some(helper.proofs());
    let _helper = helper.play(meeting, proofs, |actor, request| Reply::Data(actor.chunk(request.chunk), None)).await;
    let snapshot = puller.complete().await;
    tree.assert_copied_to("a");
    assert_eq!((snapshot.chunks_bad, snapshot.repeated.0), (0, 0));
    assert!(play.connection.close_reason().is_none(), "slowness is no crime");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_that_refuses_what_it_says_to_have_holds_nobody_up() {
    let tree = Tree::random(33);
    let actor = Actor::knowing(&tree);
    let mut puller = Running::puller(tree.destination("a"), &[actor.address()]).await;
    let meeting = actor.await_node().await;
    let proofs = Some(actor.proofs());
    let mut play = actor.play(meeting, proofs, |_, _| Reply::Refusal).await;
    play.asked().await;
    let _publisher = Running::publisher_among(tree.source(), &[puller.address]).await;
    puller.complete().await;
    tree.assert_copied_to("a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_have_beyond_the_last_chunk_costs_its_sender_the_connection() {
    let tree = Tree::random(34);
    let publisher = Running::publisher(tree.source()).await;
    let actor = Actor::knowing(&tree);
    let larger = Layout::new((u64::from(actor.chunk_count()) + 1) * CHUNK, CHUNK).unwrap();
    let beyond = larger.chunk(actor.chunk_count()).unwrap();
    let have = Message::Have { content: INDEX, chunks: Haves::split(&[beyond]).next().unwrap() };
    let complaint = Message::BadChunk { content: INDEX, chunk: beyond.index() };
    for wrong in [have, complaint] {
        let mut meeting = actor.meet(publisher.address, actor.hello()).await;
        meeting.tell(&Message::Offers(actor.hello().contents)).await;
        meeting.hear("bitfield", |message| matches!(message, Message::Bitfield { .. }).then_some(())).await;
        meeting.tell(&wrong).await;
        assert_eq!(closing_reason(&meeting.connection).await, Reason::Protocol, "{wrong:?}");
    }
}

fn batches(batch: SignedBatch) -> Message {
    Message::Digests { content: INDEX, batches: List::try_from(vec![batch]).unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_contradicts_itself_ends_the_job() {
    let tree = Tree::random(35);
    let actor = Actor::knowing(&tree);
    let mut puller = Running::puller(tree.destination("a"), &[actor.address()]).await;
    let meeting = actor.await_node().await;
    let proofs = Some(actor.proofs());
    let play = actor.play(meeting, proofs, |actor, request| {
        Reply::Data(actor.chunk(request.chunk), Some(actor.lie(request.chunk)))
    });
    let _play = play.await;
    let ended = puller.end().await;
    let Err(NodeError::Conflict(evidence)) = ended else { panic!("{ended:?}") };
    assert!(evidence.to_string().contains("two digests for chunk"), "{evidence}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_publishers_that_disagree_the_earlier_one_is_believed_and_the_job_goes_on() {
    let tree = Tree::random(36);
    let (earlier, later) = (of_one_chunk(&tree), Actor::later(&tree, ONE));
    let mut puller = Running::puller(tree.destination("a"), &[later.address()]).await;
    let meeting = later.await_node().await;
    let lies = Some(batches(later.lie(0)));
    let lying = later.play(meeting, lies, |actor, _| Reply::Data(vec![0; actor.chunk(0).len()], None));
    let _lying = lying.await;
    // It sent what it signed, so that counts until somebody who was there before says otherwise.
    let before = puller.complete().await;
    let meeting = earlier.meet(puller.address, earlier.hello()).await;
    let proofs = Some(earlier.proofs());
    let _play = earlier.play(meeting, proofs, |actor, request| Reply::Data(actor.chunk(request.chunk), None)).await;
    let again = |now: &Snapshot| now.phase == Phase::Serving && now.received > before.received;
    arrived(&mut puller, "second completion", again).await;
    tree.assert_copied_to("a");
}

/// Changes a byte of a file as a disk does that rots: no time and no size tells of it.
fn rot(path: &Path) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let mut data = fs::read(path).unwrap();
    data[100_000] ^= 1;
    fs::write(path, data).unwrap();
    fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_rots_heals_and_its_owner_is_not_banned() {
    let tree = Tree::random(37);
    let publisher = Running::publisher(tree.source()).await;
    // It has no room to keep chunks in memory, so it serves what its disk gives.
    let mut first = Running::narrow_puller(tree.destination("a"), &[publisher.address]).await;
    let whole = first.complete().await;
    publisher.stop().await;
    rot(&tree.destination("a").join("folder 0/file 6"));
    // All of it can be had of the first one alone, but for the chunk that its disk lost.
    let mut second = Running::puller(tree.destination("b"), &[first.address]).await;
    let bad = arrived(&mut second, "bad chunk", |snapshot| snapshot.chunks_bad == 1).await;
    assert!(bad.chunks_done < bad.chunks_total);
    let lost = arrived(&mut first, "loss", |snapshot| snapshot.chunks_done < snapshot.chunks_total).await;
    assert_eq!(lost.chunks_done, lost.chunks_total - 1);
    let publisher = Running::publisher_among(tree.source(), &[first.address]).await;
    let healed =
        |snapshot: &Snapshot| snapshot.phase == Phase::Serving && snapshot.chunks_done == snapshot.chunks_total;
    let healed = arrived(&mut first, "recovery", healed).await;
    assert!(healed.received > whole.received, "it was fetched anew");
    tree.assert_copied_to("a");
    let snapshot = second.complete().await;
    tree.assert_copied_to("b");
    assert_eq!(snapshot.chunks_bad, 1, "the second one got it right");
    assert!(first.stop().await.complete && second.stop().await.complete);
    publisher.stop().await;
}
