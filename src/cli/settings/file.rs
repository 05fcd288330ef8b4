//! The file of settings: TOML, with the names of the flags.
//!
//! A file outlives the one who wrote it, so it is read strictly: a key that no flag has is an error that names the nearest, and a secret is
//! taken only from a file that others cannot read.
//!
//! Invariant: no message shows what is in the file, apart from names of keys.
//!
//! Not here: which level a line belongs to.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Arg;
use toml::{Table, Value};
use zeroize::Zeroizing;

use super::name_of;

/// The key of the file that is no flag: the swarm key itself, which must never stand on a command line.
pub(super) const KEY: &str = "key";
/// A megabyte: a thousand times what all flags together need.
const FILE_LEN_MAX: u64 = 1 << 20;
/// How near a name must be to be proposed, from 0 to 1 (Jaro-Winkler; the value that clap uses for its own proposals).
const NEAR: f64 = 0.7;

/// A file of settings that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read the configuration file {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It is not TOML.
    #[error("{path}, line {line}: {reason}; write it as in peer-list = \"10.0.0.5,10.0.0.6\"")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// No flag has this name.
    #[error(
        "{path}: there is no setting {name:?}{nearest}; the names are those of the flags in --help, without dashes before them"
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The key.
        name: String,
        /// What it may have meant, as the end of a sentence.
        nearest: String,
    },
    /// A value that cannot be one.
    #[error("{path}: {name} {why}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A secret where others can read it.
    #[error(
        "{path}: {name} holds a secret, and {exposure}; run chmod 600 {path}, or keep the secret in a file of its own (--key-file)"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// The key.
        name: String,
        /// Who can get at it.
        exposure: String,
    },
}

/// A line of the file.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) values: Vec<String>,
}

/// The lines of a file, whose names are those of `known`.
pub(super) fn read(path: &Path, known: &[&Arg]) -> Result<Vec<Line>, FileError> {
    let failed = |error: io::Error| FileError::Read { path: path.to_owned(), reason: error.to_string() };
    let file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_LEN_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_LEN_MAX {
        return Err(failed(io::Error::other("it is larger than 1 MiB")));
    }
    let table: Table = toml::from_str(&text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
        // The library's whole message would show the line.
        FileError::Syntax {
            path: path.to_owned(),
            line,
            reason: error.message().lines().next().unwrap_or_default().to_owned(),
        }
    })?;
    let exposure = exposure(meta.mode(), meta.uid(), rustix::process::geteuid().as_raw());
    table.into_iter().map(|(name, value)| line(path, known, name, value, exposure.as_deref())).collect()
}

fn line(path: &Path, known: &[&Arg], name: String, value: Value, exposure: Option<&str>) -> Result<Line, FileError> {
    let path = || path.to_owned();
    let arg = known.iter().find(|arg| name_of(arg) == name);
    if arg.is_none() && name != KEY {
        let nearest = nearest(&name, known).map(|near| format!(", is it {near:?}")).unwrap_or_default();
        return Err(FileError::Unknown { path: path(), name, nearest });
    }
    let many = arg.is_some_and(|arg| matches!(arg.get_action(), clap::ArgAction::Append));
    let values = match value {
        Value::Array(list) if many => list.into_iter().map(scalar).collect::<Option<Vec<String>>>(),
        Value::Array(_) => return Err(FileError::Value { path: path(), name, why: "takes one value and no list" }),
        value => scalar(value).map(|value| vec![value]),
    };
    let Some(values) = values else {
        return Err(FileError::Value { path: path(), name, why: "must be text, a number, true or false" });
    };
    match exposure.filter(|_| name == KEY || values.iter().any(|value| is_secret(value))) {
        Some(exposure) => Err(FileError::Exposed { path: path(), name, exposure: exposure.to_owned() }),
        None => Ok(Line { name, values }),
    }
}

fn scalar(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(is) => Some(is.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

/// Whether a value gives away more than a name: a swarm key, or a password in a URL.
fn is_secret(value: &str) -> bool {
    let has_password = |url: &str| url.split(['/', '?', '#']).next().is_some_and(|host| host.contains('@'));
    value.contains("strew1-") || value.split_once("://").is_some_and(|(_, rest)| has_password(rest))
}

/// Who else can get at the file, if anybody can. Its group may read it, as it may a key file.
fn exposure(mode: u32, owner: u32, us: u32) -> Option<String> {
    const OTHERS: u32 = 0o007;
    const ROOT: u32 = 0;
    if mode & OTHERS != 0 {
        return Some(format!("other users can get at it (mode {:04o})", mode & 0o7777));
    }
    (owner != us && owner != ROOT).then(|| format!("it belongs to another user ({owner})"))
}

fn nearest<'a>(name: &str, known: &[&'a Arg]) -> Option<&'a str> {
    let plain = name.to_lowercase().replace('_', "-");
    let likeness = |candidate: &str| strsim::jaro_winkler(&plain, candidate);
    let names = known.iter().map(|arg| name_of(arg)).filter(|candidate| likeness(candidate) > NEAR);
    names.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}
