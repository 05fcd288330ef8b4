//! Rest: when a socket is left alone for a moment, so that datagrams are read together and not one by one.
//!
//! On a link of 200 Mbit/s a full datagram comes every 60 microseconds. Whoever wakes for each of them pays a system call, a switch
//! of contexts and a turn of every task on its way for 1452 bytes. A network card under load gathers what comes before it
//! interrupts; this does the same one floor higher.
//!
//! Invariant: nothing is left alone while little comes (the first datagrams after a pause are read at once, so a handshake or a lone
//! request never waits), and nothing while so much comes that what gathers would fill the kernel's buffer.
//!
//! Not here: the clock and the socket, which are the caller's (`socket`).

use std::time::{Duration, Instant};

/// For how long a socket is left alone (half a millisecond, to which the runtime's timer adds a half to one and a half more: 17 to 34
/// full datagrams at 200 Mbit/s).
pub(super) const REST: Duration = Duration::from_micros(500);
/// What comes is counted over at least so long: as long as a rest takes.
const SPAN: Duration = Duration::from_millis(1);
/// Datagrams in a millisecond from which on it pays to rest: one a rest would only be late.
const DATAGRAMS_MIN: f64 = 3.0;
/// Bytes in a millisecond from which on nobody rests: 2 Gbit/s. Beyond it each reading finds several datagrams by itself, and the round
/// trip that a rest makes longer would need larger windows than a short path has.
const BYTES_MAX: u64 = 256 << 10;
/// The longest rest with all that a timer adds, in milliseconds, times the kernel's own bookkeeping for each datagram, which doubles
/// what a full one takes of the buffer (2.3 KiB for 1452 bytes), twice as a reserve.
const BUFFER_SHARE: u64 = 12;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Moderation {
    bytes_max: u64,
    since: Instant,
    datagrams: u64,
    bytes: u64,
    /// Whether the last span had enough of them and not too much.
    moderate: bool,
}

impl Moderation {
    /// Of a socket whose kernel buffer takes `buffer` bytes.
    pub(super) fn new(buffer: usize, now: Instant) -> Self {
        let bytes_max = BYTES_MAX.min(buffer as u64 / BUFFER_SHARE);
        Self { bytes_max, since: now, datagrams: 0, bytes: 0, moderate: false }
    }

    /// So much was read, and there is nothing more for now. Whether to rest.
    pub(super) fn read(&mut self, datagrams: u64, bytes: u64, now: Instant) -> bool {
        self.datagrams += datagrams;
        self.bytes += bytes;
        let span = now - self.since;
        if span >= SPAN {
            let millis = span.as_secs_f64() * 1000.0;
            let (rate, flow) = (self.datagrams as f64 / millis, self.bytes as f64 / millis);
            self.moderate = rate >= DATAGRAMS_MIN && flow <= self.bytes_max as f64;
            (self.since, self.datagrams, self.bytes) = (now, 0, 0);
        }
        self.moderate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the socket rests in the end when a datagram of `len` bytes comes every `every`, for twenty milliseconds.
    fn rests(buffer: usize, len: u64, every: Duration) -> bool {
        let start = Instant::now();
        let mut moderation = Moderation::new(buffer, start);
        let readings = u32::try_from(Duration::from_millis(20).as_nanos() / every.as_nanos()).unwrap();
        (1..=readings).map(|n| moderation.read(1, len, start + every * n)).last().unwrap()
    }

    #[test]
    fn datagrams_of_a_link_of_200_megabits_are_gathered() {
        assert!(rests(4 << 20, 1452, Duration::from_micros(60)));
    }

    #[test]
    fn a_few_datagrams_are_read_as_they_come() {
        assert!(!rests(4 << 20, 1452, Duration::from_millis(1)));
    }

    #[test]
    fn nobody_rests_in_a_stream_that_fills_windows() {
        assert!(rests(4 << 20, 14_520, Duration::from_micros(100)));
        assert!(!rests(4 << 20, 14_520, Duration::from_micros(15)));
    }

    #[test]
    fn a_small_buffer_of_the_kernel_is_not_filled_by_resting() {
        assert!(!rests(208 << 10, 1452, Duration::from_micros(30)));
        assert!(rests(208 << 10, 1452, Duration::from_micros(120)));
    }

    #[test]
    fn the_first_datagrams_after_a_pause_do_not_wait() {
        let start = Instant::now();
        let mut moderation = Moderation::new(4 << 20, start);
        let at = |micros| start + Duration::from_micros(micros);
        assert!((1..=20).map(|n| moderation.read(1, 1452, at(60 * n))).last().unwrap());
        assert!(!moderation.read(1, 1452, at(50_000)), "one datagram in fifty milliseconds");
    }
}
