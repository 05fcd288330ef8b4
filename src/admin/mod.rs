//! Probes: what a node tells over TCP to those who watch it: orchestrators, load balancers, `strew status`.
//!
//! A probe of an orchestrator speaks HTTP over TCP, and the node's own port is UDP alone. So there is a second listener that answers four
//! questions out of what was noted last, and knows no other.
//!
//! Invariant: nothing that is asked here changes anything, no byte of the content leaves here, and what a node is busy with is told to
//! its own machine alone, unless the operator opened it. Asking costs bounded memory, however it is done.
//!
//! Not here: TLS and passwords (there is nothing to protect but the state, and that stays on the machine), metrics, changing anything.

mod counters;
mod status;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Response, StatusCode};
use tokio::sync::watch;

pub use counters::Counters;
pub use status::{PhaseName, SCHEMA, Status};

use crate::discovery::reply::{text, typed, wrong_method};
use crate::discovery::{Caller, HttpBounds, HttpServer, HttpServing};

/// What the listener may cost: 64 connections of one question each, which is more than anybody's probes a second, with headers of 8 KiB, as
/// web servers take them.
const BOUNDS: HttpBounds = HttpBounds { connections: 64, header_len: 8 << 10, keep_alive: false };
/// What there is to ask.
const PATHS: &str = "GET /completed, GET /healthz, GET /version, GET /status\n";
/// What `/version` says.
const VERSION: &str = concat!("strew ", env!("CARGO_PKG_VERSION"), "\n");

/// Who may ask for the whole state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Programs of this machine.
    ThisMachine,
    /// Whoever reaches the listener.
    Everybody,
}

/// There is no listener for probes.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen for probes on TCP {address}; end the program that does, choose another --health-addr, or do without probes by \
     --health-addr none"
)]
pub struct ProbesError {
    /// Where.
    pub address: SocketAddr,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// A listener that answers probes for as long as it is kept.
#[derive(Debug)]
pub struct Probes {
    address: SocketAddr,
    _serving: HttpServing,
}

impl Probes {
    /// Listens on `address` and answers with what `status` holds. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ProbesError`] when the address cannot be had.
    pub fn start(
        address: SocketAddr,
        audience: Audience,
        status: watch::Receiver<Status>,
    ) -> Result<Self, ProbesError> {
        let failed = |source| ProbesError { address, source };
        let server = HttpServer::bind(address, BOUNDS).map_err(failed)?;
        let address = server.address().map_err(failed)?;
        let serving = server.start(move |request, caller| {
            let answer = answer(request.method(), request.uri().path(), admits(audience, caller), &status.borrow());
            std::future::ready(answer)
        });
        Ok(Self { address, _serving: serving })
    }

    /// Where it listens, with the port that it got.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

fn admits(audience: Audience, caller: Caller) -> bool {
    audience == Audience::Everybody || caller.is_here()
}

/// The answer to one question; `admitted` says whether who asks may see the whole state.
fn answer(method: &Method, path: &str, admitted: bool, status: &Status) -> Response<Full<Bytes>> {
    if !matches!(path, "/completed" | "/healthz" | "/version" | "/status") {
        return text(StatusCode::NOT_FOUND, PATHS);
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        return wrong_method("GET, HEAD", PATHS);
    }
    match path {
        "/completed" if status.complete => text(StatusCode::OK, "complete\n"),
        "/completed" => text(StatusCode::SERVICE_UNAVAILABLE, "incomplete\n"),
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/version" => text(StatusCode::OK, VERSION),
        _ if !admitted => {
            text(StatusCode::FORBIDDEN, "the state is told to this machine alone, unless --health-addr is given\n")
        }
        _ => match serde_json::to_vec(status) {
            Ok(mut json) => {
                json.push(b'\n');
                typed(StatusCode::OK, "application/json", json)
            }
            // Numbers and text are always JSON; if that were ever wrong, a probe must not end a transfer.
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the state cannot be written down\n"),
        },
    }
}
