//! Renewal: what our certificate allows, and taking a new one, or a new swarm key, without a restart.
//!
//! Certificates of a few days are worth nothing if every renewal stops a transfer. So the files are looked at every few seconds; new
//! ones that pass every check serve all connections from then on, and those that exist go on. A publisher endorses its content anew,
//! because what it signed with the old certificate is believed by newcomers only as long as that is valid.
//!
//! Invariant: what cannot be used never takes the place of what can.
//!
//! Not here: reading and checking files (`identity`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::gossip::tell_endorsements;
use super::{Event, Node, Report, Task};
use crate::identity::{Credentials, RenewalError, Role, Stamp, valid_until};
use crate::net::{error_chain, renew};
use crate::units::Time;
use crate::wire::Reason;

/// How often the files are looked at (5 s: three calls of stat, and renewals leave hours).
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How soon they are looked at again when they cannot be used: whoever renews may have written one of two files.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long a connection may outlive its peer's certificate (10 min: a renewal that is late by minutes costs nobody a chunk).
const GRACE: Duration = Duration::from_secs(600);

/// A task that our certificate does not allow.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// To publish without the role for it.
    #[error(
        "our certificate names no role, so it counts as a peer's and may not publish; issue one with: strew certs issue NAME --role seed"
    )]
    Unnamed,
    /// To publish with a lower role.
    #[error("our certificate has the role {0} and may not publish; issue one with: strew certs issue NAME --role seed")]
    NotSeed(Role),
    /// To take part as an observer.
    #[error(
        "our certificate has the role observer, which may neither fetch nor serve; issue one with: strew certs issue NAME --role peer"
    )]
    Observer,
}

/// Whether these credentials allow the task.
pub(super) fn may_run(task: &Task, credentials: &Credentials) -> Result<(), RoleError> {
    match (task, credentials.named_role()) {
        (_, Some(Role::Seed)) => Ok(()),
        (_, Some(Role::Observer)) => Err(RoleError::Observer),
        (Task::Pull { .. }, Some(Role::Peer) | None) => Ok(()),
        (Task::Publish { .. } | Task::Copy { .. }, Some(role @ Role::Peer)) => Err(RoleError::NotSeed(role)),
        (Task::Publish { .. } | Task::Copy { .. }, None) => Err(RoleError::Unnamed),
    }
}

/// What is known of the files of our credentials.
#[derive(Debug)]
pub(super) struct Renewal {
    /// What they were when they were dealt with.
    settled: Stamp,
    /// What they were when they could not be used, once.
    doubtful: Option<Stamp>,
    /// What they were when they could not be used at the second look either.
    refused: Option<Stamp>,
    next_look: Time,
    looking: bool,
}

/// What a look at the files found: what they are, and credentials if they changed.
#[derive(Debug)]
pub(super) struct Look {
    stamp: Stamp,
    found: Option<Result<Credentials, RenewalError>>,
}

impl Renewal {
    pub(super) fn of(credentials: &Credentials) -> Self {
        let settled = credentials.watch().map(|watch| watch.stamp().clone()).unwrap_or_default();
        Self { settled, doubtful: None, refused: None, next_look: Time::ZERO + LOOK_EVERY, looking: false }
    }
}

impl Node {
    /// Looks at the files of our credentials when it is time, and at the dates of neighbours' certificates.
    pub(super) fn review_credentials(&mut self, now: Time) {
        let hurried = self.credentials.watch().is_some_and(crate::identity::Watch::was_hurried);
        if self.renewal.looking || (!hurried && now < self.renewal.next_look) {
            return;
        }
        self.renewal.next_look = now + LOOK_EVERY;
        self.drop_expired(unix_now());
        let Some(origin) = self.credentials.watch().map(|watch| watch.origin().clone()) else { return };
        self.renewal.looking = true;
        // Who asks in a hurry has perhaps mended what the files depend on, such as the clock.
        let refused = self.renewal.refused.clone().filter(|_| !hurried);
        let known = [Some(self.renewal.settled.clone()), refused];
        let (events, pool) = (self.events.clone(), self.pool.clone());
        self.events.spawn(async move {
            let job = move || {
                let stamp = origin.stamp();
                let is_known = known.iter().flatten().any(|known| *known == stamp);
                let found = (!is_known).then(|| origin.load());
                Box::new(Look { stamp, found })
            };
            events.send(Event::Looked(pool.run(job).await));
        });
    }

    /// The files were looked at.
    pub(super) fn on_looked(&mut self, look: Look) {
        self.renewal.looking = false;
        let Some(found) = look.found else { return };
        let refused = match found {
            Ok(credentials) => match may_run(&self.config.task, &credentials) {
                Ok(()) => return self.renew(credentials, look.stamp),
                Err(error) => error.to_string(),
            },
            Err(error) => error_chain(&error),
        };
        // Files are replaced one after the other: only what is still of no use at a second look is worth a word.
        if self.renewal.doubtful.as_ref() != Some(&look.stamp) {
            self.renewal.doubtful = Some(look.stamp);
            self.renewal.next_look = self.clock.now() + LOOK_AGAIN;
            return;
        }
        self.renewal.doubtful = None;
        self.renewal.refused = Some(look.stamp);
        let text = format!("the renewed key or certificate cannot be used, the old one stays: {refused}");
        self.reports.send(Report::Warning(text));
    }

    /// Uses these credentials from now on.
    fn renew(&mut self, credentials: Credentials, stamp: Stamp) {
        self.renewal.settled = stamp;
        (self.renewal.doubtful, self.renewal.refused) = (None, None);
        renew(&mut self.endpoint, &credentials, &self.config.transport());
        self.credentials = credentials.heir_of(&self.credentials);
        let identity = self.credentials.identity();
        tracing::info!(%identity, "key or certificate renewed");
        self.reports.send(Report::Renewed { identity });
        self.endorse_again();
    }

    /// Endorses what we publish with our new certificate, and tells everybody.
    fn endorse_again(&mut self) {
        let Some(content) = &self.content else { return };
        let Some(key) = content.press.as_ref().map(super::Press::key) else { return };
        let manifest = std::sync::Arc::clone(&content.manifest);
        let before = content.proofs.endorsements().filter(|one| one.key == key.id()).map(|one| one.time).max();
        // Of two endorsements of one key the newer counts, so it must be newer, also within one second.
        let time = before.map_or(0, |before| before + 1).max(unix_now());
        let endorsement = match self.endorse(&manifest, &key, time) {
            Ok(endorsement) => endorsement,
            Err(error) => {
                self.reports.send(Report::Warning(error.to_string()));
                return;
            }
        };
        let Some(content) = &mut self.content else { return };
        if !content.proofs.endorse(endorsement.clone()).unwrap_or(false) {
            return;
        }
        if let Some(replica) = content.replica()
            && let Err(error) = replica.add_endorsement(&endorsement.to_bytes())
        {
            self.reports.send(Report::Warning(error.to_string()));
        }
        for (_, link) in self.links.iter() {
            tell_endorsements(link, [endorsement.clone()]);
        }
    }

    /// Drops neighbours whose certificate has been over for longer than the grace.
    fn drop_expired(&mut self, now: u64) {
        let over = |until: u64| now > until.saturating_add(GRACE.as_secs());
        let expired = self.links.iter().filter(|(_, link)| valid_until(&link.connection).is_some_and(over));
        for source in expired.map(|(source, _)| source).collect::<Vec<_>>() {
            self.drop_link(source, Reason::NotAuthorised, "its certificate has expired and was not renewed");
        }
    }
}

/// Seconds since 1970; zero on a machine whose clock is before that.
pub(super) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
