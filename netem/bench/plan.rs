//! Plan: one run of one contender, with everything fixed before it begins.
//!
//! Here a scenario becomes a topology and a contender's words become the command of each machine.
//!
//! Invariant: two contenders of one scenario get the same topology with the same seed, the same data and the same order of starts.
//!
//! Not here: running it (`race`).

use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use strew::units::Bytes;

use crate::lab::Lab;
use crate::topology::{Host, Link, Loss, Topology, ZoneLink};

use super::contender::{Contender, ContenderError, Words};
use super::data::Tree;
use super::quantity;
use super::race::RaceError;
use super::scenario::{DataKind, Group, Machine, Role, Scenario};

/// One run.
pub(crate) struct Plan<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) calm: bool,
    pub(crate) contender: &'a Contender,
    /// Where the contender's program is.
    pub(crate) program: &'a Path,
    pub(crate) data: DataKind,
    /// The data set, and what is in it.
    pub(crate) source: &'a Path,
    pub(crate) tree: &'a Tree,
    /// Empty, for copies and files of this run.
    pub(crate) folder: &'a Path,
    pub(crate) run: usize,
    /// Whether system calls are counted.
    pub(crate) counts: bool,
    pub(crate) machines: Vec<Machine>,
}

impl Plan<'_> {
    /// Where a machine's copy goes.
    pub(crate) fn copy(&self, host: usize) -> PathBuf {
        self.folder.join("copies").join(&self.machines[host].name)
    }

    /// The network of the scenario.
    pub(crate) fn topology(&self) -> Topology {
        let host = |machine: &Machine| {
            let group = &machine.group;
            Host {
                name: machine.name.clone(),
                zone: group.zone.clone(),
                up: link(group.up, group.delay.0, group.loss, group.queue),
                down: link(group.down, group.delay.0, group.loss, group.queue),
            }
        };
        let mut topology = Topology::new(self.machines.iter().map(host).collect());
        for between in &self.scenario.between {
            let link = link(between.rate.unwrap_or(quantity::Rate(None)), between.delay.0, between.loss, between.queue);
            let [a, b] = &between.zones;
            topology.between.push(ZoneLink { from: a.clone(), to: b.clone(), link });
            topology.between.push(ZoneLink { from: b.clone(), to: a.clone(), link });
        }
        topology.mtu = self.scenario.mtu;
        // Another one for each run, and the same for all contenders of it.
        topology.seed = self.run as u64;
        topology
    }

    /// What stands for the words in braces on this machine.
    pub(crate) fn words(&self, lab: &Lab, secret: &OsStr, host: usize) -> Words {
        let port = self.contender.port;
        let hosts: Vec<String> = (0..self.machines.len()).map(|at| format!("{}:{port}", lab.address(at))).collect();
        Words::from([
            ("program", self.program.into()),
            ("src", self.source.into()),
            ("dst", self.copy(host).into()),
            ("folder", self.folder.into()),
            ("name", self.machines[host].name.clone().into()),
            ("address", text(lab.address(host))),
            ("seeder", text(lab.address(0))),
            ("hosts", hosts.join(",").into()),
            ("port", port.to_string().into()),
            ("zone", self.machines[host].group.zone.clone().unwrap_or_default().into()),
            ("secret", secret.to_owned()),
            ("bytes", self.scenario.size.0.to_string().into()),
            ("mtu", self.scenario.mtu.to_string().into()),
        ])
    }

    /// The command that a machine runs.
    pub(crate) fn command(&self, lab: &Lab, words: &Words, host: usize) -> Result<Command, ContenderError> {
        let group = &self.machines[host].group;
        let role = if group.role == Role::Seeder { &self.contender.seeder } else { &self.contender.peer };
        let zone: &[String] = if group.zone.is_some() { &self.contender.zone } else { &[] };
        self.filled(lab, words, host, role.iter().chain(zone))
    }

    /// A command of the contender on a machine, with its words filled in.
    pub(crate) fn filled<'w>(
        &self,
        lab: &Lab,
        words: &Words,
        host: usize,
        template: impl Iterator<Item = &'w String>,
    ) -> Result<Command, ContenderError> {
        let mut command = lab.command(host, OsStr::new("setpriv"));
        // It ends with the bench, also when that is killed; util-linux has this on every system.
        command.args(["--pdeathsig", "KILL", "--"]);
        for word in template {
            command.arg(self.contender.fill(word, words)?);
        }
        for (name, value) in &self.contender.environment {
            command.env(name, self.contender.fill(value, words)?);
        }
        Ok(command)
    }

    /// The first line that the contender's secret prints, or nothing where it has none.
    pub(crate) fn secret(&self) -> Result<OsString, RaceError> {
        let words = Words::from([("program", self.program.into())]);
        let filled: Result<Vec<OsString>, _> =
            self.contender.secret.iter().map(|word| self.contender.fill(word, &words)).collect();
        let Some((program, rest)) = filled?.split_first().map(|(first, rest)| (first.clone(), rest.to_vec())) else {
            return Ok(OsString::new());
        };
        let output = Command::new(&program).args(rest).output().map_err(RaceError::Start)?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let line = printed.lines().next().filter(|_| output.status.success());
        line.map(OsString::from).ok_or_else(|| RaceError::Prepare {
            command: program.to_string_lossy().into_owned(),
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// Makes the folders of all copies and the files that the contender wants.
    pub(crate) fn lay_out(&self, words: &Words) -> Result<(), RaceError> {
        let failed = |path: PathBuf| |source| RaceError::Folder { path, source };
        for host in 1..self.machines.len() {
            let copy = self.copy(host);
            fs::create_dir_all(&copy).map_err(failed(copy))?;
        }
        for (name, content) in &self.contender.files {
            let path = self.folder.join(name);
            let content = self.contender.fill(content, words)?;
            fs::write(&path, content.as_encoded_bytes()).map_err(failed(path))?;
        }
        Ok(())
    }

    /// Rules of nft(8) that let no connection into this machine from outside its zone; `None` where its zone is open.
    pub(crate) fn closed(&self, lab: &Lab, host: usize) -> Option<String> {
        let zone = self.machines[host].group.zone.as_ref().filter(|zone| self.scenario.closed.contains(zone))?;
        let inside = (0..self.machines.len()).filter(|at| self.machines[*at].group.zone.as_ref() == Some(zone));
        let inside: Vec<String> = inside.map(|at| lab.address(at).to_string()).collect();
        Some(format!(
            "table inet closed {{\nchain input {{\ntype filter hook input priority 0; policy drop;\niif lo accept\n\
             ct state established,related accept\nip saddr {{ {} }} accept\n}}\n}}\n",
            inside.join(", ")
        ))
    }
}

fn link(limit: quantity::Rate, delay: Duration, loss: f64, queue: quantity::Size) -> Link {
    let loss = if loss > 0.0 { Loss::Random(loss) } else { Loss::None };
    Link { rate: limit.0, delay, loss, queue: Bytes(queue.0), ..Link::FREE }
}

/// Links of a group whose rates have changed.
pub(crate) fn changed(group: &Group, up: quantity::Rate, down: quantity::Rate) -> (Link, Link) {
    let link = |limit| link(limit, group.delay.0, group.loss, group.queue);
    (link(up), link(down))
}

fn text(address: IpAddr) -> OsString {
    address.to_string().into()
}
