//! Pulse: whether a neighbour is alive, and when a chunk last went or came.
//!
//! QUIC notices a dead peer after ten seconds, and a machine that is frozen or cut off looks alive until then: what it was asked for
//! is late, what it asked for hangs, and it counts as somebody who holds what we hold. Packets tell earlier, because both sides send a
//! keep-alive every two seconds.
//!
//! Invariant: a pulse is felt, never guessed: only counters of the connection and of chunks move it.
//!
//! Not here: what follows from silence (`neighbourhood`, `lifecycle`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Node;
use super::links::{ACCEPT_MAX, ACCEPT_MAX_PUBLISHER, Link};
use super::neighbourhood::{SILENT, Standing};
use crate::swarm::{SourceId, SourceView};
use crate::units::Time;

/// Links beyond this many times the places let nobody else in, however many are silent: who is silent now may speak again.
const SILENT_FACTOR: usize = 2;

/// When a neighbour was heard and used last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pulse {
    since: Time,
    datagrams: u64,
    heard: Time,
    moved: u64,
    used: Time,
}

impl Pulse {
    /// Of a neighbour that has just said hello.
    pub(super) const fn new(now: Time) -> Self {
        Self { since: now, datagrams: 0, heard: now, moved: 0, used: now }
    }

    /// Takes in how many datagrams came from it so far, and how many bytes of chunks went or came.
    pub(super) fn feel(&mut self, datagrams: u64, moved: u64, now: Time) {
        if self.datagrams != datagrams {
            (self.datagrams, self.heard) = (datagrams, now);
        }
        if self.moved != moved {
            (self.moved, self.used) = (moved, now);
        }
    }

    /// How long nothing was heard.
    pub(super) fn silence(&self, now: Time) -> Duration {
        now - self.heard
    }

    /// Whether it answers, as far as anybody can tell.
    pub(super) fn answers(&self, now: Time) -> bool {
        self.silence(now) < SILENT
    }
}

impl Node {
    /// Feels the pulse of every neighbour.
    pub(super) fn feel_pulses(&mut self) {
        let now = self.clock.now();
        for (source, link) in self.links.iter_mut() {
            let datagrams = link.connection.stats().udp_rx.datagrams;
            link.pulse.feel(datagrams, self.totals.moved(source), now);
        }
    }

    /// Whether a source is a neighbour that answers.
    pub(super) fn answers(&self, source: SourceId, now: Time) -> bool {
        self.links.link(source).is_some_and(|link| link.pulse.answers(now))
    }

    /// Neighbours that count: whose packets come, who do not owe the swarm a word, and who do not bring much less than others. The swarm
    /// notices within a second or two what packets tell after five, and a dead neighbour's place matters at once where many die.
    pub(super) fn counted_on(&self) -> Vec<SourceId> {
        let now = self.clock.now();
        let aside = self.sources_that(|view| view.silent || view.lags);
        let counts = |source: &SourceId, link: &Link| link.pulse.answers(now) && !aside.contains(source);
        self.links.iter().filter(|(source, link)| counts(source, link)).map(|(source, _)| source).collect()
    }

    /// Places for neighbours here.
    pub(super) fn places(&self) -> usize {
        let publishes = self.content.as_ref().is_some_and(|content| content.press.is_some());
        if publishes { ACCEPT_MAX_PUBLISHER } else { ACCEPT_MAX }
    }

    /// Whether all places are taken. Whoever is silent takes none, within a bound: it may be heard again.
    pub(super) fn is_full(&self) -> bool {
        let (most, links) = (self.places(), self.links.len());
        links >= SILENT_FACTOR * most || links - self.sources_that(|view| view.silent).len() >= most
    }

    /// Neighbours of which this is true.
    fn sources_that(&self, is_true: impl Fn(&SourceView) -> bool) -> BTreeSet<SourceId> {
        let views = self.content.iter().flat_map(|content| content.swarm.sources());
        views.filter(is_true).map(|view| view.id).collect()
    }

    /// How every neighbour stands with us.
    pub(super) fn standings(&self) -> Vec<Standing> {
        let now = self.clock.now();
        let (mut views, mut held) = (BTreeMap::new(), 0);
        if let Some(content) = &self.content {
            held = content.swarm.have().len();
            views = content.swarm.sources().map(|view| (view.id, view)).collect::<BTreeMap<SourceId, SourceView>>();
        }
        let standing = |(source, link): (SourceId, &Link)| {
            let view = views.get(&source);
            Standing {
                source,
                age: now - link.pulse.since,
                silent: link.pulse.silence(now),
                idle: now - link.pulse.used,
                // Of what we hold it has all but its gain; what it holds beyond that we lack.
                gives: view.is_some_and(|view| view.known > held - view.gain),
                takes: view.is_some_and(|view| view.gain > 0),
                busy: view.is_some_and(|view| view.outstanding > 0 || view.queued > 0)
                    || self.content.as_ref().is_some_and(|content| content.is_sending_to(source)),
                publisher: link.hello.publisher,
            }
        };
        self.links.iter().map(standing).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time::ZERO + Duration::from_secs(secs)
    }

    #[test]
    fn a_neighbour_answers_as_long_as_packets_come_from_it() {
        let mut pulse = Pulse::new(at(0));
        pulse.feel(10, 0, at(4));
        pulse.feel(10, 5000, at(8));
        assert!(pulse.answers(at(8)) && !pulse.answers(at(9)), "bytes that we gave are no sign of life");
        assert_eq!(at(9) - pulse.used, Duration::from_secs(1));
        pulse.feel(11, 5000, at(20));
        assert!(pulse.answers(at(20)));
        assert_eq!(at(20) - pulse.used, Duration::from_secs(12));
    }
}
