//! Gate: where the bytes of chunks of one direction pass, so that all neighbours together keep to the node's limit.
//!
//! Whoever has a portion to send waits here before handing it to the transport; whoever has read one waits before reading on, so that
//! QUIC's flow control holds the sender back. All wait in one line, so no stream is left behind by others. Messages, proofs and pages
//! of manifests pass beside it.
//!
//! Invariant: without a limit nobody waits; giving up while waiting costs nobody else anything; what passed is counted once.
//!
//! Not here: the arithmetic (`units::Bucket`), what is sent or read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::units::{Bucket, BytesPerSecond, Time};

/// One direction. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    passed: AtomicU64,
    limit: Option<Limit>,
}

#[derive(Debug)]
struct Limit {
    /// Held by whoever is next, so that the others wait in the order of their coming.
    line: Mutex<Bucket>,
    origin: Instant,
    portion: usize,
}

impl Gate {
    /// A gate that lets so much pass, or everything.
    #[must_use]
    pub fn new(limit: Option<BytesPerSecond>) -> Self {
        let limit = limit.map(|rate| {
            let bucket = Bucket::new(rate, Time::ZERO);
            let portion = usize::try_from(bucket.portion(PORTION_LEN_MAX)).unwrap_or(usize::MAX);
            Limit { line: Mutex::new(bucket), origin: Instant::now(), portion }
        });
        Self(Arc::new(Shared { passed: AtomicU64::new(0), limit }))
    }

    /// Bytes that passed so far.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.0.passed.load(Ordering::Relaxed)
    }

    /// Bytes that should pass at once, of `most` that could.
    #[must_use]
    pub fn portion(&self, most: usize) -> usize {
        self.0.limit.as_ref().map_or(most, |limit| limit.portion.min(most))
    }

    /// Waits until `bytes` bytes may pass, and says how long that took.
    pub async fn pass(&self, bytes: usize) -> Duration {
        let waited = match &self.0.limit {
            None => Duration::ZERO,
            Some(limit) => limit.pass(bytes as u64).await,
        };
        self.0.passed.fetch_add(bytes as u64, Ordering::Relaxed);
        waited
    }
}

impl Limit {
    async fn pass(&self, bytes: u64) -> Duration {
        let came = Instant::now();
        let mut bucket = self.line.lock().await;
        let opens = self.origin + (bucket.opens() - Time::ZERO);
        if opens > Instant::now() {
            sleep_until(opens).await;
        }
        let now = Instant::now();
        bucket.take(Time::ZERO + (now - self.origin), bytes);
        now - came
    }
}

/// The longest portion (256 KiB: what an upload reads at once).
const PORTION_LEN_MAX: u64 = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 1 << 20;

    #[tokio::test(start_paused = true)]
    async fn everybody_in_the_line_gets_the_same_share_of_the_rate() {
        let gate = Gate::new(BytesPerSecond::new(RATE));
        let began = Instant::now();
        let streams: Vec<_> = (0..4)
            .map(|_| {
                let gate = gate.clone();
                tokio::spawn(async move {
                    for _ in 0..64 {
                        gate.pass(4 << 10).await;
                    }
                    Instant::now()
                })
            })
            .collect();
        let mut ends = Vec::new();
        for stream in streams {
            ends.push(stream.await.unwrap() - began);
        }
        assert_eq!(gate.passed(), RATE);
        let (first, last) = (ends.iter().min().unwrap(), ends.iter().max().unwrap());
        assert!(*first > Duration::from_millis(950) && *last < Duration::from_millis(1050), "{first:?} {last:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_while_waiting_takes_nothing_from_others() {
        let gate = Gate::new(BytesPerSecond::new(RATE));
        gate.pass(1 << 20).await;
        let impatient = tokio::time::timeout(Duration::from_millis(1), gate.pass(64 << 20));
        assert!(impatient.await.is_err());
        let waited = gate.pass(1).await;
        assert!(waited < Duration::from_millis(1100), "{waited:?}");
        assert_eq!(gate.passed(), (1 << 20) + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_gate_only_counts() {
        let gate = Gate::new(None);
        assert_eq!((gate.pass(1 << 40).await, gate.portion(5 << 20)), (Duration::ZERO, 5 << 20));
        assert_eq!(gate.passed(), 1 << 40);
    }
}
