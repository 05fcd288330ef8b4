use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

/// The entries as text: path, what, mode.
fn listed(scan: &Scan) -> Vec<String> {
    let line = |e: &Entry| match &e.kind {
        EntryKind::File { size } => format!("{} {size} {:o}", e.path, e.mode),
        EntryKind::Dir => format!("{}/ {:o}", e.path, e.mode),
        EntryKind::Symlink { target } => format!("{} -> {}", e.path, target.escape_ascii()),
    };
    scan.entries.as_slice().iter().map(line).collect()
}

fn at(tmp: &tempfile::TempDir, name: &[u8]) -> PathBuf {
    tmp.path().join(OsStr::from_bytes(name))
}

fn put(tmp: &tempfile::TempDir, name: &[u8], mode: u32) {
    fs::write(at(tmp, name), name).unwrap();
    fs::set_permissions(at(tmp, name), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn finds_odd_names_modes_links_and_what_is_empty() {
    let tmp = tempfile::tempdir().unwrap();
    for folder in ["empty", "sub", "sub/.strew"] {
        fs::create_dir(at(&tmp, folder.as_bytes())).unwrap();
        fs::set_permissions(at(&tmp, folder.as_bytes()), fs::Permissions::from_mode(0o750)).unwrap();
    }
    put(&tmp, b"a b", 0o644);
    put(&tmp, b"line\nbreak", 0o4755);
    put(&tmp, b"\xff\xfe", 0o600);
    put(&tmp, b"sub/.strew/own", 0o444);
    symlink("../a b", at(&tmp, b"sub/link")).unwrap();
    let found = scan(tmp.path(), SymlinkPolicy::Refuse).unwrap();
    let expected = [
        "a b 3 644",
        "empty/ 750",
        "line\\u{a}break 10 755",
        "sub/ 750",
        "sub/.strew/ 750",
        "sub/.strew/own 14 444",
        "sub/link -> ../a b",
        "\\xff\\xfe 2 600",
    ];
    assert_eq!(listed(&found), expected);
}

#[test]
fn leaves_out_its_own_folder_at_the_root_and_counts_special_files() {
    let tmp = tempfile::tempdir().unwrap();
    fs::create_dir(at(&tmp, b".strew")).unwrap();
    put(&tmp, b".strew/journal", 0o600);
    put(&tmp, b"file", 0o600);
    let (fifo, socket) = (at(&tmp, b"fifo"), at(&tmp, b"socket"));
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let found = scan(tmp.path(), SymlinkPolicy::Refuse).unwrap();
    assert_eq!(listed(&found), ["file 4 600"]);
    assert_eq!(found.skipped, Skipped { special: 2, symlinks: 0 });
}

#[test]
fn links_that_lead_outside_are_refused_kept_or_skipped() {
    let tmp = tempfile::tempdir().unwrap();
    symlink("/etc/passwd", at(&tmp, b"absolute")).unwrap();
    symlink("../x", at(&tmp, b"above")).unwrap();
    symlink("absolute", at(&tmp, b"inside")).unwrap();
    let refused = scan(tmp.path(), SymlinkPolicy::Refuse).unwrap_err();
    let text = refused.to_string();
    assert!(matches!(&refused, StoreError::Escaping { names } if names.count() == 2), "{text}");
    assert!(text.contains("above\"") && text.contains("absolute\"") && text.contains("--symlinks"), "{text}");
    assert_eq!(scan(tmp.path(), SymlinkPolicy::Keep).unwrap().entries.as_slice().len(), 3);
    let skipped = scan(tmp.path(), SymlinkPolicy::Skip).unwrap();
    assert_eq!(listed(&skipped), ["inside -> absolute"]);
    assert_eq!(skipped.skipped.symlinks, 2);
}

#[test]
fn a_single_file_is_a_content_of_one_entry() {
    let tmp = tempfile::tempdir().unwrap();
    put(&tmp, b"one", 0o640);
    put(&tmp, b"other", 0o640);
    assert_eq!(listed(&scan(&at(&tmp, b"one"), SymlinkPolicy::Refuse).unwrap()), ["one 3 640"]);
}

#[test]
fn a_source_that_is_missing_or_no_tree_is_a_clear_error() {
    let tmp = tempfile::tempdir().unwrap();
    let missing = scan(&at(&tmp, b"none"), SymlinkPolicy::Refuse).unwrap_err();
    assert!(missing.to_string().starts_with("cannot open the source"), "{missing}");
    let device = scan(Path::new("/dev/null"), SymlinkPolicy::Refuse).unwrap_err();
    assert!(matches!(device, StoreError::SourceKind { .. }), "{device}");
}

#[test]
fn a_folder_with_many_names_is_found_whole() {
    let tmp = tempfile::tempdir().unwrap();
    for i in 0..3000 {
        fs::write(at(&tmp, format!("{i}").as_bytes()), "").unwrap();
    }
    for i in 0..40 {
        fs::create_dir_all(at(&tmp, format!("d{i}/e/f").as_bytes())).unwrap();
    }
    assert_eq!(scan(tmp.path(), SymlinkPolicy::Refuse).unwrap().entries.as_slice().len(), 3120);
}

#[test]
fn a_tree_deeper_than_a_content_may_be_is_named() {
    let tmp = tempfile::tempdir().unwrap();
    fs::create_dir_all(at(&tmp, "d/".repeat(101).as_bytes())).unwrap();
    assert!(matches!(scan(tmp.path(), SymlinkPolicy::Refuse), Err(StoreError::Name { .. })));
}

#[test]
fn holes_count_as_length_but_not_as_allocated() {
    let tmp = tempfile::tempdir().unwrap();
    put(&tmp, b"file", 0o600);
    fs::File::options().write(true).open(at(&tmp, b"file")).unwrap().set_len(1 << 24).unwrap();
    let found = scan(tmp.path(), SymlinkPolicy::Refuse).unwrap();
    assert_eq!(found.entries.total(), 1 << 24);
    assert!(found.allocated.0 < 1 << 20, "{}", found.allocated);
}

#[test]
fn times_keep_their_nanoseconds_and_may_lie_before_1970() {
    let tmp = tempfile::tempdir().unwrap();
    put(&tmp, b"file", 0o600);
    let when = rustix::fs::Timespec { tv_sec: -7, tv_nsec: 123_456_789 };
    let times = rustix::fs::Timestamps { last_access: when, last_modification: when };
    rustix::fs::futimens(fs::File::open(at(&tmp, b"file")).unwrap(), &times).unwrap();
    let found = scan(tmp.path(), SymlinkPolicy::Refuse).unwrap();
    let entry = &found.entries.as_slice()[0];
    assert_eq!((entry.mtime_secs, entry.mtime_nanos), (-7, 123_456_789));
}
