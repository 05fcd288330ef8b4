//! Network: all links of a topology in virtual time, and the way of every packet through them.
//!
//! ```text
//!   send(from, to) ─> up of `from` ─> (between their zones) ─> down of `to` ─> delivered
//! ```
//!
//! What happens next is always the earliest event, so packets of several senders meet in a shared link in the order in which they come there, however
//! late whoever drives this looks at the clock.
//!
//! Invariant: time does not go back, and a packet is delivered, lost or dropped exactly once.
//!
//! Not here: clocks and devices (`lab::emulator`).

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use strew::units::Time;

use crate::link::{Counts, Line};
use crate::topology::{FRAME, Link, Topology};

/// Links and what is on them.
pub(crate) struct Network {
    /// The uplinks of all hosts, then their downlinks, then those between zones.
    lines: Vec<Line<Packet>>,
    hosts: usize,
    /// The line from the zone of one host to that of another, by `from * hosts + to`.
    between: Vec<Option<usize>>,
    /// Which side of a cut a host is on.
    apart: Vec<bool>,
    /// Packets from a host that a cut ended.
    cut: Vec<Counts>,
    events: BinaryHeap<Event>,
    /// Makes the order of simultaneous events that in which they were caused.
    next: u64,
}

/// A packet on its way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// The host that sent it.
    pub(crate) from: usize,
    /// The host it is for.
    pub(crate) to: usize,
    /// The whole IP packet.
    pub(crate) data: Vec<u8>,
}

struct Event {
    at: Time,
    number: u64,
    what: What,
}

enum What {
    /// The first packet of a line has left it.
    Left(usize),
    /// A packet is at the beginning of a line.
    Reaches(usize, Packet),
    /// A packet is at its host.
    Delivered(Packet),
}

impl Network {
    /// The idle network of a topology.
    pub(crate) fn new(topology: &Topology) -> Self {
        let hosts = &topology.hosts;
        let of_hosts = hosts.iter().map(|host| host.up).chain(hosts.iter().map(|host| host.down));
        let links = of_hosts.chain(topology.between.iter().map(|zones| zones.link));
        let seeds = topology.seed.wrapping_mul(SPREAD)..;
        let lines = links.zip(seeds).map(|(link, seed)| Line::new(link, seed)).collect();
        let place = |from: usize, to: usize| {
            let pair = (hosts[from].zone.as_deref()?, hosts[to].zone.as_deref()?);
            let at = topology.between.iter().position(|zones| pair == (&zones.from, &zones.to))?;
            Some(2 * hosts.len() + at)
        };
        let pairs = (0..hosts.len()).flat_map(|from| (0..hosts.len()).map(move |to| (from, to)));
        Self {
            lines,
            hosts: hosts.len(),
            between: pairs.map(|(from, to)| place(from, to)).collect(),
            apart: vec![false; hosts.len()],
            cut: vec![Counts::default(); hosts.len()],
            events: BinaryHeap::new(),
            next: 0,
        }
    }

    /// A host sends an IP packet. Everything until `now` must have happened.
    pub(crate) fn send(&mut self, now: Time, packet: Packet) {
        debug_assert!(self.next().is_none_or(|at| at >= now), "let everything happen until then first");
        self.reach(now, packet.from, packet);
    }

    /// When something happens next.
    pub(crate) fn next(&self) -> Option<Time> {
        self.events.peek().map(|event| event.at)
    }

    /// Lets everything happen until `now`, and hands over what is delivered, with the moment it was due.
    pub(crate) fn advance(&mut self, now: Time, mut deliver: impl FnMut(Time, Packet)) {
        while self.next().is_some_and(|at| at <= now) {
            let Some(Event { at, what, .. }) = self.events.pop() else { return };
            match what {
                // A line that has changed meanwhile has another moment.
                What::Left(line) if self.lines[line].leaves() == Some(at) => self.leave(line),
                What::Left(_) => {}
                What::Reaches(line, packet) if self.may_pass(&packet) => self.reach(at, line, packet),
                What::Delivered(packet) if self.may_pass(&packet) => deliver(at, packet),
                What::Reaches(_, packet) | What::Delivered(packet) => {
                    let counts = &mut self.cut[packet.from];
                    counts.lost += 1;
                    counts.lost_bytes += packet.data.len() as u64 + FRAME;
                }
            }
        }
    }

