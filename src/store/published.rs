//! Published: a source opened for reading.
//!
//! A chunk's digest is signed when its bytes are read for the first time, long after the scan took the sizes that fix
//! where each byte belongs. If a file changes in between, chunks of two versions would mix. So every read is compared
//! with the stamp of the scan.
//!
//! Invariant: bytes that [`Published::read_at`] hands out come from a file that was the same at the scan and after the
//! read.
//!
//! Not here: noticing changes that nobody reads past; [`Published::verify_unchanged`] asks for those.

use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, fstat};
use rustix::io::Errno;

use super::confine::{FILE_FLAGS, Folders, Root};
use super::disk;
use super::error::StoreError;
use super::open_files::OpenFiles;
use super::scan::Scan;
use super::spans::spans;
use super::stamp::Stamp;
use crate::manifest::{Entries, EntryKind};

/// Descriptors kept open: a local copy holds these and a replica's beside them, together below 256.
const OPEN_FILES_MAX: usize = 96;

/// A source tree, readable by its content's offsets. All methods may be called from several threads.
#[derive(Debug)]
pub struct Published {
    entries: Arc<Entries>,
    root: Root,
    stamps: Vec<Stamp>,
    single: Option<PathBuf>,
    open: OpenFiles,
}

impl Published {
    /// Opens what was scanned.
    #[must_use]
    pub fn new(scan: Scan) -> Self {
        let Scan { entries, root, stamps, single, .. } = scan;
        assert_eq!(entries.as_slice().len(), stamps.len(), "every entry has its stamp");
        Self { entries, root, stamps, single, open: OpenFiles::new(OPEN_FILES_MAX) }
    }

    /// What it consists of.
    #[must_use]
    pub const fn entries(&self) -> &Arc<Entries> {
        &self.entries
    }

