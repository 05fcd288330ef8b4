//! The flags for lists of peers that change, and what they mean.
//!
//! The names are p2pcp's, and so is the rule that one list that changes is enough: two that disagree would leave a user to guess which
//! peer came from where.
//!
//! Invariant: at most one provider; every pause is long enough not to be a flood.
//!
//! Not here: the list on the command line (`config`), asking (`discovery`).

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::environment::Environment;
use super::usage::UsageError;
use crate::discovery::{
    HttpSettings, HttpUrl, Lists, Origin, Provider, Registration, SelfEndpoint, TOKEN_LEN_MAX, Token,
};
use crate::units::parse_duration;

/// The flags.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ListArgs {
    /// A list of further peers that is asked for again and again: separated by commas or lines, at a URL or in a file
    /// (file:PATH). Whoever is not on it any more is not dialled any more.
    #[arg(long, value_name = "URL", help_heading = HEADING)]
    pub peer_list_url: Option<String>,
    /// Further peers: the targets of this name's SRV records.
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    pub peer_list_srv: Option<String>,
    /// Further peers: all addresses of this name (A and AAAA), such as a headless service's.
    #[arg(long, value_name = "NAME[:PORT]", help_heading = HEADING, help = A_HELP)]
    pub peer_list_a: Option<String>,
    /// The name server for --peer-list-srv and --peer-list-a.
    #[arg(long, value_name = "IP[:PORT]", help_heading = HEADING, help = DNS_HELP)]
    pub peer_list_dns_server: Option<String>,
    /// Pause between two questions for such a list; names are not asked for before their TTL is over [default: 3s].
    #[arg(long, value_name = "TIME", help_heading = HEADING)]
    pub peer_list_poll_interval: Option<String>,
    /// The registry to which this node says that it is there, and good-bye when it leaves.
    #[arg(long, value_name = "URL", help_heading = HEADING)]
    pub peer_registry_heartbeat_url: Option<String>,
    /// The address that the registry is told; auto is the address from which this machine reaches the registry, with the port that
    /// it listens on [default: auto].
    #[arg(long, value_name = "PEER", help_heading = HEADING)]
    pub peer_registry_self_endpoint: Option<String>,
    /// Pause between two heartbeats; an entry holds for twice as long [default: 5s].
    #[arg(long, value_name = "TIME", help_heading = HEADING)]
    pub peer_registry_heartbeat_interval: Option<String>,
    /// How long the registry's answer is waited for [default: 3s].
    #[arg(long, value_name = "TIME", help_heading = HEADING)]
    pub peer_registry_timeout: Option<String>,
    /// A PEM file with the only authorities to trust for https URLs [default: $SSL_CERT_FILE, else those of the web].
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub http_ca_file: Option<PathBuf>,
    /// A file with the bearer token that the registry asks for; it is sent to the registry alone, or without one to where the list
    /// is [default: $STREW_REGISTRY_TOKEN].
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub peer_registry_token_file: Option<PathBuf>,
}

const HEADING: &str = "Lists of peers that change";
// Apart from the fields, whose documentation would take the brackets for links.
const A_HELP: &str = "Further peers: all addresses of this name (A and AAAA), such as a headless service's. The port is 10090 when \
                      none is given";
const DNS_HELP: &str = "The name server for --peer-list-srv and --peer-list-a [default: that of the system]";

/// The shortest pause between two questions (100 ms: thirty times as often as usual, for tests and demonstrations).
pub(super) const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Where name servers listen (RFC 1035, section 4.2).
const DNS_PORT: u16 = 53;

