//! Chunks that were right and are something else now: in partial files, in final ones, in a copy that was complete.

use super::*;

/// Two sources that differ in one byte of one file, and the chunks in which that shows.
fn sources() -> (Published, Published, tempfile::TempDir, Vec<ChunkId>, [Source; 2]) {
    let [old, new] = [Source::small(), Source::small()];
    let mut data = fs::read(new.path().join("b/big")).unwrap();
    data[2500] ^= 1;
    new.file("b/big", &data);
    let (before, after) = (old.publish(), new.publish());
    let differ = |chunk: &ChunkId| chunk_of(&before, *chunk) != chunk_of(&after, *chunk);
    let chunks: Vec<ChunkId> = layout_of(&before).chunks().filter(differ).collect();
    assert_eq!(chunks.len(), 1);
    (before, after, tempfile::tempdir().unwrap(), chunks, [old, new])
}

fn write(published: &Published, replica: &Replica) {
    let missing: Vec<ChunkId> = replica.have().missing().collect();
    missing.into_iter().for_each(|chunk| replica.write_chunk(chunk, &chunk_of(published, chunk)).unwrap());
}

fn big(dst: &Path) -> Vec<u8> {
    fs::read(dst.join("b/big")).unwrap()
}

#[test]
fn a_revoked_chunk_of_a_complete_copy_is_replaced_with_its_file() {
    let (before, after, dst, chunks, sources) = sources();
    let replica = begin(&before, dst.path()).replica;
    write(&before, &replica);
    replica.finish().unwrap();
    replica.revoke(&chunks);
    assert!(matches!(replica.finish(), Err(StoreError::Incomplete { missing: 1, .. })));
    write(&after, &replica);
    assert_eq!(big(dst.path()), fs::read(sources[0].path().join("b/big")).unwrap(), "half a file was shown");
    replica.finish().unwrap();
    assert_eq!(big(dst.path()), fs::read(sources[1].path().join("b/big")).unwrap());
    let mut read = vec![0; 5000];
    let start = replica.entries().start(replica.entries().as_slice().iter().position(|e| e.size() == 5000).unwrap());
    replica.read_at(start, &mut read).unwrap();
    assert_eq!(read, big(dst.path()), "the file before is still served");
    drop(replica);
    assert!(begin(&after, dst.path()).have.is_full(), "the next run does not know it");
}

#[test]
fn a_revoked_chunk_of_a_partial_file_is_written_again() {
    let (before, after, dst, chunks, sources) = sources();
    let replica = begin(&before, dst.path()).replica;
    replica.write_chunk(chunks[0], &chunk_of(&before, chunks[0])).unwrap();
    replica.revoke(&chunks);
    write(&after, &replica);
    replica.finish().unwrap();
    assert_eq!(big(dst.path()), fs::read(sources[1].path().join("b/big")).unwrap());
}

#[test]
fn a_revoked_chunk_that_is_right_after_all_costs_no_writing() {
    let (before, _, dst, chunks, _sources) = sources();
    let replica = begin(&before, dst.path()).replica;
    write(&before, &replica);
    replica.finish().unwrap();
    let inode = || fs::metadata(dst.path().join("b/big")).unwrap().ino();
    let first = inode();
    replica.revoke(&chunks);
    replica.confirm(chunks[0]).unwrap();
    replica.finish().unwrap();
    assert_eq!(inode(), first);
}
