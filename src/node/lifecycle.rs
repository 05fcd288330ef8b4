//! Lifecycle: when a node gives up, when it may leave, and how it says good-bye.
//!
//! Invariant: a node that still misses something never ends in success.
//!
//! Not here: signals (the caller passes a future) and exit codes (`cli`).

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::config::SeedUntil;
use super::error::NodeError;
use super::report::Report;
use super::serve::refuse;
use super::snapshot::{Phase, Snapshot};
use super::{Inbox, Node};
use crate::swarm::{self, Input, SourceId};
use crate::units::{Bytes, Time};
use crate::wire::{Message, Reason, Refusal};

/// With `exit_complete`, how long a complete node waits for others to hold what it holds.
const LINGER_MAX: Duration = Duration::from_secs(10);
/// How long the closing of connections may take: the packets leave at once, and nobody answers them.
const FAREWELL_MAX: Duration = Duration::from_millis(200);
/// How long uploads under way may take to end when an unfinished node leaves: others have what it has, or soon will.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// The same for a complete node, of which a publisher may be the only one with these bytes (10 s: a third of the half minute that orchestrators
/// give before they kill).
const DRAIN_MAX_COMPLETE: Duration = Duration::from_secs(10);
/// A neighbour that is silent for so long while it is sent a chunk takes none (1 s: forty times the longest delay of an acknowledgement).
const DRAIN_SILENCE: Duration = Duration::from_secs(1);
/// How often that is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(100);
/// Bytes that count as news (64 KiB: somebody who sends a byte now and then does not keep a job from being given up).
const ARRIVAL_LEN: u64 = 64 << 10;

impl Node {
    /// Looks at the clock: gives up what took too long. `Ok(true)` means that the node may leave.
    pub(super) fn review(&mut self) -> Result<bool, NodeError> {
        let now = self.clock.now();
        self.review_credentials(now);
        self.review_unproven()?;
        self.review_found();
        self.review_assemblies();
        self.review_lost();
        if self.content.is_none() {
            return self.review_seek(now).map(|()| false);
        }
        if self.finished {
            return Ok(self.may_leave(now));
        }
        self.notice_arrivals(now);
        let (total, held) = self.content.as_ref().map_or((0, 0), |content| {
            let have = content.swarm.have();
            (have.layout().count(), have.len())
        });
        let missing = total - held;
        if let Some(limit) = self.config.transfer_idle_timeout
            && missing > 0
            && now - self.last_progress > limit
        {
            let hint = self.follows_another.map(other_content_hint).unwrap_or_default();
            return Err(NodeError::Incomplete { waited: limit, missing, total, hint });
        }
        Ok(false)
    }

    /// Bytes that arrive are progress: on a slow line a large chunk takes longer than any patience.
    pub(super) fn notice_arrivals(&mut self, now: Time) {
        let arrived = self.budget.arrived() / ARRIVAL_LEN;
        if self.arrivals != arrived {
            self.arrivals = arrived;
            self.last_progress = now;
        }
    }

    /// Whether a node whose own job is done has nothing left to do for others.
    fn may_leave(&self, now: Time) -> bool {
        if self.has_seeded_enough(now) {
            return true;
        }
        if self.config.exit_complete
            && let Some(completed) = self.completed_at
        {
            let answers = |source| self.answers(source, now);
            let needed = self.content.as_ref().is_some_and(|content| !is_held_elsewhere(content, answers));
            return !needed || now - completed > LINGER_MAX;
        }
        self.config.seed_idle_timeout.is_some_and(|limit| now - self.last_request > limit)
    }

    /// Whether what this node was to stay for is reached.
    fn has_seeded_enough(&self, now: Time) -> bool {
        match (self.config.seed_until, &self.content) {
            (Some(SeedUntil::Copies(copies)), Some(content)) => {
                let (sent, total) = (content.snapshot.uploaded.0, content.snapshot.bytes_total.0);
                total > 0 && sent >= total.saturating_mul(u64::from(copies.get()))
            }
            (Some(SeedUntil::Time(time)), Some(_)) => self.seeding_since.is_some_and(|since| now - since >= time),
            _ => false,
        }
    }

