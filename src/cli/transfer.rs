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
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::certificates::Membership;
use super::config::{Config, Output};
use super::event::{
    Complete, Event, Failure, Manifest, Peer, PeerList, PeerState, Renewed, Root, Start, Summary, Warning,
};
use super::exit::ExitCode;
use super::hooks::Hooks;
use super::invitation::Invitation;
use super::report::{Reporter, TICK};
use super::screen::Screen;
use super::sentence;
use crate::discovery::own_address;
use crate::identity::{Credentials, Watch};
use crate::manifest::ContentId;
use crate::node::{self, NodeError, Report, Reports, Snapshot, SourceTotals, TraceFileError};
use crate::store::ErrorKind;
use crate::units::Time;

mod afterwards;
mod probing;

use afterwards::next_of;
use probing::Probing;

/// Runs the node that `config` describes until it ends.
pub(super) fn run(config: &Config, membership: &Membership, screen: &Screen) -> ExitCode {
    let began = Instant::now();
    let mut reporter = Reporter::new(config, screen.clone(), Box::new(io::stdout()));
    let credentials = match membership.credentials() {
        Ok(credentials) => credentials,
        Err(error) => return give_up(&mut reporter, error.exit_code(), sentence(&error)),
    };
    let hooks = match afterwards::start(config).transpose() {
        Ok(hooks) => hooks,
        Err(error) => return give_up(&mut reporter, afterwards::exit_code(&error), sentence(&error)),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return give_up(&mut reporter, ExitCode::LocalIo, format!("cannot start threads: {error}")),
    };
    let (snapshot, content, root) = (Snapshot::default(), String::new(), String::new());
    let mut teller = Teller {
        reporter,
        screen,
        began,
        snapshot,
        content,
        root,
        sources: Vec::new(),
        listen: None,
        config,
        membership,
        hooks,
        hooks_failed: 0,
        probing: Probing::new(config),
    };
    let code = runtime.block_on(teller.follow(credentials));
    // Tasks that still wait for a peer are not waited for.
    runtime.shutdown_background();
    let sources = std::mem::take(&mut teller.sources).into_iter().map(Into::into).collect();
    let summary = Summary::new(code, teller.elapsed_ms(), &teller.snapshot, sources);
    teller.reporter.finish(unix_ms(), summary);
    code
}

/// Where the node's tasks run: on one thread where there are two processors, or on a thread for each.
///
/// On two processors the second is for digests and the disk, which have threads of their own, and whatever one task hands to another
/// stays on the processor that has it in its caches and wakes nobody: 13 instead of 16 CPU seconds per GB among five machines on links of 200 Mbit/s (`netem bench
/// lan-4`, all on two processors).
fn runtime() -> io::Result<Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut builder = if processors <= 2 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().build()
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
    root: String,
    sources: Vec<SourceTotals>,
    listen: Option<SocketAddr>,
    config: &'a Config,
    membership: &'a Membership,
    hooks: Option<Hooks>,
    hooks_failed: u64,
    probing: Probing,
}

