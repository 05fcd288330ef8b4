//! Writing a small file so that it is there whole or not at all, and never takes the place of another by accident.
//!
//! Invariant: what is under the name is old or new, never half; a file that exists is replaced only where that was asked for; a
//! secret never has a wider mode than it was given, not even for a moment.
//!
//! Not here: which files those are.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// What others cannot read: keys.
pub(super) const SECRET: u32 = 0o600;
/// What everybody may read: certificates.
pub(super) const PUBLIC: u32 = 0o644;

/// Writes `bytes` durably to a file of this mode. Fails with [`io::ErrorKind::AlreadyExists`] when it exists and may not be replaced.
pub(super) fn write(path: &Path, bytes: &[u8], mode: u32, replace: bool) -> io::Result<()> {
    if !replace && path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let draft = draft_name(path);
    let written = write_draft(&draft, bytes, mode).and_then(|()| name_it(&draft, path, replace));
    if let Err(error) = written {
        // Half a key is worse than none. That removing may fail as well is told by the first error.
        let _ = fs::remove_file(&draft);
        return Err(error);
    }
    File::open(folder)?.sync_all()
}

fn write_draft(draft: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(draft)?;
    // The umask may have taken away what the reader of a certificate needs.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn name_it(draft: &Path, path: &Path, replace: bool) -> io::Result<()> {
    if replace {
        return fs::rename(draft, path);
    }
    match renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE) {
        // File systems that cannot do this (NFS, some overlays) can make a second name, which does not replace either.
        Err(Errno::INVAL | Errno::NOSYS) => fs::hard_link(draft, path).and_then(|()| fs::remove_file(draft)),
        outcome => Ok(outcome?),
    }
}

/// A name beside `path` that nobody else uses at this moment.
fn draft_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.{:08x}.new", std::process::id(), fastrand::u32(..)));
    name.into()
}
