//! Overlap: whether source and destination are the same tree, or one lies in the other.
//!
//! Text does not tell: `..`, symlinks and bind mounts give one directory many names. So the answer comes from device
//! and inode numbers of both and of everything above them.
//!
//! Invariant: a pair that passes does not write into what it reads.
//!
//! Not here: two contents side by side in one destination; their entries are compared when a replica begins.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::StoreError;

/// Refuses a source and a destination of which one contains the other. The destination need not exist yet.
///
/// A single file overlaps only with the directory in which it lies, where its copy would replace it.
///
/// # Errors
/// [`StoreError::Overlap`], [`StoreError::SourceMissing`], or [`StoreError::Io`] when the destination's path cannot be
/// resolved.
pub fn overlap(src: &Path, dst: &Path) -> Result<(), StoreError> {
    let missing = |source| StoreError::SourceMissing { path: src.to_path_buf(), source };
    let found = fs::metadata(src).map_err(missing)?;
    let source = std::path::absolute(src).map_err(missing)?;
    let target = std::path::absolute(dst).map_err(|e| StoreError::io("resolve", dst, e))?;
    let target_above = ancestors(&target).map_err(|e| StoreError::io("resolve", dst, e))?;
    let exists = target_above.exact;
    let clash = if found.is_dir() {
        let source_above = ancestors(&source).map_err(missing)?;
        let source_id = (found.dev(), found.ino());
        target_above.ids.contains(&source_id) || exists.is_some_and(|id| source_above.ids.contains(&id))
    } else {
        let holder = source.parent().and_then(|folder| fs::metadata(folder).ok()).map(|m| (m.dev(), m.ino()));
        holder.is_some() && holder == exists
    };
    if clash {
        return Err(StoreError::Overlap { src: src.to_path_buf(), dst: dst.to_path_buf() });
    }
    Ok(())
}

/// A path's own identity if it exists, and that of every directory that it lies in, itself included.
struct Above {
    exact: Option<(u64, u64)>,
    ids: Vec<(u64, u64)>,
}

fn ancestors(path: &Path) -> std::io::Result<Above> {
    // What does not exist yet will be created in the deepest directory that does.
    let mut existing = path.to_path_buf();
    while !existing.exists() {
        if !existing.pop() {
            break;
        }
    }
    let exists = existing == path;
    let real: PathBuf = fs::canonicalize(&existing)?;
    let mut ids = Vec::new();
    for folder in real.ancestors() {
        let metadata = fs::metadata(folder)?;
        ids.push((metadata.dev(), metadata.ino()));
    }
    Ok(Above { exact: exists.then(|| ids[0]), ids })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn clashes(src: &Path, dst: &Path) -> bool {
        matches!(overlap(src, dst), Err(StoreError::Overlap { .. }))
    }

    #[test]
    fn refuses_the_same_tree_and_trees_within_each_other_by_any_name() {
        let tmp = tempfile::tempdir().unwrap();
        let at = |name: &str| tmp.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::create_dir_all(at("c")).unwrap();
        symlink("a", at("link")).unwrap();
        for (src, dst) in
            [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("a", "link"), ("a", "link/b/new/er"), ("a", "c/../a")]
        {
            assert!(clashes(&at(src), &at(dst)), "{src} {dst}");
        }
        for (src, dst) in [("a", "c"), ("a", "ab"), ("a/b", "a/c"), ("c", "link")] {
            assert!(overlap(&at(src), &at(dst)).is_ok(), "{src} {dst}");
        }
    }

    #[test]
    fn a_single_file_overlaps_only_with_its_own_directory() {
        let tmp = tempfile::tempdir().unwrap();
        fs::write(tmp.path().join("file"), "x").unwrap();
        assert!(clashes(&tmp.path().join("file"), tmp.path()));
        assert!(overlap(&tmp.path().join("file"), &tmp.path().join("sub")).is_ok());
    }

    #[test]
    fn a_missing_source_is_named() {
        let tmp = tempfile::tempdir().unwrap();
        let error = overlap(&tmp.path().join("none"), tmp.path()).unwrap_err();
        assert!(matches!(error, StoreError::SourceMissing { .. }), "{error}");
    }
}