impl Teller<'_> {
    /// Runs the node and tells what it reports, until it ends.
    async fn follow(&mut self, credentials: Credentials) -> ExitCode {
        let watch = credentials.watch().cloned();
        let mut signals = match Signals::watch(watch.is_some() && self.screen.width().is_none()) {
            Ok(signals) => signals,
            Err(error) => {
                let message = format!("cannot watch for signals: {error}");
                return give_up(&mut self.reporter, ExitCode::LocalIo, message);
            }
        };
        if let Err(error) = self.probing.begin() {
            return give_up(&mut self.reporter, ExitCode::LocalIo, sentence(&error));
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let (mut stop, mut caught) = (Some(stop), None);
        let (reports, mut inbox) = Reports::channel();
        let shutdown = async {
            // The sender outlives the node.
            let _ = stopped.await;
        };
        let running = node::run(self.config.node.clone(), credentials, reports, shutdown);
        tokio::pin!(running);
        let mut tick = tokio::time::interval(TICK);
        let outcome = loop {
            tokio::select! {
                outcome = &mut running => break outcome,
                Some(report) = inbox.recv() => self.tell(report),
                Some(news) = next_of(&mut self.hooks) => self.tell_hook(news),
                _ = tick.tick() => self.tick(),
                signal = signals.next() => match (signal, stop.take()) {
                    (None, unused) => {
                        stop = unused;
                        watch.iter().for_each(Watch::hurry);
                    }
                    (Some(code), Some(stop)) => {
                        caught = Some(code);
                        // The node may just have ended on its own.
                        let _ = stop.send(());
                    }
                    (Some(code), None) => return code,
                },
            }
        };
        self.tell_rest(&mut inbox);
        let code = match outcome {
            Ok(summary) => {
                self.snapshot = summary.snapshot;
                self.tick();
                if summary.complete { ExitCode::Complete } else { caught.unwrap_or(ExitCode::Incomplete) }
            }
            Err(error) => self.fail(&error),
        };
        self.finish_hooks(code, &mut signals).await
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
        self.note_status();
        self.reporter.tick(now, unix_ms(), &self.snapshot);
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Shows a publisher's user the exact command for the other machines.
    ///
    /// A fresh key of a run that needs no other machine is shown to nobody: it would only lie about in logs.
    fn invite(&self, content: ContentId) {
        // Certificates are each machine's own, so there is no command for all.
        let Some(keys) = self.membership.keys().filter(|keys| !keys.fresh || !self.config.needs_nobody()) else {
            return;
        };
        let (Some(source), Some(listen), Output::Text) = (self.config.source(), self.listen, self.config.output) else {
            return;
        };
        let address = if listen.ip().is_unspecified() { own_address() } else { Some(listen.ip()) };
        // What came through standard input has no name that others could use.
        let key_file = self.config.key_file.as_deref().filter(|file| *file != Path::new("-"));
        let fresh_key = keys.fresh.then(|| keys.ring.first());
        let (digest, port) = (self.config.node.digest, listen.port());
        let invitation = Invitation { fresh_key, key_file, source, content, digest, address, port };
        self.screen.say(&format!("on every other machine:\n  {}", invitation.command().as_str()));
    }

    /// One report, as an event.
    fn tell(&mut self, report: Report) {
        let event = match report {
            Report::Started { listen, swarm, identity } => {
                self.listen = Some(listen);
                let (swarm, identity) = (swarm.to_string(), identity.to_string());
                let without_probes = self.listen_for_probes(listen);
                let health = self.probing.address().map(|address| address.to_string());
                let start = Start::new(self.config, swarm, identity, listen.to_string(), health);
                self.note_and_tell(&Event::Start(Box::new(start)));
                without_probes.iter().for_each(|event| self.reporter.tell(unix_ms(), event));
                let warn = |message: &String| Event::Warning(Warning { message: message.clone(), path: None });
                return self.config.notices.iter().for_each(|notice| self.reporter.tell(unix_ms(), &warn(notice)));
            }
            Report::Content { id, bytes, files, chunks, chunk_size, kept: _ } => {
                // Only now is the source known to be one that others can have.
                self.invite(id);
                self.content = id.to_string();
                let (bytes, chunk_size) = (bytes.0, chunk_size.0);
                Event::Manifest(Manifest { content: self.content.clone(), files, bytes, chunks, chunk_size })
            }
            Report::Root { content, root } => {
                self.root = root.to_string();
                Event::Root(Root { content: content.to_string(), root: self.root.clone() })
            }
            Report::Listed { peers, added, removed } => Event::PeerList(PeerList { listed: peers, added, removed }),
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
                self.run_last_hook();
                Event::Complete(Complete {
                    content: self.content.clone(),
                    root: self.root.clone(),
                    files: self.snapshot.files_total,
                    bytes: self.snapshot.bytes_total.0,
                    bytes_kept: self.snapshot.bytes_kept.0,
                    elapsed_ms: self.elapsed_ms(),
                    read_back: self.config.node.verify_on_complete,
                })
            }
            Report::Final { entries, files } => {
                return self.hooks.iter().for_each(|hooks| hooks.files(Arc::clone(&entries), files.clone()));
            }
            Report::Refused { address, reason, peers } => {
                let (address, reason) = (address.to_string(), Some(reason));
                Event::Peer(Peer { state: PeerState::Refused, address, identity: None, reason, peers })
            }
            Report::Totals(list) => {
                self.sources = list;
                return;
            }
            Report::Renewed { identity } => Event::Renewed(Renewed { identity: identity.to_string() }),
            Report::Warning(message) => Event::Warning(Warning { message, path: None }),
        };
        self.note_and_tell(&event);
    }
}

/// The two signals that ask a run to end, and the one that asks to read key or certificates again.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Only where there is a file to read again and no terminal that could be closed; otherwise it ends the process, as ever.
    hang_up: Option<Signal>,
}

impl Signals {
    fn watch(renewable: bool) -> io::Result<Self> {
        let hang_up = renewable.then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())?, hang_up })
    }

    /// The exit code that belongs to the next signal; `None` when it only asks to read files again.
    async fn next(&mut self) -> Option<ExitCode> {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Some(ExitCode::Interrupted),
            _ = self.terminate.recv() => Some(ExitCode::Terminated),
            _ = hang_up => None,
        }
    }
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
        NodeError::Trace(TraceFileError::Open { .. }) => ExitCode::LocalIo,
        NodeError::Trace(_) => ExitCode::Usage,
        NodeError::Manifest(_) | NodeError::Weak { .. } | NodeError::Lists(_) => ExitCode::Usage,
        NodeError::Bind(_) => ExitCode::LocalIo,
        NodeError::Endorse(_) | NodeError::Panicked => ExitCode::Internal,
        NodeError::Authentication { .. } | NodeError::Unendorsed(_) | NodeError::Role(_) => ExitCode::Authentication,
        NodeError::NoContent { .. } | NodeError::NotOffered { .. } | NodeError::Incomplete { .. } => {
            ExitCode::Incomplete
        }
        NodeError::Conflict(_)
        | NodeError::ReadBack { .. }
        | NodeError::OtherId { .. }
        | NodeError::OtherRoot { .. } => ExitCode::Integrity,
        NodeError::SourceChanged { .. } => ExitCode::SourceChanged,
    }
}

/// Milliseconds since 1970, for events.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
