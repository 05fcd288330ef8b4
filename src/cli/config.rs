//! What a command line means: every value in its own type, every limit checked, every refusal with its remedy.
//!
//! All of it happens here and once, before anything is opened or bound, so that a wrong word never costs a half-started
//! transfer, and nothing further in needs to doubt a value.
//!
//! Invariant: a [`Config`] can be run as it is. "Off" is `None`, never a zero that somebody could take for a limit.
//!
//! Not here: what only the world can tell (whether paths exist or overlap, whether peers answer, whether the key is good).

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::{CongestionWord, DigestWord, OutputWord, SymlinkWord, TransferArgs};
use super::environment::Environment;
use super::expect;
use super::hooks::{self, HookConfig};
use super::limits::limit;
use super::lists::ListArgs;
use super::packing::{compress_level, compress_type};
use super::probes::Health;
use super::usage::UsageError;
use crate::chunk::{CHUNK_SIZE_MAX, CHUNK_SIZE_MIN};
use crate::discovery::{DEFAULT_PORT, PeerName};
use crate::manifest::DigestKind;
use crate::net::CongestionControl;
use crate::node::{NodeConfig, Task};
use crate::store::SymlinkPolicy;
use crate::units::{Bytes, parse_bytes, parse_duration};

/// The form of what is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// For people, on standard error.
    #[default]
    Text,
    /// One JSON event a line, on standard output.
    Json,
}

/// A transfer, ready to run: what the node is told, and how it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What the node is told.
    pub node: NodeConfig,
    /// The file with the swarm key; `-` is standard input. Default `None`: the environment.
    pub key_file: Option<PathBuf>,
    /// The form of what is printed. Default: text.
    pub output: Output,
    /// Whether totals are printed at the end. Default no.
    pub statistics: bool,
    /// Where probes are answered. Default: beside the node, where that is possible.
    pub health: Health,
    /// Commands to run afterwards. Default `None`: none.
    pub hooks: Option<HookConfig>,
    /// What is accepted and has no effect, a sentence each.
    pub notices: Vec<String>,
    /// Whether to log what happens, not only what goes wrong. Default no.
    pub verbose: bool,
}

impl Config {
    /// The meaning of what was typed.
    ///
    /// # Errors
    /// [`UsageError`] for the first value that cannot be used.
    pub fn from_args(args: &TransferArgs) -> Result<Self, UsageError> {
        let chunk_size = args.chunk_size.as_deref().map(parse_chunk_size).transpose()?;
        let usual = NodeConfig::new(task(args)?);
        let usual_idle = usual.transfer_idle_timeout.unwrap_or_default();
        let peer_wait = time("--peer-wait-timeout", args.peer_wait_timeout.as_deref(), usual.peer_wait_timeout)?;
        let hook_limit = time("--command-timeout", args.hooks.command_timeout.as_deref(), hooks::TIMEOUT)?;
        let hooks = HookConfig::from_args(&args.hooks, hook_limit)?;
        let mut notices = args.compatible.notices()?;
        if hooks.is_some() && matches!(usual.task, Task::Publish { .. }) {
            notices.push("a node that only publishes runs no hooks: nothing becomes complete there".to_owned());
        }
        let node = NodeConfig {
            peers: peers(&args.peer_list)?,
            lists: args.lists.lists()?,
            registry: args.lists.registry()?,
            listen: args
                .listen_addr
                .as_deref()
                .map_or(Ok(usual.listen), |text| parse_listen(text, usual.listen.ip(), DEFAULT_PORT))?,
            chunk_size,
            expect: expect::parse(&args.expect)?,
            digest: match args.digest {
                None | Some(DigestWord::Blake3) => DigestKind::Blake3,
                Some(DigestWord::Xxh3) => DigestKind::Xxh3,
            },
            symlinks: match args.symlinks {
                None | Some(SymlinkWord::Refuse) => SymlinkPolicy::Refuse,
                Some(SymlinkWord::Keep) => SymlinkPolicy::Keep,
                Some(SymlinkWord::Skip) => SymlinkPolicy::Skip,
            },
            zone: args.zone.as_deref().map(|label| parse_zone("--zone", label)).transpose()?,
            window_max: args.peer_num_concurrent.as_deref().map(window).transpose()?,
            memory: memory(args.memory.as_deref(), usual.memory, chunk_size)?,
            upload_limit: limit("--upload-limit", args.upload_limit.as_deref())?,
            download_limit: limit("--download-limit", args.download_limit.as_deref())?,
            compress: compress_type(args.compress_type.as_deref())?,
            compress_level: compress_level(args.compress_level.as_deref())?,
            verify_on_complete: args.verify_on_complete,
            exit_complete: args.exit_complete,
            peer_wait_timeout: peer_wait
                .ok_or(UsageError::ZeroTime { flag: "--peer-wait-timeout", example: EXAMPLE_TIME })?,
            transfer_idle_timeout: time("--transfer-idle-timeout", args.transfer_idle_timeout.as_deref(), usual_idle)?,
            seed_idle_timeout: time("--seed-idle-timeout", args.seed_idle_timeout.as_deref(), Duration::ZERO)?,
            seed_until: args.lifetime.seed_until()?,
            tell_files: hooks.is_some(),
            trace: args.trace.clone(),
            congestion: args.congestion.map_or(usual.congestion, congestion),
            task: usual.task,
        };
        let health = args.probes.health(node.listen)?;
        Ok(Self {
            node,
            key_file: args.key_file.clone(),
            output: match args.output {
                None | Some(OutputWord::Text) => Output::Text,
                Some(OutputWord::Json) => Output::Json,
            },
            statistics: args.statistics,
            health,
            hooks,
            notices,
            verbose: args.verbose,
        })
    }

