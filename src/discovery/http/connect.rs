//! From a URL to a stream of bytes: look-up, TCP, TLS.
//!
//! Invariant: every address of a host gets its chance within the patience of the whole exchange, and TLS checks the name of the URL.
//!
//! Not here: what is said over the stream.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::{HttpError, HttpUrl};
use crate::discovery::resolve::Resolver;

/// How long one address of several is waited for (2 s: a lost first packet of TCP is sent again after one).
const ADDRESS_PATIENCE: Duration = Duration::from_secs(2);

/// Both directions of a connection, with or without TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Who vouches for servers.
#[derive(Clone)]
pub(super) struct Trust(Arc<ClientConfig>);

/// A file with authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It cannot be read as certificates.
    #[error("cannot read the authorities in {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// A certificate in it is none of an authority.
    #[error("a certificate in {path} cannot be used as an authority")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What rustls said.
        #[source]
        source: rustls::Error,
    },
    /// There is none.
    #[error("there is no certificate in {path}")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The cryptography of this build does not do TLS 1.3.
    #[error("TLS cannot be used")]
    Tls(#[source] rustls::Error),
}

impl Trust {
    /// The authorities in `file`, or those that Mozilla trusts.
    pub(super) fn new(file: Option<&Path>) -> Result<Self, TrustError> {
        let roots = match file {
            Some(path) => read_roots(path)?,
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TrustError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

fn read_roots(path: &Path) -> Result<RootCertStore, TrustError> {
    let read = |source| TrustError::Read { path: path.to_owned(), source };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(read)? {
        let added = roots.add(certificate.map_err(read)?);
        added.map_err(|source| TrustError::Certificate { path: path.to_owned(), source })?;
    }
    if roots.is_empty() { Err(TrustError::Empty { path: path.to_owned() }) } else { Ok(roots) }
}

/// A connection that is driven beside whoever uses it, until this is dropped.
pub(super) struct Socket {
    _task: JoinSet<()>,
}

impl Socket {
    /// Drives a connection.
    pub(super) fn drive(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            if let Err(error) = connection.await {
                // Whoever waits for the answer is told as well.
                tracing::debug!(%error, "a connection to a web server ended");
            }
        });
        Self { _task: tasks }
    }
}

/// Connects to where a URL is.
pub(super) async fn connect(
    resolver: &Resolver,
    trust: &Trust,
    url: &HttpUrl,
) -> Result<TokioIo<Box<dyn Stream>>, HttpError> {
    let stream = reach(&resolver.resolve(url.host()).await?).await?;
    if !url.is_secure() {
        return Ok(TokioIo::new(Box::new(stream)));
    }
    let tls = |source| HttpError::Tls { host: url.host().to_string(), source };
    let name = ServerName::try_from(url.host_name().to_owned());
    let name = name.map_err(|error| tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    let stream = TlsConnector::from(Arc::clone(&trust.0)).connect(name, stream).await.map_err(tls)?;
    Ok(TokioIo::new(Box::new(stream)))
}

/// A connection to the first of several addresses that takes one.
async fn reach(addresses: &[SocketAddr]) -> Result<TcpStream, HttpError> {
    let mut failure = HttpError::TimedOut(Duration::ZERO);
    for address in addresses {
        let attempt = tokio::time::timeout(ADDRESS_PATIENCE, TcpStream::connect(address)).await;
        let outcome = attempt.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match outcome {
            Ok(stream) => {
                // Question and answer are one packet each; a socket that cannot be told so is only slower.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(source) => failure = HttpError::Connect { address: *address, source },
        }
    }
    Err(failure)
}
