//! Board: the state of every chunk and of every source, and the counts that connect the two.
//!
//! The picker asks "what does this one hold that we need", the uploader "how much does that one lack"; both would cost a walk
//! over all chunks per question. The counts are kept instead: news from a neighbour costs one step per chunk, a step of our own one per
//! neighbour.
//!
//! Invariant: for every source, `gain` is the number of chunks that we hold and it does not, `want` of those that it holds and
//! that are not taken; `taken` is what we hold, withhold, verify, or have claimed by a request; `copies` counts the spreading sources.
//! Nothing is both held and withheld.
//!
//! Not here: choices. Every method records a fact.

use std::collections::BTreeMap;

use crate::bitfield::Bitfield;
use crate::chunk::{ChunkId, Layout};
use crate::swarm::border::Border;
use crate::swarm::endgame::SOURCES_PER_CHUNK;
use crate::swarm::event::SourceId;
use crate::swarm::footprint::{list, tree};
use crate::swarm::source::{Fetching, Source};
use crate::units::Time;

/// A chunk that is fetched from one source at a time.
#[derive(Clone, Copy, Debug, Default)]
struct Alone {
    /// Requests for it that were given up.
    given_up: u32,
    /// Who brought it last.
    brought_by: Option<SourceId>,
}

/// What is known.
#[derive(Clone, Debug)]
pub(super) struct Board {
    layout: Layout,
    have: Bitfield,
    taken: Bitfield,
    /// What may be here already.
    withheld: Bitfield,
    claims: Vec<u16>,
    verifying: Vec<u16>,
    copies: Vec<u16>,
    /// Chunks that several sources got wrong together: from now on each is fetched from one source at a time.
    alone: BTreeMap<ChunkId, Alone>,
    sources: BTreeMap<SourceId, Source>,
    /// Only who is in a zone has one.
    border: Option<Border>,
}

impl Board {
    /// What somebody knows who holds `have` and has met nobody; in a zone, with its id as a member.
    pub(super) fn new(have: Bitfield, member: Option<u64>) -> Self {
        let layout = have.layout();
        let count = layout.count() as usize;
        Self {
            border: member.map(|id| Border::new(id, &have)),
            layout,
            taken: have.clone(),
            withheld: Bitfield::none(layout),
            have,
            claims: vec![0; count],
            verifying: vec![0; count],
            copies: vec![0; count],
            alone: BTreeMap::new(),
            sources: BTreeMap::new(),
        }
    }

    pub(super) const fn layout(&self) -> Layout {
        self.layout
    }

    pub(super) const fn have(&self) -> &Bitfield {
        &self.have
    }

    pub(super) const fn taken(&self) -> &Bitfield {
        &self.taken
    }

    pub(super) const fn withheld(&self) -> &Bitfield {
        &self.withheld
    }

    /// Whether `chunk` is fetched from one source at a time.
    pub(super) fn is_alone(&self, chunk: ChunkId) -> bool {
        self.alone.contains_key(&chunk)
    }

    /// Records that `chunk` is to be fetched from one source at a time, until we hold it.
    pub(super) fn set_alone(&mut self, chunk: ChunkId) {
        self.alone.entry(chunk).or_default();
    }

    /// How often a request for `chunk` alone was given up.
    pub(super) fn given_up_alone(&self, chunk: ChunkId) -> u32 {
        self.alone.get(&chunk).map_or(0, |alone| alone.given_up)
    }

    /// Records that a request for `chunk` alone was given up.
    pub(super) fn give_up_alone(&mut self, chunk: ChunkId) {
        if let Some(alone) = self.alone.get_mut(&chunk) {
            alone.given_up += 1;
        }
    }

    /// Records who brought all of `chunk`, if it is fetched from one source at a time.
    pub(super) fn bring_alone(&mut self, chunk: ChunkId, id: SourceId) {
        if let Some(alone) = self.alone.get_mut(&chunk) {
            alone.brought_by = Some(id);
        }
    }

