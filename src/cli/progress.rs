//! How far it is, in one line for people.
//!
//! The line is made of parts in order of importance, and what does not fit the terminal is left out from the end of that order:
//! a line that wraps cannot be redrawn.
//!
//! Invariant: "100.0%" is only shown when every byte is there; the line has no more characters than it may have.
//!
//! Not here: where the line goes ([`super::Screen`]) and when ([`super::Reporter`]).

use std::time::Duration;

use crate::node::{Phase, Snapshot};
use crate::units::{Bytes, Time};

/// How long the past counts in a rate: long enough that a burst of one large chunk does not make the figure jump, short enough
/// that a stall is seen within a few seconds.
const MEMORY_OF_RATE: Duration = Duration::from_secs(3);
/// A longer ETA says only that it will take long.
const ETA_MAX: Duration = Duration::from_secs(100 * 3600);

/// A smoothed rate of a counter: an exponentially weighted mean whose weights depend on time, not on how often it is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    last: Option<(Time, u64)>,
    per_second: Option<f64>,
}

impl Rate {
    /// Takes the counter's value at `now`. The first value is only a beginning; a counter that falls begins anew.
    pub fn observe(&mut self, now: Time, count: u64) {
        let Some((then, before)) = self.last.filter(|&(_, before)| before <= count) else {
            *self = Self { last: Some((now, count)), per_second: None };
            return;
        };
        let span = now.since(then).as_secs_f64();
        if span <= 0.0 {
            return;
        }
        #[allow(clippy::cast_precision_loss)] // a rate is shown with four digits
        let current = (count - before) as f64 / span;
        let weight = 1.0 - (-span / MEMORY_OF_RATE.as_secs_f64()).exp();
        let smoothed = self.per_second.map_or(current, |past| past + weight * (current - past));
        *self = Self { last: Some((now, count)), per_second: Some(smoothed) };
    }

    /// Bytes per second; zero until two values are known.
    #[must_use]
    pub fn bytes_per_second(&self) -> Bytes {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // never negative, and `as` saturates
        Bytes(self.per_second.unwrap_or(0.0) as u64)
    }

    /// How long `rest` takes at this rate; `None` when that is unknown or absurdly long.
    #[must_use]
    pub fn time_for(&self, rest: Bytes) -> Option<Duration> {
        let rate = self.bytes_per_second().0;
        let millis = u128::from(rest.0) * 1000 / u128::from((rate > 0).then_some(rate)?);
        let time = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        (time <= ETA_MAX).then_some(time)
    }
}

/// What a snapshot says about its phase's own work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// The counter whose rate tells how fast it goes.
    pub counter: u64,
    /// Bytes that are done.
    pub done: Bytes,
    /// Bytes that are left.
    pub rest: Bytes,
}

impl Work {
    /// The work of the phase that the node is in.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        let (counter, done) = match snapshot.phase {
            Phase::Verifying => (snapshot.bytes_read_back.0, snapshot.bytes_read_back),
            Phase::Serving => (snapshot.uploaded.0, snapshot.bytes_done),
            // What was here before the run comes at once and would make the rate lie.
            _ => (snapshot.received.0.saturating_add(snapshot.copied.0), snapshot.bytes_done),
        };
        Self { counter, done, rest: Bytes(snapshot.bytes_total.0.saturating_sub(done.0)) }
    }
}

/// The progress line, in at most `width` characters.
#[must_use]
pub fn line(snapshot: &Snapshot, rate: &Rate, width: usize) -> String {
    let mut parts = match snapshot.phase {
        Phase::Connecting => vec![part(0, "looking for peers")],
        Phase::Manifest if snapshot.publisher => vec![part(0, "reading the source")],
        Phase::Manifest => vec![part(0, "waiting for the manifest"), part(1, &peers(snapshot))],
        Phase::Serving => serving_parts(snapshot, rate),
        Phase::Transferring | Phase::EndGame | Phase::Finishing | Phase::Verifying => working_parts(snapshot, rate),
    };
    while parts.len() > 1 && shown(&parts).chars().count() > width {
        let least = parts.iter().map(|part| part.rank).max();
        parts.retain(|part| Some(part.rank) != least);
    }
    shown(&parts).chars().take(width).collect()
}

