//! Flags of p2pcp that have nothing to do here, so that its command lines still run.
//!
//! What they turned does not exist in strew, or takes care of itself. Refusing them would stop a fleet for nothing; taking them in silence
//! would let somebody believe that they work. So they are accepted, checked as far as they can be read, and said once.
//!
//! Invariant: none of them changes anything.

use super::usage::UsageError;
use crate::units::parse_duration;

/// Flags without effect.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Without effect, for command lines of p2pcp")]
pub struct CompatibleArgs {
    /// A local copy reads as many chunks at a time as the disk needs.
    #[arg(long, value_name = "N")]
    pub local_num_concurrent: Option<String>,
    /// A chunk holds as many small files as fit.
    #[arg(long, value_name = "N")]
    pub files_per_chunk: Option<String>,
    /// Peers tell each other what they have when they have it.
    #[arg(long, value_name = "TIME")]
    pub sync_interval: Option<String>,
}

impl CompatibleArgs {
    /// What is to be said about those that were given.
    pub(super) fn notices(&self) -> Result<Vec<String>, UsageError> {
        let mut notices = Vec::new();
        let mut note = |flag: &str, why: &str| notices.push(format!("{flag} has no effect: {why}"));
        if let Some(value) = &self.local_num_concurrent {
            number("--local-num-concurrent", value)?;
            note("--local-num-concurrent", "a local copy reads as many chunks at a time as the disk needs");
        }
        if let Some(value) = &self.files_per_chunk {
            number("--files-per-chunk", value)?;
            note("--files-per-chunk", "a chunk holds as many small files as fit");
        }
        if let Some(value) = &self.sync_interval {
            const FLAG: &str = "--sync-interval";
            let unreadable = |reason| UsageError::Unit { flag: FLAG, value: value.clone(), reason, example: "2s" };
            parse_duration(value).map_err(unreadable)?;
            note(FLAG, "peers tell each other what they have when they have it");
        }
        Ok(notices)
    }
}

/// p2pcp takes zero and less for "no limit" here.
fn number(flag: &'static str, value: &str) -> Result<i64, UsageError> {
    value.trim().parse().map_err(|_| UsageError::Number { flag, value: value.to_owned(), most: None })
}
