//! Runs the simulator and prints what it showed: how near the swarm comes to the bound, and that it gets there at all.
//!
//! `cargo run --release --example simulate -- --shape homogeneous --peers 32 --chunk 1MiB --seed 1` is one run of a shape;
//! `… -- table` prints the whole efficiency table beside the reference (`--big`: with a thousand peers, a row each);
//! `… -- seed 17` repeats a random run with every invariant checked (`--runs 1000`: that one and those after it; `--zones`: in several
//! zones);
//! `… -- scale` measures what one machine costs among more and more peers; `… -- fleet` lets everything happen at once to a thousand;
//! `… -- replay FILE…` repeats what real nodes did, from the traces of `strew --trace`, and says where their time went.
//!
//! Exit code 1: a cell is below its reference, somebody did not become complete, somebody honest was banned, or a repeated run was
//! another one. The command that repeats such a run is printed. Exit code 2: a word or a file cannot be used.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use strew::sim::replay::{Run, summary};
use strew::sim::{self, Cell, Measured, Rate, Report, Rung, SEEDS, SLACK, Scenario, Shape};
use strew::units::{Bytes, parse_bytes, parse_duration};

#[path = "simulate/curves.rs"]
mod curves;
#[path = "simulate/scale.rs"]
mod scale;

/// Simulates the distribution of a content from its publishers to many peers.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    shaped: Shaped,
}

#[derive(Subcommand)]
enum Command {
    /// Measure every cell of the efficiency table, the median of five seeds, beside the reference.
    Table {
        /// A thousand peers, one seed.
        #[arg(long)]
        big: bool,
        /// Only this shape.
        #[arg(long)]
        shape: Option<String>,
        /// Only this number of peers.
        #[arg(long)]
        peers: Option<usize>,
        /// Cells that run at a time.
        #[arg(long, default_value_t = 2)]
        threads: usize,
    },
    /// Repeat the random run of a seed.
    Seed {
        /// The seed.
        seed: u64,
        /// Number of seeds, from this one on.
        #[arg(long, default_value_t = 1)]
        runs: u64,
        /// Among machines in several zones.
        #[arg(long)]
        zones: bool,
    },
    /// Measure what the decisions of one machine cost, in time and memory, among more and more peers.
    Scale(scale::Growth),
    /// Let peers in four zones join, die, come back, freeze and lie all at once, with links of 10 Gbit/s and the automatic chunk size.
    Fleet(scale::Fleet),
    /// Repeat what nodes did, from their traces, and say where the time went; several files of one transfer also together.
    Replay {
        /// Files of `strew --trace`.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

#[derive(Args)]
struct Shaped {
    /// homogeneous, thin-links, seeder-quarter, slow, slow-uplinks, arrivals, dying, dying-third, freezing, two-publishers, four-publishers, publisher-dies, two-regions, two-regions-wide, lone-publisher, slow-in-zone, slow-copy-in-zone or alone-in-zone.
    #[arg(long, default_value = "homogeneous")]
    shape: String,
    /// Number of peers beside the publishers.
    #[arg(long, default_value_t = 32)]
    peers: usize,
    /// Size of the content.
    #[arg(long, default_value = "1GiB")]
    size: String,
    /// Size of a chunk; several are tried one after the other.
    #[arg(long, default_value = "256KiB,1MiB", value_delimiter = ',')]
    chunk: Vec<String>,
    /// Round trip between any two machines; 500us unless a link says another one.
    #[arg(long)]
    round_trip: Option<String>,
    /// A link of netem/links.csv, for its rate and its round trip; there is no loss here.
    #[arg(long)]
    link: Option<String>,
    /// First seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of seeds, from the first one on.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Chunks that a machine sends at once.
    #[arg(long)]
    uploads: Option<usize>,
    /// Largest number of chunks asked of one neighbour at a time.
    #[arg(long)]
    window: Option<u32>,
    /// Do not tell machines their zones.
    #[arg(long)]
    no_zones: bool,
    /// Check every machine's invariants after every input.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let good = match arguments.command {
        None => run_shaped(&arguments.shaped),
        Some(Command::Seed { seed, runs, zones }) => Ok(run_random(seed, runs, zones)),
        Some(Command::Replay { files }) => repeat(&files),
        Some(Command::Scale(growth)) => scale::growth(&growth),
        Some(Command::Fleet(fleet)) => scale::fleet(&fleet),
        Some(Command::Table { big, shape, peers, threads }) => {
            let mut cells = sim::cells(big);
            cells.retain(|cell| shape.as_ref().is_none_or(|name| *name == cell.shape.name()));
            cells.retain(|cell| peers.is_none_or(|peers| peers == cell.peers));
            Ok(run_table(&cells, if big { &SEEDS[..1] } else { &SEEDS }, threads))
        }
    };
    match good {
        Ok(good) => ExitCode::from(u8::from(!good)),
        Err(message) => {
            say(&message);
            ExitCode::from(2)
        }
    }
}

#[allow(clippy::print_stdout)] // an example's output is its purpose
fn say(line: &str) {
    println!("{line}");
}

/// Measures the cells side by side and prints each as soon as those before it are known; whether all are reached.
fn run_table(cells: &[Cell], seeds: &[u64], threads: usize) -> bool {
    say(&format!("median of seeds {seeds:?}; a cell may be {SLACK} points below its reference"));
    say("shape           chunk      N   median  reference  difference  copies (at most)  crossings  sent in vain");
    let next = AtomicUsize::new(0);
    let printed = Mutex::new((0, BTreeMap::new(), true));
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, cells.len().max(1)) {
            scope.spawn(|| {
                while let Some((index, cell)) = take(cells, &next) {
                    let reports: Vec<Report> = seeds.iter().map(|seed| cell.run(*seed)).collect();
                    let measured = Cell::measure(&reports);
                    let mut state = printed.lock().expect("no thread panics while it prints");
                    let (first, lines, good) = &mut *state;
                    *good &= cell.is_reached(&measured);
                    lines.insert(index, cell_line(cell, &measured));
                    while let Some(line) = lines.remove(first) {
                        say(&line);
                        *first += 1;
                    }
                }
            });
        }
    });
    printed.into_inner().expect("every thread has ended well").2
}

