//! Small measurements of what happens for every chunk: sets, decisions, frames, digests, packing, and the store.
//!
//! ```text
//! cargo bench --bench micro                 all of them
//! cargo bench --bench micro -- digest       those with this in their name
//! ```
//!
//! They tell which part of a slow transfer has become slow; whether a transfer is slow is for the network bench (docs/benchmarks.md).
//!
//! Invariant: what is prepared for a measurement is outside of it.
//!
//! Not here: sockets and tasks, whose cost depends on how they meet.

use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use strew::bitfield::Bitfield;
use strew::chunk::{ChunkId, Layout};
use strew::manifest::{ContentId, DatasetKey, Digest, DigestKind, SignedBatch};
use strew::store::{NewContent, Published, Replica, SymlinkPolicy, scan};
use strew::swarm::{Config, Input, Output, Profile, SourceId, Swarm};
use strew::units::Time;
use strew::wire::{ContentIndex, Haves, List, Message, PackLevel, decode, encode, pack, unpack};

fn main() {
    divan::main();
}

/// A content of 1 GiB in chunks of 256 KiB, as they are chosen for it.
fn layout() -> Layout {
    Layout::new(1 << 30, 256 << 10).expect("4096 chunks are allowed")
}

/// Every third chunk.
fn third(layout: Layout) -> Bitfield {
    let mut set = Bitfield::none(layout);
    layout.chunks().step_by(3).for_each(|chunk| _ = set.insert(chunk));
    set
}

#[divan::bench]
fn bitfield_iter(bencher: Bencher<'_, '_>) {
    let set = third(layout());
    bencher.counter(ItemsCount::new(set.len())).bench(|| set.iter().map(ChunkId::index).fold(0, u32::wrapping_add));
}

#[divan::bench]
fn bitfield_bytes(bencher: Bencher<'_, '_>) {
    let (layout, bytes) = (layout(), third(layout()).to_bytes());
    bencher.counter(BytesCount::new(bytes.len())).bench(|| Bitfield::from_bytes(layout, &bytes));
}

/// A leecher among ten seeders picks, gets and counts a chunk, with everything that the swarm decides on the way.
#[divan::bench]
fn swarm_chunk(bencher: Bencher<'_, '_>) {
    let layout = layout();
    bencher.counter(ItemsCount::new(layout.count())).bench_local(|| {
        let mut swarm = Swarm::new(layout, Bitfield::none(layout), Config::default(), 1);
        let mut now = Time::ZERO;
        for source in (0..10).map(SourceId) {
            swarm.handle(now, Input::Joined { source, profile: Profile::default() });
            swarm.handle(now, Input::Holds { source, chunks: Bitfield::all(layout) });
        }
        while let Some(output) = swarm.poll() {
            if let Output::Fetch { source, chunk, .. } = output {
                now = now + Duration::from_millis(1);
                swarm.handle(now, Input::Arriving { source, asked: chunk, chunk });
                swarm.handle(now, Input::Fetched { source, asked: chunk, chunk, waiting: 0 });
                swarm.handle(now, Input::Verified { source, chunk });
            }
        }
        swarm.is_complete()
    });
}

/// What a neighbour hears of one chunk: its proof and the have.
fn news() -> [Message; 2] {
    let chunk = layout().chunk(7).expect("there are more");
    let batch = SignedBatch::sign(&DatasetKey::from_seed(&[1; 32]), ContentId([2; 32]), &[(chunk, Digest([3; 32]))]);
    let batches = List::split([batch]).next().expect("one batch fits");
    let chunks = Haves::split(&[chunk]).next().expect("one chunk fits");
    [Message::Digests { content: ContentIndex(0), batches }, Message::Have { content: ContentIndex(0), chunks }]
}

#[divan::bench(args = [0, 1])]
fn codec_encode(bencher: Bencher<'_, '_>, which: usize) {
    let message = &news()[which];
    bencher.bench(|| encode(message));
}

