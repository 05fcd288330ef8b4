//! Table: the figures that the policy has to reach, cell by cell.
//!
//! They are those of the reference simulation of the algorithm, another program by another author: 1 GiB at 1 Gbit/s with 0.5 ms between any two
//! machines. One run says little, as single stragglers cost points, so a cell is judged by the median of named seeds.
//!
//! Invariant: nothing in a cell is chosen by looking at a result.
//!
//! Not here: running them side by side and printing them (`examples/simulate.rs`).

use crate::sim::report::Report;
use crate::sim::scenario::Scenario;
use crate::sim::shape::Shape;
use crate::units::Bytes;

/// The seeds whose median counts: nothing is special about them.
pub const SEEDS: [u64; 5] = [11, 23, 37, 41, 59];
/// Points by which a median may fall short of the reference, whose own cells are one or two seeds each.
pub const SLACK: f64 = 2.0;

/// Size of the content in every cell.
const TOTAL: Bytes = Bytes(1 << 30);
const SMALL: Bytes = Bytes(256 << 10);
const LARGE: Bytes = Bytes(1 << 20);
/// Numbers of peers, as the columns of the references stand.
const PEERS: [usize; 4] = [8, 32, 128, 1000];

/// A shape at one number of peers and one chunk size, with what it has to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// The shape.
    pub shape: Shape,
    /// Number of peers beside the publishers.
    pub peers: usize,
    /// Size of a chunk.
    pub chunk: Bytes,
    /// Efficiency in percent, where there is a reference.
    pub reference: Option<f64>,
    /// Copies that all publishers together may have sent, where that is bounded: where peers are slow or late, a publisher's
    /// uplink is of use to the end.
    pub copies: Option<f64>,
    /// Copies that may have crossed into the zones that have no publisher, for each of them.
    pub crossings: Option<f64>,
}

/// What the runs of a cell showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Median efficiency in percent.
    pub efficiency: f64,
    /// Median of the copies that all publishers together sent.
    pub copies: f64,
    /// Median of the copies that crossed between zones.
    pub crossings: f64,
    /// Median of the share of bytes that were sent in vain.
    pub waste: f64,
    /// Whether everybody became complete and nobody honest was banned, in every run.
    pub converged: bool,
}

/// The table for 8, 32 and 128 peers, or for a thousand.
#[must_use]
pub fn cells(thousand: bool) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (shape, small, large) in ROWS {
        for (chunk, row) in [(SMALL, small), (LARGE, large)] {
            for (peers, reference) in PEERS.into_iter().zip(row) {
                let is_run = peers < 1000 && !thousand || peers == 1000 && thousand && chunk == LARGE;
                if is_run && shape != Shape::Freezing {
                    cells.push(Cell {
                        shape,
                        peers,
                        chunk,
                        reference,
                        copies: copies(shape),
                        crossings: crossings(shape),
                    });
                }
            }
            if shape == Shape::Freezing && !thousand {
                cells.push(Cell {
                    shape,
                    peers: 16,
                    chunk,
                    reference: row[0],
                    copies: copies(shape),
                    crossings: crossings(shape),
                });
            }
        }
    }
    cells
}

impl Cell {
    /// Runs it with one seed.
    ///
    /// # Panics
    /// When a machine's invariant is broken.
    #[must_use]
    pub fn run(&self, seed: u64) -> Report {
        super::run(&Scenario::shaped(self.shape, self.peers, TOTAL, self.chunk, seed), seed)
    }

    /// Takes the medians of several runs.
    #[must_use]
    pub fn measure(reports: &[Report]) -> Measured {
        let median = |of: fn(&Report) -> f64| {
            let mut values: Vec<f64> = reports.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(0.0)
        };
        Measured {
            efficiency: 100.0 * median(Report::efficiency),
            copies: median(|report| report.publisher_copies),
            crossings: median(|report| report.crossings),
            waste: median(|report| report.waste),
            converged: reports.iter().all(Report::converged),
        }
    }

