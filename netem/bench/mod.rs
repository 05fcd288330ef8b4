//! Bench: programs that replicate, raced over the same links.
//!
//! A scenario says what is there, a contender how a program is started, and here the two are joined: for every data set of a scenario,
//! run by run, one contender after the other, so that whatever else the machine does meanwhile meets all of them. Everything lies in
//! memory, every copy is compared with its source, and a table, lines of JSON and pictures tell what happened.
//!
//! Invariant: no figure comes from a run whose copies were not verified.
//!
//! Not here: the links (`lab`). `README.md` says how to read the table.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

mod bound;
mod busy;
mod calls;
mod contender;
mod data;
mod draw;
mod events;
mod faults;
mod outcome;
mod picture;
mod plan;
mod process;
mod quantity;
mod race;
mod record;
mod scenario;
mod scratch;
mod table;

use contender::{Contender, ContenderError};
use data::Tree;
use plan::Plan;
use race::RaceError;
use record::Record;
use scenario::{DataKind, Scenario, ScenarioError};
pub(crate) use scratch::Scratch;
use scratch::ScratchError;
use table::Cell;

/// The seed of all data sets: everybody who runs a scenario replicates the same bytes.
const DATA_SEED: u64 = 4;
/// What the scratch space has beyond the source and all copies: a tenth of them and 64 MiB, for folders, journals and what is
/// preallocated.
const SLACK_SHARE: u64 = 10;
const SLACK: u64 = 64 << 20;

/// What `bench` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Scenarios, by name or path; without any, they are listed.
    scenarios: Vec<String>,
    /// Only these contenders, by name or path, instead of those that the scenario names.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Runs of each contender, instead of what the scenario says.
    #[arg(long)]
    runs: Option<usize>,
    /// Only this kind of data: file or tree.
    #[arg(long)]
    data: Option<String>,
    /// Append a line of JSON for each run.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write a picture of the typical run of each cell into this folder.
    #[arg(long)]
    picture: Option<PathBuf>,
    /// Put sources and copies into this folder of a disk instead of memory.
    #[arg(long)]
    disk: Option<PathBuf>,
    /// Count system calls with perf(1), which costs some time of each.
    #[arg(long)]
    calls: bool,
    /// Print what the others cost beside this contender.
    #[arg(long)]
    against: Option<String>,
    /// The strew to run [default: the one beside this program].
    #[arg(long)]
    strew: Option<PathBuf>,
}

/// Why a bench cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error(transparent)]
    Contender(#[from] ContenderError),
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    #[error(transparent)]
    Race(#[from] RaceError),
    #[error("there is no {kind} {name:?}; there are: {known}")]
    Unknown { kind: &'static str, name: String, known: String },
    #[error("there is no strew at {path}; build it with `cargo build --release`, or name one with --strew")]
    NoStrew { path: PathBuf },
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: std::io::Error },
}

/// Runs what was asked for; whether everything that scenarios hope for was reached.
pub(crate) fn run(options: &Options) -> Result<bool, BenchError> {
    let scenarios =
        options.scenarios.iter().map(|name| Scenario::read(&named("scenario", name)?).map_err(BenchError::from));
    let scenarios: Vec<Scenario> = scenarios.collect::<Result<_, _>>()?;
    if scenarios.is_empty() {
        return list();
    }
    let mut good = true;
    for scenario in &scenarios {
        let contenders = contenders(options, scenario)?;
        if contenders.is_empty() {
            continue;
        }
        say(&format!("\n{}: {}", scenario.name, scenario.about));
        for data in &scenario.data {
            if options.data.as_ref().is_none_or(|wanted| *wanted == data.name()) {
                good &= series(options, scenario, &contenders, *data)?;
            }
        }
    }
    Ok(good)
}

/// All runs of a scenario on one data set; whether what it hopes for was reached.
fn series(
    options: &Options,
    scenario: &Scenario,
    contenders: &[(Contender, PathBuf)],
    data: DataKind,
) -> Result<bool, BenchError> {
    let machines = scenario.machines();
    let bytes = scenario.size.0 * machines.len() as u64;
    let scratch = match &options.disk {
        Some(folder) => Scratch::within(folder)?,
        None => Scratch::new(bytes + bytes / SLACK_SHARE + SLACK)?,
    };
    let source = scratch.path().join("source");
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| BenchError::Write { path, source }
    };
    data::make(&source, data, scenario.size.0, scenario.small_files, DATA_SEED).map_err(failed(&source))?;
    let read = |modes| Tree::read(&source, &[], modes).map_err(failed(&source));
    let (tree, tree_without_modes) = (read(true)?, read(false)?);
    let calm = scenario.calm();
    let variants: Vec<(&Scenario, bool)> =
        if scenario.calm_twin { vec![(&calm, true), (scenario, false)] } else { vec![(scenario, false)] };
    let mut records: Vec<Record> = Vec::new();
    let mut pictures: Vec<Option<picture::Picture>> = Vec::new();
    for run in 1..=options.runs.unwrap_or(scenario.runs) {
        for (contender, program) in contenders {
            for (scenario, calm) in &variants {
                let folder = scratch.path().join("run");
                fs::create_dir_all(&folder).map_err(failed(&folder))?;
                let plan = Plan {
                    scenario,
                    calm: *calm,
                    contender,
                    program,
                    data,
                    source: &source,
                    tree: if contender.modes { &tree } else { &tree_without_modes },
                    folder: &folder,
                    run,
                    counts: options.calls,
                    machines: machines.clone(),
                };
                let trail = race::run(&plan)?;
                let record = outcome::of(&plan, &trail);
                tell(options, &record)?;
                pictures.push(draw::picture(&plan, &trail, &record));
                records.push(record);
                fs::remove_dir_all(&folder).map_err(failed(&folder))?;
            }
        }
    }
    report(options, scenario, contenders, data, &records, &pictures)
}

