//! The manifest of a content: header, entries, layout, endorsements, digests.
//!
//! It comes in two halves with different clocks. Header and pages are known as soon as the tree is walked, and their hash is the
//! content's name. Digests follow while the data is read, each vouched for by a dataset key that a publisher endorsed. So a
//! swarm starts without a hashing pass and still never counts a byte that no publisher signed for.
//!
//! Invariant: whatever is hashed or signed has a hand-written encoding with fixed widths, documented in the module that owns
//! it; ids and signatures do not depend on any library's taste.
//!
//! Not here: messages (`wire`), certificates (`identity`), files (`store`).

mod batch;
mod book;
mod bytes;
mod content;
mod digest;
mod endorsement;
mod entry;
mod header;
mod key;
mod page;
mod path;
mod proofs;

pub use batch::{BATCH_ENTRIES_MAX, BATCH_LEN_MAX, BatchError, SignedBatch};
pub use content::{Assembly, Manifest, ManifestError};
pub use digest::{ContentId, Digest, DigestKind, Hasher, ParseDigestError};
pub use endorsement::{
    CERTIFICATE_LEN_MAX, CERTIFICATE_SIGNATURE_LEN_MAX, CHAIN_MAX, ContentRoot, ENDORSEMENT_LEN_MAX, Endorsement,
    ROOT_LEN, StatementError,
};
pub use entry::{ENTRIES_MAX, Entries, EntriesError, Entry, EntryKind, stays_inside};
pub use header::{HEADER_LEN_MAX, Header, PAGES_MAX};
pub use key::{DatasetKey, DatasetKeyId, SIGNATURE_LEN};
pub use page::PAGE_LEN_MAX;
pub use path::{COMPONENT_LEN_MAX, DEPTH_MAX, PATH_LEN_MAX, PathError, RelPath, STATE_DIR};
pub use proofs::{Check, PROOF_KEYS_MAX, ProofError, Proofs, Update};