    /// Who brought all of `chunk` the last time; asked once.
    pub(super) fn take_bringer(&mut self, chunk: ChunkId) -> Option<SourceId> {
        self.alone.get_mut(&chunk)?.brought_by.take()
    }

    pub(super) fn is_verifying(&self, chunk: ChunkId) -> bool {
        self.verifying[chunk.as_usize()] > 0
    }

    /// Requests that claim `chunk`.
    pub(super) fn claims(&self, chunk: ChunkId) -> u16 {
        self.claims[chunk.as_usize()]
    }

    /// Neighbours that hold `chunk`, publishers not counted: its rarity.
    pub(super) fn copies(&self, chunk: ChunkId) -> u16 {
        self.copies[chunk.as_usize()]
    }

    pub(super) const fn border(&self) -> Option<&Border> {
        self.border.as_ref()
    }

    pub(super) const fn border_mut(&mut self) -> Option<&mut Border> {
        self.border.as_mut()
    }

    pub(super) const fn sources(&self) -> &BTreeMap<SourceId, Source> {
        &self.sources
    }

    pub(super) fn source(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(&id)
    }

    /// For changes of what does not enter into the counts.
    pub(super) fn source_mut(&mut self, id: SourceId) -> Option<&mut Source> {
        self.sources.get_mut(&id)
    }

    pub(super) fn sources_mut(&mut self) -> impl Iterator<Item = (SourceId, &mut Source)> {
        self.sources.iter_mut().map(|(id, source)| (*id, source))
    }

    /// Number of publishers among the sources that can be relied upon, and of those that stand before `order`.
    pub(super) fn publishers(&self, order: u64) -> (u32, u32) {
        let publishers = self.sources.values().filter(|s| s.profile.publisher && s.silent.is_none());
        publishers.fold((0, 0), |(count, before), s| (count + 1, before + u32::from(s.profile.order < order)))
    }

    pub(super) fn join(&mut self, id: SourceId, source: Source) {
        let local = source.profile.local;
        self.sources.insert(id, source);
        self.replace(id, if local { Bitfield::all(self.layout) } else { Bitfield::none(self.layout) });
    }

    /// Takes a source out, with its claims and copies.
    pub(super) fn leave(&mut self, id: SourceId) -> Option<Source> {
        self.replace(id, Bitfield::none(self.layout));
        let source = self.sources.remove(&id)?;
        for fetching in source.fetching.iter().filter(|f| f.claims) {
            self.unclaim(fetching.chunk);
        }
        Some(source)
    }

    /// Replaces what is known of a source.
    pub(super) fn replace(&mut self, id: SourceId, chunks: Bitfield) {
        let Some(source) = self.sources.get_mut(&id) else { return };
        if source.spreads() {
            source.known.iter().for_each(|c| self.copies[c.as_usize()] -= 1);
            chunks.iter().for_each(|c| self.copies[c.as_usize()] += 1);
        }
        if let Some(border) = self.border.as_mut().filter(|_| source.is_relied_on()) {
            // What stays is counted up before it is counted down, as it comes into the zone but once.
            chunks.iter().for_each(|c| border.count(source.far, c, true));
            source.known.iter().for_each(|c| border.count(source.far, c, false));
        }
        source.gain = self.have.count_outside(&chunks);
        source.want = chunks.count_outside(&self.taken);
        source.known = chunks;
    }

    /// Adds to what is known of a source; false when it was known.
    pub(super) fn learn(&mut self, id: SourceId, chunk: ChunkId) -> bool {
        let Some(source) = self.sources.get_mut(&id) else { return false };
        if !source.known.insert(chunk) {
            return false;
        }
        source.gain -= u32::from(self.have.contains(chunk));
        source.want += u32::from(!self.taken.contains(chunk));
        self.copies[chunk.as_usize()] += u16::from(source.spreads());
        if let Some(border) = self.border.as_mut().filter(|_| source.is_relied_on()) {
            border.count(source.far, chunk, true);
        }
        true
    }

