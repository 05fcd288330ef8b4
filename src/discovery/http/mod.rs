//! HTTP as a peer list, a registry and probes need it: one small question, one small answer.
//!
//! hyper speaks the protocol; the connection below it is ours, because names must resolve as everywhere in this static program, and
//! because every step must have a bound. A connection carries one question: lists are asked for every few seconds at most, and
//! what is kept open between would have to be watched.
//!
//! Invariant: an exchange ends within the patience it is given, redirects included; no more of an answer is kept than the caller allows;
//! nothing that came over TLS goes on without it; a token goes to one origin and nowhere else.
//!
//! Not here: proxies (a list is in the fleet's own network), compressed answers (none are asked for), TLS below 1.3.

mod connect;
mod link;
pub mod reply;
pub(super) mod server;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use zeroize::Zeroizing;

pub use connect::TrustError;
pub use link::{HttpUrl, HttpUrlError, Origin};
pub use server::{Caller, HttpBounds, HttpServer, HttpServing};

use super::own::address_toward;
use super::resolve::{ResolveError, Resolver};
use connect::{Socket, Trust};

/// The most redirects that are followed (5: a name without "www", a scheme and a moved path are three).
const REDIRECTS_MAX: u32 = 5;
/// The longest header of an answer, in bytes (16 KiB: twice what web servers allow for a question).
const HEADER_LEN_MAX: usize = 16 << 10;
/// The longest token, in bytes (4 KiB: half of the header that web servers take).
pub const TOKEN_LEN_MAX: usize = 4096;

/// Whom HTTPS servers may be vouched for by, and who is told the token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpSettings {
    /// A PEM file with the only authorities to trust. Default `None`: those that Mozilla trusts.
    pub ca_file: Option<PathBuf>,
    /// What shows a registry that we may use it, and whose registry that is. Default `None`.
    pub token: Option<(Origin, Token)>,
}

/// A secret that is sent as it is to whom it belongs. It is wiped when it is dropped, and has no form that could be logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

/// Text that cannot be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token is 1 to {TOKEN_LEN_MAX} visible ASCII characters on one line, without blanks")]
pub struct TokenError;

