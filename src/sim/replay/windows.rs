//! Windows: how many chunks were asked of a source at a time, in the course of the run.
//!
//! Not here: how they are chosen (`swarm::window`).

use crate::units::Time;

/// Parts of the run for which windows are shown apart: enough to see a ramp, few enough for a line.
const PARTS: usize = 10;

/// The windows of neighbours, each seen when a chunk came from it.
#[derive(Clone, Debug, Default)]
pub struct Windows(Vec<(Time, u32)>);

impl Windows {
    pub(super) fn add(&mut self, now: Time, size: u32) {
        self.0.push((now, size));
    }

    /// The mean and the largest window in each tenth of the time from the first chunk to the last; `None` where no chunk came.
    #[must_use]
    pub fn course(&self) -> Vec<Option<(f64, u32)>> {
        let [Some((first, _)), Some((last, _))] = [self.0.first(), self.0.last()] else { return Vec::new() };
        let whole = last.since(*first).as_nanos().max(1);
        let mut parts: [Vec<u32>; PARTS] = Default::default();
        for (at, size) in &self.0 {
            let part = at.since(*first).as_nanos() * PARTS as u128 / whole;
            parts[usize::try_from(part).unwrap_or(PARTS).min(PARTS - 1)].push(*size);
        }
        let course = |sizes: &Vec<u32>| {
            let most = *sizes.iter().max()?;
            #[allow(clippy::cast_precision_loss)] // one digit is shown
            let mean = sizes.iter().map(|size| f64::from(*size)).sum::<f64>() / sizes.len() as f64;
            Some((mean, most))
        };
        parts.iter().map(course).collect()
    }
}
