//! The node's UDP socket as quinn uses it: it wakes the node seldom, and never asks the kernel for a batch larger than the kernel takes.
//!
//! quinn's own socket has the runtime watch it for everything at once. On Linux that means a wake-up for each datagram that comes,
//! and one more for each that leaves the queue of a link, because every freed buffer says that there is room again. At 200 Mbit/s
//! that is a wake-up every 30 microseconds for 1452 bytes, and most of the processor time of a transfer. So this socket is watched for what
//! somebody waits for: for room only after the kernel said that there is none, and for datagrams only while they are few; when
//! they come all the time it is left alone for a moment and then read (`rest`).
//!
//! quinn sends up to ten datagrams in one system call (GSO), whatever their size. Above 6500 bytes each, ten of them
//! exceed the 65,535 bytes of an IP packet; the kernel refuses, the refusal looks like loss, and quinn's search for the
//! largest datagram concludes that only 1200 bytes pass. So a batch that is too long goes in parts.
//!
//! Invariant: whoever was told to wait is woken: a watch is set before the socket is found empty for the last time. The kernel is
//! never given more than fits into one IP packet.
//!
//! Not here: the size of a datagram, which quinn discovers; system calls (`quinn::udp`).

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Sleep;

use super::rest::{Moderation, REST};

/// See the module's text.
#[derive(Debug)]
pub(super) struct NodeSocket {
    socket: Arc<UdpSocket>,
    system: UdpSocketState,
    /// Whether the kernel had no room for what was to be sent last.
    full: AtomicBool,
    /// Only quinn's one driver of the endpoint reads, so nobody ever waits for this.
    reader: Mutex<Reader>,
}

/// What the reading side waits for.
#[derive(Debug)]
struct Reader {
    moderation: Moderation,
    /// `None` while the socket is left alone.
    watch: Option<AsyncFd<Arc<UdpSocket>>>,
    /// The end of a rest.
    rest: Pin<Box<Sleep>>,
}

impl NodeSocket {
    /// Takes a bound socket whose kernel buffer takes `buffer` bytes. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the kernel refuses an option without which QUIC cannot be.
    pub(super) fn new(socket: UdpSocket, buffer: usize) -> io::Result<Self> {
        let system = UdpSocketState::new((&socket).into())?;
        let now = Instant::now();
        let reader = Reader {
            moderation: Moderation::new(buffer, now),
            watch: None,
            rest: Box::pin(tokio::time::sleep_until(now.into())),
        };
        Ok(Self { socket: Arc::new(socket), system, full: AtomicBool::new(false), reader: Mutex::new(reader) })
    }