fn take<'a>(cells: &'a [Cell], next: &AtomicUsize) -> Option<(usize, &'a Cell)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, cells.get(index)?))
}

fn cell_line(cell: &Cell, measured: &Measured) -> String {
    let reference = cell.reference.map_or_else(|| "-".to_owned(), |reference| format!("{reference:.1}"));
    let difference =
        cell.reference.map_or_else(|| "-".to_owned(), |reference| format!("{:+.1}", measured.efficiency - reference));
    let most = cell.copies.map_or_else(|| "-".to_owned(), |most| format!("{most:.2}"));
    let verdict = match (cell.is_reached(measured), measured.converged) {
        (true, _) => "",
        (false, true) => "  BELOW",
        (false, false) => "  NOT COMPLETE",
    };
    format!(
        "{:<15} {:>7} {:>5}  {:>7.1}  {reference:>9}  {difference:>10}  {:>6.3} ({most:>4})  {:>14.3}  {:>12.2} %{verdict}",
        cell.shape.name(),
        // Without the fraction that sizes are shown with.
        cell.chunk.to_string().replace(".0", ""),
        cell.peers,
        measured.efficiency,
        measured.copies,
        measured.crossings,
        100.0 * measured.waste,
    )
}

/// Repeats traces; whether each repeated run was the same.
fn repeat(files: &[PathBuf]) -> Result<bool, String> {
    let mut runs = Vec::new();
    for file in files {
        let name = file.display();
        let bytes = std::fs::read(file).map_err(|error| format!("cannot read {name}: {error}"))?;
        let replayed = sim::replay::replay(&bytes).map_err(|error| format!("{name}: {error}"))?;
        if replayed.cut {
            say(&format!("{name}: the last line is cut off and does not count"));
        }
        if replayed.runs.is_empty() {
            say(&format!("{name}: nothing; the node had no content yet"));
        }
        replayed.runs.iter().for_each(|run| say(&format!("{name}: {run}")));
        runs.extend(replayed.runs);
    }
    if runs.len() > 1 {
        say(&summary(&runs.iter().collect::<Vec<_>>()));
    }
    Ok(runs.iter().all(Run::is_equal))
}

/// Runs random scenarios; whether all converged.
fn run_random(first: u64, runs: u64, zones: bool) -> bool {
    let (mut good, mut lost, mut slowest) = (true, 0, (0.0, first));
    for seed in first..first.saturating_add(runs) {
        let random = if zones { Scenario::random_with_zones } else { Scenario::random };
        let (scenario, began) = (random(seed), Instant::now());
        let report = sim::run(&scenario, seed);
        if runs == 1 {
            scenario.hosts.iter().enumerate().for_each(|(index, host)| say(&format!("{index}: {host:?}")));
            say(&format!("{:?}", scenario.crossing));
        }
        if runs == 1 || !report.converged() {
            say(&format!("{} machines, seed={seed}: {}", scenario.hosts.len(), figures(&report, began.elapsed())));
        }
        if !report.converged() {
            good = false;
            say(&format!("not complete: {}", report.shortfall()));
            let zones = if zones { " --zones" } else { "" };
            say(&format!("repeat with: cargo run --release --example simulate -- seed {seed}{zones}"));
        }
        lost += u64::from(report.lost > 0);
        let times = report.makespan.as_secs_f64() / report.bound.as_secs_f64().max(0.001);
        if report.lost == 0 && times > slowest.0 {
            slowest = (times, seed);
        }
    }
    say(&format!(
        "{runs} runs: in {lost}, chunks were lost with all who held them; of the others, seed {} took longest, {:.0} times its bound",
        slowest.1, slowest.0
    ));
    good
}

