//! Link: one direction of a link in virtual time.
//!
//! ```text
//!   offer ─> queue ─> rate ─> loss ─> delay, jitter, reordering ─> the other end
//! ```
//!
//! A packet waits for those before it, uses the link for as long as its bytes take, may then be lost, and travels. Loss comes after the rate,
//! as on a cable or in the air: what is lost has used its time all the same. It is computed and not waited for, so a test of a minute takes a
//! millisecond, and whoever carries real packets asks only when the next one is due.
//!
//! Invariant: packets arrive in the order in which they left, save those that are reordered on purpose. A link, a seed and equal
//! offers give equal results.
//!
//! Not here: which links a packet takes (`network`).

use std::collections::VecDeque;
use std::time::Duration;

use strew::units::{Rng, Time};

use crate::topology::{FRAME, Link, Loss};

/// A link with what is on it. Packets are of any type; a link knows their lengths only.
///
/// [`offer`](Self::offer) puts a packet at its end. [`leaves`](Self::leaves) says when the first packet has left it, and
/// [`leave`](Self::leave) must be called at that moment.
pub(crate) struct Line<P> {
    link: Link,
    /// What waits and what is being sent, first the latter.
    queue: VecDeque<(u64, P)>,
    /// Bytes that wait, without the packet that is being sent.
    waiting: u64,
    leaves: Option<Time>,
    rng: Rng,
    wander: Wander,
    /// Whether a burst of loss goes on.
    in_burst: bool,
    /// When the last packet arrives that was not reordered.
    last_arrival: Time,
    /// What happened so far.
    pub(crate) counts: Counts,
}

/// What happened on a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Packets that were sent, lost ones included.
    pub(crate) packets: u64,
    /// Their bytes, Ethernet headers included.
    pub(crate) bytes: u64,
    /// Packets that found the queue full.
    pub(crate) dropped: u64,
    /// Packets that were lost on the way.
    pub(crate) lost: u64,
    /// Bytes of those.
    pub(crate) lost_bytes: u64,
}

/// The part of the delay that changes: a straight line between values drawn at fixed moments.
///
/// A value drawn for each packet would reorder most of them, which no network does; queues elsewhere fill and empty slowly.
#[derive(Clone, Copy, Debug, Default)]
struct Wander {
    /// Which stretch of the line this is.
    stretch: u64,
    from: f64,
    to: f64,
}

/// The least time between two values of [`Wander`]: a fiftieth of a second, about as long as queues elsewhere take to fill or empty.
const STRETCH_MIN: Duration = Duration::from_millis(20);
/// A packet that is reordered comes at least so much later (one packet at 12 Mbit/s, 80 at 1 Gbit/s), and at least an eighth of the delay.
const REORDERED_MIN: Duration = Duration::from_millis(1);

impl<P> Line<P> {
    /// An idle link; `seed` stands for its chance.
    pub(crate) fn new(link: Link, seed: u64) -> Self {
        Self {
            link,
            queue: VecDeque::new(),
            waiting: 0,
            leaves: None,
            rng: Rng::with_seed(seed),
            wander: Wander { stretch: u64::MAX, ..Wander::default() },
            in_burst: false,
            last_arrival: Time::ZERO,
            counts: Counts::default(),
        }
    }

    /// What it is like.
    pub(crate) const fn link(&self) -> &Link {
        &self.link
    }

    /// When the packet that is being sent has left; `None` when there is none.
    pub(crate) const fn leaves(&self) -> Option<Time> {
        self.leaves
    }

    /// Puts an IP packet of so many bytes at the end of the queue, or drops it.
    pub(crate) fn offer(&mut self, now: Time, length: usize, packet: P) {
        let bytes = length as u64 + FRAME;
        if self.leaves.is_none() {
            self.queue.push_back((bytes, packet));
            self.leaves = Some(now + self.time(bytes));
        } else if self.waiting + bytes <= self.link.queue.0 {
            self.queue.push_back((bytes, packet));
            self.waiting += bytes;
        } else {
            self.counts.dropped += 1;
        }
    }

    /// The first packet leaves: when it arrives at the other end, unless it is lost.
    ///
    /// # Panics
    /// When nothing is being sent.
    pub(crate) fn leave(&mut self) -> Option<(Time, P)> {
        let now = self.leaves.take().expect("something is being sent");
        let (bytes, packet) = self.queue.pop_front().expect("what is being sent is first in the queue");
        if let Some((next, _)) = self.queue.front() {
            self.waiting -= next;
            self.leaves = Some(now + self.time(*next));
        }
        self.counts.packets += 1;
        self.counts.bytes += bytes;
        if self.is_lost() {
            self.counts.lost += 1;
            self.counts.lost_bytes += bytes;
            return None;
        }
        Some((self.arrival(now), packet))
    }

