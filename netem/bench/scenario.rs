//! Scenario files: which machines, which links, what they replicate, what goes wrong meanwhile, and what is hoped for.
//!
//! A scenario says nothing about any program. It is read from TOML and checked once, so that everything after it can rely on hosts that
//! exist and shares that are shares. Machines are numbered in the order of the file; the first one is the seeder.
//!
//! Invariant: there is one seeder and at least one judged peer, waves are numbered from 1 without gaps, and every host, zone and wave that is
//! named exists.
//!
//! Not here: what the bound is (`bound`), when a fault is due (`faults`), what to start (`contender`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::quantity::{Rate, Size, Span};

/// A queue of a port as switches have it, unless the file says otherwise.
const QUEUE: Size = Size(512 << 10);

/// Everything that a scenario file says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What the file is called; not part of it.
    #[serde(skip)]
    pub(crate) name: String,
    /// In a sentence, what it is for.
    pub(crate) about: String,
    /// What is replicated; each kind is a series of runs of its own.
    #[serde(default = "one_file")]
    pub(crate) data: Vec<DataKind>,
    /// Bytes of each kind of data.
    #[serde(default = "quarter_gibibyte")]
    pub(crate) size: Size,
    /// Small files of a tree.
    #[serde(default = "two_thousand")]
    pub(crate) small_files: usize,
    /// Runs of each contender.
    #[serde(default = "five")]
    pub(crate) runs: usize,
    /// Largest packet that the links carry, in bytes.
    #[serde(default = "ethernet")]
    pub(crate) mtu: u32,
    /// Names of contenders; the command line has the last word.
    #[serde(default = "strew_alone")]
    pub(crate) contenders: Vec<String>,
    /// Machines, in groups of equals.
    pub(crate) hosts: Vec<Group>,
    /// Links between zones.
    #[serde(default)]
    pub(crate) between: Vec<Between>,
    /// Zones that accept no connection from outside.
    #[serde(default)]
    pub(crate) closed: Vec<String>,
    /// What goes wrong.
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
    /// Whether each run is repeated without its faults, to see what they cost.
    #[serde(default)]
    pub(crate) calm_twin: bool,
    /// What a good result is.
    #[serde(default)]
    pub(crate) aims: Aims,
}

/// A kind of data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DataKind {
    /// One file.
    File,
    /// Many small files and some large ones.
    Tree,
    /// Small files of one size and nothing else.
    Small,
}

/// Equal machines.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    /// What they do.
    #[serde(default)]
    pub(crate) role: Role,
    #[serde(default = "one")]
    pub(crate) count: usize,
    pub(crate) up: Rate,
    pub(crate) down: Rate,
    /// One way, on the way up and on the way down each.
    #[serde(default)]
    pub(crate) delay: Span,
    /// Share of packets that is lost, on the way up and on the way down each.
    #[serde(default)]
    pub(crate) loss: f64,
    /// Bytes that wait before the link, each way.
    #[serde(default = "port")]
    pub(crate) queue: Size,
    pub(crate) zone: Option<String>,
    /// Peers of a wave start when all judged peers of the one before are complete.
    #[serde(default = "one")]
    pub(crate) wave: usize,
    /// Whether the makespan waits for them.
    #[serde(default = "yes")]
    pub(crate) judged: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Seeder,
    #[default]
    Peer,
}

/// The link that two zones share, the same in each direction.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Between {
    pub(crate) zones: [String; 2],
    /// None where only the delay matters.
    pub(crate) rate: Option<Rate>,
    /// One way.
    #[serde(default)]
    pub(crate) delay: Span,
    #[serde(default)]
    pub(crate) loss: f64,
    #[serde(default = "port")]
    pub(crate) queue: Size,
}

/// Something that goes wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// Names of machines: `seeder`, `peer-1` and so on.
    pub(crate) hosts: Vec<String>,
    pub(crate) when: When,
    pub(crate) what: What,
}

/// When a fault happens.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum When {
    /// So long after the last start of the first wave.
    After(Span),
    /// When judged peers have received this share of the data on average.
    Share(f64),
    /// When the seeder has sent so many copies.
    Copies(f64),
    /// When this wave is complete.
    Wave(usize),
}

/// What happens then.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// SIGKILL.
    Kill,
    /// The signal with which the contender is ended.
    Leave,
    /// SIGSTOP, and SIGCONT so long after it.
    Freeze(Span),
    /// New rates of the links.
    Rate { up: Rate, down: Rate },
    /// Nothing reaches them and nothing comes from them for so long.
    Cut(Span),
}

/// What a good result is; what is absent is not asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aims {
    /// Least efficiency on payload rate.
    pub(crate) efficiency: Option<f64>,
    /// Most copies that the seeder sends.
    pub(crate) copies: Option<f64>,
    /// Most copies that cross between zones, for each zone without the seeder.
    pub(crate) crossings: Option<f64>,
    /// Most that the last judged peer needs longer than the first one, as a share of the makespan.
    pub(crate) spread: Option<f64>,
    /// Most that the faults cost: the median makespan less that without them.
    pub(crate) cost: Option<Span>,
    /// How much longer than the wave before a wave may take, as a share.
    pub(crate) rise: Option<f64>,
}

/// One machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// `seeder`, or `peer-` and a number from 1.
    pub(crate) name: String,
    pub(crate) group: Group,
}