/// A part of the line; the higher its rank, the earlier it is left out.
struct Part {
    rank: u8,
    text: String,
}

fn part(rank: u8, text: &str) -> Part {
    Part { rank, text: text.to_owned() }
}

fn shown(parts: &[Part]) -> String {
    parts.iter().map(|part| part.text.as_str()).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("  ")
}

fn working_parts(snapshot: &Snapshot, rate: &Rate) -> Vec<Part> {
    let work = Work::of(snapshot);
    let eta = rate.time_for(work.rest).map(|time| format!("ETA {}", duration(time)));
    let phase = match snapshot.phase {
        Phase::EndGame => "last chunks",
        Phase::Finishing => "finishing",
        Phase::Verifying => "reading back",
        _ => "transferring",
    };
    vec![
        part(4, phase),
        part(0, &percent(work.done, snapshot.bytes_total)),
        part(3, &format!("{} of {}", work.done, snapshot.bytes_total)),
        part(1, &format!("{}/s", rate.bytes_per_second())),
        part(2, &eta.unwrap_or_else(|| "ETA --".to_owned())),
        part(5, &peers(snapshot)),
    ]
}

fn serving_parts(snapshot: &Snapshot, rate: &Rate) -> Vec<Part> {
    let copies = snapshot.publisher_copies().map(|copies| format!("{copies:.2} copies"));
    vec![
        part(0, "serving"),
        part(2, &peers(snapshot)),
        part(3, &format!("{} sent", snapshot.uploaded)),
        part(4, &copies.unwrap_or_default()),
        part(1, &format!("{}/s", rate.bytes_per_second())),
    ]
}

fn peers(snapshot: &Snapshot) -> String {
    match snapshot.peers {
        1 => "1 peer".to_owned(),
        n => format!("{n} peers"),
    }
}

/// Rounded down to a tenth, so that it is 100.0% only when nothing is missing.
pub(super) fn percent(done: Bytes, total: Bytes) -> String {
    let tenths = match total.0 {
        0 => 1000,
        total => u128::from(done.0.min(total)) * 1000 / u128::from(total),
    };
    format!("{}.{}%", tenths / 10, tenths % 10)
}

