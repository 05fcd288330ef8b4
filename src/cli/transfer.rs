//! A transfer from beginning to end: credentials, runtime, node, signals, and what is told meanwhile.
//!
//! The node runs as a task and reports through a channel; this loop turns reports into lines and events, and a first signal into
//! a request to stop. A second signal ends the process at once, for whoever cannot wait for the uploads to end.
//!
//! Invariant: exit code 0 is given only for a run whose node says that it is complete.
//!
//! Not here: what a flag means (`config`), what is shown (`report`).

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::config::{Config, Output, Task};
use super::event::{Complete, Event, EventPath, Failure, Manifest, Peer, PeerState, Role, Start, Summary, Warning};
use super::exit::ExitCode;
use super::invitation::Invitation;
use super::key::OwnKeys;
use super::report::{Reporter, TICK};
use super::screen::Screen;
use super::sentence;
use crate::discovery::own_address;
use crate::identity::Credentials;
use crate::node::{self, NodeConfig, NodeError, Report, Reports, Snapshot};
use crate::store::ErrorKind;
use crate::units::Time;

/// Runs the node that `config` describes until it ends.
pub(super) fn run(config: &Config, keys: &OwnKeys, screen: &Screen) -> ExitCode {
    let began = Instant::now();
    let mut reporter = Reporter::new(config, screen.clone(), Box::new(io::stdout()));
    let credentials = match Credentials::from_keys(&keys.ring) {
        Ok(credentials) => credentials,
        Err(error) => return give_up(&mut reporter, ExitCode::Internal, sentence(&error)),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return give_up(&mut reporter, ExitCode::LocalIo, format!("cannot start threads: {error}")),
    };
    let (snapshot, content) = (Snapshot::default(), String::new());
    let mut teller = Teller { reporter, screen, began, snapshot, content, config, keys };
    let code = runtime.block_on(teller.follow(credentials));
    // Tasks that still wait for a peer are not waited for.
    runtime.shutdown_background();
    let summary = Summary::new(code, teller.elapsed_ms(), &teller.snapshot, Vec::new());
    teller.reporter.finish(unix_ms(), summary);
    code
}

/// Says why a run cannot even begin.
fn give_up(reporter: &mut Reporter, code: ExitCode, message: String) -> ExitCode {
    reporter.tell(unix_ms(), &Event::Error(Failure { exit_code: code.number(), message }));
    code
}

/// Follows one run and tells about it.
struct Teller<'a> {
    reporter: Reporter,
    screen: &'a Screen,
    began: Instant,
    snapshot: Snapshot,
    content: String,
    config: &'a Config,
    keys: &'a OwnKeys,
}

impl Teller<'_> {
    /// Starts the node and tells what it reports, until it ends.
    async fn follow(&mut self, credentials: Credentials) -> ExitCode {
        let (stop, stopped) = oneshot::channel::<()>();
        let caught = Arc::new(AtomicU8::new(0));
        match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            (Ok(interrupt), Ok(terminate)) => {
                tokio::spawn(watch_signals(interrupt, terminate, Arc::clone(&caught), stop));
            }
            (Err(error), _) | (_, Err(error)) => tracing::warn!(%error, "signals end this run without a good-bye"),
        }
        let (reports, mut inbox) = Reports::channel();
        let shutdown = async {
            // A watcher that is gone stops nothing.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let mut running = tokio::spawn(node::run(node_config(self.config), credentials, reports, shutdown));
        let mut tick = tokio::time::interval(TICK);
        let outcome = loop {
            tokio::select! {
                Some(report) = inbox.recv() => self.tell(report),
                _ = tick.tick() => self.tick(),
                outcome = &mut running => break outcome,
            }
        };
        self.tell_rest(&mut inbox);
        match outcome {
            Ok(Ok(summary)) => {
                self.snapshot = summary.snapshot;
                self.tick();
                match (summary.complete, caught.load(Ordering::Acquire)) {
                    (true, _) => ExitCode::Complete,
                    (false, TERMINATE) => ExitCode::Terminated,
                    (false, _) => ExitCode::Interrupted,
                }
            }
            Ok(Err(error)) => self.fail(&error),
            Err(panicked) => {
                let message = format!("a bug in strew ended this run: {panicked}");
                give_up(&mut self.reporter, ExitCode::Internal, message)
            }
        }
    }

    fn fail(&mut self, error: &NodeError) -> ExitCode {
        give_up(&mut self.reporter, exit_code(error), sentence(error))
    }

    /// Tells what was reported before the node ended.
    fn tell_rest(&mut self, inbox: &mut mpsc::UnboundedReceiver<Report>) {
        while let Ok(report) = inbox.try_recv() {
            self.tell(report);
        }
    }

    fn tick(&mut self) {
        let now = Time::ZERO + self.began.elapsed();
        self.reporter.tick(now, unix_ms(), &self.snapshot);
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Shows a publisher's user the exact command for the other machines.
    fn invite(&self, listen: SocketAddr) {
        let (Some(source), Output::Text) = (self.config.source(), self.config.output) else { return };
        let address = if listen.ip().is_unspecified() { own_address() } else { Some(listen.ip()) };
        // What came through standard input has no name that others could use.
        let key_file = self.config.key_file.as_deref().filter(|file| *file != Path::new("-"));
        let fresh_key = self.keys.fresh.then(|| self.keys.ring.first());
        let invitation = Invitation { fresh_key, key_file, source, address, port: listen.port() };
        self.screen.say(&format!("on every other machine:\n  {}", invitation.command().as_str()));
    }

    /// One report, as an event.
    fn tell(&mut self, report: Report) {
        let event = match report {
            Report::Started { listen, swarm, identity } => {
                self.invite(listen);
                Event::Start(Start {
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    role: role_of(&self.config.task),
                    swarm: swarm.to_string(),
                    identity: identity.to_string(),
                    listen: listen.to_string(),
                    source: self.config.source().map(EventPath::from),
                    destination: self.config.destination().map(EventPath::from),
                    peers: self.config.peers.iter().map(ToString::to_string).collect(),
                })
            }
            Report::Content { id, bytes, files, chunks, chunk_size, kept: _ } => {
                self.content = id.to_string();
                let (bytes, chunk_size) = (bytes.0, chunk_size.0);
                Event::Manifest(Manifest { content: self.content.clone(), files, bytes, chunks, chunk_size })
            }
            Report::Joined { address, identity, publisher: _, peers } => Event::Peer(Peer {
                state: PeerState::Connected,
                address: address.to_string(),
                identity: Some(identity.to_string()),
                reason: None,
                peers,
            }),
            Report::Left { address, reason, peers } => {
                let (address, reason) = (address.to_string(), Some(reason));
                Event::Peer(Peer { state: PeerState::Disconnected, address, identity: None, reason, peers })
            }
            Report::Progress(snapshot) => {
                self.snapshot = snapshot;
                return self.tick();
            }
            Report::Complete(snapshot) => {
                self.snapshot = snapshot;
                Event::Complete(Complete {
                    content: self.content.clone(),
                    files: self.snapshot.files_total,
                    bytes: self.snapshot.bytes_total.0,
                    bytes_kept: self.snapshot.bytes_kept.0,
                    elapsed_ms: self.elapsed_ms(),
                    read_back: self.config.verify_on_complete,
                })
            }
            Report::Warning(message) => Event::Warning(Warning { message, path: None }),
        };
        self.reporter.tell(unix_ms(), &event);
    }
}

