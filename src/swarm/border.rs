//! Border: what is inside our zone, what is offered outside, and what we may ask for across.
//!
//! The picker draws chunks by walking over words of bits, so what may be asked of sources outside is kept as a set beside what they hold.
//! Asking for each chunk of each draw whether we own it would find one in as many as the zone has members.
//!
//! Invariant: `inside` counts the sources of our zone that hold a chunk and can be relied upon, and ourselves; `outside` those of other
//! zones; `offered` the chunks that are outside and not inside; `open` follows from these, our place among the members and the levels.
//!
//! Not here: when the levels rise (`zone`).

use crate::bitfield::Bitfield;
use crate::chunk::{ChunkId, Layout};
use crate::swarm::footprint::list;
use crate::swarm::members::Members;

/// See the module's text.
#[derive(Clone, Debug)]
pub(super) struct Border {
    pub(super) members: Members,
    layout: Layout,
    inside: Vec<u16>,
    outside: Vec<u16>,
    offered: u32,
    open: Bitfield,
    levels: Levels,
    /// Times that a chunk came into the zone.
    entered: u64,
}

/// How far we stand in for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Levels {
    /// Members that may come before us for a chunk that nobody inside holds: zero for owners alone.
    pub(super) zone: u16,
    /// The same and one more, for a chunk that is inside and does not come to us: zero for nobody.
    pub(super) own: u16,
}

impl Border {
    /// Of a zone in which only we are, who hold `have`.
    pub(super) fn new(id: u64, have: &Bitfield) -> Self {
        let layout = have.layout();
        let count = layout.count() as usize;
        let mut border = Self {
            members: Members::new(id, layout.count()),
            layout,
            inside: vec![0; count],
            outside: vec![0; count],
            offered: 0,
            open: Bitfield::none(layout),
            levels: Levels::default(),
            entered: 0,
        };
        have.iter().for_each(|chunk| border.inside[chunk.as_usize()] = 1);
        border.refresh_all();
        border
    }

    /// Chunks that are outside and not inside.
    pub(super) const fn offered(&self) -> u32 {
        self.offered
    }

    pub(super) const fn entered(&self) -> u64 {
        self.entered
    }

    pub(super) const fn levels(&self) -> Levels {
        self.levels
    }

    /// What we may ask for outside.
    pub(super) const fn open(&self) -> &Bitfield {
        &self.open
    }

    /// Those inside who hold `chunk` and can be relied upon.
    pub(super) fn holders(&self, chunk: ChunkId) -> u16 {
        self.inside[chunk.as_usize()]
    }

    /// Whether anybody outside holds `chunk`.
    pub(super) fn is_outside(&self, chunk: ChunkId) -> bool {
        self.outside[chunk.as_usize()] > 0
    }

    /// Records that one more holds `chunk`, or one less.
    pub(super) fn count(&mut self, far: bool, chunk: ChunkId, more: bool) {
        let at = chunk.as_usize();
        self.offered -= u32::from(self.is_offered(at));
        let count = if far { &mut self.outside[at] } else { &mut self.inside[at] };
        let before = *count;
        *count = if more { before + 1 } else { before - 1 };
        self.entered += u64::from(!far && more && before == 0);
        self.offered += u32::from(self.is_offered(at));
        if !far && (before == 0 || self.inside[at] == 0) {
            self.refresh(chunk);
        }
    }

    pub(super) fn set_levels(&mut self, levels: Levels) {
        if self.levels != levels {
            self.levels = levels;
            self.refresh_all();
        }
    }

    /// Takes in that the members have changed.
    pub(super) fn refresh_members(&mut self) {
        self.members.settle();
        self.refresh_all();
    }

    fn refresh_all(&mut self) {
        self.layout.chunks().for_each(|chunk| self.refresh(chunk));
    }

    fn refresh(&mut self, chunk: ChunkId) {
        _ = if self.is_open(chunk) { self.open.insert(chunk) } else { self.open.remove(chunk) };
    }

    fn is_open(&self, chunk: ChunkId) -> bool {
        let ahead = self.members.ahead(chunk);
        if self.inside[chunk.as_usize()] == 0 { ahead <= self.levels.zone } else { ahead < self.levels.own }
    }

    fn is_offered(&self, at: usize) -> bool {
        self.inside[at] == 0 && self.outside[at] > 0
    }

    /// Bytes that it has allocated.
    pub(super) fn footprint(&self) -> usize {
        list(&self.inside) + list(&self.outside) + self.open.footprint() + self.members.footprint()
    }

    /// Checks the counts against what they count: for each chunk, how many inside and outside hold it.
    pub(super) fn check_invariants(&self, holders: impl Fn(ChunkId) -> (usize, usize)) {
        self.members.check_invariants();
        let mut offered = 0;
        for chunk in self.layout.chunks() {
            let at = chunk.as_usize();
            let counted = (usize::from(self.inside[at]), usize::from(self.outside[at]));
            assert_eq!(counted, holders(chunk), "who holds {chunk:?} inside and outside");
            assert_eq!(self.open.contains(chunk), self.is_open(chunk), "what is open follows from the rest: {chunk:?}");
            offered += u32::from(self.is_offered(at));
        }
        assert_eq!(offered, self.offered, "what is offered is counted");
    }
}
