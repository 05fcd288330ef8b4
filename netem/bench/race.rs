//! Race: one run, from empty folders to the last complete peer.
//!
//! One thread does everything in turns of a few milliseconds: looks who is complete, does what is due, counts packets every 100 ms. The
//! moments that count do not depend on when it looks: a line has the moment in which it was printed.
//!
//! Invariant: the clock of a wave starts before the process of its last peer does, and stops when the last judged peer has given its sign
//! of completion; nothing of the bench's own (verifying, counting up) is inside.
//!
//! Not here: what the figures mean (`outcome`).

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::lab::{Change, Counters, Lab, LabError, Strain};

use super::bound;
use super::busy::Busy;
use super::calls::Calls;
use super::contender::{ContenderError, Sign, Stop, Words};
use super::faults::{Act, Deed, Faults, Progress};
use super::plan::{Plan, changed};
use super::process::{End, Process};

/// How often processes are looked at: a thousandth of the shortest makespan that is measured, and next to no work.
const TURN: Duration = Duration::from_millis(5);
/// How often packets are counted and memory is weighed.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// How long a seeder may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// Why a run could not be made. A contender that fails is a result and not one of these.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RaceError {
    #[error("the network cannot be made or changed")]
    Lab(#[from] LabError),
    #[error(transparent)]
    Contender(#[from] ContenderError),
    #[error("a process cannot be started")]
    Start(#[source] io::Error),
    #[error("a process cannot be waited for")]
    Wait(#[source] io::Error),
    #[error("{command} failed: {said}")]
    Prepare { command: String, said: String },
    #[error("cannot make {path}")]
    Folder { path: PathBuf, source: io::Error },
}

/// What all links have carried at a moment.
pub(crate) struct Sample {
    pub(crate) at: Instant,
    pub(crate) hosts: Vec<Counters>,
}

/// How a machine fared.
#[derive(Default)]
pub(crate) struct Lane {
    pub(crate) started: Option<Instant>,
    pub(crate) complete: Option<Instant>,
    /// Whether a fault has ended it.
    pub(crate) removed: bool,
    process: Option<Process>,
    pub(crate) end: Option<End>,
    /// What counts its system calls, and then their number.
    counting: Option<Calls>,
    pub(crate) calls: Option<u64>,
}

/// What a run left behind.
pub(crate) struct Trail {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) problem: Option<String>,
    pub(crate) busy: f64,
    /// What crossed from one zone to another: from, to, counters.
    pub(crate) between: Vec<(String, String, Counters)>,
    pub(crate) addresses: Vec<std::net::IpAddr>,
    /// How well the emulator kept up, where it carried the packets.
    pub(crate) strain: Option<Strain>,
}

/// A run in progress.
struct Race<'a> {
    plan: &'a Plan<'a>,
    lab: Lab,
    words: Vec<Words>,
    lanes: Vec<Lane>,
    samples: Vec<Sample>,
    faults: Faults,
    waves: usize,
}

/// Runs a plan to its end.
pub(crate) fn run(plan: &Plan<'_>) -> Result<Trail, RaceError> {
    let lab = Lab::up(&plan.topology())?;
    let secret = plan.secret()?;
    let count = plan.machines.len();
    let words: Vec<Words> = (0..count).map(|host| plan.words(&lab, &secret, host)).collect();
    plan.lay_out(&words[0])?;
    let lanes = (0..count).map(|_| Lane::default()).collect();
    let faults = Faults::new(&plan.scenario.faults);
    let mut race = Race { plan, lab, words, lanes, samples: Vec::new(), faults, waves: 0 };
    race.close_zones()?;
    race.prepare()?;
    let problem = race.seed()?;
    let busy = Busy::now();
    let problem = match problem {
        Some(problem) => Some(problem),
        None => race.all_waves()?,
    };
    let busy = busy.share();
    race.sample()?;
    race.end(problem, busy)
}

impl Race<'_> {
    fn close_zones(&self) -> Result<(), RaceError> {
        for host in 0..self.lanes.len() {
            let Some(rules) = self.plan.closed(&self.lab, host) else { continue };
            let mut command = self.lab.command(host, OsStr::new("nft"));
            let mut nft = command.args(["-f", "-"]).stdin(Stdio::piped()).spawn().map_err(RaceError::Start)?;
            let written = nft.stdin.take().map(|mut stdin| stdin.write_all(rules.as_bytes()));
            let status = nft.wait().map_err(RaceError::Wait)?;
            if !status.success() || !matches!(written, Some(Ok(()))) {
                return Err(RaceError::Prepare { command: "nft".into(), said: format!("{status} for: {rules}") });
            }
        }
        Ok(())
    }

    fn prepare(&self) -> Result<(), RaceError> {
        let contender = self.plan.contender;
        if contender.prepare.is_empty() {
            return Ok(());
        }
        let mut command = self.plan.filled(&self.lab, &self.words[0], 0, contender.prepare.iter())?;
        let output = command.output().map_err(RaceError::Start)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(RaceError::Prepare { command: contender.prepare.join(" "), said })
    }

    /// Starts the seeder and waits until it is ready; a problem if it does not become so.
    fn seed(&mut self) -> Result<Option<String>, RaceError> {
        self.start(0)?;
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if self.shows(0, &self.plan.contender.ready).is_some() {
                return Ok(None);
            }
            let has_ended = self.lanes[0].process.as_ref().is_none_or(|process| process.has_ended().is_some());
            if has_ended || Instant::now() > deadline {
                return Ok(Some("the seeder did not become ready".to_owned()));
            }
            thread::sleep(TURN);
        }
    }

    /// All waves, one after the other; the problem that ended them early.
    fn all_waves(&mut self) -> Result<Option<String>, RaceError> {
        let bytes = self.plan.scenario.size.0;
        for wave in 1..=self.plan.scenario.waves() {
            let own = |host: &usize| self.plan.machines[*host].group.wave == wave;
            for host in (1..self.lanes.len()).filter(own).collect::<Vec<_>>() {
                self.start(host)?;
            }
            let limit = self.plan.scenario.limit(bound::of_wave(self.plan.scenario, wave, bytes));
            if let Some(problem) = self.until_complete(wave, Instant::now() + limit)? {
                return Ok(Some(problem));
            }
            self.waves = wave;
            // Faults of the end of a wave come before the next one.
            let progress = self.progress();
            self.do_due(progress)?;
        }
        Ok(None)
    }

    fn until_complete(&mut self, wave: usize, deadline: Instant) -> Result<Option<String>, RaceError> {
        loop {
            if self.samples.last().is_none_or(|last| last.at.elapsed() >= SAMPLE_EVERY) {
                self.sample()?;
            }
            let progress = self.progress();
            self.do_due(progress)?;
            for host in 1..self.lanes.len() {
                if let Some(problem) = self.look_at(host) {
                    return Ok(Some(problem));
                }
            }
            let missing = (1..self.lanes.len()).find(|host| {
                let group = &self.plan.machines[*host].group;
                group.judged && group.wave <= wave && self.lanes[*host].complete.is_none()
            });
            let Some(missing) = missing else { return Ok(None) };
            if Instant::now() > deadline {
                let name = &self.plan.machines[missing].name;
                return Ok(Some(format!("{name} was not complete in ten times the bound and a minute")));
            }
            thread::sleep(TURN);
        }
    }

    /// Whether a machine has become complete; a problem if it ended before.
    fn look_at(&mut self, host: usize) -> Option<String> {
        if self.lanes[host].complete.is_some() || self.lanes[host].removed || self.lanes[host].process.is_none() {
            return None;
        }
        // Asked in this order: what it printed before it ended must count.
        let ended = self.lanes[host].process.as_ref().and_then(Process::has_ended);
        if let Some(at) = self.shows(host, &self.plan.contender.complete) {
            let at = if self.plan.contender.sync { self.synced(host) } else { at };
            self.lanes[host].complete = Some(at);
            return None;
        }
        ended.map(|_| format!("{} ended before it was complete", self.plan.machines[host].name))
    }

    /// When a machine gave this sign, if it did.
    fn shows(&mut self, host: usize, sign: &Sign) -> Option<Instant> {
        let words = &self.words[host];
        let process = self.lanes[host].process.as_mut()?;
        match sign {
            Sign::Output(text) => process.printed(text),
            Sign::Exit => (process.has_ended() == Some(true)).then(Instant::now),
            Sign::File(name) => {
                // A name with unknown words was refused when the words of the commands were filled in, or never appears.
                let path = self.plan.contender.fill(name, words).ok()?;
                PathBuf::from(path).exists().then(Instant::now)
            }
            Sign::Listens => process.listens(self.plan.contender.port).then(Instant::now),
        }
    }

    /// Syncs the file system of a copy, as strew does before it says that it is complete.
    fn synced(&self, host: usize) -> Instant {
        if let Ok(folder) = std::fs::File::open(self.plan.copy(host)) {
            // In memory nothing can fail here, and a copy that is not whole is found when it is verified.
            let _ = rustix::fs::syncfs(&folder);
        }
        Instant::now()
    }

    fn start(&mut self, host: usize) -> Result<(), RaceError> {
        let command = self.plan.command(&self.lab, &self.words[host], host)?;
        self.lanes[host].started = Some(Instant::now());
        let process = Process::start(command).map_err(RaceError::Start)?;
        self.lanes[host].counting = self.plan.counts.then(|| Calls::of(process.id())).flatten();
        self.lanes[host].process = Some(process);
        Ok(())
    }

    fn sample(&mut self) -> Result<(), RaceError> {
        self.samples.push(Sample { at: Instant::now(), hosts: self.lab.all_counters()? });
        for lane in &mut self.lanes {
            if let Some(process) = &mut lane.process {
                process.weigh();
            }
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        let first = (1..self.lanes.len()).filter(|host| self.plan.machines[*host].group.wave == 1);
        let began: Option<Vec<Instant>> = first.map(|host| self.lanes[host].started).collect();
        let began = began.and_then(|starts| starts.into_iter().max());
        let Some(sample) = self.samples.last() else { return Progress::default() };
        let (transport, bytes) = (self.plan.contender.transport, self.plan.scenario.size.0 as f64);
        let judged = (1..self.lanes.len()).filter(|host| self.plan.machines[*host].group.judged);
        let shares: Vec<f64> =
            judged.map(|host| (transport.payload(sample.hosts[host].received) / bytes).min(1.0)).collect();
        Progress {
            since: began.map(|began| began.elapsed()),
            share: shares.iter().sum::<f64>() / shares.len().max(1) as f64,
            copies: transport.payload(sample.hosts[0].sent) / bytes,
            waves: self.waves,
        }
    }

    fn do_due(&mut self, progress: Progress) -> Result<(), RaceError> {
        for deed in self.faults.due(progress) {
            self.act(&deed)?;
        }
        Ok(())
    }

    fn act(&mut self, deed: &Deed) -> Result<(), RaceError> {
        let hosts: Vec<usize> =
            (0..self.lanes.len()).filter(|host| deed.hosts.contains(&self.plan.machines[*host].name)).collect();
        match deed.act {
            Act::Cut => self.lab.change(&Change::Cut { hosts })?,
            Act::Heal => self.lab.change(&Change::Heal)?,
            Act::Rate { up, down } => {
                for host in hosts {
                    let (up, down) = changed(&self.plan.machines[host].group, up, down);
                    self.lab.change(&Change::Links { host, up, down })?;
                }
            }
            Act::Kill => self.signal(&hosts, Signal::KILL, true),
            Act::Leave => self.signal(&hosts, stop(self.plan.contender.stop), true),
            Act::Freeze => self.signal(&hosts, Signal::STOP, false),
            Act::Thaw => self.signal(&hosts, Signal::CONT, false),
        }
        Ok(())
    }

    fn signal(&mut self, hosts: &[usize], signal: Signal, removes: bool) {
        for host in hosts {
            self.lanes[*host].removed |= removes;
            if let Some(process) = &mut self.lanes[*host].process {
                process.signal(signal);
            }
        }
    }

    /// Asks everybody to end, and collects what they say and cost.
    fn end(mut self, problem: Option<String>, busy: f64) -> Result<Trail, RaceError> {
        let everybody: Vec<usize> = (0..self.lanes.len()).collect();
        self.signal(&everybody, stop(self.plan.contender.stop), false);
        for lane in &mut self.lanes {
            if let Some(process) = lane.process.take() {
                lane.end = Some(process.end().map_err(RaceError::Wait)?);
                lane.calls = lane.counting.take().and_then(Calls::end);
            }
        }
        let mut between = Vec::new();
        for link in &self.plan.topology().between {
            between.push((link.from.clone(), link.to.clone(), self.lab.between(&link.from, &link.to)?));
        }
        let addresses = everybody.iter().map(|host| self.lab.address(*host)).collect();
        let strain = self.lab.strain()?;
        Ok(Trail { lanes: self.lanes, samples: self.samples, problem, busy, between, addresses, strain })
    }
}

const fn stop(stop: Stop) -> Signal {
    match stop {
        Stop::Int => Signal::INT,
        Stop::Term => Signal::TERM,
    }
}
