//! Cover: which bytes of a chunk are here.
//!
//! Two senders leave at most a few gaps, so a short sorted list says exactly what is here, whatever sizes packets have; a bit per byte would not be short.
//!
//! Invariant: the ranges ascend, none is empty, and between two of them at least one byte is missing.
//!
//! Not here: the bytes (`assembly`).

use std::ops::Range;

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cover(Vec<Range<u32>>);

impl Cover {
    /// Adds a range, which may lie over others.
    pub(super) fn add(&mut self, range: Range<u32>) {
        if range.is_empty() {
            return;
        }
        // Those that overlap it or touch it become one with it.
        let first = self.0.partition_point(|old| old.end < range.start);
        let beyond = self.0.partition_point(|old| old.start <= range.end);
        let start = self.0[first..beyond].first().map_or(range.start, |old| old.start.min(range.start));
        let end = self.0[first..beyond].last().map_or(range.end, |old| old.end.max(range.end));
        self.0.splice(first..beyond, std::iter::once(start..end));
    }

    /// The parts of `within` that are missing, ascending.
    pub(super) fn gaps(&self, within: Range<u32>) -> Vec<Range<u32>> {
        let mut gaps = Vec::new();
        let mut at = within.start;
        let first = self.0.partition_point(|old| old.end <= within.start);
        for old in self.0[first..].iter().take_while(|old| old.start < within.end) {
            if old.start > at {
                gaps.push(at..old.start);
            }
            at = old.end;
        }
        if at < within.end {
            gaps.push(at..within.end);
        }
        gaps
    }

    /// Whether these are all of the first `len` bytes.
    pub(super) fn is_whole(&self, len: u32) -> bool {
        matches!(&self.0[..], [all] if *all == (0..len))
    }

    /// How many bytes they are.
    pub(super) fn len(&self) -> u32 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Rng;

    #[test]
    fn ranges_that_touch_become_one() {
        let mut cover = Cover::default();
        for range in [10..20, 30..40, 50..60, 20..30] {
            cover.add(range);
        }
        assert_eq!(cover.0, [10..40, 50..60]);
        cover.add(0..55);
        assert!(cover.is_whole(60) && !cover.is_whole(61));
    }

    #[test]
    fn gaps_and_ranges_are_what_a_list_of_bytes_says() {
        const LEN: u32 = 64;
        let mut rng = Rng::with_seed(7);
        let mut some = || {
            let (a, b) = (rng.u32(0..=LEN), rng.u32(0..=LEN));
            a.min(b)..a.max(b)
        };
        for _ in 0..2000 {
            let (mut cover, mut bytes) = (Cover::default(), [false; LEN as usize]);
            for _ in 0..8 {
                let range = some();
                bytes[range.start as usize..range.end as usize].fill(true);
                cover.add(range);
                assert_eq!(cover.len() as usize, bytes.iter().filter(|here| **here).count());
                let within = some();
                let mut missing = [false; LEN as usize];
                for gap in cover.gaps(within.clone()) {
                    assert!(!gap.is_empty());
                    missing[gap.start as usize..gap.end as usize].fill(true);
                }
                let expected: Vec<bool> = (0..LEN).map(|at| within.contains(&at) && !bytes[at as usize]).collect();
                assert_eq!(missing[..], expected[..]);
            }
        }
    }
}
