//! Table: what several runs of one cell have in common, and whether that is what the scenario hopes for.
//!
//! A cell is a contender on a data set of a scenario. Medians, because one run that the machine disturbed must not decide; the least
//! and the most beside them, because a median alone hides such runs.
//!
//! Invariant: only runs without a problem give figures; how many those are is shown. A cell with none shows why and fails.
//!
//! Not here: computing the figures of a run (`outcome`).

use std::fmt::Write;

use super::record::{Cost, LATE_MAX, Record, Wave};
use super::scenario::Aims;

/// The runs of one contender on one data set.
pub(crate) struct Cell<'a> {
    pub(crate) title: String,
    pub(crate) runs: Vec<&'a Record>,
    /// The same without faults.
    pub(crate) calm: Vec<&'a Record>,
}

/// The least, the middle and the most of some figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

/// The first line of the table.
pub(crate) const HEAD: &str = "\
cell                             runs  efficiency (least-most)   wire   makespan (bound)  peers: first/middle/last   copies  \
crossings  CPU s/GB    RSS  control  lost   busy";

impl Spread {
    /// Of figures in any order; `None` when there are none.
    pub(crate) fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (least, most) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median =
            if figures.len() % 2 == 1 { figures[middle] } else { f64::midpoint(figures[middle - 1], figures[middle]) };
        Some(Self { least, median, most })
    }
}

