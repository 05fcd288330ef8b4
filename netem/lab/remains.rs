//! Remains: namespaces of programs that are no more, and how they are found and removed.
//!
//! A namespace outlives a program that is killed. So its name says whose it is: the process id, and the moment when that process began, because
//! ids are used again. Whoever starts next removes those of the dead, and nobody else's.
//!
//! Invariant: a namespace whose maker lives is removed by its maker only.
//!
//! Not here: what is within them.

use std::fs;
use std::process;

use rustix::process::{Pid, Signal, kill_process};

use super::system::{LabError, run};

/// What all names begin with.
const PREFIX: &str = "netem";

/// Who made a namespace: a process id, and when that process began, in clock ticks since the machine was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Maker {
    pid: u32,
    began: u64,
}

impl Maker {
    /// This process.
    pub(crate) fn this() -> Self {
        let pid = process::id();
        Self { pid, began: began(pid).unwrap_or(0) }
    }

    /// The beginning of the names of all that it makes.
    pub(crate) fn prefix(self) -> String {
        format!("{PREFIX}-{}-{}", self.pid, self.began)
    }

    /// Who made the namespace of this name, if one of us did.
    fn of(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(PREFIX)?.strip_prefix('-')?.split('-');
        let (pid, began) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next().map(|_| Self { pid, began })
    }

    fn lives(self) -> bool {
        began(self.pid) == Some(self.began)
    }
}

/// When a process began: the 22nd field of its `stat`. The second is a name in brackets that may hold anything.
fn began(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Removes what programs left behind that are dead by now, and says what that was.
pub(crate) fn remove_of_the_dead() -> Result<Vec<String>, LabError> {
    let dead = names().into_iter().filter(|name| Maker::of(name).is_some_and(|maker| !maker.lives())).collect();
    remove(dead)
}

/// Removes everything that this process has made.
pub(crate) fn remove_own() -> Result<Vec<String>, LabError> {
    let own = Maker::this();
    remove(names().into_iter().filter(|name| Maker::of(name) == Some(own)).collect())
}

/// Ends what still runs in these namespaces, and removes them.
pub(crate) fn remove(namespaces: Vec<String>) -> Result<Vec<String>, LabError> {
    let mut result = Ok(());
    for namespace in &namespaces {
        // A namespace lives as long as a process in it.
        for pid in run("ip", &["netns", "pids", namespace]).unwrap_or_default().split_whitespace() {
            if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
                // It may have ended meanwhile.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let removed = run("ip", &["netns", "delete", namespace]);
        result = result.and(removed.map(|_| ()));
    }
    result.map(|()| namespaces)
}

fn names() -> Vec<String> {
    let entries = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_who_made_it_and_only_our_names_do() {
        let this = Maker::this();
        assert!(this.lives());
        assert_eq!(Maker::of(&format!("{}-0-hub", this.prefix())), Some(this));
        for foreign in ["netem", "netem-1", "netem-1-2", "netem-a-2-0", "strew-1-2-hub", "other"] {
            assert_eq!(Maker::of(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_process_that_has_the_id_of_a_dead_one_is_another() {
        let this = Maker::this();
        assert!(!Maker { began: this.began + 1, ..this }.lives());
        assert!(!Maker { pid: u32::MAX, ..this }.lives());
    }
}
