//! Why a demonstration ends early, and with which exit code.
//!
//! A process that fails lends its own code to the demonstration, so that the codes mean here what they mean everywhere.
//!
//! Invariant: no message shows a file's name with its control characters, and none leaves the user without what to do next.
//!
//! Not here: who says it (`cli`).

use std::io;
use std::path::{Path, PathBuf};

use super::compare::{Difference, Verdict};
use super::fleet::End;
use crate::cli::exit::ExitCode;
use crate::cli::report::printable;
use crate::identity::IdentityError;

/// Why a demonstration did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum DemoError {
    /// Nothing to replicate was named, and nothing fit was found.
    #[error(
        "found neither sources of crates in cargo's home nor a Rust toolchain of a fit size; name a directory: strew demo DIR"
    )]
    NoData,
    /// The source cannot be walked.
    #[error("cannot look at {}", shown(path))]
    Look {
        /// What could not be looked at.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The source is neither a directory nor a regular file.
    #[error("{} is neither a directory nor a regular file; name one that is", shown(path))]
    NothingToReplicate {
        /// The source.
        path: PathBuf,
    },
    /// No place for the copies has room.
    #[error("{lack} in {}; make room, or name another directory with --into", shown(path))]
    NoRoom {
        /// The place.
        path: PathBuf,
        /// What it lacks, in words.
        lack: String,
    },
    /// The copies would become part of the source.
    #[error("{} is inside of what is to be replicated; name another directory for the copies with --into", shown(path))]
    InsideSource {
        /// The place.
        path: PathBuf,
    },
    /// The directory for the copies cannot be made.
    #[error("cannot make the copies in {}; name another directory with --into", shown(path))]
    Scratch {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The copies cannot be removed.
    #[error("cannot remove {}; remove it yourself", shown(path))]
    Remove {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// This program cannot be started once more.
    #[error("cannot run strew as a process of its own")]
    Program(#[source] io::Error),
    /// The system gives no threads or signals.
    #[error("cannot wait for processes and signals")]
    System(#[source] io::Error),
    /// No fresh key.
    #[error(transparent)]
    Key(#[from] IdentityError),
    /// A process failed.
    #[error("{who} {end}{why}")]
    Node {
        /// The seeder, or which peer.
        who: String,
        /// How it ended.
        end: End,
        /// What it said, with its punctuation; empty when it said nothing.
        why: String,
    },
    /// A process did not tell what it should have told.
    #[error("{who} {what}; this is a bug in strew")]
    Silent {
        /// The seeder, or which peer.
        who: String,
        /// What it did or did not do.
        what: &'static str,
    },
    /// The copies are not what the source was.
    #[error("the source changed during the demonstration ({} now differs); run it again with quiet files", shown(path))]
    SourceChanged {
        /// The first file or folder that changed.
        path: PathBuf,
    },
    /// The copies are not what the source is.
    #[error("{count} differences between the copies and their source, which is a bug in strew:{list}")]
    Different {
        /// How many.
        count: u64,
        /// The first few, each on a line of its own.
        list: String,
    },
    /// The table cannot be printed.
    #[error("cannot write to standard output")]
    Print(#[source] io::Error),
    /// A signal came.
    #[error("stopped; the processes are ended and the copies removed")]
    Stopped(ExitCode),
}

impl DemoError {
    /// The exit code that belongs to it.
    pub(in crate::cli) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Look { source, .. } if source.kind() == io::ErrorKind::NotFound => ExitCode::Usage,
            Self::NoData | Self::NothingToReplicate { .. } | Self::InsideSource { .. } => ExitCode::Usage,
            Self::Look { .. }
            | Self::NoRoom { .. }
            | Self::Scratch { .. }
            | Self::Remove { .. }
            | Self::Program(_)
            | Self::System(_)
            | Self::Print(_) => ExitCode::LocalIo,
            // A process that leaves without its job done and calls that success has a bug.
            Self::Node { end: End::Code(code), .. } if *code != ExitCode::Complete => *code,
            Self::Key(_) | Self::Node { .. } | Self::Silent { .. } => ExitCode::Internal,
            Self::SourceChanged { .. } => ExitCode::SourceChanged,
            Self::Different { .. } => ExitCode::Integrity,
            Self::Stopped(code) => *code,
        }
    }
}

impl Verdict {
    /// Nothing when the copies are what the source was; otherwise what is wrong.
    pub(super) fn into_result(self) -> Result<(), DemoError> {
        if self.count == 0 {
            return Ok(());
        }
        if let Some(changed) = self.shown.iter().find(|difference| difference.source_changed) {
            return Err(DemoError::SourceChanged { path: changed.path.clone() });
        }
        Err(DemoError::Different { count: self.count, list: self.shown.iter().map(described).collect() })
    }
}

fn described(difference: &Difference) -> String {
    let Difference { copy, path, what, source_changed: _ } = difference;
    format!("\n  copy {}: {} {}", copy + 1, shown(path), printable(what))
}

/// A path that cannot command a terminal.
pub(super) fn shown(path: &Path) -> String {
    match path.as_os_str().is_empty() {
        true => "the directory itself".to_owned(),
        false => printable(&path.to_string_lossy()),
    }
}
