//! How a run ended, as a number for scripts.
//!
//! The numbers are a promise: a job controller decides by them whether to try again, so each kind of end has its own and none
//! is ever reused.
//!
//! Invariant: 0 means that every byte is there, verified, durable and under its final name, or that nothing was to be
//! transferred to this machine.
//!
//! Not here: which error is which kind; `node` knows what went wrong and names one of these.

/// The exit code of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitCode {
    /// Complete; also a signal after completion or to a node that only serves.
    Complete = 0,
    /// A bug in strew, or something that no other code fits.
    Internal = 1,
    /// The command line or the configuration is wrong. Trying again does not help.
    Usage = 2,
    /// The peers and we do not accept each other's certificates: another key, an expired certificate, a role that does not allow it.
    Authentication = 3,
    /// The content did not arrive whole: no peers, no publisher, or nothing came for too long. What arrived is kept, and trying
    /// again helps.
    Incomplete = 4,
    /// This machine's disk or network device failed: no space, no permission, read errors.
    LocalIo = 5,
    /// What arrived contradicts its signed digests or itself. Do not try again before somebody has looked.
    Integrity = 6,
    /// Another process writes to the destination.
    DestinationInUse = 7,
    /// The source changed while it was being read.
    SourceChanged = 8,
    /// The content is complete, and a command to run afterwards failed, took too long or was cut short.
    HookFailed = 9,
    /// SIGINT before completion (128 + 2, as shells count).
    Interrupted = 130,
    /// SIGTERM before completion (128 + 15, as shells count).
    Terminated = 143,
}

impl ExitCode {
    /// Every exit code, ascending.
    pub const ALL: [Self; 12] = [
        Self::Complete,
        Self::Internal,
        Self::Usage,
        Self::Authentication,
        Self::Incomplete,
        Self::LocalIo,
        Self::Integrity,
        Self::DestinationInUse,
        Self::SourceChanged,
        Self::HookFailed,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// What it means, in a few words for `--help`.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Complete => "complete: every byte is there, verified and durable",
            Self::Internal => "internal error",
            Self::Usage => "wrong usage or configuration",
            Self::Authentication => "authentication: another key, or a certificate that does not do",
            Self::Incomplete => "incomplete; trying again helps",
            Self::LocalIo => "this machine's disk or network failed",
            Self::Integrity => "integrity: do not try again",
            Self::DestinationInUse => "the destination is in use by another process",
            Self::SourceChanged => "the source changed while it was being read",
            Self::HookFailed => "complete, but a hook failed",
            Self::Interrupted => "SIGINT before completion",
            Self::Terminated => "SIGTERM before completion",
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_that_are_documented() {
        assert_eq!(ExitCode::ALL.map(ExitCode::number), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130, 143]);
    }
}
