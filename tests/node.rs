//! Whole swarms in this process: nodes that are run through the library, on real connections over loopback.
//!
//! Beside them stand peers that the test plays itself and that lie, stall or talk nonsense. They are no strangers: their
//! certificates are as good as anybody's, since whoever holds the key is a member, and members break too.
//!
//! Invariant: no test waits for time to pass; each waits for reports or messages, and a hang ends in a failure.
//!
//! Not here: the program and its exit codes (`tests/cli.rs`), thousands of nodes (`tests/simulation.rs`).

#[path = "node/actor.rs"]
mod actor;
#[path = "node/bad_data.rs"]
mod bad_data;
#[path = "node/packed.rs"]
mod packed;
#[path = "node/swarm.rs"]
mod swarm;

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use strew::manifest::SignedBatch;
use strew::net::{TransportSettings, frames};
use strew::node::{NodeError, Report, Snapshot};
use strew::wire::{Accepts, Answer, ContentIndex, Message, Open, Ranges, Reason, Refusal, Request, Wants};
use tokio::task::JoinSet;

use actor::{Actor, Reply, closing_reason};
use swarm::{Running, Tree, within};

#[tokio::test(flavor = "multi_thread")]
async fn everybody_gets_everything_and_passes_it_on() {
    let tree = Tree::random(1);
    let publisher = Running::publisher(tree.source()).await;
    let mut pullers = Vec::new();
    for name in ["a", "b", "c", "d"] {
        pullers.push((name, Running::puller(tree.destination(name), &[publisher.address]).await));
    }
    let mut passed_on = 0;
    for (name, puller) in &mut pullers {
        let snapshot = puller.complete().await;
        assert_eq!(snapshot.bytes_done, snapshot.bytes_total);
        assert_eq!(snapshot.chunks_bad, 0);
        tree.assert_copied_to(name);
    }
    for (_, puller) in pullers {
        let summary = puller.stop().await;
        assert!(summary.complete);
        passed_on += summary.snapshot.chunks_uploaded;
    }
    let summary = publisher.stop().await;
    assert!(passed_on > 0, "pullers serve each other");
    assert!(summary.snapshot.publisher_copies().unwrap() < 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_puller_that_was_killed_resumes() {
    let tree = Tree::random(2);
    let actor = Actor::knowing(&tree);
    let left = AtomicU32::new(actor.chunk_count() / 2);
    let mut puller = Running::puller(tree.destination("a"), &[actor.address()]).await;
    let meeting = actor.await_node().await;
    // Half of the content can be had of it, and nothing more.
    let proofs = Some(actor.proofs());
    let play = actor.play(meeting, proofs, move |actor, request| {
        let in_time = left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
        if in_time { Reply::Data(actor.chunk(request.chunk), None) } else { Reply::Silence }
    });
    let _play = play.await;
    let half_done = |report: &Report| match report {
        Report::Progress(snapshot) if snapshot.chunks_done > 0 => Some(snapshot.clone()),
        _ => None,
    };
    let before: Snapshot = puller.report("progress", half_done).await;
    puller.kill().await;
    let publisher = Running::publisher(tree.source()).await;
    let mut puller = Running::puller(tree.destination("a"), &[publisher.address]).await;
    let after = puller.complete().await;
    tree.assert_copied_to("a");
    assert!(after.bytes_kept >= before.bytes_done, "{} of {} kept", after.bytes_kept, before.bytes_done);
    assert_eq!(after.received.0, after.bytes_total.0 - after.bytes_kept.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_that_sends_wrong_bytes_is_banned_and_does_no_harm() {
    let tree = Tree::random(3);
    let actor = Actor::knowing(&tree);
    let mut puller = Running::puller(tree.destination("a"), &[actor.address()]).await;
    let meeting = actor.await_node().await;
    let proofs = Some(actor.proofs());
    let play = actor
        .play(meeting, proofs, |actor, request| Reply::Data(vec![0; actor.chunk(request.chunk).len()], None))
        .await;
    assert_eq!(closing_reason(&play.connection).await, Reason::BadChunks);
    let _publisher = Running::publisher_among(tree.source(), &[puller.address]).await;
    let snapshot = puller.complete().await;
    tree.assert_copied_to("a");
    assert!(snapshot.chunks_bad >= 2, "one bad chunk alone bans nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_whose_chunks_nobody_vouches_for_must_show_its_proofs_anew_and_is_not_blamed() {
    let tree = Tree::random(4);
    let actor = Actor::knowing(&tree);
    let mut puller = Running::puller(tree.destination("a"), &[actor.address()]).await;
    let meeting = actor.await_node().await;
    let play = actor.clone().play(meeting, None, |actor, request| Reply::Data(actor.chunk(request.chunk), None)).await;
    assert_eq!(closing_reason(&play.connection).await, Reason::Protocol);
    // The next connection brings the proofs, and everything is well.
    let proofs = Some(actor.proofs());
    let meeting = actor.await_node().await;
    let _play = actor.play(meeting, proofs, |actor, request| Reply::Data(actor.chunk(request.chunk), None)).await;
    let snapshot = puller.complete().await;
    tree.assert_copied_to("a");
    assert_eq!(snapshot.chunks_bad, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_that_never_answers_holds_nobody_up() {
    let tree = Tree::random(5);
    let actor = Actor::knowing(&tree);
    let mut puller = Running::puller(tree.destination("a"), &[actor.address()]).await;
    let meeting = actor.await_node().await;
    let mut play = actor.play(meeting, None, |_, _| Reply::Silence).await;
    play.asked().await;
    let _publisher = Running::publisher_among(tree.source(), &[puller.address]).await;
    puller.complete().await;
    tree.assert_copied_to("a");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_proof_costs_its_sender_the_connection() {
    let tree = Tree::random(6);
    let actor = Actor::knowing(&tree);
    let mut puller = Running::puller(tree.destination("a"), &[actor.address()]).await;
    let meeting = actor.await_node().await;
    let play = actor.play(meeting, None, |actor, request| {
        let mut bytes = actor.proof(request.chunk).as_bytes().to_vec();
        // The last byte of the digest, before the signature.
        let at = bytes.len() - 65;
        bytes[at] ^= 1;
        Reply::Data(actor.chunk(request.chunk), Some(SignedBatch::parse(&bytes).unwrap()))
    });
    assert_eq!(closing_reason(&play.await.connection).await, Reason::Protocol);
    let _publisher = Running::publisher_among(tree.source(), &[puller.address]).await;
    puller.complete().await;
    tree.assert_copied_to("a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_that_talks_nonsense_is_dropped_alone() {
    let tree = Tree::random(7);
    let publisher = Running::publisher(tree.source()).await;
    let actor = Actor::knowing(&tree);
    for nonsense in [vec![0xff; 64], vec![2, 0, 0, 0, 200, 1], vec![1, 0, 0, 0, 2], vec![3, 0, 0, 0, 5, 9, 9]] {
        let mut meeting = actor.meet(publisher.address, actor.hello()).await;
        meeting.send.write_all(&nonsense).await.unwrap();
        assert_eq!(closing_reason(&meeting.connection).await, Reason::Protocol, "{nonsense:?}");
    }
    let mut puller = Running::puller(tree.destination("a"), &[publisher.address]).await;
    puller.complete().await;
    tree.assert_copied_to("a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_another_content_is_told_so() {
    let (tree, other) = (Tree::random(8), Tree::random(9));
    std::fs::write(other.source().join("one more"), "x").unwrap();
    let publisher = Running::publisher(tree.source()).await;
    let actor = Actor::knowing(&other);
    let mut hello = actor.hello();
    hello.wants = Wants::Id(actor.content());
    let connection = actor.connect(publisher.address).await;
    // Said at once, because the end may come before the other side's welcome.
    let mut send = connection.open_uni().await.unwrap();
    frames::write(&mut send, &Message::Hello(hello)).await.unwrap();
    frames::write(&mut send, &Message::Welcome).await.unwrap();
    assert_eq!(closing_reason(&connection).await, Reason::OtherContent);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_does_not_have_is_refused() {
    let (tree, other) = (Tree::random(10), Tree::random(11));
    std::fs::write(other.source().join("one more"), "x").unwrap();
    let publisher = Running::publisher(tree.source()).await;
    let (actor, stranger) = (Actor::knowing(&tree), Actor::knowing(&other));
    let meeting = actor.meet(publisher.address, actor.hello()).await;
    let chunk =
        Request { content: ContentIndex(77), chunk: 0, ranges: Ranges::WHOLE, exact: false, accepts: Accepts::Raw };
    for open in
        [Open::Header { id: stranger.content() }, Open::Page { id: actor.content(), page: 9 }, Open::Chunk(chunk)]
    {
        let (mut send, mut recv) = meeting.connection.open_bi().await.unwrap();
        frames::write(&mut send, &open).await.unwrap();
        let answer = within("answer", frames::read::<Answer>(&mut recv)).await.unwrap();
        assert_eq!(answer, Answer::Rejected { reason: Refusal::NotHeld }, "{open:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_that_does_not_send_the_manifest_that_it_offers_is_left() {
    let tree = Tree::random(12);
    let actor = Actor::knowing(&tree);
    let mut puller = Running::puller(tree.destination("a"), &[actor.address()]).await;
    let meeting = actor.await_node().await;
    let play = actor.play_with_wrong_pages(meeting).await;
    assert_eq!(closing_reason(&play.connection).await, Reason::Protocol);
    let _publisher = Running::publisher_among(tree.source(), &[puller.address]).await;
    puller.complete().await;
    tree.assert_copied_to("a");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_publishers_of_equal_trees_are_one_swarm() {
    let tree = Tree::random(14);
    let first = Running::publisher(tree.source()).await;
    let second = Running::publisher(tree.source()).await;
    let mut puller = Running::puller(tree.destination("a"), &[first.address, second.address]).await;
    let snapshot = puller.complete().await;
    tree.assert_copied_to("a");
    assert_eq!(snapshot.chunks_bad, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swarm_outlives_its_publisher_and_takes_it_back() {
    let tree = Tree::random(15);
    let publisher = Running::publisher(tree.source()).await;
    let mut first = Running::puller(tree.destination("a"), &[publisher.address]).await;
    first.complete().await;
    publisher.stop().await;
    let mut second = Running::puller(tree.destination("b"), &[first.address]).await;
    second.complete().await;
    tree.assert_copied_to("b");
    // It starts again, with another dataset key for the same content.
    let publisher = Running::publisher_among(tree.source(), &[first.address]).await;
    let joined = |report: &Report| matches!(report, Report::Joined { publisher: true, .. }).then_some(());
    first.report("return of the publisher", joined).await;
    let mut third = Running::puller(tree.destination("c"), &[publisher.address, second.address]).await;
    third.complete().await;
    tree.assert_copied_to("c");
    assert!(first.stop().await.complete && second.stop().await.complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_publishers_that_disagree_the_later_one_stops() {
    let tree = Tree::random(16);
    let twin = tree.twin(16);
    let mut first = Running::publisher(tree.source()).await;
    let mut second = Running::publisher_among(twin.source(), &[first.address]).await;
    // Both may have begun within one second; then their keys decide, and not their times.
    let ended = tokio::select! {
        ended = first.end() => ended,
        ended = second.end() => ended,
    };
    assert!(matches!(ended, Err(NodeError::Conflict(_))), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_leaves_ends_what_it_began_and_waits_for_nothing_else() {
    /// Of a quarter of a mebibyte each: far more than a connection buffers, so most have to wait.
    const REQUESTS: usize = 60;
    const CHUNK: u64 = 256 << 10;
    let tree = Tree::random(17);
    let publisher = Running::publisher_with(tree.source(), CHUNK).await;
    // A stream takes hardly anything before it is read.
    let narrow = TransportSettings { stream_receive_window: 4 << 10, ..TransportSettings::default() };
    let actor = Actor::with(&tree, &narrow, CHUNK);
    let mut meeting = actor.meet(publisher.address, actor.hello()).await;
    meeting.tell(&Message::Offers(actor.hello().contents)).await;
    meeting.hear("bitfield", |message| matches!(message, Message::Bitfield { .. }).then_some(())).await;
    let ask = async |open: &Open| {
        let (mut send, recv) = meeting.connection.open_bi().await.unwrap();
        frames::write(&mut send, open).await.unwrap();
        recv
    };
    let mut answers = Vec::new();
    for n in 0..REQUESTS {
        let chunk = u32::try_from(n).unwrap() % actor.chunk_count();
        let (content, ranges, accepts) = (actor::INDEX, Ranges::WHOLE, Accepts::Raw);
        let request = Request { content, chunk, ranges, exact: true, accepts };
        answers.push(ask(&Open::Chunk(request)).await);
    }
    // The last request to be sent is answered at once, so those before it have been heard.
    let mut header = ask(&Open::Header { id: actor.content() }).await;
    within("header", frames::read::<Answer>(&mut header)).await.unwrap();

    let stopping = tokio::spawn(publisher.stop());
    let read = answers.into_iter().map(|mut recv| async move {
        let Ok(Answer::Data { .. }) = frames::read(&mut recv).await else { return false };
        recv.read_to_end(1 << 20).await.expect("whatever was begun is not broken off");
        true
    });
    let answered = within("answers", read.collect::<JoinSet<bool>>().join_all()).await;
    within("end", stopping).await.unwrap();
    let answered = answered.into_iter().filter(|answered| *answered).count();
    assert!((1..REQUESTS).contains(&answered), "{answered} of {REQUESTS} were answered, the rest is for others");
}
