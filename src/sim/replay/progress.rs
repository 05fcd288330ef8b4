//! Progress: when the content was known, when the first chunk came, and when nothing came.
//!
//! Invariant: `held` is what was here at the beginning and what was verified since, without what was lost.
//!
//! Not here: why (`requests`, `sources`).

use std::time::Duration;

use crate::bitfield::Bitfield;
use crate::swarm::{Input, Output};
use crate::units::Time;

/// When what was there.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Chunks that were here at the beginning.
    pub kept: u32,
    /// Chunks of the content.
    pub count: u32,
    /// When the content began.
    pub begun: Time,
    /// When the first source joined.
    pub joined: Option<Time>,
    /// When the first chunk was asked for.
    pub asked: Option<Time>,
    /// When the first chunk had come, verified or not.
    pub came: Option<Time>,
    /// When the last chunk was verified.
    pub complete: Option<Time>,
    held: Bitfield,
    /// Each verified chunk that was news, with how many were held then.
    gains: Vec<(Time, u32)>,
}

impl Progress {
    pub(super) fn new(have: &Bitfield, begun: Time) -> Self {
        Self {
            kept: have.len(),
            count: have.layout().count(),
            begun,
            joined: None,
            asked: None,
            came: None,
            complete: have.is_full().then_some(begun),
            held: have.clone(),
            gains: Vec::new(),
        }
    }

    pub(super) fn on_input(&mut self, now: Time, input: &Input) {
        match input {
            Input::Joined { .. } => _ = self.joined.get_or_insert(now),
            Input::Fetched { .. } => _ = self.came.get_or_insert(now),
            Input::Verified { chunk, .. } if self.held.insert(*chunk) => {
                self.gains.push((now, self.held.len()));
                if self.held.is_full() {
                    self.complete = Some(now);
                }
            }
            Input::Lost { chunk } if self.held.remove(*chunk) => self.complete = None,
            _ => {}
        }
    }

    pub(super) fn on_output(&mut self, now: Time, output: &Output) {
        if let Output::Fetch { .. } = output {
            self.asked.get_or_insert(now);
        }
    }

    /// Chunks that are here at the end.
    #[must_use]
    pub const fn held(&self) -> u32 {
        self.held.len()
    }

    /// When the first chunk was verified.
    #[must_use]
    pub fn first(&self) -> Option<Time> {
        self.gains.first().map(|(at, _)| *at)
    }

    /// When so many percent of the chunks were here.
    #[must_use]
    pub fn reached(&self, percent: u32) -> Option<Time> {
        let enough = |held: u32| u64::from(held) * 100 >= u64::from(self.count) * u64::from(percent);
        if enough(self.kept) {
            return Some(self.begun);
        }
        self.gains.iter().find(|(_, held)| enough(*held)).map(|(at, _)| *at)
    }

    /// The longest time without a verified chunk from `from` on, with its beginning, until everything was here or `until` came.
    #[must_use]
    pub fn longest_gap(&self, from: Time, until: Time) -> (Duration, Time) {
        let until = self.complete.map_or(until, |complete| complete.min(until));
        let within = self.gains.iter().map(|(at, _)| *at).filter(|at| (from..=until).contains(at));
        let (mut longest, mut since) = ((Duration::ZERO, from), from);
        for at in within.chain([until]) {
            if at.since(since) > longest.0 {
                longest = (at.since(since), since);
            }
            since = at;
        }
        longest
    }
}
