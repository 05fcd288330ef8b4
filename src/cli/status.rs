//! `strew status`: asks a running node how it stands, and says it with words, JSON and an exit code.
//!
//! Invariant: 0 means that the node itself says that it is complete.
//!
//! Not here: what a node answers (`admin`).

use std::io::{self, Write};
use std::time::Duration;

use super::args::OutputWord;
use super::exit::ExitCode;
use super::progress::duration;
use super::report::printable;
use super::sentence;
use crate::admin::{SCHEMA, Status};
use crate::discovery::{DEFAULT_PORT, HttpClient, HttpError, HttpSettings, PeerName, PeerNameError, Resolver};
use crate::units::Bytes;

/// How long the answer is waited for (5 s: it comes out of memory, so what takes longer is as good as absent to whoever probes).
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes (64 KiB: fifty times what one has today).
const ANSWER_LEN_MAX: usize = 64 << 10;

/// The words after `status`.
#[derive(Clone, Debug, clap::Args)]
pub struct StatusArgs {
    /// Where the node answers probes: HOST, HOST:PORT or an address [default: 127.0.0.1:10090].
    #[arg(value_name = "ADDR")]
    pub addr: Option<String>,
    /// Form of what is printed: text for people, json as the node tells it (see docs/probes.md) [default: text].
    #[arg(long, value_name = "FORM")]
    pub output: Option<OutputWord>,
}

/// Why there is no state to show.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The address makes no sense.
    #[error("the address of the node")]
    Address(#[from] PeerNameError),
    /// Nobody answers, or not with a state.
    #[error("no state from {at}{hint}")]
    NoAnswer {
        /// Who was asked.
        at: PeerName,
        /// What would help.
        hint: &'static str,
        /// What came instead.
        #[source]
        source: HttpError,
    },
    /// Somebody else answers.
    #[error("what answers at {at} is no node of strew, or one of another time")]
    NoState {
        /// Who was asked.
        at: PeerName,
    },
    /// It cannot be printed.
    #[error("standard output")]
    Print(#[source] io::Error),
    /// The system gives no threads, or no certificates are to be had.
    #[error("cannot start: {0}")]
    System(String),
}

impl StatusError {
    /// How a run ends that failed so.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Address(_) => ExitCode::Usage,
            Self::NoAnswer { .. } | Self::NoState { .. } => ExitCode::Incomplete,
            Self::Print(_) | Self::System(_) => ExitCode::LocalIo,
        }
    }
}

/// Asks and prints.
pub(super) fn run(args: &StatusArgs, out: &mut impl Write) -> Result<ExitCode, StatusError> {
    let at: PeerName = match &args.addr {
        Some(text) => text.parse()?,
        None => format!("127.0.0.1:{DEFAULT_PORT}").parse()?,
    };
    let (json, status) = ask(&at)?;
    let text = match args.output {
        None | Some(OutputWord::Text) => table(&status),
        Some(OutputWord::Json) => json,
    };
    writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()).map_err(StatusError::Print)?;
    Ok(if status.complete { ExitCode::Complete } else { ExitCode::Incomplete })
}

/// The state, as it came and as it reads.
fn ask(at: &PeerName) -> Result<(String, Status), StatusError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| StatusError::System(error.to_string()))?;
    let body = runtime.block_on(async {
        let client = HttpClient::new(Resolver::from_system(), &HttpSettings::default());
        let client = client.map_err(|error| StatusError::System(sentence(&error)))?;
        let url = format!("http://{at}/status").parse().map_err(|_| StatusError::NoState { at: at.clone() })?;
        let answer = client.fetch(&url, ANSWER_LEN_MAX, PATIENCE).await;
        answer.map_err(|source| StatusError::NoAnswer { at: at.clone(), hint: hint(&source), source })
    })?;
    let text = String::from_utf8_lossy(&body).into_owned();
    let status: Status = serde_json::from_str(&text).map_err(|_| StatusError::NoState { at: at.clone() })?;
    if status.v == SCHEMA { Ok((text, status)) } else { Err(StatusError::NoState { at: at.clone() }) }
}

/// What would help against this.
fn hint(error: &HttpError) -> &'static str {
    match error {
        HttpError::Status(code) if code.as_u16() == 403 => {
            " (it tells its state to its own machine alone, unless it runs with --health-addr)"
        }
        HttpError::Connect { .. } | HttpError::TimedOut(_) => {
            " (is strew running there, and where does its --health-addr or --listen-addr say that it listens?)"
        }
        _ => "",
    }
}

/// The state, a line for each thing.
fn table(status: &Status) -> String {
    let (done, total) = (Bytes(status.counters.bytes_done), Bytes(status.counters.bytes_total));
    let rate = |bytes: u64| format!("{}/s", Bytes(bytes));
    let mut lines = vec![
        ("state", if status.complete { "complete".to_owned() } else { "incomplete".to_owned() }),
        ("phase", phase(status)),
        ("content", status.content.clone().unwrap_or_else(|| "not known yet".to_owned())),
        ("bytes", format!("{done} of {total}, {} kept", Bytes(status.counters.bytes_kept))),
        ("chunks", format!("{} of {}", status.chunks_done, status.chunks_total)),
        ("files", status.files.to_string()),
        ("rate", rate(status.bytes_per_second)),
    ];
    if let Some(eta) = status.eta_ms {
        lines.push(("left", duration(Duration::from_millis(eta))));
    }
    lines.extend([
        ("running", duration(Duration::from_millis(status.elapsed_ms))),
        ("peers", format!("{} now, {} in all", status.peers, status.counters.peers_seen)),
        ("received", Bytes(status.counters.received).to_string()),
        ("copied locally", Bytes(status.counters.copied).to_string()),
        ("sent", format!("{} in {} chunks", Bytes(status.counters.uploaded), status.counters.chunks_uploaded)),
    ]);
    if let Some(copies) = status.counters.publisher_copies {
        lines.push(("copies sent", format!("{copies:.2}")));
    }
    lines.extend([
        ("bad chunks", status.counters.chunks_bad.to_string()),
        ("listens on", status.listen.clone()),
        ("version", status.version.clone()),
    ]);
    let lines: Vec<String> =
        lines.into_iter().map(|(name, value)| format!("{name:<16} {}", printable(&value))).collect();
    lines.join("\n")
}

/// The phase as it is written in JSON, in words.
fn phase(status: &Status) -> String {
    let name = serde_json::to_value(status.phase).ok();
    name.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Phase, Snapshot};

    #[test]
    fn a_state_is_shown_a_line_for_each_thing() {
        let snapshot = Snapshot {
            phase: Phase::EndGame,
            bytes_total: Bytes(4 << 20),
            bytes_done: Bytes(3 << 20),
            chunks_total: 4,
            chunks_done: 3,
            ..Snapshot::default()
        };
        let status = Status { eta_ms: Some(61_000), content: Some("5f\u{1b}1d".to_owned()), ..Status::of(&snapshot) };
        let table = table(&status);
        for line in ["incomplete", "end game", "3.0 MiB of 4.0 MiB, 0 B kept", "3 of 4", "1m01s", "5f\\u{1b}1d"] {
            assert!(table.lines().any(|shown| shown.ends_with(&format!(" {line}"))), "{line:?} is not in\n{table}");
        }
        assert!(!table.contains("copies sent"), "only a publisher sends copies");
    }
}
