//! Validate: whether links are what they say, by plain probes, and how much the emulator carries on this machine.
//!
//! A bench on a wrong ruler measures nothing. Each rung of the ladder is brought up between two hosts, and ordinary sockets look at it: delay
//! by datagrams there and back, rate by a sender that is faster than the link, loss by numbered datagrams at half of its rate, and TCP for
//! comparison. The kernel's queues are held to the same where only a rate is asked.
//!
//! Invariant: a figure out of its bound is exit code 1. Where few packets are lost, chance alone strays from the share; three standard
//! deviations of it are granted, and printed.
//!
//! Not here: the probes (`probe`).

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use strew::sim::{Rate, Rung};
use strew::units::Bytes;

use crate::lab::{Backend, Lab, LabError, Strain};
use crate::probe::{self, Flood, UDP_HEADERS};
use crate::topology::{FRAME, Host, Link, Topology};
use crate::{Failure, say};

/// The most that a rate may be off.
const RATE_OFF: f64 = 0.02;
/// The most that a delay may be off: this share, or this time.
const DELAY_OFF: (f64, Duration) = (0.05, Duration::from_micros(500));
/// The most that a loss may be off, relative to itself.
const LOSS_OFF: f64 = 0.1;
/// Payload of a datagram that fills a packet of 1500 bytes.
const FULL: usize = 1472;
/// That packet on a link.
const FULL_BYTES: u64 = FULL as u64 + UDP_HEADERS + FRAME;
/// Payload of a datagram that tests loss: small, so that many cross a thin link.
const SMALL: usize = 72;
/// Datagrams a second that test loss, at most: what a busy machine sends without losing any itself.
const LOSS_PACE_MAX: u64 = 20_000;

/// What to look at.
#[derive(Args)]
pub(crate) struct Options {
    /// Only these rungs of netem/links.csv.
    #[arg(long, value_delimiter = ',')]
    link: Vec<String>,
    /// Only the kernel's queues, or only the emulator.
    #[arg(long, value_enum)]
    backend: Option<Backend>,
    /// Look for the greatest rate that the emulator sustains on this machine as well.
    #[arg(long)]
    sustain: bool,
    /// Seconds that each probe of rate and loss lasts.
    #[arg(long, default_value_t = 2)]
    seconds: u32,
}

/// One line of the table.
struct Row {
    text: String,
    good: bool,
}

/// Looks at every rung and prints the table; exit code 1 when something is out of its bound.
pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let lasts = Duration::from_secs(options.seconds.into());
    let chosen = |rung: &Rung| options.link.is_empty() || options.link.iter().any(|name| name == rung.name);
    let rungs: Vec<Rung> = Rung::all().into_iter().filter(chosen).collect();
    if rungs.is_empty() {
        return Err(format!("there is no link {}; see netem/links.csv", options.link.join(", ")).into());
    }
    let mut good = true;
    say(
        "backend   link                        rate Mbit/s: is  asked        rtt ms: is   asked           loss %: is  asked    TCP Mbit/s",
    );
    for backend in [Backend::Kernel, Backend::Emulator] {
        for rung in rungs.iter().filter(|_| options.backend.is_none_or(|only| only == backend)) {
            let Some(topology) = topology(backend, rung) else { continue };
            let row = look(&Lab::up_on(backend, &topology)?, backend, rung, lasts)?;
            say(format_args!("{}{}", row.text, if row.good { "" } else { "  OUT OF BOUND" }));
            good &= row.good;
        }
    }
    if options.sustain {
        sustain(lasts)?;
    }
    Ok(ExitCode::from(u8::from(!good)))
}

/// Two hosts on this rung. The kernel's queues have a rate only, so it is looked at on the nearest rungs alone.
fn topology(backend: Backend, rung: &Rung) -> Option<Topology> {
    let (mut up, mut down) = Link::of_rung(rung);
    // Queues are not what is looked at: a tenth of a second rides out the naps of a sender on a busy machine.
    down.queue = Bytes(down.queue.0.max(rung.rate.0 / 10));
    up.queue = down.queue;
    if backend == Backend::Kernel {
        if !rung.name.starts_with("lan-") {
            return None;
        }
        up = down;
    }
    Some(Topology::new(vec![Host::new("near", up, down), Host::new("far", up, down)]))
}