#[divan::bench(args = [0, 1])]
fn codec_decode(bencher: Bencher<'_, '_>, which: usize) {
    let bytes = encode(&news()[which]);
    bencher.counter(BytesCount::new(bytes.len())).bench(|| decode::<Message>(&bytes));
}

#[divan::bench(args = [16 << 10, 256 << 10, 4 << 20])]
fn digest_blake3(bencher: Bencher<'_, '_>, len: usize) {
    let data = vec![0x5a; len];
    bencher.counter(BytesCount::new(len)).bench(|| DigestKind::Blake3.digest(&data));
}

#[divan::bench(args = [16 << 10, 256 << 10, 4 << 20])]
fn digest_xxh3(bencher: Bencher<'_, '_>, len: usize) {
    let data = vec![0x5a; len];
    bencher.counter(BytesCount::new(len)).bench(|| DigestKind::Xxh3.digest(&data));
}

/// A chunk of text: this file again and again, with its number in front of each copy.
fn text() -> Vec<u8> {
    let mut text = Vec::new();
    for copy in 0.. {
        text.extend_from_slice(format!("{copy}\n{}", include_str!("micro.rs")).as_bytes());
        if text.len() >= 256 << 10 {
            text.truncate(256 << 10);
            return text;
        }
    }
    unreachable!("a file is not empty")
}

#[divan::bench(args = [1, 3, 9])]
fn packing_pack(bencher: Bencher<'_, '_>, level: u8) {
    let (data, level) = (text(), PackLevel::new(level).expect("a level"));
    bencher.counter(BytesCount::new(data.len())).bench(|| pack(&data, level));
}

#[divan::bench]
fn packing_unpack(bencher: Bencher<'_, '_>) {
    let data = text();
    let frame = pack(&data, PackLevel::default()).expect("text packs");
    bencher.counter(BytesCount::new(data.len())).bench(|| unpack(&frame, data.len()));
}

/// Bytes of the source that the store is measured with.
const SOURCE: usize = 64 << 20;

/// A source of one file, or of many small ones.
fn source(files: usize) -> (tempfile::TempDir, Published, Layout) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let data = vec![0x5a; SOURCE / files];
    for file in 0..files {
        std::fs::write(folder.path().join(file.to_string()), &data).expect("there is room for a small source");
    }
    let published = Published::new(scan(folder.path(), SymlinkPolicy::Keep).expect("the source can be walked"));
    let layout = Layout::new(published.entries().total(), 256 << 10).expect("256 chunks are allowed");
    (folder, published, layout)
}

#[divan::bench(args = [1, 4096])]
fn store_read(bencher: Bencher<'_, '_>, files: usize) {
    let (_folder, published, layout) = source(files);
    let mut data = vec![0; 256 << 10];
    bencher
        .counter(BytesCount::new(SOURCE))
        .bench_local(|| layout.chunks().try_for_each(|chunk| published.read_at(layout.range(chunk).start, &mut data)));
}

/// From nothing to a finished copy: partial files, journal, renames, syncs.
#[divan::bench(args = [1, 4096], sample_count = 10)]
fn store_write(bencher: Bencher<'_, '_>, files: usize) {
    let (_folder, published, layout) = source(files);
    let data = vec![0x5a; 256 << 10];
    let destination = || tempfile::tempdir().expect("a folder can be made");
    bencher.counter(BytesCount::new(SOURCE)).with_inputs(destination).bench_local_values(|folder| {
        let new = NewContent {
            id: [1; 32],
            entries: Arc::clone(published.entries()),
            layout,
            header: b"header",
            pages: &[],
            allocated: None,
        };
        let opened = Replica::open(&folder.path().join("copy")).expect("it is empty");
        let replica = opened.begin(new).expect("there is room for a small copy").replica;
        for chunk in layout.chunks() {
            replica.write_chunk(chunk, &data).expect("there is room for a small copy");
        }
        replica.finish().expect("everything is there");
        folder
    });
}
