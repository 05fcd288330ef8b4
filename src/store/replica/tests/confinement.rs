//! Symlinks planted in a destination lead nowhere, whichever way paths are resolved.

use super::*;

/// Begins a copy with links planted at some moment, carries on as far as it goes, and returns the first error.
fn attempt(source: &Source, dst: &Path, resolution: Resolution, plant: impl Fn(&Path)) -> Result<(), StoreError> {
    let published = source.publish();
    let options = OpenOptions { resolution: Some(resolution), boot: None };
    let Begun { replica, .. } = begin_with(options, &published, dst)?;
    plant(dst);
    let chunks: Vec<ChunkId> = replica.layout().chunks().collect();
    for chunk in chunks {
        replica.write_chunk(chunk, &chunk_of(&published, chunk))?;
    }
    replica.finish()
}

/// A destination beside a folder that must stay as it is.
fn beside_outside() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let (tmp, dst) = destination();
    let outside = tmp.path().join("outside");
    fs::create_dir_all(outside.join("c")).unwrap();
    fs::write(outside.join("big"), "precious").unwrap();
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o705)).unwrap();
    (tmp, dst, outside)
}

fn is_untouched(outside: &Path) -> bool {
    let names = fs::read_dir(outside).unwrap().count() + fs::read_dir(outside.join("c")).unwrap().count();
    let mode = fs::metadata(outside).unwrap().mode() & 0o777;
    fs::read_to_string(outside.join("big")).unwrap() == "precious" && names == 2 && mode == 0o705
}

const BOTH: [Resolution; 2] = [Resolution::Kernel, Resolution::Walk];

#[test]
fn a_link_at_a_leaf_is_replaced_and_not_followed() {
    for resolution in BOTH {
        let source = Source::small();
        let (_tmp, dst, outside) = beside_outside();
        let plant = |dst: &Path| {
            fs::create_dir_all(dst.join("b")).unwrap();
            for name in ["a", "b/big", "link", "empty"] {
                symlink(outside.join("big"), dst.join(name)).unwrap();
            }
        };
        fs::create_dir_all(&dst).unwrap();
        plant(&dst);
        attempt(&source, &dst, resolution, |_| {}).unwrap();
        assert!(is_untouched(&outside), "planted before, {resolution:?}");
        assert_eq!(listing(&dst), listing(source.path()));
        fs::remove_dir_all(&dst).unwrap();
        attempt(&source, &dst, resolution, plant).unwrap();
        assert!(is_untouched(&outside), "planted during, {resolution:?}");
        assert_eq!(listing(&dst), listing(source.path()));
    }
}

#[test]
fn a_link_in_place_of_a_folder_is_refused_before_and_during_the_run() {
    for resolution in BOTH {
        let source = Source::small();
        let (_tmp, dst, outside) = beside_outside();
        fs::create_dir(&dst).unwrap();
        symlink(&outside, dst.join("b")).unwrap();
        let before = attempt(&source, &dst, resolution, |_| {}).unwrap_err();
        assert!(matches!(before, StoreError::InTheWay { .. }), "{before}");
        assert!(is_untouched(&outside), "planted before, {resolution:?}");
        fs::remove_dir_all(&dst).unwrap();
        let during = attempt(&source, &dst, resolution, |dst| {
            symlink(&outside, dst.join("b")).unwrap();
        });
        assert_eq!(during.unwrap_err().kind(), ErrorKind::LocalIo);
        assert!(is_untouched(&outside), "planted during, {resolution:?}");
    }
}

#[test]
fn a_link_in_place_of_strew_s_own_folders_is_refused() {
    for resolution in BOTH {
        for (name, parent) in [(".strew", ""), (".strew/partial", ".strew")] {
            let source = Source::small();
            let (_tmp, dst, outside) = beside_outside();
            fs::create_dir_all(dst.join(parent)).unwrap();
            symlink(&outside, dst.join(name)).unwrap();
            let error = attempt(&source, &dst, resolution, |_| {}).unwrap_err();
            assert!(matches!(error, StoreError::StateDir { .. }), "{name}: {error}");
            assert!(is_untouched(&outside), "{name} {resolution:?}");
        }
    }
}

#[test]
fn a_link_in_place_of_the_journal_the_lock_or_a_partial_file_is_not_followed() {
    for name in [".strew/journal", ".strew/journal.new", ".strew/lock", ".strew/partial/0"] {
        let source = Source::small();
        let (_tmp, dst, outside) = beside_outside();
        fs::create_dir_all(dst.join(".strew/partial")).unwrap();
        symlink(outside.join("big"), dst.join(name)).unwrap();
        // Whether it is refused or removed does not matter; what it leads to does.
        let _ = attempt(&source, &dst, Resolution::Kernel, |_| {});
        assert!(is_untouched(&outside), "{name}");
    }
}

#[test]
fn its_own_folder_is_closed_to_other_users() {
    let (_tmp, dst) = destination();
    fs::create_dir_all(dst.join(".strew")).unwrap();
    fs::set_permissions(dst.join(".strew"), fs::Permissions::from_mode(0o777)).unwrap();
    drop(replicate(&Source::small(), &dst));
    assert_eq!(fs::metadata(dst.join(".strew")).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_folder_of_another_user_is_not_believed() {
    if !rustix::process::geteuid().is_root() {
        eprintln_skipped("needs root to give a folder away");
        return;
    }
    let (_tmp, dst) = destination();
    drop(replicate(&Source::small(), &dst));
    std::os::unix::fs::chown(dst.join(".strew"), Some(12345), None).unwrap();
    assert!(matches!(Replica::open(&dst), Err(StoreError::StateDir { .. })));
}

/// Says why a test did nothing.
#[allow(clippy::print_stderr)] // the only way for a test to say so
pub(super) fn eprintln_skipped(why: &str) {
    eprintln!("skipped: {why}");
}
