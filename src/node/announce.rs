//! Announcing this node to a registry while it serves, and signing it off when it leaves.
//!
//! Invariant: nothing is announced before the node listens, and a registry that cannot be reached costs one line and no more.
//!
//! Not here: the protocol and its pauses (`discovery::registry`).

use tokio::sync::oneshot;

use super::Node;
use super::error::NodeError;
use super::event::Event;
use super::report::Report;
use super::start::random;
use crate::discovery::{Announcer, HttpClient, News, PollerError, Registration, Resolver};
use crate::units::Rng;

/// An announcement under way.
pub(super) struct Announcement {
    /// Dropped or sent, it asks for the sign-off.
    leave: Option<oneshot::Sender<()>>,
    /// Resolves when there is nothing more to wait for.
    over: oneshot::Receiver<()>,
}

impl Node {
    /// Begins to announce this node, if the user wants it.
    pub(super) fn sign_on(&mut self) -> Result<(), NodeError> {
        let Some(registration) = self.config.registry.clone() else { return Ok(()) };
        let http = HttpClient::new(Resolver::from_system(), &self.config.lists.http).map_err(PollerError::from)?;
        let announcer = Announcer::new(registration, http, self.listen, random());
        let ((leave, left), (done, over)) = (oneshot::channel(), oneshot::channel());
        let (events, rng) = (self.events.clone(), Rng::with_seed(u64::from_le_bytes(random())));
        self.events.spawn(async move {
            let tell = |news| events.send(Event::Announced(news));
            announcer.run(rng, left, tell).await;
            // Nobody may wait any more.
            let _ = done.send(());
        });
        self.announcement = Some(Announcement { leave: Some(leave), over });
        Ok(())
    }

    /// The registry was told of us, or could not be.
    pub(super) fn on_announced(&mut self, news: News) {
        let url = self.config.registry.as_ref().map(|registration| registration.url.to_string()).unwrap_or_default();
        match news {
            News::Announced(peer) => tracing::info!(%peer, %url, "announced to the registry"),
            News::Failed(error) => {
                let text = super::lookout::with_causes(&error);
                let text = format!("cannot announce this node to the registry {url}: {text}; trying again");
                self.reports.send(Report::Warning(text));
            }
        }
    }

    /// Begins to sign off, so that nobody is sent here any more while uploads end.
    pub(super) fn begin_sign_off(&mut self) {
        if let Some(leave) = self.announcement.as_mut().and_then(|announcement| announcement.leave.take()) {
            // The task may have ended.
            let _ = leave.send(());
        }
    }

    /// Waits until the registry knows that we leave, or the patience for it is over.
    pub(super) async fn sign_off(&mut self) {
        self.begin_sign_off();
        let timeout = self.config.registry.as_ref().map(|Registration { timeout, .. }| *timeout).unwrap_or_default();
        if let Some(announcement) = self.announcement.take() {
            let _ = tokio::time::timeout(timeout, announcement.over).await;
        }
    }
}
