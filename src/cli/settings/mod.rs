//! Settings: a flag of a transfer may also be a variable of the environment or a line of a file.
//!
//! Names are made of the flags by rule and never listed: `--peer-list` is `STREW_PEER_LIST`, and `peer-list` in the file. So a new flag has
//! all three on the day it is made. What comes from below is put before the words that were typed, as flags, and goes through the very same
//! reading and the same refusals.
//!
//! Invariant: a flag counts before a variable, a variable before the file, the file before the default; a variable without a value counts
//! as none. A value from below that contradicts one from above is left out, and not refused: it was overruled.
//!
//! Not here: variables that are no flags (`environment`), among them the key; and the few flags whose variables have rules of their own and
//! are read there (`READ_THERE`).

mod file;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use zeroize::Zeroizing;

pub use file::FileError;

use super::usage::UsageError;

/// The flag that names the file.
const FILE_FLAG: &str = "config";
/// Flags whose variables `environment` reads, because they say together with `STREW_KEY` with what a node proves itself, or because what is
/// wrong with them is said of the variable.
const READ_THERE: [&str; 4] = ["key-file", "certs-dir", "bundle", "zone"];
/// Flags that say with what a node proves itself. Whoever says it on one level says all of it.
const PROOFS: [&str; 3] = ["key-file", "certs-dir", "bundle"];
/// The variable with the key itself, which says the same.
const KEY_VARIABLE: &str = "STREW_KEY";

/// What variables and the file add to the words that were typed.
#[derive(Default)]
pub struct Settings {
    /// As words, to be put before those that were typed.
    pub words: Vec<OsString>,
    /// Of each flag among them: where it is from.
    origins: Vec<(String, String)>,
    /// The key in the file, if it has one and nothing above says with what this node proves itself.
    pub key: Option<Zeroizing<String>>,
}

/// The variable of a flag.
#[must_use]
pub fn variable(flag: &str) -> String {
    format!("STREW_{}", flag.replace('-', "_").to_uppercase())
}

/// The flags that have a variable and a line: those of a transfer, but for what asks for help.
pub(super) fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    let asks = |arg: &&Arg| !matches!(arg.get_action(), clap::ArgAction::Help | clap::ArgAction::Version);
    command.get_arguments().filter(|arg| arg.get_long().is_some()).filter(asks)
}

impl Settings {
    /// What `environment` and the file add to what was typed.
    ///
    /// # Errors
    /// [`UsageError::File`] for a file that cannot be used.
    pub fn find(
        command: &Command,
        typed: &ArgMatches,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, UsageError> {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let is_typed = |arg: &&Arg| typed.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
        let mut level = Level { command, taken: flags(command).filter(is_typed).map(name_of).collect() };
        let mut settings = Self::default();
        let variables: Vec<(&Arg, OsString)> = flags(command)
            .filter(|arg| level.is_open(arg))
            .filter_map(|arg| Some((arg, set(&variable(name_of(arg)))?)))
            .collect();
        for (arg, value) in &variables {
            level.taken.insert(name_of(arg));
            if name_of(arg) != FILE_FLAG && !READ_THERE.contains(&name_of(arg)) {
                settings.add(name_of(arg), value, variable(name_of(arg)));
            }
        }
        let path = typed.get_one::<PathBuf>(FILE_FLAG).cloned();
        let Some(path) = path.or_else(|| set(&variable(FILE_FLAG)).map(PathBuf::from)) else { return Ok(settings) };
        let proves = set(KEY_VARIABLE).is_some() || PROOFS.iter().any(|flag| level.taken.contains(flag));
        let known: Vec<&Arg> = flags(command).filter(|arg| name_of(arg) != FILE_FLAG).collect();
        for line in file::read(&path, &known)? {
            let is_open = |arg: &&Arg| level.is_open(arg) && !(proves && PROOFS.contains(&name_of(arg)));
            if line.name == file::KEY {
                settings.key = line.values.into_iter().next().map(Zeroizing::new).filter(|_| !proves);
            } else if let Some(arg) = known.iter().copied().find(|arg| name_of(arg) == line.name).filter(is_open) {
                for value in &line.values {
                    settings.add(name_of(arg), OsStr::new(value), path.display().to_string());
                }
            }
        }
        Ok(settings)
    }

    /// The first of the words that is refused by itself, and why, told with where it is from.
    #[must_use]
    pub fn culprit(&self, refuse: impl Fn(&OsStr) -> Option<String>) -> Option<UsageError> {
        let one = |(word, (flag, origin)): (&OsString, &(String, String))| {
            let reason = refuse(word)?;
            Some(UsageError::Setting { flag: flag.clone(), origin: origin.clone(), reason })
        };
        self.words.iter().zip(&self.origins).find_map(one)
    }

    /// A message that names flags, with where those are from that nobody typed.
    #[must_use]
    pub fn explain(&self, message: &str) -> String {
        let is_named = |flag: &str| {
            let wanted = format!("--{flag}");
            let goes_on = |rest: &str| rest.starts_with(|c: char| c == '-' || c.is_ascii_alphanumeric());
            message.match_indices(&wanted).any(|(at, _)| !goes_on(&message[at + wanted.len()..]))
        };
        let mut text = message.to_owned();
        let mut said = BTreeSet::new();
        for (flag, origin) in self.origins.iter().filter(|(flag, _)| is_named(flag)) {
            if said.insert(flag) {
                text.push_str(&format!(" (--{flag} is from {origin})"));
            }
        }
        text
    }

    fn add(&mut self, flag: &str, value: &OsStr, origin: String) {
        let mut word = OsString::from(format!("--{flag}="));
        word.push(value);
        self.words.push(word);
        self.origins.push((flag.to_owned(), origin));
    }
}

/// What the levels so far have said.
struct Level<'a> {
    command: &'a Command,
    taken: BTreeSet<&'a str>,
}

impl Level<'_> {
    /// Whether nothing above says this, or contradicts it.
    fn is_open(&self, arg: &Arg) -> bool {
        let name = name_of(arg);
        let contradicts = |other: &Arg| other.get_long().is_some_and(|other| self.taken.contains(other));
        let turned = |taken: &str| {
            let other = flags(self.command).find(|other| other.get_long() == Some(taken));
            other.is_some_and(|other| {
                self.command.get_arg_conflicts_with(other).iter().any(|arg| arg.get_long() == Some(name))
            })
        };
        !self.taken.contains(name)
            && !self.command.get_arg_conflicts_with(arg).into_iter().any(contradicts)
            && !self.taken.iter().copied().any(turned)
    }
}

/// The name of a flag.
fn name_of(arg: &Arg) -> &str {
    arg.get_long().expect("only flags with names are asked")
}