    /// The links of a host: from it, and to it.
    pub(crate) fn links_of(&self, host: usize) -> (Link, Link) {
        (*self.lines[host].link(), *self.lines[self.hosts + host].link())
    }

    /// Gives a host other links.
    pub(crate) fn change(&mut self, now: Time, host: usize, up: Link, down: Link) {
        self.change_line(now, host, up);
        self.change_line(now, self.hosts + host, down);
    }

    /// Gives a pair of zones another link: the one that was declared at this place.
    pub(crate) fn change_between(&mut self, now: Time, place: usize, link: Link) {
        self.change_line(now, 2 * self.hosts + place, link);
    }

    /// Leaves these hosts only each other, and the others only each other; what is on the way between them is lost.
    /// Without hosts it joins all again.
    pub(crate) fn cut(&mut self, hosts: &[usize]) {
        (0..self.hosts).for_each(|host| self.apart[host] = hosts.contains(&host));
    }

    /// What happened on the link from a host, on that to it, and at cuts.
    pub(crate) fn counts(&self, host: usize) -> (Counts, Counts, Counts) {
        (self.lines[host].counts, self.lines[self.hosts + host].counts, self.cut[host])
    }

    /// What happened on the link between zones that was declared at this place.
    pub(crate) fn counts_between(&self, place: usize) -> Counts {
        self.lines[2 * self.hosts + place].counts
    }

    fn change_line(&mut self, now: Time, line: usize, link: Link) {
        self.lines[line].change(now, link);
        self.watch(line);
    }

    fn may_pass(&self, packet: &Packet) -> bool {
        self.apart[packet.from] == self.apart[packet.to]
    }

    fn reach(&mut self, now: Time, line: usize, packet: Packet) {
        let was_idle = self.lines[line].leaves().is_none();
        self.lines[line].offer(now, packet.data.len(), packet);
        if was_idle {
            self.watch(line);
        }
    }

    fn leave(&mut self, line: usize) {
        let left = self.lines[line].leave();
        self.watch(line);
        let Some((at, packet)) = left else { return };
        let (down, between) = (self.hosts + packet.to, self.between[packet.from * self.hosts + packet.to]);
        let what = match between {
            _ if line == down => What::Delivered(packet),
            Some(between) if line != between => What::Reaches(between, packet),
            _ => What::Reaches(down, packet),
        };
        self.push(at, what);
    }

    fn watch(&mut self, line: usize) {
        if let Some(at) = self.lines[line].leaves() {
            self.push(at, What::Left(line));
        }
    }

    fn push(&mut self, at: Time, what: What) {
        self.events.push(Event { at, number: self.next, what });
        self.next += 1;
    }
}

