//! One sample of every frame, for the tests that say what all frames have in common.

mod golden;
mod hostile;
mod property;

use std::net::SocketAddr;

use super::limits::{AGENT_LEN_MAX, ZONE_LEN_MAX};
use super::*;
use crate::chunk::{ChunkId, Layout};
use crate::manifest::{ContentId, ContentRoot, DatasetKey, DatasetKeyId, Digest, Endorsement, SignedBatch};

fn layout() -> Layout {
    Layout::new(1 << 30, 1 << 10).unwrap()
}

fn chunk_ids(indices: &[u32]) -> Vec<ChunkId> {
    indices.iter().map(|index| layout().chunk(*index).unwrap()).collect()
}

fn haves(indices: &[u32]) -> Haves {
    Haves::split(&chunk_ids(indices)).next().unwrap()
}

fn list<T, const MAX: usize>(items: Vec<T>) -> List<T, MAX> {
    items.try_into().ok().unwrap()
}

fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text.into()).unwrap()
}

fn id(byte: u8) -> ContentId {
    ContentId([byte; 32])
}

fn key() -> DatasetKey {
    DatasetKey::from_seed(&[1; 32])
}

fn batch(indices: &[u32]) -> SignedBatch {
    let entries: Vec<_> = chunk_ids(indices).into_iter().map(|chunk| (chunk, Digest([7; 32]))).collect();
    SignedBatch::sign(&key(), id(2), &entries)
}

fn endorsement(certificate: usize) -> Endorsement {
    let (content, key, chain) = (id(2), DatasetKeyId([3; 32]), vec![vec![4; certificate]]);
    Endorsement { content, key, time: 1, scheme: 0x0807, signature: vec![5; 3], chain }
}

fn hello() -> Hello {
    Hello {
        version: VERSION,
        peer: PeerId([0xaa; 16]),
        listen_port: 10_090,
        zone: text::<ZONE_LEN_MAX>("eu"),
        publisher: true,
        agent: text::<AGENT_LEN_MAX>("strew 0.1.0"),
        contents: list(vec![Offer { index: ContentIndex(0), id: id(1), complete: true }]),
        wants: Wants::Id(id(2)),
    }
}

/// Every control message, and every shape of those that have several.
fn messages() -> Vec<Message> {
    let content = ContentIndex(3);
    let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
    let near = PeerAddr { addr: addr("10.0.0.1:10090"), peer: Some(PeerId([0xbb; 16])), zone: text("eu") };
    let far = PeerAddr { addr: addr("[2001:db8::1]:9"), peer: None, zone: text("") };
    vec![
        Message::Hello(hello()),
        Message::Welcome,
        Message::Offers(list(vec![Offer { index: ContentIndex(1), id: id(1), complete: false }])),
        Message::Bitfield { content, form: Form::All },
        Message::Bitfield { content, form: Form::None },
        Message::Bitfield { content, form: Form::Bits(list(vec![0b101, 1])) },
        Message::Have { content, chunks: haves(&[0, 1, 2, 200, 100_000]) },
        Message::Digests { content, batches: list(vec![batch(&[5])]) },
        Message::Endorsements { content, list: list(vec![endorsement(2)]) },
        Message::Root { content, root: ContentRoot::sign(&key(), id(2), Digest([7; 32])) },
        Message::Peers(Peers { joined: list(vec![near, far]), left: list(vec![addr("10.0.0.2:1")]) }),
        Message::Members { content, list: list(vec![Reach { member: 1 << 60, stamp: 2, reaches: true }]) },
        Message::BadChunk { content, chunk: 70_000 },
        Message::Reject(Reject { content: Some(id(1)), reason: Reason::OtherContent, text: text("no") }),
        Message::Reject(Reject { content: None, reason: Reason::TooMany, text: text("") }),
        Message::Bye { reason: Reason::Complete },
    ]
}

fn opens() -> Vec<Open> {
    let request =
        |ranges: Ranges, exact, accepts| Request { content: ContentIndex(0), chunk: 300, ranges, exact, accepts };
    vec![
        Open::Chunk(request(Ranges::WHOLE, false, Accepts::Raw)),
        Open::Chunk(request(Ranges::new(&[0..10, 10..70_000]).unwrap(), true, Accepts::Raw)),
        Open::Chunk(request(Ranges::WHOLE, false, Accepts::Packed)),
        Open::Chunk(request(Ranges::WHOLE, true, Accepts::Quicker { delivery: 7000 })),
        Open::Header { id: id(1) },
        Open::Page { id: id(1), page: 2 },
    ]
}

fn answers() -> Vec<Answer> {
    let ranges = Ranges::new(std::slice::from_ref(&(5..9))).unwrap();
    vec![
        Answer::Data { chunk: 1, ranges: Ranges::WHOLE, encoding: Encoding::Raw, length: 1 << 20 },
        Answer::Data { chunk: 1, ranges: Ranges::WHOLE, encoding: Encoding::Zero, length: 0 },
        Answer::Data { chunk: 1, ranges: Ranges::WHOLE, encoding: Encoding::Zstd, length: 99 },
        Answer::Data { chunk: 1, ranges, encoding: Encoding::Raw, length: 4 },
        Answer::Manifest { length: 1 << 20 },
        Answer::Rejected { reason: Refusal::NotHeld },
        Answer::Rejected { reason: Refusal::Busy },
        Answer::Rejected { reason: Refusal::Failed },
    ]
}

fn trailers() -> Vec<Trailer> {
    vec![Trailer { proof: None, waiting: 0 }, Trailer { proof: Some(batch(&[5])), waiting: 300 }]
}
