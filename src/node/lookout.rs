//! Lookout: asks for lists of peers and looks their names up, over and over, and makes candidates of what is found.
//!
//! Every name has a task of its own, so that one that nobody answers for keeps no other waiting. A list or a name that fails is told
//! once, until it has worked again: a log that repeats itself every three seconds is not read.
//!
//! Invariant: a failed question changes nothing of what is known; who is not listed any more is not dialled any more, and a link
//! that is there stays.
//!
//! Not here: what stands on which list (`roster`), when an address is due (`candidates`), how a list is asked for (`discovery`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::Node;
use super::candidates::Origin;
use super::error::NodeError;
use super::event::Event;
use super::report::Report;
use super::roster::Roster;
use crate::discovery::{Host, Listing, PeerName, PollError, Poller, ResolveError, Resolver};
use crate::units::Rng;

/// Names are looked up again so often, since peers come and go behind them.
const RESOLVE_EVERY: Duration = Duration::from_secs(30);
/// A name that could not be looked up is tried again so soon.
const RESOLVE_RETRY: Duration = Duration::from_secs(3);
/// Failures after which a list is asked for less and less often (4: who restarts a web server needs about ten seconds).
const PATIENT_FAILURES: u32 = 4;
/// The longest pause between two questions for a list that cannot be had, unless the user's own is longer: a list that comes back is
/// noticed within this time.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Things to complain about that are remembered, so that each is told once; beyond that nothing more is told (256: whoever writes
/// the list decides how many there are).
const COMPLAINTS_MAX: usize = 256;
/// Names that a report of a changed list tells (16: a line that can be read; the numbers are told in full).
const NAMES_TOLD: usize = 16;

/// What is known of the lists, and who looks up what.
#[derive(Default)]
pub(super) struct Lookout {
    pub(super) roster: Roster,
    /// Looks up the names on the list that changes.
    listed: Option<Resolver>,
    system: Option<Resolver>,
    tasks: BTreeMap<PeerName, AbortHandle>,
    complaints: BTreeSet<String>,
    /// Whether anything was told of the list.
    told: bool,
    /// Whether the list could be had when it was asked for last; `None` before.
    had: Option<bool>,
}

impl Node {
    /// Begins to look up the names on the command line, and to ask for the list that changes.
    pub(super) fn look_out(&mut self) -> Result<(), NodeError> {
        let system = Resolver::from_system();
        let provider = self.config.lists.provider.clone();
        self.lookout.roster = Roster::new(self.config.peers.iter().cloned(), provider.is_some());
        if let Some(provider) = provider {
            let poller = Poller::new(provider, &self.config.lists, &system)?;
            self.lookout.listed = Some(poller.resolver(&system));
            self.poll(poller);
        }
        self.lookout.system = Some(system);
        for peer in self.config.peers.clone() {
            self.look_up(peer, false);
        }
        Ok(())
    }

    /// Asks for the list again and again.
    fn poll(&self, poller: Poller) {
        let (events, interval) = (self.events.clone(), self.config.lists.interval);
        let mut rng = Rng::with_seed(u64::from_le_bytes(super::start::random()));
        self.events.spawn(async move {
            let mut failures = 0;
            while events.is_heard() {
                let outcome = poller.ask().await;
                failures = if outcome.is_ok() { 0 } else { failures + 1 };
                events.send(Event::Polled(outcome));
                tokio::time::sleep(pause(interval, failures, &mut rng)).await;
            }
        });
    }

    /// Looks a name up, now and from time to time.
    fn look_up(&mut self, peer: PeerName, listed: bool) {
        if let Host::Address(ip) = peer.host() {
            let address = SocketAddr::new(*ip, peer.port());
            return self.on_resolved(&peer, Ok(vec![address]));
        }
        let resolver = if listed { &self.lookout.listed } else { &self.lookout.system };
        let Some(resolver) = resolver.clone() else { return };
        let (events, name) = (self.events.clone(), peer.clone());
        let task = self.events.spawn(async move {
            while events.is_heard() {
                let outcome = resolver.resolve(&name).await;
                let pause = if outcome.is_ok() { RESOLVE_EVERY } else { RESOLVE_RETRY };
                events.send(Event::Resolved { name: name.clone(), outcome });
                tokio::time::sleep(pause).await;
            }
        });
        self.lookout.tasks.insert(peer, task);
    }

