//! Trace: writes down what the swarm is told and what it asks for, for `--trace FILE`.
//!
//! The loop makes lines and puts them into a buffer; a thread of its own writes full ones, so that a slow disk is not the loop's
//! concern. What waits for the disk is bounded, and a trace with a gap is worth nothing, so a disk that does not keep up ends the trace
//! and not the job, as one that is full does.
//!
//! A file that is there already is replaced if it is a trace or empty, so that the same command can run again, and is refused
//! otherwise: a slip of the keyboard must not cost anybody's data.
//!
//! Invariant: whatever happens to the file, the loop neither waits nor fails; only a file that cannot be had at the start is an error.
//!
//! Not here: the form of a line (`swarm::trace`), repeating a run (`sim::replay`).

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use tokio::sync::oneshot;

use super::content::LOCAL;
use super::report::{Report, Reports};
use super::{Clock, Node};
use crate::manifest::ContentId;
use crate::swarm::trace::{self, Beginning, Header, Named};
use crate::swarm::{Input, Output, SourceId};
use crate::units::Time;

/// A buffer that is so full is passed on (64 KiB: about a thousand lines).
const BUFFER_LEN: usize = 64 << 10;
/// Buffers that may wait for the disk (16 MiB in all: several seconds at a gigabyte of chunks a second).
const BUFFERS: usize = 256;
/// How long a node that ends waits for the last buffers.
const END_MAX: Duration = Duration::from_secs(5);
/// How every trace begins; a file that begins so may be replaced by another trace.
const BEGINNING: &[u8] = b"{\"trace\":";

/// A trace that cannot be begun.
#[derive(Debug, thiserror::Error)]
pub enum TraceFileError {
    /// It is something else than a trace, and not to be lost.
    #[error("--trace: {path} is there and is no trace, so it stays; name another file")]
    Taken {
        /// The file.
        path: PathBuf,
    },
    /// It is a directory, a device or a pipe.
    #[error("--trace: {path} is not a regular file; name one")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// It would be published, or lie in the way of what is replicated.
    #[error("--trace: {path} lies in {tree}, which is replicated; name a file elsewhere")]
    Within {
        /// The file.
        path: PathBuf,
        /// The source or the destination.
        tree: PathBuf,
    },
    /// Another process writes its own trace there.
    #[error("--trace: another strew writes to {path}; name a file for each")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The system says no.
    #[error("--trace: cannot write to {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Writes one trace.
#[derive(Debug)]
pub(super) struct Recorder {
    lines: Vec<u8>,
    /// Full buffers go here; `None` once nothing more can be written.
    full: Option<SyncSender<Vec<u8>>>,
    /// Resolves when everything is written.
    written: oneshot::Receiver<()>,
    path: PathBuf,
    reports: Reports,
    /// The wall clock at the clock's zero.
    wall: u64,
}

impl Recorder {
    /// Begins a trace in the file at `path`.
    pub(super) fn create(path: &Path, clock: Clock, reports: Reports) -> Result<Self, TraceFileError> {
        let file = create(path)?;
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = wall.saturating_sub(clock.now() - Time::ZERO).as_nanos();
        let (full, inbox) = sync_channel(BUFFERS);
        let (end, written) = oneshot::channel();
        let thread = Writer { file, path: path.to_owned(), inbox, reports: reports.clone(), _end: end };
        let named = std::thread::Builder::new().name("trace".into());
        named.spawn(move || thread.run()).map_err(|source| TraceFileError::Open { path: path.to_owned(), source })?;
        let wall = u64::try_from(wall).unwrap_or(u64::MAX);
        Ok(Self { lines: Vec::new(), full: Some(full), written, path: path.to_owned(), reports, wall })
    }

    fn line(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.full.is_none() {
            return;
        }
        write(&mut self.lines);
        if self.lines.len() >= BUFFER_LEN {
            self.pass_on();
        }
    }

    /// Gives what was gathered to the disk.
    pub(super) fn pass_on(&mut self) {
        let Some(full) = &self.full else { return };
        if self.lines.is_empty() {
            return;
        }
        let lines = std::mem::replace(&mut self.lines, Vec::with_capacity(BUFFER_LEN + BUFFER_LEN / 8));
        match full.try_send(lines) {
            Ok(()) => return,
            Err(TrySendError::Full(_)) => {
                self.reports.send(Report::Warning(format!(
                    "the trace in {} ends here: its disk is too slow; the job goes on",
                    self.path.display()
                )));
            }
            // The thread said why.
            Err(TrySendError::Disconnected(_)) => {}
        }
        self.full = None;
        self.lines = Vec::new();
    }

