//! The flag that says how long a complete node stays for others, and what it means.
//!
//! Invariant: no value means "for ever", and none means "not at all".
//!
//! Not here: `--exit-complete` and `--seed-idle-timeout`, which p2pcp has too (`args`); leaving (`node`).

use std::num::NonZero;

use super::lists::not_empty;
use super::usage::UsageError;
use crate::node::SeedUntil;
use crate::units::parse_duration;

/// The flag.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct LifetimeArgs {
    /// Leave when complete and this node has sent so much that others could have made N copies of it (copies=N), or has been complete for
    /// this long (time=T) [default: stay].
    #[arg(long, value_name = "LIMIT", help_heading = super::args::WHEN)]
    pub seed_until: Option<String>,
}

impl LifetimeArgs {
    /// What the flag means.
    pub(super) fn seed_until(&self) -> Result<Option<SeedUntil>, UsageError> {
        let Some(text) = not_empty(&self.seed_until).map(str::trim) else { return Ok(None) };
        let refused = || UsageError::SeedUntil { value: text.to_owned() };
        let until = match text.split_once('=') {
            Some(("copies", number)) => number.trim().parse::<NonZero<u32>>().ok().map(SeedUntil::Copies),
            Some(("time", time)) => parse_duration(time).ok().filter(|time| !time.is_zero()).map(SeedUntil::Time),
            _ => None,
        };
        until.map(Some).ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn until(text: &str) -> Result<Option<SeedUntil>, String> {
        let args = LifetimeArgs { seed_until: Some(text.to_owned()) };
        args.seed_until().map_err(|error| error.to_string())
    }

    #[test]
    fn a_node_stays_for_copies_or_for_a_time() {
        assert_eq!(until("copies=3"), Ok(Some(SeedUntil::Copies(NonZero::new(3).unwrap()))));
        assert_eq!(until("time=1m30s"), Ok(Some(SeedUntil::Time(Duration::from_secs(90)))));
        assert_eq!(until(""), Ok(None));
    }

    #[test]
    fn what_is_no_limit_is_refused_with_what_would_do() {
        for text in ["3", "copies=0", "copies=-1", "copies=x", "time=0", "time=5", "ratio=2", "copies"] {
            let told = until(text).unwrap_err();
            assert!(["--seed-until", "copies=2", "time=10m"].iter().all(|part| told.contains(part)), "{told}");
        }
    }
}
