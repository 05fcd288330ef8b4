//! Leash: what keeps the processes of a demonstration from outliving it.
//!
//! A demonstration ends its processes itself, but it may be killed before it can. Linux signals a process when its parent dies, if it
//! asks for that; asking on a child's behalf between fork and exec would be unsafe code, so the child asks when it starts.
//!
//! Invariant: a process without the variable is not touched, so whoever starts strew otherwise may die in peace.
//!
//! Not here: the orderly end (`fleet`).

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// The variable in which a demonstration tells its processes its own process id.
pub(in crate::cli) const PARENT: &str = "STREW_DEMO";

/// Ends this process when `parent` dies. `false` when that has happened already.
pub(in crate::cli) fn tie_to(parent: u32) -> bool {
    let Some(parent) = i32::try_from(parent).ok().and_then(Pid::from_raw) else { return true };
    // Fails only for signals that do not exist.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // Asked afterwards: had it died in between, nobody would signal.
    getppid() == Some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_that_is_gone_is_noticed() {
        assert!(!tie_to(i32::MAX.unsigned_abs()), "no process has this id");
        set_parent_process_death_signal(None).unwrap();
    }
}