impl Cell<'_> {
    fn good(&self) -> Vec<&Record> {
        self.runs.iter().copied().filter(|run| run.problem.is_none()).collect()
    }

    fn spread(&self, figure: impl Fn(&Record) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.good().into_iter().filter_map(figure).collect())
    }

    /// The run with the middle makespan, which a picture shows.
    pub(crate) fn typical(&self) -> Option<usize> {
        let mut good: Vec<(usize, f64)> = self
            .runs
            .iter()
            .enumerate()
            .filter(|(_, run)| run.problem.is_none())
            .filter_map(|(index, run)| Some((index, run.last()?.makespan?)))
            .collect();
        good.sort_by(|a, b| a.1.total_cmp(&b.1));
        good.get(good.len() / 2).map(|(index, _)| *index)
    }

    /// The line of the table, and below it what was not reached.
    pub(crate) fn lines(&self, aims: &Aims) -> String {
        let mut lines = self.line();
        for run in self.runs.iter().filter(|run| run.problem.is_some()) {
            // A formatter that writes into a string cannot fail.
            let _ = write!(lines, "\n    run {}: {}", run.run, run.problem.as_deref().unwrap_or_default());
        }
        let most = self.good().iter().filter(|run| run.cpu_bound).count();
        if most > 0 {
            let _ = write!(
                lines,
                "\n    CPU-bound: {most} of {} runs; their makespan says little about links",
                self.runs.len()
            );
        }
        let late = self.good().iter().filter(|run| run.late.is_some_and(|late| late > LATE_MAX)).count();
        if late > 0 {
            let _ = write!(
                lines,
                "\n    LATE: in {late} runs the emulator delivered more than 1 % of the packets over 1 ms too late"
            );
        }
        let _ = write!(lines, "\n    {}", self.cost_line());
        if self.runs.first().is_some_and(|run| run.waves.len() > 1) {
            let _ = write!(lines, "\n    time to ready of each wave: {}", self.waves().join(", "));
        }
        if let Some(cost) = self.cost() {
            let _ = write!(lines, "\n    faults cost {cost:+.2} s (median with them less median without)");
        }
        for missed in self.missed(aims) {
            let _ = write!(lines, "\n    NOT REACHED: {missed}");
        }
        lines
    }

    fn line(&self) -> String {
        let figure = |figure: fn(&Record) -> Option<f64>| self.spread(figure);
        let of_wave = |of: fn(&Wave) -> Option<f64>| self.spread(|run| run.last().and_then(of));
        let efficiency = of_wave(|wave| wave.efficiency)
            .map_or_else(|| "-".to_owned(), |all| format!("{:.3} ({:.3}-{:.3})", all.median, all.least, all.most));
        let makespan = of_wave(|wave| wave.makespan)
            .map_or_else(|| "-".to_owned(), |all| format!("{:.2} s ({:.2})", all.median, self.bound().unwrap_or(0.0)));
        let peers: Vec<String> = (0..3)
            .map(|at| self.spread(|run| run.last().map(|wave| wave.peers[at])))
            .map(|all| short(all, |median| format!("{median:.2}")))
            .collect();
        format!(
            "{:<32} {:>2}/{:<2} {:>24}  {:>5}  {:>17}  {:>25}  {:>7}  {:>9}  {:>8}  {:>5}  {:>7}  {:>4}  {:>4}",
            self.title,
            self.good().len(),
            self.runs.len(),
            efficiency,
            short(of_wave(|wave| wave.efficiency_wire), |median| format!("{median:.3}")),
            makespan,
            peers.join(" / "),
            short(figure(|run| Some(run.copies())), |median| format!("{median:.3}")),
            short(figure(Record::crossings), |median| format!("{median:.3}")),
            short(figure(|run| Some(run.cpu_per_gb)), |median| format!("{median:.2}")),
            short(figure(|run| Some(run.memory as f64)), |median| format!("{:.0}M", median / f64::from(1 << 20))),
            short(figure(|run| Some(run.control)), |median| format!("{:.2} %", 100.0 * median)),
            short(figure(|run| Some(run.dropped)), |median| format!("{:.1}%", 100.0 * median)),
            short(figure(|run| Some(run.busy)), |median| format!("{median:.2}")),
        )
    }

    /// What moving the data cost on each side.
    fn cost_line(&self) -> String {
        let cost =
            |of: fn(&Cost) -> f64| short(self.spread(|run| Some(of(&run.cost))), |median| format!("{median:.2}"));
        let calls = self.spread(|run| run.cost.calls_per_mb);
        format!(
            "{} Gbit/s delivered, CPU s/GB {} of the seeder (sent) and {} of peers (received), seeder's RSS {}{}",
            cost(|cost| cost.gbit),
            cost(|cost| cost.seeder),
            cost(|cost| cost.peers),
            short(self.spread(|run| Some(run.cost.seeder_memory as f64)), |median| {
                format!("{:.0}M", median / f64::from(1 << 20))
            }),
            calls.map_or_else(String::new, |calls| format!(", {:.0} system calls per MB", calls.median)),
        )
    }

    /// How its medians stand beside another's: what it costs and how fast it is, as shares of the other's.
    pub(crate) fn beside(&self, other: &Self) -> Option<String> {
        let share = |of: fn(&Record) -> f64| {
            let median = |cell: &Self| cell.spread(|run| Some(of(run))).map(|figures| figures.median);
            Some(median(self)? / median(other)?)
        };
        Some(format!(
            "{} / {}: CPU {:.2}, throughput {:.2}, seeder's CPU per GB sent {:.2}",
            self.title,
            other.title,
            share(|run| run.cpu_per_gb)?,
            share(|run| run.cost.gbit)?,
            share(|run| run.cost.seeder)?,
        ))
    }

    fn bound(&self) -> Option<f64> {
        self.runs.first()?.last().map(|wave| wave.bound)
    }

    fn waves(&self) -> Vec<String> {
        let count = self.runs.first().map_or(0, |run| run.waves.len());
        let median = |at: usize| self.spread(|run| run.waves.get(at)?.makespan);
        (0..count).map(|at| short(median(at), |median| format!("{median:.2} s"))).collect()
    }

    /// What faults cost, in seconds.
    fn cost(&self) -> Option<f64> {
        let makespan = |run: &Record| run.last().and_then(|wave| wave.makespan);
        let calm = self.calm.iter().filter(|run| run.problem.is_none()).filter_map(|run| makespan(run));
        Some(self.spread(makespan)?.median - Spread::of(calm.collect())?.median)
    }

    /// What the medians did not reach, in words.
    pub(crate) fn missed(&self, aims: &Aims) -> Vec<String> {
        let mut missed = Vec::new();
        let failed = self.runs.len() - self.good().len();
        if failed > 0 {
            missed.push(format!("{failed} of {} runs failed", self.runs.len()));
        }
        let mut most = |what: &str, aim: Option<f64>, found: Option<Spread>| {
            if let Some((aim, found)) = aim.zip(found).filter(|(aim, found)| found.median > *aim) {
                missed.push(format!("{what} {:.3}, at most {aim} wanted", found.median));
            }
        };
        most("copies", aims.copies, self.spread(|run| Some(run.copies())));
        most("crossings", aims.crossings, self.spread(Record::crossings));
        most("spread of peers", aims.spread, self.spread(|run| run.last()?.spread));
        most("rise between waves", aims.rise, self.spread(|run| rise(&run.waves)));
        let cost = self.cost().map(|cost| Spread { least: cost, median: cost, most: cost });
        most("cost of faults in seconds", aims.cost.map(|span| span.0.as_secs_f64()), cost);
        let efficiency = self.spread(|run| run.last()?.efficiency);
        if let Some((aim, found)) = aims.efficiency.zip(efficiency).filter(|(aim, found)| found.median < *aim) {
            missed.push(format!("efficiency {:.3}, at least {aim} wanted", found.median));
        }
        missed
    }
}

/// The largest growth of the time to ready from one wave to the next, as a share.
fn rise(waves: &[Wave]) -> Option<f64> {
    let times: Option<Vec<f64>> = waves.iter().map(|wave| wave.makespan).collect();
    times?.windows(2).map(|pair| pair[1] / pair[0] - 1.0).max_by(f64::total_cmp)
}

fn short(figure: Option<Spread>, show: impl Fn(f64) -> String) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| show(figure.median))
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
