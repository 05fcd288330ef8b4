//! Runs the simulator and prints what it showed, one line per run: efficiency, publisher copies, control traffic.
//!
//! `cargo run --release --example simulate -- --shape homogeneous --peers 32 --chunk 1MiB --seed 1`
//!
//! A run in which somebody did not become complete ends with exit code 1 and the command that repeats it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use strew::sim::{self, Report, Scenario, Shape};
use strew::units::{Bytes, parse_bytes, parse_duration};

/// Simulates the distribution of a content from one publisher to many peers.
#[derive(Parser)]
struct Args {
    /// homogeneous, seeder-quarter, slow, slow-uplinks, failing, arrivals, or random (then only --seed and --runs count)
    #[arg(long, default_value = "homogeneous")]
    shape: String,
    /// Number of peers beside the publisher.
    #[arg(long, default_value_t = 32)]
    peers: usize,
    /// Size of the content.
    #[arg(long, default_value = "1GiB")]
    size: String,
    /// Size of a chunk; several are tried one after the other.
    #[arg(long, default_value = "256KiB,1MiB", value_delimiter = ',')]
    chunk: Vec<String>,
    /// Round trip between any two machines.
    #[arg(long, default_value = "500us")]
    round_trip: String,
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
    /// Check every machine's invariants after every input.
    #[arg(long)]
    check: bool,
}

#[allow(clippy::print_stdout, clippy::print_stderr)] // an example's output is its purpose
fn main() -> ExitCode {
    let args = Args::parse();
    let mut failed = false;
    for chunk in &args.chunk {
        let mut efficiencies = Vec::new();
        for seed in args.seed..args.seed + args.runs {
            let scenario = match scenario(&args, chunk, seed) {
                Ok(scenario) => scenario,
                Err(message) => {
                    eprintln!("{message}");
                    return ExitCode::from(2);
                }
            };
            let began = Instant::now();
            let report = sim::run(&scenario, seed);
            print_line(&args, chunk, seed, &report, began.elapsed());
            efficiencies.push(report.efficiency());
            if !report.converged() {
                failed = true;
                println!("not complete: {}", report.shortfall());
                println!("repeat with: cargo run --release --example simulate -- {}", replay(&args, chunk, seed));
            }
        }
        efficiencies.sort_by(f64::total_cmp);
        println!("{chunk}: median efficiency {:.1} %", 100.0 * efficiencies[efficiencies.len() / 2]);
    }
    ExitCode::from(u8::from(failed))
}

fn scenario(args: &Args, chunk: &str, seed: u64) -> Result<Scenario, String> {
    let bytes =
        |text: &str| parse_bytes(text).map(Bytes).map_err(|error| format!("cannot read {text:?} as a size: {error}"));
    let duration =
        |text: &str| parse_duration(text).map_err(|error| format!("cannot read {text:?} as a time: {error}"));
    let mut scenario = if args.shape == "random" {
        Scenario::random(seed)
    } else {
        let shape = Shape::ALL.iter().find(|(name, _)| *name == args.shape).map(|(_, shape)| *shape);
        let shape = shape.ok_or_else(|| format!("there is no shape {:?}; see --help", args.shape))?;
        let mut scenario = Scenario::shaped(shape, args.peers, bytes(&args.size)?, bytes(chunk)?, seed);
        scenario.round_trip = duration(&args.round_trip)?;
        scenario.check = args.check;
        scenario
    };
    scenario.config.uploads_at_once = args.uploads.unwrap_or(scenario.config.uploads_at_once);
    scenario.config.window_max = args.window.unwrap_or(scenario.config.window_max);
    Ok(scenario)
}

#[allow(clippy::print_stdout)] // as above
fn print_line(args: &Args, chunk: &str, seed: u64, report: &Report, took: Duration) {
    println!(
        "{} N={} {chunk} seed={seed}: {:.1} % ({:.3} s, bound {:.3} s), publisher {:.3} copies ({} in its first pass), \
         control {}, duplicates {} of {}, {} events in {:.1} s, trace {:016x}",
        args.shape,
        args.peers,
        100.0 * report.efficiency(),
        report.makespan.as_secs_f64(),
        report.bound.as_secs_f64(),
        report.publisher_copies,
        report.first_pass_copies.map_or_else(|| "-".to_owned(), |copies| format!("{copies:.3}")),
        report.control,
        report.duplicates,
        report.fetched,
        report.events,
        took.as_secs_f64(),
        report.trace,
    );
}

/// The arguments that repeat one run.
fn replay(args: &Args, chunk: &str, seed: u64) -> String {
    if args.shape == "random" {
        return format!("--shape random --chunk {chunk} --seed {seed}");
    }
    let mut command = format!(
        "--shape {} --peers {} --size {} --chunk {chunk} --round-trip {} --seed {seed} --check",
        args.shape, args.peers, args.size, args.round_trip
    );
    args.uploads.iter().for_each(|uploads| command += &format!(" --uploads {uploads}"));
    args.window.iter().for_each(|window| command += &format!(" --window {window}"));
    command
}