    /// Records that a source is silent and when to try it again, or that it is not.
    pub(super) fn set_silent(&mut self, id: SourceId, silent: Option<Time>) {
        self.change_reliance(id, |source| source.silent = silent);
    }

    /// Records whether a source is thin.
    pub(super) fn set_thin(&mut self, id: SourceId, thin: bool) {
        self.change_reliance(id, |source| source.thin = thin);
    }

    fn change_reliance(&mut self, id: SourceId, change: impl FnOnce(&mut Source)) {
        let Some(source) = self.sources.get_mut(&id) else { return };
        let (spread, relied_on) = (source.spreads(), source.is_relied_on());
        change(source);
        if let Some(border) = self.border.as_mut().filter(|_| source.is_relied_on() != relied_on) {
            source.known.iter().for_each(|c| border.count(source.far, c, !relied_on));
        }
        match (spread, source.spreads()) {
            (true, false) => source.known.iter().for_each(|c| self.copies[c.as_usize()] -= 1),
            (false, true) => source.known.iter().for_each(|c| self.copies[c.as_usize()] += 1),
            _ => {}
        }
    }

    /// Records a new request.
    pub(super) fn fetch(&mut self, id: SourceId, fetching: Fetching) {
        let source = self.sources.get_mut(&id).expect("only a source that is here is asked");
        debug_assert!(!source.is_busy_with(fetching.asked), "source and asked chunk name a request");
        let (chunk, claims) = (fetching.chunk, fetching.claims);
        source.fetching.push(fetching);
        if claims {
            self.claim(chunk);
        }
    }

    /// Takes a request out; its claim ends.
    pub(super) fn end_fetch(&mut self, id: SourceId, asked: ChunkId) -> Option<Fetching> {
        let source = self.sources.get_mut(&id)?;
        let index = source.fetching.iter().position(|f| f.asked == asked)?;
        let fetching = source.fetching.remove(index);
        if fetching.claims {
            self.unclaim(fetching.chunk);
        }
        Some(fetching)
    }

    /// Changes whether a request claims, and for which chunk.
    pub(super) fn set_claim(&mut self, id: SourceId, asked: ChunkId, chunk: ChunkId, claims: bool) {
        let Some(fetching) = self.sources.get_mut(&id).and_then(|s| s.fetching(asked)) else { return };
        let (old, claimed) = (fetching.chunk, fetching.claims);
        (fetching.chunk, fetching.claims) = (chunk, claims);
        if claims {
            self.claim(chunk);
        }
        if claimed {
            self.unclaim(old);
        }
    }

    pub(super) fn begin_verifying(&mut self, chunk: ChunkId) {
        self.verifying[chunk.as_usize()] += 1;
        self.refresh(chunk);
    }

    pub(super) fn end_verifying(&mut self, chunk: ChunkId) {
        let verifying = &mut self.verifying[chunk.as_usize()];
        *verifying = verifying.saturating_sub(1);
        self.refresh(chunk);
    }

    /// Records that we hold `chunk`; false when we did.
    pub(super) fn gain(&mut self, chunk: ChunkId) -> bool {
        if !self.have.insert(chunk) {
            return false;
        }
        self.withheld.remove(chunk);
        self.alone.remove(&chunk);
        self.border.iter_mut().for_each(|border| border.count(false, chunk, true));
        self.sources.values_mut().for_each(|s| s.gain += u32::from(!s.known.contains(chunk)));
        self.refresh(chunk);
        true
    }

    /// Records that these may be here; what is held already is.
    pub(super) fn withhold(&mut self, chunks: &Bitfield) {
        for chunk in chunks.iter().filter(|chunk| !self.have.contains(*chunk)).collect::<Vec<_>>() {
            self.withheld.insert(chunk);
            self.refresh(chunk);
        }
    }

    /// Records that this one is not here, or not known to be.
    pub(super) fn release(&mut self, chunk: ChunkId) {
        self.withheld.remove(chunk);
        self.refresh(chunk);
    }