    /// The same in the zone that the environment names, unless a flag named one. A variable without a value names none: that is how a
    /// pod's template says it where a node has no such label.
    ///
    /// # Errors
    /// [`UsageError::Zone`] for a label that cannot be used.
    pub fn in_zone_of(mut self, environment: &Environment) -> Result<Self, UsageError> {
        let named = environment.zone.as_deref().filter(|label| !label.is_empty());
        if self.node.zone.is_none() {
            self.node.zone = named.map(|label| parse_zone("STREW_ZONE", label)).transpose()?;
        }
        Ok(self)
    }

    /// The same with what files and environment say about asking web servers.
    ///
    /// # Errors
    /// [`UsageError`] for a token that cannot be read.
    pub fn asking_the_web(mut self, args: &ListArgs, environment: &Environment) -> Result<Self, UsageError> {
        let registry = self.node.registry.as_ref().map(|registration| &registration.url);
        self.node.lists.http = args.http(environment, registry, self.node.lists.provider.as_ref())?;
        Ok(self)
    }

    /// Whether this is a local copy that leaves when it is done, so that no other machine takes part.
    #[must_use]
    pub fn needs_nobody(&self) -> bool {
        matches!(self.node.task, Task::Copy { .. }) && self.node.exit_complete && !self.node.lists_anybody()
    }

    /// What is published, if anything.
    #[must_use]
    pub fn source(&self) -> Option<&Path> {
        match &self.node.task {
            Task::Publish { src } | Task::Copy { src, .. } => Some(src),
            Task::Pull { .. } => None,
        }
    }

    /// Where the content goes, if anywhere.
    #[must_use]
    pub fn destination(&self) -> Option<&Path> {
        match &self.node.task {
            Task::Pull { dst } | Task::Copy { dst, .. } => Some(dst),
            Task::Publish { .. } => None,
        }
    }
}

fn task(args: &TransferArgs) -> Result<Task, UsageError> {
    let src = args.src.as_deref().map(|path| local_path("--src", path)).transpose()?;
    let dst = args.dst.as_deref().map(|path| local_path("--dst", path)).transpose()?;
    match (src, dst) {
        (Some(src), None) => Ok(Task::Publish { src }),
        (None, Some(dst)) => Ok(Task::Pull { dst }),
        (Some(src), Some(dst)) => Ok(Task::Copy { src, dst }),
        (None, None) => Err(UsageError::NoTask),
    }
}

/// A path, without p2pcp's `local:` before it.
fn local_path(flag: &'static str, path: &Path) -> Result<PathBuf, UsageError> {
    let bytes = path.as_os_str().as_bytes();
    let local = bytes.strip_prefix(b"local:");
    let path = Path::new(OsStr::from_bytes(local.unwrap_or(bytes)));
    if path.as_os_str().is_empty() {
        return Err(UsageError::EmptyPath { flag });
    }
    // A path such as `s3:` would otherwise be a directory that nobody meant.
    let is_url = REMOTE_SCHEMES.iter().any(|scheme| bytes.starts_with(scheme.as_bytes()));
    if local.is_none() && is_url {
        return Err(UsageError::NotAPath { flag, value: path.display().to_string() });
    }
    Ok(path.to_owned())
}

fn peers(lists: &[String]) -> Result<Vec<PeerName>, UsageError> {
    let mut peers: Vec<PeerName> = Vec::new();
    for entry in lists.iter().flat_map(|list| list.split(',')) {
        if entry.trim().starts_with("file:") {
            return Err(UsageError::ListInList { value: entry.trim().to_owned() });
        }
        let peer = entry.parse()?;
        if !peers.contains(&peer) {
            peers.push(peer);
        }
    }
    Ok(peers)
}

