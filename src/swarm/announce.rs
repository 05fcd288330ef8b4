//! Announcer: collects verified chunks and says when to tell the neighbours.
//!
//! News is worth the more the fresher it is, but a message per chunk and neighbour would dominate the traffic of fast links, so
//! chunks that come close together travel together: for the mean time between our own chunks, within fixed bounds.
//!
//! Invariant: `due` is set exactly while chunks are waiting.
//!
//! Not here: the form of the message, and the proofs that go before it.

use std::time::Duration;

use crate::chunk::ChunkId;
use crate::swarm::footprint::list;
use crate::swarm::source::smooth;
use crate::units::Time;

#[derive(Clone, Debug)]
pub(super) struct Announcer {
    min: Duration,
    max: Duration,
    waiting: Vec<ChunkId>,
    due: Option<Time>,
    last: Option<Time>,
    interval: Option<Duration>,
}

impl Announcer {
    pub(super) const fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, waiting: Vec::new(), due: None, last: None, interval: None }
    }

    pub(super) fn add(&mut self, now: Time, chunk: ChunkId) {
        if let Some(last) = self.last {
            smooth(&mut self.interval, now.since(last));
        }
        self.last = Some(now);
        self.waiting.push(chunk);
        let delay = self.interval.unwrap_or(self.max).min(self.max).max(self.min);
        self.due.get_or_insert(now + delay);
    }

    /// Forgets a chunk that we lost before anybody heard of it.
    pub(super) fn remove(&mut self, chunk: ChunkId) {
        self.waiting.retain(|c| *c != chunk);
        if self.waiting.is_empty() {
            self.due = None;
        }
    }

    /// Bytes that it has allocated.
    pub(super) const fn footprint(&self) -> usize {
        list(&self.waiting)
    }

    pub(super) const fn due(&self) -> Option<Time> {
        self.due
    }

    /// The chunks to announce now, ascending, or `None` while it is too early.
    pub(super) fn flush(&mut self, now: Time) -> Option<Vec<ChunkId>> {
        if self.due.is_none_or(|due| now < due) {
            return None;
        }
        self.due = None;
        let mut chunks = std::mem::take(&mut self.waiting);
        chunks.sort_unstable();
        Some(chunks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Layout;

    fn at(micros: u64) -> Time {
        Time::ZERO + Duration::from_micros(micros)
    }

    #[test]
    fn a_lone_chunk_is_announced_after_the_longest_delay() {
        let layout = Layout::new(4096, 1024).unwrap();
        let mut announcer = Announcer::new(Duration::from_millis(2), Duration::from_millis(5));
        announcer.add(at(0), layout.chunk(2).unwrap());
        announcer.add(at(10), layout.chunk(1).unwrap());
        assert_eq!(announcer.due(), Some(at(5000)));
        assert_eq!(announcer.flush(at(4999)), None);
        let indices: Vec<u32> = announcer.flush(at(5000)).unwrap().iter().map(|c| c.index()).collect();
        assert_eq!(indices, [1, 2]);
        assert_eq!(announcer.due(), None);
    }

    #[test]
    fn quick_chunks_shorten_the_delay_down_to_the_least() {
        let layout = Layout::new(100 * 1024, 1024).unwrap();
        let mut announcer = Announcer::new(Duration::from_millis(2), Duration::from_millis(5));
        for (i, chunk) in layout.chunks().enumerate() {
            announcer.flush(at(100 * i as u64));
            announcer.add(at(100 * i as u64), chunk);
        }
        announcer.flush(at(20_000));
        announcer.add(at(20_000), layout.chunk(0).unwrap());
        assert_eq!(announcer.due(), Some(at(22_000)));
    }

    #[test]
    fn a_lost_chunk_is_not_announced() {
        let layout = Layout::new(1024, 1024).unwrap();
        let mut announcer = Announcer::new(Duration::from_millis(2), Duration::from_millis(5));
        announcer.add(at(0), layout.chunk(0).unwrap());
        announcer.remove(layout.chunk(0).unwrap());
        assert_eq!(announcer.due(), None);
    }
}