impl ListArgs {
    /// What the flags mean, without what only files and environment tell.
    pub(super) fn lists(&self) -> Result<Lists, UsageError> {
        let usual = Lists::default();
        let flags: [(&'static str, &Option<String>, Parse); 3] = [
            ("--peer-list-url", &self.peer_list_url, Provider::from_url),
            ("--peer-list-srv", &self.peer_list_srv, Provider::from_service),
            ("--peer-list-a", &self.peer_list_a, Provider::from_addresses),
        ];
        let mut given = flags.into_iter().filter_map(|(flag, text, parse)| Some((flag, not_empty(text)?, parse)));
        let (first, second) = (given.next(), given.next());
        if let (Some((first, ..)), Some((second, ..))) = (first, second) {
            return Err(UsageError::TwoLists { first, second });
        }
        let provider = first.map(|(flag, text, parse)| parse(text).map_err(|reason| UsageError::List { flag, reason }));
        Ok(Lists {
            provider: provider.transpose()?,
            dns_server: not_empty(&self.peer_list_dns_server).map(parse_dns_server).transpose()?,
            interval: interval("--peer-list-poll-interval", self.peer_list_poll_interval.as_deref(), usual.interval)?,
            http: HttpSettings::default(),
        })
    }

    /// The registry to announce this node to.
    pub(super) fn registry(&self) -> Result<Option<Registration>, UsageError> {
        let (beat, timeout) = ("--peer-registry-heartbeat-interval", "--peer-registry-timeout");
        let Some(text) = not_empty(&self.peer_registry_heartbeat_url) else { return Ok(None) };
        let endpoint = match not_empty(&self.peer_registry_self_endpoint).map(str::trim) {
            None => SelfEndpoint::Auto,
            Some(text) if text.eq_ignore_ascii_case("auto") => SelfEndpoint::Auto,
            Some(text) => SelfEndpoint::Named(text.parse().map_err(UsageError::SelfEndpoint)?),
        };
        let usual = Registration::new(text.parse().map_err(UsageError::Registry)?, endpoint);
        Ok(Some(Registration {
            interval: interval(beat, self.peer_registry_heartbeat_interval.as_deref(), usual.interval)?,
            timeout: interval(timeout, self.peer_registry_timeout.as_deref(), usual.timeout)?,
            ..usual
        }))
    }

    /// How web servers are asked: who is trusted, and what the owner of `registry` (else of the list) is told.
    pub(super) fn http(
        &self,
        environment: &Environment,
        registry: Option<&HttpUrl>,
        list: Option<&Provider>,
    ) -> Result<HttpSettings, UsageError> {
        let list = match list {
            Some(Provider::Url(url)) => Some(url),
            _ => None,
        };
        let owner: Option<Origin> = registry.or(list).map(HttpUrl::origin);
        let token = token(self.peer_registry_token_file.as_deref(), environment)?;
        let ca_file = self.http_ca_file.clone().or_else(|| environment.ssl_cert_file.clone());
        Ok(HttpSettings { ca_file, token: owner.zip(token) })
    }
}

type Parse = fn(&str) -> Result<Provider, crate::discovery::ProviderError>;

/// The token of a registry: from a file, or from the environment.
pub(super) fn token(file: Option<&Path>, environment: &Environment) -> Result<Option<Token>, UsageError> {
    let parse = |from: String, text: &str| Token::parse(text).map_err(|reason| UsageError::Token { from, reason });
    if let Some(path) = file {
        let mut text = Zeroizing::new(String::new());
        let most = u64::try_from(TOKEN_LEN_MAX).unwrap_or(u64::MAX);
        let read = File::open(path).and_then(|file| file.take(most + 2).read_to_string(&mut text));
        read.map_err(|error| UsageError::TokenFile { path: path.display().to_string(), reason: error.to_string() })?;
        return parse(path.display().to_string(), &text).map(Some);
    }
    let given = environment.registry_token.as_ref().filter(|text| !text.is_empty());
    given.map(|text| parse("STREW_REGISTRY_TOKEN".to_owned(), text)).transpose()
}

/// p2pcp's templates give flags without a value where a thing is not wanted.
pub(super) fn not_empty(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.trim().is_empty())
}

/// A pause between two questions.
pub(super) fn interval(flag: &'static str, value: Option<&str>, usual: Duration) -> Result<Duration, UsageError> {
    let Some(text) = value else { return Ok(usual) };
    match parse_duration(text) {
        Ok(pause) if pause >= INTERVAL_MIN => Ok(pause),
        Ok(_) => Err(UsageError::Interval { flag, value: text.to_owned() }),
        Err(reason) => Err(UsageError::Unit { flag, value: text.to_owned(), reason, example: "3s" }),
    }
}

fn parse_dns_server(text: &str) -> Result<SocketAddr, UsageError> {
    let bare = || text.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, DNS_PORT));
    let address = text.parse().ok().or_else(bare).filter(|address: &SocketAddr| address.port() != 0);
    address.ok_or_else(|| UsageError::DnsServer { value: text.to_owned() })
}

#[cfg(test)]
mod tests;
