//! Finals: telling which files are final, for whoever does something with each of them.
//!
//! A file is told as soon as its group is durable and under its final names, long before the content is complete. Files that an earlier
//! run finished are told at the end, because only then is each of them known to be proved.
//!
//! Invariant: when `complete` is reported, every file was told at least once, and none before it was verified, durable and renamed. A
//! file is told again only when its bytes were lost after that and came again.
//!
//! Not here: what is done with a file (`cli`).

use std::sync::Arc;

use super::Node;
use super::report::Report;
use crate::manifest::{Entries, EntryKind};
use crate::store::Named;

/// Which files were told, by entry; empty until the first was.
#[derive(Debug, Default)]
pub(super) struct Finals(Vec<bool>);

impl Finals {
    /// Notes files as told.
    fn note(&mut self, files: &[Named], count: usize) {
        self.0.resize(count, false);
        files.iter().for_each(|file| self.0[file.entry as usize] = true);
    }

    /// The files that were not told.
    fn rest(&self, entries: &Entries) -> Vec<Named> {
        let is_told = |entry: usize| self.0.get(entry).copied().unwrap_or(false);
        let list = entries.as_slice().iter().enumerate();
        let files = list.filter(|(i, entry)| matches!(entry.kind, EntryKind::File { .. }) && !is_told(*i));
        let named = |i| Named { entry: u32::try_from(i).expect("fewer entries than 2^32"), kept: true };
        files.map(|(i, _)| named(i)).collect()
    }
}

impl Node {
    /// Tells which files became final since it was told last.
    pub(super) fn tell_final(&mut self) {
        let Some(replica) = self.content.as_ref().and_then(super::content::Content::replica) else { return };
        // Taken in any case, so that they do not pile up.
        let files = replica.take_named();
        self.tell_named(files);
    }

    /// Tells the files that were final before this run.
    pub(super) fn tell_final_before(&mut self) {
        self.tell_final();
        let Some(content) = self.content.as_ref().filter(|content| content.replica().is_some()) else { return };
        let files = if self.config.tell_files { content.finals.rest(content.manifest.entries()) } else { Vec::new() };
        self.tell_named(files);
    }

    fn tell_named(&mut self, files: Vec<Named>) {
        let Some(content) = self.content.as_mut().filter(|_| self.config.tell_files && !files.is_empty()) else {
            return;
        };
        let entries = Arc::clone(content.manifest.entries());
        content.finals.note(&files, entries.as_slice().len());
        self.reports.send(Report::Final { entries, files });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Entry, RelPath};

    fn entries(names: [&str; 3]) -> Entries {
        let file = EntryKind::File { size: 1 };
        let entry = |name: &str| Entry {
            path: RelPath::parse(name.as_bytes()).unwrap(),
            kind: if name == "folder" { EntryKind::Dir } else { file.clone() },
            mode: 0o755,
            mtime_secs: 0,
            mtime_nanos: 0,
        };
        Entries::from_walk(names.map(entry).into()).unwrap()
    }

    #[test]
    fn what_was_not_told_is_told_at_the_end_as_kept() {
        let entries = entries(["a", "b", "folder"]);
        let mut finals = Finals::default();
        finals.note(&[Named { entry: 1, kept: false }], 3);
        assert_eq!(finals.rest(&entries), [Named { entry: 0, kept: true }]);
        finals.note(&[Named { entry: 0, kept: true }], 3);
        assert_eq!(finals.rest(&entries), []);
    }
}