    /// Takes no more requests and lets uploads under way end, within a bound.
    pub(super) async fn drain(&mut self, inbox: &mut Inbox) {
        self.leaving = true;
        self.drive();
        self.refuse_waiting();
        let bound = if self.finished { DRAIN_MAX_COMPLETE } else { DRAIN_MAX };
        let (began, mut look) = (self.clock.now(), tokio::time::interval(DRAIN_LOOK));
        let work = async {
            while self.uploads_under_way() > 0 && !self.drains_in_vain(began) {
                let event = tokio::select! {
                    Some(event) = inbox.events.recv() => self.on_event(event),
                    Some((source, event)) = inbox.links.recv() => self.on_link_event(source, event),
                    _ = look.tick() => {
                        self.feel_pulses();
                        Ok(())
                    }
                };
                if let Err(error) = event {
                    tracing::warn!(%error, "while leaving");
                    return;
                }
            }
        };
        // Whoever is served more slowly than this asks somebody else.
        let _ = tokio::time::timeout(bound, work).await;
    }

    /// Whether all for whom we stay are silent. Whoever takes a chunk acknowledges it all the time, so this shows within a second.
    fn drains_in_vain(&self, began: Time) -> bool {
        let now = self.clock.now();
        let silent = |source: SourceId| {
            let Some(link) = self.links.link(source) else { return true };
            !link.pulse.answers(now) || link.pulse.silence(now).min(now - began) > DRAIN_SILENCE
        };
        self.content.as_ref().is_some_and(|content| content.sending.values().copied().all(silent))
    }

    /// Refuses the requests that wait: nobody carries out what the swarm asks for any more, so none of them would ever begin.
    fn refuse_waiting(&mut self) {
        let waiting = self.content.as_mut().map(|content| std::mem::take(&mut content.requests)).unwrap_or_default();
        for (request, waiting) in waiting {
            refuse(waiting.send, Refusal::Busy);
            self.tell_swarm(Input::Withdrawn { request });
        }
    }

    fn uploads_under_way(&self) -> usize {
        self.content.as_ref().map_or(0, |content| content.swarm.uploads().0)
    }

    /// Tells the neighbours that we leave.
    pub(super) async fn leave(&mut self) {
        let reason = if self.finished { Reason::Complete } else { Reason::Stopped };
        for (_, link) in self.links.iter() {
            link.tell(&Message::Bye { reason });
        }
        self.endpoint.close(u32::from(reason.code()).into(), b"leaving");
        let _ = tokio::time::timeout(FAREWELL_MAX, self.endpoint.wait_idle()).await;
    }

    /// The counters as they are now.
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.content.as_ref().map_or_else(Snapshot::default, |content| content.snapshot.clone());
        snapshot.peers = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        snapshot.peers_seen = self.peers_seen;
        snapshot.arrived = Bytes(self.budget.arrived());
        snapshot.wire_received = Bytes(self.budget.travelled());
        snapshot.wire_uploaded = Bytes(self.uplink.passed());
        snapshot.repeated = Bytes(self.budget.repeated());
        snapshot.bytes_read_back = Bytes(self.read_back.load(Ordering::Relaxed));
        snapshot.phase = match &self.content {
            None if self.links.len() == 0 => Phase::Connecting,
            None => Phase::Manifest,
            Some(_) if self.finished => Phase::Serving,
            Some(_) if self.verifying => Phase::Verifying,
            Some(_) if self.finishing => Phase::Finishing,
            Some(content) if content.swarm.phase() == swarm::Phase::EndGame => Phase::EndGame,
            Some(_) => Phase::Transferring,
        };
        snapshot
    }

    /// Reports the counters if they changed.
    pub(super) fn report_progress(&mut self) {
        let snapshot = self.snapshot();
        if self.reported.as_ref() != Some(&snapshot) {
            self.reports.send(Report::Progress(snapshot.clone()));
            self.reported = Some(snapshot);
        }
    }
}

/// What a user must know whose source was published anew in the middle of a transfer.
fn other_content_hint(address: SocketAddr) -> String {
    format!(" ({address} follows another content; if its source has changed, the next run fetches what is new)")
}

/// Whether every chunk is with another neighbour that answers too, so that nobody needs us. Whoever does not answer neither holds nor
/// waits for anything, as far as anybody can tell.
fn is_held_elsewhere(content: &super::content::Content, answers: impl Fn(SourceId) -> bool) -> bool {
    let count = content.manifest.layout().count();
    let neighbours = content.swarm.sources().filter(|source| !source.profile.local && answers(source.id));
    let mut neighbours = neighbours.peekable();
    neighbours.peek().is_none()
        || neighbours.all(|source| source.known == count)
        || content.swarm.is_replicated(&answers)
}
