//! Limits: how much this machine may send and take, from flags or the environment.
//!
//! The environment, because a limit belongs to a machine's place in the network and not to what it replicates; a flag goes before it,
//! also one that says "none".
//!
//! Invariant: no limit is `None`, and a limit that is there is one with which a transfer gets on.
//!
//! Not here: how the units are written (`units`).

use super::args::TransferArgs;
use super::config::Config;
use super::environment::Environment;
use super::usage::UsageError;
use crate::units::{BytesPerSecond, parse_limit};

/// The lowest limit, 64 kbit/s: with all of ten neighbours' streams sharing it, each still brings something within the half minute after which a
/// neighbour that brings nothing is given up.
const LEAST: u64 = 8000;
const EXAMPLE: &str = "80Mbit/s or 10MiB/s";

/// A limit; `from` is what named it.
pub(super) fn limit(from: &'static str, value: Option<&str>) -> Result<Option<BytesPerSecond>, UsageError> {
    let Some(value) = value else { return Ok(None) };
    let limit = parse_limit(value).map_err(|reason| {
        let value = value.to_owned();
        UsageError::Unit { flag: from, value, reason, example: EXAMPLE }
    })?;
    match limit {
        Some(rate) if rate.bytes() < LEAST => Err(UsageError::Rate { flag: from, value: value.trim().to_owned() }),
        limit => Ok(limit),
    }
}

impl Config {
    /// The same with the limits that the environment names where `args` name none. A variable without a value names none.
    ///
    /// # Errors
    /// [`UsageError`] for a rate that cannot be used.
    pub fn limited_by(mut self, args: &TransferArgs, environment: &Environment) -> Result<Self, UsageError> {
        let named = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        if args.upload_limit.is_none() {
            self.node.upload_limit = limit("STREW_UPLOAD_LIMIT", named(&environment.upload_limit).as_deref())?;
        }
        if args.download_limit.is_none() {
            self.node.download_limit = limit("STREW_DOWNLOAD_LIMIT", named(&environment.download_limit).as_deref())?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Args;
    use super::*;

    fn limits(line: &str, variable: Option<&str>) -> Result<[Option<u64>; 2], String> {
        let args = Args::read(line.split_whitespace().map(Into::into)).map_err(|e| e.to_string())?;
        let variable = variable.map(str::to_owned);
        let environment =
            Environment { upload_limit: variable.clone(), download_limit: variable, ..Environment::default() };
        let config =
            Config::from_args(&args.transfer).and_then(|config| config.limited_by(&args.transfer, &environment));
        let node = config.map_err(|e| e.to_string())?.node;
        Ok([node.upload_limit, node.download_limit].map(|limit| limit.map(BytesPerSecond::bytes)))
    }

    #[test]
    fn a_flag_goes_before_the_environment_also_when_it_says_none() {
        assert_eq!(limits("--src /a", None), Ok([None, None]));
        assert_eq!(limits("--src /a", Some("")), Ok([None, None]));
        assert_eq!(limits("--src /a", Some("8Mbit/s")), Ok([Some(1_000_000); 2]));
        let flags = "--src /a --upload-limit 80Mbit/s -download-limit=none";
        assert_eq!(limits(flags, Some("8Mbit/s")), Ok([Some(10_000_000), None]));
        assert_eq!(limits("--src /a --download-limit 10MiB/s --upload-limit 0", None), Ok([None, Some(10 << 20)]));
    }

    #[test]
    fn a_refusal_names_what_said_it_and_how_to_write_it() {
        for (line, variable, parts) in [
            ("--src /a --upload-limit 80", None, ["--upload-limit", "80Mbit/s or 10MiB/s"]),
            ("--src /a --download-limit 10MiB", None, ["--download-limit", "80Mbit/s or 10MiB/s"]),
            ("--src /a", Some("fast"), ["STREW_UPLOAD_LIMIT", "80Mbit/s or 10MiB/s"]),
            ("--src /a --upload-limit 1kbit/s", None, ["--upload-limit", "64kbit/s"]),
        ] {
            let told = limits(line, variable).unwrap_err();
            assert!(parts.iter().all(|part| told.contains(part)), "{told}");
        }
    }
}