/// A duration for people: `11s`, `2m05s`, `3h04m`.
#[must_use]
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WIDE: usize = 200;

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    /// The rate of a counter that grows steadily.
    fn steady(per_second: u64) -> Rate {
        let mut rate = Rate::default();
        rate.observe(at(0), 0);
        rate.observe(at(1000), per_second);
        rate
    }

    fn transferring() -> Snapshot {
        Snapshot {
            phase: Phase::Transferring,
            bytes_total: Bytes(4 << 30),
            bytes_done: Bytes(1 << 30),
            peers: 7,
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_wide_line_says_everything() {
        assert_eq!(
            line(&transferring(), &steady(512 << 20), WIDE),
            "transferring  25.0%  1.0 GiB of 4.0 GiB  512.0 MiB/s  ETA 6s  7 peers"
        );
    }

    #[test]
    fn what_matters_least_is_left_out_first() {
        let narrowed = |width| line(&transferring(), &steady(512 << 20), width);
        assert_eq!(narrowed(68), "transferring  25.0%  1.0 GiB of 4.0 GiB  512.0 MiB/s  ETA 6s");
        assert_eq!(narrowed(50), "25.0%  1.0 GiB of 4.0 GiB  512.0 MiB/s  ETA 6s");
        assert_eq!(narrowed(30), "25.0%  512.0 MiB/s  ETA 6s");
        assert_eq!(narrowed(20), "25.0%  512.0 MiB/s");
        assert_eq!(narrowed(5), "25.0%");
        assert_eq!(narrowed(2), "25");
    }

    #[test]
    fn each_phase_says_what_it_waits_for() {
        let phase = |phase, publisher| {
            let snapshot = Snapshot { phase, publisher, bytes_read_back: Bytes(2 << 30), ..transferring() };
            line(&snapshot, &Rate::default(), WIDE)
        };
        assert_eq!(phase(Phase::Connecting, false), "looking for peers");
        assert_eq!(phase(Phase::Manifest, false), "waiting for the manifest  7 peers");
        assert_eq!(phase(Phase::Manifest, true), "reading the source");
        assert!(phase(Phase::EndGame, false).starts_with("last chunks  25.0%"));
        assert!(phase(Phase::Verifying, false).starts_with("reading back  50.0%"));
        assert_eq!(phase(Phase::Serving, false), "serving  7 peers  0 B sent  0 B/s");
    }

    #[test]
    fn a_publisher_shows_how_many_copies_left_it() {
        let snapshot = Snapshot {
            phase: Phase::Serving,
            publisher: true,
            bytes_total: Bytes(100),
            uploaded: Bytes(105),
            peers: 1,
            ..Snapshot::default()
        };
        assert_eq!(line(&snapshot, &Rate::default(), WIDE), "serving  1 peer  105 B sent  1.05 copies  0 B/s");
    }

    #[test]
    fn a_hundred_percent_means_that_nothing_is_missing() {
        assert_eq!(percent(Bytes((1 << 40) - 1), Bytes(1 << 40)), "99.9%");
        assert_eq!(percent(Bytes(1 << 40), Bytes(1 << 40)), "100.0%");
        assert_eq!(percent(Bytes(0), Bytes(0)), "100.0%");
    }

    #[test]
    fn bytes_of_an_earlier_run_do_not_count_as_speed() {
        let mut rate = Rate::default();
        let mut snapshot = Snapshot { phase: Phase::Transferring, bytes_total: Bytes(100), ..Snapshot::default() };
        rate.observe(at(0), Work::of(&snapshot).counter);
        (snapshot.bytes_done, snapshot.bytes_kept) = (Bytes(90), Bytes(90));
        rate.observe(at(1000), Work::of(&snapshot).counter);
        assert_eq!(rate.bytes_per_second(), Bytes(0));
        assert_eq!(Work::of(&snapshot).rest, Bytes(10));
    }

    #[test]
    fn a_rate_does_not_depend_on_how_often_it_is_asked() {
        let mut often = Rate::default();
        let mut seldom = Rate::default();
        for step in 0..=600 {
            let count = if step < 300 { step * 10 } else { 3000 + (step - 300) * 40 };
            often.observe(at(step * 10), count);
            if step % 100 == 0 {
                seldom.observe(at(step * 10), count);
            }
        }
        let (often, seldom) = (often.bytes_per_second().0, seldom.bytes_per_second().0);
        assert!(often.abs_diff(seldom) <= 60, "{often} and {seldom}");
        assert!((2000..4000).contains(&often), "smoothed between 1000 and 4000 per second: {often}");
    }

    #[test]
    fn a_stall_is_seen_within_seconds() {
        let mut rate = steady(1_000_000);
        rate.observe(at(11_000), 1_000_000);
        assert!(rate.bytes_per_second().0 < 40_000);
    }

    #[test]
    fn an_eta_needs_a_rate() {
        assert_eq!(Rate::default().time_for(Bytes(1)), None);
        assert_eq!(steady(1).time_for(Bytes(u64::MAX)), None);
        assert_eq!(steady(1000).time_for(Bytes(2500)), Some(Duration::from_millis(2500)));
    }

    #[test]
    fn durations_are_short() {
        let shown = [0, 59, 60, 125, 3600, 11_045].map(|s| duration(Duration::from_secs(s)));
        assert_eq!(shown, ["0s", "59s", "1m00s", "2m05s", "1h00m", "3h04m"]);
    }

    proptest! {
        #[test]
        fn the_line_never_exceeds_the_width(width in 0usize..120, done: u64, total: u64, peers: u32, per_second: u64) {
            for phase in [Phase::Connecting, Phase::Manifest, Phase::Transferring, Phase::Verifying, Phase::Serving] {
                let snapshot = Snapshot {
                    phase, bytes_done: Bytes(done), bytes_total: Bytes(total), peers, publisher: true,
                    chunks_total: 1, uploaded: Bytes(done), ..Snapshot::default()
                };
                prop_assert!(line(&snapshot, &steady(per_second), width).chars().count() <= width);
            }
        }
    }
}
