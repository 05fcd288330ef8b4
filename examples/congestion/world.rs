//! World: connections of quinn-proto over one shared line, in virtual time.
//!
//! ```text
//!   sender 1 ─┐                          ┌─> receiver 1
//!   sender 2 ─┼──> line (rate, queue) ───┼─> receiver 2
//!       ...  <┴─── line back <───────────┴─      ...
//! ```
//!
//! The state machines are those of production, with strew's own settings and certificates, and so is every packet; only clock and
//! line are computed. A run of a minute takes seconds, a busy machine changes nothing, and equal seeds lose equal packets.
//!
//! Invariant: time moves only from one event to the next, and timers end on whole milliseconds, as those of the runtime do.
//!
//! Not here: what is measured of which links (`course`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::{DatagramEvent, Endpoint};

use strew::identity::{Credentials, KeyRing, NODE_NAME, SwarmKey};
use strew::net::{CongestionControl, TransportSettings};
use strew::units::{Rng, Time};

use crate::end::{End, Job};
use crate::link::{Counts, Line};
use crate::topology::Link;

/// UDP and IPv4 headers of a datagram.
const HEADERS: usize = 28;
/// What a sender of the runtime puts into one system call.
const BATCH: usize = 10;
/// Timers of the runtime have whole milliseconds.
const TICK: u64 = 1_000_000;

/// One sender and its receiver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    /// What decides its window.
    pub(crate) control: CongestionControl,
    /// When it begins.
    pub(crate) starts: Time,
    /// How much it sends; `None` never ends.
    pub(crate) bytes: Option<u64>,
}

/// A datagram on the way.
struct Datagram {
    flow: usize,
    to_receiver: bool,
    offered: Time,
    data: BytesMut,
}

/// Something that happens at a moment; the number keeps the order of equal moments.
struct Arrival(Time, u64, Datagram);

impl PartialEq for Arrival {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Arrival {}

impl PartialOrd for Arrival {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Arrival {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// The connections, the line, and what is on the way.
pub(crate) struct World {
    credentials: Credentials,
    origin: Instant,
    now: Time,
    /// First the sender, then the receiver of each flow.
    ends: Vec<[End; 2]>,
    flows: Vec<Flow>,
    started: Vec<bool>,
    /// To the receivers, and back.
    lines: [Line<Datagram>; 2],
    arrivals: BinaryHeap<Reverse<Arrival>>,
    sequence: u64,
    /// How long packets waited for the line to the receivers, since somebody cleared it.
    pub(crate) waits: Vec<Duration>,
    buffer: Vec<u8>,
}

impl World {
    /// A world at its beginning. `links` lead to the receivers and back.
    pub(crate) fn new(flows: &[Flow], links: [Link; 2], seed: u64) -> Self {
        let credentials = credentials();
        let mut rng = Rng::with_seed(seed);
        let ends = (0..).zip(flows).map(|(number, flow)| {
            let settings = settings(flow.control);
            let mut end = |side: u8| End::new(endpoint(&settings, &credentials, &mut rng), address(number, side));
            [end(0), end(1)]
        });
        Self {
            origin: Instant::now(),
            now: Time::ZERO,
            ends: ends.collect(),
            credentials,
            flows: flows.to_vec(),
            started: vec![false; flows.len()],
            lines: [Line::new(links[0], seed ^ 1), Line::new(links[1], seed ^ 2)],
            arrivals: BinaryHeap::new(),
            sequence: 0,
            waits: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// The moment that it is.
    pub(crate) const fn now(&self) -> Time {
        self.now
    }

    /// What happened on the line to the receivers.
    pub(crate) const fn counts(&self) -> Counts {
        self.lines[0].counts
    }

    /// Bytes that each receiver has read.
    pub(crate) fn received(&self) -> Vec<u64> {
        self.ends.iter().map(|[_, receiver]| receiver.received).collect()
    }

    /// The window of a sender.
    pub(crate) fn window(&self, flow: usize) -> u64 {
        self.ends[flow][0].connection.as_ref().map_or(0, |(_, connection)| connection.stats().path.cwnd)
    }

    /// Whether every flow that ends has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.flows.iter().zip(&self.ends).all(|(flow, ends)| flow.bytes.is_some_and(|bytes| ends[1].received >= bytes))
    }

    /// The line to the receivers becomes another one.
    pub(crate) fn change(&mut self, link: Link) {
        self.lines[0].change(self.now, link);
    }

    /// Lets all that happens until `until` happen, or until everything has arrived.
    pub(crate) fn run(&mut self, until: Time) {
        while let Some(next) = self.next().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.start_flows();
            self.carry();
            self.deliver();
            self.fire();
            if self.is_done() {
                return;
            }
        }
        self.now = until;
    }

