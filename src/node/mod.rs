//! The only owner of a swarm: turns its outputs into effects and their results into inputs.
//!
//! One loop owns everything that changes; tasks do what takes time (streams, disk, hashing) and report what came of it. So there is no
//! lock, and what happened can be read in one place: an event comes in, the swarm is told, what it asks for is started.
//!
//! Invariant: the loop never blocks and never waits for a peer.
//!
//! Not here: decisions about chunks (`swarm`), flags and lines (`cli`).

mod addresses;
mod announce;
mod assembly;
mod bans;
mod blame;
mod candidates;
mod choose;
mod clock;
mod config;
mod connect;
mod content;
mod dials;
mod download;
mod error;
mod event;
mod exchange;
mod expect;
mod finals;
mod finish;
mod forms;
mod gossip;
mod lifecycle;
mod links;
mod lookout;
mod neighbourhood;
mod obtain;
mod pack;
mod press;
mod prove;
mod publish;
mod pulse;
mod reach;
mod recent;
mod recheck;
mod renewal;
mod report;
mod roster;
mod serve;
mod snapshot;
mod start;
#[cfg(test)]
mod tests;
mod totals;
mod trace;
mod upload;
mod worth;
mod zero;
mod zones;

use std::collections::BTreeSet;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use quinn::Endpoint;
use tokio::sync::mpsc;

pub use config::{Compression, NodeConfig, SeedUntil, Task};
pub use error::NodeError;
pub use expect::Expect;
pub use renewal::RoleError;
pub use report::{Report, Reports, Summary};
pub use snapshot::{Phase, Snapshot};
pub use totals::SourceTotals;
pub use trace::TraceFileError;

use crate::identity::{Credentials, EndorsementError};
use crate::manifest::{Digest, Endorsement};
use crate::net::{Budget, Gate, LinkEvent};
use crate::store::{Opened, Pool, Published};
use crate::swarm::{Input, Output, SourceId};
use crate::units::{Rng, Time};
use crate::wire::{Message, PeerId, Reason};
use announce::Announcement;
use bans::Bans;
use candidates::Candidates;
use clock::Clock;
use content::Content;
use dials::Dials;
use event::{Event, Events};
use exchange::Changes;
use expect::LeftAlone;
use links::Links;
use lookout::Lookout;
use neighbourhood::Turnover;
use obtain::{Seek, Stored};
use press::Press;
use reach::Reach;
use renewal::Renewal;
use totals::Totals;
use trace::Recorder;
use zones::Zones;

/// How often the loop looks at bounds, progress and gossip of addresses, however many events come meanwhile.
const REVIEW_EVERY: Duration = Duration::from_millis(200);
/// Who came and went is passed on at most so often, and neighbours are looked at.
const PEERS_EVERY: Duration = Duration::from_secs(1);
/// Link events that may wait for the loop; beyond that, reading from neighbours pauses.
const LINK_EVENTS: usize = 1024;

/// Runs a node until its job is done, it fails, or `shutdown` resolves. Must be called within a tokio runtime.
///
/// The reports end with [`Report::Complete`] when there is something to complete; the summary says how it ended.
///
/// # Errors
/// [`NodeError`] says why the job could not be done; what was verified stays, and the same call resumes.
pub async fn run(
    config: NodeConfig,
    credentials: Credentials,
    reports: Reports,
    shutdown: impl Future<Output = ()>,
) -> Result<Summary, NodeError> {
    let (mut node, mut inbox) = Node::start(config, credentials, reports)?;
    node.begin_trace()?;
    tokio::pin!(shutdown);
    let prepared = tokio::select! {
        prepared = node.prepare_task() => prepared,
        () = &mut shutdown => return Ok(node.summary()),
    };
    let outcome = match prepared {
        Ok(()) => node.work(&mut inbox, shutdown).await,
        Err(error) => Err(error),
    };
    node.begin_sign_off();
    if outcome.is_ok() {
        node.drain(&mut inbox).await;
    }
    node.leave().await;
    node.sign_off().await;
    node.end_trace().await;
    node.reports.send(Report::Totals(node.totals.list()));
    outcome.map(|()| node.summary())
}

/// What comes in.
struct Inbox {
    events: mpsc::UnboundedReceiver<Event>,
    links: mpsc::Receiver<(SourceId, LinkEvent)>,
}

/// Everything that a node knows. Its methods are in the files of this room, one concern each.
struct Node {
    config: NodeConfig,
    credentials: Credentials,
    renewal: Renewal,
    reports: Reports,
    clock: Clock,
    rng: Rng,
    endpoint: Endpoint,
    listen: SocketAddr,
    peer: PeerId,
    pool: Pool,
    budget: Budget,
    uplink: Gate,
    events: Events,
    link_events: mpsc::Sender<(SourceId, LinkEvent)>,