    /// Becomes another link. What waits stays, as far as it has room; what is being sent goes on at the new rate.
    pub(crate) fn change(&mut self, now: Time, link: Link) {
        if let (Some(leaves), Some((bytes, _))) = (self.leaves, self.queue.front()) {
            let left = leaves.since(now).as_secs_f64() / self.time(*bytes).as_secs_f64();
            self.link = link;
            let left = if left.is_finite() { left.clamp(0.0, 1.0) } else { 0.0 };
            self.leaves = Some(now + self.time(*bytes).mul_f64(left));
        }
        self.link = link;
        while self.waiting > self.link.queue.0 {
            let (bytes, _) = self.queue.pop_back().expect("what waits is in the queue");
            self.waiting -= bytes;
            self.counts.dropped += 1;
        }
    }

    fn time(&self, bytes: u64) -> Duration {
        self.link.rate.map_or(Duration::ZERO, |rate| rate.time(bytes))
    }

    fn is_lost(&mut self) -> bool {
        match self.link.loss {
            Loss::None => false,
            Loss::Random(share) => self.rng.f64() < share,
            Loss::Bursty { rate, mean_burst } => {
                // Two states, and everything is lost in the bad one: it ends after a packet with 1 / mean_burst, and begins so often
                // that its share of the packets is the rate.
                let ends = 1.0 / mean_burst.max(1.0);
                let begins = ends * rate / (1.0 - rate).max(f64::MIN_POSITIVE);
                let flips = self.rng.f64() < if self.in_burst { ends } else { begins };
                self.in_burst ^= flips;
                self.in_burst
            }
        }
    }

    fn arrival(&mut self, now: Time) -> Time {
        let Link { delay, jitter, reorder, .. } = self.link;
        let mut at = now + delay;
        if jitter > Duration::ZERO {
            let strays = jitter.as_secs_f64() * self.wander.at(now, jitter, &mut self.rng);
            at = now + Duration::from_secs_f64((delay.as_secs_f64() + strays).max(0.0));
        }
        if reorder > 0.0 && self.rng.f64() < reorder {
            return at.max(self.last_arrival) + REORDERED_MIN.max(delay / 8);
        }
        self.last_arrival = at.max(self.last_arrival);
        self.last_arrival
    }
}

impl Wander {
    /// The value at a moment, from -1 to 1. Moments do not go back.
    #[allow(clippy::cast_precision_loss)] // shares of a stretch
    fn at(&mut self, now: Time, jitter: Duration, rng: &mut Rng) -> f64 {
        // So long that the line is never steeper than half a second a second: packets stay in order.
        let length = u64::try_from(STRETCH_MIN.max(jitter * 4).as_nanos()).unwrap_or(u64::MAX);
        let (stretch, within) = (now.as_nanos() / length, now.as_nanos() % length);
        let mut draw = || 2.0 * rng.f64() - 1.0;
        if stretch != self.stretch {
            let follows = self.stretch.checked_add(1) == Some(stretch);
            let from = if follows { self.to } else { draw() };
            *self = Self { stretch, from, to: draw() };
        }
        self.from + (self.to - self.from) * within as f64 / length as f64
    }
}

#[cfg(test)]
mod tests {
    use strew::sim::Rate;
    use strew::units::Bytes;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Offers so many packets of 1486 bytes (1500 with the header), one every `gap`, and says what arrives when.
    fn carry(link: Link, seed: u64, count: u64, gap: Duration) -> (Vec<(Time, u64)>, Counts) {
        let mut line = Line::new(link, seed);
        let mut arrived = Vec::new();
        let mut drain = |line: &mut Line<u64>, until: Time| {
            while line.leaves().is_some_and(|at| at <= until) {
                arrived.extend(line.leave());
            }
        };
        let mut now = Time::ZERO;
        for number in 0..count {
            drain(&mut line, now);
            line.offer(now, 1486, number);
            now = now + gap;
        }
        drain(&mut line, Time::from_nanos(u64::MAX));
        (arrived, line.counts)
    }

    fn roomy(rate: u64) -> Link {
        Link { queue: Bytes(u64::MAX / 2), ..Link::of_rate(Rate(rate)) }
    }

    #[test]
    fn packets_leave_at_the_rate_and_arrive_after_the_delay() {
        let (arrived, counts) = carry(Link { delay: 7 * MS, ..roomy(1_500_000) }, 1, 100, Duration::ZERO);
        let expected: Vec<_> = (0..100).map(|n| (Time::ZERO + 7 * MS + MS * (n + 1), u64::from(n))).collect();
        assert_eq!(arrived, expected);
        assert_eq!((counts.packets, counts.bytes), (100, 150_000));
    }

    #[test]
    fn a_link_that_had_nothing_to_send_saves_nothing_up() {
        let (arrived, _) = carry(roomy(1_500_000), 1, 10, 5 * MS);
        assert!(arrived.iter().zip(0..).all(|((at, _), n)| *at == Time::ZERO + 5 * MS * n + MS), "{arrived:?}");
    }

