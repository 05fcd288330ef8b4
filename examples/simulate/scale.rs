//! Scale: what one machine costs among few and among many, and a fleet to which everything happens at once.
//!
//! What a machine decides per input and what it keeps in memory must depend on its neighbours and on the content, and not on how many
//! machines there are. So the same content goes to more and more of them, and one peer and the publisher are looked at each time.
//!
//! Invariant: the time per input is processor time of a machine that runs alone (`sim::Recording`); the least of some repetitions counts,
//! as whatever else happens on the computer only adds to it.
//!
//! Not here: how the curves are drawn (`curves`).

use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use rustix::time::{ClockId, clock_gettime};
use strew::chunk::automatic_chunk_size;
use strew::sim::{self, Rate, Recording, Report, Scenario, Shape};
use strew::units::Bytes;

use crate::curves::{Curve, Panel, draw};
use crate::{figures, say, size};

/// The links of a fleet, in bytes per second.
const TEN_GIGABIT: Rate = Rate(1_250_000_000);
/// Repetitions of a machine of which the quickest counts.
const REPETITIONS: usize = 5;

#[derive(Args)]
pub(crate) struct Growth {
    /// Numbers of peers beside the publisher.
    #[arg(long, value_delimiter = ',', default_value = "8,32,128,512,1000")]
    peers: Vec<usize>,
    /// Size of the content, the same for all.
    #[arg(long, default_value = "1GiB")]
    size: String,
    /// Size of a chunk.
    #[arg(long, default_value = "1MiB")]
    chunk: String,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Draw the growth with the number of peers into this file.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Write the figures into this file.
    #[arg(long)]
    csv: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Fleet {
    /// Number of peers beside the publisher.
    #[arg(long, default_value_t = 1000)]
    peers: usize,
    /// Size of the content.
    #[arg(long, default_value = "100GiB")]
    size: String,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What does not happen, to see what it costs.
    #[arg(long, value_delimiter = ',')]
    without: Vec<Trouble>,
}

/// What happens in a fleet.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Trouble {
    Joins,
    Churn,
    Liars,
    Zones,
}

/// What was measured among one number of peers.
struct Row {
    peers: usize,
    chunks: u32,
    report: Report,
    peer: Cost,
    publisher: Cost,
    took: Duration,
    /// The most memory of the simulator itself so far.
    process: Option<Bytes>,
}

/// What one machine costs.
struct Cost {
    inputs: usize,
    nanos: f64,
    neighbours: usize,
    memory: Bytes,
}

/// Measures the growth; whether all runs converged.
pub(crate) fn growth(args: &Growth) -> Result<bool, String> {
    let (total, chunk) = (size(&args.size)?, size(&args.chunk)?);
    say(
        "    N  chunks  efficiency  copies  control  inputs/chunk  ns/input  neighbours   memory  publisher: ns/input  neighbours   memory  simulated in",
    );
    let mut rows = Vec::new();
    for peers in &args.peers {
        let row = measure(*peers, total, chunk, args.seed)?;
        say(&row.line());
        rows.push(row);
        // After every row, as the large ones take long.
        if let Some(file) = &args.csv {
            write(file, &table(&rows))?;
        }
        if let Some(file) = &args.svg {
            write(file, &picture(&rows, total, chunk))?;
        }
    }
    Ok(rows.iter().all(|row| row.report.converged()))
}

/// Runs a fleet; whether it converged.
pub(crate) fn fleet(args: &Fleet) -> Result<bool, String> {
    let (total, seed) = (size(&args.size)?, args.seed);
    let chunk = Bytes(automatic_chunk_size(total.0));
    let mut scenario = Scenario::fleet(TEN_GIGABIT, args.peers, total, chunk, seed);
    for trouble in &args.without {
        scenario.hosts.iter_mut().for_each(|host| match trouble {
            Trouble::Joins => host.joins = Duration::ZERO,
            Trouble::Churn => host.outages.clear(),
            Trouble::Liars => host.lie = None,
            Trouble::Zones => host.zone = 0,
        });
    }
    let began = Instant::now();
    let report = sim::run(&scenario, seed);
    let figures = figures(&report, began.elapsed());
    say(&format!("fleet N={} {total} in chunks of {chunk} seed={seed}: {figures}", args.peers));
    if let Some(memory) = memory_of_process() {
        say(&format!("memory of the simulator: {memory}"));
    }
    if !report.converged() {
        say(&format!("not complete: {}", report.shortfall()));
    }
    Ok(report.converged())
}

