//! Where a list comes from that changes while a node runs: a URL, a file, or the records of a name server.
//!
//! All of them are asked again and again rather than watched: an answer is small, the network is not to be trusted to tell of changes,
//! and what a name server may be asked how often its own TTL says (the resolver keeps to it).
//!
//! Invariant: one question ends within [`PATIENCE`]; a failed one says nothing about who is there, so what was known before still holds.
//!
//! Not here: how often to ask, and what follows from an answer (`node`); looking up the hosts that a list names (`node`, with the
//! [`Resolver`] that is kept here).

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use hickory_resolver::net::NetError;

use super::http::{HttpClient, HttpError, HttpSettings, HttpUrl, HttpUrlError, TrustError};
use super::list::{Listing, NoPeerError, TEXT_LEN_MAX};
use super::name::{HostName, HostNameError, PeerName, PeerNameError};
use super::resolve::{PATIENCE, ResolveError, Resolver, ServiceError};

/// What a path is written with where a URL is expected.
const FILE_SCHEME: &str = "file:";

/// Lists that change, and how they are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lists {
    /// Where the list is. Default `None`: the peers that the user named are all.
    pub provider: Option<Provider>,
    /// The name server for the provider's records. Default `None`: those of the system.
    pub dns_server: Option<SocketAddr>,
    /// Pause between two questions. Default 3 s, p2pcp's: a fleet of a thousand asks 330 times a second, and who starts is found within
    /// three seconds. A name server is not asked before the TTL of its answer is over.
    pub interval: Duration,
    /// How web servers are asked.
    pub http: HttpSettings,
}

/// Where a list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// What a URL answers.
    Url(HttpUrl),
    /// What a file holds.
    File(PathBuf),
    /// The targets of a name's SRV records.
    Services(HostName),
    /// The addresses of a name, A and AAAA, all with one port.
    Addresses(PeerName),
}

