//! What holds for every frame that can be made, and for every run of bytes.

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::Index;

use super::super::limits::{MEMBERS_MAX, OFFERS_MAX, PEERS_MAX, RANGES_MAX, TEXT_LEN_MAX};
use super::*;

fn some_text<const MAX: usize>() -> impl Strategy<Value = Text<MAX>> {
    "\\PC{0,16}".prop_map(|text| Text::lossy(&text))
}

fn some_id() -> impl Strategy<Value = ContentId> {
    any::<[u8; 32]>().prop_map(ContentId)
}

fn some_peer() -> impl Strategy<Value = PeerId> {
    any::<[u8; 16]>().prop_map(PeerId)
}

fn some_index() -> impl Strategy<Value = ContentIndex> {
    any::<u16>().prop_map(ContentIndex)
}

fn some_offers() -> impl Strategy<Value = List<Offer, OFFERS_MAX>> {
    let offer = (some_index(), some_id(), any::<bool>());
    vec(offer.prop_map(|(index, id, complete)| Offer { index, id, complete }), 0..=OFFERS_MAX).prop_map(list)
}

fn some_addr() -> impl Strategy<Value = SocketAddr> {
    (any::<std::net::IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
}

fn some_hello() -> impl Strategy<Value = Message> {
    let wants = prop_oneof![Just(Wants::Nothing), Just(Wants::Any), some_id().prop_map(Wants::Id)];
    let fields = (some_peer(), any::<u16>(), some_text(), any::<bool>(), some_text(), some_offers(), wants);
    fields.prop_map(|(peer, listen_port, zone, publisher, agent, contents, wants)| {
        Message::Hello(Hello { version: VERSION, peer, listen_port, zone, publisher, agent, contents, wants })
    })
}

fn some_peers() -> impl Strategy<Value = Message> {
    let joined = (some_addr(), proptest::option::of(some_peer()), some_text());
    let joined = vec(joined.prop_map(|(addr, peer, zone)| PeerAddr { addr, peer, zone }), 0..=PEERS_MAX);
    (joined, vec(some_addr(), 0..=PEERS_MAX))
        .prop_map(|(joined, left)| Message::Peers(Peers { joined: list(joined), left: list(left) }))
}

fn some_members() -> impl Strategy<Value = Message> {
    let reach = (any::<u64>(), any::<u32>(), any::<bool>());
    let reach = reach.prop_map(|(member, stamp, reaches)| Reach { member, stamp, reaches });
    (some_index(), vec(reach, 0..=MEMBERS_MAX))
        .prop_map(|(content, members)| Message::Members { content, list: list(members) })
}

fn some_batch() -> impl Strategy<Value = SignedBatch> {
    btree_set(0..1u32 << 20, 1..40).prop_map(|indices| batch(&indices.into_iter().collect::<Vec<_>>()))
}

fn some_endorsement() -> impl Strategy<Value = Endorsement> {
    (0..600usize, any::<u64>()).prop_map(|(len, time)| Endorsement { time, ..endorsement(len) })
}

fn some_root() -> impl Strategy<Value = ContentRoot> {
    (some_id(), any::<[u8; 32]>()).prop_map(|(content, root)| ContentRoot::sign(&key(), content, Digest(root)))
}

fn some_message() -> impl Strategy<Value = Message> {
    let bits = vec(any::<u8>(), 0..300).prop_map(|bits| Form::Bits(list(bits)));
    let form = prop_oneof![Just(Form::All), Just(Form::None), bits];
    let chunks = btree_set(0..1u32 << 20, 1..200).prop_map(|set| haves(&set.into_iter().collect::<Vec<_>>()));
    let reason = || any::<u8>().prop_map(Reason::from_code);
    let reject = (proptest::option::of(some_id()), reason(), some_text::<TEXT_LEN_MAX>());
    prop_oneof![
        some_hello(),
        Just(Message::Welcome),
        some_offers().prop_map(Message::Offers),
        (some_index(), form).prop_map(|(content, form)| Message::Bitfield { content, form }),
        (some_index(), chunks).prop_map(|(content, chunks)| Message::Have { content, chunks }),
        (some_index(), vec(some_batch(), 0..4))
            .prop_map(|(content, batches)| Message::Digests { content, batches: list(batches) }),
        (some_index(), vec(some_endorsement(), 0..4))
            .prop_map(|(content, endorsed)| Message::Endorsements { content, list: list(endorsed) }),
        (some_index(), some_root()).prop_map(|(content, root)| Message::Root { content, root }),
        some_peers(),
        some_members(),
        (some_index(), any::<u32>()).prop_map(|(content, chunk)| Message::BadChunk { content, chunk }),
        reject.prop_map(|(content, reason, text)| Message::Reject(Reject { content, reason, text })),
        reason().prop_map(|reason| Message::Bye { reason }),
    ]
}

fn some_ranges() -> impl Strategy<Value = Ranges> {
    (btree_set(0..=128u32 << 20, 0..=2 * RANGES_MAX), any::<bool>()).prop_map(|(cuts, from_end)| {
        let cuts: Vec<u32> = cuts.into_iter().collect();
        let mut parts: Vec<_> = cuts.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect();
        if from_end {
            parts.reverse();
        }
        Ranges::new(&parts).unwrap()
    })
}

fn some_open() -> impl Strategy<Value = Open> {
    let quicker = any::<u32>().prop_map(|delivery| Accepts::Quicker { delivery });
    let accepts = prop_oneof![Just(Accepts::Raw), Just(Accepts::Packed), quicker];
    let request = (some_index(), any::<u32>(), some_ranges(), any::<bool>(), accepts);
    prop_oneof![
        request.prop_map(|(content, chunk, ranges, exact, accepts)| {
            let exact = exact || !ranges.is_whole();
            let accepts = if ranges.is_whole() { accepts } else { Accepts::Raw };
            Open::Chunk(Request { content, chunk, ranges, exact, accepts })
        }),
        some_id().prop_map(|id| Open::Header { id }),
        (some_id(), any::<u32>()).prop_map(|(id, page)| Open::Page { id, page }),
    ]
}

fn some_answer() -> impl Strategy<Value = Answer> {
    let bytes = prop_oneof![Just(Encoding::Raw), Just(Encoding::Zstd)];
    let shape = prop_oneof![Just((Encoding::Zero, 0)), (bytes, 1..=128u32 << 20)];
    let data = (any::<u32>(), some_ranges(), shape);
    let refusal = prop_oneof![Just(Refusal::NotHeld), Just(Refusal::Busy), Just(Refusal::Failed)];
    prop_oneof![
        data.prop_map(|(chunk, ranges, (encoding, length))| Answer::Data { chunk, ranges, encoding, length }),
        (0..=1u32 << 20).prop_map(|length| Answer::Manifest { length }),
        refusal.prop_map(|reason| Answer::Rejected { reason }),
    ]
}

proptest! {
    #[test]
    fn every_message_reads_as_it_was_written(message in some_message()) {
        prop_assert_eq!(decode::<Message>(&encode(&message)), Ok(message));
    }

    #[test]
    fn every_request_reads_as_it_was_written(open in some_open()) {
        prop_assert_eq!(decode::<Open>(&encode(&open)), Ok(open));
    }

    #[test]
    fn every_answer_reads_as_it_was_written(answer in some_answer()) {
        prop_assert_eq!(decode::<Answer>(&encode(&answer)), Ok(answer));
    }

    #[test]
    fn every_trailer_reads_as_it_was_written(proof in proptest::option::of(some_batch()), waiting in any::<u32>()) {
        let trailer = Trailer { proof, waiting };
        prop_assert_eq!(decode::<Trailer>(&encode(&trailer)), Ok(trailer));
    }

    #[test]
    fn a_stream_reads_the_same_however_it_is_cut(
        messages in vec(some_message(), 1..8),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(encode).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut reader = FrameReader::<Message>::new();
        let mut read = Vec::new();
        for part in cuts.windows(2) {
            reader.feed(&stream[part[0]..part[1]]);
            while let Some(message) = reader.poll().unwrap() {
                read.push(message);
            }
        }
        prop_assert!(reader.is_between_frames());
        prop_assert_eq!(read, messages);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..300), kind in 0..100u8) {
        let mut framed = u32::try_from(bytes.len() + 1).unwrap().to_le_bytes().to_vec();
        framed.push(kind);
        framed.extend_from_slice(&bytes);
        for bytes in [&bytes, &framed] {
            let _ = (decode::<Message>(bytes), decode::<Open>(bytes), decode::<Answer>(bytes), decode::<Trailer>(bytes));
            let mut reader = FrameReader::<Message>::new();
            reader.feed(bytes);
            while let Ok(Some(_)) = reader.poll() {}
        }
    }

    #[test]
    fn a_message_with_a_byte_changed_is_refused_or_another_that_can_be_written(
        message in some_message(),
        at in any::<Index>(),
        to in any::<u8>(),
    ) {
        let mut bytes = encode(&message);
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(other) = decode::<Message>(&bytes) {
            prop_assert_eq!(decode::<Message>(&encode(&other)), Ok(other));
        }
    }

    #[test]
    fn haves_of_any_size_are_split_and_read_back(indices in btree_set(0..1u32 << 20, 0..300), run in 0..40_000u32) {
        let all: std::collections::BTreeSet<u32> = indices.into_iter().chain(0..run).collect();
        let all: Vec<u32> = all.into_iter().collect();
        let parts: Vec<Haves> = Haves::split(&chunk_ids(&all)).collect();
        let read: Vec<u32> = parts
            .iter()
            .flat_map(|part| Haves::parse(&part.to_bytes()).unwrap().indices().to_vec())
            .collect();
        prop_assert_eq!(read, all);
    }
}
