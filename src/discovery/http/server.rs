//! The serving side of HTTP, as a registry and probes need it: many small questions, each with a small answer out of memory.
//!
//! hyper speaks the protocol; what is ours is that nothing about it is without a bound. Who answers gives a function, and sees of a
//! connection only its two addresses.
//!
//! Invariant: connections and headers each have a limit, and every connection has an end, whatever is sent over it or not sent.
//!
//! Not here: what is answered (`registry`, `admin`), bodies of questions and their limits, whose certificate is shown.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// How long a TLS handshake, a header or a body may take to come.
pub(in crate::discovery) const PATIENCE: Duration = Duration::from_secs(10);
/// The longest that a connection lives (60 s: a client that wants more opens another one).
const CONNECTION_MAX: Duration = Duration::from_secs(60);
/// How long connections may take to end when the server is told to stop.
const FAREWELL_MAX: Duration = Duration::from_secs(5);
/// The pause after the system refused to give a connection, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What one server may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpBounds {
    /// The most connections at once; further ones wait in the system's queue.
    pub connections: usize,
    /// The longest header of a question, in bytes; at least 8 KiB, which is hyper's least.
    pub header_len: usize,
    /// Whether a connection may carry more than one question.
    pub keep_alive: bool,
}

/// Who asks, and over which address of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Where the question comes from.
    pub remote: SocketAddr,
    /// Where it came to.
    pub local: SocketAddr,
}

/// A server that listens and does not answer yet.
pub struct HttpServer {
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    bounds: HttpBounds,
}

/// A server that answers for as long as this is kept.
#[derive(Debug)]
pub struct HttpServing(AbortHandle);

impl Drop for HttpServing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Caller {
    /// Whether the question comes from this machine: over loopback, or from the very address that it came to, which no packet from
    /// outside can answer for.
    #[must_use]
    pub fn is_here(&self) -> bool {
        let [remote, local] = [self.remote, self.local].map(|address| address.ip().to_canonical());
        remote.is_loopback() || remote == local
    }
}

impl HttpServer {
    /// Listens on `address`; port 0 takes any free one. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(address: SocketAddr, bounds: HttpBounds) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener: TcpListener::from_std(listener)?, acceptor: None, bounds })
    }

    /// The same behind TLS.
    #[must_use]
    pub fn behind(self, acceptor: TlsAcceptor) -> Self {
        Self { acceptor: Some(acceptor), ..self }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Whether it is behind TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.acceptor.is_some()
    }

    /// Answers until what is returned is dropped.
    pub fn start<A, F>(self, answer: A) -> HttpServing
    where
        A: Fn(Request<Incoming>, Caller) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        HttpServing(tokio::spawn(self.serve(answer, std::future::pending())).abort_handle())
    }

    /// Answers until `shutdown` resolves; answers under way are finished.
    pub async fn serve<A, F>(self, answer: A, shutdown: impl Future<Output = ()>)
    where
        A: Fn(Request<Incoming>, Caller) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        let places = Arc::new(Semaphore::new(self.bounds.connections));
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
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (acceptor, bounds) = (self.acceptor.clone(), self.bounds);
            let (answer, stopped) = (answer.clone(), stopped.clone());
            connections.spawn(async move {
                let _place = place;
                let talk = receive(stream, acceptor, bounds, answer, stopped);
                if tokio::time::timeout(CONNECTION_MAX, talk).await.is_err() {
                    tracing::debug!("a connection lived too long");
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

/// Takes up one connection, in the clear or not.
async fn receive<A, F>(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    bounds: HttpBounds,
    answer: A,
    stopped: watch::Receiver<bool>,
) where
    A: Fn(Request<Incoming>, Caller) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    // Whoever is gone already needs no answer.
    let (Ok(remote), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else { return };
    let caller = Caller { remote, local };
    let answer = move |request| answer(request, caller);
    match acceptor {
        None => talk(stream, bounds, answer, stopped).await,
        Some(acceptor) => match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => talk(stream, bounds, answer, stopped).await,
            Ok(Err(error)) => tracing::debug!(address = %remote, %error, "no TLS"),
            Err(_) => tracing::debug!(address = %remote, "no TLS in time"),
        },
    }
}

/// Answers what comes over one connection, until either side has enough.
async fn talk<S, A, F>(stream: S, bounds: HttpBounds, answer: A, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    builder.max_buf_size(bounds.header_len).keep_alive(bounds.keep_alive);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_from_this_machine_is_known_by_its_address() {
        let is_here = |remote: &str, local: &str| {
            Caller { remote: remote.parse().unwrap(), local: local.parse().unwrap() }.is_here()
        };
        assert!(is_here("127.0.0.1:1", "127.0.0.1:2") && is_here("[::1]:1", "[::1]:2"));
        assert!(is_here("[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:2") && is_here("10.0.0.5:1", "10.0.0.5:2"));
        assert!(!is_here("10.0.0.6:1", "10.0.0.5:2") && !is_here("[::ffff:10.0.0.6]:1", "[::ffff:10.0.0.5]:2"));
    }
}
