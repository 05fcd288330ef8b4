//! Hook: what a hook does, told.

use serde::{Deserialize, Serialize};

use super::EventPath;
use crate::cli::hooks::{News, Occasion, Outcome};

/// A hook began or ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    /// Which hook.
    pub hook: HookName,
    /// Which of the two, and how it ended.
    pub state: HookState,
    /// The file that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<EventPath>,
    /// Its exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Why it could not be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Milliseconds from its beginning to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
}

/// Which hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookName {
    /// That of a file.
    File,
    /// That of the whole.
    Complete,
}

/// What a hook did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookState {
    /// It began.
    Begun,
    /// It ended with code 0.
    Done,
    /// It ended otherwise, or could not be started.
    Failed,
    /// It took too long and was killed.
    TimedOut,
}

impl From<News> for Hook {
    fn from(news: News) -> Self {
        let elapsed = news.ended.as_ref().map(|(_, elapsed)| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
        let mut hook = Self {
            hook: match news.occasion {
                Occasion::File => HookName::File,
                Occasion::Complete => HookName::Complete,
            },
            state: HookState::Failed,
            path: news.path.as_deref().map(EventPath::from),
            code: None,
            signal: None,
            reason: None,
            elapsed_ms: elapsed,
        };
        match news.ended.map(|(outcome, _)| outcome) {
            None => hook.state = HookState::Begun,
            Some(Outcome::Done) => hook.state = HookState::Done,
            Some(Outcome::TimedOut(_)) => hook.state = HookState::TimedOut,
            Some(Outcome::Code(code)) => hook.code = Some(code),
            Some(Outcome::Signal(signal)) => hook.signal = Some(signal),
            Some(Outcome::NotStarted(reason)) => hook.reason = Some(reason),
        }
        hook
    }
}

impl Hook {
    /// Whether it ended and did not do its work.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        matches!(self.state, HookState::Failed | HookState::TimedOut)
    }

    /// Its failure in words; `None` while there is none. `shown` makes a path fit to be shown.
    pub(in crate::cli) fn failure(&self, shown: impl Fn(&str) -> String) -> Option<String> {
        if !self.has_failed() {
            return None;
        }
        let flag = match self.hook {
            HookName::File => Occasion::File.flag(),
            HookName::Complete => Occasion::Complete.flag(),
        };
        let about = self.path.as_ref().map(|path| format!(" for {}", shown(&path.path))).unwrap_or_default();
        let what = match (self.code, self.signal, &self.reason) {
            (Some(code), ..) => format!("ended with code {code}"),
            (_, Some(signal), _) => format!("was ended by signal {signal}"),
            (.., Some(reason)) => format!("could not be started: {}", shown(reason)),
            _ => format!("took longer than --command-timeout and was killed after {} ms", self.elapsed_ms.unwrap_or(0)),
        };
        Some(format!("warning: the hook of {flag}{about} {what}"))
    }
}
