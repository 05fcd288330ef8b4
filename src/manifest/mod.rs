//! The manifest of a content: header, entries, layout, endorsements, digests.
mod entry;
mod path;

pub use entry::{ENTRIES_MAX, Entries, EntriesError, Entry, EntryKind, stays_inside};
pub use path::{COMPONENT_LEN_MAX, DEPTH_MAX, PATH_LEN_MAX, PathError, RelPath, STATE_DIR};