/// Says how a run went, and appends its line of JSON.
fn tell(options: &Options, record: &Record) -> Result<(), BenchError> {
    let wave = record.last();
    let figures = match (&record.problem, wave.and_then(|wave| wave.efficiency.zip(wave.makespan))) {
        (None, Some((efficiency, makespan))) => {
            format!(
                "{makespan:.2} s, efficiency {efficiency:.3}, copies {:.3}, busy {:.2}",
                record.copies(),
                record.busy
            )
        }
        (problem, _) => problem.clone().unwrap_or_else(|| "not complete".to_owned()),
    };
    let calm = if record.calm { " without faults" } else { "" };
    say(&format!("  run {} {} {}{calm}: {figures}", record.run, record.data, record.contender));
    let Some(path) = &options.json else { return Ok(()) };
    let failed = |source| BenchError::Write { path: path.clone(), source };
    let mut file = File::options().create(true).append(true).open(path).map_err(failed)?;
    let line = serde_json::to_string(record).map_err(|error| failed(error.into()))?;
    writeln!(file, "{line}").map_err(failed)
}

/// Prints the table of a series and writes its pictures.
fn report(
    options: &Options,
    scenario: &Scenario,
    contenders: &[(Contender, PathBuf)],
    data: DataKind,
    records: &[Record],
    pictures: &[Option<picture::Picture>],
) -> Result<bool, BenchError> {
    let mut good = true;
    say(table::HEAD);
    let cell_of = |name: &str| {
        let of = |calm: bool| records.iter().filter(move |record| record.contender == *name && record.calm == calm);
        let title = format!("{} {} {name}", scenario.name, data.name());
        Cell { title, runs: of(false).collect(), calm: of(true).collect() }
    };
    for (contender, _) in contenders {
        let cell = cell_of(&contender.name);
        say(&cell.lines(&scenario.aims));
        // A rival is there for comparison; only strew can fail a scenario.
        good &= contender.name != "strew" || cell.missed(&scenario.aims).is_empty();
        let typical = cell.typical().and_then(|at| cell.runs.get(at).copied());
        let at = typical.and_then(|typical| records.iter().position(|record| std::ptr::eq(record, typical)));
        if let (Some(folder), Some(Some(picture))) = (&options.picture, at.and_then(|at| pictures.get(at))) {
            let path = folder.join(format!("{}-{}-{}.svg", scenario.name, data.name(), contender.name));
            let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, picture.svg()));
            written.map_err(|source| BenchError::Write { path, source })?;
        }
    }
    if let Some(other) = &options.against {
        let other = cell_of(other);
        contenders
            .iter()
            .filter_map(|(contender, _)| cell_of(&contender.name).beside(&other))
            .for_each(|line| say(&line));
    }
    Ok(good)
}

/// The contenders of a scenario with their programs; what is not installed is passed over with a word.
fn contenders(options: &Options, scenario: &Scenario) -> Result<Vec<(Contender, PathBuf)>, BenchError> {
    let names = if options.only.is_empty() { &scenario.contenders } else { &options.only };
    let mut found = Vec::new();
    for name in names {
        let mut contender = Contender::read(&named("contender", name)?)?;
        if contender.program == "strew" {
            let path = options.strew.clone().map_or_else(beside, Some).unwrap_or_else(|| PathBuf::from("strew"));
            if !path.is_file() {
                return Err(BenchError::NoStrew { path });
            }
            contender.program = path.to_string_lossy().into_owned();
        }
        let missing = contender.missing();
        match contender::find(&contender.program).filter(|_| missing.is_empty()) {
            Some(program) => found.push((contender, program)),
            None => say(&format!("{name} is passed over: {} is not installed", missing.join(", "))),
        }
    }
    Ok(found)
}

/// The strew that cargo puts beside its folder of examples.
fn beside() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    Some(own.parent()?.parent()?.join("strew"))
}

/// The file of a scenario or contender: a path, or a name of those that the project has.
fn named(kind: &'static str, name: &str) -> Result<PathBuf, BenchError> {
    let path = PathBuf::from(name);
    if path.is_file() {
        return Ok(path);
    }
    let known = known(kind);
    let found = known.iter().find(|path| path.file_stem().is_some_and(|stem| stem == name));
    found.cloned().ok_or_else(|| {
        let stems = known.iter().filter_map(|path| path.file_stem()).map(|stem| stem.to_string_lossy());
        BenchError::Unknown { kind, name: name.to_owned(), known: stems.collect::<Vec<_>>().join(", ") }
    })
}

/// The files of a kind that the project has, by name.
fn known(kind: &str) -> Vec<PathBuf> {
    let project =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let entries = fs::read_dir(project.join("netem").join(format!("{kind}s")));
    let mut paths: Vec<PathBuf> = entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    paths
}

/// Lists scenarios and contenders.
fn list() -> Result<bool, BenchError> {
    say("scenarios:");
    for path in known("scenario") {
        let scenario = Scenario::read(&path)?;
        say(&format!("  {:<18} {}", scenario.name, scenario.about));
    }
    say("contenders:");
    for path in known("contender") {
        let contender = Contender::read(&path)?;
        let missing = if contender.program == "strew" { Vec::new() } else { contender.missing() };
        let is = if missing.is_empty() { String::new() } else { format!("not installed: {}", missing.join(", ")) };
        say(&format!("  {:<18} {is}", contender.name));
    }
    Ok(true)
}

#[allow(clippy::print_stdout)] // the table is what a bench is for
fn say(line: &str) {
    println!("{line}");
}
