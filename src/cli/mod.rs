//! The command line: flags in, lines and exit codes out.
//!
//! A run has three steps here: words become [`Args`], arguments and environment become a [`Config`] or a [`UsageError`], and
//! one `match` starts what was asked for. What a node tells while it runs is shown by a [`Reporter`].
//!
//! Invariant: standard output carries data only (events, keys, help that was asked for); everything else goes to standard
//! error, and a closed or broken one never stops a transfer.
//!
//! Not here: any decision about the transfer itself; `node` takes what the configuration says.

pub mod args;
pub mod config;
pub mod event;
pub mod exit;
pub mod logging;
pub mod progress;
pub mod report;
pub mod screen;
pub mod spelling;
pub mod statistics;

pub use args::Args;
pub use config::{Config, UsageError};
pub use exit::ExitCode;
pub use report::Reporter;
pub use screen::Screen;
