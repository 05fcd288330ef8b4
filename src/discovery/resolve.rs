//! From a peer's name to its addresses.
//!
//! The binary is static, so the C library's resolver (which loads its modules at run time) is not there to be asked. The
//! same rules are kept with hickory: addresses need no look-up, the hosts file answers first and finally, then the servers of
//! `resolv.conf` with its search list.
//!
//! Invariant: a successful answer has at least one address and each address once; a look-up ends within [`PATIENCE`].
//!
//! Not here: asking again when a name is unknown (`node` knows how long the user wants to wait), and following changes of
//! `resolv.conf` or of the hosts file in a running process.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver, system_conf};

use super::name::{Host, HostName, PeerName};

/// The longest that one look-up may take: half of the default `--peer-wait-timeout`, so that a name server that does not
/// answer leaves time for a second try.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long "there is no such name" is believed: a fleet starts in any order, and a name that is missing now appears as soon
/// as its machine is up. Zone files say hours here.
const ABSENCE_BELIEVED: Duration = Duration::from_secs(2);

/// Looks up the addresses of peers. Cheap to clone; clones share one cache.
#[derive(Clone)]
pub struct Resolver {
    hosts: Arc<Hosts>,
    servers: Servers,
    patience: Duration,
}

/// The name servers to ask.
#[derive(Clone)]
enum Servers {
    Known(Box<TokioResolver>),
    /// None, for this reason.
    Missing(Arc<str>),
}

/// A peer whose addresses could not be found.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The name is not in the hosts file, and there is no name server to ask.
    #[error(
        "cannot look up {peer}: it is not in the hosts file, and no name server is configured ({reason}); \
             list the peer by its address or add it to /etc/hosts"
    )]
    NoServers {
        /// The peer.
        peer: PeerName,
        /// Why there is none.
        reason: Arc<str>,
    },
    /// The name servers say that the name does not exist or has no address.
    #[error("cannot look up {peer}: there is no such host")]
    Unknown {
        /// The peer.
        peer: PeerName,
    },
    /// No name server answered in time.
    #[error("cannot look up {peer}: no name server answered within {patience:?}")]
    TimedOut {
        /// The peer.
        peer: PeerName,
        /// How long it was waited for.
        patience: Duration,
    },
    /// The name servers could not be asked, or their answer was not usable.
    #[error("cannot look up {peer}")]
    Failed {
        /// The peer.
        peer: PeerName,
        /// What went wrong.
        #[source]
        source: Box<NetError>,
    },
}

/// A service of which nothing is known.
#[derive(Debug, thiserror::Error)]
#[error("cannot look up the service {service}: {reason}")]
pub struct ServiceError {
    service: HostName,
    reason: String,
}

impl Resolver {
    /// A resolver with this machine's hosts file and `resolv.conf`.
    ///
    /// A missing or unusable `resolv.conf` is no error as long as no name needs it: addresses and the hosts file work
    /// without, and [`ResolveError::NoServers`] gives the reason for everything else.
    #[must_use]
    pub fn from_system() -> Self {
        Self::from_files(Path::new("/etc/resolv.conf"), Path::new("/etc/hosts"))
    }

    /// A resolver with these two files in the system's formats.
    #[must_use]
    pub fn from_files(resolv_conf: &Path, hosts: &Path) -> Self {
        let servers = match read_servers(resolv_conf) {
            Ok((config, options)) => Self::servers(config, options),
            Err(source) => Err(source),
        };
        let missing = |e: NetError| Servers::Missing(format!("{}: {}", resolv_conf.display(), plain(&e)).into());
        Self { hosts: Arc::new(read_hosts(hosts)), servers: servers.unwrap_or_else(missing), patience: PATIENCE }
    }

    /// This machine's hosts file and search list with another name server.
    ///
    /// # Errors
    /// When the options of `resolv.conf` cannot be used.
    pub fn asking(server: SocketAddr) -> Result<Self, NetError> {
        // Without the file there is no search list, and names are asked for as they are.
        let system = read_servers(Path::new("/etc/resolv.conf"));
        let (config, options) = system.unwrap_or_else(|_| (ResolverConfig::default(), ResolverOpts::default()));
        let mut asked = NameServerConfig::udp_and_tcp(server.ip());
        asked.connections.iter_mut().for_each(|connection| connection.port = server.port());
        let config = ResolverConfig::from_parts(config.domain().cloned(), config.search().to_vec(), vec![asked]);
        Self::with_servers(config, options, read_hosts(Path::new("/etc/hosts")))
    }

    /// A resolver that asks the name servers of `config`, after `hosts`.
    ///
    /// # Errors
    /// When the options cannot be used.
    pub fn with_servers(config: ResolverConfig, options: ResolverOpts, hosts: Hosts) -> Result<Self, NetError> {
        Ok(Self { hosts: Arc::new(hosts), servers: Self::servers(config, options)?, patience: PATIENCE })
    }

