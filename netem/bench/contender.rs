//! Contenders: how to start a program as seeder and as peer, and how it says that it is complete.
//!
//! A contender is a small TOML file, so that anybody can put a program beside strew without a line of Rust. Commands are lists of words; what
//! stands in braces is filled in for each machine. Nothing is downloaded or built: a program that is not installed is passed over with a word.
//!
//! Invariant: a word in braces that nobody knows is an error when the file is used, not an argument for the program.
//!
//! Not here: running it (`process`).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::bound::Transport;

/// What a contender's file says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contender {
    /// What the file is called; not part of it.
    #[serde(skip)]
    pub(crate) name: String,
    /// The program, looked for in `PATH`; strew is looked for beside this program.
    pub(crate) program: String,
    /// Other programs that it needs.
    #[serde(default)]
    pub(crate) needs: Vec<String>,
    /// What carries the data, for the share of payload.
    pub(crate) transport: Transport,
    /// A command whose first line of output becomes `{secret}`; once for each run.
    #[serde(default)]
    pub(crate) secret: Vec<String>,
    /// A command that prepares the source, on the seeder's machine before the clock starts; its end is waited for.
    #[serde(default)]
    pub(crate) prepare: Vec<String>,
    pub(crate) seeder: Vec<String>,
    pub(crate) peer: Vec<String>,
    /// The port that it listens on.
    pub(crate) port: u16,
    /// More words for both, where a machine is in a zone.
    #[serde(default)]
    pub(crate) zone: Vec<String>,
    /// Variables of both.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    /// Files that are written into `{folder}` before a run.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// When peers may start.
    pub(crate) ready: Sign,
    /// When a peer is complete.
    pub(crate) complete: Sign,
    /// Whether the copy's file system is synced before a peer counts as complete, because the program does not do that itself.
    #[serde(default)]
    pub(crate) sync: bool,
    /// How it is asked to end: `INT` or `TERM`.
    #[serde(default)]
    pub(crate) stop: Stop,
    /// The folder in `{dst}` that is the copy, where the program makes one.
    #[serde(default)]
    pub(crate) inside: String,
    /// Whether it keeps permissions, so that they are compared.
    #[serde(default = "yes")]
    pub(crate) modes: bool,
    /// Names at the top of a copy that belong to the program and not to the data.
    #[serde(default)]
    pub(crate) leaves: Vec<String>,
    /// Whether it leaves a copy. What only moves bytes does not, and is there to be compared with.
    #[serde(default = "yes")]
    pub(crate) copies: bool,
    /// Whether it prints strew's events, which tell more than devices can count.
    #[serde(default)]
    pub(crate) events: bool,
}

/// How a program shows something.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sign {
    /// A line that it prints contains this.
    Output(String),
    /// It ends with exit code 0.
    Exit,
    /// This file is there.
    File(String),
    /// It listens on its port, by TCP or by UDP.
    Listens,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Stop {
    Int,
    #[default]
    Term,
}

/// What stands for the words in braces.
pub(crate) type Words = BTreeMap<&'static str, OsString>;

/// Why a contender cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContenderError {
    #[error("cannot read the contender {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot understand the contender {path}: {message}")]
    Parse { path: PathBuf, message: String },
    #[error("contender {name}: nothing is known as {{{word}}}; write one of {known}")]
    Word { name: String, word: String, known: String },
    #[error("contender {name}: {what} is empty")]
    Empty { name: String, what: &'static str },
}

impl Contender {
    /// Reads a contender's file.
    pub(crate) fn read(path: &Path) -> Result<Self, ContenderError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ContenderError::Read { path: path.to_owned(), source })?;
        let mut contender: Self = toml::from_str(&text)
            .map_err(|error| ContenderError::Parse { path: path.to_owned(), message: error.to_string() })?;
        contender.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for (what, command) in [("seeder", &contender.seeder), ("peer", &contender.peer)] {
            if command.is_empty() {
                return Err(ContenderError::Empty { name: contender.name, what });
            }
        }
        Ok(contender)
    }

    /// The words of a command with everything in braces filled in. In text that has braces of its own, `{{` stands for one.
    pub(crate) fn fill(&self, text: &str, words: &Words) -> Result<OsString, ContenderError> {
        let mut filled = OsString::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            filled.push(&rest[..open]);
            if let Some(after) = rest[open + 1..].strip_prefix('{') {
                filled.push("{");
                rest = after;
                continue;
            }
            let close = rest[open..].find('}').map_or(rest.len(), |at| open + at);
            let word = &rest[open + 1..close];
            filled.push(words.get(word).ok_or_else(|| ContenderError::Word {
                name: self.name.clone(),
                word: word.to_owned(),
                known: words.keys().copied().collect::<Vec<_>>().join(", "),
            })?);
            rest = rest.get(close + 1..).unwrap_or_default();
        }
        filled.push(rest);
        Ok(filled)
    }

    /// The programs of `PATH` that it needs and that are not there.
    pub(crate) fn missing(&self) -> Vec<&str> {
        let programs = std::iter::once(&self.program).chain(&self.needs).map(String::as_str);
        programs.filter(|program| find(program).is_none()).collect()
    }
}

const fn yes() -> bool {
    true
}

/// Where a program is: as it is written if that is a path, else beside this one, where cargo puts examples, or in `PATH`.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let is_there = |path: &PathBuf| path.is_file();
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(is_there);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    beside.into_iter().chain(std::env::split_paths(&path)).map(|folder| folder.join(program)).find(is_there)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender() -> Contender {
        toml::from_str(
            r#"
            program = "x"
            transport = "tcp"
            port = 80
            seeder = ["x"]
            peer = ["x", "{seeder}"]
            ready = "listens"
            complete = "exit"
            "#,
        )
        .unwrap()
    }

    #[test]
    fn braces_are_filled_in() {
        let words = Words::from([("seeder", "10.0.0.1".into()), ("dst", "copy".into())]);
        let filled = |text| contender().fill(text, &words).unwrap().into_string().unwrap();
        assert_eq!(filled("http://{seeder}:80/{dst}"), "http://10.0.0.1:80/copy");
        assert_eq!(filled("%{{name}"), "%{name}");
        assert_eq!(filled("plain"), "plain");
    }

    #[test]
    fn a_word_that_nobody_knows_is_an_error() {
        let error = contender().fill("{sedeer}", &Words::from([("seeder", "10.0.0.1".into())])).unwrap_err();
        assert_eq!(error.to_string(), "contender : nothing is known as {sedeer}; write one of seeder");
    }

    #[test]
    fn a_program_that_is_not_installed_is_missing() {
        let mut contender = contender();
        contender.program = "sh".into();
        contender.needs = vec!["no program has this name".into()];
        assert_eq!(contender.missing(), ["no program has this name"]);
    }
}