/// Spreads the seeds of topologies over the numbers, so that two with seeds 1 and 2 have no line's seed in common (2^64 divided by the golden
/// ratio, as in multiplicative hashing).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// The earliest event is the greatest, since a heap gives out its greatest.
impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Event {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use strew::sim::Rate;
    use strew::units::Bytes;

    use super::*;
    use crate::topology::{Host, Loss, ZoneLink};

    const MS: Duration = Duration::from_millis(1);
    const END: Time = Time::from_nanos(u64::MAX / 2);

    fn at(delay: Duration) -> Time {
        Time::ZERO + delay
    }

    /// 1000 bytes each millisecond, with a delay.
    fn link(delay: Duration) -> Link {
        Link { delay, queue: Bytes(1 << 30), ..Link::of_rate(Rate(1_000_000)) }
    }

    /// Four hosts, two in each zone, 10 ms between the zones at a tenth of the rate.
    fn zones() -> Topology {
        let mut topology = Topology::new((0..4).map(|at| Host::new(at.to_string(), link(MS), link(MS))).collect());
        for (at, host) in topology.hosts.iter_mut().enumerate() {
            host.zone = Some(if at < 2 { "here" } else { "there" }.into());
        }
        let thin = Link { rate: Some(Rate(100_000)), ..link(10 * MS) };
        topology.between = vec![ZoneLink { from: "here".into(), to: "there".into(), link: thin }];
        topology
    }

    fn packet(from: usize, to: usize) -> Packet {
        Packet { from, to, data: vec![0; 986] }
    }

    fn deliveries(network: &mut Network) -> Vec<(Time, usize, usize)> {
        let mut all = Vec::new();
        network.advance(END, |at, packet| all.push((at, packet.from, packet.to)));
        all
    }

    #[test]
    fn a_packet_crosses_both_links_and_the_one_between_zones() {
        let mut network = Network::new(&zones());
        network.send(Time::ZERO, packet(0, 1));
        network.send(Time::ZERO, packet(2, 0));
        network.send(Time::ZERO, packet(1, 3));
        // Two links of 1 ms and 1 ms; from there to here nothing is declared; from here to there 10 ms and 10 ms more.
        assert_eq!(deliveries(&mut network), [(at(4 * MS), 0, 1), (at(4 * MS), 2, 0), (at(24 * MS), 1, 3)]);
    }

    #[test]
    fn two_senders_share_a_link_in_the_order_in_which_they_come() {
        let mut network = Network::new(&zones());
        (0..3).for_each(|_| network.send(Time::ZERO, packet(0, 2)));
        (0..3).for_each(|_| network.send(at(MS / 2), packet(1, 2)));
        let from: Vec<_> = deliveries(&mut network).iter().map(|(_, from, _)| *from).collect();
        assert_eq!(from, [0, 1, 0, 1, 0, 1]);
        assert_eq!(network.counts_between(0).bytes, 6000);
    }

    #[test]
    fn it_does_not_matter_how_often_one_looks() {
        let run = |steps: u32| {
            let mut topology = zones();
            topology.hosts[0].up.loss = Loss::Random(0.3);
            topology.hosts[0].up.jitter = MS;
            let mut network = Network::new(&topology);
            let mut all = Vec::new();
            for n in 0..50 {
                for step in 0..=steps {
                    let now = at(MS * n + MS * step / steps);
                    network.advance(now, |at, packet| all.push((at, packet.to)));
                }
                network.send(at(MS * (n + 1)), packet(0, 2));
            }
            network.advance(END, |at, packet| all.push((at, packet.to)));
            all
        };
        assert!(run(1).len() > 20);
        assert_eq!(run(1), run(77));
    }

    #[test]
    fn a_cut_ends_what_is_on_the_way_and_leaves_both_sides_whole() {
        let mut network = Network::new(&zones());
        network.send(Time::ZERO, packet(0, 3));
        network.cut(&[0, 1]);
        network.send(Time::ZERO, packet(0, 1));
        network.send(Time::ZERO, packet(3, 2));
        network.send(Time::ZERO, packet(3, 0));
        let reached: Vec<_> = deliveries(&mut network).iter().map(|(_, from, to)| (*from, *to)).collect();
        assert_eq!(reached, [(3, 2), (0, 1)]);
        assert_eq!((network.counts(0).2.lost, network.counts(3).2.lost), (1, 1));
        network.cut(&[]);
        network.send(END, packet(0, 3));
        let mut healed = 0;
        network.advance(END + 100 * MS, |_, _| healed += 1);
        assert_eq!(healed, 1);
    }

    #[test]
    fn a_rate_that_rises_lets_the_queue_out_sooner() {
        let mut topology = zones();
        topology.hosts[1].down = Link::FREE;
        let mut network = Network::new(&topology);
        (0..10).for_each(|_| network.send(Time::ZERO, packet(0, 1)));
        let mut first = Vec::new();
        network.advance(at(5 * MS), |at, _| first.push(at));
        let (up, down) = network.links_of(0);
        network.change(at(5 * MS), 0, Link { rate: Some(Rate(1_000_000_000)), ..up }, down);
        let last = deliveries(&mut network).last().unwrap().0;
        assert_eq!(first, [2, 3, 4, 5].map(|n| at(MS * n)));
        // Five have left until then, and the other five take a microsecond each.
        assert_eq!(last, at(5 * MS + MS / 1000 * 5 + MS));
    }
}
