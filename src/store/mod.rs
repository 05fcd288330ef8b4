//! Bytes on disk: reading what is published, writing what is replicated, resuming.
//!
//! The store is synchronous on purpose. Every call ends in a system call that may block, so an `async` face would only
//! hide where the time goes; callers bring their own threads, and [`Pool`] is where the node keeps them. It knows
//! files, spans of files and the chunks that they make up, and nothing of who wants them: the same code serves a copy
//! over the network and a local one.
//!
//! Invariant: nothing is ever under its final name that is not complete, and [`Replica::finish`] returns only when
//! every byte, mode and time is durable. Every path is resolved beneath a held directory, so a symlink planted in a
//! tree is never followed.
//!
//! Not here: digests and signatures. Whoever calls [`Replica::write_chunk`] has verified the bytes, and what the
//! journal keeps for the layers above (pages, endorsements, batches) are bytes to it that it never looks into.

mod confine;
mod disk;
mod error;
mod journal;
mod open_files;
mod overlap;
mod pool;
mod published;
mod replica;
mod scan;
mod spans;
mod stamp;

pub use confine::Resolution;
pub use error::{ErrorKind, Names, StoreError};
pub use journal::{Boot, StoredContent};
pub use overlap::overlap;
pub use pool::Pool;
pub use published::Published;
pub use replica::{Begun, CommitReport, Named, NewContent, OpenOptions, Opened, Replica, Warning};
pub use scan::{Scan, Skipped, SymlinkPolicy, scan};
