//! Shell: a lab for whoever wants to try something by hand, or from a script.
//!
//! With a command, it runs once on every host at the same time. Without one, orders come from standard input, one a line, and each is answered
//! by one line, `ok` or what is wrong, so that a script knows when a change has happened and never sleeps.
//!
//! Invariant: an order that is not understood changes nothing.
//!
//! Not here: measured runs (`bench`).

use std::ffi::{OsStr, OsString};
use std::io::BufRead;
use std::process::{Child, ExitCode};
use std::time::Duration;

use clap::Args;
use strew::sim::{Rate, Rung, read_loss};
use strew::units::{Bytes, ParseUnitError, parse_bytes, parse_duration, parse_rate};

use crate::lab::{Backend, Change, Counters, Lab};
use crate::topology::{Host, Link, Loss, MTU, Topology};
use crate::{Failure, say};

/// What to bring up, and what to do with it.
#[derive(Args)]
pub(crate) struct Options {
    /// Number of hosts; their addresses are 10.77.0.1 and so on.
    #[arg(long, default_value_t = 2)]
    hosts: usize,
    /// A link of netem/links.csv for every host: its rate, its round trip between any two hosts, its jitter and its loss.
    #[arg(long)]
    link: Option<String>,
    /// Rate of every host's links, for instance 200Mbit; no limit when it is not given.
    #[arg(long, value_parser = rate)]
    rate: Option<Rate>,
    /// Round trip between any two hosts, for instance 20ms.
    #[arg(long, value_parser = parse_duration)]
    round_trip: Option<Duration>,
    /// How far the delay strays from its mean one way, at most.
    #[arg(long, value_parser = parse_duration)]
    jitter: Option<Duration>,
    /// Share of the packets lost each way: 0, 0.1% or "1% in bursts of 8".
    #[arg(long, value_parser = loss)]
    loss: Option<Loss>,
    /// Share of the packets that are overtaken, from 0 to 1.
    #[arg(long)]
    reorder: Option<f64>,
    /// What may wait for a link, for instance 256KiB.
    #[arg(long, value_parser = parse_bytes)]
    queue: Option<u64>,
    /// Stands for all chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Who carries the packets; the kernel's queues if rates are all that is asked for.
    #[arg(long, value_enum)]
    backend: Option<Backend>,
    /// The longest packet in bytes.
    #[arg(long, default_value_t = MTU)]
    mtu: u32,
    /// Command to run on every host, with NETEM_HOST (0, 1, …) and NETEM_ADDRESSES in its environment; without one, orders are read from
    /// standard input: `rate HOST UP DOWN`, `loss HOST SHARE`, `cut HOST…`, `heal`, `counters`, `exec HOST COMMAND…`.
    #[arg(last = true)]
    command: Vec<OsString>,
}

fn rate(text: &str) -> Result<Rate, ParseUnitError> {
    parse_rate(text).map(Rate)
}

fn loss(text: &str) -> Result<Loss, String> {
    let (share, burst) = read_loss(text).ok_or("is no loss; write 0, 0.1% or \"1% in bursts of 8\"")?;
    Ok(Loss::of_share(share, burst))
}

impl Options {
    fn topology(&self) -> Result<Topology, Failure> {
        let named = |name: &String| Rung::named(name).ok_or(format!("there is no link {name:?}; see netem/links.csv"));
        let rung = self.link.as_ref().map(named).transpose()?;
        let (mut up, mut down) = rung.as_ref().map_or((Link::FREE, Link::FREE), Link::of_rung);
        for link in [&mut up, &mut down] {
            link.rate = self.rate.or(link.rate);
            link.queue = self.queue.map_or(link.queue, Bytes);
        }
        up.delay = self.round_trip.map_or(up.delay, |round_trip| round_trip / 2);
        up.jitter = self.jitter.unwrap_or(up.jitter);
        up.loss = self.loss.unwrap_or(up.loss);
        up.reorder = self.reorder.unwrap_or(up.reorder);
        let hosts = (0..self.hosts).map(|at| Host::new(format!("host {at}"), up, down)).collect();
        Ok(Topology { seed: self.seed, mtu: self.mtu, ..Topology::new(hosts) })
    }
}

/// Brings a lab up and uses it; the exit code is the first that is not 0.
pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let topology = options.topology()?;
    let mut lab = match options.backend {
        Some(backend) => Lab::up_on(backend, &topology)?,
        None => Lab::up(&topology)?,
    };
    match options.command.split_first() {
        Some((program, words)) => everywhere(&lab, options.hosts, program, words),
        None => orders(&mut lab, options.hosts),
    }
}

fn everywhere(lab: &Lab, hosts: usize, program: &OsStr, words: &[OsString]) -> Result<ExitCode, Failure> {
    let addresses: Vec<_> = (0..hosts).map(|host| lab.address(host).to_string()).collect();
    let mut running: Vec<Child> = Vec::new();
    for host in 0..hosts {
        let mut command = lab.command(host, program);
        command.args(words).env("NETEM_HOST", host.to_string()).env("NETEM_ADDRESSES", addresses.join(","));
        running.push(command.spawn()?);
    }
    let mut first = 0;
    for mut child in running {
        // Ended by a signal: there is no code, and it was not a success.
        let code = child.wait()?.code().unwrap_or(1);
        first = if first == 0 { code } else { first };
    }
    Ok(ExitCode::from(u8::try_from(first).unwrap_or(1)))
}

fn orders(lab: &mut Lab, hosts: usize) -> Result<ExitCode, Failure> {
    for host in 0..hosts {
        say(format_args!("{host} {} {}", lab.address(host), lab.namespace(host)));
    }
    say("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<_> = line.split_whitespace().collect();
        match obey(lab, &words) {
            Ok(()) => say("ok"),
            Err(error) => say(format_args!("error: {}", crate::causes(&*error))),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn obey(lab: &mut Lab, words: &[&str]) -> Result<(), Failure> {
    match words {
        ["rate", host, up, down] => {
            let [up, down] = [limit(up)?, limit(down)?];
            lab.change(&Change::Rate { host: host.parse()?, up, down })?;
        }
        ["cut", hosts @ ..] if !hosts.is_empty() => {
            let hosts = hosts.iter().map(|host| host.parse()).collect::<Result<_, _>>()?;
            lab.change(&Change::Cut { hosts })?;
        }
        ["loss", host, share @ ..] if !share.is_empty() => {
            let host = host.parse()?;
            let (up, down) = lab.links_of(host)?;
            lab.change(&Change::Links { host, up: Link { loss: loss(&share.join(" "))?, ..up }, down })?;
        }
        ["heal"] => lab.change(&Change::Heal)?,
        ["counters"] => {
            for (host, counters) in lab.all_counters()?.iter().enumerate() {
                say(format_args!("{host} {}", figures(counters)));
            }
        }
        ["exec", host, program, rest @ ..] => {
            let host = host.parse()?;
            lab.counters(host)?; // the host exists
            let status = lab.command(host, OsStr::new(program)).args(rest).status()?;
            say(format_args!("{status}"));
        }
        _ => return Err("not an order; there are rate, loss, cut, heal, counters and exec".into()),
    }
    Ok(())
}

fn limit(text: &str) -> Result<Option<Rate>, ParseUnitError> {
    if text == "none" { Ok(None) } else { rate(text).map(Some) }
}

fn figures(counters: &Counters) -> String {
    let Counters { sent, received, dropped, lost } = counters;
    format!(
        "sent {} bytes {} packets, received {} bytes {} packets, dropped {dropped}, lost {lost}",
        sent.bytes, sent.packets, received.bytes, received.packets
    )
}
