//! Faults: what is due now, of all that a scenario has go wrong.
//!
//! A fault happens once, at a time or when the run has come so far; what has an end of its own, a freeze or a cut, leaves that behind as
//! another thing that is due. Progress is what the links have carried, so that it means the same for every contender.
//!
//! Invariant: pure: no clock, no process. The same progress makes the same faults due.
//!
//! Not here: doing them (`race`).

use std::time::Duration;

use super::quantity::Rate;
use super::scenario::{Fault, What, When};

/// How far a run is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// Since the last start of the first wave; `None` before it.
    pub(crate) since: Option<Duration>,
    /// What judged peers have received on average, as a share of the data.
    pub(crate) share: f64,
    /// What the seeder has sent, in copies.
    pub(crate) copies: f64,
    /// Waves that are complete.
    pub(crate) waves: usize,
}

/// Something to be done to some machines.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deed {
    pub(crate) hosts: Vec<String>,
    pub(crate) act: Act,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Act {
    Kill,
    Leave,
    Freeze,
    Thaw,
    Rate { up: Rate, down: Rate },
    Cut,
    Heal,
}

/// Faults that are still to come.
pub(crate) struct Faults {
    waiting: Vec<Fault>,
    ends: Vec<(Duration, Deed)>,
}

impl Faults {
    /// All of a scenario.
    pub(crate) fn new(faults: &[Fault]) -> Self {
        Self { waiting: faults.to_vec(), ends: Vec::new() }
    }

    /// What is due; it will not be due again.
    pub(crate) fn due(&mut self, progress: Progress) -> Vec<Deed> {
        let Some(since) = progress.since else { return Vec::new() };
        let mut deeds = Vec::new();
        self.ends.retain(|(at, deed)| {
            let is_due = since >= *at;
            if is_due {
                deeds.push(deed.clone());
            }
            !is_due
        });
        let is_due = |fault: &mut Fault| match fault.when {
            When::After(span) => since >= span.0,
            When::Share(share) => progress.share >= share,
            When::Copies(copies) => progress.copies >= copies,
            When::Wave(wave) => progress.waves >= wave,
        };
        for fault in self.waiting.extract_if(.., is_due) {
            let deed = |act| Deed { hosts: fault.hosts.clone(), act };
            let (now, end) = match fault.what {
                What::Kill => (Act::Kill, None),
                What::Leave => (Act::Leave, None),
                What::Rate { up, down } => (Act::Rate { up, down }, None),
                What::Freeze(span) => (Act::Freeze, Some((span, Act::Thaw))),
                What::Cut(span) => (Act::Cut, Some((span, Act::Heal))),
            };
            deeds.push(deed(now));
            self.ends.extend(end.map(|(span, act)| (since + span.0, deed(act))));
        }
        deeds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::quantity::Span;

    fn fault(when: When, what: What) -> Fault {
        Fault { hosts: vec!["peer-1".into()], when, what }
    }

    fn acts(faults: &mut Faults, progress: Progress) -> Vec<Act> {
        faults.due(progress).into_iter().map(|deed| deed.act).collect()
    }

    #[test]
    fn a_fault_happens_once_and_when_it_is_due() {
        let second = Duration::from_secs(1);
        let mut faults = Faults::new(&[
            fault(When::After(Span(second)), What::Kill),
            fault(When::Share(0.5), What::Leave),
            fault(When::Wave(1), What::Kill),
        ]);
        assert_eq!(acts(&mut faults, Progress { share: 1.0, waves: 1, ..Progress::default() }), [], "nothing runs yet");
        let mut at = Progress { since: Some(second / 2), share: 0.4, ..Progress::default() };
        assert_eq!(acts(&mut faults, at), []);
        at.share = 0.5;
        assert_eq!(acts(&mut faults, at), [Act::Leave]);
        at.since = Some(second);
        assert_eq!(acts(&mut faults, at), [Act::Kill]);
        at.waves = 1;
        assert_eq!(acts(&mut faults, at), [Act::Kill]);
        assert_eq!(acts(&mut faults, at), []);
    }

    #[test]
    fn a_freeze_ends_when_its_time_is_over() {
        let second = Duration::from_secs(1);
        let mut faults = Faults::new(&[fault(When::Copies(1.0), What::Freeze(Span(3 * second)))]);
        let at = |seconds, copies| Progress { since: Some(seconds * second), copies, ..Progress::default() };
        assert_eq!(acts(&mut faults, at(1, 0.9)), []);
        assert_eq!(acts(&mut faults, at(2, 1.0)), [Act::Freeze]);
        assert_eq!(acts(&mut faults, at(4, 1.0)), []);
        assert_eq!(acts(&mut faults, at(5, 1.0)), [Act::Thaw]);
        assert_eq!(acts(&mut faults, at(60, 9.0)), []);
    }
}
