//! Afterwards: hooks in the course of a run.
//!
//! They are told what is final while the transfer goes on, and the run waits for them only when its node has ended. A run that is not
//! complete begins no further hook: the next run has the hooks of all files again, so nothing is lost by it.
//!
//! Invariant: exit code 0 of a complete run means that its hooks did their work too, unless `--exec-failure warn` says that this does not
//! matter.
//!
//! Not here: running them (`hooks`).

use super::{Signals, Teller, give_up, unix_ms};
use crate::cli::config::{Config, Output};
use crate::cli::event::{Event, Hook};
use crate::cli::exit::ExitCode;
use crate::cli::hooks::{Completion, Hooks, HooksError, News, Printing};

/// The hooks that are configured. A node that only publishes has no use for them: nothing becomes complete there.
pub(super) fn start(config: &Config) -> Option<Result<Hooks, HooksError>> {
    let printing = match config.output {
        Output::Text => Printing::Out,
        Output::Json => Printing::Err,
    };
    Some(Hooks::start(config.hooks.as_ref()?, config.destination()?, printing))
}

pub(super) const fn exit_code(error: &HooksError) -> ExitCode {
    match error {
        HooksError::Program(_) => ExitCode::Usage,
        HooksError::Thread(_) => ExitCode::LocalIo,
    }
}

/// The next news of hooks, if there are hooks; else it never comes.
pub(super) async fn next_of(hooks: &mut Option<Hooks>) -> Option<News> {
    match hooks {
        Some(hooks) => hooks.next().await,
        None => std::future::pending().await,
    }
}

impl Teller<'_> {
    /// Waits for hooks. Those of a run that is not complete are begun no more: the next one has them all again. A signal ends them.
    pub(super) async fn finish_hooks(&mut self, code: ExitCode, signals: &mut Signals) -> ExitCode {
        let complete = code == ExitCode::Complete;
        if let Some(hooks) = &mut self.hooks {
            hooks.close(!complete);
        }
        let mut was_cut = false;
        while self.hooks.is_some() && !was_cut {
            tokio::select! {
                news = next_of(&mut self.hooks) => match news {
                    Some(news) => self.tell_hook(news),
                    None => break,
                },
                signal = signals.next() => was_cut = signal.is_some(),
            }
        }
        self.hooks = None;
        let counts = self.config.hooks.as_ref().is_some_and(|hooks| hooks.failure_counts);
        let message = match (complete, self.hooks_failed) {
            (true, _) if was_cut => "the content is complete, but hooks were cut short by a signal".to_owned(),
            (true, failed @ 1..) if counts => format!("the content is complete, but {failed} of its hooks failed"),
            _ => return code,
        };
        give_up(&mut self.reporter, ExitCode::HookFailed, message)
    }

    pub(super) fn tell_hook(&mut self, news: News) {
        let hook = Hook::from(news);
        self.hooks_failed += u64::from(hook.has_failed());
        self.reporter.tell(unix_ms(), &Event::Hook(hook));
    }

    pub(super) fn run_last_hook(&self) {
        let Some(hooks) = &self.hooks else { return };
        let (content, root) = (self.content.clone(), self.root.clone());
        hooks.complete(Completion { content, root, bytes: self.snapshot.bytes_total.0, elapsed: self.began.elapsed() });
    }
}
