use super::image::Reading;
use super::record::file_header;
use super::*;
use crate::store::stamp::Stamp;
use proptest::prelude::*;

const STAMP: Stamp = Stamp { inode: 5, size: 9, mtime: (1, 2), ctime: (3, 4) };

fn opening() -> Vec<Record<'static>> {
    vec![
        Record::Content { id: [7; 32], total: 5000, chunk_size: 1024, pages: 2 },
        Record::Header(b"head"),
        Record::Page(b"one"),
        Record::Page(b""),
    ]
}

fn events() -> Vec<Record<'static>> {
    vec![
        Record::Endorsement(b"who"),
        Record::Chunk(3),
        Record::Batch(b"digests"),
        Record::Chunk(0),
        Record::Final { entry: 2, stamp: STAMP },
        Record::Chunk(2),
        Record::Forgotten(2),
    ]
}

/// The bytes of a journal with these records, and where each record ends.
fn bytes_of<'a>(records: impl IntoIterator<Item = Record<'a>>) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = file_header().to_vec();
    let mut ends = vec![bytes.len()];
    for record in records {
        record.encode(&mut bytes);
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn whole() -> (Vec<u8>, Vec<usize>) {
    bytes_of([Record::Boot(b"now")].into_iter().chain(opening()).chain(events()))
}

fn read_at(boot: &str, bytes: &[u8]) -> Reading {
    read(bytes, &Boot::named(boot)).unwrap()
}

fn indexes(set: &crate::bitfield::Bitfield) -> Vec<u32> {
    set.iter().map(crate::chunk::ChunkId::index).collect()
}

#[test]
fn what_was_appended_is_read_back() {
    let tmp = tempfile::tempdir().unwrap();
    let state = File::open(tmp.path()).unwrap();
    let boot = Boot::named("now");
    let mut journal = Journal::create(&state, &boot, opening()).unwrap();
    journal.append(events()).unwrap();
    let reading = read(open(&state).unwrap().unwrap(), &boot).unwrap();
    assert_eq!((reading.good, reading.len), (journal.len, journal.len));
    let image = reading.image.unwrap();
    assert_eq!(image.content.content_id, [7; 32]);
    assert_eq!((image.content.layout.total(), image.content.layout.chunk_size()), (5000, 1024));
    assert_eq!(image.content.header, b"head");
    assert_eq!(image.content.pages, [b"one".to_vec(), Vec::new()]);
    assert_eq!(image.content.endorsements, [b"who"]);
    assert_eq!(image.content.batches, [b"digests"]);
    assert_eq!(indexes(&image.current), [0, 3]);
    assert_eq!(image.finals.into_iter().collect::<Vec<_>>(), [(2, STAMP)]);
}

#[test]
fn a_journal_cut_at_any_byte_counts_up_to_its_last_whole_record() {
    let (bytes, ends) = whole();
    for cut in 0..bytes.len() {
        let reading = read_at("now", &bytes[..cut]);
        let expected = ends.iter().copied().filter(|end| *end <= cut).max().unwrap_or(0);
        assert_eq!((reading.good, reading.len), (expected as u64, cut as u64), "cut at {cut}");
        // The manifest is complete with the fifth record.
        assert_eq!(reading.image.is_some(), cut >= ends[5], "cut at {cut}");
    }
}

#[test]
fn a_flipped_bit_ends_the_journal_before_its_record() {
    let (bytes, ends) = whole();
    for at in 0..bytes.len() {
        let mut rotten = bytes.clone();
        rotten[at] ^= 1 << (at % 8);
        let expected = ends.iter().copied().filter(|end| *end <= at).max().unwrap_or(0);
        assert_eq!(read_at("now", &rotten).good, expected as u64, "flipped at {at}");
    }
}

#[test]
fn appending_goes_on_where_a_torn_journal_counts() {
    let tmp = tempfile::tempdir().unwrap();
    let state = File::open(tmp.path()).unwrap();
    let (bytes, ends) = whole();
    let boot = Boot::named("now");
    for cut in ends[5]..bytes.len() {
        std::fs::write(tmp.path().join(NAME), &bytes[..cut]).unwrap();
        let torn = read(open(&state).unwrap().unwrap(), &boot).unwrap();
        let mut journal = Journal::resume(&state, torn.good, &boot).unwrap();
        journal.append([Record::Chunk(4)]).unwrap();
        let reading = read(open(&state).unwrap().unwrap(), &boot).unwrap();
        assert_eq!(reading.good, reading.len);
        assert!(indexes(&reading.image.unwrap().current).contains(&4), "cut at {cut}");
    }
}

#[test]
fn chunks_of_an_earlier_boot_are_known_but_not_believed() {
    let (mut bytes, _) = whole();
    let image = read_at("later", &bytes).image.unwrap();
    assert_eq!((indexes(&image.current), indexes(&image.ever)), (vec![], vec![0, 3]));
    for record in [Record::Boot(b"later"), Record::Chunk(1), Record::Boot(b"later"), Record::Chunk(2)] {
        record.encode(&mut bytes);
    }
    let image = read_at("later", &bytes).image.unwrap();
    assert_eq!((indexes(&image.current), indexes(&image.ever)), (vec![1, 2], vec![0, 1, 2, 3]));
    let image = read_at("now", &bytes).image.unwrap();
    assert_eq!(indexes(&image.current), [0u32; 0], "another boot was in between");
}

#[test]
fn a_machine_without_boot_identifier_believes_no_chunk() {
    let (bytes, _) = bytes_of([Record::Boot(b"")].into_iter().chain(opening()).chain(events()));
    assert_eq!(indexes(&read_at("", &bytes).image.unwrap().current), [0u32; 0]);
}

#[test]
fn records_that_make_no_sense_end_the_journal() {
    for nonsense in [Record::Chunk(5), opening()[0], Record::Header(b"again"), Record::Page(b"one too many")] {
        let (bytes, ends) = bytes_of(opening().into_iter().chain([nonsense, Record::Chunk(1)]));
        let reading = read_at("now", &bytes);
        assert_eq!(reading.good, ends[4] as u64, "{nonsense:?}");
        assert!(reading.image.unwrap().ever.is_empty());
    }
}

#[test]
fn a_journal_of_another_version_vouches_for_nothing() {
    let (mut bytes, _) = whole();
    bytes[8] = 2;
    let reading = read_at("now", &bytes);
    assert!(reading.image.is_none());
    assert_eq!((reading.good, reading.len), (0, bytes.len() as u64));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(
        tail in proptest::collection::vec(any::<u8>(), 0..300),
        with_header in any::<bool>(),
    ) {
        let mut bytes = if with_header { file_header().to_vec() } else { Vec::new() };
        bytes.extend(tail);
        let reading = read_at("now", &bytes);
        prop_assert!(reading.good <= reading.len);
        prop_assert_eq!(reading.len, bytes.len() as u64);
    }

    #[test]
    fn no_payload_with_a_right_checksum_makes_the_reader_panic(
        kind in any::<u8>(),
        payload in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let (mut bytes, _) = bytes_of(opening());
        let start = bytes.len();
        bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
        bytes.push(kind);
        bytes.extend_from_slice(&payload);
        let check = xxhash_rust::xxh3::xxh3_64(&bytes[start..]);
        bytes.extend_from_slice(&check.to_le_bytes());
        let reading = read_at("now", &bytes);
        prop_assert!(reading.image.is_some());
    }
}