    #[test]
    fn a_full_queue_drops_what_comes_last() {
        let link = Link { queue: Bytes(4500), ..roomy(1_500_000) };
        let (arrived, counts) = carry(link, 1, 10, Duration::ZERO);
        // One is being sent and three wait.
        assert_eq!(arrived.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(counts.dropped, 6);
    }

    #[test]
    fn random_loss_has_its_share_and_uses_the_link() {
        let (arrived, counts) =
            carry(Link { loss: Loss::Random(0.02), ..roomy(1_500_000) }, 3, 100_000, Duration::ZERO);
        // Four standard deviations of 100,000 draws at 2 %: 177.
        assert!(counts.lost.abs_diff(2000) < 177, "{}", counts.lost);
        assert_eq!(arrived.len() as u64 + counts.lost, 100_000);
        assert_eq!(counts.packets, 100_000);
        assert_eq!(arrived.last().unwrap().0.since(Time::ZERO).as_secs(), 100);
    }

    #[test]
    fn bursts_of_loss_have_their_share_and_their_length() {
        let link = Link { loss: Loss::Bursty { rate: 0.02, mean_burst: 8.0 }, ..roomy(1_500_000) };
        let (arrived, counts) = carry(link, 4, 1_000_000, Duration::ZERO);
        let gaps = arrived.windows(2).filter(|pair| pair[1].1 > pair[0].1 + 1).count();
        let mean = counts.lost as f64 / gaps as f64;
        assert!((18_000..22_000).contains(&counts.lost), "{}", counts.lost);
        assert!((7.5..8.5).contains(&mean), "{mean}");
    }

    #[test]
    fn jitter_strays_both_ways_and_keeps_the_order() {
        let link = Link { delay: 50 * MS, jitter: 20 * MS, ..Link::FREE };
        let (arrived, _) = carry(link, 5, 200_000, MS / 10);
        assert!(arrived.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 < pair[1].1));
        let delays: Vec<f64> = arrived
            .iter()
            .map(|(at, n)| at.since(Time::ZERO + MS / 10 * u32::try_from(*n).unwrap()).as_secs_f64() * 1000.0)
            .collect();
        let mean = delays.iter().sum::<f64>() / delays.len() as f64;
        assert!((48.0..52.0).contains(&mean), "{mean}");
        let (least, most) = delays.iter().fold((f64::MAX, 0.0), |(l, m): (f64, f64), d| (l.min(*d), m.max(*d)));
        assert!((30.0..34.0).contains(&least) && (66.0..=70.0).contains(&most), "{least} to {most}");
    }

    #[test]
    fn reordered_packets_are_overtaken_and_none_is_lost() {
        let (arrived, _) = carry(Link { delay: 8 * MS, reorder: 0.1, ..Link::FREE }, 6, 10_000, MS / 10);
        let mut by_arrival = arrived.clone();
        by_arrival.sort();
        let overtaken = by_arrival.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
        assert_eq!(arrived.len(), 10_000);
        assert!((800..1200).contains(&overtaken), "{overtaken}");
    }

    #[test]
    fn equal_seeds_lose_equal_packets_and_others_lose_others() {
        let link = Link { loss: Loss::Random(0.1), jitter: MS, reorder: 0.1, ..roomy(1_500_000) };
        let lost = |seed| carry(link, seed, 1000, MS).0;
        assert_eq!(lost(1), lost(1));
        assert_ne!(lost(1), lost(2));
    }

    #[test]
    fn what_is_being_sent_goes_on_at_the_new_rate() {
        let mut line = Line::new(roomy(1_500_000), 1);
        line.offer(Time::ZERO, 1486, 0);
        line.offer(Time::ZERO, 1486, 1);
        // Half of the first packet has left; the rest takes ten times as long.
        line.change(Time::ZERO + MS / 2, roomy(150_000));
        assert_eq!(line.leave(), Some((Time::ZERO + MS / 2 + 5 * MS, 0)));
        line.change(Time::ZERO + MS / 2 + 5 * MS, Link { rate: None, ..roomy(1) });
        assert_eq!(line.leave(), Some((Time::ZERO + MS / 2 + 5 * MS, 1)));
        assert_eq!(line.leaves(), None);
    }

    #[test]
    fn a_queue_that_shrinks_drops_what_came_last() {
        let mut line = Line::new(roomy(1_500_000), 1);
        (0..10).for_each(|n| line.offer(Time::ZERO, 1486, n));
        line.change(Time::ZERO, Link { queue: Bytes(3000), ..roomy(1_500_000) });
        let rest: Vec<_> = std::iter::from_fn(|| line.leaves().map(|_| line.leave())).flatten().map(|p| p.1).collect();
        assert_eq!((rest, line.counts.dropped), (vec![0, 1, 2], 7));
    }
}
