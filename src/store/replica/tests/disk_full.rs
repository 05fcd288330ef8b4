//! A destination without room, and one that cannot be written at all. Both need a file system of their own, which only
//! root can mount; without that right the tests say so and do nothing.

use super::confinement::eprintln_skipped;
use super::*;
use std::process::Command;

/// A mounted file system, unmounted when dropped.
struct Mounted {
    at: PathBuf,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}

fn mount(at: &Path, args: &[&str]) -> Option<Mounted> {
    fs::create_dir_all(at).unwrap();
    let done = Command::new("mount").args(args).arg(at).output().is_ok_and(|out| out.status.success());
    if !done {
        eprintln_skipped("mounting needs root");
    }
    done.then(|| Mounted { at: at.to_path_buf() })
}

#[test]
fn a_content_that_cannot_fit_is_refused_before_anything_is_written() {
    let (_tmp, dst) = destination();
    let Some(_mounted) = mount(&dst, &["-t", "tmpfs", "-o", "size=64k", "none"]) else { return };
    let source = Source::empty();
    source.file("big", &bytes(200_000, 1));
    let error = begin_in("now", &source.publish(), &dst).unwrap_err();
    assert!(matches!(error, StoreError::NoRoom { .. }), "{error}");
    assert!(error.to_string().contains("195.3 KiB are still to be written"), "{error}");
}

#[test]
fn a_disk_that_fills_up_leaves_nothing_wrong_and_a_later_run_completes() {
    let (_tmp, dst) = destination();
    let Some(_mounted) = mount(&dst, &["-t", "tmpfs", "-o", "size=512k", "none"]) else { return };
    let source = Source::empty();
    for i in 0..10 {
        source.file(&format!("{i}"), &bytes(30_000, i));
    }
    let published = source.publish();
    let Begun { replica, .. } = begin(&published, &dst);
    fs::write(dst.join("ballast"), vec![1; 300_000]).unwrap();
    let chunks: Vec<ChunkId> = replica.layout().chunks().collect();
    let full = chunks.into_iter().find_map(|chunk| {
        let written = replica.write_chunk(chunk, &chunk_of(&published, chunk)).err();
        written.or_else(|| replica.commit().err())
    });
    assert!(matches!(full, Some(StoreError::Full { .. })), "{full:?}");
    let had = replica.have().len();
    drop(replica);
    for i in 0..10 {
        if let Ok(found) = fs::read(dst.join(format!("{i}"))) {
            assert!(found == bytes(30_000, i), "{i} is under its final name and wrong");
        }
    }
    fs::remove_file(dst.join("ballast")).unwrap();
    let begun = begin(&published, &dst);
    assert!(had > 0 && begun.have.len() == had, "{} of {had}", begun.have.len());
    fill(&published, &begun.replica);
    begun.replica.finish().unwrap();
    assert_eq!(listing(&dst), listing(source.path()));
}

#[test]
fn a_finished_copy_on_a_read_only_mount_is_served_and_nothing_else() {
    let source = Source::small();
    let published = source.publish();
    let (tmp, dst) = destination();
    drop(replicate(&source, &dst));
    let at = tmp.path().join("mounted");
    let dst_text = dst.to_str().unwrap().to_string();
    let Some(_mounted) = mount(&at, &["-o", "bind,ro", &dst_text]) else { return };
    let opened = Replica::open(&at).unwrap();
    assert!(opened.is_read_only() && opened.warnings().is_empty());
    assert_eq!(opened.stored().unwrap().header, b"header");
    drop(opened);
    let Begun { replica, have, .. } = begin_in("a later boot", &published, &at).unwrap();
    assert!(have.is_full() && replica.is_read_only());
    let mut all = vec![0; usize::try_from(replica.layout().total()).unwrap()];
    replica.read_at(0, &mut all).unwrap();
    let mut expected = vec![0; all.len()];
    published.read_at(0, &mut expected).unwrap();
    assert!(all == expected);
    replica.add_batch(b"news").unwrap();
    replica.finish().unwrap();
    let other = Source::empty();
    other.file("x", b"x");
    let content = NewContent {
        id: [9; 32],
        entries: Arc::clone(other.publish().entries()),
        layout: Layout::new(1, CHUNK).unwrap(),
        header: b"",
        pages: &[],
        allocated: None,
    };
    assert!(matches!(Replica::open(&at).unwrap().begin(content), Err(StoreError::ReadOnly { .. })));
}

#[test]
fn another_file_system_inside_the_destination_is_named_before_anything_is_written() {
    let source = Source::small();
    let (_tmp, dst) = destination();
    let Some(_mounted) = mount(&dst.join("b"), &["-t", "tmpfs", "-o", "size=64k", "none"]) else { return };
    let error = begin_in("now", &source.publish(), &dst).unwrap_err();
    assert!(error.to_string().contains("b\" is the root of another file system"), "{error}");
}

#[test]
fn a_source_that_says_that_it_occupies_little_fills_the_disk_and_harms_nothing() {
    let source = Source::empty();
    source.file("dense", &bytes(1 << 20, 3));
    let published = source.publish();
    let (_tmp, dst) = destination();
    let Some(_mounted) = mount(&dst, &["-t", "tmpfs", "-o", "size=512k", "none"]) else { return };
    let begin = |allocated| {
        Replica::open(&dst).unwrap().begin(NewContent {
            id: [8; 32],
            entries: Arc::clone(published.entries()),
            layout: layout_of(&published),
            header: b"",
            pages: &[],
            allocated,
        })
    };
    assert!(matches!(begin(None), Err(StoreError::NoRoom { .. })));
    let replica = begin(Some(crate::units::Bytes(1))).unwrap().replica;
    let full = layout_of(&published).chunks().find_map(|c| replica.write_chunk(c, &chunk_of(&published, c)).err());
    assert!(matches!(full, Some(StoreError::Full { .. })), "{full:?}");
    assert!(!replica.have().is_full() && !dst.join("dense").exists());
}

#[test]
fn a_finished_copy_opens_and_serves_on_a_full_disk() {
    let source = Source::small();
    let published = source.publish();
    let (_tmp, dst) = destination();
    let Some(_mounted) = mount(&dst, &["-t", "tmpfs", "-o", "size=256k", "none"]) else { return };
    drop(replicate(&source, &dst));
    fs::write(dst.join("ballast"), vec![1; 1 << 20]).unwrap_err();
    let Begun { replica, have, .. } = begin_in("a later boot", &published, &dst).unwrap();
    assert!(have.is_full());
    replica.finish().unwrap();
    replica.read_at(0, &mut [0; 100]).unwrap();
}

#[test]
fn a_read_only_mount_without_a_copy_says_so() {
    let (tmp, empty) = destination();
    fs::create_dir(&empty).unwrap();
    let at = tmp.path().join("mounted");
    let text = empty.to_str().unwrap().to_string();
    let Some(_mounted) = mount(&at, &["-o", "bind,ro", &text]) else { return };
    assert!(matches!(Replica::open(&at), Err(StoreError::ReadOnly { .. })));
}
