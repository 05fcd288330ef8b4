//! QUIC and nothing else: quinn as it comes, from memory to memory, with strew's settings of the transport.
//!
//! The floor that strew's own path is measured against (docs/benchmarks.md): no files, no digests, no swarm, one thread on each side. What
//! strew uses more than this is what its own work costs. The socket is quinn's own, so what strew's socket spares shows as well.
//!
//! ```text
//! raw serve ADDRESS MTU                  prints `ready`, answers every stream with as many bytes as it asks for
//! raw pull ADDRESS SERVER MTU BYTES      takes so many bytes over eight streams at a time, and prints `complete`
//! ```
//!
//! `STREW_KEY` holds the swarm key, as for strew; `raw key` prints a new one. MTU is that of the interface.
//!
//! Invariant: every byte travels through TLS with both sides authenticated, as between two nodes.
//!
//! Not here: anything that is measured about it (`netem`).

use std::error::Error;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use quinn::{Connection, Endpoint, RecvStream, SendStream, TokioRuntime};
use socket2::{Domain, Protocol, Socket, Type};
use strew::identity::{Credentials, KeyRing, NODE_NAME, SwarmKey};
use strew::net::TransportSettings;
use tokio::task::JoinSet;

/// Bytes that one stream brings: strew's largest usual chunk.
const STREAM: u64 = 4 << 20;
/// Streams at a time, far beyond what a path within a machine needs to be full.
const STREAMS: usize = 8;
/// As strew asks for.
const SOCKET_BUFFER: usize = 8 << 20;
/// IPv6 and UDP headers.
const HEADERS: u16 = 48;
/// Ten datagrams, which quinn sends at once, must fit into one IP packet; larger ones quinn's own socket cannot carry.
const PAYLOAD_MAX: u16 = 6500;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", address, mtu] => serve(endpoint(address.parse()?, mtu.parse()?)?).await,
        ["pull", address, server, mtu, bytes] => {
            pull(endpoint(address.parse()?, mtu.parse()?)?, server.parse()?, bytes.parse()?).await
        }
        ["key"] => say(&SwarmKey::generate()?.reveal_text()),
        _ => Err("usage: raw key | raw serve ADDRESS MTU | raw pull ADDRESS SERVER MTU BYTES".into()),
    }
}

/// A socket with large buffers and quinn's own way to use it.
fn endpoint(address: SocketAddr, mtu: u16) -> Result<Endpoint, Box<dyn Error>> {
    let key = SwarmKey::from_str(&std::env::var("STREW_KEY").map_err(|_| "STREW_KEY is not set")?)?;
    let credentials = Credentials::from_keys(&KeyRing::single(key))?;
    let mtu_upper = mtu.saturating_sub(HEADERS).min(PAYLOAD_MAX);
    let settings = TransportSettings { mtu_upper, send_window: 16 << 20, ..TransportSettings::default() };
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.bind(&address.into())?;
    let (socket, runtime) = (UdpSocket::from(socket), Arc::new(TokioRuntime));
    let server = Some(settings.server(&credentials));
    let mut endpoint = Endpoint::new(settings.endpoint(), server, socket, runtime)?;
    endpoint.set_default_client_config(settings.client(&credentials));
    Ok(endpoint)
}

/// Serves until it is killed.
async fn serve(endpoint: Endpoint) -> Result<(), Box<dyn Error>> {
    say("ready")?;
    let data = Bytes::from(vec![0x5a; usize::try_from(STREAM)?]);
    while let Some(incoming) = endpoint.accept().await {
        let data = data.clone();
        tokio::spawn(async move {
            let Ok(connection) = incoming.await else { return };
            while let Ok((send, recv)) = connection.accept_bi().await {
                tokio::spawn(answer(send, recv, data.clone()));
            }
        });
    }
    Ok(())
}

/// Gives as many bytes as are asked for.
async fn answer(mut send: SendStream, mut recv: RecvStream, data: Bytes) {
    let mut wanted = [0; 8];
    if recv.read_exact(&mut wanted).await.is_err() {
        return;
    }
    let wanted = usize::try_from(u64::from_be_bytes(wanted)).unwrap_or(usize::MAX).min(data.len());
    // A peer that is gone needs no more.
    if send.write_chunk(data.slice(..wanted)).await.is_ok() {
        let _ = send.finish();
    }
}

/// Takes `bytes` bytes.
async fn pull(endpoint: Endpoint, server: SocketAddr, bytes: u64) -> Result<(), Box<dyn Error>> {
    let connection = endpoint.connect(server, NODE_NAME)?.await?;
    let left = Arc::new(AtomicU64::new(bytes));
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS {
        streams.spawn(take(connection.clone(), Arc::clone(&left)));
    }
    while let Some(taken) = streams.join_next().await {
        taken?.map_err(|error| -> Box<dyn Error> { error })?;
    }
    say("complete")
}

/// Takes a stream's worth at a time until nothing is left.
async fn take(connection: Connection, left: Arc<AtomicU64>) -> Result<(), Box<dyn Error + Send + Sync>> {
    loop {
        let before = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(STREAM)));
        let wanted = before.unwrap_or(0).min(STREAM);
        if wanted == 0 {
            return Ok(());
        }
        let (mut send, mut recv) = connection.open_bi().await?;
        send.write_all(&wanted.to_be_bytes()).await?;
        send.finish()?;
        let mut came = 0;
        while let Some(chunk) = recv.read_chunk(usize::MAX, false).await? {
            came += chunk.bytes.len() as u64;
        }
        if came != wanted {
            return Err(format!("{came} bytes came where {wanted} were asked for").into());
        }
    }
}

fn say(word: &str) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    writeln!(out, "{word}")?;
    out.flush()?;
    Ok(())
}