/// Runs one shape; whether all runs converged.
fn run_shaped(args: &Shaped) -> Result<bool, String> {
    let mut good = true;
    for chunk in &args.chunk {
        let mut efficiencies = Vec::new();
        for seed in args.seed..args.seed.saturating_add(args.runs) {
            let (scenario, began) = (scenario(args, chunk, seed)?, Instant::now());
            let report = sim::run(&scenario, seed);
            let figures = figures(&report, began.elapsed());
            say(&format!("{} N={} {chunk} seed={seed}: {figures}", args.shape, args.peers));
            efficiencies.push(report.efficiency());
            if !report.converged() {
                good = false;
                say(&format!("not complete: {}", report.shortfall()));
                say(&format!("repeat with: cargo run --release --example simulate -- {}", replay(args, chunk, seed)));
            }
        }
        efficiencies.sort_by(f64::total_cmp);
        if let Some(median) = efficiencies.get(efficiencies.len() / 2) {
            say(&format!("{chunk}: median efficiency {:.1} %", 100.0 * median));
        }
    }
    Ok(good)
}

fn scenario(args: &Shaped, chunk: &str, seed: u64) -> Result<Scenario, String> {
    let shape = Shape::ALL.iter().find(|(name, _)| *name == args.shape).map(|(_, shape)| *shape);
    let shape = shape.ok_or_else(|| format!("there is no shape {:?}; see --help", args.shape))?;
    let link = args.link.as_deref().map(link).transpose()?;
    let rate = link.map_or(Rate::GIGABIT, |link| link.rate);
    let mut scenario = Scenario::shaped_at(rate, shape, args.peers, size(&args.size)?, size(chunk)?, seed);
    scenario.round_trip = link.map_or(scenario.round_trip, |link| link.round_trip);
    if let Some(text) = &args.round_trip {
        scenario.round_trip =
            parse_duration(text).map_err(|error| format!("cannot read {text:?} as a time: {error}"))?;
    }
    scenario.check = args.check;
    scenario.steering = !args.no_zones;
    scenario.config.uploads_at_once = args.uploads.unwrap_or(scenario.config.uploads_at_once);
    scenario.config.window_max = args.window.unwrap_or(scenario.config.window_max);
    Ok(scenario)
}

fn link(name: &str) -> Result<Rung, String> {
    let names = || Rung::all().iter().map(|rung| rung.name).collect::<Vec<_>>().join(", ");
    Rung::named(name).ok_or_else(|| format!("there is no link {name:?}; there are {}", names()))
}

fn size(text: &str) -> Result<Bytes, String> {
    parse_bytes(text).map(Bytes).map_err(|error| format!("cannot read {text:?} as a size: {error}"))
}

fn figures(report: &Report, took: Duration) -> String {
    format!(
        "{:.1} % ({:.3} s, bound {:.3} s), publishers {:.3} copies ({} in the first pass), {:.3} crossings and {:.3} back, control {} ({:.3} %), duplicates {} of {}, \
         {:.2} % sent in vain, {} events in {:.1} s, trace {:016x}",
        100.0 * report.efficiency(),
        report.makespan.as_secs_f64(),
        report.bound.as_secs_f64(),
        report.publisher_copies,
        report.first_pass_copies.map_or_else(|| "-".to_owned(), |copies| format!("{copies:.3}")),
        report.crossings,
        report.returned,
        report.control,
        100.0 * report.control_share(),
        report.duplicates,
        report.fetched,
        100.0 * report.waste,
        report.events,
        took.as_secs_f64(),
        report.trace,
    )
}

/// The arguments that repeat one run of a shape.
fn replay(args: &Shaped, chunk: &str, seed: u64) -> String {
    let mut command = format!(
        "--shape {} --peers {} --size {} --chunk {chunk} --seed {seed} --check",
        args.shape, args.peers, args.size
    );
    args.round_trip.iter().for_each(|round_trip| command += &format!(" --round-trip {round_trip}"));
    args.link.iter().for_each(|link| command += &format!(" --link {link}"));
    command += if args.no_zones { " --no-zones" } else { "" };
    args.uploads.iter().for_each(|uploads| command += &format!(" --uploads {uploads}"));
    args.window.iter().for_each(|window| command += &format!(" --window {window}"));
    command
}