    links: Links,
    next_source: u32,
    lookout: Lookout,
    announcement: Option<Announcement>,
    candidates: Candidates,
    zones: Zones,
    changes: Changes,
    turnover: Turnover,
    reach: Reach,
    dials: Dials,
    /// Peers that were complained about, so that an unreachable one costs one line.
    complained: BTreeSet<IpAddr>,
    bans: Bans,
    last_failure: Option<String>,
    /// A peer that turned out to follow another content.
    follows_another: Option<SocketAddr>,
    /// Whether a peer that we dialled did not accept our certificate, or we not its.
    refused_us: bool,
    peers_seen: u32,

    seek: Seek,
    opened: Option<Opened>,
    stored: Option<Stored>,
    endorsements: Vec<Endorsement>,
    /// Why the last endorsement was not believed.
    refusal: Option<EndorsementError>,
    left_alone: LeftAlone,
    content: Option<Content>,
    /// The root of all digests, once it was told.
    root: Option<Digest>,
    /// A walked source that waits for the destination to be ready.
    copy: Option<(Arc<Published>, Press)>,

    started: Time,
    last_progress: Time,
    /// What had arrived when it was looked at last.
    arrivals: u64,
    last_request: Time,
    next_review: Time,
    next_peers: Time,
    completed_at: Option<Time>,
    seeding_since: Option<Time>,
    committing: bool,
    finishing: bool,
    /// Whether a chunk was lost since the last steps of a job began, so that they have to begin again.
    finish_is_void: bool,
    verifying: bool,
    finished: bool,
    leaving: bool,
    reported: Option<Snapshot>,
    totals: Totals,
    /// Bytes read back so far, counted by the job that reads.
    read_back: Arc<AtomicU64>,
    trace: Option<Recorder>,
}

/// Whoever drops the future of [`run`] in the middle wants it to be over: without this, tasks would go on serving and writing as
/// long as their neighbours do.
impl Drop for Node {
    fn drop(&mut self) {
        self.endpoint.close(u32::from(Reason::Stopped.code()).into(), b"stopped");
    }
}

