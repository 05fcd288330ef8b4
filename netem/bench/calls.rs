//! Calls: how many system calls a process makes, counted by perf(1) beside it.
//!
//! The kernel keeps no such count for whoever asks later, and strace(1) stops the process at each call, which makes it another process. A
//! counter of the kernel's own tracepoint costs some ten nanoseconds a call. It is attached when the process has just been started, so that
//! signals and times of the process are what they are without it; the calls of the first few milliseconds are missing.
//!
//! Invariant: children and threads that begin later are counted too.
//!
//! Not here: which calls they are.

use std::process::{Child, Command, Stdio};

/// Every entry into the kernel.
const EVENT: &str = "raw_syscalls:sys_enter";

/// A running count.
pub(crate) struct Calls(Child);

impl Calls {
    /// Counts for this process from now on; nothing where perf is not there.
    pub(crate) fn of(id: u32) -> Option<Self> {
        let mut command = Command::new("perf");
        command.args(["stat", "--field-separator", ",", "--event", EVENT, "--pid", &id.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok().map(Self)
    }

    /// How many they were, once the process has ended; perf ends with it.
    pub(crate) fn end(self) -> Option<u64> {
        count(&String::from_utf8_lossy(&self.0.wait_with_output().ok()?.stderr))
    }
}

/// The number in a line like `12345,,raw_syscalls:sys_enter,…`.
fn count(said: &str) -> Option<u64> {
    said.lines().find(|line| line.contains(EVENT))?.split(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_stands_before_the_name() {
        assert_eq!(count("\n4711,,raw_syscalls:sys_enter,100,100.00,,\n"), Some(4711));
        assert_eq!(count("<not supported>,,raw_syscalls:sys_enter,0,100.00,,"), None);
        assert_eq!(count("Access to performance monitoring is limited"), None);
    }
}