    /// Records that we do not hold `chunk` any more; false when we did not.
    pub(super) fn lose(&mut self, chunk: ChunkId) -> bool {
        if !self.have.remove(chunk) {
            return false;
        }
        self.border.iter_mut().for_each(|border| border.count(false, chunk, false));
        self.sources.values_mut().for_each(|s| s.gain -= u32::from(!s.known.contains(chunk)));
        self.refresh(chunk);
        true
    }

    fn claim(&mut self, chunk: ChunkId) {
        self.claims[chunk.as_usize()] += 1;
        self.refresh(chunk);
    }

    fn unclaim(&mut self, chunk: ChunkId) {
        self.claims[chunk.as_usize()] -= 1;
        self.refresh(chunk);
    }

    fn is_taken(&self, chunk: ChunkId) -> bool {
        self.have.contains(chunk) || self.withheld.contains(chunk) || self.is_verifying(chunk) || self.claims(chunk) > 0
    }

    fn refresh(&mut self, chunk: ChunkId) {
        if self.is_taken(chunk) {
            if self.taken.insert(chunk) {
                self.sources.values_mut().for_each(|s| s.want -= u32::from(s.known.contains(chunk)));
            }
        } else if self.taken.remove(chunk) {
            self.sources.values_mut().for_each(|s| s.want += u32::from(s.known.contains(chunk)));
        }
    }

    /// Bytes that it has allocated.
    pub(super) fn footprint(&self) -> usize {
        let sets = [&self.have, &self.taken, &self.withheld].map(Bitfield::footprint);
        let counts = [&self.claims, &self.verifying, &self.copies].map(list);
        let sources = tree(&self.sources) + self.sources.values().map(Source::footprint).sum::<usize>();
        let border = self.border.as_ref().map_or(0, Border::footprint);
        sets.iter().chain(&counts).sum::<usize>() + tree(&self.alone) + sources + border
    }

    pub(super) fn check_invariants(&self) {
        let mut claims = vec![0; self.claims.len()];
        let mut copies = vec![0; self.copies.len()];
        for (id, source) in &self.sources {
            assert_eq!(source.gain, self.have.count_outside(&source.known), "gain of {id:?}");
            assert_eq!(source.want, source.known.count_outside(&self.taken), "want of {id:?}");
            if source.spreads() {
                source.known.iter().for_each(|c| copies[c.as_usize()] += 1);
            }
            source.fetching.iter().filter(|f| f.claims).for_each(|f| claims[f.chunk.as_usize()] += 1);
            assert!(source.fetching.iter().all(|f| !(f.cancelled && f.claims)), "a cancelled request claims nothing");
            assert!(
                source.silent.is_none() || source.fetching.iter().all(|f| !f.claims),
                "who is silent claims nothing"
            );
            let mut asked: Vec<ChunkId> = source.fetching.iter().map(|f| f.asked).collect();
            asked.sort_unstable();
            assert!(asked.windows(2).all(|two| two[0] != two[1]), "one request per source and asked chunk");
        }
        let holders = |chunk| {
            let count = |far| self.sources.values().filter(move |s| s.far == far && s.is_relied_on());
            let [inside, outside] = [false, true].map(|far| count(far).filter(|s| s.known.contains(chunk)).count());
            (inside + usize::from(self.have.contains(chunk)), outside)
        };
        self.border.iter().for_each(|border| border.check_invariants(holders));
        assert!(self.claims.iter().all(|claims| *claims <= SOURCES_PER_CHUNK), "few requests claim one chunk");
        assert!(self.withheld.iter().all(|chunk| !self.have.contains(chunk)), "what is held is not withheld");
        assert!(self.alone.keys().all(|c| self.claims(*c) <= 1), "what is fetched alone has one claim");
        assert_eq!(claims, self.claims, "claims are those of the requests");
        assert_eq!(copies, self.copies, "copies are those of the neighbours");
        assert!(
            self.layout.chunks().all(|c| self.taken.contains(c) == self.is_taken(c)),
            "taken follows from the rest"
        );
    }
}
