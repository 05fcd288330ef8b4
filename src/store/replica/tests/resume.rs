//! What a run that was killed, a restarted machine and a damaged journal leave to the next run. A drop without `finish`
//! is all that a kill is to the disk: nothing is flushed or tidied up on the way out.

use super::*;

/// Begins, writes the first `count` chunks, commits if so wished, and is killed.
fn killed_after(published: &Published, dst: &Path, count: usize, commit: bool) {
    let Begun { replica, .. } = begin(published, dst);
    let chunks: Vec<ChunkId> = replica.layout().chunks().take(count).collect();
    for chunk in chunks {
        replica.write_chunk(chunk, &chunk_of(published, chunk)).unwrap();
    }
    if commit {
        replica.commit().unwrap();
    }
    replica.add_endorsement(b"endorsement").unwrap();
    replica.add_batch(b"batch").unwrap();
}

fn completes(source: &Source, published: &Published, replica: &Replica, dst: &Path) {
    fill(published, replica);
    replica.finish().unwrap();
    assert_eq!(listing(dst), listing(source.path()));
}

#[test]
fn a_killed_run_goes_on_with_every_chunk_that_it_had() {
    let source = Source::small();
    let published = source.publish();
    for commit in [false, true] {
        let (_tmp, dst) = destination();
        killed_after(&published, &dst, 5, commit);
        let begun = begin(&published, &dst);
        assert_eq!((begun.have.len(), begun.unproven.len()), (5, 0));
        completes(&source, &published, &begun.replica, &dst);
    }
}

#[test]
fn what_the_layers_above_stored_comes_back_byte_by_byte() {
    let source = Source::small();
    let published = source.publish();
    let (_tmp, dst) = destination();
    assert!(Replica::open(&dst).unwrap().stored().is_none());
    killed_after(&published, &dst, 1, false);
    let opened = Replica::open(&dst).unwrap();
    let stored = opened.stored().unwrap();
    assert_eq!((stored.content_id, stored.layout), ([1; 32], layout_of(&published)));
    assert_eq!(stored.header, b"header");
    assert_eq!(stored.pages, [b"page one", b"page two"]);
    assert_eq!(stored.endorsements, [b"endorsement"]);
    assert_eq!(stored.batches, [b"batch"]);
}

#[test]
fn a_finished_copy_opens_again_complete_and_finishes_for_nothing() {
    let source = Source::small();
    let published = source.publish();
    let (_tmp, dst) = destination();
    drop(replicate(&source, &dst));
    let before = fs::metadata(dst.join("b")).unwrap().ctime_nsec();
    for boot in ["now", "after a restart"] {
        let Begun { replica, have, .. } = begin_in(boot, &published, &dst).unwrap();
        assert!(have.is_full(), "{boot}");
        replica.finish().unwrap();
    }
    assert_eq!(fs::metadata(dst.join("b")).unwrap().ctime_nsec(), before, "untouched");
}

#[test]
fn after_a_restart_of_the_machine_only_final_files_count_and_the_rest_is_hashed() {
    let source = Source::small();
    let published = source.publish();
    let (_tmp, dst) = destination();
    killed_after(&published, &dst, 6, true);
    let begun = begin_in("after a restart", &published, &dst).unwrap();
    // The first five chunks lie in files that are complete; the sixth ends in one that is not.
    assert_eq!((begun.have.len(), begun.unproven.len()), (5, 1));
    let again: Vec<ChunkId> = begun.unproven.iter().collect();
    for chunk in again {
        begun.replica.confirm(chunk).unwrap();
    }
    drop(begun);
    let begun = begin_in("after a restart", &published, &dst).unwrap();
    assert_eq!((begun.have.len(), begun.unproven.len()), (6, 0), "what was confirmed counts in this boot");
    completes(&source, &published, &begun.replica, &dst);
}

#[test]
fn a_final_file_that_was_touched_is_hashed_again() {
    let source = Source::small();
    let published = source.publish();
    let (_tmp, dst) = destination();
    drop(replicate(&source, &dst));
    let original = fs::metadata(dst.join("b/big")).unwrap();
    fs::write(dst.join("b/big"), vec![9; 5000]).unwrap();
    fs::File::options()
        .write(true)
        .open(dst.join("b/big"))
        .unwrap()
        .set_modified(original.modified().unwrap())
        .unwrap();
    let begun = begin(&published, &dst);
    let touched = layout_of(&published).covering(&(10..5010)).len();
    assert_eq!(begun.unproven.len() as usize, touched);
    assert!(begun.have.is_full() || begun.have.len() as usize + touched == layout_of(&published).count() as usize);
    completes(&source, &published, &begun.replica, &dst);
}

#[test]
fn a_missing_or_cut_partial_file_is_fetched_again() {
    let source = Source::small();
    let published = source.publish();
    for cut in [false, true] {
        let (_tmp, dst) = destination();
        killed_after(&published, &dst, 3, false);
        let big = published.entries().as_slice().iter().position(|e| e.path.name() == b"big").unwrap();
        let partial = dst.join(".strew/partial").join(big.to_string());
        if cut {
            fs::File::options().write(true).open(&partial).unwrap().set_len(10).unwrap();
        } else {
            fs::remove_file(&partial).unwrap();
        }
        let begun = begin(&published, &dst);
        assert_eq!((begun.have.len(), begun.unproven.len()), (0, 0));
        completes(&source, &published, &begun.replica, &dst);
    }
}

