//! The log: what happened, with its time, on standard error.
//!
//! It shares its stream with the progress line and goes through the same [`Screen`], so that neither ends up inside the other.
//! Quiet by default: a transfer that works says nothing but how far it is.
//!
//! Invariant: nothing secret is logged, because keys have no form that could be (see `identity`).
//!
//! Not here: what is told to people and programs as the result of a run ([`super::Reporter`]).

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::screen::Screen;
use super::usage::UsageError;

/// What is logged without being asked for: our warnings; of the libraries only errors, because their warnings are about single
/// packets and time-outs that we handle.
const QUIET: &str = "error,strew=warn";
/// What `--verbose` adds: every connection with its identity, and other decisions of a run.
const VERBOSE: &str = "warn,strew=info";

/// Starts the log. A second call changes nothing.
///
/// # Errors
/// [`UsageError::LogFilter`] when `filter` (the value of `STREW_LOG`) cannot be understood.
pub fn init(verbose: bool, filter: Option<&str>, screen: &Screen) -> Result<(), UsageError> {
    let filter = log_filter(verbose, filter)?;
    let colours = screen.width().is_some() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(screen.clone()).with_ansi(colours).finish();
    // Fails only when a log was started before, which then goes on.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

fn log_filter(verbose: bool, filter: Option<&str>) -> Result<EnvFilter, UsageError> {
    let given = filter.map(str::trim).filter(|text| !text.is_empty());
    let text = given.unwrap_or(if verbose { VERBOSE } else { QUIET });
    EnvFilter::try_new(text).map_err(|_| UsageError::LogFilter { value: text.to_owned() })
}

impl<'a> MakeWriter<'a> for Screen {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::screen::tests::Paper;

    /// What is logged of a warning, an information and a debugging line.
    fn logged(verbose: bool, filter: Option<&str>) -> Vec<&'static str> {
        let paper = Paper::default();
        let filter = log_filter(verbose, filter).unwrap();
        let writer = paper.screen(None);
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false).finish();
        tracing::subscriber::with_default(log, || {
            tracing::warn!("a warning");
            tracing::info!("an information");
            tracing::debug!("a detail");
            tracing::warn!(target: "quinn", "a packet");
        });
        let text = paper.text();
        ["a warning", "an information", "a detail", "a packet"].into_iter().filter(|line| text.contains(line)).collect()
    }

    #[test]
    fn more_is_logged_when_it_is_asked_for() {
        assert_eq!(logged(false, None), ["a warning"]);
        assert_eq!(logged(true, None), ["a warning", "an information", "a packet"]);
    }

    #[test]
    fn the_environment_overrides_the_flag() {
        assert_eq!(logged(false, Some("strew=debug")), ["a warning", "an information", "a detail"]);
        assert_eq!(logged(true, Some("off")), Vec::<&str>::new());
        assert_eq!(logged(false, Some(" ")), ["a warning"], "a blank variable counts as none");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_refused() {
        let error = log_filter(false, Some("strew=loud")).unwrap_err().to_string();
        assert!(error.contains("STREW_LOG") && error.contains("strew=debug"), "{error}");
    }
}
