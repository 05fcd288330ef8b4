//! The registry's server: heartbeats in, lists out, over HTTP/1.1, with TLS if it is given a certificate.
//!
//! It is small on purpose: everything it knows is in memory and comes back within one heartbeat after a restart. So it can be one process
//! anywhere, and nothing is lost when it dies; peers that are connected stay so.
//!
//! Invariant: whatever is sent to it, memory stays bounded: connections, headers, bodies and entries each have a limit, and every
//! connection has an end. A token, if there is one, is asked for whatever is read or written.
//!
//! Not here: who is there (`book`), flags (`cli`).

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::Beat;
use super::book::{Book, Noted};
use crate::discovery::http::reply::{text, typed, wrong_method};
use crate::discovery::http::server::PATIENCE;
use crate::discovery::http::{HttpBounds, HttpServer, Token};
use crate::units::Time;

/// What the server may cost: 1024 connections are three times what a fleet of a thousand opens in a second, and a header of 16 KiB is what
/// the longest token needs, four times.
const BOUNDS: HttpBounds = HttpBounds { connections: 1024, header_len: 16 << 10, keep_alive: true };
/// The longest body of a heartbeat, in bytes (4 KiB: the longest address and id are 330).
const BODY_LEN_MAX: usize = 4 << 10;
/// What the server knows.
const PATHS: &str = "POST /heartbeat, GET /peers, GET /peers.json, GET /health\n";

/// What a registry is told.
#[derive(Clone, Debug, Default)]
pub struct RegistrySettings {
    /// What clients must present. Default `None`: anybody may read and write.
    pub token: Option<Token>,
    /// With what the server proves itself over TLS. Default `None`: no TLS.
    pub certificate: Option<ServerCertificate>,
}

/// PEM files of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCertificate {
    /// Its certificate, and those between it and its authority.
    pub chain: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Why a registry cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// Certificate and key are of no use.
    #[error("the certificate in {path} cannot be used")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What rustls said.
        #[source]
        source: rustls::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on TCP {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A registry that listens.
pub struct RegistryServer {
    server: HttpServer,
    state: Arc<State>,
}

/// What all connections share.
struct State {
    book: Mutex<Book>,
    token: Option<Token>,
    began: Instant,
}

impl RegistryServer {
    /// Listens on `address`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ServeError`] says what is missing.
    pub fn bind(address: std::net::SocketAddr, settings: RegistrySettings) -> Result<Self, ServeError> {
        let config = settings.certificate.as_ref().map(tls).transpose()?;
        let mut server = HttpServer::bind(address, BOUNDS).map_err(|source| ServeError::Listen { address, source })?;
        if let Some(config) = config {
            server = server.behind(TlsAcceptor::from(config));
        }
        let state = State { book: Mutex::default(), token: settings.token, began: Instant::now() };
        Ok(Self { server, state: Arc::new(state) })
    }

    /// Where it listens, as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.server.is_secure() { "https" } else { "http" };
        let address = self.server.address().map_or_else(|_| "?".to_owned(), |address| address.to_string());
        format!("{scheme}://{address}")
    }

    /// Serves until `shutdown` resolves; answers under way are finished.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let state = self.state;
        let answer = move |request, _| {
            let state = Arc::clone(&state);
            async move { state.answer(request).await }
        };
        self.server.serve(answer, shutdown).await;
    }
}

/// Certificate and key of a server, for TLS 1.3.
fn tls(files: &ServerCertificate) -> Result<Arc<ServerConfig>, ServeError> {
    let read = |path: &PathBuf| {
        let path = path.clone();
        move |source| ServeError::Read { path, source }
    };
    let chain = CertificateDer::pem_file_iter(&files.chain).and_then(Iterator::collect).map_err(read(&files.chain))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(read(&files.key))?;
    let unusable = |source| ServeError::Certificate { path: files.chain.clone(), source };
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    Ok(Arc::new(config))
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        if path == "/health" {
            return text(StatusCode::OK, "ok\n");
        }
        if !self.admits(request.headers().get(AUTHORIZATION)) {
            let mut refusal = text(StatusCode::UNAUTHORIZED, "a bearer token is needed\n");
            refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return refusal;
        }
        match (path.as_str(), request.method()) {
            ("/heartbeat", &Method::POST) => self.take_heartbeat(request.into_body()).await,
            ("/peers", &Method::GET | &Method::HEAD) => self.peers(),
            ("/peers.json", &Method::GET | &Method::HEAD) => self.view(),
            ("/heartbeat", _) => wrong_method("POST", PATHS),
            ("/peers" | "/peers.json", _) => wrong_method("GET", PATHS),
            _ => text(StatusCode::NOT_FOUND, PATHS),
        }
    }

    fn admits(&self, presented: Option<&HeaderValue>) -> bool {
        let Some(token) = &self.token else { return true };
        let presented = presented.map(HeaderValue::as_bytes).unwrap_or_default();
        presented.strip_prefix(b"Bearer ").is_some_and(|presented| token.is(presented))
    }

    async fn take_heartbeat(&self, body: Incoming) -> Response<Full<Bytes>> {
        let body = match tokio::time::timeout(PATIENCE, Limited::new(body, BODY_LEN_MAX).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => return text(StatusCode::PAYLOAD_TOO_LARGE, "a heartbeat has at most 4096 bytes\n"),
            Err(_) => return text(StatusCode::REQUEST_TIMEOUT, "the heartbeat came too slowly\n"),
        };
        let beat = match Beat::parse(&body) {
            Ok(beat) => beat,
            Err(error) => return text(StatusCode::BAD_REQUEST, format!("{error}\n")),
        };
        let peer = beat.peer.clone();
        match self.with_book(|book, now| book.note(beat, now)) {
            Noted::Full => {
                tracing::warn!(%peer, "a peer is not taken: the registry is full");
                return text(StatusCode::SERVICE_UNAVAILABLE, "the registry is full\n");
            }
            Noted::Came => tracing::info!(%peer, "a peer came"),
            Noted::Went => tracing::info!(%peer, "a peer said good-bye"),
            Noted::Stayed => {}
        }
        text(StatusCode::OK, "ok\n")
    }

    fn peers(&self) -> Response<Full<Bytes>> {
        let list = self.with_book(|book, now| {
            book.peers(now).into_iter().map(ToString::to_string).collect::<Vec<String>>().join(",")
        });
        typed(StatusCode::OK, "text/csv; charset=utf-8", format!("{list}\n"))
    }

    fn view(&self) -> Response<Full<Bytes>> {
        let shown = self.with_book(Book::shown);
        let peers = serde_json::json!({ "peers": shown });
        typed(StatusCode::OK, "application/json", format!("{peers}\n"))
    }

    fn with_book<T>(&self, work: impl FnOnce(&mut Book, Time) -> T) -> T {
        let now = Time::ZERO + self.began.elapsed();
        // Nothing in the book can be half done: a panic in one answer says nothing about the next.
        work(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner), now)
    }
}