    fn servers(config: ResolverConfig, mut options: ResolverOpts) -> Result<Servers, NetError> {
        // The hosts file is consulted here, for both families at once; see `listed`.
        options.use_hosts_file = ResolveHosts::Never;
        options.negative_max_ttl = Some(ABSENCE_BELIEVED);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        builder.build().map(|resolver| Servers::Known(Box::new(resolver)))
    }

    /// The addresses of a peer, at least one.
    ///
    /// # Errors
    /// [`ResolveError`] names the peer and says why it has no address.
    pub async fn resolve(&self, peer: &PeerName) -> Result<Vec<SocketAddr>, ResolveError> {
        let name = match peer.host() {
            Host::Address(address) => return Ok(vec![SocketAddr::new(*address, peer.port())]),
            Host::Name(name) => name,
        };
        let mut addresses = self.listed(name);
        if addresses.is_empty() && is_loopback(name) {
            addresses = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        }
        if addresses.is_empty() {
            addresses = self.asked(name, peer).await?;
        }
        let mut found: Vec<SocketAddr> = Vec::with_capacity(addresses.len());
        for address in addresses {
            let address = SocketAddr::new(address, peer.port());
            if !found.contains(&address) {
                found.push(address);
            }
        }
        if found.is_empty() { Err(ResolveError::Unknown { peer: peer.clone() }) } else { Ok(found) }
    }

    /// The hosts that a service is at, each with its port (RFC 2782): a peer is as good as another, so priorities and weights do not
    /// matter.
    ///
    /// # Errors
    /// [`ServiceError`] names the service and says why nothing is known of it.
    pub async fn services(&self, service: &HostName) -> Result<Vec<PeerName>, ServiceError> {
        let failed = |reason| ServiceError { service: service.clone(), reason };
        let resolver = match &self.servers {
            Servers::Known(resolver) => resolver,
            Servers::Missing(reason) => return Err(failed(format!("no name server is configured ({reason})"))),
        };
        let asked = tokio::time::timeout(self.patience, resolver.lookup(service.as_str(), RecordType::SRV)).await;
        let answer = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(e)) if e.is_nx_domain() || e.is_no_records_found() => return Ok(Vec::new()),
            Ok(Err(NetError::Timeout)) | Err(_) => {
                return Err(failed(format!("no name server answered within {:?}", self.patience)));
            }
            Ok(Err(error)) => return Err(failed(plain(&error))),
        };
        // The target "." says that the service is decidedly not there, and is no name of a host.
        let target = |data: &RData| match data {
            RData::SRV(srv) => format!("{}:{}", srv.target, srv.port).parse().ok(),
            _ => None,
        };
        Ok(answer.answers().iter().filter_map(|record| target(&record.data)).collect())
    }

    /// What the hosts file says, of both families.
    ///
    /// A name with only an IPv4 line must not wait for a name server's word about IPv6: that server may be unreachable, which
    /// is often why the line is there.
    fn listed(&self, name: &str) -> Vec<IpAddr> {
        let Ok(name) = Name::from_ascii(name) else { return Vec::new() };
        let of_type = |record_type| self.hosts.lookup_static_host(&Query::query(name.clone(), record_type));
        [RecordType::A, RecordType::AAAA]
            .into_iter()
            .filter_map(of_type)
            .flat_map(|lookup| lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>())
            .collect()
    }

    async fn asked(&self, name: &str, peer: &PeerName) -> Result<Vec<IpAddr>, ResolveError> {
        let resolver = match &self.servers {
            Servers::Known(resolver) => resolver,
            Servers::Missing(reason) => {
                return Err(ResolveError::NoServers { peer: peer.clone(), reason: reason.clone() });
            }
        };
        match tokio::time::timeout(self.patience, resolver.lookup_ip(name)).await {
            Ok(Ok(answer)) => Ok(answer.iter().collect()),
            Ok(Err(e)) if e.is_nx_domain() || e.is_no_records_found() => {
                Err(ResolveError::Unknown { peer: peer.clone() })
            }
            Ok(Err(NetError::Timeout)) | Err(_) => {
                Err(ResolveError::TimedOut { peer: peer.clone(), patience: self.patience })
            }
            Ok(Err(source)) => Err(ResolveError::Failed { peer: peer.clone(), source: Box::new(source) }),
        }
    }
}

/// Names that mean this machine whatever any server says (RFC 6761, section 6.3).
fn is_loopback(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

fn read_servers(path: &Path) -> Result<(ResolverConfig, ResolverOpts), NetError> {
    system_conf::parse_resolv_conf(std::fs::read(path)?)
}

/// The hosts file; an unreadable one counts as empty, as for the C library.
fn read_hosts(path: &Path) -> Hosts {
    let mut hosts = Hosts::default();
    let read = File::open(path).and_then(|file| hosts.read_hosts_conf(file));
    if let Err(error) = read
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot read the hosts file; going on without it");
    }
    hosts
}

/// The message of an error without the "io error:" that hickory puts before the system's words.
fn plain(error: &NetError) -> String {
    match error {
        NetError::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
