//! Debt: chunks that a neighbour got from this publisher first and that nobody else holds yet.
//!
//! A chunk whose only other holder has a thin uplink is as good as not sent: the rest waits for it, and in the end the publisher sends
//! it again. How quickly a neighbour takes chunks in says nothing of that, so it is measured by what the haves of the others show. In
//! the first pass those who owe more than the rest are served last, and only where the uplink would idle otherwise; as what they
//! owe is fetched from them, they get as much as they pass on. With one of eight uplinks at a tenth of the others, 383 of 4096 chunks
//! stayed at that peer and the others' uplinks idled for a tenth of the time; with this rule few do, and 88 % of the bound became 99 %,
//! at 1 MiB chunks 93 % became 98 % (simulated).
//!
//! Invariant: `owed` counts the chunks for which `debtor` names that neighbour.
//!
//! Not here: how quickly a neighbour takes what it is sent (`uploader`).

use std::collections::BTreeMap;

use crate::chunk::ChunkId;
use crate::swarm::Swarm;
use crate::swarm::board::Board;
use crate::swarm::event::SourceId;
use crate::swarm::footprint::{list, tree};

/// A neighbour that owes more than this many times the median is in debt: those who pass on alike stay within it. Three times, or
/// two chunks more, cost half a point of the makespan at 1 MiB (simulated).
const DEEP_FACTOR: u32 = 2;

/// Uploads to others from which on a neighbour in debt waits: one that is sent and one that follows it keep the uplink busy. Without
/// waiting the order alone changes nothing, as turns are seldom short (simulated).
const UPLOADS_BEFORE_DEBTORS: usize = 2;

/// Who owes what.
#[derive(Clone, Debug)]
pub(super) struct Debts {
    debtor: Vec<Option<SourceId>>,
    owed: BTreeMap<SourceId, u32>,
}

impl Debts {
    pub(super) fn new(count: usize) -> Self {
        Self { debtor: vec![None; count], owed: BTreeMap::new() }
    }

    /// Chunks that `id` owes.
    pub(super) fn of(&self, id: SourceId) -> u32 {
        self.owed.get(&id).copied().unwrap_or(0)
    }

    /// Takes in who got `chunk` from us first, or what neighbours hold, after either has changed.
    pub(super) fn refresh(&mut self, board: &Board, chunk: ChunkId, sent_to: Option<SourceId>) {
        let debtor = sent_to.filter(|id| owes(board, *id, chunk));
        let before = std::mem::replace(&mut self.debtor[chunk.as_usize()], debtor);
        if before == debtor {
            return;
        }
        if let Some(id) = before {
            let owed = self.owed.entry(id).or_default();
            *owed = owed.saturating_sub(1);
            if *owed == 0 {
                self.owed.remove(&id);
            }
        }
        if let Some(id) = debtor {
            *self.owed.entry(id).or_default() += 1;
        }
    }

    /// Bytes that they have allocated.
    pub(super) fn footprint(&self) -> usize {
        list(&self.debtor) + tree(&self.owed)
    }

    pub(super) fn check_invariants(&self, board: &Board, sent_to: &[Option<SourceId>]) {
        let mut owed = BTreeMap::new();
        for chunk in board.layout().chunks() {
            let debtor = sent_to[chunk.as_usize()].filter(|id| owes(board, *id, chunk));
            assert_eq!(self.debtor[chunk.as_usize()], debtor, "who owes {chunk:?}");
            debtor.into_iter().for_each(|id| *owed.entry(id).or_default() += 1);
        }
        assert_eq!(owed, self.owed, "debts are counted");
    }
}

/// Whether `id`, which was sent `chunk`, is the only neighbour that may hold it.
fn owes(board: &Board, id: SourceId, chunk: ChunkId) -> bool {
    board.source(id).is_some_and(|s| s.spreads() && board.copies(chunk) == u16::from(s.known.contains(chunk)))
}

impl Swarm {
    /// During the first pass: the debt beyond which a neighbour is in debt, `DEEP_FACTOR` times the median.
    pub(super) fn debt_limit(&self) -> Option<u32> {
        let pass = self.first_pass.as_ref().filter(|pass| !pass.is_over())?;
        let spreading = self.board.sources().iter().filter(|(_, source)| source.spreads());
        let mut debts: Vec<u32> = spreading.map(|(id, _)| pass.debts().of(*id)).collect();
        if debts.is_empty() {
            return None;
        }
        let middle = debts.len() / 2;
        Some(DEEP_FACTOR * *debts.select_nth_unstable(middle).1)
    }

    /// Whether `id` owes more than `limit`.
    pub(super) fn is_in_debt(&self, id: SourceId, limit: Option<u32>) -> bool {
        let debt = || self.first_pass.as_ref().map_or(0, |pass| pass.debts().of(id));
        limit.is_some_and(|limit| debt() > limit)
    }

    /// Whether a neighbour in debt has to wait, with this many uploads under way.
    pub(super) const fn is_put_off(in_debt: bool, uploads: usize) -> bool {
        in_debt && uploads >= UPLOADS_BEFORE_DEBTORS
    }
}
