//! `strew registry`: a list of peers that peers make themselves, served over HTTP.
//!
//! Invariant: a signal ends it with 0, because a registry has nothing to complete.
//!
//! Not here: what it answers (`discovery::registry`).

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

use super::config::parse_listen;
use super::environment::Environment;
use super::exit::ExitCode;
use super::screen::Screen;
use super::usage::UsageError;
use super::{lists, logging};
use crate::discovery::{RegistryServer, RegistrySettings, ServeError, ServerCertificate};

/// The TCP port of a registry: beside the one that peers listen on, so that both fit on one machine with a p2pcp, which takes that for
/// TCP.
const PORT: u16 = 10091;

/// The words after `registry`.
#[derive(Clone, Debug, clap::Args)]
pub struct RegistryArgs {
    /// TCP address to listen on.
    #[arg(long, value_name = "ADDR", help = LISTEN_HELP)]
    pub listen_addr: Option<String>,
    /// A file with the token that everybody who reads or writes must present [default: $STREW_REGISTRY_TOKEN, else none].
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// A PEM file with a certificate and those between it and its authority: serve https.
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// The PEM file with the certificate's key.
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Log who comes and goes.
    #[arg(long)]
    pub verbose: bool,
}

// Apart from the field, whose documentation would take the brackets for links.
const LISTEN_HELP: &str = "TCP address to listen on [default: [::]:10091, which includes IPv4]";

/// Why a registry cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The words make no sense.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// It cannot serve.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The system gives no threads or signals.
    #[error("cannot start")]
    System(#[source] std::io::Error),
}

impl RegistryError {
    /// How a run ends that failed so.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::Serve(ServeError::Read { .. } | ServeError::Certificate { .. }) => ExitCode::Usage,
            Self::Serve(ServeError::Listen { .. }) | Self::System(_) => ExitCode::LocalIo,
        }
    }
}

/// Serves until a signal comes.
pub(super) fn run(args: &RegistryArgs, environment: &Environment, screen: &Screen) -> Result<(), RegistryError> {
    logging::init(args.verbose, environment.log.as_deref(), screen)?;
    let (listen, settings) = (listen(args)?, settings(args, environment)?);
    let protection = match (&settings.token, &settings.certificate) {
        (None, _) => "; anybody who reaches it may read and write, --token-file shuts others out",
        (Some(_), None) => "; its token travels in the clear, --tls-cert and --tls-key hide it",
        (Some(_), Some(_)) => "",
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RegistryError::System)?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(RegistryError::System)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(RegistryError::System)?;
        let server = RegistryServer::bind(listen, settings)?;
        let url = server.url();
        screen.say(&format!("registry: heartbeats to {url}/heartbeat, lists from {url}/peers{protection}"));
        server
            .serve(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            })
            .await;
        Ok(())
    })
}

fn listen(args: &RegistryArgs) -> Result<SocketAddr, UsageError> {
    let every = Ipv6Addr::UNSPECIFIED.into();
    let given = args.listen_addr.as_deref();
    given.map_or_else(|| Ok(SocketAddr::new(every, PORT)), |text| parse_listen(text, every, PORT))
}

fn settings(args: &RegistryArgs, environment: &Environment) -> Result<RegistrySettings, UsageError> {
    let certificate = match (args.tls_cert.clone(), args.tls_key.clone()) {
        (Some(chain), Some(key)) => Some(ServerCertificate { chain, key }),
        (None, None) => None,
        _ => return Err(UsageError::HalfTls),
    };
    Ok(RegistrySettings { token: lists::token(args.token_file.as_deref(), environment)?, certificate })
}