    /// Waits until everything is written, within a bound.
    pub(super) async fn end(&mut self) {
        self.pass_on();
        self.full = None;
        // Its sender is only dropped, never used.
        let _ = tokio::time::timeout(END_MAX, &mut self.written).await;
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.pass_on();
    }
}

/// What the thread has.
struct Writer {
    file: File,
    path: PathBuf,
    inbox: Receiver<Vec<u8>>,
    reports: Reports,
    _end: oneshot::Sender<()>,
}

impl Writer {
    fn run(mut self) {
        while let Ok(lines) = self.inbox.recv() {
            if let Err(error) = self.file.write_all(&lines) {
                self.reports.send(Report::Warning(format!(
                    "the trace in {} ends here: {error}; the job goes on",
                    self.path.display()
                )));
                return;
            }
        }
    }
}

impl Node {
    /// Begins the trace that was asked for. After the socket was had, as a run that cannot even listen must not replace an earlier trace.
    pub(super) fn begin_trace(&mut self) -> Result<(), TraceFileError> {
        if let Some(path) = &self.config.trace {
            let within = self.config.task.paths().find(|tree| is_within(path, tree));
            if let Some(tree) = within {
                return Err(TraceFileError::Within { path: path.clone(), tree: tree.to_owned() });
            }
            self.trace = Some(Recorder::create(path, self.clock, self.reports.clone())?);
        }
        Ok(())
    }

    /// Notes that a machine of this beginning begins.
    pub(super) fn trace_content(&mut self, content: ContentId, beginning: &Beginning) {
        let Some(recorder) = &mut self.trace else { return };
        let header = Header {
            strew: env!("CARGO_PKG_VERSION").to_owned(),
            wall: recorder.wall,
            begun: self.clock.now(),
            peer: self.peer.to_string(),
            listen: self.listen.to_string(),
            zone: self.config.zone.clone().unwrap_or_default(),
            content: content.to_string(),
            beginning: beginning.clone(),
        };
        recorder.line(|lines| trace::write_header(lines, &header));
    }

    /// Notes an input, before the swarm is told.
    pub(super) fn trace_input(&mut self, now: Time, input: &Input) {
        let Some(recorder) = &mut self.trace else { return };
        if let Input::Joined { source, .. } = input
            && let Some(named) = named(*source, &self.links)
        {
            recorder.line(|lines| trace::write_named(lines, &named));
        }
        recorder.line(|lines| trace::write_input(lines, now, input));
    }

    /// What the swarm asks for next, noted.
    pub(super) fn next_output(&mut self) -> Option<Output> {
        let output = self.content.as_mut()?.swarm.poll()?;
        if let Some(recorder) = &mut self.trace {
            let now = self.clock.now();
            recorder.line(|lines| trace::write_output(lines, now, &output));
        }
        Some(output)
    }

    /// Gives what was noted to the disk, so that a node that is killed loses little of its trace.
    pub(super) fn pass_trace_on(&mut self) {
        if let Some(recorder) = &mut self.trace {
            recorder.pass_on();
        }
    }

    /// Ends the trace.
    pub(super) async fn end_trace(&mut self) {
        if let Some(recorder) = &mut self.trace {
            recorder.end().await;
        }
    }
}

/// Who a source is.
fn named(source: SourceId, links: &super::Links) -> Option<Named> {
    if source == LOCAL {
        let (address, peer, zone) = ("local".to_owned(), String::new(), String::new());
        return Some(Named { source, address, peer, zone, publisher: false });
    }
    let link = links.link(source)?;
    Some(Named {
        source,
        address: link.address.to_string(),
        peer: link.hello.peer.to_string(),
        zone: link.hello.zone.to_string(),
        publisher: link.hello.publisher,
    })
}

/// Whether a file at `path` would be in the directory `tree`, links followed as far as there is anything.
fn is_within(path: &Path, tree: &Path) -> bool {
    let real =
        |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned());
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    real(parent).starts_with(real(tree))
}

/// The file at `path`, empty, ours alone, for us alone to read.
fn create(path: &Path) -> Result<File, TraceFileError> {
    let failed = |source| TraceFileError::Open { path: path.to_owned(), source };
    // A pipe that nobody reads must not hold the start up.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
    let mut file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            return Err(TraceFileError::NotAFile { path: path.to_owned() });
        }
        Err(error) => return Err(failed(error)),
    };
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(TraceFileError::NotAFile { path: path.to_owned() });
    }
    match file.try_lock() {
        // A file system without locks has none to respect.
        Ok(()) | Err(std::fs::TryLockError::Error(_)) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Err(TraceFileError::InUse { path: path.to_owned() }),
    }
    let mut beginning = Vec::new();
    (&mut file).take(BEGINNING.len() as u64).read_to_end(&mut beginning).map_err(failed)?;
    if !beginning.is_empty() && beginning != BEGINNING {
        return Err(TraceFileError::Taken { path: path.to_owned() });
    }
    file.set_permissions(Permissions::from_mode(0o600)).map_err(failed)?;
    file.set_len(0).map_err(failed)?;
    io::Seek::rewind(&mut file).map_err(failed)?;
    Ok(file)
}
