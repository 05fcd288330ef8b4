//! The command line as it was typed.
//!
//! Two levels: this one only knows names, arity and help text; [`super::config`] knows what the words mean. So the help can be
//! read in one place, and every refusal of a value can name the flag and the remedy in our own words.
//!
//! Invariant: every flag that is listed here does something. Flags of p2pcp whose feature does not exist yet are unknown
//! flags, because a silently accepted one would change what a fleet gets.
//!
//! Not here: defaults and limits (`config.rs`), Go's spelling (`spelling.rs`), and what variables and a file say (`settings`).

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use super::certificates::CertificateArgs;
use super::certs::CertsCommand;
use super::compatible::CompatibleArgs;
use super::exit::ExitCode;
use super::hooks::HookArgs;
use super::lifetime::LifetimeArgs;
use super::lists::ListArgs;
use super::probes::ProbeArgs;
use super::registry::RegistryArgs;
use super::settings::Settings;
use super::spelling::{self, Flags, GoBool};
use super::status::StatusArgs;
use super::usage::UsageError;

/// What the user typed.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "strew",
    version,
    about = "Replicates a directory or a file to many machines, peer to peer, over mutually authenticated QUIC",
    long_about = None,
    override_usage = "strew --src DIR [OPTIONS]\n       strew --dst DIR --peer-list PEER[,PEER...] [OPTIONS]\n       \
                      strew --src DIR --dst DIR [OPTIONS]\n       strew demo [DIR] [--into DIR]\n       strew key new|id [OPTIONS]\n       strew certs init|issue|csr|sign|show [OPTIONS]\n       strew registry [OPTIONS]\n       strew status [ADDR] [--output json]",
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    next_line_help = false
)]
pub struct Args {
    /// The subcommand, if any.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of a transfer.
    #[command(flatten)]
    pub transfer: TransferArgs,
}

/// Everything but a transfer.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Show a replication on this machine: one seeder and four peers as real processes on loopback.
    Demo(DemoArgs),
    /// Make a swarm key, or show which swarm a key belongs to.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Make an authority and certificates with roles, for machines whose owners do not trust each other, or show them.
    #[command(subcommand)]
    Certs(CertsCommand),
    /// Serve a list of peers that peers make themselves, by saying that they are there (docs/registry-protocol.md).
    Registry(RegistryArgs),
    /// Ask a running node how it stands. Ends with 0 when it is complete, with 4 when it is not or does not answer (docs/probes.md).
    Status(StatusArgs),
}

/// The words after `demo`.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// The directory or file to replicate [default: the sources of the crates in cargo's home, else the libraries of the Rust
    /// toolchain].
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Where to put the four copies for a moment [default: the directory for temporary files].
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
}

/// What to do with keys.
#[derive(Clone, Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a new swarm key and print it.
    New(KeyNewArgs),
    /// Print the public id of the swarm that the configured key belongs to; never the key.
    Id(KeyIdArgs),
}