/// Text that names no list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It is no URL.
    #[error("{0}; a list in a file is written file:PATH")]
    Url(#[from] HttpUrlError),
    /// It is no name with SRV records.
    #[error("{0}; write it as in _strew._udp.peers.example")]
    Service(#[from] HostNameError),
    /// It is no name with addresses.
    #[error("{0}; write it as in peers.example or peers.example:10090")]
    Addresses(#[from] PeerNameError),
    /// There is no path.
    #[error("file: has no path; write it as in file:peers.csv or file:///etc/strew/peers.csv")]
    NoPath,
}

/// Why a list could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// The web server did not give it.
    #[error("cannot get the peer list {url}")]
    Http {
        /// The URL.
        url: String,
        /// Why.
        #[source]
        source: HttpError,
    },
    /// The file cannot be read.
    #[error("cannot read the peer list {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is some other text.
    #[error("{from} is no peer list")]
    Text {
        /// Where it came from.
        from: String,
        /// Why.
        #[source]
        source: NoPeerError,
    },
    /// The name server does not say.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The name server does not say.
    #[error(transparent)]
    Addresses(#[from] ResolveError),
}

impl Default for Lists {
    fn default() -> Self {
        let (provider, dns_server, http) = (None, None, HttpSettings::default());
        Self { provider, dns_server, interval: Duration::from_secs(3), http }
    }
}

impl Provider {
    /// The list at a URL, or in a file when that is what the URL says.
    ///
    /// # Errors
    /// [`ProviderError`] says how it is written.
    pub fn from_url(text: &str) -> Result<Self, ProviderError> {
        let Some(path) = text.trim().strip_prefix(FILE_SCHEME) else {
            return Ok(Self::Url(HttpUrl::from_str(text)?));
        };
        // An empty host, as in file:///etc/peers, is this machine.
        let path = if path.starts_with("///") { &path[2..] } else { path };
        if path.is_empty() { Err(ProviderError::NoPath) } else { Ok(Self::File(path.into())) }
    }

    /// The targets of a name's SRV records.
    ///
    /// # Errors
    /// [`ProviderError`] says how it is written.
    pub fn from_service(text: &str) -> Result<Self, ProviderError> {
        Ok(Self::Services(text.parse()?))
    }

    /// The addresses of a name.
    ///
    /// # Errors
    /// [`ProviderError`] says how it is written.
    pub fn from_addresses(text: &str) -> Result<Self, ProviderError> {
        Ok(Self::Addresses(text.parse()?))
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::File(path) => write!(f, "{FILE_SCHEME}{}", path.display()),
            Self::Services(name) => write!(f, "SRV {name}"),
            Self::Addresses(name) => write!(f, "A {name}"),
        }
    }
}

/// Asks for one list.
pub struct Poller {
    provider: Provider,
    resolver: Resolver,
    /// Only where a web server is asked: nobody else needs its authorities.
    http: Option<HttpClient>,
}

/// What a list cannot be asked for without.
#[derive(Debug, thiserror::Error)]
pub enum PollerError {
    /// The authorities for HTTPS.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The name server of the user's choice.
    #[error("the name server of --peer-list-dns-server cannot be asked with the options of /etc/resolv.conf")]
    Resolver(#[source] Box<NetError>),
}

impl Poller {
    /// Asks `provider` as `lists` says; web servers are looked up by `system`.
    ///
    /// # Errors
    /// [`PollerError`] when a file that it needs cannot be used.
    pub fn new(provider: Provider, lists: &Lists, system: &Resolver) -> Result<Self, PollerError> {
        let asking = |server| Resolver::asking(server).map_err(|error| PollerError::Resolver(Box::new(error)));
        let resolver = lists.dns_server.map_or_else(|| Ok(system.clone()), asking)?;
        let is_web = matches!(provider, Provider::Url(_));
        let http = is_web.then(|| HttpClient::new(system.clone(), &lists.http)).transpose()?;
        Ok(Self { provider, resolver, http })
    }

    /// Looks up what the list names: with the list's own name server when that is one.
    #[must_use]
    pub fn resolver(&self, system: &Resolver) -> Resolver {
        match self.provider {
            Provider::Services(_) | Provider::Addresses(_) => self.resolver.clone(),
            Provider::Url(_) | Provider::File(_) => system.clone(),
        }
    }

    /// Asks once.
    ///
    /// # Errors
    /// [`PollError`] says why nothing is known.
    pub async fn ask(&self) -> Result<Listing, PollError> {
        match &self.provider {
            Provider::Url(url) => {
                let http = self.http.as_ref().expect("it was made for a URL");
                let fetched = http.fetch(url, TEXT_LEN_MAX, PATIENCE).await;
                let text = fetched.map_err(|source| PollError::Http { url: url.to_string(), source })?;
                self.parse(&text)
            }
            Provider::File(path) => {
                let (shown, read) = (path.clone(), path.clone());
                // A file may be on a network; a thread that waits for it must not be one that moves data.
                let text = tokio::task::spawn_blocking(move || read_text(&read)).await;
                let text = text.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()));
                self.parse(&text.map_err(|source| PollError::File { path: shown, source })?)
            }
            Provider::Services(name) => {
                let peers = self.resolver.services(name).await?;
                Ok(Listing { peers: peers.into_iter().collect(), faults: Vec::new() })
            }
            Provider::Addresses(name) => match self.resolver.resolve(name).await {
                Ok(addresses) => {
                    let peers = addresses.into_iter().filter_map(PeerName::from_address).collect();
                    Ok(Listing { peers, faults: Vec::new() })
                }
                // A headless service without pods has no name: nobody is there now.
                Err(ResolveError::Unknown { .. }) => Ok(Listing::default()),
                Err(error) => Err(error.into()),
            },
        }
    }

    fn parse(&self, text: &[u8]) -> Result<Listing, PollError> {
        let listing = Listing::parse(&String::from_utf8_lossy(text));
        listing.map_err(|source| PollError::Text { from: self.provider.to_string(), source })
    }
}

fn read_text(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let most = u64::try_from(TEXT_LEN_MAX).unwrap_or(u64::MAX);
    File::open(path)?.take(most + 1).read_to_end(&mut text)?;
    if text.len() > TEXT_LEN_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {TEXT_LEN_MAX} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_where_its_flag_says() {
        let shown = |provider: Result<Provider, ProviderError>| provider.unwrap().to_string();
        assert_eq!(shown(Provider::from_url("https://lists.example/p")), "https://lists.example/p");
        assert_eq!(shown(Provider::from_url("file:peers.csv")), "file:peers.csv");
        assert_eq!(shown(Provider::from_url("file:///etc/peers")), "file:/etc/peers");
        assert_eq!(shown(Provider::from_service("_strew._udp.Fleet")), "SRV _strew._udp.fleet");
        assert_eq!(shown(Provider::from_addresses("fleet")), "A fleet:10090");
        assert_eq!(shown(Provider::from_addresses("fleet:7")), "A fleet:7");
    }

    #[test]
    fn what_names_no_list_is_refused_with_a_remedy() {
        let error = |provider: Result<Provider, ProviderError>| provider.unwrap_err().to_string();
        assert!(error(Provider::from_url("lists.example/p")).contains("file:PATH"));
        assert!(error(Provider::from_url("file:")).contains("has no path"));
        assert!(error(Provider::from_service("")).contains("_strew._udp."));
        assert!(error(Provider::from_service("10.0.0.1")).contains("it is an address"));
        assert!(error(Provider::from_addresses("")).contains("peers.example:10090"));
    }
}
