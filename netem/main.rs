//! netem: hosts in namespaces, and links with rate, delay and loss between them, on one machine.
//!
//! Any program runs in it unchanged, so that strew and others are measured over the same links:
//!
//! ```console
//! # cargo run --release --example netem -- run --hosts 2 --rate 200Mbit -- ping -c 3 10.77.0.1
//! # cargo run --release --example netem -- bench lan-4
//! # cargo run --release --example netem -- validate
//! # cargo run --release --example netem -- clean
//! ```
//!
//! Invariant: whatever is made is removed at the end; after a crash the next start does it, or `clean`.
//!
//! Not here: the links themselves (`lab`), and what a scenario asks of them.

use std::fmt::Display;
use std::io::Write;
use std::process::{ExitCode, exit};

use clap::{Parser, Subcommand};
use rustix::process::getpid;

mod bench;
#[allow(dead_code)] // scenarios use what the shell has no order for
mod lab;
mod link;
mod network;
mod probe;
mod shell;
#[allow(dead_code)] // as above
mod topology;
mod validate;

/// Emulates networks on one machine; needs root.
#[derive(Parser)]
#[command(name = "netem")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring hosts up and run a command on each, or take orders from standard input.
    Run(shell::Options),
    /// Race programs that replicate over the links of a scenario.
    Bench(bench::Options),
    /// Look with plain probes whether links are what they say; exit code 1 if one is not.
    Validate(validate::Options),
    /// Remove what programs left behind that were killed.
    Clean,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Run(options) => guarded(|| shell::run(&options)),
        Command::Bench(options) => guarded(|| Ok(ExitCode::from(u8::from(!bench::run(&options)?)))),
        Command::Validate(options) => guarded(|| validate::run(&options)),
        Command::Clean => clean(),
    };
    result.unwrap_or_else(|error| {
        complain(&causes(&*error));
        ExitCode::from(2)
    })
}

type Failure = Box<dyn std::error::Error>;

/// Does something that makes namespaces, and removes them also when a signal ends it.
fn guarded(work: impl FnOnce() -> Result<ExitCode, Failure>) -> Result<ExitCode, Failure> {
    std::thread::spawn(|| {
        if let Some(code) = signal() {
            bench::Scratch::remove_own();
            // The main thread may be anywhere; what it makes from now on is found by the next start.
            if let Err(error) = lab::remains::remove_own() {
                complain(&causes(&error));
            }
            exit(code);
        }
    });
    work()
}

/// Waits for a signal that asks this process to end, and says with which code.
fn signal() -> Option<i32> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt()).ok()?, signal(SignalKind::terminate()).ok()?);
        tokio::select! {
            _ = interrupt.recv() => Some(130),
            _ = terminate.recv() => Some(143),
        }
    })
}

fn clean() -> Result<ExitCode, Failure> {
    let removed = lab::remains::remove_of_the_dead()?;
    bench::Scratch::remove_of_the_dead();
    say(format_args!("{} namespaces of dead programs removed", removed.len()));
    Ok(ExitCode::SUCCESS)
}

/// An error with everything that led to it.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// A line of output. Whoever does not read it any more does not want to hear that it cannot be written.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A line for whoever sits in front of it.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "netem {}: {line}", getpid().as_raw_nonzero());
}
