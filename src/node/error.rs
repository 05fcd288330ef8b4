//! Why a node stopped before its job was done.

use std::time::Duration;

use super::renewal::RoleError;
use super::trace::TraceFileError;
use crate::discovery::PollerError;
use crate::identity::{EndorsementError, IdentityError};
use crate::manifest::{ContentId, Digest, DigestKind, ManifestError, ProofError};
use crate::net::BindError;
use crate::store::StoreError;

/// A job that did not come to its end; `cli` makes an exit code of it.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The UDP socket could not be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// What the peer list is to be asked for with.
    #[error(transparent)]
    Lists(#[from] PollerError),
    /// The file for the trace.
    #[error(transparent)]
    Trace(#[from] TraceFileError),
    /// Disk, source or destination.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The source makes no content (too many names, an unusable chunk size).
    #[error("cannot publish this source")]
    Manifest(#[from] ManifestError),
    /// The certificate key could not sign.
    #[error("cannot endorse the content")]
    Endorse(#[from] IdentityError),
    /// Nobody let us in.
    #[error("no peer accepted this node, or was accepted by it: {reason}")]
    Authentication {
        /// What the last attempt said.
        reason: String,
    },
    /// Our certificate does not allow the task.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// The only contents offered were endorsed by somebody who may not publish.
    #[error("the content offered is not endorsed by a publisher of this swarm")]
    Unendorsed(#[source] EndorsementError),
    /// Nobody offered a content in time.
    #[error(
        "no peer offered a content within {waited:?}{hint}; check the peer list, UDP reachability and that a seeder runs"
    )]
    NoContent {
        /// The peer wait timeout.
        waited: Duration,
        /// What the last attempt said, with its punctuation; empty when there was none.
        hint: String,
    },
    /// Nobody offered the pinned content in time.
    #[error(
        "no peer offered content id:{expected} within {waited:?}; {offered}. Check --expect, and that its publisher runs"
    )]
    NotOffered {
        /// What was pinned.
        expected: ContentId,
        /// The peer wait timeout.
        waited: Duration,
        /// What was offered in its place, and by whom.
        offered: String,
    },
    /// Only contents were offered whose digests protect against less than the user asks for.
    #[error(
        "content {id} is digested with {kind}, which finds accidents and no malice, so it is refused; where every member of the swarm is trusted, allow it with --digest {kind}, else publish it without"
    )]
    Weak {
        /// The content.
        id: ContentId,
        /// How it is digested.
        kind: DigestKind,
    },
    /// A publisher's source is not the content that its user expects.
    #[error(
        "the source is content id:{found} and not id:{expected}, so nothing was published: a name, a size, a time, a mode, the chunk size or the kind of digest differs"
    )]
    OtherId {
        /// What was pinned.
        expected: ContentId,
        /// What the walk gave.
        found: ContentId,
    },
    /// The bytes are not those that the user expects.
    #[error(
        "integrity error, do not retry: the content has root:{found} and not root:{expected}, so no file got its final name; to start over with other bytes of the same names, sizes and times, remove .strew from the destination"
    )]
    OtherRoot {
        /// What was pinned.
        expected: Digest,
        /// What a publisher signed.
        found: Digest,
    },
    /// Some chunks could not be had.
    #[error(
        "nothing arrived for {waited:?}; {missing} of {total} chunks are missing{hint}. Run the same command again to resume"
    )]
    Incomplete {
        /// The transfer idle timeout.
        waited: Duration,
        /// Chunks that are missing.
        missing: u32,
        /// Chunks of the content.
        total: u32,
        /// What a peer said about it, with its punctuation; empty when nobody did.
        hint: String,
    },
    /// A publisher contradicts itself.
    #[error("integrity error, do not retry: {0}")]
    Conflict(ProofError),
    /// What was read back is not what was verified when it came.
    #[error("{path} differs from its signed digest when read back; the disk or something else changed it")]
    ReadBack {
        /// The file in which the first such chunk begins.
        path: String,
    },
    /// A part of the node panicked: a bug, whose message stands before this one.
    #[error("a part of this node failed unexpectedly; please report the message before this one")]
    Panicked,
    /// A chunk of the source hashes otherwise than before.
    #[error("{path} changed while it was being published; run again with a quiet source")]
    SourceChanged {
        /// The file in which the chunk begins.
        path: String,
    },
}