    /// Reads what is there; `None` when nothing is.
    ///
    /// An error is what became of some datagram that was sent, to whomever, and the kernel tells it once: no reason to give up the socket.
    fn read(&self, buffers: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> Option<usize> {
        loop {
            match self.system.recv((&*self.socket).into(), buffers, meta) {
                Ok(messages) => return Some(messages),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => tracing::debug!(%error, "the socket tells an error"),
            }
        }
    }
}

impl AsyncUdpSocket for NodeSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Room { socket: self, watch: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        // A part that finds no room is sent again with the whole batch; the peer passes over what it got twice.
        let sent = parts(transmit).try_for_each(|part| self.system.send((&*self.socket).into(), &part));
        if sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.full.store(true, Ordering::Release);
        }
        sent
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut reader = self.reader.lock().expect("no thread panics while it reads a socket");
        let reader = &mut *reader;
        loop {
            let Some(watch) = &reader.watch else {
                ready!(reader.rest.as_mut().poll(context));
                match self.read(buffers, meta) {
                    Some(messages) => {
                        return Poll::Ready(Ok(reader.came(&self.socket, buffers.len(), &meta[..messages])?));
                    }
                    None => reader.watch = Some(watched(&self.socket)?),
                }
                continue;
            };
            let mut ready = ready!(watch.poll_read_ready(context))?;
            match self.read(buffers, meta) {
                Some(messages) => {
                    return Poll::Ready(Ok(reader.came(&self.socket, buffers.len(), &meta[..messages])?));
                }
                None => ready.clear_ready(),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        // Asked each time: batches are given up when the network card refuses them.
        self.system.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.system.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.system.may_fragment()
    }
}

impl Reader {
    /// Takes into account what was read with room for `slots` messages; returns their number.
    fn came(&mut self, socket: &Arc<UdpSocket>, slots: usize, meta: &[RecvMeta]) -> io::Result<usize> {
        let bytes: usize = meta.iter().map(|message| message.len).sum();
        let datagrams: usize = meta.iter().map(|message| message.len.div_ceil(message.stride.max(1))).sum();
        // With every slot filled there may be more, so it is read on, rest or no rest.
        let now = Instant::now();
        let moderate = self.moderation.read(datagrams as u64, bytes as u64, now);
        if moderate && meta.len() < slots {
            self.watch = None;
            self.rest.as_mut().reset((now + REST).into());
        } else if !moderate && self.watch.is_none() {
            self.watch = Some(watched(socket)?);
        }
        Ok(meta.len())
    }
}

/// Has the runtime say when there is something to read, also if there is now.
fn watched(socket: &Arc<UdpSocket>) -> io::Result<AsyncFd<Arc<UdpSocket>>> {
    watch(Arc::clone(socket), Interest::READABLE)
}

/// Has the runtime watch a socket for one thing alone. Its own sockets are watched for everything, which is what this file avoids.
#[allow(deprecated)] // for types that change or close their descriptor; these own one from their making to their end
fn watch<T: AsRawFd + Owned>(name: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(name, interest)
}

/// What owns one descriptor from its making to its end.
trait Owned {}
impl Owned for Arc<UdpSocket> {}
impl Owned for OwnedFd {}

/// Waits until the kernel takes datagrams again, for one connection.
#[derive(Debug)]
struct Room {
    socket: Arc<NodeSocket>,
    /// A second name of the socket, because the runtime watches a name once and the first is for reading.
    watch: Option<AsyncFd<OwnedFd>>,
}

impl UdpPoller for Room {
    fn poll_writable(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.socket.full.load(Ordering::Acquire) {
            this.watch = None;
            return Poll::Ready(Ok(()));
        }
        let watch = match &mut this.watch {
            Some(watch) => watch,
            none => {
                let name = OwnedFd::from(this.socket.socket.try_clone()?);
                none.insert(watch(name, Interest::WRITABLE)?)
            }
        };
        ready!(watch.poll_write_ready(context))?.clear_ready();
        this.socket.full.store(false, Ordering::Release);
        this.watch = None;
        Poll::Ready(Ok(()))
    }
}

/// A batch in parts of whole datagrams that fit into one IP packet each.
fn parts<'a>(transmit: &Transmit<'a>) -> impl Iterator<Item = Transmit<'a>> {
    let (destination, ecn, segment_size, src_ip) =
        (transmit.destination, transmit.ecn, transmit.segment_size, transmit.src_ip);
    let len = segment_size.map_or(usize::MAX, |size| (BATCH_LEN_MAX / size.max(1)).max(1) * size);
    let parts = transmit.contents.chunks(len.max(1));
    parts.map(move |contents| Transmit { destination, ecn, contents, segment_size, src_ip })
}

/// An IP packet has at most 65,535 bytes; headers and their options take part of it.
const BATCH_LEN_MAX: usize = 65_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths of the parts of a batch of ten datagrams, the last one shorter than the others.
    fn lens(size: usize) -> Vec<usize> {
        let contents = vec![0; 9 * size + 100];
        let destination = "[::1]:1".parse().unwrap();
        let transmit = Transmit { destination, ecn: None, contents: &contents, segment_size: Some(size), src_ip: None };
        parts(&transmit).map(|part| part.contents.len()).collect()
    }

    #[test]
    fn a_batch_goes_in_parts_that_fit_into_one_ip_packet() {
        assert_eq!(lens(1452), [9 * 1452 + 100]);
        assert_eq!(lens(8952), [7 * 8952, 2 * 8952 + 100]);
        for size in [1200, 6500, 6501, 16_384, 65_000] {
            let lens = lens(size);
            assert!(lens.iter().all(|len| *len <= BATCH_LEN_MAX), "{size}: {lens:?}");
            assert_eq!(lens.iter().sum::<usize>(), 9 * size + 100);
        }
    }

    #[test]
    fn a_datagram_alone_is_no_batch() {
        let contents = [0; 1200];
        let destination = "[::1]:1".parse().unwrap();
        let transmit = Transmit { destination, ecn: None, contents: &contents, segment_size: None, src_ip: None };
        assert_eq!(parts(&transmit).map(|part| part.contents.len()).collect::<Vec<_>>(), [1200]);
    }
}
