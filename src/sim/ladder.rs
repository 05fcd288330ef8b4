//! Ladder: named links, from a switch in a machine room to a satellite, each with the source of its numbers.
//!
//! The emulator reads the same file (`netem/links.csv`), so that what was simulated on a link and what was measured on it can be laid
//! side by side. It is part of the program, and not read at run time: a name means the same everywhere.
//!
//! Invariant: every name stands for one link.
//!
//! Not here: loss and jitter in the simulator, which has neither ([`super`]). They are read for the emulator.

use std::time::Duration;

use crate::sim::scenario::Rate;
use crate::units::{Bytes, ParseUnitError, parse_duration, parse_rate};

/// The file, as it is.
const FILE: &str = include_str!("../../netem/links.csv");

/// A named link. Both directions are alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rung {
    /// Its name.
    pub name: &'static str,
    /// What each direction carries.
    pub rate: Rate,
    /// Time there and back, without queues.
    pub round_trip: Duration,
    /// How far the delay one way strays from its mean, at most.
    pub jitter: Duration,
    /// Share of the packets that is lost, each way.
    pub loss: f64,
    /// Mean number of packets that are lost in a row; 1 is no bursts.
    pub burst: f64,
    /// Where the numbers come from.
    pub source: &'static str,
}

/// A line that is no link.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RungError {
    /// A field is missing.
    #[error("has not the six fields name, rate, rtt, jitter, loss, source")]
    Fields,
    /// A number that is none.
    #[error("{text:?} {source}")]
    Number {
        /// What stands there.
        text: String,
        /// What is wrong with it.
        #[source]
        source: ParseUnitError,
    },
    /// A loss that is none.
    #[error("{0:?} is no loss; write 0, 0.1% or 1% in bursts of 8")]
    Loss(String),
}

impl Rung {
    /// All links, the quick and near ones first.
    ///
    /// # Panics
    /// When the file is broken, which a test would have found.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let lines = FILE.lines().filter(|line| !line.starts_with('#')).skip(1);
        let read = |line| Self::read(line).unwrap_or_else(|error| panic!("netem/links.csv: {line:?} {error}"));
        lines.map(read).collect()
    }

    /// The link of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|rung| rung.name == name)
    }

    /// What may wait for it: what is on the way when it is full (the bandwidth-delay product), as routers are built for, and
    /// at least 256 KiB, since short links have the same routers.
    #[must_use]
    pub fn queue(&self) -> Bytes {
        let product = u128::from(self.rate.0) * self.round_trip.as_nanos() / 1_000_000_000;
        Bytes(u64::try_from(product).unwrap_or(u64::MAX).max(256 << 10))
    }

    fn read(line: &'static str) -> Result<Self, RungError> {
        let mut fields = line.splitn(6, ',').map(str::trim);
        let mut next = || fields.next().filter(|field| !field.is_empty()).ok_or(RungError::Fields);
        let [name, rate, round_trip, jitter, loss, source] = [next()?, next()?, next()?, next()?, next()?, next()?];
        let wrong = |text: &str| {
            let text = text.to_owned();
            |source| RungError::Number { text, source }
        };
        let (loss, burst) = read_loss(loss).ok_or_else(|| RungError::Loss(loss.to_owned()))?;
        Ok(Self {
            name,
            rate: Rate(parse_rate(rate).map_err(wrong(rate))?),
            round_trip: parse_duration(round_trip).map_err(wrong(round_trip))?,
            jitter: parse_duration(jitter).map_err(wrong(jitter))?,
            loss,
            burst,
            source,
        })
    }
}

/// A loss as the ladder says it, `0`, `0.1%` or `1% in bursts of 8`: its share, and the mean length of a burst.
#[must_use]
pub fn read_loss(text: &str) -> Option<(f64, f64)> {
    let (share, burst) = text.split_once(" in bursts of ").unwrap_or((text, "1"));
    let percent: f64 = share.strip_suffix('%').or_else(|| (share == "0").then_some(share))?.trim().parse().ok()?;
    let burst: f64 = burst.parse().ok()?;
    // NaN is in no range.
    ((0.0..100.0).contains(&percent) && (1.0..=1e6).contains(&burst)).then_some((percent / 100.0, burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_file_is_a_link_with_a_name_of_its_own() {
        let all = Rung::all();
        let mut names: Vec<_> = all.iter().map(|rung| rung.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
        assert!(all.iter().all(|rung| rung.rate.0 > 0 && rung.source.len() > 10));
        assert!(all.len() > 15);
    }

    #[test]
    fn a_link_says_rate_round_trip_jitter_and_loss() {
        let rung = Rung::read("x,200Mbit,100ms,2ms,1% in bursts of 8,somewhere, far away").unwrap();
        assert_eq!((rung.rate.0, rung.round_trip.as_millis(), rung.jitter.as_millis()), (25_000_000, 100, 2));
        assert_eq!((rung.loss, rung.burst, rung.source), (0.01, 8.0, "somewhere, far away"));
        assert_eq!(rung.queue(), Bytes(2_500_000));
    }

    #[test]
    fn lines_that_are_no_links_are_refused() {
        for line in ["x,1Mbit,1ms,0,0", "x,1,1ms,0,0,s", "x,1Mbit,1,0,0,s", "x,1Mbit,1ms,0,1,s", ",1Mbit,1ms,0,0,s"] {
            assert!(Rung::read(line).is_err(), "{line}");
        }
        for loss in ["", "1", "%", "-1%", "100%", "NaN%", "1% in bursts of 0", "1% in bursts", "1% in bursts of x"] {
            assert_eq!(read_loss(loss), None, "{loss}");
        }
    }
}