fn measure(peers: usize, total: Bytes, chunk: Bytes, seed: u64) -> Result<Row, String> {
    let (scenario, began) = (Scenario::shaped(Shape::Homogeneous, peers, total, chunk, seed), Instant::now());
    // The publisher, and the last peer.
    let (report, recordings) = sim::record(&scenario, seed, &[0, peers]);
    let took = began.elapsed();
    let [publisher, peer] = &recordings[..] else { return Err("there is no content without peers".into()) };
    let chunks = u32::try_from(total.0.div_ceil(chunk.0)).unwrap_or(u32::MAX);
    let (peer, publisher) = (Cost::of(peer), Cost::of(publisher));
    Ok(Row { peers, chunks, report, peer, publisher, took, process: memory_of_process() })
}

impl Cost {
    fn of(recording: &Recording) -> Self {
        let once = || {
            let copy = recording.clone();
            let began = processor_time();
            let swarm = copy.repeat();
            let took = processor_time() - began;
            drop(swarm);
            took
        };
        let quickest = (0..REPETITIONS).map(|_| once()).min().unwrap_or_default();
        let inputs = recording.inputs();
        let (neighbours, memory) = (recording.clone().neighbours(), recording.clone().peak());
        Self { inputs, nanos: quickest.as_secs_f64() * 1e9 / inputs.max(1) as f64, neighbours, memory }
    }
}

impl Row {
    fn line(&self) -> String {
        let (peer, publisher) = (&self.peer, &self.publisher);
        format!(
            "{:>5} {:>7} {:>9.1} % {:>7.3} {:>6.3} % {:>13.1} {:>9.0} {:>11} {:>8} {:>20.0} {:>11} {:>8} {:>10.1} s",
            self.peers,
            self.chunks,
            100.0 * self.report.efficiency(),
            self.report.publisher_copies,
            100.0 * self.report.control_share(),
            peer.inputs as f64 / f64::from(self.chunks),
            peer.nanos,
            peer.neighbours,
            peer.memory.to_string(),
            publisher.nanos,
            publisher.neighbours,
            publisher.memory.to_string(),
            self.took.as_secs_f64(),
        )
    }
}

/// The rows as comma-separated values.
fn table(rows: &[Row]) -> String {
    let mut text = "peers,chunks,efficiency,publisher_copies,control_share,inputs,ns_per_input,neighbours,bytes,\
                    publisher_inputs,publisher_ns_per_input,publisher_neighbours,publisher_bytes,events,seconds,simulator_bytes\n"
        .to_owned();
    for row in rows {
        let (report, peer, publisher) = (&row.report, &row.peer, &row.publisher);
        let cost = |cost: &Cost| format!("{},{:.1},{},{}", cost.inputs, cost.nanos, cost.neighbours, cost.memory.0);
        let _ = writeln!(
            text,
            "{},{},{:.4},{:.4},{:.6},{},{},{},{:.1},{}",
            row.peers,
            row.chunks,
            report.efficiency(),
            report.publisher_copies,
            report.control_share(),
            cost(peer),
            cost(publisher),
            report.events,
            row.took.as_secs_f64(),
            row.process.map_or_else(String::new, |bytes| bytes.0.to_string()),
        );
    }
    text
}

/// The growth of time and memory as curves.
fn picture(rows: &[Row], total: Bytes, chunk: Bytes) -> String {
    let curve = |name: &str, of: &dyn Fn(&Row) -> f64| Curve {
        name: name.to_owned(),
        points: rows.iter().map(|row| (row.peers as f64, of(row))).collect(),
    };
    let kib = |bytes: Bytes| bytes.0 as f64 / 1024.0;
    let time = Panel {
        title: "nanoseconds per input".into(),
        curves: vec![curve("publisher", &|row| row.publisher.nanos), curve("peer", &|row| row.peer.nanos)],
    };
    let memory = Panel {
        title: "KiB of memory".into(),
        curves: vec![curve("publisher", &|row| kib(row.publisher.memory)), curve("peer", &|row| kib(row.peer.memory))],
    };
    draw(&format!("One machine's decisions among N peers ({total} in chunks of {chunk})"), "peers", &[time, memory])
}

fn write(file: &PathBuf, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

/// Time for which a processor has worked for this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let [seconds, nanos] = [time.tv_sec, time.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    Duration::from_secs(seconds) + Duration::from_nanos(nanos)
}

/// The most memory that this process has had, where the system says so.
fn memory_of_process() -> Option<Bytes> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(Bytes(kib << 10))
}
