//! What becomes of a copy in which a chunk turned out to be wrong.

use std::time::SystemTime;

use super::*;
use crate::store::journal::Record;

/// Changes a byte of a file as a disk does that rots: no time and no size tells of it.
fn rot(path: &Path, at: usize) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let mut data = fs::read(path).unwrap();
    data[at] ^= 1;
    fs::write(path, data).unwrap();
    set_modified(path, modified);
}

fn set_modified(path: &Path, time: SystemTime) {
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// A finished copy of a small tree, of whose second chunk a byte is wrong on the disk; and that chunk.
fn rotten(source: &Source, dst: &Path) -> (Replica, ChunkId) {
    let replica = replicate(source, dst);
    // The first chunk has all of `a` and the beginning of `b/big`.
    rot(&dst.join("b/big"), 1500);
    let chunk = replica.layout().chunk(1).unwrap();
    (replica, chunk)
}

#[test]
fn a_wrong_chunk_is_written_anew_and_the_copy_is_whole_again() {
    let source = Source::small();
    fs::set_permissions(source.path().join("b/big"), fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(source.path().join("b"), fs::Permissions::from_mode(0o555)).unwrap();
    let published = source.publish();
    let (_tmp, dst) = destination();
    let (replica, chunk) = rotten(&source, &dst);
    replica.forget(chunk).unwrap();
    assert_eq!(replica.have().missing().collect::<Vec<_>>(), [chunk]);
    assert!(!dst.join("b/big").exists(), "nothing wrong is under a final name");
    assert!(dst.join("b/c/z").exists() && dst.join("a").exists());
    let mut data = vec![0; 1024];
    replica.read_at(2048, &mut data).unwrap();
    assert_eq!(data, chunk_of(&published, replica.layout().chunk(2).unwrap()), "the rest of the file serves on");
    assert!(matches!(replica.finish(), Err(StoreError::Incomplete { missing: 1, .. })));
    fill(&published, &replica);
    replica.finish().unwrap();
    assert_eq!(listing(&dst), listing(source.path()));
    for root in [source.path(), &dst] {
        fs::set_permissions(root.join("b"), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_chunk_of_several_files_takes_all_of_them_back() {
    let source = Source::small();
    let (_tmp, dst) = destination();
    let replica = replicate(&source, &dst);
    replica.forget(replica.layout().chunk(0).unwrap()).unwrap();
    assert!(!dst.join("a").exists() && !dst.join("b/big").exists() && dst.join("b/c/z").exists());
    fill(&source.publish(), &replica);
    replica.finish().unwrap();
    assert_eq!(listing(&dst), listing(source.path()));
}

#[test]
fn a_run_that_is_killed_before_it_mended_a_chunk_leaves_the_mending_to_the_next() {
    let source = Source::small();
    let published = source.publish();
    for boot in ["now", "later"] {
        let (_tmp, dst) = destination();
        let (replica, chunk) = rotten(&source, &dst);
        replica.forget(chunk).unwrap();
        drop(replica);
        let begun = begin_in(boot, &published, &dst).unwrap();
        assert!(!begun.have.contains(chunk) && !begun.unproven.contains(chunk), "what is wrong is not looked at again");
        fill(&published, &begun.replica);
        begun.replica.finish().unwrap();
        assert_eq!(listing(&dst), listing(source.path()));
    }
}

#[test]
fn a_complete_file_that_waits_for_its_name_waits_for_a_lost_chunk_too() {
    let source = Source::small();
    let published = source.publish();
    let (_tmp, dst) = destination();
    let Begun { replica, .. } = begin(&published, &dst);
    fill(&published, &replica);
    replica.forget(replica.layout().chunk(1).unwrap()).unwrap();
    replica.commit().unwrap();
    assert!(!dst.join("b/big").exists() && dst.join("t").exists());
    fill(&published, &replica);
    replica.finish().unwrap();
    assert_eq!(listing(&dst), listing(source.path()));
}

#[test]
fn what_was_found_wrong_before_a_kill_does_not_count_where_it_still_lies() {
    let source = Source::small();
    let (_tmp, dst) = destination();
    let (replica, chunk) = rotten(&source, &dst);
    // Killed when the journal says so, and no file has been taken back.
    replica.record([Record::Forgotten(chunk.index())]).unwrap();
    drop(replica);
    let published = source.publish();
    let begun = begin(&published, &dst);
    assert!(!begun.have.contains(chunk), "wrong bytes count as held");
    assert!(begun.unproven.contains(chunk), "they are to be compared with the digest");
    fill(&published, &begun.replica);
    begun.replica.finish().unwrap();
    assert_eq!(listing(&dst), listing(source.path()));
}
