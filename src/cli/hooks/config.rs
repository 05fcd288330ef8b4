//! What is run when, how many at a time, and what a failure means: the flags of hooks, checked.
//!
//! Invariant: a [`HookConfig`] has at least one hook, and its lines can be run as they are; whether the programs exist is the world's to
//! say (`program`).

use std::num::NonZeroUsize;
use std::time::Duration;

use super::args::{FailureWord, HookArgs};
use super::shell;
use super::template::{LineError, Template};
use super::values::Occasion;

/// The most hooks of files at a time: a process each, and more would not be waiting for processors but for memory.
const JOBS_MAX: usize = 256;
/// How long a hook may take. p2pcp's value.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// A command of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A program with arguments.
    Program(Template),
    /// A line for a shell, with references to variables in place of values.
    Shell(String),
}

/// Hooks, ready to be looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookConfig {
    /// For each file. Default none.
    pub file: Option<Command>,
    /// For the whole. Default none.
    pub complete: Option<Command>,
    /// Hooks of files that run at a time. Default the number of processors: a hook that computes needs one, and one that waits is
    /// rare enough to be told so.
    pub jobs: NonZeroUsize,
    /// Time after which a hook is killed. Default 10 s, as p2pcp has it; `None` is never.
    pub timeout: Option<Duration>,
    /// Whether a failed hook makes the run fail. Default yes: who asks for a hook relies on it.
    pub failure_counts: bool,
}

/// Flags of hooks that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookUsageError {
    /// A line.
    #[error("{flag} {error}")]
    Line {
        /// The flag.
        flag: &'static str,
        /// What is wrong with it.
        error: LineError,
    },
    /// A number of hooks.
    #[error("--exec-jobs: {value:?} is not a number from 1 to {JOBS_MAX}")]
    Jobs {
        /// The value.
        value: String,
    },
}

impl HookConfig {
    /// What the flags mean; `None` without a hook. The time was read already. An empty line is no hook, as for p2pcp.
    ///
    /// # Errors
    /// [`HookUsageError`] for a line or number that cannot be used.
    pub fn from_args(args: &HookArgs, timeout: Option<Duration>) -> Result<Option<Self>, HookUsageError> {
        let one = |line: &Option<String>, occasion: Occasion| {
            let line = line.as_deref().filter(|line| !line.is_empty());
            let failed = |error| HookUsageError::Line { flag: occasion.flag(), error };
            line.map(|line| command(line, occasion, args.exec_shell)).transpose().map_err(failed)
        };
        let jobs = args.exec_jobs.as_deref().map(jobs).transpose()?;
        let (file, complete) = (
            one(&args.execute_on_each_file_complete, Occasion::File)?,
            one(&args.execute_on_complete, Occasion::Complete)?,
        );
        if file.is_none() && complete.is_none() {
            return Ok(None);
        }
        let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let jobs = jobs.unwrap_or(processors);
        let failure_counts = args.exec_failure != Some(FailureWord::Warn);
        Ok(Some(Self { file, complete, jobs, timeout, failure_counts }))
    }
}

fn command(line: &str, occasion: Occasion, for_shell: bool) -> Result<Command, LineError> {
    if for_shell {
        shell::convert(line, occasion).map(Command::Shell)
    } else {
        Template::parse(line, occasion).map(Command::Program)
    }
}

fn jobs(value: &str) -> Result<NonZeroUsize, HookUsageError> {
    let number = value.trim().parse().ok().filter(|jobs: &NonZeroUsize| jobs.get() <= JOBS_MAX);
    number.ok_or_else(|| HookUsageError::Jobs { value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(args: &HookArgs) -> Result<Option<HookConfig>, String> {
        HookConfig::from_args(args, Some(TIMEOUT)).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_line_there_is_no_hook() {
        assert_eq!(config(&HookArgs::default()), Ok(None));
        let empty = HookArgs { execute_on_complete: Some(String::new()), ..HookArgs::default() };
        assert_eq!(config(&empty), Ok(None));
    }

    #[test]
    fn a_line_is_a_program_unless_a_shell_is_asked_for() {
        let line = |exec_shell| HookArgs {
            execute_on_each_file_complete: Some("a %{file_path}".into()),
            exec_shell,
            ..HookArgs::default()
        };
        let without = config(&line(false)).unwrap().unwrap();
        assert!(matches!(without.file, Some(Command::Program(_))) && without.failure_counts);
        let with = config(&line(true)).unwrap().unwrap();
        assert_eq!(with.file, Some(Command::Shell("a \"${STREW_FILE_PATH}\"".into())));
    }

    #[test]
    fn refusals_name_the_flag() {
        for (args, flag) in [
            (
                HookArgs { execute_on_complete: Some("a | b".into()), ..HookArgs::default() },
                "--execute-on-complete has",
            ),
            (HookArgs { exec_jobs: Some("0".into()), ..HookArgs::default() }, "--exec-jobs"),
            (HookArgs { exec_jobs: Some("257".into()), ..HookArgs::default() }, "--exec-jobs"),
        ] {
            let refusal = config(&args).unwrap_err();
            assert!(refusal.contains(flag), "{refusal}");
        }
    }
}