/// Why a scenario cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScenarioError {
    #[error("cannot read the scenario {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot understand the scenario {path}: {message}")]
    Parse { path: PathBuf, message: String },
    #[error("scenario {name}: {message}")]
    Wrong { name: String, message: String },
}

impl Scenario {
    /// Reads a scenario file.
    pub(crate) fn read(path: &Path) -> Result<Self, ScenarioError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ScenarioError::Read { path: path.to_owned(), source })?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&name, &text).map_err(|error| match error {
            ScenarioError::Parse { message, .. } => ScenarioError::Parse { path: path.to_owned(), message },
            other => other,
        })
    }

    fn parse(name: &str, text: &str) -> Result<Self, ScenarioError> {
        let mut scenario: Self = toml::from_str(text)
            .map_err(|error| ScenarioError::Parse { path: name.into(), message: error.to_string() })?;
        name.clone_into(&mut scenario.name);
        match scenario.fault_of_form() {
            Some(message) => Err(ScenarioError::Wrong { name: name.to_owned(), message }),
            None => Ok(scenario),
        }
    }

    /// The machines, in the order of the file.
    pub(crate) fn machines(&self) -> Vec<Machine> {
        let mut peers = 0;
        let all = self.hosts.iter().flat_map(|group| std::iter::repeat_n(group, group.count));
        all.map(|group| {
            let name = if group.role == Role::Seeder {
                "seeder".to_owned()
            } else {
                peers += 1;
                format!("peer-{peers}")
            };
            Machine { name, group: group.clone() }
        })
        .collect()
    }

    /// The number of waves.
    pub(crate) fn waves(&self) -> usize {
        self.hosts.iter().map(|group| group.wave).max().unwrap_or(1)
    }

    /// The same without anything that goes wrong.
    pub(crate) fn calm(&self) -> Self {
        Self { faults: Vec::new(), calm_twin: false, aims: Aims::default(), ..self.clone() }
    }

    /// What contradicts the invariant, in a sentence.
    fn fault_of_form(&self) -> Option<String> {
        let machines = self.machines();
        if machines.first().is_none_or(|first| first.group.role != Role::Seeder) {
            return Some("the first group of hosts must be the seeder".into());
        }
        if machines[1..].iter().any(|machine| machine.group.role == Role::Seeder) {
            return Some("there is one seeder".into());
        }
        if self.runs == 0 || self.data.is_empty() || self.size.0 == 0 {
            return Some("runs, data and size must not be nothing".into());
        }
        for wave in 1..=self.waves() {
            if !machines[1..].iter().any(|machine| machine.group.wave == wave && machine.group.judged) {
                return Some(format!("wave {wave} has no judged peer, so it would never be complete"));
            }
        }
        let zones: Vec<&str> = self.hosts.iter().filter_map(|group| group.zone.as_deref()).collect();
        let mut named = self.between.iter().flat_map(|link| &link.zones).chain(&self.closed);
        if let Some(zone) = named.find(|zone| !zones.contains(&zone.as_str())) {
            return Some(format!("no host is in the zone {zone:?}"));
        }
        let losses = self.hosts.iter().map(|group| group.loss).chain(self.between.iter().map(|link| link.loss));
        if losses.into_iter().any(|loss| !(0.0..1.0).contains(&loss)) {
            return Some("a loss is a share from 0 to less than 1".into());
        }
        self.faults.iter().find_map(|fault| fault_of_fault(fault, &machines, self.waves()))
    }

    /// The longest that one run may take. A contender that moves nothing must end some time; one that needs ten times
    /// the bound has shown what it can do.
    pub(crate) fn limit(&self, bound: Duration) -> Duration {
        let frozen = self.faults.iter().map(|fault| match fault.what {
            What::Freeze(span) | What::Cut(span) => span.0,
            _ => Duration::ZERO,
        });
        bound * 10 + Duration::from_secs(60) + frozen.sum::<Duration>()
    }
}

fn fault_of_fault(fault: &Fault, machines: &[Machine], waves: usize) -> Option<String> {
    if let Some(name) = fault.hosts.iter().find(|name| machines.iter().all(|machine| machine.name != **name)) {
        return Some(format!("a fault names the host {name:?}, which is not there"));
    }
    match fault.when {
        When::Share(share) if !(0.0..=1.0).contains(&share) => Some(format!("{share} is no share")),
        When::Copies(copies) if copies <= 0.0 => Some("a seeder cannot leave before it has sent something".into()),
        When::Wave(wave) if wave == 0 || wave > waves => Some(format!("there is no wave {wave}")),
        _ => None,
    }
}

impl DataKind {
    /// As in a file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Tree => "tree",
            Self::Small => "small",
        }
    }
}

fn one_file() -> Vec<DataKind> {
    vec![DataKind::File]
}

const fn quarter_gibibyte() -> Size {
    Size(256 << 20)
}

const fn two_thousand() -> usize {
    2000
}

const fn five() -> usize {
    5
}

const fn one() -> usize {
    1
}

const fn ethernet() -> u32 {
    1500
}

const fn port() -> Size {
    QUEUE
}

const fn yes() -> bool {
    true
}

fn strew_alone() -> Vec<String> {
    vec!["strew".to_owned()]
}

#[cfg(test)]
#[path = "scenario_tests.rs"]
mod tests;
