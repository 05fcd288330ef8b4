//! Program: where the program of a hook is, found before anything is transferred.
//!
//! A typing error should end a run in its first second and not after a terabyte.
//!
//! Invariant: what was found is what is run; the search path is not looked at again.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::config::{Command, HookConfig};
use super::template::Template;
use super::values::Occasion;

/// Where programs are looked for when nothing says so (the usual fallback of exec, without the current folder).
const USUAL_PATH: &str = "/bin:/usr/bin";
/// Shells, best first: p2pcp's hooks were written for the first, and every system with a shell has the second.
const SHELLS: [&str; 2] = ["bash", "sh"];

/// A hook that cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// No such program.
    #[error(
        "{flag}: there is no program {name:?} that could be run; give its path, or add --exec-shell if it is a word of a shell"
    )]
    Missing {
        /// The flag.
        flag: &'static str,
        /// The program's name.
        name: String,
    },
    /// No shell.
    #[error(
        "--exec-shell: there is neither bash nor sh on this machine; use an image with a shell, or write {flag} without one"
    )]
    NoShell {
        /// The flag.
        flag: &'static str,
    },
}

/// A hook with its program found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) program: PathBuf,
    pub(super) words: Words,
}

/// What the program is given.
#[derive(Clone, Debug)]
pub(super) enum Words {
    /// Arguments with places for values.
    Template(Template),
    /// A line of a shell.
    Line(String),
}

/// The hooks of a configuration: for each file, and for the whole.
pub(super) fn find(config: &HookConfig) -> Result<(Option<Found>, Option<Found>), ProgramError> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| USUAL_PATH.into());
    let one = |command: &Option<Command>, when| command.as_ref().map(|c| locate(c, when, &path)).transpose();
    Ok((one(&config.file, Occasion::File)?, one(&config.complete, Occasion::Complete)?))
}

fn locate(command: &Command, occasion: Occasion, path: &OsStr) -> Result<Found, ProgramError> {
    let flag = occasion.flag();
    match command {
        Command::Program(template) => {
            let name = template.program.clone();
            let program = search(&name, path).ok_or(ProgramError::Missing { flag, name })?;
            Ok(Found { program, words: Words::Template(template.clone()) })
        }
        Command::Shell(line) => {
            let shell = SHELLS.iter().find_map(|name| search(name, path));
            let program = shell.ok_or(ProgramError::NoShell { flag })?;
            Ok(Found { program, words: Words::Line(line.clone()) })
        }
    }
}

/// The first file of that name that can be run. A name with a slash is a path.
fn search(name: &str, path: &OsStr) -> Option<PathBuf> {
    let runs = |file: &Path| file.is_file() && access(file, Access::EXEC_OK).is_ok();
    if name.contains('/') {
        // Kept as it is written but for the folder that it starts from, which another program may see otherwise.
        return std::path::absolute(name).ok().filter(|file| runs(file));
    }
    std::env::split_paths(path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name)).find(|f| runs(f))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str, path: &str) -> Result<PathBuf, ProgramError> {
        let template = Template::parse(line, Occasion::File).unwrap();
        locate(&Command::Program(template), Occasion::File, OsStr::new(path)).map(|found| found.program)
    }

    #[test]
    fn a_program_is_found_by_its_name_or_path() {
        let named = found("sh -c x", "/nowhere:/bin").unwrap();
        assert_eq!(named, Path::new("/bin/sh"));
        assert_eq!(found("/bin/sh", "").unwrap(), Path::new("/bin/sh"));
    }

    #[test]
    fn what_cannot_be_run_is_named_with_the_remedy() {
        for line in ["no-such-program-anywhere", "/etc/passwd", "/bin", "./sh", "cd /"] {
            let refusal = found(line, "/bin:/usr/bin").unwrap_err().to_string();
            assert!(
                refusal.contains("--execute-on-each-file-complete") && refusal.contains("--exec-shell"),
                "{refusal}"
            );
        }
        let shell = locate(&Command::Shell("true".into()), Occasion::Complete, OsStr::new("/nowhere")).unwrap_err();
        assert_eq!(shell, ProgramError::NoShell { flag: "--execute-on-complete" });
    }
}
