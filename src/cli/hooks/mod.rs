//! Hooks: commands that are run when a file, or everything, is complete.
//!
//! p2pcp has them, and fleets rely on them: unpack a file as soon as it is there, reload a model when all are. Here they are programs with
//! arguments, since names of files come from other machines; a shell is used only when it is asked for, and gets values by its environment.
//! What they are told, and the rules of their lines, are in `docs/hooks.md`.
//!
//! Invariant: nothing of a transfer waits for a hook, and a hook sees only what is verified, durable and under its final name.
//!
//! Not here: what a failed hook means for the run (`transfer`).

mod args;
mod config;
mod process;
mod program;
mod runner;
mod shell;
mod template;
#[cfg(test)]
mod tests;
mod values;

pub use args::HookArgs;
pub use config::{HookConfig, HookUsageError, TIMEOUT};
pub use process::{Outcome, Printing};
pub use runner::{Completion, Hooks, HooksError, News};
pub use values::{Occasion, Value, Values};
