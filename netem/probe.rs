//! Probes: what a plain TCP or UDP program sees of a link.
//!
//! The emulator's own counters cannot prove it right. These are ordinary sockets of the standard library, opened within the hosts' namespaces:
//! they see what any program would see.
//!
//! Invariant: every probe ends, also when nothing arrives.
//!
//! Not here: what is expected (`validate`).

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use strew::sim::Rate;

use crate::lab::{Lab, LabError};
use crate::topology::FRAME;

/// IPv4 and UDP headers.
pub(crate) const UDP_HEADERS: u64 = 28;
/// Where probes listen.
const PORT: u16 = 5001;
/// A receiver that hears nothing for this long looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Held by a receiving socket: 64 ms at 1 Gbit/s, longer than a loaded machine keeps a thread waiting.
const SOCKET_BUFFER: usize = 8 << 20;

/// What a flood of datagrams showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flood {
    /// Datagrams that were sent.
    pub(crate) sent: u64,
    /// Datagrams that arrived.
    pub(crate) received: u64,
    /// Datagrams that arrived after a later one.
    pub(crate) overtaken: u64,
    /// Bytes a second that arrived after the first moments, with all headers.
    pub(crate) rate: f64,
}

/// A socket on a host; port 0 is any that is free, for senders: a host may be receiver and sender at once.
fn socket(lab: &Lab, host: usize, port: u16) -> Result<UdpSocket, LabError> {
    lab.inside(host, || {
        let socket = UdpSocket::bind((lab.address(host), port))?;
        socket.set_read_timeout(Some(LOOK_EVERY))?;
        set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER)?;
        Ok(socket)
    })
}

/// Round trips of datagrams that are sent `gap` apart, in the order of their arrival.
pub(crate) fn ping(lab: &Lab, count: u32, gap: Duration, patience: Duration) -> Result<Vec<Duration>, LabError> {
    let (near, far) = (socket(lab, 0, 0)?, socket(lab, 1, PORT)?);
    let to = SocketAddr::new(lab.address(1), PORT);
    let ends = AtomicBool::new(false);
    let mut trips = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut datagram = [0; 64];
            while !ends.load(Ordering::Relaxed) {
                if let Ok((length, from)) = far.recv_from(&mut datagram) {
                    // Lost on the way back, or not sent: no answer either way.
                    let _ = far.send_to(&datagram[..length], from);
                }
            }
        });
        let began = Instant::now();
        scope.spawn({
            let near = &near;
            move || {
                for number in 0..count {
                    thread::sleep((gap * number).saturating_sub(began.elapsed()));
                    let sent = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    let _ = near.send_to(&sent.to_be_bytes(), to);
                }
            }
        });
        let mut datagram = [0; 64];
        while trips.len() < count as usize && began.elapsed() < gap * count + patience {
            if let Ok(8) = near.recv(&mut datagram) {
                let sent = u64::from_be_bytes(datagram[..8].try_into().expect("eight bytes"));
                trips.push(began.elapsed().saturating_sub(Duration::from_nanos(sent)));
            }
        }
        ends.store(true, Ordering::Relaxed);
    });
    Ok(trips)
}

/// Sends datagrams of `payload` bytes at a rate from one host to another, and counts what arrives until `patience` after the last.
pub(crate) fn flood(
    lab: &Lab,
    (from, to): (usize, usize),
    rate: Rate,
    payload: usize,
    lasts: Duration,
    patience: Duration,
) -> Result<Flood, LabError> {
    let (near, far) = (socket(lab, from, 0)?, socket(lab, to, PORT)?);
    near.connect((lab.address(to), PORT)).map_err(|source| LabError::Thread { source })?;
    let ends = AtomicBool::new(false);
    let mut flood = thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(&far, lasts / 4, &ends));
        let sent = send(&near, rate, payload, lasts);
        thread::sleep(patience);
        ends.store(true, Ordering::Relaxed);
        let flood = receiver.join().expect("a receiver has no way to fail");
        Flood { sent, ..flood }
    });
    let per_datagram = payload as u64 + UDP_HEADERS + FRAME;
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    let bytes = per_datagram as f64;
    flood.rate *= bytes;
    Ok(flood)
}

fn send(socket: &UdpSocket, rate: Rate, payload: usize, lasts: Duration) -> u64 {
    let mut datagram = vec![0; payload];
    let began = Instant::now();
    let per_datagram = payload as u64 + UDP_HEADERS + FRAME;
    let mut sent = 0u64;
    while began.elapsed() < lasts {
        datagram[..8].copy_from_slice(&sent.to_be_bytes());
        // A full queue of the host itself is a loss like any other.
        let _ = socket.send(&datagram);
        sent += 1;
        let ahead = rate.time(sent * per_datagram).saturating_sub(began.elapsed());
        // Short naps cost more than they give: ahead by half a millisecond is a burst that every queue holds.
        if ahead > Duration::from_micros(500) {
            thread::sleep(ahead);
        }
    }
    sent
}

/// The rate is in datagrams a second here.
fn receive(socket: &UdpSocket, skip: Duration, ends: &AtomicBool) -> Flood {
    let mut flood = Flood::default();
    let (mut first, mut last, mut counted, mut highest) = (None::<Instant>, Instant::now(), 0u64, None);
    let mut datagram = [0; 2048];
    while !ends.load(Ordering::Relaxed) {
        let Ok(length) = socket.recv(&mut datagram) else { continue };
        let Some(number) = datagram[..length].first_chunk().map(|number| u64::from_be_bytes(*number)) else { continue };
        let now = Instant::now();
        flood.received += 1;
        flood.overtaken += u64::from(Some(number) < highest);
        highest = highest.max(Some(number));
        let first = *first.get_or_insert(now);
        if now - first > skip {
            // The first of these begins the time and is not in it.
            if counted == 0 {
                last = now;
            }
            flood.rate = f64_of(counted) / (now - last).as_secs_f64().max(f64::MIN_POSITIVE);
            counted += 1;
        }
    }
    flood
}

#[allow(clippy::cast_precision_loss)] // counts of a few seconds
fn f64_of(count: u64) -> f64 {
    count as f64
}

/// Bytes a second of payload that one TCP connection brings from host 0 to host 1.
pub(crate) fn stream(lab: &Lab, lasts: Duration) -> Result<f64, LabError> {
    let to = SocketAddr::new(lab.address(1), PORT);
    let listener = lab.inside(1, || TcpListener::bind(to))?;
    let mut sender = lab.inside(0, || TcpStream::connect(to))?;
    let failed = |source| LabError::Thread { source };
    let (mut receiver, _) = listener.accept().map_err(failed)?;
    sender.set_write_timeout(Some(lasts * 2)).map_err(failed)?;
    receiver.set_read_timeout(Some(lasts * 2)).map_err(failed)?;
    thread::scope(|scope| {
        let began = Instant::now();
        scope.spawn(move || {
            let buffer = vec![0; 64 << 10];
            while began.elapsed() < lasts && sender.write(&buffer).is_ok() {}
        });
        let mut buffer = vec![0; 256 << 10];
        let (mut bytes, mut begins) = (0, Instant::now());
        // The first quarter is the start of a connection, and the last moments empty its queue.
        while began.elapsed() < lasts {
            match receiver.read(&mut buffer) {
                Ok(0) => break,
                Ok(_) if began.elapsed() < lasts / 4 => begins = Instant::now(),
                Ok(length) => bytes += length as u64,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        // Whoever still sends is told to stop.
        let _: io::Result<()> = receiver.shutdown(std::net::Shutdown::Both);
        Ok(f64_of(bytes) / begins.elapsed().as_secs_f64())
    })
}
