//! Worth: whether packing a chunk is quicker than sending it as it is (`--compress-type auto`).
//!
//! As it is, a chunk of `n` bytes takes `n / d` at the rate `d` at which bytes come to the neighbour that asks, who measures it. Packed it
//! takes `n / p` to pack, at the rate `p` measured here, and `n / (r d)` to come, where `r` is how much it shrinks. So packing pays while
//!
//! ```text
//! p (1 - 1/r) > d
//! ```
//!
//! With text on one core (320 MB/s, ratio 3.1) that is up to 217 MB/s, or 1.7 Gbit/s; with what shrinks by a twentieth, 15 MB/s. Where
//! several are packed at once, `p` is what each of them gets of the processor. A frame that is kept already costs nothing to pack and is
//! sent in any case.
//!
//! Invariant: until both are known, packing is tried; where it does not pay, every [`TRY_EVERY`]th chunk is packed all the same, so that a
//! machine that was busy once does not send raw for ever.
//!
//! Not here: chunks that do not pack (`forms`).

use std::time::Duration;

/// Chunks after which packing is tried again where it did not pay (64: it then costs a sixtieth of what it would).
const TRY_EVERY: u32 = 64;
/// What remains of the past with every chunk that is packed: the last eight or so count, as many as are under way at once.
const FADE: f64 = 7.0 / 8.0;

/// What packing costs and saves of late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Worth {
    bytes: f64,
    packed: f64,
    seconds: f64,
    passed_over: u32,
}

impl Worth {
    /// Takes in that packing `len` bytes into `packed` took so long.
    #[allow(clippy::cast_precision_loss)] // measures
    pub(super) fn measure(&mut self, len: usize, packed: usize, took: Duration) {
        self.bytes = self.bytes * FADE + len as f64;
        self.packed = self.packed * FADE + packed as f64;
        self.seconds = self.seconds * FADE + took.as_secs_f64();
    }

    /// Whether a chunk is to be packed for a neighbour to whom so many bytes come in a second; zero when that is not known.
    #[allow(clippy::cast_precision_loss)] // measures
    pub(super) fn pays(&mut self, delivery: u64) -> bool {
        if delivery == 0 || self.seconds <= 0.0 {
            return true;
        }
        let gain = (self.bytes - self.packed) / self.seconds;
        if gain > delivery as f64 {
            return true;
        }
        self.passed_over += 1;
        self.passed_over.is_multiple_of(TRY_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// What a core does with text: 320 MB/s, ratio 3.1.
    fn text() -> Worth {
        let mut worth = Worth::default();
        for _ in 0..10 {
            worth.measure(320_000, 103_226, Duration::from_millis(1));
        }
        worth
    }

    #[test]
    fn text_is_packed_up_to_the_rate_at_which_packing_keeps_up() {
        let mut worth = text();
        assert!(worth.pays(12_500_000) && worth.pays(210_000_000));
        assert!(!worth.pays(225_000_000) && !worth.pays(1_250_000_000));
    }

    #[test]
    fn what_shrinks_little_is_packed_for_slow_links_alone() {
        let mut worth = Worth::default();
        worth.measure(MIB, MIB * 20 / 21, Duration::from_millis(5));
        assert!(worth.pays(1_250_000) && !worth.pays(12_500_000));
    }

    #[test]
    fn packing_is_tried_until_its_cost_is_known_and_now_and_then_afterwards() {
        assert!(Worth::default().pays(u64::MAX) && text().pays(0));
        let mut worth = text();
        let tried = (0..10 * TRY_EVERY).filter(|_| worth.pays(1 << 40)).count();
        assert_eq!(tried, 10);
    }
}