#[test]
fn a_journal_torn_anywhere_never_vouches_for_what_is_not_there() {
    let source = Source::small();
    let published = source.publish();
    let (_tmp, dst) = destination();
    killed_after(&published, &dst, 4, true);
    let journal = fs::read(dst.join(".strew/journal")).unwrap();
    for cut in (0..journal.len()).step_by(13) {
        let (_tmp, copy) = destination();
        copy_tree(&dst, &copy);
        fs::write(copy.join(".strew/journal"), &journal[..cut]).unwrap();
        let begun = begin(&published, &copy);
        for chunk in begun.have.iter() {
            let expected = chunk_of(&published, chunk);
            let mut data = vec![0; expected.len()];
            begun.replica.read_at(begun.replica.layout().range(chunk).start, &mut data).unwrap();
            assert_eq!(data, expected, "cut at {cut}");
        }
        completes(&source, &published, &begun.replica, &copy);
    }
}

#[test]
fn a_journal_that_cannot_be_used_is_a_warning_and_no_more() {
    let source = Source::small();
    let published = source.publish();
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("zero length", |p| fs::write(p, "").unwrap()),
        ("another format", |p| fs::write(p, [b'x'; 5000]).unwrap()),
        ("a newer version", |p| {
            let mut bytes = fs::read(p).unwrap();
            bytes[8] = 9;
            fs::write(p, bytes).unwrap();
        }),
        ("a directory", |p| {
            fs::remove_file(p).unwrap();
            fs::create_dir(p).unwrap();
        }),
    ];
    for (name, damage) in damages {
        let (_tmp, dst) = destination();
        drop(replicate(&source, &dst));
        damage(&dst.join(".strew/journal"));
        let opened = Replica::open(&dst).unwrap();
        assert!(opened.stored().is_none());
        assert!(matches!(opened.warnings(), [Warning::JournalUnusable { .. }]), "{name}: {:?}", opened.warnings());
        drop(opened);
        let begun = begin(&published, &dst);
        assert!(begun.have.is_empty() && begun.unproven.is_full(), "{name}");
        completes(&source, &published, &begun.replica, &dst);
    }
}

#[test]
fn a_torn_journal_is_a_warning() {
    let source = Source::small();
    let published = source.publish();
    let (_tmp, dst) = destination();
    killed_after(&published, &dst, 4, false);
    let path = dst.join(".strew/journal");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    assert!(matches!(Replica::open(&dst).unwrap().warnings(), [Warning::JournalTorn { .. }]));
}

#[test]
fn another_content_starts_anew_and_takes_over_nothing_unproven() {
    let source = Source::small();
    let published = source.publish();
    let (_tmp, dst) = destination();
    killed_after(&published, &dst, 5, false);
    let other = Source::empty();
    other.file("a", &bytes(10, 99));
    other.file("b/big", &bytes(5000, 98));
    let published = other.publish();
    let opened = Replica::open(&dst).unwrap();
    let entries = Arc::clone(published.entries());
    let layout = layout_of(&published);
    let content = NewContent { id: [2; 32], entries, layout, header: b"", pages: &[], allocated: None };
    let begun = opened.begin(content).unwrap();
    assert_eq!((begun.have.len(), begun.unproven.len()), (0, 0));
    assert_eq!(fs::read_dir(dst.join(".strew/partial")).unwrap().count(), 0);
    fill(&published, &begun.replica);
    begun.replica.finish().unwrap();
    assert_eq!(fs::read(dst.join("b/big")).unwrap(), bytes(5000, 98));
}

#[test]
fn a_content_without_bytes_is_complete_when_it_begins() {
    let source = Source::empty();
    source.file("empty", b"");
    fs::create_dir(source.path().join("folder")).unwrap();
    symlink("empty", source.path().join("link")).unwrap();
    let (_tmp, dst) = destination();
    drop(replicate(&source, &dst));
    assert_eq!(listing(&dst), listing(source.path()));
}

#[test]
fn a_file_that_could_not_be_made_durable_is_fetched_again() {
    let source = Source::small();
    let published = source.publish();
    let (_tmp, dst) = destination();
    let begun = begin(&published, &dst);
    fill(&published, &begun.replica);
    // What `commit` does with a group whose sync failed: here a file that shares chunks with others, and an empty one.
    let index = |name: &[u8]| published.entries().as_slice().iter().position(|e| e.path.name() == name).unwrap();
    let group = [index(b"big"), index(b"empty")];
    let group = group.map(|i| u32::try_from(i).unwrap());
    let taken = begun.replica.progress.take_group(published.entries());
    let back: Vec<u32> = taken.into_iter().filter(|i| !group.contains(i)).collect();
    begun.replica.progress.put_back(&back, published.entries());
    begun.replica.progress.lose(&group, published.entries());
    group.into_iter().for_each(|i| begun.replica.files.give_up(i as usize));
    assert_eq!(begun.replica.have().missing().count(), layout_of(&published).covering(&(10..5010)).len());
    begun.replica.commit().unwrap();
    assert!(!dst.join("b/big").exists());
    completes(&source, &published, &begun.replica, &dst);
}

fn copy_tree(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}