fn look(lab: &Lab, backend: Backend, rung: &Rung, lasts: Duration) -> Result<Row, LabError> {
    let round_trip = if backend == Backend::Kernel { Duration::ZERO } else { rung.round_trip };
    let patience = round_trip * 2 + Duration::from_millis(200);
    // Jitter has another value every 20 ms at least; its mean needs many of them.
    let (count, gap) = if rung.jitter > Duration::ZERO { (800, 10) } else { (50, 20) };
    let trips = probe::ping(lab, count, Duration::from_millis(gap), patience)?;
    let trip = if rung.jitter > Duration::ZERO { mean(&trips) } else { median(&trips) };

    // A quarter more than the link carries, so that a sender that naps never leaves it idle for long.
    let faster = Rate(rung.rate.0 + rung.rate.0 / 4);
    let flood = probe::flood(lab, (0, 1), faster, FULL, lasts, patience)?;
    let asked = f64_of(rung.rate.0) * (1.0 - if backend == Backend::Kernel { 0.0 } else { rung.loss });
    let rate_off = flood.rate / asked - 1.0;

    let allowed = DELAY_OFF.1.max(round_trip.mul_f64(DELAY_OFF.0)) + crossing(rung.rate);
    let trip_good = trip.abs_diff(round_trip) <= allowed && !trips.is_empty();
    let (lost, loss_asked, loss_bound) = loss(lab, backend, rung, lasts * 2, patience)?;
    let loss_good = (lost - loss_asked).abs() <= loss_bound;
    let tcp = probe::stream(lab, lasts)?;
    let tcp_good = tcp <= f64_of(rung.rate.0) * (1.0 + RATE_OFF);
    let note = note(lab, &flood, rung, lasts)?;
    let good = rate_off.abs() <= RATE_OFF && trip_good && loss_good && tcp_good;
    let text = format!(
        "{:<9} {:<24} {:>10.2} {:>10.2} ({:+.2} %) {:>9.2} {:>7.2} (±{:.2}) {:>8.3} {:>7.3} (±{:.3}) {:>8.1}{note}",
        name(backend),
        rung.name,
        mbit(flood.rate),
        mbit(asked),
        100.0 * rate_off,
        ms(trip),
        ms(round_trip),
        ms(allowed),
        100.0 * lost,
        100.0 * loss_asked,
        100.0 * loss_bound,
        mbit(tcp)
    );
    Ok(Row { text, good })
}

/// What a datagram of a ping needs to cross four links beside the delay: it belongs to the rate.
fn crossing(rate: Rate) -> Duration {
    rate.time(4 * (8 + UDP_HEADERS + FRAME))
}

/// What to know about a figure that is out of its bound because the machine was busy.
fn note(lab: &Lab, flood: &Flood, rung: &Rung, lasts: Duration) -> Result<String, LabError> {
    let mut note = String::new();
    if f64_of(flood.sent * FULL_BYTES) < f64_of(rung.rate.0) * lasts.as_secs_f64() {
        note += "  the probe could not send so much;";
    }
    if let Some(Strain { packets, late, overrun, .. }) = lab.strain()?
        && (overrun > 0 || late * 100 > packets)
    {
        note += &format!("  {:.1} % late, {overrun} never read;", 100.0 * f64_of(late) / f64_of(packets.max(1)));
    }
    if !note.is_empty() {
        note += " the machine is too busy";
    }
    Ok(note)
}

/// The share that was lost of datagrams at half of the link's rate, what was asked, and how far it may be off.
fn loss(
    lab: &Lab,
    backend: Backend,
    rung: &Rung,
    lasts: Duration,
    patience: Duration,
) -> Result<(f64, f64, f64), LabError> {
    let per_datagram = SMALL as u64 + UDP_HEADERS + FRAME;
    let pace = (rung.rate.0 / 2 / per_datagram).min(LOSS_PACE_MAX);
    let flood = probe::flood(lab, (0, 1), Rate(pace * per_datagram), SMALL, lasts, patience)?;
    let Flood { sent, received, .. } = flood;
    let lost = 1.0 - f64_of(received) / f64_of(sent.max(1));
    let asked = if backend == Backend::Kernel { 0.0 } else { rung.loss };
    // A burst counts as one draw, so the variance of n draws grows by twice its mean length less one.
    let deviation = (asked * (1.0 - asked) * (2.0 * rung.burst - 1.0) / f64_of(sent.max(1))).sqrt();
    Ok((lost, asked, (asked * LOSS_OFF).max(3.0 * deviation)))
}

