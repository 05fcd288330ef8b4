//! Start: from a configuration to a node that listens and has begun its task.
//!
//! The socket comes first, so that a port in use is said before a source of a million files is walked; neighbours that knock meanwhile
//! wait in the endpoint.
//!
//! Not here: what the task is made of (`publish`, `obtain`).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::bans::Bans;
use super::candidates::Candidates;
use super::clock::Clock;
use super::dials::Dials;
use super::error::NodeError;
use super::event::Events;
use super::exchange::Changes;
use super::expect::LeftAlone;
use super::links::Links;
use super::lookout::Lookout;
use super::neighbourhood::Turnover;
use super::obtain::{Seek, Stored};
use super::publish::Walked;
use super::reach::Reach;
use super::renewal::{Renewal, may_run};
use super::report::{Report, Reports};
use super::totals::Totals;
use super::zones::Zones;
use super::{Inbox, LINK_EVENTS, Node, NodeConfig, Task};
use crate::chunk::Layout;
use crate::identity::Credentials;
use crate::manifest::{ContentId, Endorsement, Manifest};
use crate::net::{Budget, Gate, bind};
use crate::store::{Opened, Pool, Replica, overlap};
use crate::swarm::Config;
use crate::units::{Rng, Time};
use crate::wire::PeerId;

/// Threads for disk and hashing: two for each core keep the disk busy while others hash, and more only fight for the cores.
const POOL_THREADS_PER_CORE: usize = 2;

impl Node {
    /// Binds the socket and makes a node around it.
    pub(super) fn start(
        config: NodeConfig,
        credentials: Credentials,
        reports: Reports,
    ) -> Result<(Self, Inbox), NodeError> {
        let endpoint = bind(config.listen, &credentials, &config.transport())?;
        let listen = tell_start(endpoint.local_addr().unwrap_or(config.listen), &credentials, &reports);
        let ((events, from_tasks), (link_events, from_links)) = (Events::channel(), mpsc::channel(LINK_EVENTS));
        let node = Self {
            clock: Clock(Instant::now()),
            peer: PeerId(random()),
            pool: Pool::new(pool_threads()),
            budget: downlink(&config),
            uplink: Gate::new(config.upload_limit),
            links: Links::default(),
            // Zero is the local source.
            next_source: 1,
            lookout: Lookout::default(),
            announcement: None,
            candidates: Candidates::default(),
            zones: Zones::default(),
            changes: Changes::default(),
            turnover: Turnover::default(),
            reach: Reach::default(),
            dials: Dials::default(),
            complained: BTreeSet::new(),
            bans: Bans::default(),
            last_failure: None,
            follows_another: None,
            refused_us: false,
            peers_seen: 0,
            seek: Seek::Waiting,
            opened: None,
            stored: None,
            endorsements: Vec::new(),
            refusal: None,
            left_alone: LeftAlone::default(),
            content: None,
            root: None,
            copy: None,
            started: Time::ZERO,
            last_progress: Time::ZERO,
            arrivals: 0,
            last_request: Time::ZERO,
            next_review: Time::ZERO,
            next_peers: Time::ZERO,
            completed_at: None,
            seeding_since: None,
            committing: false,
            finishing: false,
            finish_is_void: false,
            verifying: false,
            finished: false,
            leaving: false,
            reported: None,
            totals: Totals::default(),
            read_back: Arc::default(),
            trace: None,
            rng: Rng::with_seed(u64::from_le_bytes(random())),
            config,
            renewal: Renewal::of(&credentials),
            credentials,
            reports,
            endpoint,
            listen,
            events,
            link_events,
        };
        Ok((node, Inbox { events: from_tasks, links: from_links }))
    }

