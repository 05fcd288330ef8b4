//! Probing: what is noted for those who ask from outside, and the listener that tells it.
//!
//! Invariant: what is told is as old as a tick at most, and a completion is noted before it is printed, so that whoever reads that a run is
//! complete and asks then hears the same.
//!
//! Not here: the questions (`admin`), the flag (`probes`).

use std::net::SocketAddr;

use tokio::sync::watch;

use super::{Teller, unix_ms};
use crate::admin::{Audience, Probes, ProbesError, Status};
use crate::cli::config::Config;
use crate::cli::event::{Event, Warning};
use crate::cli::probes::Health;
use crate::cli::progress::{Rate, Work};
use crate::cli::sentence;
use crate::node::{Phase, Snapshot};
use crate::units::Time;

/// What is noted, and where it is told.
pub(super) struct Probing {
    health: Health,
    status: watch::Sender<Status>,
    probes: Option<Probes>,
    rate: Rate,
    phase: Phase,
}

impl Probing {
    pub(super) fn new(config: &Config) -> Self {
        let (status, _) = watch::channel(Status::of(&Snapshot::default()));
        Self { health: config.health, status, probes: None, rate: Rate::default(), phase: Phase::default() }
    }

    /// Listens where somebody said so.
    pub(super) fn begin(&mut self) -> Result<(), ProbesError> {
        let Health::At(address) = self.health else { return Ok(()) };
        self.probes = Some(Probes::start(address, Audience::Everybody, self.status.subscribe())?);
        Ok(())
    }

    /// Listens beside a node, unless it was said otherwise.
    fn listen_beside(&mut self, node: SocketAddr) -> Result<(), ProbesError> {
        if self.health == Health::Beside {
            self.probes = Some(Probes::start(node, Audience::ThisMachine, self.status.subscribe())?);
        }
        Ok(())
    }

    /// Where probes are answered, if they are.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.probes.as_ref().map(Probes::address)
    }

    /// Takes what the counters say at `now`, and how quickly they move.
    fn note(&mut self, now: Time, snapshot: &Snapshot, known: impl FnOnce(&mut Status)) {
        if snapshot.phase != self.phase && matches!(snapshot.phase, Phase::Verifying | Phase::Serving) {
            // Another counter from here on.
            self.rate = Rate::default();
        }
        self.phase = snapshot.phase;
        let work = Work::of(snapshot);
        self.rate.observe(now, work.counter);
        let rest = (snapshot.phase != Phase::Serving && work.rest.0 > 0).then_some(work.rest);
        let eta = rest.and_then(|rest| self.rate.time_for(rest));
        let mut status = Status::of(snapshot);
        status.bytes_per_second = self.rate.bytes_per_second().0;
        status.eta_ms = eta.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        known(&mut status);
        self.status.send_replace(status);
    }
}

impl Teller<'_> {
    /// Listens for probes beside the node, which listens now; why not, if that cannot be.
    pub(super) fn listen_for_probes(&mut self, node: SocketAddr) -> Option<Event> {
        let error = self.probing.listen_beside(node).err()?;
        Some(Event::Warning(Warning { message: sentence(&error), path: None }))
    }

    /// Notes how it stands.
    pub(super) fn note_status(&mut self) {
        let (now, elapsed_ms) = (Time::ZERO + self.began.elapsed(), self.elapsed_ms());
        let known = |text: &String| (!text.is_empty()).then(|| text.clone());
        let (content, root) = (known(&self.content), known(&self.root));
        let listen = self.listen.map(|address| address.to_string()).unwrap_or_default();
        self.probing.note(now, &self.snapshot, |status| {
            *status = Status { listen, content, root, elapsed_ms, ..status.clone() };
        });
    }

    /// Tells something and notes how it stands, in the order in which somebody could look.
    pub(super) fn note_and_tell(&mut self, event: &Event) {
        self.note_status();
        self.reporter.tell(unix_ms(), event);
    }
}