/// Doubles and then refines the rate at which every host sends to the next one, until packets come late or not at all.
fn sustain(lasts: Duration) -> Result<(), LabError> {
    say("\nwhat the emulator sustains: full packets, every host to the next one, on links that are never the limit");
    say("hosts  Mbit/s in all  packets/s  emulator's processor  late    overrun  arrived");
    for hosts in [2, 8] {
        let (mut good, mut bad) = (None::<(u64, String)>, u64::MAX);
        // From 100 Mbit/s in all; after the first failure, half way between what went and what did not, three times.
        let (mut rate, mut refined) = (12_500_000, 0);
        while refined < 3 && rate < 10 * Rate::GIGABIT.0 {
            let (line, passes) = load(hosts, Rate(rate), lasts)?;
            if passes {
                good = Some((rate, line));
            } else {
                bad = bad.min(rate);
            }
            let reached = good.as_ref().map_or(0, |(rate, _)| *rate);
            refined += usize::from(bad < u64::MAX);
            rate = if bad < u64::MAX { reached.midpoint(bad) } else { reached * 2 };
        }
        say(good.map_or_else(|| format!("{hosts:>5}  not even 100 Mbit/s: free the machine"), |(_, line)| line));
    }
    Ok(())
}

/// Lets `hosts` hosts send so much together; what came of it, and whether the emulator kept up.
fn load(hosts: usize, rate: Rate, lasts: Duration) -> Result<(String, bool), LabError> {
    // A delay, so that packets are held as they are in any scenario that needs the emulator.
    let link = Link { delay: Duration::from_millis(5), ..Link::FREE };
    let lab = Lab::up_on(
        Backend::Emulator,
        &Topology::new((0..hosts).map(|at| Host::new(at.to_string(), link, Link::FREE)).collect()),
    )?;
    let floods: Vec<Flood> = std::thread::scope(|scope| {
        let one = |from: usize| {
            let (lab, pair) = (&lab, (from, (from + 1) % hosts));
            let share = Rate(rate.0 / hosts as u64);
            scope.spawn(move || probe::flood(lab, pair, share, FULL, lasts, Duration::from_millis(200)))
        };
        let all: Vec<_> = (0..hosts).map(one).collect();
        all.into_iter().map(|one| one.join().expect("a probe returns its errors")).collect::<Result<_, _>>()
    })?;
    let Strain { packets, late, busy, overrun, .. } = lab.strain()?.unwrap_or_default();
    let (sent, received) = floods.iter().fold((0, 0), |(s, r), flood| (s + flood.sent, r + flood.received));
    let seconds = lasts.as_secs_f64();
    let arrived = f64_of(received) / f64_of(sent.max(1));
    let offered = f64_of(sent * FULL_BYTES) / seconds / f64_of(rate.0);
    let late_share = f64_of(late) / f64_of(packets.max(1));
    let line = format!(
        "{hosts:>5}  {:>13.0}  {:>9.0}  {:>18.0} %  {:>5.2} %  {overrun:>6}  {:>6.2} %",
        mbit(f64_of(received * FULL_BYTES) / seconds),
        f64_of(received) / seconds,
        100.0 * busy.as_secs_f64() / seconds,
        100.0 * late_share,
        100.0 * arrived
    );
    Ok((line, overrun == 0 && arrived > 0.999 && late_share < 0.01 && offered > 0.98))
}

fn median(trips: &[Duration]) -> Duration {
    let mut sorted = trips.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn mean(trips: &[Duration]) -> Duration {
    trips.iter().sum::<Duration>() / u32::try_from(trips.len().max(1)).unwrap_or(u32::MAX)
}

fn name(backend: Backend) -> &'static str {
    match backend {
        Backend::Kernel => "kernel",
        Backend::Emulator => "emulator",
    }
}

fn mbit(bytes: f64) -> f64 {
    bytes * 8.0 / 1e6
}

fn ms(span: Duration) -> f64 {
    1000.0 * span.as_secs_f64()
}

#[allow(clippy::cast_precision_loss)] // counts and rates far below 2^52
fn f64_of(count: u64) -> f64 {
    count as f64
}