impl Node {
    /// The loop.
    async fn work(&mut self, inbox: &mut Inbox, shutdown: impl Future<Output = ()>) -> Result<(), NodeError> {
        tokio::pin!(shutdown);
        let endpoint = self.endpoint.clone();
        loop {
            self.drive();
            let wake = self.clock.instant(self.deadline());
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                Some(event) = inbox.events.recv() => self.on_event(event)?,
                Some((source, event)) = inbox.links.recv() => self.on_link_event(source, event)?,
                Some(incoming) = endpoint.accept() => self.on_incoming(incoming),
                () = tokio::time::sleep_until(wake) => {
                    if self.on_time()? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// When to look at the clock. Nothing that cannot be dealt with now may be in it, or the loop would never sleep.
    fn deadline(&self) -> Time {
        let content = self.content.as_ref();
        let swarm = content.and_then(|content| content.swarm.deadline());
        let press = content.and_then(|content| content.press.as_ref()?.deadline());
        [swarm, press, self.dial_deadline()].into_iter().flatten().fold(self.next_review, Time::min)
    }

    /// Something may be due. True when the node may leave.
    fn on_time(&mut self) -> Result<bool, NodeError> {
        let now = self.clock.now();
        self.tell_swarm(Input::Tick);
        self.print()?;
        self.dial_due();
        if now < self.next_review {
            return Ok(false);
        }
        self.next_review = now + REVIEW_EVERY;
        self.commit_if_due();
        self.report_progress();
        self.pass_trace_on();
        if now >= self.next_peers {
            self.next_peers = now + PEERS_EVERY;
            self.spread_changes();
            self.feel_pulses();
            self.candidates.expire(now);
            self.replace_if_starving();
        }
        self.review()
    }

    /// Tells the swarm what happened. There is no other way to it, or its trace would be another run.
    fn tell_swarm(&mut self, input: Input) {
        if self.content.is_none() {
            return;
        }
        let now = self.clock.now();
        self.trace_input(now, &input);
        if let Some(content) = &mut self.content {
            content.swarm.handle(now, input);
        }
    }

    /// Carries out what the swarm asks for.
    fn drive(&mut self) {
        while let Some(output) = self.next_output() {
            match output {
                Output::Fetch { source, chunk, part, exact } => self.fetch(source, chunk, part, exact),
                Output::Cancel { source, asked } => self.cancel(source, asked),
                Output::Send { request, chunk, waiting } => self.send(request, chunk, waiting),
                Output::Reject { request } => self.reject(request),
                Output::Announce { chunks } => self.announce(&chunks),
                Output::Members { source, members } => self.tell_members(source, members),
                Output::Blame { source, chunk } => self.blame(source, chunk),
                Output::Ban { source } => self.ban(source),
                Output::Complete => self.finish(),
            }
        }
    }

    /// A task of the node reports.
    fn on_event(&mut self, event: Event) -> Result<(), NodeError> {
        match event {
            Event::Panicked => return Err(NodeError::Panicked),
            Event::Resolved { name, outcome } => self.on_resolved(&name, outcome),
            Event::Polled(outcome) => self.on_polled(outcome),
            Event::Announced(news) => self.on_announced(news),
            Event::Greeted { greeted, address } => self.on_greeted(*greeted, address),
            Event::NotGreeted { address, dialled, error } => self.on_not_greeted(address, dialled, &error),
            Event::Probed { address, echo } => self.on_probed(address, echo),
            Event::Obtained { source, outcome } => self.on_obtained(source, outcome),
            Event::Ready(outcome) => self.on_ready(*outcome)?,
            Event::Arriving { source, asked, chunk } => {
                self.tell_joined(source, Input::Arriving { source, asked, chunk });
            }
            Event::Fetched(fetched) => self.on_fetched(fetched)?,
            Event::Refused { source, asked, error } => self.on_refused(source, asked, &error),
            Event::Garbled { chunk, from } => self.on_garbled(chunk, &from),
            Event::Hashed(hashed) => self.on_hashed(hashed)?,
            Event::LocalFailed(error) => return Err(error.into()),
            Event::Written(written) => self.on_written(written)?,
            Event::UploadWritten { request, chunk, digest } => self.on_upload_written(request, chunk, digest)?,
            Event::UploadEnded { source, request, chunk, outcome } => {
                self.on_upload_ended(source, request, chunk, outcome)?;
            }
            Event::Background(outcome) => self.on_background(outcome)?,
            Event::Proved(outcome) => self.on_proved(outcome)?,
            Event::Zeroed { chunks, outcome } => self.on_zeroed(chunks, outcome)?,
            Event::Rechecked { chunk, outcome } => self.on_rechecked(chunk, outcome)?,
            Event::GivenUp { chunk, outcome } => self.on_given_up(chunk, outcome)?,
            Event::Committed(outcome) => self.on_committed(outcome)?,
            Event::Finished(outcome) => self.on_finished(outcome)?,
            Event::ReadBack(outcome) => self.on_read_back(outcome)?,
            Event::Looked(look) => self.on_looked(*look),
        }
        Ok(())
    }

    /// A neighbour's link reports.
    fn on_link_event(&mut self, source: SourceId, event: LinkEvent) -> Result<(), NodeError> {
        if self.links.link(source).is_none() {
            return Ok(());
        }
        match event {
            LinkEvent::Control(message) => self.on_message(source, message),
            LinkEvent::Opened { open, send } => {
                self.on_opened(source, open, send);
                Ok(())
            }
            LinkEvent::Closed { reason } => {
                self.on_closed(source, &reason);
                Ok(())
            }
        }
    }

    /// A neighbour says something.
    fn on_message(&mut self, source: SourceId, message: Message) -> Result<(), NodeError> {
        let theirs = self.links.link(source).filter(|link| link.joined).and_then(|link| link.theirs);
        let about_ours = |content| theirs == Some(content);
        match message {
            Message::Offers(offers) => self.on_offers(source, offers.into_vec()),
            Message::Endorsements { list, .. } => self.on_endorsements(source, list.into_vec())?,
            Message::Bitfield { content, form } if about_ours(content) => self.on_bitfield(source, &form),
            Message::Have { content, chunks } if about_ours(content) => self.on_have(source, chunks.indices()),
            Message::Digests { content, batches } if about_ours(content) => self.on_batches(source, &batches)?,
            Message::Root { content, root } if about_ours(content) => self.on_root(source, &root)?,
            Message::Members { content, list } if about_ours(content) => self.on_members(source, &list),
            Message::Peers(peers) => self.on_peers(source, &peers),
            Message::BadChunk { content, chunk } if about_ours(content) => self.on_bad_chunk(source, chunk),
            Message::Reject(reject) => self.on_rejected(source, &reject),
            Message::Bye { reason } => self.on_bye(source, reason),
            Message::Hello(_) | Message::Welcome => self.violation(source, "a second hello"),
            // News about a content that is not ours (any more), or of before both sides had agreed on it.
            _ => {}
        }
        Ok(())
    }

    /// How a run that did not fail ended.
    fn summary(&self) -> Summary {
        Summary { snapshot: self.snapshot(), complete: self.finished }
    }
}