    /// The list came, or did not.
    pub(super) fn on_polled(&mut self, outcome: Result<Listing, PollError>) {
        let listing = match outcome {
            Ok(listing) => listing,
            Err(error) => return self.on_no_list(&error),
        };
        if self.lookout.had.replace(true) == Some(false) {
            tracing::info!("the peer list is there again");
        }
        for fault in listing.faults {
            let from = self.config.lists.provider.as_ref().map(ToString::to_string).unwrap_or_default();
            self.complain(format!("in the peer list {from}, {fault}"));
        }
        let first = !std::mem::replace(&mut self.lookout.told, true);
        let change = self.lookout.roster.take(&listing.peers);
        for name in &change.ended {
            if let Some(task) = self.lookout.tasks.remove(name) {
                task.abort();
            }
        }
        self.candidates.unlist(&change.gone);
        for name in change.begun {
            self.look_up(name, true);
        }
        if first || !change.added.is_empty() || !change.removed.is_empty() {
            let told = |names: Vec<PeerName>| names.iter().take(NAMES_TOLD).map(ToString::to_string).collect();
            let peers = u32::try_from(self.lookout.roster.listed()).unwrap_or(u32::MAX);
            let (added, removed) = (told(change.added), told(change.removed));
            self.reports.send(Report::Listed { peers, added, removed });
        }
    }

    fn on_no_list(&mut self, error: &PollError) {
        self.lookout.roster.failed_to_ask();
        let text = with_causes(error);
        if self.lookout.had.replace(false) == Some(false) {
            tracing::debug!("still no peer list: {text}");
        } else {
            self.reports.send(Report::Warning(format!("{text}; going on with what is known, and trying again")));
        }
        self.last_failure = Some(text);
    }

    /// A name was looked up, or not; it is looked up again after a while either way.
    pub(super) fn on_resolved(&mut self, name: &PeerName, outcome: Result<Vec<SocketAddr>, ResolveError>) {
        match outcome {
            Ok(addresses) => {
                let Some(gone) = self.lookout.roster.resolved(name, &addresses) else { return };
                if !gone.is_empty() {
                    self.candidates.unlist(&gone);
                }
                let now = self.clock.now();
                addresses.into_iter().for_each(|address| self.candidates.add(address, Origin::Listed, now));
            }
            Err(error) => {
                self.lookout.roster.unresolved(name);
                // The error names the peer itself.
                let text = with_causes(&error);
                self.complain(text.clone());
                self.last_failure = Some(text);
            }
        }
    }

    /// Tells something once.
    fn complain(&mut self, text: String) {
        if self.lookout.complaints.len() < COMPLAINTS_MAX && self.lookout.complaints.insert(text.clone()) {
            self.reports.send(Report::Warning(text));
        }
    }
}

/// The pause before a list is asked for again: a fifth up or down, so that a fleet that was started at once does not ask in step.
fn pause(interval: Duration, failures: u32, rng: &mut Rng) -> Duration {
    let doublings = failures.saturating_sub(PATIENT_FAILURES).min(8);
    let pause = interval.saturating_mul(1 << doublings).min(PAUSE_MAX.max(interval));
    pause.mul_f64(0.8 + 0.4 * rng.f64())
}

/// An error and its causes in one sentence.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_cannot_be_had_is_asked_for_less_often_after_a_while_and_never_in_step() {
        let mut rng = Rng::with_seed(1);
        let mut of = |interval, failures| pause(Duration::from_secs(interval), failures, &mut rng).as_secs_f64();
        assert!((0..=4).all(|failures| (2.4..=3.6).contains(&of(3, failures))));
        assert!((9.6..=14.4).contains(&of(3, 6)) && (24.0..=36.0).contains(&of(3, 400)));
        assert!((48.0..=72.0).contains(&of(60, 400)), "the user's own pause holds");
        let pauses: Vec<f64> = (0..20).map(|_| of(3, 0)).collect();
        assert!(pauses.iter().any(|pause| (pause - pauses[0]).abs() > 0.01), "{pauses:?}");
    }
}