/// SIGTERM's number, to tell which signal came.
const TERMINATE: u8 = 15;
/// SIGINT's number.
const INTERRUPT: u8 = 2;

/// Passes the first signal on, and ends the process at the second.
async fn watch_signals(mut interrupt: Signal, mut terminate: Signal, caught: Arc<AtomicU8>, stop: oneshot::Sender<()>) {
    let mut next = async || {
        tokio::select! {
            _ = interrupt.recv() => INTERRUPT,
            _ = terminate.recv() => TERMINATE,
        }
    };
    caught.store(next().await, Ordering::Release);
    // The node may have ended on its own.
    let _ = stop.send(());
    let second = next().await;
    std::process::exit(128 + i32::from(second));
}

/// The exit code of a run that ended in this error.
const fn exit_code(error: &NodeError) -> ExitCode {
    match error {
        NodeError::Store(error) => match error.kind() {
            ErrorKind::Usage => ExitCode::Usage,
            ErrorKind::SourceChanged => ExitCode::SourceChanged,
            ErrorKind::InUse => ExitCode::DestinationInUse,
            ErrorKind::LocalIo => ExitCode::LocalIo,
        },
        NodeError::Manifest(_) => ExitCode::Usage,
        NodeError::Bind(_) => ExitCode::LocalIo,
        NodeError::Endorse(_) => ExitCode::Internal,
        NodeError::Authentication { .. } | NodeError::Unendorsed(_) => ExitCode::Authentication,
        NodeError::NoContent { .. } | NodeError::Incomplete { .. } => ExitCode::Incomplete,
        NodeError::Conflict(_) | NodeError::ReadBack { .. } => ExitCode::Integrity,
        NodeError::SourceChanged { .. } => ExitCode::SourceChanged,
    }
}

const fn role_of(task: &Task) -> Role {
    match task {
        Task::Seed { .. } => Role::Seed,
        Task::Pull { .. } => Role::Pull,
        Task::Copy { .. } => Role::Copy,
    }
}

/// Milliseconds since 1970, for events.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn node_config(config: &Config) -> NodeConfig {
    let task = match &config.task {
        Task::Seed { source } => node::Task::Publish { src: source.clone() },
        Task::Pull { destination } => node::Task::Pull { dst: destination.clone() },
        Task::Copy { source, destination } => node::Task::Copy { src: source.clone(), dst: destination.clone() },
    };
    NodeConfig {
        peers: config.peers.clone(),
        listen: config.listen,
        chunk_size: config.chunk_size.map(|size| size.0),
        exit_complete: config.exit_complete,
        verify_on_complete: config.verify_on_complete,
        transfer_idle_timeout: config.transfer_idle_timeout,
        peer_wait_timeout: config.peer_wait_timeout,
        seed_idle_timeout: config.seed_idle_timeout,
        symlinks: match config.symlinks {
            super::config::SymlinkPolicy::Refuse => crate::store::SymlinkPolicy::Refuse,
            super::config::SymlinkPolicy::Keep => crate::store::SymlinkPolicy::Keep,
            super::config::SymlinkPolicy::Skip => crate::store::SymlinkPolicy::Skip,
        },
        zone: config.zone.clone().unwrap_or_default(),
        memory: config.memory.0,
        ..NodeConfig::new(task)
    }
}