    /// When something happens next.
    fn next(&self) -> Option<Time> {
        let starts =
            self.flows.iter().zip(&self.started).filter(|(_, started)| !**started).map(|(flow, _)| flow.starts);
        let leaves = self.lines.iter().filter_map(Line::leaves);
        let timers = self.ends.iter().flatten().filter_map(|end| end.timer);
        let arrival = self.arrivals.peek().map(|Reverse(arrival)| arrival.0);
        starts.chain(leaves).chain(timers).chain(arrival).min()
    }

    fn start_flows(&mut self) {
        for flow in 0..self.flows.len() {
            if self.started[flow] || self.flows[flow].starts > self.now {
                continue;
            }
            self.started[flow] = true;
            let client = settings(self.flows[flow].control).client(&self.credentials);
            let (now, to) = (self.clock(), self.ends[flow][1].address);
            let sender = &mut self.ends[flow][0];
            sender.connection = Some(sender.endpoint.connect(now, client, to, NODE_NAME).expect("the address is good"));
            sender.job = Job::Send { left: self.flows[flow].bytes };
            self.drive(flow, 0);
        }
    }

    /// Packets leave the lines.
    fn carry(&mut self) {
        for side in 0..2 {
            while self.lines[side].leaves().is_some_and(|at| at <= self.now) {
                let left = self.lines[side].leaves().unwrap_or(self.now);
                if let Some((at, datagram)) = self.lines[side].leave() {
                    if side == 0 {
                        self.waits.push(left.since(datagram.offered));
                    }
                    self.sequence += 1;
                    self.arrivals.push(Reverse(Arrival(at, self.sequence, datagram)));
                }
            }
        }
    }

    /// Packets reach their ends.
    fn deliver(&mut self) {
        while self.arrivals.peek().is_some_and(|Reverse(arrival)| arrival.0 <= self.now) {
            let Some(Reverse(Arrival(_, _, datagram))) = self.arrivals.pop() else { return };
            let (now, side) = (self.clock(), usize::from(datagram.to_receiver));
            let from = self.ends[datagram.flow][1 - side].address;
            let end = &mut self.ends[datagram.flow][side];
            let mut response = Vec::new();
            match end.endpoint.handle(now, from, None, None, datagram.data, &mut response) {
                Some(DatagramEvent::ConnectionEvent(_, event)) => {
                    if let Some((_, connection)) = &mut end.connection {
                        connection.handle_event(event);
                    }
                }
                Some(DatagramEvent::NewConnection(incoming)) => {
                    end.connection = end.endpoint.accept(incoming, now, &mut response, None).ok();
                    end.job = Job::Receive { stream: None };
                }
                _ => {}
            }
            self.drive(datagram.flow, side);
        }
    }

    /// Timers end.
    fn fire(&mut self) {
        let now = self.clock();
        for flow in 0..self.ends.len() {
            for side in 0..2 {
                let end = &mut self.ends[flow][side];
                if end.timer.is_some_and(|timer| timer <= self.now) {
                    if let Some((_, connection)) = &mut end.connection {
                        connection.handle_timeout(now);
                    }
                    self.drive(flow, side);
                }
            }
        }
    }

    /// An end does all that it can do now.
    fn drive(&mut self, flow: usize, side: usize) {
        let now = self.clock();
        let end = &mut self.ends[flow][side];
        end.work();
        let Some((_, connection)) = &mut end.connection else { return };
        self.buffer.clear();
        while let Some(transmit) = connection.poll_transmit(now, BATCH, &mut self.buffer) {
            let sent = &self.buffer[..transmit.size];
            for segment in sent.chunks(transmit.segment_size.unwrap_or(transmit.size)) {
                let datagram =
                    Datagram { flow, to_receiver: side == 0, offered: self.now, data: BytesMut::from(segment) };
                self.lines[side].offer(self.now, segment.len() + HEADERS, datagram);
            }
            self.buffer.clear();
        }
        let timer = connection.poll_timeout();
        end.timer = timer.map(|at| {
            let nanos = u64::try_from(at.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX);
            Time::from_nanos(nanos.div_ceil(TICK) * TICK)
        });
    }

    fn clock(&self) -> Instant {
        self.origin + self.now.since(Time::ZERO)
    }
}

fn address(flow: u8, side: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, side, flow), 10090))
}

/// A member of a new swarm: which one has no influence on any packet's length.
fn credentials() -> Credentials {
    let key = SwarmKey::generate().expect("the system has random numbers");
    Credentials::from_keys(&KeyRing::single(key)).expect("a key makes credentials")
}

/// strew's settings, with windows that no path of the ladder fills: what is looked at is the congestion window.
fn settings(congestion: CongestionControl) -> TransportSettings {
    TransportSettings {
        congestion,
        stream_receive_window: 128 << 20,
        receive_window: 128 << 20,
        send_window: 128 << 20,
        ..TransportSettings::default()
    }
}

fn endpoint(settings: &TransportSettings, credentials: &Credentials, rng: &mut Rng) -> Endpoint {
    let mut seed = [0; 32];
    rng.fill(&mut seed);
    Endpoint::new(Arc::new(settings.endpoint()), Some(Arc::new(settings.server(credentials))), true, Some(seed))
}
