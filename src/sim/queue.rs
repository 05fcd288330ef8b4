//! Queue: the events that are to come, in the order of time.
//!
//! A binary heap with a serial number, so that events of one moment happen in the order in which they were caused; a heap alone would
//! order them by accident, and the accident would differ with every change of a type.
//!
//! Invariant: time never goes backwards.
//!
//! Not here: what events do (`world`).

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::rc::Rc;

use crate::bitfield::Bitfield;
use crate::chunk::ChunkId;
use crate::swarm::Member;
use crate::units::Time;

/// Names a transfer; the serial number tells it from earlier ones in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) place: u32,
    pub(super) serial: u32,
}

/// What the digest says of a chunk that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// Bad, and from one sender.
    Bad,
    /// Bad, and from several.
    Mixed,
}

/// Something that happens at a moment. A `side` is one end of a connection.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Join {
        host: usize,
    },
    Die {
        host: usize,
    },
    Freeze {
        host: usize,
    },
    Thaw {
        host: usize,
    },
    /// A machine that froze may have been silent for too long; the number says in which of its freezes.
    Idle {
        host: usize,
        freeze: u32,
    },
    /// It looks for neighbours again.
    Seek {
        host: usize,
    },
    Wake {
        host: usize,
    },
    /// One end notices that the other is gone.
    Gone {
        connection: u32,
        side: u8,
    },
    Holds {
        connection: u32,
        side: u8,
        chunks: Rc<Bitfield>,
    },
    Haves {
        connection: u32,
        side: u8,
        chunks: Rc<[ChunkId]>,
    },
    Members {
        connection: u32,
        side: u8,
        members: Rc<[Member]>,
    },
    /// A request reaches its server.
    Request {
        key: Key,
    },
    /// News that the client gave up reaches the server.
    Withdraw {
        key: Key,
    },
    /// A refusal, or our own cancellation, reaches the client.
    Refuse {
        key: Key,
    },
    /// A packet run of a transfer has left the server's uplink.
    Left {
        host: usize,
        key: Key,
    },
    /// An uplink may have something to send again.
    Ready {
        host: usize,
    },
    /// A packet run comes to the client's downlink, having crossed between zones.
    Crossed {
        key: Key,
        run: u32,
        bytes: u64,
        last: bool,
    },
    /// The client has taken in this packet run of the chunk.
    Run {
        key: Key,
        run: u32,
    },
    /// The acknowledgement of the last byte reaches the server.
    Acknowledged {
        key: Key,
    },
    Verified {
        host: usize,
        life: u32,
        connection: u32,
        chunk: ChunkId,
        verdict: Verdict,
    },
}

impl Event {
    /// Two numbers that stand for it in the trace.
    pub(super) fn digest(&self) -> (u64, u64) {
        let key = |key: &Key| u64::from(key.serial) << 32 | u64::from(key.place);
        let end = |connection: &u32, side: &u8| u64::from(*connection) << 8 | u64::from(*side);
        match self {
            Self::Join { host } => (1, *host as u64),
            Self::Die { host } => (2, *host as u64),
            Self::Wake { host } => (3, *host as u64),
            Self::Gone { connection, side } => (4, end(connection, side)),
            Self::Holds { connection, side, chunks } => (5 | u64::from(chunks.len()) << 8, end(connection, side)),
            Self::Haves { connection, side, chunks } => {
                let sum: u64 = chunks.iter().map(|c| u64::from(c.index()) + 1).sum();
                (6 | sum << 8, end(connection, side))
            }
            Self::Request { key: k } => (7, key(k)),
            Self::Withdraw { key: k } => (8, key(k)),
            Self::Refuse { key: k } => (9, key(k)),
            Self::Left { key: k, .. } => (10, key(k)),
            Self::Ready { host } => (11, *host as u64),
            Self::Run { key: k, run } => (12 | u64::from(*run) << 8, key(k)),
            Self::Acknowledged { key: k } => (14, key(k)),
            Self::Verified { host, chunk, .. } => (15 | (*host as u64) << 8, u64::from(chunk.index())),
            Self::Freeze { host } => (16, *host as u64),
            Self::Thaw { host } => (17, *host as u64),
            Self::Idle { host, freeze } => (18 | u64::from(*freeze) << 8, *host as u64),
            Self::Seek { host } => (19, *host as u64),
            Self::Crossed { key: k, run, .. } => (20 | u64::from(*run) << 8, key(k)),
            Self::Members { connection, side, members } => {
                let sum = members.iter().fold(0, |sum: u64, m| {
                    sum.wrapping_mul(31).wrapping_add(m.id).wrapping_add(u64::from(m.stamp) << 1 | u64::from(m.reaches))
                });
                (21 | sum << 8, end(connection, side))
            }
        }
    }
}

struct Entry {
    at: Time,
    serial: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// Reversed: the heap gives the greatest, and the earliest is due.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.serial).cmp(&(self.at, self.serial))
    }
}

/// Events to come.
#[derive(Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Entry>,
    serial: u64,
    now: Time,
}

impl Queue {
    pub(super) const fn now(&self) -> Time {
        self.now
    }

    pub(super) fn push(&mut self, at: Time, event: Event) {
        assert!(at >= self.now, "nothing happens in the past: {event:?}");
        self.serial += 1;
        self.heap.push(Entry { at, serial: self.serial, event });
    }

    pub(super) fn pop(&mut self) -> Option<(Time, Event)> {
        let Entry { at, event, .. } = self.heap.pop()?;
        self.now = at;
        Some((at, event))
    }

    /// Number of events so far.
    pub(super) const fn pushed(&self) -> u64 {
        self.serial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_one_moment_happen_in_the_order_of_their_causes() {
        let mut queue = Queue::default();
        for (nanos, host) in [(5, 0), (3, 1), (5, 2), (3, 3)] {
            queue.push(Time::from_nanos(nanos), Event::Wake { host });
        }
        let order: Vec<u64> = std::iter::from_fn(|| queue.pop()).map(|(_, event)| event.digest().1).collect();
        assert_eq!(order, [1, 3, 0, 2]);
    }
}
