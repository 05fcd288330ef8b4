//! Process: one hook, from its start to the end of its group.
//!
//! A hook gets what strew's own environment has, without every variable that is strew's: the swarm key above all, and whatever token a
//! later flag brings. It reads nothing and leads a process group of its own, so that a terminal's Ctrl-C does not reach it and a hook that
//! takes too long can be ended together with what it started.
//!
//! Invariant: a hook whose future is dropped is killed, with its group.
//!
//! Not here: which hook runs when (`runner`).

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

use super::program::{Found, Words};
use super::values::Values;
use crate::cli::environment;

/// How a hook ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With code 0.
    Done,
    /// With another code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// It took too long and was killed.
    TimedOut(Duration),
    /// It could not be started.
    NotStarted(String),
}

/// Where a hook's standard output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Printing {
    /// To ours.
    Out,
    /// To our standard error, because ours carries events.
    Err,
}

/// Runs a hook to its end.
pub(super) async fn run(hook: &Found, values: &Values, printing: Printing, limit: Option<Duration>) -> Outcome {
    let mut child = match command(hook, values, printing).spawn() {
        Ok(child) => child,
        Err(error) => return Outcome::NotStarted(error.to_string()),
    };
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
    let ended = match limit {
        None => Some(child.wait().await),
        Some(limit) => tokio::time::timeout(limit, child.wait()).await.ok(),
    };
    match ended {
        Some(status) => {
            // Its id is somebody else's from now on, perhaps.
            group.0 = None;
            outcome(status)
        }
        None => {
            drop(group);
            // Killed, so this does not take long; without it the process would stay as a zombie.
            let _ = child.wait().await;
            Outcome::TimedOut(limit.unwrap_or_default())
        }
    }
}

fn command(hook: &Found, values: &Values, printing: Printing) -> Command {
    let mut command = Command::new(&hook.program);
    match &hook.words {
        Words::Template(template) => command.args(template.fill(values)),
        Words::Line(line) => command.arg("-c").arg(line),
    };
    environment::ours().for_each(|name| _ = command.env_remove(name));
    command.envs(values.variables());
    command.stdin(Stdio::null()).process_group(0);
    if printing == Printing::Err {
        // Without a standard error there is nobody who could read it.
        let stderr = io::stderr().as_fd().try_clone_to_owned();
        command.stdout(stderr.map_or_else(|_| Stdio::null(), Stdio::from));
    }
    command
}

fn outcome(status: io::Result<ExitStatus>) -> Outcome {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(0), _) => Outcome::Done,
            (Some(code), _) => Outcome::Code(code),
            (None, signal) => Outcome::Signal(signal.unwrap_or_default()),
        },
        Err(error) => Outcome::NotStarted(error.to_string()),
    }
}

/// A process group that is killed when this is dropped; `None` once its leader was waited for.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Fails only for a group that is gone.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}
