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

use clap::Args;
use strew::sim::Rate;
use strew::units::{ParseUnitError, parse_rate};

use crate::lab::{Change, Counters, Lab};
use crate::topology::{Host, Link, MTU, Topology};
use crate::{Failure, say};

/// What to bring up, and what to do with it.
#[derive(Args)]
pub(crate) struct Options {
    /// Number of hosts; their addresses are 10.77.0.1 and so on.
    #[arg(long, default_value_t = 2)]
    hosts: usize,
    /// Rate of every host's links, for instance 200Mbit; no limit when it is not given.
    #[arg(long, value_parser = rate)]
    rate: Option<Rate>,
    /// The longest packet in bytes.
    #[arg(long, default_value_t = MTU)]
    mtu: u32,
    /// Command to run on every host, with NETEM_HOST (0, 1, …) and NETEM_ADDRESSES in its environment; without one, orders are read from
    /// standard input: `rate HOST UP DOWN`, `cut HOST…`, `heal`, `counters`, `exec HOST COMMAND…`.
    #[arg(last = true)]
    command: Vec<OsString>,
}

fn rate(text: &str) -> Result<Rate, ParseUnitError> {
    parse_rate(text).map(Rate)
}

/// Brings a lab up and uses it; the exit code is the first that is not 0.
pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let link = Link { rate: options.rate, ..Link::FREE };
    let hosts = (0..options.hosts).map(|at| Host::new(format!("host {at}"), link, link)).collect();
    let mut topology = Topology::new(hosts);
    topology.mtu = options.mtu;
    let mut lab = Lab::up(&topology)?;
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
        _ => return Err("not an order; there are rate, cut, heal, counters and exec".into()),
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