/// The words after `key new`.
#[derive(Clone, Debug, clap::Args)]
pub struct KeyNewArgs {
    /// Write the key to a new file that only you can read, instead of to standard output. An existing file is never
    /// overwritten.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// The words after `key id`.
#[derive(Clone, Debug, clap::Args)]
pub struct KeyIdArgs {
    /// The file with the swarm key; - is standard input [default: $STREW_KEY, then the file $STREW_KEY_FILE].
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

const WHAT: &str = "What to replicate";
const WHO: &str = "Peers and keys";
const HOW: &str = "How";
pub(super) const WHEN: &str = "When to leave";
pub(super) const SHOW: &str = "What is shown";

// Apart from the fields, whose documentation would take the brackets for links.
const PEER_LIST_HELP: &str = "Peers to connect to: HOST, HOST:PORT, IPv4, IPv6 or [IPv6]:PORT, separated by commas; may be \
                              repeated. The port is 10090 when none is given. This machine may be among them";
const LISTEN_ADDR_HELP: &str = "UDP address to listen on [default: [::]:10090, which includes IPv4]";

/// The flags of a transfer.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TransferArgs {
    /// Publish this directory or file.
    #[arg(long, value_name = "DIR", help_heading = WHAT)]
    pub src: Option<PathBuf>,
    /// Replicate into this directory, and serve what is there already to others.
    #[arg(long, value_name = "DIR", help_heading = WHAT)]
    pub dst: Option<PathBuf>,
    /// Symbolic links that point outside the source: refuse to start, keep them as they are, or skip them [default: refuse].
    #[arg(long, value_name = "POLICY", help_heading = WHAT)]
    pub symlinks: Option<SymlinkWord>,
    /// Bytes of a chunk, 1KiB to 128MiB [default: about 1/4096 of the content, 64KiB to 16MiB].
    #[arg(long, value_name = "SIZE", help_heading = WHAT)]
    pub chunk_size: Option<String>,
    /// Take nothing else: id:HEX is the content to follow, as its publisher prints it; root:HEX stands for every byte, and no file
    /// gets its final name before it matches. One of each; a publisher checks its source against them [default: whatever is offered].
    #[arg(long, value_name = "PIN", help_heading = WHAT)]
    pub expect: Vec<String>,
    /// How chunks are verified. xxh3 costs less and finds accidents, not malice: it is for machines that all trust each other, and
    /// must be given on all of them [default: blake3].
    #[arg(long, value_name = "KIND", help_heading = WHAT)]
    pub digest: Option<DigestWord>,

    /// Peers to connect to.
    #[arg(long, value_name = "PEER,...", help_heading = WHO, help = PEER_LIST_HELP)]
    pub peer_list: Vec<String>,
    /// Lists of peers that change.
    #[command(flatten)]
    pub lists: ListArgs,
    /// UDP address to listen on.
    #[arg(long, value_name = "ADDR", help_heading = WHO, help = LISTEN_ADDR_HELP)]
    pub listen_addr: Option<String>,
    /// The file with the swarm key; - is standard input [default: $STREW_KEY, then the file $STREW_KEY_FILE].
    #[arg(long, value_name = "FILE", help_heading = WHO)]
    pub key_file: Option<PathBuf>,
    /// Certificates in place of the key.
    #[command(flatten)]
    pub certificates: CertificateArgs,
    /// A label for the place that this machine is in: each chunk comes into a zone about once [default: $STREW_ZONE, else none].
    #[arg(long, value_name = "LABEL", help_heading = WHO)]
    pub zone: Option<String>,