/// Asks web servers.
#[derive(Clone)]
pub struct HttpClient {
    resolver: Resolver,
    trust: Trust,
    token: Option<(Origin, Token)>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The host has no address.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// No address of the host can be reached.
    #[error("cannot connect to {address}")]
    Connect {
        /// The last address that was tried.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// No address of ours leads there.
    #[error("there is no route to {host}")]
    NoRoute {
        /// The host.
        host: String,
    },
    /// TLS failed; rustls says why.
    #[error("no TLS connection to {host}; --http-ca-file names other authorities than those of the web")]
    Tls {
        /// The host.
        host: String,
        /// What rustls said.
        #[source]
        source: std::io::Error,
    },
    /// What the server sent is no HTTP, or ended too early.
    #[error("no HTTP answer")]
    Protocol(#[from] hyper::Error),
    /// What the server sent of its answer ended too early.
    #[error("the answer broke off")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server answered otherwise than with success.
    #[error("the answer is {0}")]
    Status(StatusCode),
    /// The answer is longer than any that would be of use.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The server sends us from one place to the next.
    #[error("more than {REDIRECTS_MAX} redirects")]
    Redirects,
    /// The server sends us where we do not go.
    #[error("the answer redirects to {to:?}, which is not followed: {reason}")]
    Redirect {
        /// Where.
        to: String,
        /// Why not.
        reason: &'static str,
    },
    /// It took too long.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

impl Token {
    /// The text of a token, without the line's end that a file has.
    ///
    /// # Errors
    /// [`TokenError`] for what no header can carry.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let fits = (1..=TOKEN_LEN_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(Zeroizing::new(text.to_owned()))) } else { Err(TokenError) }
    }

    /// Whether somebody presents this token, in a time that says nothing about where the difference is.
    pub(super) fn is(&self, presented: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), presented).is_ok()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl HttpClient {
    /// A client that resolves names with `resolver`.
    ///
    /// # Errors
    /// [`TrustError`] when the file with authorities cannot be used.
    pub fn new(resolver: Resolver, settings: &HttpSettings) -> Result<Self, TrustError> {
        let trust = Trust::new(settings.ca_file.as_deref())?;
        Ok(Self { resolver, trust, token: settings.token.clone() })
    }

    /// What is at a URL, redirects followed: at most `limit` bytes, within `patience`.
    ///
    /// # Errors
    /// [`HttpError`] says why there is none.
    pub async fn fetch(&self, url: &HttpUrl, limit: usize, patience: Duration) -> Result<Bytes, HttpError> {
        let fetch = async {
            let mut url = url.clone();
            for _ in 0..=REDIRECTS_MAX {
                let request = Request::builder().method(Method::GET);
                let (response, _socket) = self.ask(&url, request, Bytes::new()).await?;
                if response.status().is_redirection() {
                    url = redirected(&url, &response)?;
                    continue;
                }
                return body(successful(response)?, limit).await;
            }
            Err(HttpError::Redirects)
        };
        tokio::time::timeout(patience, fetch).await.unwrap_or(Err(HttpError::TimedOut(patience)))
    }

    /// Sends JSON to a URL; of the answer only success counts.
    pub(super) async fn post(&self, url: &HttpUrl, json: Bytes, patience: Duration) -> Result<(), HttpError> {
        let post = async {
            let request = Request::builder().method(Method::POST).header(CONTENT_TYPE, "application/json");
            let (response, _socket) = self.ask(url, request, json).await?;
            if response.status().is_redirection() {
                let to = location(&response);
                return Err(HttpError::Redirect { to, reason: "name that URL itself, if it is the right one" });
            }
            successful(response).map(drop)
        };
        tokio::time::timeout(patience, post).await.unwrap_or(Err(HttpError::TimedOut(patience)))
    }

    /// The address of ours from which the server would be reached.
    pub(super) async fn facing(&self, url: &HttpUrl) -> Result<IpAddr, HttpError> {
        let addresses = self.resolver.resolve(url.host()).await?;
        let facing = addresses.into_iter().find_map(address_toward);
        facing.ok_or_else(|| HttpError::NoRoute { host: url.host().to_string() })
    }

    /// Asks one server once. The answer's body comes as long as the socket is kept.
    async fn ask(
        &self,
        url: &HttpUrl,
        request: hyper::http::request::Builder,
        body: Bytes,
    ) -> Result<(Response<Incoming>, Socket), HttpError> {
        let stream = connect::connect(&self.resolver, &self.trust, url).await?;
        let mut builder = hyper::client::conn::http1::Builder::new();
        let (mut sender, connection) = builder.max_buf_size(HEADER_LEN_MAX).handshake(stream).await?;
        let socket = Socket::drive(connection);
        let mut request = (request.uri(url.target()).header(HOST, url.authority()))
            .header(USER_AGENT, concat!("strew/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close");
        if let Some((_, token)) = self.token.as_ref().filter(|(origin, _)| *origin == url.origin()) {
            request = request.header(AUTHORIZATION, format!("Bearer {}", *token.0));
        }
        let request = request.body(Full::new(body)).expect("a parsed URL and a token of visible characters fit");
        let response = sender.send_request(request).await?;
        Ok((response, socket))
    }
}

fn successful(response: Response<Incoming>) -> Result<Response<Incoming>, HttpError> {
    if response.status().is_success() { Ok(response) } else { Err(HttpError::Status(response.status())) }
}

async fn body(response: Response<Incoming>, limit: usize) -> Result<Bytes, HttpError> {
    match Limited::new(response.into_body(), limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(HttpError::TooLong(limit)),
        Err(error) => Err(HttpError::Body(error)),
    }
}

fn location(response: &Response<Incoming>) -> String {
    let text = response.headers().get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    text.unwrap_or_default()
}

/// Where an answer sends us, if we go there.
fn redirected(from: &HttpUrl, response: &Response<Incoming>) -> Result<HttpUrl, HttpError> {
    let to = location(response);
    from.join(&to).map_err(|reason| HttpError::Redirect { to, reason })
}

#[cfg(test)]
mod tests;
