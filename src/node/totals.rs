//! Totals: what each source gave and took, for the end of a run.
//!
//! Invariant: bounded by the neighbours of a run that gave or took something; whoever came and went with nothing leaves no trace.
//!
//! Not here: the counters of the whole node (`snapshot`).

use std::collections::BTreeMap;

use super::content::LOCAL;
use crate::swarm::SourceId;
use crate::units::Bytes;

/// What one source gave and took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceTotals {
    /// Where it listens, or `local` for a path on this machine.
    pub name: String,
    /// Bytes of chunks that came from it.
    pub received: Bytes,
    /// Chunks that came from it, the last byte at least.
    pub chunks_received: u64,
    /// Bytes of chunks that went to it.
    pub uploaded: Bytes,
    /// Chunks that went to it.
    pub chunks_uploaded: u64,
}

/// The totals of a run.
#[derive(Debug, Default)]
pub(super) struct Totals {
    here: BTreeMap<SourceId, SourceTotals>,
    gone: BTreeMap<String, SourceTotals>,
}

impl Totals {
    /// A neighbour is here.
    pub(super) fn begin(&mut self, source: SourceId, name: String) {
        self.here.insert(source, SourceTotals { name, ..SourceTotals::default() });
    }

    /// A neighbour is gone; if it comes back under the same name, it goes on counting.
    pub(super) fn end(&mut self, source: SourceId) {
        let Some(totals) = self.here.remove(&source) else { return };
        if totals.chunks_received + totals.chunks_uploaded > 0 {
            merge(&mut self.gone, totals);
        }
    }

    /// `len` bytes of a chunk came from this source, its last one among them or not.
    pub(super) fn came(&mut self, source: SourceId, len: u64, last: bool) {
        if let Some(totals) = self.of(source) {
            totals.received = Bytes(totals.received.0 + len);
            totals.chunks_received += u64::from(last);
        }
    }

    /// A chunk of `len` bytes went to this source.
    pub(super) fn went(&mut self, source: SourceId, len: u64) {
        if let Some(totals) = self.of(source) {
            totals.uploaded = Bytes(totals.uploaded.0 + len);
            totals.chunks_uploaded += 1;
        }
    }

    /// Bytes that came from a neighbour and went to it since it came.
    pub(super) fn moved(&self, source: SourceId) -> u64 {
        self.here.get(&source).map_or(0, |totals| totals.received.0 + totals.uploaded.0)
    }

    /// All of them, by name.
    pub(super) fn list(&self) -> Vec<SourceTotals> {
        let mut all = self.gone.clone();
        self.here.values().cloned().for_each(|totals| merge(&mut all, totals));
        all.into_values().collect()
    }

    fn of(&mut self, source: SourceId) -> Option<&mut SourceTotals> {
        if source == LOCAL && !self.here.contains_key(&LOCAL) {
            self.begin(LOCAL, "local".to_owned());
        }
        self.here.get_mut(&source)
    }
}

fn merge(all: &mut BTreeMap<String, SourceTotals>, totals: SourceTotals) {
    match all.get_mut(&totals.name) {
        None => {
            all.insert(totals.name.clone(), totals);
        }
        Some(known) => {
            known.received = Bytes(known.received.0 + totals.received.0);
            known.chunks_received += totals.chunks_received;
            known.uploaded = Bytes(known.uploaded.0 + totals.uploaded.0);
            known.chunks_uploaded += totals.chunks_uploaded;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_that_comes_back_goes_on_counting() {
        let mut totals = Totals::default();
        for source in [SourceId(1), SourceId(2)] {
            totals.begin(source, "a:1".into());
            totals.came(source, 10, true);
            totals.end(source);
        }
        totals.begin(SourceId(3), "a:1".into());
        totals.went(SourceId(3), 5);
        totals.begin(SourceId(4), "b:1".into());
        totals.end(SourceId(4));
        totals.came(LOCAL, 7, true);
        let list = totals.list();
        let names: Vec<&str> = list.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["a:1", "local"], "whoever gave and took nothing leaves no trace");
        assert_eq!((list[0].received, list[0].chunks_received, list[0].uploaded), (Bytes(20), 2, Bytes(5)));
    }
}