    /// Whether these figures reach what they have to.
    #[must_use]
    pub fn is_reached(&self, measured: &Measured) -> bool {
        let fast = self.reference.is_none_or(|reference| measured.efficiency >= reference - SLACK);
        let frugal = self.copies.is_none_or(|most| measured.copies <= most)
            && self.crossings.is_none_or(|most| measured.crossings <= most);
        fast && frugal && measured.converged
    }
}

/// Copies that publishers may send in all: one, and little more. The share of one that dies has to be sent again where nobody got
/// it, and what it had sent to only one peer may have to be.
const fn copies(shape: Shape) -> Option<f64> {
    match shape {
        Shape::PublisherDies => Some(1.1),
        Shape::Homogeneous
        | Shape::ThinLinks
        | Shape::SeederQuarter
        | Shape::Dying
        | Shape::TwoPublishers
        | Shape::FourPublishers => Some(1.05),
        _ => None,
    }
}

/// Copies that may cross: one, and what members do who do not know each other yet, or who stand in for each other.
const fn crossings(shape: Shape) -> Option<f64> {
    match shape {
        Shape::TwoRegions | Shape::TwoRegionsWide | Shape::LonePublisher => Some(1.03),
        _ => None,
    }
}

/// One shape: its efficiencies at 256 KiB, then at 1 MiB, for each number of peers.
type Row = (Shape, [Option<f64>; 4], [Option<f64>; 4]);

/// The reference's rows. Where it has no figure for 256 KiB and 128 peers among slow ones, that of its base variant stands; several
/// publishers have one figure each, at 1 MiB and 128 peers, and 98 % to reach at 256 KiB; thin links have to do as well as others.
///
/// Freezing has 16 peers and no reference: it may cost a second beside what equal links among 32 peers cost without it.
const ROWS: [Row; 15] = [
    (Shape::Homogeneous, known([99.4, 99.0, 98.5]), thousand([98.8, 97.0, 95.8], 94.2)),
    (Shape::ThinLinks, known([99.4, 99.0, 98.5]), known([98.8, 97.0, 95.8])),
    (Shape::SeederQuarter, known([99.9, 99.8, 99.8]), thousand([99.6, 99.6, 99.6], 99.6)),
    (Shape::Slow, known([99.4, 99.0, 98.4]), thousand([98.6, 96.7, 95.4], 93.1)),
    (Shape::SlowUplinks, known([99.2, 99.2, 98.9]), thousand([98.0, 97.4, 96.3], 95.4)),
    (Shape::Arrivals, [Some(100.0), Some(100.0), None, None], known([100.0, 100.0, 99.9])),
    (Shape::Dying, known([99.4, 99.0, 98.5]), thousand([98.8, 96.6, 95.7], 93.7)),
    (Shape::DyingThird, [None; 4], [None, None, Some(95.3), None]),
    // 8.59 s over 0.99 or 0.97, and one second.
    (Shape::Freezing, [Some(88.8), None, None, None], [Some(87.2), None, None, None]),
    (Shape::TwoPublishers, known([98.0, 98.0, 98.0]), [None, None, Some(98.4), None]),
    (Shape::FourPublishers, known([98.0, 98.0, 98.0]), [None, None, Some(98.7), None]),
    (Shape::PublisherDies, known([98.0, 98.0, 98.0]), [None; 4]),
    (Shape::TwoRegions, known([99.2, 99.1, 98.5]), thousand([99.0, 98.6, 98.0], 98.2)),
    (Shape::TwoRegionsWide, [None, None, Some(94.5), None], [None, None, Some(90.0), None]),
    // No reference: what it shows is how often the publisher's chunks cross.
    (Shape::LonePublisher, [None; 4], [None; 4]),
];

const fn known(row: [f64; 3]) -> [Option<f64>; 4] {
    [Some(row[0]), Some(row[1]), Some(row[2]), None]
}

const fn thousand(row: [f64; 3], last: f64) -> [Option<f64>; 4] {
    [Some(row[0]), Some(row[1]), Some(row[2]), Some(last)]
}
