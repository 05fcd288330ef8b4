//! What becomes of things that lie in a destination before the first run.

use super::*;

#[test]
fn what_is_in_the_way_is_named_before_anything_is_written() {
    type Plant = fn(&Path);
    let plants: [(&str, Plant); 5] = [
        ("a", |p| fs::create_dir(p).unwrap()),
        ("b", |p| fs::write(p, "x").unwrap()),
        ("b", |p| symlink("/tmp", p).unwrap()),
        ("link", |p| fs::create_dir(p).unwrap()),
        ("t", |p| drop(std::os::unix::net::UnixListener::bind(p).unwrap())),
    ];
    let source = Source::small();
    let published = source.publish();
    for (name, plant) in plants {
        let (_tmp, dst) = destination();
        fs::create_dir(&dst).unwrap();
        plant(&dst.join(name));
        let error = begin_in("now", &published, &dst).unwrap_err();
        assert!(matches!(&error, StoreError::InTheWay { path, .. } if path.ends_with(name)), "{name}: {error}");
        let names: Vec<_> = fs::read_dir(&dst).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }
}

#[test]
fn no_name_appears_and_no_folder_is_opened_before_the_first_commit() {
    let source = Source::small();
    let published = source.publish();
    let (_tmp, dst) = destination();
    fs::create_dir_all(dst.join("b")).unwrap();
    fs::set_permissions(dst.join("b"), fs::Permissions::from_mode(0o500)).unwrap();
    let Begun { replica, .. } = begin(&published, &dst);
    fill(&published, &replica);
    let names = |path: &Path| fs::read_dir(path).unwrap().count();
    assert_eq!((names(&dst), names(&dst.join("b"))), (2, 0), "something else than .strew and b is there");
    assert_eq!(fs::metadata(dst.join("b")).unwrap().mode() & 0o777, 0o500);
    replica.finish().unwrap();
    assert_eq!(listing(&dst), listing(source.path()));
}

#[test]
fn files_that_lie_there_already_are_unproven_and_kept_when_confirmed() {
    let source = Source::small();
    let published = source.publish();
    let (_tmp, dst) = destination();
    fs::create_dir_all(dst.join("b/c")).unwrap();
    for name in ["a", "b/big", "b/c/exact", "b/c/z", "t"] {
        fs::copy(source.path().join(name), dst.join(name)).unwrap();
    }
    let inode = fs::metadata(dst.join("b/big")).unwrap().ino();
    let Begun { replica, have, unproven } = begin(&published, &dst);
    assert!(have.is_empty() && unproven.is_full());
    for chunk in unproven.iter() {
        let expected = chunk_of(&published, chunk);
        let mut data = vec![0; expected.len()];
        replica.read_at(replica.layout().range(chunk).start, &mut data).unwrap();
        assert_eq!(data, expected);
        replica.confirm(chunk).unwrap();
    }
    replica.finish().unwrap();
    assert_eq!(listing(&dst), listing(source.path()));
    assert_eq!(fs::metadata(dst.join("b/big")).unwrap().ino(), inode, "not written again");
}

#[test]
fn a_file_that_differs_is_replaced_whole_and_never_written_in_place() {
    let source = Source::small();
    let published = source.publish();
    let (_tmp, dst) = destination();
    fs::create_dir_all(dst.join("b")).unwrap();
    let mut old = fs::read(source.path().join("b/big")).unwrap();
    old[2000] ^= 1;
    fs::write(dst.join("b/big"), &old).unwrap();
    fs::write(dst.join("a"), "shorter").unwrap();
    fs::write(dst.join("own"), "not of the content").unwrap();
    let reader = fs::File::open(dst.join("b/big")).unwrap();
    let Begun { replica, unproven, .. } = begin(&published, &dst);
    let good: Vec<ChunkId> = unproven.iter().filter(|c| !layout_of(&published).range(*c).contains(&2010)).collect();
    assert!(!good.is_empty());
    good.into_iter().for_each(|chunk| replica.confirm(chunk).unwrap());
    let missing: Vec<ChunkId> = replica.have().missing().collect();
    for chunk in missing {
        assert!(fs::read(dst.join("b/big")).unwrap() == old, "the old file stays until the new one is complete");
        replica.write_chunk(chunk, &chunk_of(&published, chunk)).unwrap();
    }
    replica.finish().unwrap();
    let mut seen = vec![0; old.len()];
    crate::store::disk::read_exact_at(&reader, 0, &mut seen).unwrap();
    assert!(seen == old, "whoever had it open still reads the old file");
    fs::remove_file(dst.join("own")).unwrap();
    fs::remove_dir_all(dst.join(".strew")).unwrap();
    assert_eq!(listing(&dst), listing(source.path()));
}
