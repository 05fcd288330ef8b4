//! Chunks that are known to be zeros, over fresh files and over old bytes; files of another length.

use super::*;

/// Bytes on the disk.
fn occupied(path: PathBuf) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

/// Makes every missing chunk that is all zeros so without its bytes, and writes the others.
fn fill_by_zeros(published: &Published, replica: &Replica) -> usize {
    let missing: Vec<ChunkId> = replica.have().missing().collect();
    let is_zero = |chunk: &ChunkId| chunk_of(published, *chunk).iter().all(|byte| *byte == 0);
    let (zeros, data): (Vec<_>, Vec<_>) = missing.into_iter().partition(is_zero);
    replica.write_zeros(&zeros).unwrap();
    data.into_iter().for_each(|chunk| replica.write_chunk(chunk, &chunk_of(published, chunk)).unwrap());
    zeros.len()
}

#[test]
fn a_hole_stays_a_hole() {
    let (source, dst) = (Source::small(), tempfile::tempdir().unwrap());
    let sparse = fs::File::create(source.path().join("sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"an island", 600_001).unwrap();
    let published = source.publish();
    let begun = begin(&published, dst.path());
    assert!(fill_by_zeros(&published, &begun.replica) > 1000);
    begun.replica.finish().unwrap();
    assert_eq!(listing(dst.path()), listing(source.path()));
    assert_eq!(occupied(dst.path().join("sparse")), occupied(source.path().join("sparse")));
    drop(begun);
    assert!(begin(&published, dst.path()).have.is_full(), "the journal does not know of them");
}

#[test]
fn zeros_replace_old_bytes_and_spare_what_is_zero_already() {
    let (source, dst) = (Source::empty(), tempfile::tempdir().unwrap());
    source.file("dirty", &vec![0; 200_000]);
    source.file("clean", &vec![0; 10_000]);
    source.file("short", &vec![0; 20_000]);
    fs::write(dst.path().join("dirty"), vec![7; 200_000]).unwrap();
    fs::write(dst.path().join("clean"), vec![0; 10_000]).unwrap();
    fs::write(dst.path().join("short"), vec![0; 5_000]).unwrap();
    let published = source.publish();
    let replica = begin(&published, dst.path()).replica;
    fill_by_zeros(&published, &replica);
    replica.finish().unwrap();
    assert_eq!(listing(dst.path()), listing(source.path()));
}

#[test]
fn what_lies_at_the_same_place_of_a_file_of_another_length_may_be_right() {
    let (source, dst) = (Source::empty(), tempfile::tempdir().unwrap());
    for (name, new, old) in [("grown", 5000, 3000), ("shrunk", 3000, 5000), ("emptied", 0, 10), ("filled", 10, 0)] {
        source.file(name, &bytes(new, 1));
        fs::write(dst.path().join(name), bytes(old, 1)).unwrap();
    }
    let published = source.publish();
    let begun = begin(&published, dst.path());
    // In path order: 10 bytes of "filled" and 3000 of "grown" of which the latter are there, 2000 more, 3000 of "shrunk".
    let unproven: Vec<u32> = begun.unproven.iter().map(ChunkId::index).collect();
    assert_eq!(unproven, [1, 5, 6, 7]);
    begun.unproven.iter().for_each(|chunk| {
        let mut data = vec![0; usize::try_from(layout_of(&published).len(chunk)).unwrap()];
        begun.replica.read_at(layout_of(&published).range(chunk).start, &mut data).unwrap();
        assert_eq!(data, chunk_of(&published, chunk));
        begun.replica.confirm(chunk).unwrap();
    });
    fill(&published, &begun.replica);
    begun.replica.finish().unwrap();
    assert_eq!(listing(dst.path()), listing(source.path()));
}

#[test]
fn a_file_that_is_only_too_long_gets_its_length_and_stays_whole_until_then() {
    let (source, dst) = (Source::empty(), tempfile::tempdir().unwrap());
    source.file("shrunk", &bytes(3000, 1));
    fs::write(dst.path().join("shrunk"), bytes(5000, 1)).unwrap();
    let published = source.publish();
    let begun = begin(&published, dst.path());
    assert_eq!(begun.unproven.len(), 3);
    begun.unproven.iter().for_each(|chunk| begun.replica.confirm(chunk).unwrap());
    assert_eq!(fs::read(dst.path().join("shrunk")).unwrap(), bytes(5000, 1));
    begun.replica.finish().unwrap();
    assert_eq!(listing(dst.path()), listing(source.path()));
}
