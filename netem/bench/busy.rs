//! How busy the machine is, by its own account in /proc/stat.
//!
//! All namespaces share one machine. When its processors are the limit, a makespan says nothing about links, so every run says how busy
//! they were; what the kernel or the emulator needs for the links is in it.
//!
//! Invariant: a share of all processors, from 0 to 1, of the time since the first look.
//!
//! Not here: who was busy (`process` knows what each contender used).

use std::fs;

/// A first look.
pub(crate) struct Busy {
    idle: u64,
    total: u64,
}

impl Busy {
    /// Looks.
    pub(crate) fn now() -> Self {
        Self::parse(&fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    /// The share of the time since then in which processors were busy.
    pub(crate) fn share(&self) -> f64 {
        self.until(&Self::now())
    }

    fn until(&self, later: &Self) -> f64 {
        let total = later.total.saturating_sub(self.total).max(1);
        1.0 - later.idle.saturating_sub(self.idle) as f64 / total as f64
    }

    /// The first line sums up all processors: user, nice, system, idle, waiting for disks, interrupts (2), stolen; guests are in user
    /// already (proc_stat(5)).
    fn parse(table: &str) -> Self {
        let line = table.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
        let times: Vec<u64> = line.split_whitespace().take(8).filter_map(|word| word.parse().ok()).collect();
        Self { idle: times.iter().skip(3).take(2).sum(), total: times.iter().sum() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_a_disk_is_not_busy_and_guests_count_once() {
        let before = Busy::parse("cpu  100 0 100 800 0 0 0 0 50 0\ncpu0 1 1 1 1\n");
        let after = Busy::parse("cpu  150 0 120 820 10 0 0 0 90 0\n");
        assert!((before.until(&after) - 0.7).abs() < 1e-9);
    }
}
