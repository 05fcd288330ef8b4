//! Limits: how much this machine may send and take.
//!
//! Invariant: no limit is `None`, and a limit that is there is one with which a transfer gets on.
//!
//! Not here: how the units are written (`units`).

use super::usage::UsageError;
use crate::units::{BytesPerSecond, parse_limit};

/// The lowest limit, 64 kbit/s: with all of ten neighbours' streams sharing it, each still brings something within the half minute after which a
/// neighbour that brings nothing is given up.
const LEAST: u64 = 8000;
const EXAMPLE: &str = "80Mbit/s or 10MiB/s";

/// The limit that a flag names.
pub(super) fn limit(flag: &'static str, value: Option<&str>) -> Result<Option<BytesPerSecond>, UsageError> {
    let Some(value) = value else { return Ok(None) };
    let limit = parse_limit(value).map_err(|reason| {
        let value = value.to_owned();
        UsageError::Unit { flag, value, reason, example: EXAMPLE }
    })?;
    match limit {
        Some(rate) if rate.bytes() < LEAST => Err(UsageError::Rate { flag, value: value.trim().to_owned() }),
        limit => Ok(limit),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Args;
    use super::super::args::Refusal;
    use super::super::config::Config;
    use super::*;

    /// Both limits, with both variables set alike.
    fn limits(line: &str, variable: Option<&str>) -> Result<[Option<u64>; 2], String> {
        let environment = |name: &str| variable.filter(|_| name.ends_with("LOAD_LIMIT")).map(Into::into);
        let read = Args::read_with(line.split_whitespace().map(Into::into), &environment);
        let (args, settings) = read.map_err(|refusal| match refusal {
            Refusal::Words(error) => error.to_string(),
            Refusal::Settings(error) => error.to_string(),
        })?;
        let node = Config::from_args(&args.transfer).map_err(|error| settings.explain(&error.to_string()))?.node;
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
