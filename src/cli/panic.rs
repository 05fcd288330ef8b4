//! What a panic does to the program: it ends, at once and with the exit code of an internal error.
//!
//! A panic ends only its own task; a program whose connections or disk jobs lost one would wait for it, perhaps for ever, in
//! a job that nobody watches. Nothing is lost by ending: a killed run resumes.
//!
//! Invariant: a panic on whatever thread is printed as usual and then ends the process with [`ExitCode::Internal`].
//!
//! Not here: programs that use the library, which decide for themselves; `node::run` ends in an error there.

use std::panic;

use super::ExitCode;

/// From now on, a panic ends the process.
pub(super) fn end_the_process() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        usual(info);
        std::process::exit(ExitCode::Internal.number().into());
    }));
}
