//! The registry's server: heartbeats in, lists out, over HTTP/1.1, with TLS if it is given a certificate.
//!
//! It is small on purpose: everything it knows is in memory and comes back within one heartbeat after a restart. So it can be one process
//! anywhere, and nothing is lost when it dies; peers that are connected stay so.
//!
//! Invariant: whatever is sent to it, memory stays bounded: connections, headers, bodies and entries each have a limit, and every
//! connection has an end. A token, if there is one, is asked for whatever is read or written.
//!
//! Not here: who is there (`book`), flags (`cli`).

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Beat;
use super::book::{Book, Noted};
use crate::discovery::http::Token;
use crate::units::Time;

/// The most connections at once (1024: three times what a fleet of a thousand opens in a second; further ones wait in the system's queue).
const CONNECTIONS_MAX: usize = 1024;
/// The longest body of a heartbeat, in bytes (4 KiB: the longest address and id are 330).
const BODY_LEN_MAX: usize = 4 << 10;
/// The longest header, in bytes (16 KiB: what the longest token needs, four times).
const HEADER_LEN_MAX: usize = 16 << 10;
/// How long a TLS handshake, a header or a body may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest that a connection lives (60 s: a client that wants more opens another one).
const CONNECTION_MAX: Duration = Duration::from_secs(60);
/// How long connections may take to end when the server is told to stop.
const FAREWELL_MAX: Duration = Duration::from_secs(5);
/// The pause after the system refused to give a connection, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
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
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    state: Arc<State>,
}

/// What all connections share.
struct State {
    book: Mutex<Book>,
    token: Option<Token>,
    began: Instant,
}

impl RegistryServer {
    /// Listens on `address`.
    ///
    /// # Errors
    /// [`ServeError`] says what is missing.
    pub async fn bind(address: std::net::SocketAddr, settings: RegistrySettings) -> Result<Self, ServeError> {
        let config = settings.certificate.as_ref().map(tls).transpose()?;
        let listener = TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })?;
        let state = State { book: Mutex::default(), token: settings.token, began: Instant::now() };
        Ok(Self { listener, acceptor: config.map(TlsAcceptor::from), state: Arc::new(state) })
    }

    /// Where it listens, as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.acceptor.is_some() { "https" } else { "http" };
        let address = self.listener.local_addr().map_or_else(|_| "?".to_owned(), |address| address.to_string());
        format!("{scheme}://{address}")
    }

    /// Serves until `shutdown` resolves; answers under way are finished.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(false);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            // A place first: who finds none waits in the system's queue, not in our memory.
            let place = tokio::select! {
                place = Arc::clone(&places).acquire_owned() => place,
                () = &mut shutdown => break,
            };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut shutdown => break,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (state, acceptor, stopped) = (Arc::clone(&self.state), self.acceptor.clone(), stopped.clone());
            connections.spawn(async move {
                let _place = place;
                let talk = async {
                    match acceptor {
                        None => talk(stream, state, stopped).await,
                        Some(acceptor) => match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
                            Ok(Ok(stream)) => talk(stream, state, stopped).await,
                            Ok(Err(error)) => tracing::debug!(%address, %error, "no TLS"),
                            Err(_) => tracing::debug!(%address, "no TLS in time"),
                        },
                    }
                };
                if tokio::time::timeout(CONNECTION_MAX, talk).await.is_err() {
                    tracing::debug!(%address, "a connection lived too long");
                }
            });
            while connections.try_join_next().is_some() {}
        }
        // Who connects now is refused and not left waiting.
        drop(self.listener);
        let _ = stop.send(true);
        let ended = async { while connections.join_next().await.is_some() {} };
        // Whoever does not take its answer in this time is cut off.
        let _ = tokio::time::timeout(FAREWELL_MAX, ended).await;
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

/// Answers what comes over one connection, until either side has enough.
async fn talk<S>(stream: S, state: Arc<State>, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(state.answer(request).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(HEADER_LEN_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let stop = async {
        // The server that sends this outlives its connections.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    tokio::pin!(connection, stop);
    let outcome = tokio::select! {
        outcome = &mut connection => outcome,
        () = &mut stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended");
    }
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
            ("/heartbeat", _) => wrong_method("POST"),
            ("/peers" | "/peers.json", _) => wrong_method("GET"),
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

fn wrong_method(allowed: &'static str) -> Response<Full<Bytes>> {
    let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, PATHS);
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    refusal
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // A list of yesterday is worse than none.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
