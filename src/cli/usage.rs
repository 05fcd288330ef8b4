//! Why a command line cannot be run, in words that name the flag and the remedy.
//!
//! Apart from the reading of values (`config`), because there are many flags and each refuses in its own words; here all refusals can be
//! read beside each other.
//!
//! Invariant: every message names the flag and says what would do.
//!
//! Not here: what only the world can tell, which ends a run with another exit code.

use super::config::{CHUNKS_IN_MEMORY, ZONE_LEN_MAX};
use super::hooks::HookUsageError;
use super::lists::INTERVAL_MIN;
use super::settings::FileError;
use crate::discovery::{HttpUrlError, PeerNameError, ProviderError, TokenError};
use crate::units::{Bytes, ParseUnitError};
use crate::wire::PackLevel;

/// A command line that cannot be run (exit code 2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// Neither source nor destination.
    #[error(
        "nothing to do: give --src DIR to publish, --dst DIR with --peer-list to fetch, or both to copy (--help says more)"
    )]
    NoTask,
    /// A path flag without a path.
    #[error("{flag} is empty; give it a path")]
    EmptyPath {
        /// The flag.
        flag: &'static str,
    },
    /// A path flag with something that only looks like a path.
    #[error(
        "{flag} takes a path on this machine, and {value:?} looks like a URL; if it is a path, write local:{value}"
    )]
    NotAPath {
        /// The flag.
        flag: &'static str,
        /// Its value.
        value: String,
    },
    /// A size or a time that cannot be read.
    #[error("{flag}: {value:?} {reason}; write it as in {flag} {example}")]
    Unit {
        /// The flag.
        flag: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: ParseUnitError,
        /// A value that would do.
        example: &'static str,
    },
    /// A size without a unit where there never was a habit of leaving it out.
    #[error("{flag}: {value:?} has no unit; is it bytes, {value}KiB or {value}MiB?")]
    NoUnit {
        /// The flag.
        flag: &'static str,
        /// Its value.
        value: String,
    },
    /// A size out of bounds.
    #[error("{flag}: {value} is outside {least} to {most}")]
    Size {
        /// The flag.
        flag: &'static str,
        /// Its value.
        value: Bytes,
        /// The smallest that is possible.
        least: Bytes,
        /// The largest that is possible.
        most: Bytes,
    },
    /// A rate with which nothing would get on.
    #[error("{flag}: {value:?} is too little for a transfer; give it at least 64kbit/s, or none")]
    Rate {
        /// The flag.
        flag: &'static str,
        /// Its value.
        value: String,
    },
    /// A kind of compression that does not exist.
    #[error("--compress-type: {value:?} is unsupported; give none, zstd or auto")]
    CompressType {
        /// The value.
        value: String,
    },
    /// A level of compression that does not exist, or that no machine could afford.
    #[error("--compress-level: {value:?} is no level; give 1 to {}", PackLevel::MAX)]
    CompressLevel {
        /// The value.
        value: String,
    },
    /// A time of zero where waiting for no time makes no sense.
    #[error("{flag} is zero, so nothing could ever be reached; give it a time such as {example}")]
    ZeroTime {
        /// The flag.
        flag: &'static str,
        /// A value that would do.
        example: &'static str,
    },
    /// A budget that is too small for the chunks.
    #[error(
        "--memory {memory} is too little for --chunk-size {chunk_size}: {CHUNKS_IN_MEMORY} chunks must fit; \
         give --memory at least {needed} or smaller chunks"
    )]
    Memory {
        /// The budget.
        memory: Bytes,
        /// The chunk size.
        chunk_size: Bytes,
        /// The smallest budget for this chunk size.
        needed: Bytes,
    },
    /// A peer that cannot be read.
    #[error("--peer-list: {0}")]
    Peer(#[from] PeerNameError),
    /// A list where a peer belongs.
    #[error("--peer-list: {value:?} is a list and no peer; give it as --peer-list-url {value}")]
    ListInList {
        /// The entry.
        value: String,
    },
    /// A list that changes and cannot be read.
    #[error("{flag}: {reason}")]
    List {
        /// The flag.
        flag: &'static str,
        /// What is wrong with its value.
        reason: ProviderError,
    },
    /// Two lists that change.
    #[error("{first} and {second} are both given; one list that changes is possible, beside --peer-list")]
    TwoLists {
        /// One flag.
        first: &'static str,
        /// Another flag.
        second: &'static str,
    },
    /// A name server that cannot be read.
    #[error("--peer-list-dns-server: {value:?} is no address; write it as in 10.0.0.10 or 10.0.0.10:53")]
    DnsServer {
        /// The value.
        value: String,
    },
    /// A pause that would make a flood.
    #[error(
        "{flag}: {value:?} is shorter than {INTERVAL_MIN:?}, and would flood whoever is asked; give it a time such as 3s"
    )]
    Interval {
        /// The flag.
        flag: &'static str,
        /// The value.
        value: String,
    },
    /// A registry that cannot be read.
    #[error("--peer-registry-heartbeat-url: {0}")]
    Registry(#[source] HttpUrlError),
    /// An own address that cannot be read.
    #[error("--peer-registry-self-endpoint: {0}; or write auto")]
    SelfEndpoint(#[source] PeerNameError),
    /// Half of what TLS needs.
    #[error("--tls-cert and --tls-key belong together; give both or none")]
    HalfTls,
    /// A token that cannot be one.
    #[error("{from}: {reason}")]
    Token {
        /// The file or variable.
        from: String,
        /// What is wrong with it.
        reason: TokenError,
    },
    /// A file with a token that cannot be read.
    #[error("--peer-registry-token-file: cannot read {path}: {reason}")]
    TokenFile {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// A file of settings that cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A value of a variable or of a file that cannot be used.
    #[error("{origin}: {reason}")]
    Setting {
        /// The flag that it stands for.
        flag: String,
        /// Where it is from.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A number that cannot be read or is out of bounds.
    #[error("{flag}: {value:?} is not a number{}", most.map(|most| format!(" from 1 to {most}")).unwrap_or_default())]
    Number {
        /// The flag.
        flag: &'static str,
        /// Its value.
        value: String,
        /// The largest that is possible, where there are bounds.
        most: Option<u32>,
    },
    /// A hook that cannot be used.
    #[error(transparent)]
    Hook(#[from] HookUsageError),
    /// An address to listen on that cannot be read.
    #[error("--listen-addr: {value:?} is not ADDRESS:PORT; use an address of this machine (no name), as in {example}")]
    Listen {
        /// The value.
        value: String,
        /// A value that would do.
        example: &'static str,
    },
    /// A limit that cannot be read.
    #[error("--seed-until: {value:?} is no limit; write it as in --seed-until copies=2 or --seed-until time=10m")]
    SeedUntil {
        /// The value.
        value: String,
    },
    /// An address for probes that cannot be read.
    #[error(
        "--health-addr: {value:?} is neither ADDRESS:PORT of this machine nor none; write it as in --health-addr 127.0.0.1:10090"
    )]
    Health {
        /// The value.
        value: String,
    },
    /// A pin that cannot be read.
    #[error(
        "--expect: {value:?} is no pin; write it as in --expect id:HEX or --expect root:HEX, with the 64 hexadecimal digits that \
         the publisher prints"
    )]
    Expect {
        /// The value.
        value: String,
    },
    /// A second pin of the same kind.
    #[error("--expect: {value:?} is a second pin of its kind; give one id and one root at most")]
    ExpectTwice {
        /// The value.
        value: String,
    },
    /// A log filter that cannot be read.
    #[error("STREW_LOG: {value:?} is not a log filter; write it as in STREW_LOG=strew=debug or STREW_LOG=info")]
    LogFilter {
        /// The value.
        value: String,
    },
    /// An environment variable that is not UTF-8.
    #[error("{name} is not UTF-8 text; set it again")]
    NotText {
        /// The variable.
        name: &'static str,
    },
    /// A zone's label that cannot be used.
    #[error("{from}: {value:?} is not 1 to {ZONE_LEN_MAX} letters, digits, '-', '_' or '.'")]
    Zone {
        /// The flag or variable.
        from: &'static str,
        /// The value.
        value: String,
    },
}
