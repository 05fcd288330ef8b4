//! Values: what a hook is told, by which name.
//!
//! Each has a name for templates, which is p2pcp's where p2pcp has it, and a variable of the environment, which every hook gets.
//!
//! Invariant: a value is bytes and stays bytes, as names of files are.
//!
//! Not here: how a value gets into a command (`template`, `shell`).

use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// Something that a hook is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// The file's absolute path in the destination.
    FilePath,
    /// Its bytes.
    FileSize,
    /// `true` when its bytes lay there before this run, else `false`.
    FileKept,
    /// The time from the start of the run to its completion, written as Go does: `1m2.5s`.
    ElapsedTime,
    /// Regular files that are not empty.
    FileCount,
    /// Bytes of all files.
    TotalFileSize,
    /// The content id.
    ContentId,
    /// The root of all digests.
    Root,
}

impl Value {
    /// Every value.
    pub const ALL: [Self; 8] = [
        Self::FilePath,
        Self::FileSize,
        Self::FileKept,
        Self::ElapsedTime,
        Self::FileCount,
        Self::TotalFileSize,
        Self::ContentId,
        Self::Root,
    ];

    /// Its name between `%{` and `}`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FilePath => "file_path",
            Self::FileSize => "file_size",
            Self::FileKept => "file_kept",
            Self::ElapsedTime => "elapsed_time",
            Self::FileCount => "file_count",
            Self::TotalFileSize => "total_file_size",
            Self::ContentId => "content_id",
            Self::Root => "root",
        }
    }

    /// Its variable.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::FilePath => "STREW_FILE_PATH",
            Self::FileSize => "STREW_FILE_SIZE",
            Self::FileKept => "STREW_FILE_KEPT",
            Self::ElapsedTime => "STREW_ELAPSED_TIME",
            Self::FileCount => "STREW_FILE_COUNT",
            Self::TotalFileSize => "STREW_TOTAL_FILE_SIZE",
            Self::ContentId => "STREW_CONTENT_ID",
            Self::Root => "STREW_ROOT",
        }
    }
}

/// When a hook is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A file is final.
    File,
    /// Everything is.
    Complete,
}

impl Occasion {
    /// The flag that gives the hook.
    #[must_use]
    pub const fn flag(self) -> &'static str {
        match self {
            Self::File => "--execute-on-each-file-complete",
            Self::Complete => "--execute-on-complete",
        }
    }

    /// What its hook is told.
    #[must_use]
    pub const fn values(self) -> &'static [Value] {
        match self {
            Self::File => &[Value::FilePath, Value::FileSize, Value::FileKept],
            Self::Complete => {
                &[Value::ElapsedTime, Value::FileCount, Value::TotalFileSize, Value::ContentId, Value::Root]
            }
        }
    }

    /// The names of its values, for messages.
    #[must_use]
    pub(super) fn names(self) -> String {
        self.values().iter().map(|value| format!("%{{{}}}", value.name())).collect::<Vec<_>>().join(" ")
    }
}

/// The values of one hook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(Vec<(Value, OsString)>);

impl Values {
    /// These and one more.
    #[must_use]
    pub fn with(mut self, value: Value, bytes: impl Into<OsString>) -> Self {
        self.0.push((value, bytes.into()));
        self
    }

    /// Their variables.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&'static str, &OsStr)> {
        self.0.iter().map(|(value, bytes)| (value.variable(), bytes.as_os_str()))
    }

    /// The bytes of one of them; none of a value that is not there.
    pub(super) fn bytes_of(&self, wanted: Value) -> &OsStr {
        let found = self.0.iter().find(|(value, _)| *value == wanted);
        found.map_or_else(|| OsStr::new(""), |(_, bytes)| bytes.as_os_str())
    }
}

/// A time as Go writes it, so that what parses p2pcp's parses ours.
#[must_use]
pub(super) fn go_duration(time: Duration) -> String {
    let nanos = time.as_nanos();
    let (unit, scale) = match nanos {
        0 => return "0s".to_owned(),
        1..1_000 => ("ns", 1),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    let (minutes, rest) = if unit == "s" { (nanos / 60_000_000_000, nanos % 60_000_000_000) } else { (0, nanos) };
    let digits = scale.to_string().len() - 1;
    let fraction = if digits == 0 { String::new() } else { format!("{:0digits$}", rest % scale) };
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let last = format!("{}{point}{fraction}{unit}", rest / scale);
    match (minutes / 60, minutes % 60) {
        (0, 0) => last,
        (0, minutes) => format!("{minutes}m{last}"),
        (hours, minutes) => format!("{hours}h{minutes}m{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::parse_duration;

    #[test]
    fn times_are_written_as_go_does() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (250_000_000, "250ms"),
            (1_000_000_000, "1s"),
            (2_050_000_000, "2.05s"),
            (62_500_000_000, "1m2.5s"),
            (3_600_000_000_000, "1h0m0s"),
            (3_723_000_000_001, "1h2m3.000000001s"),
        ] {
            let time = Duration::from_nanos(nanos);
            assert_eq!(go_duration(time), text);
            assert_eq!(parse_duration(text), Ok(time), "we can read it ourselves");
        }
    }

    #[test]
    fn every_value_belongs_to_an_occasion_and_has_names_of_its_own() {
        for value in Value::ALL {
            let told = [Occasion::File, Occasion::Complete].map(|when| when.values().contains(&value));
            assert!(told.contains(&true), "{value:?}");
            assert_eq!(value.variable(), format!("STREW_{}", value.name().to_uppercase()));
        }
    }
}