    /// Read everything back from the disk and compare it once it is complete.
    #[arg(long, help_heading = HOW, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true,
          hide_possible_values = true, value_parser = GoBool)]
    pub verify_on_complete: bool,
    /// Chunks asked of one peer at a time at most, 1 to 64. Few suit no path but a short one; the number follows the path by itself
    /// [default: 32].
    #[arg(long, value_name = "N", help_heading = HOW)]
    pub peer_num_concurrent: Option<String>,
    /// Memory for chunks, caches and connections, at least 64MiB [default: 256MiB].
    #[arg(long, value_name = "SIZE", help_heading = HOW)]
    pub memory: Option<String>,
    /// What decides how much is on the way to a peer: rate follows what arrives and shrugs off loss, cubic shares a line as TCP does,
    /// auto is cubic below two milliseconds and rate elsewhere [default: $STREW_CONGESTION, else auto].
    #[arg(long, value_name = "KIND", help_heading = HOW)]
    pub congestion: Option<CongestionWord>,
    /// How to ask for chunks: none (as they are), zstd (packed where that saves a twentieth), auto (the same unless packing takes longer than
    /// it saves). Whoever sends packs each chunk once, whatever this says there [default: none].
    #[arg(long, value_name = "TYPE", help_heading = HOW)]
    pub compress_type: Option<String>,
    /// How hard to pack for others, 1 to 9 [default: 1].
    #[arg(long, value_name = "N", help_heading = HOW)]
    pub compress_level: Option<String>,
    /// Send no more than this over all neighbours together, such as 80Mbit/s or 10MiB/s; 0 or none is no limit [default:
    /// $STREW_UPLOAD_LIMIT, else none].
    #[arg(long, value_name = "RATE", help_heading = HOW)]
    pub upload_limit: Option<String>,
    /// Take no more than this from all neighbours together, written alike [default: $STREW_DOWNLOAD_LIMIT, else none].
    #[arg(long, value_name = "RATE", help_heading = HOW)]
    pub download_limit: Option<String>,

    /// Take settings from this TOML file too, such as peer-list = "10.0.0.5"; its keys are the flags' names [default: none].
    #[arg(long, value_name = "FILE", help_heading = HOW)]
    pub config: Option<PathBuf>,

    /// Commands to run afterwards.
    #[command(flatten)]
    pub hooks: HookArgs,

    /// Leave when the content is complete and others hold what this machine holds, after 10s at the latest. Without it, a
    /// complete node stays and serves. A node that only publishes stays in any case.
    #[arg(long, help_heading = WHEN, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true,
          hide_possible_values = true, value_parser = GoBool)]
    pub exit_complete: bool,
    /// Give up when no peer can be reached for this long at the start [default: 20s].
    #[arg(long, value_name = "TIME", help_heading = WHEN)]
    pub peer_wait_timeout: Option<String>,
    /// Give up when nothing arrived for this long; 0 waits for ever [default: 30s].
    #[arg(long, value_name = "TIME", help_heading = WHEN)]
    pub transfer_idle_timeout: Option<String>,
    /// Leave when complete and nobody asked for anything for this long; 0 stays for ever [default: 0].
    #[arg(long, value_name = "TIME", help_heading = WHEN)]
    pub seed_idle_timeout: Option<String>,
    /// How long to stay.
    #[command(flatten)]
    pub lifetime: LifetimeArgs,

    /// Form of what is printed: text for people, json for programs (one event a line on standard output, see docs/events.md)
    /// [default: text].
    #[arg(long, value_name = "FORM", help_heading = SHOW)]
    pub output: Option<OutputWord>,
    /// Write down in this file what the transfer's decisions were made of and what they were, to find out later where the time went
    /// (see docs/trace.md). A trace that is there is replaced, any other file is refused [default: none].
    #[arg(long, value_name = "FILE", help_heading = SHOW)]
    pub trace: Option<PathBuf>,
    /// Probes over HTTP.
    #[command(flatten)]
    pub probes: ProbeArgs,
    /// Print totals at the end.
    #[arg(long, help_heading = SHOW, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true,
          hide_possible_values = true, value_parser = GoBool)]
    pub statistics: bool,
    /// Log what happens, connections above all, to standard error. $STREW_LOG sets the level in more detail, such as
    /// strew=debug.
    #[arg(long, help_heading = SHOW, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true,
          hide_possible_values = true, value_parser = GoBool)]
    pub verbose: bool,

    /// What p2pcp's command lines may have too.
    #[command(flatten)]
    pub compatible: CompatibleArgs,
}

/// What to do with symbolic links that leave the source, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum SymlinkWord {
    /// Stop before anything is transferred, and list them.
    Refuse,
    /// Replicate them as they are.
    Keep,
    /// Leave them out, with a warning.
    Skip,
}

/// How chunks are verified, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum DigestWord {
    /// Against accidents and malice.
    Blake3,
    /// Against accidents alone.
    Xxh3,
}

/// What decides how much is on the way, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum CongestionWord {
    /// What strew holds to be best.
    Auto,
    /// As TCP does.
    Cubic,
    /// What arrives.
    Rate,
}

