//! The command line: flags in, lines and exit codes out.
//!
//! A run has three steps here: words, variables and a file become [`Args`], arguments and environment become a [`Config`] or a [`UsageError`], and
//! one `match` starts what was asked for. What a node tells while it runs is shown by a [`Reporter`].
//!
//! Invariant: standard output carries data only (events, keys, help that was asked for); everything else goes to standard
//! error, and a closed or broken one never stops a transfer.
//!
//! Not here: any decision about the transfer itself; `node` takes what the configuration says.

mod certificates;
mod certs;
mod compatible;
mod demo;
mod environment;
mod expect;
mod file;
mod invitation;
mod key;
mod lifetime;
mod limits;
mod lists;
mod packing;
mod panic;
mod probes;
mod registry;
mod status;
mod transfer;
mod usage;

pub mod args;
pub mod config;
pub mod event;
pub mod exit;
pub mod hooks;
pub mod logging;
pub mod progress;
pub mod report;
pub mod screen;
pub mod settings;
pub mod spelling;
pub mod statistics;

use std::error::Error;
use std::ffi::OsString;
use std::io;

pub use args::Args;
pub use certificates::{CertificateArgs, Membership, MembershipError};
pub use certs::CertsError;
pub use config::Config;
pub use environment::Environment;
pub use exit::ExitCode;
pub use hooks::{HookConfig, Hooks};
pub use invitation::Invitation;
pub use key::{KeyUseError, OwnKeys};
pub use probes::Health;
pub use registry::RegistryError;
pub use report::Reporter;
pub use screen::Screen;
pub use settings::Settings;
pub use status::StatusError;
pub use usage::UsageError;

use args::{Command, DemoArgs, KeyCommand, Refusal, TransferArgs};

/// Runs strew with these words, the program's name first, and says how it ended.
#[must_use]
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    panic::end_the_process();
    let screen = Screen::stderr();
    let (args, mut settings) = match Args::read_with(words.into_iter().skip(1), &environment::variable) {
        Ok(read) => read,
        Err(Refusal::Words(answer)) => return show(&answer),
        Err(Refusal::Settings(error)) => return fail(&screen, ExitCode::Usage, &error),
    };
    let mut environment = match Environment::read() {
        Ok(environment) => environment,
        Err(error) => return fail(&screen, ExitCode::Usage, &error),
    };
    if environment.demo.is_some_and(|parent| !demo::leash::tie_to(parent)) {
        // The demonstration that this process was for is over, and nobody is there to be told.
        return ExitCode::Terminated;
    }
    if let Some(key) = settings.key.take() {
        environment.key = Some(key);
    }
    match &args.command {
        None => transfer(&args.transfer, &environment, &settings, &screen),
        Some(Command::Certs(certs)) => match certs::run(certs, &mut io::stdout().lock(), &screen) {
            Ok(()) => ExitCode::Complete,
            Err(error) => fail(&screen, error.exit_code(), &error),
        },
        Some(Command::Registry(registry)) => match registry::run(registry, &environment, &screen) {
            Ok(()) => ExitCode::Complete,
            Err(error) => fail(&screen, error.exit_code(), &error),
        },
        Some(Command::Status(asked)) => match status::run(asked, &mut io::stdout().lock()) {
            Ok(code) => code,
            Err(error) => fail(&screen, error.exit_code(), &error),
        },
        Some(Command::Demo(demo)) => demonstrate(demo, &screen),
        Some(Command::Key(KeyCommand::New(new))) => match key::new(new, &mut io::stdout().lock(), &screen) {
            Ok(()) => ExitCode::Complete,
            Err(error) => fail(&screen, error.exit_code(), &error),
        },
        Some(Command::Key(KeyCommand::Id(id))) => {
            let sources = environment.key_sources(id.key_file.clone());
            match key::id(&sources, &mut io::stdin().lock(), &mut io::stdout().lock()) {
                Ok(()) => ExitCode::Complete,
                Err(error) => fail(&screen, error.exit_code(), &error),
            }
        }
    }
}

/// A transfer, from what was typed.
fn transfer(args: &TransferArgs, environment: &Environment, settings: &Settings, screen: &Screen) -> ExitCode {
    let config = Config::from_args(args).and_then(|config| {
        let config = config.in_zone_of(environment)?.asking_the_web(&args.lists, environment)?;
        logging::init(config.verbose, environment.log.as_deref(), screen)?;
        Ok(config)
    });
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            screen.say(&format!("strew: {}", settings.explain(&sentence(&error))));
            return ExitCode::Usage;
        }
    };
    let terminal = screen.width().is_some();
    match Membership::find(&args.certificates, environment, &mut io::stdin().lock(), &config, terminal) {
        Ok(membership) => transfer::run(&config, &membership, screen),
        Err(error) => fail(screen, error.exit_code(), &error),
    }
}

/// Runs the demonstration.
fn demonstrate(args: &DemoArgs, screen: &Screen) -> ExitCode {
    match demo::run(args, screen, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::Complete,
        Err(error) => fail(screen, error.exit_code(), &error),
    }
}

/// What clap has to say: help and version on standard output, errors on standard error.
fn show(answer: &clap::Error) -> ExitCode {
    // A closed stream is nobody who could be told.
    let _ = answer.print();
    if answer.use_stderr() { ExitCode::Usage } else { ExitCode::Complete }
}

/// Says why the run ends, with every cause.
fn fail(screen: &Screen, code: ExitCode, error: &dyn Error) -> ExitCode {
    screen.say(&format!("strew: {}", sentence(error)));
    code
}

/// An error and its causes in one sentence.
#[must_use]
pub fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        // Some errors repeat their cause in their own words.
        let words = inner.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}