    /// Fills `buf` with the content's bytes from `offset`.
    ///
    /// # Errors
    /// [`StoreError::SourceChanged`] when a file is not what it was at the scan, [`StoreError::Io`] when it cannot be
    /// read. The buffer's contents are then of no use.
    ///
    /// # Panics
    /// When the range reaches beyond the content.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), StoreError> {
        for span in spans(&self.entries, offset, buf.len()) {
            let file = self.file(span.entry)?;
            match disk::read_exact_at(&file, span.offset, &mut buf[span.within]) {
                Ok(()) => self.check(span.entry, &file)?,
                Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Err(self.changed(span.entry)),
                Err(e) => return Err(StoreError::io("read", self.path_of(span.entry), e)),
            }
        }
        Ok(())
    }

    /// Whether a range of the content lies in holes of its files and nowhere else: then it is zeros and need not be read.
    ///
    /// # Errors
    /// As [`Published::read_at`].
    ///
    /// # Panics
    /// As [`Published::read_at`].
    pub fn is_hole(&self, range: &Range<u64>) -> Result<bool, StoreError> {
        let len = usize::try_from(range.end - range.start).expect("a chunk fits memory");
        for span in spans(&self.entries, range.start, len) {
            let file = self.file(span.entry)?;
            if !disk::is_hole(&file, &(span.offset..span.offset + span.within.len() as u64)) {
                return Ok(false);
            }
            self.check(span.entry, &file)?;
        }
        Ok(true)
    }

    /// Compares every entry with what the scan found. Costs about as much as the scan; folders tell of added and
    /// removed names.
    ///
    /// # Errors
    /// [`StoreError::SourceChanged`] names the first entry that is not what it was; [`StoreError::Io`] when one cannot
    /// be looked at.
    pub fn verify_unchanged(&self) -> Result<(), StoreError> {
        let mut folders = Folders::new(&self.root);
        for (i, entry) in self.entries.as_slice().iter().enumerate() {
            if self.single.is_some() {
                let file = self.open_file(i)?;
                self.check(i, &file)?;
                continue;
            }
            match folders.stat(&entry.path) {
                Ok(Some(stat)) if Stamp::of(&stat) == self.stamps[i] => {}
                Ok(_) => return Err(self.changed(i)),
                Err(e) => return Err(self.refused("look at", i, e)),
            }
        }
        Ok(())
    }

    fn file(&self, entry: usize) -> Result<Arc<OwnedFd>, StoreError> {
        if let Some(file) = self.open.find(entry) {
            return Ok(file);
        }
        let file = self.open_file(entry)?;
        self.check(entry, &file)?;
        Ok(self.open.keep(entry, file))
    }

    fn open_file(&self, entry: usize) -> Result<OwnedFd, StoreError> {
        let listed = &self.entries.as_slice()[entry];
        debug_assert!(matches!(listed.kind, EntryKind::File { .. }), "only files have bytes");
        let path = match &self.single {
            Some(name) => name.as_os_str().as_encoded_bytes(),
            None => listed.path.as_bytes(),
        };
        self.root
            .open_beneath(path, FILE_FLAGS | OFlags::RDONLY, Mode::empty())
            .map_err(|e| self.refused("open", entry, e))
    }

    fn check(&self, entry: usize, file: &OwnedFd) -> Result<(), StoreError> {
        let stat = fstat(file).map_err(|e| StoreError::io("look at", self.path_of(entry), e))?;
        if Stamp::of(&stat) == self.stamps[entry] { Ok(()) } else { Err(self.changed(entry)) }
    }

    /// The error of a call that needs the file to be where it was.
    fn refused(&self, doing: &'static str, entry: usize, error: std::io::Error) -> StoreError {
        match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => self.changed(entry),
            _ => StoreError::io(doing, self.path_of(entry), error),
        }
    }

    fn changed(&self, entry: usize) -> StoreError {
        StoreError::SourceChanged { path: self.path_of(entry) }
    }

    fn path_of(&self, entry: usize) -> PathBuf {
        match &self.single {
            Some(name) => self.root.path().join(name),
            None => self.root.path_of(&self.entries.as_slice()[entry].path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{SymlinkPolicy, scan};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn publish(src: &Path) -> Published {
        Published::new(scan(src, SymlinkPolicy::Refuse).unwrap())
    }

    fn tree() -> tempfile::TempDir {
        let tmp = tempfile::tempdir().unwrap();
        fs::create_dir(tmp.path().join("sub")).unwrap();
        fs::write(tmp.path().join("a"), "first").unwrap();
        fs::write(tmp.path().join("sub/b"), "second").unwrap();
        fs::write(tmp.path().join("empty"), "").unwrap();
        tmp
    }

    fn read(published: &Published, offset: u64, len: usize) -> Result<String, StoreError> {
        let mut buf = vec![0; len];
        published.read_at(offset, &mut buf).map(|()| String::from_utf8(buf).unwrap())
    }

    #[test]
    fn a_range_reads_across_files() {
        let tmp = tree();
        let published = publish(tmp.path());
        assert_eq!(read(&published, 0, 11).unwrap(), "firstsecond");
        assert_eq!(read(&published, 3, 4).unwrap(), "stse");
        published.verify_unchanged().unwrap();
    }

    #[test]
    fn every_kind_of_change_is_noticed_by_the_next_read_and_by_the_check() {
        type Change = fn(&Path);
        let changes: [(&str, Change); 6] = [
            ("rewritten in place with the same size", |p| fs::write(p, "FIRST").unwrap()),
            ("appended", |p| fs::write(p, "first and more").unwrap()),
            ("truncated", |p| fs::write(p, "fi").unwrap()),
            ("deleted", |p| fs::remove_file(p).unwrap()),
            ("replaced by rename", |p| fs::rename(p.with_file_name("empty"), p).unwrap()),
            ("replaced by a symlink", |p| {
                fs::remove_file(p).unwrap();
                symlink("sub/b", p).unwrap();
            }),
        ];
        for warm in [false, true] {
            for (name, change) in changes {
                let tmp = tree();
                let published = publish(tmp.path());
                if warm {
                    read(&published, 0, 11).unwrap();
                }
                change(&tmp.path().join("a"));
                for found in [read(&published, 0, 11).map(drop), published.verify_unchanged()] {
                    let changed = found.unwrap_err();
                    assert!(
                        matches!(&changed, StoreError::SourceChanged { path } if path.ends_with("a")),
                        "{name}: {changed}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_hole_is_known_without_reading_and_a_file_that_changed_is_none() {
        let tmp = tree();
        let hole = fs::File::create(tmp.path().join("hole")).unwrap();
        hole.set_len(1 << 20).unwrap();
        let published = publish(tmp.path());
        // After "first" come the hole and "second".
        assert!(published.is_hole(&(5..5 + (1 << 20))).unwrap());
        assert!(!published.is_hole(&(4..100)).unwrap());
        assert!(!published.is_hole(&(5..6 + (1 << 20))).unwrap());
        hole.set_len((1 << 20) - 1).unwrap();
        assert!(matches!(published.is_hole(&(5..100)), Err(StoreError::SourceChanged { .. })));
    }

    #[test]
    fn a_new_name_in_a_folder_is_a_change_of_the_folder() {
        let tmp = tree();
        let published = publish(tmp.path());
        fs::write(tmp.path().join("sub/new"), "").unwrap();
        assert!(
            matches!(published.verify_unchanged(), Err(StoreError::SourceChanged { path }) if path.ends_with("sub"))
        );
    }

    #[test]
    fn a_fifo_in_place_of_a_file_does_not_hold_the_reader() {
        let tmp = tree();
        let published = publish(tmp.path());
        fs::remove_file(tmp.path().join("a")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            tmp.path().join("a"),
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        assert!(matches!(read(&published, 0, 1), Err(StoreError::SourceChanged { .. })));
    }

    #[test]
    fn a_single_file_is_read_under_its_link_s_name() {
        let tmp = tree();
        symlink("sub/b", tmp.path().join("link")).unwrap();
        let published = publish(&tmp.path().join("link"));
        assert_eq!(published.entries().as_slice()[0].path.to_string(), "link");
        assert_eq!(read(&published, 0, 6).unwrap(), "second");
        published.verify_unchanged().unwrap();
        fs::write(tmp.path().join("sub/b"), "other!").unwrap();
        assert!(published.verify_unchanged().is_err());
    }

    #[test]
    fn more_files_than_descriptors_are_read_all_the_same() {
        let tmp = tempfile::tempdir().unwrap();
        for i in 0..3 * OPEN_FILES_MAX {
            fs::write(tmp.path().join(format!("{i:04}")), format!("{i:04}")).unwrap();
        }
        let published = publish(tmp.path());
        let all: String = (0..3 * OPEN_FILES_MAX).map(|i| format!("{i:04}")).collect();
        assert_eq!(read(&published, 0, all.len()).unwrap(), all);
    }
}