    /// Begins the task: walks a source, opens a destination, looks up peers.
    pub(super) async fn prepare_task(&mut self) -> Result<(), NodeError> {
        may_run(&self.config.task, &self.credentials)?;
        self.look_out()?;
        match self.config.task.clone() {
            Task::Publish { src } => {
                let walked = self.walk(src).await?;
                self.publish(walked);
                self.review_root()?;
            }
            Task::Pull { dst } => self.open(dst).await?,
            Task::Copy { src, dst } => {
                overlap(&src, &dst)?;
                let Walked { manifest, proofs, source, press, zeros: _ } = self.walk(src).await?;
                self.open(dst).await?;
                let mut endorsements: Vec<Endorsement> = proofs.endorsements().cloned().collect();
                let mut batches = Vec::new();
                // What an earlier run proved about the same content need not be copied again.
                if let Some(stored) = self.stored.take().filter(|stored| stored.manifest.id() == manifest.id()) {
                    endorsements.extend(stored.endorsements);
                    batches = stored.batches;
                }
                batches.extend(proofs.batches().into_iter().map(|batch| batch.as_bytes().to_vec()));
                self.stored = Some(Stored { manifest, endorsements, batches, whole: false });
                self.copy = Some((source, press));
                self.take_stored();
            }
        }
        self.started = self.clock.now();
        self.sign_on()
    }

    /// Opens the destination and looks at what it holds.
    async fn open(&mut self, dst: PathBuf) -> Result<(), NodeError> {
        let opened = self.pool.run(move || Replica::open(&dst)).await?;
        for warning in opened.warnings() {
            self.reports.send(Report::Warning(warning.to_string()));
        }
        self.stored = self.believe(&opened).and_then(|stored| self.acceptable(stored));
        self.opened = Some(opened);
        Ok(())
    }

    /// What the journal holds, as far as its endorsements still hold with the credentials of today.
    fn believe(&mut self, opened: &Opened) -> Option<Stored> {
        let stored = opened.stored()?;
        let id = ContentId(stored.content_id);
        let manifest = Manifest::load(id, &stored.header, stored.pages.clone())
            .inspect_err(|error| tracing::warn!(%error, "the manifest in the journal cannot be used"))
            .ok()?;
        let parsed = stored.endorsements.iter().filter_map(|bytes| Endorsement::parse(bytes).ok());
        let endorsements: Vec<Endorsement> =
            parsed.filter(|one| one.content == id && self.is_endorsed(one, one.time)).collect();
        if endorsements.is_empty() {
            tracing::warn!(
                "the destination holds a content of another swarm; it is of use only if it is offered here too"
            );
            return None;
        }
        let (manifest, batches, whole) = (Arc::new(manifest), stored.batches.clone(), opened.was_whole());
        Some(Stored { manifest, endorsements, batches, whole })
    }

    /// The knobs of the swarm of a content with this layout.
    pub(super) fn swarm_config(&mut self, layout: Layout) -> Config {
        let usual = Config::default();
        let (upload_limit, download_limit) = (self.config.upload_limit, self.config.download_limit);
        let small = u32::try_from(LONG_PATH / layout.chunk_size()).unwrap_or(u32::MAX);
        let wanted = self.config.window_max.unwrap_or(small.clamp(usual.window_max, WINDOW_MAX));
        // Where everything waits to be read, more requests only wait longer.
        let useful = self.config.transport().waiting_streams().max(usual.window_start);
        let window_max = if download_limit.is_some() { wanted.min(useful) } else { wanted };
        Config { order: self.peer.order(), zone: self.zone(), window_max, upload_limit, download_limit, ..usual }
    }
}

/// Bytes that may be asked of one neighbour at a time however small chunks are (4 MiB: 200 Mbit/s over 168 ms).
const LONG_PATH: u64 = 4 << 20;
/// Requests to one neighbour at a time at most (64: as many streams as a connection admits).
const WINDOW_MAX: u32 = 64;

/// Says that a node listens on `listen`, which it returns.
fn tell_start(listen: SocketAddr, credentials: &Credentials, reports: &Reports) -> SocketAddr {
    reports.send(Report::Started { listen, swarm: credentials.swarm_id(), identity: credentials.identity() });
    listen
}

/// Memory for chunks that arrive, behind the node's limit. The other half is for windows of connections, uploads, packed chunks and the
/// swarm's own tables.
fn downlink(config: &NodeConfig) -> Budget {
    Budget::new(config.memory.0 / 2).behind(Gate::new(config.download_limit))
}

/// Threads for disk and hashing on this machine.
fn pool_threads() -> usize {
    POOL_THREADS_PER_CORE * std::thread::available_parallelism().map_or(1, usize::from)
}

/// Random bytes from the system.
///
/// # Panics
/// When the system has none to give, which Linux never does after its start.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
