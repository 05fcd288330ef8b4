//! What a node is told: typed, checked, ready to use.
//!
//! `cli` makes one of flags; a program that uses the library makes its own.
//!
//! Invariant: `NodeConfig::new` holds every default, so that flags, documents and library agree on them.
//!
//! Not here: credentials, which are not configuration but secrets.

use std::net::{Ipv6Addr, SocketAddr};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::expect::Expect;
use crate::discovery::{DEFAULT_PORT, Lists, PeerName, Registration};
use crate::manifest::DigestKind;
use crate::net::{CongestionControl, TransportSettings};
use crate::store::SymlinkPolicy;
use crate::units::{Bytes, BytesPerSecond};
use crate::wire::PackLevel;

/// What a node does with the files of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Publishes a directory or file and serves it.
    Publish {
        /// The directory or file.
        src: PathBuf,
    },
    /// Pulls a content from the swarm into a directory, and serves it meanwhile and afterwards.
    Pull {
        /// The directory.
        dst: PathBuf,
    },
    /// Copies a directory or file of this machine, through the same store and with the same checks.
    Copy {
        /// The directory or file.
        src: PathBuf,
        /// The directory.
        dst: PathBuf,
    },
}

impl Task {
    /// The source and the destination, as far as there are such.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        let (src, dst) = match self {
            Self::Publish { src } => (Some(src), None),
            Self::Pull { dst } => (None, Some(dst)),
            Self::Copy { src, dst } => (Some(src), Some(dst)),
        };
        src.into_iter().chain(dst).map(PathBuf::as_path)
    }
}

/// How a node asks its neighbours for whole chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// Packed with Zstandard, where that saves a twentieth.
    Zstd,
    /// The same where packing is quicker than sending (`worth` has the rule).
    Auto,
}

/// What a complete node stays for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeedUntil {
    /// It has sent the bytes of the content so many times. A content without bytes is never sent, so only something else ends it.
    Copies(NonZero<u32>),
    /// It has been complete for so long; a publisher is from the moment on that its source is walked.
    Time(Duration),
}

/// Everything that a node needs to know before it starts, the credentials aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// What to do.
    pub task: Task,
    /// Peers to dial; a node may find itself among them. Empty: whoever dials us.
    pub peers: Vec<PeerName>,
    /// A list of further peers that changes while the node runs. Default: none.
    pub lists: Lists,
    /// A registry to which this node says that it is there. Default: none.
    pub registry: Option<Registration>,
    /// UDP address to listen on. Default `[::]:10090`, which takes IPv4 as well. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// Bytes of a chunk when publishing. Default: automatic, about a 4096th of the content. Larger ones start slower and lose
    /// more to store-and-forward, smaller ones cost messages.
    pub chunk_size: Option<Bytes>,
    /// What is known of the content beforehand; anything else is left alone. Default: nothing, so the first content is followed that a
    /// publisher of the swarm offers.
    pub expect: Expect,
    /// How chunks are digested when publishing, and the weakest kind that is accepted when pulling. Default BLAKE3. XXH3 costs two
    /// thirds of it and finds accidents alone.
    pub digest: DigestKind,
    /// Leave once complete and no longer needed. Default: keep serving.
    pub exit_complete: bool,
    /// Read every byte back after completion and compare it with the signed digests. Default off: every chunk was verified
    /// before it was written; this finds disks that lie. Costs one read of everything.
    pub verify_on_complete: bool,
    /// Give up when nothing arrived for so long. Default 30 s; `None` waits for ever.
    pub transfer_idle_timeout: Option<Duration>,
    /// Give up when no peer offered a content within this time. Default 20 s.
    pub peer_wait_timeout: Duration,
    /// Leave when nobody asked for anything for so long while serving. Default `None`: never.
    pub seed_idle_timeout: Option<Duration>,
    /// Leave when complete and this is reached. Default `None`: never. What else makes it leave counts beside it.
    pub seed_until: Option<SeedUntil>,
    /// What to do with symlinks that lead outside the source, and whether a destination takes such. Default: refuse.
    pub symlinks: SymlinkPolicy,
    /// Label of a place with cheap links inside. Default `None`: every peer counts as near.
    pub zone: Option<String>,
    /// What decides how much is on the way to a neighbour. Default: chosen automatically ([`CongestionControl::Auto`]).
    pub congestion: CongestionControl,
    /// Most chunks asked of one neighbour at a time. Default `None`: as many as the swarm finds useful for its path, up to 32. Less
    /// slows long paths.
    pub window_max: Option<u32>,
    /// Memory for data in flight and windows, in bytes. Default 256 MiB; independent of the content's size. Less slows long
    /// paths and large chunks.
    pub memory: Bytes,
    /// Bytes of chunks sent in a second, over all neighbours together, as they travel. Default `None`: no limit. Messages, proofs and pages
    /// of manifests pass beside it, and packets add about a twentieth.
    pub upload_limit: Option<BytesPerSecond>,
    /// Bytes of chunks read in a second from all neighbours together, as they travel. Default `None`: no limit.
    pub download_limit: Option<BytesPerSecond>,
    /// How chunks are asked of neighbours. Default: as they are. Who is asked packs, and everybody can.
    pub compress: Compression,
    /// How hard chunks are packed for neighbours that want them packed. Default 1.
    pub compress_level: PackLevel,
    /// Tell of each file when it is final ([`Report::Final`](super::Report::Final)). Default no: it costs a report for each group of
    /// files and a byte of memory a file, which only somebody who does something with each file needs.
    pub tell_files: bool,
    /// File for a trace of all that the swarm is told and asks for. Default `None`: none. With a dozen neighbours about 430 bytes a chunk
    /// (measured: 110 KB for 256 chunks among 16 nodes), and 16 MiB of memory at most when its disk is slow.
    pub trace: Option<PathBuf>,
}

impl NodeConfig {
    /// Whether there are peers to dial, or may be.
    #[must_use]
    pub fn lists_anybody(&self) -> bool {
        !self.peers.is_empty() || self.lists.provider.is_some()
    }

    /// The defaults for this task.
    #[must_use]
    pub fn new(task: Task) -> Self {
        Self {
            task,
            peers: Vec::new(),
            lists: Lists::default(),
            registry: None,
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, DEFAULT_PORT)),
            chunk_size: None,
            expect: Expect::default(),
            digest: DigestKind::default(),
            exit_complete: false,
            verify_on_complete: false,
            transfer_idle_timeout: Some(Duration::from_secs(30)),
            peer_wait_timeout: Duration::from_secs(20),
            seed_idle_timeout: None,
            seed_until: None,
            symlinks: SymlinkPolicy::default(),
            zone: None,
            congestion: CongestionControl::default(),
            window_max: None,
            memory: Bytes(256 << 20),
            upload_limit: None,
            download_limit: None,
            compress: Compression::default(),
            compress_level: PackLevel::default(),
            tell_files: false,
            trace: None,
        }
    }

    /// How its connections are set up.
    pub(super) fn transport(&self) -> TransportSettings {
        let settings =
            TransportSettings { congestion: self.congestion, ..TransportSettings::bound_to(self.listen.ip()) };
        settings.reading(self.download_limit)
    }
}