pub(super) fn parse_listen(value: &str, every: IpAddr, usual_port: u16) -> Result<SocketAddr, UsageError> {
    let text = value.trim();
    let any = || text.strip_prefix(':').and_then(|port| port.parse().ok()).map(|port| (every, port));
    let bare = || text.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|ip| (ip, usual_port));
    match text.parse().ok().or_else(|| any().or_else(bare).map(SocketAddr::from)) {
        Some(address) => Ok(address),
        None => Err(UsageError::Listen { value: value.to_owned(), example: "0.0.0.0:10090 or [::]:10090" }),
    }
}

fn parse_chunk_size(value: &str) -> Result<Bytes, UsageError> {
    size("--chunk-size", value, "16MiB", CHUNK_SIZE_MIN, CHUNK_SIZE_MAX)
}

fn window(value: &str) -> Result<u32, UsageError> {
    let number = value.trim().parse().ok().filter(|number| (1..=WINDOW_MAX).contains(number));
    let refused =
        || UsageError::Number { flag: "--peer-num-concurrent", value: value.to_owned(), most: Some(WINDOW_MAX) };
    number.ok_or_else(refused)
}

fn memory(value: Option<&str>, usual: Bytes, chunk_size: Option<Bytes>) -> Result<Bytes, UsageError> {
    const FLAG: &str = "--memory";
    let memory = match value {
        None => usual,
        Some(value) if parse_bytes(value).is_ok() && value.trim().bytes().all(|b| b.is_ascii_digit() || b == b'.') => {
            return Err(UsageError::NoUnit { flag: FLAG, value: value.trim().to_owned() });
        }
        Some(value) => size(FLAG, value, "256MiB", MEMORY_MIN, MEMORY_MAX)?,
    };
    match chunk_size {
        Some(chunk_size) if chunk_size.0 * CHUNKS_IN_MEMORY > memory.0 => {
            Err(UsageError::Memory { memory, chunk_size, needed: Bytes(chunk_size.0 * CHUNKS_IN_MEMORY) })
        }
        _ => Ok(memory),
    }
}

fn size(flag: &'static str, value: &str, example: &'static str, least: u64, most: u64) -> Result<Bytes, UsageError> {
    match parse_bytes(value) {
        Ok(bytes) if (least..=most).contains(&bytes) => Ok(Bytes(bytes)),
        Ok(bytes) => Err(UsageError::Size { flag, value: Bytes(bytes), least: Bytes(least), most: Bytes(most) }),
        Err(reason) => Err(UsageError::Unit { flag, value: value.to_owned(), reason, example }),
    }
}

/// A time; zero is off.
fn time(flag: &'static str, value: Option<&str>, default: Duration) -> Result<Option<Duration>, UsageError> {
    let parsed = value.map_or(Ok(default), parse_duration);
    match parsed {
        Ok(time) => Ok((!time.is_zero()).then_some(time)),
        Err(reason) => {
            let value = value.unwrap_or_default().to_owned();
            Err(UsageError::Unit { flag, value, reason, example: EXAMPLE_TIME })
        }
    }
}

fn parse_zone(from: &'static str, value: &str) -> Result<String, UsageError> {
    let fits = (1..=ZONE_LEN_MAX).contains(&value.len());
    let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if fits && plain { Ok(value.to_owned()) } else { Err(UsageError::Zone { from, value: value.to_owned() }) }
}

const fn congestion(word: CongestionWord) -> CongestionControl {
    match word {
        CongestionWord::Auto => CongestionControl::Auto,
        CongestionWord::Cubic => CongestionControl::Cubic,
        CongestionWord::Rate => CongestionControl::Rate,
    }
}

/// The smallest `--memory`: four of the largest automatic chunks, 16 MiB each.
const MEMORY_MIN: u64 = 64 << 20;
/// The largest `--memory`: more than any machine has today, and far from where sums of budgets would overflow.
const MEMORY_MAX: u64 = 64 << 40;
/// Chunks that must fit into the memory at once: one arrives while another is written.
pub(super) const CHUNKS_IN_MEMORY: u64 = 2;
/// The largest `--peer-num-concurrent`: the swarm's own limit. p2pcp's is 16.
const WINDOW_MAX: u32 = 64;
/// The longest label of a zone, in bytes: the longest label of a DNS name, because most are made from one.
pub(super) const ZONE_LEN_MAX: usize = 63;
/// Beginnings of what p2pcp and its relatives take for remote storage.
const REMOTE_SCHEMES: [&str; 5] = ["http://", "https://", "s3:", "appdepot:", "file://"];
const EXAMPLE_TIME: &str = "20s";

#[cfg(test)]
mod tests;