/// The form of what is printed, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum OutputWord {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Args {
    /// Reads the words of a command line, without the program's name, and nothing else.
    ///
    /// # Errors
    /// What clap says, help and version included, with a hint for words that no flag belongs to.
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let read = Self::read_with(words, &|_| None);
        read.map(|(args, _)| args).map_err(|refusal| match refusal {
            Refusal::Words(error) => error,
            Refusal::Settings(error) => Self::command().error(clap::error::ErrorKind::InvalidValue, error),
        })
    }

    /// Reads the words of a command line, and for a transfer what variables and a file add to them.
    ///
    /// # Errors
    /// [`Refusal`] says what was wrong with which of them.
    pub fn read_with(
        words: impl IntoIterator<Item = OsString>,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<(Self, Settings), Refusal> {
        let mut command = Self::command().after_help(after_help());
        command.build();
        let words = spelling::normalise(words, &Flags::of(&command));
        let typed = parse(&mut command, &words).map_err(Refusal::Words)?;
        if typed.subcommand().is_some() {
            return Ok((Self::from_arg_matches(&typed).map_err(Refusal::Words)?, Settings::default()));
        }
        let settings = Settings::find(&command, &typed, environment).map_err(Refusal::Settings)?;
        let all: Vec<OsString> = settings.words.iter().chain(&words).cloned().collect();
        let args = parse(&mut command, &all).and_then(|matches| Self::from_arg_matches(&matches));
        let args = args.map_err(|error| {
            let alone = |word: &OsStr| parse(&mut command.clone(), &[word.to_owned()]).err().map(|e| first_words(&e));
            settings.culprit(alone).map_or(Refusal::Words(error), Refusal::Settings)
        })?;
        Ok((args, settings))
    }
}

/// Why a command line cannot be read.
#[derive(Debug)]
pub enum Refusal {
    /// For its words; help and version are told so as well.
    Words(clap::Error),
    /// For a variable or a file.
    Settings(UsageError),
}

fn parse(command: &mut clap::Command, words: &[OsString]) -> Result<clap::ArgMatches, clap::Error> {
    let named = std::iter::once(OsString::from("strew")).chain(words.iter().cloned());
    command.try_get_matches_from_mut(named).map_err(|error| hint_at_stray_words(error, command))
}

/// What clap says, without its advice about the command line.
fn first_words(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.trim_start_matches("error: ").lines().take_while(|line| !line.is_empty());
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

/// p2pcp ignored every word after the first one without a flag; a node that runs with half of its flags is worse than none.
fn hint_at_stray_words(error: clap::Error, command: &mut clap::Command) -> clap::Error {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let kind = match error.kind() {
        ErrorKind::InvalidSubcommand | ErrorKind::ArgumentConflict => ContextKind::InvalidSubcommand,
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        _ => return error,
    };
    let Some(ContextValue::String(word)) = error.get(kind) else { return error };
    if word.starts_with('-') || command.find_subcommand(word).is_some() {
        return error;
    }
    let message = match word.as_str() {
        "true" | "false" => format!("'{word}' belongs to no flag; write a switch as --verbose or --verbose={word}"),
        _ => format!("'{word}' belongs to no flag; name what to replicate with --src or --dst, as in --src '{word}'"),
    };
    command.error(ErrorKind::UnknownArgument, message)
}

fn after_help() -> String {
    let codes: Vec<String> =
        ExitCode::ALL.iter().map(|code| format!("  {:>3}  {}", code.number(), code.meaning())).collect();
    format!("{EXAMPLES}\n\nExit codes:\n{}", codes.join("\n"))
}

const EXAMPLES: &str = "\
Sizes are written 16MiB or 16MB, rates 80Mbit/s or 10MiB/s, times 20s, 1m30s or 250ms. Every flag may also be written with one dash.
Every flag of a transfer is also a variable, STREW_ and its name (STREW_PEER_LIST), and a key of the file of --config: a flag counts
before its variable, and that before the file.

Examples:
  strew key new --out swarm.key
  strew --src ./models --key-file swarm.key
  strew --dst ./models --key-file swarm.key --peer-list 10.0.0.5,10.0.0.6 --exit-complete";
