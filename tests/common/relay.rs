//! A relay for datagrams: a link that a test can watch and stop in the middle of a transfer.
//!
//! On one machine a transfer is over before a test could interfere. A relay between two nodes passes so many bytes and then no more, so
//! the moment of a fault is a number of bytes and not a matter of luck, and no rights are needed for it.
//!
//! Invariant: datagrams pass unchanged and in order, or not at all.
//!
//! Not here: delay and loss; those are emulated by the system where root may ask for it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::PATIENCE;

/// How soon a thread notices that the relay is gone.
const NOTICE: Duration = Duration::from_millis(20);
/// Room for bursts, so that the relay loses nothing by itself; the system may give less.
const RECEIVE_BUFFER: usize = 4 << 20;
/// The largest datagram.
const DATAGRAM: usize = 65_535;

/// Passes datagrams between whoever sends to it and one node.
pub(crate) struct Relay {
    address: SocketAddr,
    link: Arc<Link>,
}

struct Link {
    node: SocketAddr,
    /// Bytes that may pass from the node, in all.
    limit: AtomicU64,
    passed: Mutex<u64>,
    grown: Condvar,
    gone: AtomicBool,
}

impl Relay {
    /// A relay to `node` that stops, in both directions, when `limit` bytes came from it.
    pub(crate) fn to(node: SocketAddr, limit: u64) -> Self {
        let front = Arc::new(socket());
        let address = front.local_addr().unwrap();
        let (passed, grown) = (Mutex::new(0), Condvar::new());
        let link = Arc::new(Link { node, limit: AtomicU64::new(limit), passed, grown, gone: AtomicBool::new(false) });
        let for_thread = Arc::clone(&link);
        thread::spawn(move || for_thread.there(&front));
        Self { address, link }
    }

    /// The address that stands for the node.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the limit is reached: from then on nothing passes.
    pub(crate) fn until_stopped(&self) {
        let deadline = Instant::now() + PATIENCE;
        let mut passed = self.link.passed.lock().unwrap();
        while *passed < self.link.limit.load(Ordering::Relaxed) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "only {} bytes passed the relay", *passed);
            passed = self.link.grown.wait_timeout(passed, left).unwrap().0;
        }
    }

    /// Lets bytes pass until there are so many in all.
    pub(crate) fn allow(&self, limit: u64) {
        self.link.limit.store(limit, Ordering::Relaxed);
    }

    /// Lets everything pass from now on.
    pub(crate) fn open(&self) {
        self.allow(u64::MAX);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.link.gone.store(true, Ordering::Relaxed);
    }
}

impl Link {
    /// From whoever knocks to the node; each has a socket of its own, by which the node's answers find back.
    fn there(self: &Arc<Self>, front: &Arc<UdpSocket>) {
        let mut backs: BTreeMap<SocketAddr, Arc<UdpSocket>> = BTreeMap::new();
        let mut datagram = vec![0; DATAGRAM];
        while let Some((len, from)) = self.receive(front, &mut datagram) {
            let back = backs.entry(from).or_insert_with(|| {
                let back = Arc::new(socket());
                let (link, front, socket) = (Arc::clone(self), Arc::clone(front), Arc::clone(&back));
                thread::spawn(move || link.back(&socket, &front, from));
                back
            });
            if self.is_open() {
                // A node that is gone refuses, which is what the sender would have seen.
                let _ = back.send_to(&datagram[..len], self.node);
            }
        }
    }

    /// From the node back to whoever knocked.
    fn back(&self, back: &UdpSocket, front: &UdpSocket, to: SocketAddr) {
        let mut datagram = vec![0; DATAGRAM];
        while let Some((len, _)) = self.receive(back, &mut datagram) {
            if self.is_open() {
                let _ = front.send_to(&datagram[..len], to);
                *self.passed.lock().unwrap() += len as u64;
                self.grown.notify_all();
            }
        }
    }

    fn is_open(&self) -> bool {
        *self.passed.lock().unwrap() < self.limit.load(Ordering::Relaxed)
    }

    /// The next datagram; `None` when the relay is gone.
    fn receive(&self, socket: &UdpSocket, datagram: &mut [u8]) -> Option<(usize, SocketAddr)> {
        while !self.gone.load(Ordering::Relaxed) {
            match socket.recv_from(datagram) {
                Ok((len, from)) => return Some((len, from)),
                // Refused: the node at the other end is gone, and may come back.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => {}
                Err(error) => panic!("the relay cannot receive: {error}"),
            }
        }
        None
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(NOTICE)).unwrap();
    // Less room means some loss, which costs time and nothing else.
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
    socket
}
