//! Noticing that key or certificates on the disk were renewed, so that a node takes them without a restart.
//!
//! Looking is cheap and misses nothing: a directory of Kubernetes is swapped by renaming a symlink above the files, which watching
//! the files themselves would not tell. So inode, size and time of what the names lead to are compared every few seconds.
//!
//! Invariant: what is loaded here has passed every check of a start.
//!
//! Not here: when to look and what to do with it (`node`).

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{CertificateFiles, Credentials, FilesError, IdentityError, KeyError, KeyRing};

/// From where credentials came, so that they can be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file with swarm keys.
    Keys(PathBuf),
    /// Certificates.
    Certificates(CertificateFiles),
}

/// What the files were when they were looked at: device, inode, size and time of each that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp(Vec<Option<[i64; 4]>>);

/// New files that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// The key file.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The certificates.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// No certificate could be made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// The files behind credentials. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Watch(Arc<Watched>);

#[derive(Debug)]
struct Watched {
    origin: Origin,
    /// What the files were when the credentials were read.
    stamp: Stamp,
    /// Shared by all that came from there one after the other, so that whoever holds an earlier one is still heard.
    hurry: Arc<AtomicBool>,
}

impl Origin {
    /// What the files are now.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        let of = |path: &Path| {
            let metadata = fs::metadata(path).ok()?;
            let nanos = metadata.mtime().wrapping_mul(1_000_000_000).wrapping_add(metadata.mtime_nsec());
            Some([metadata.dev().cast_signed(), metadata.ino().cast_signed(), metadata.size().cast_signed(), nanos])
        };
        match self {
            Self::Keys(path) => Stamp(vec![of(path)]),
            Self::Certificates(files) => Stamp(files.paths().iter().map(|path| of(path)).collect()),
        }
    }

    /// Reads and checks the files.
    ///
    /// # Errors
    /// [`RenewalError`] when they cannot be used.
    pub fn load(&self) -> Result<Credentials, RenewalError> {
        match self {
            Self::Certificates(files) => Ok(files.load()?),
            Self::Keys(path) => {
                let stamp = self.stamp();
                let ring = KeyRing::read(path, &mut io::empty())?;
                Ok(Credentials::from_keys(&ring)?.watching(self.clone(), stamp))
            }
        }
    }
}

impl Watch {
    pub(super) fn new(origin: Origin, stamp: Stamp) -> Self {
        Self(Arc::new(Watched { origin, stamp, hurry: Arc::default() }))
    }

    /// This one, which whoever holds `earlier` can hurry as well.
    #[must_use]
    pub(super) fn heir_of(&self, earlier: &Self) -> Self {
        let Watched { origin, stamp, .. } = &*self.0;
        Self(Arc::new(Watched { origin: origin.clone(), stamp: stamp.clone(), hurry: Arc::clone(&earlier.0.hurry) }))
    }

    /// Where to look.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// What the files were when the credentials were read.
    #[must_use]
    pub fn stamp(&self) -> &Stamp {
        &self.0.stamp
    }

    /// Asks the node to look at the files at once.
    pub fn hurry(&self) {
        self.0.hurry.store(true, Ordering::Relaxed);
    }

    /// Whether somebody was in a hurry since the last question.
    #[must_use]
    pub fn was_hurried(&self) -> bool {
        self.0.hurry.swap(false, Ordering::Relaxed)
    }
}
