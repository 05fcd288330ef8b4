//! Choose: which of the contents that are offered a node that pulls follows, and when it stops waiting for a better one.
//!
//! A fresh destination takes the first content that a publisher endorsed. One that holds a content already has something to lose:
//!
//! | it holds | the same is offered | another is offered, endorsed later | nobody offers anything in time |
//! | --- | --- | --- | --- |
//! | a finished copy | serves it, once it has heard everybody | takes the other at once | serves it |
//! | an unfinished copy | goes on at once | takes the other when the time for peers is over | goes on |
//!
//! So a rolling update never mixes: who is in the middle of a tree finishes that one as long as somebody has it, and who starts a pull
//! again after the source changed gets the new tree. An endorsement that is older than those at hand never wins. A pinned id leaves
//! no choice.
//!
//! Invariant: the choice is made once in a run.
//!
//! Not here: fetching a manifest and making a destination ready (`obtain`), pins (`expect`).

use std::time::Duration;

use super::Node;
use super::error::NodeError;
use super::obtain::{Seek, Stored};
use super::report::Report;
use crate::manifest::{ContentId, Endorsement, PROOF_KEYS_MAX};
use crate::swarm::SourceId;
use crate::units::Time;

/// Endorsements remembered before there is a content: as many as a content may have keys, for a few contents.
const ENDORSEMENTS_MAX: usize = 4 * PROOF_KEYS_MAX;
/// How long a node that holds a content from an earlier run waits for a newer one before it offers its own (2 s: peers of a list that
/// answer at all have done so).
const STORED_PATIENCE: Duration = Duration::from_secs(2);

/// What an endorsement means for a node without a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Its content is followed now.
    Follow,
    /// It is remembered; something better may come.
    Wait,
    /// What the destination holds is newer.
    Ignore,
}

impl Stored {
    /// What to make of an endorsement; `pinned` when the user wants this content and no other.
    fn judge(&self, endorsement: &Endorsement, pinned: bool) -> Step {
        let same = self.manifest.id() == endorsement.content;
        // Times are whole seconds: of two in one second, the one that is published now is not the older.
        let older = !same && self.endorsements.iter().any(|ours| ours.time > endorsement.time);
        match (same, self.whole) {
            _ if older => Step::Ignore,
            (true, true) if !pinned => Step::Wait,
            (false, false) => Step::Wait,
            _ => Step::Follow,
        }
    }
}

impl Node {
    /// Looks at an endorsed content while there is none.
    pub(super) fn consider(&mut self, source: SourceId, endorsement: Endorsement) {
        let id = endorsement.content;
        let offered = self.links.link(source).is_some_and(|link| link.offers.iter().any(|offer| offer.id == id));
        if !offered || !self.may_follow(id) {
            return;
        }
        let pinned = self.config.expect.id.is_some();
        let step = self.stored.as_ref().map_or(Step::Follow, |stored| stored.judge(&endorsement, pinned));
        if step == Step::Ignore {
            return;
        }
        if step == Step::Wait && self.endorsements.iter().all(|known| known.content != id) {
            self.tell_of_rival(id);
        }
        // Also while the destination is being made ready: nobody says it again, and batches of its key would never count.
        if self.endorsements.len() < ENDORSEMENTS_MAX && !self.endorsements.contains(&endorsement) {
            self.endorsements.push(endorsement);
        }
        if step == Step::Follow && matches!(self.seek, Seek::Waiting) {
            self.obtain(source, id);
        }
    }

    /// Says why nothing happens yet although a content is offered.
    fn tell_of_rival(&self, other: ContentId) {
        let Some(id) = self.stored.as_ref().map(|stored| stored.manifest.id()).filter(|id| *id != other) else {
            return;
        };
        let limit = self.config.peer_wait_timeout;
        let text = format!(
            "the destination holds a part of content {id}, and content {other} is offered; waiting {limit:?} for a peer \
             with the first (--expect id:{other} takes the other at once)"
        );
        self.reports.send(Report::Warning(text));
    }

    /// Looks at the clock while there is no content: takes what the destination holds when its time has come, or gives up.
    pub(super) fn review_seek(&mut self, now: Time) -> Result<(), NodeError> {
        let waited = now - self.started;
        let limit = self.config.peer_wait_timeout;
        if matches!(self.seek, Seek::Waiting) {
            self.review_stored(waited, waited > limit);
        }
        // A manifest that is on its way has limits of its own; nobody could be told that there are no peers then.
        if !matches!(self.seek, Seek::Waiting) {
            return Ok(());
        }
        if self.refused_us && self.links.len() == 0 && self.candidates.all_listed_failed() {
            let reason = self.last_failure.clone().unwrap_or_default();
            return Err(NodeError::Authentication { reason });
        }
        if waited > limit / 2 {
            self.ask_about_peers(limit.saturating_sub(waited));
        }
        if waited > limit {
            if let Some(error) = self.refusal.take() {
                return Err(NodeError::Unendorsed(error));
            }
            if let Some(error) = self.nothing_acceptable() {
                return Err(error);
            }
            return Err(NodeError::NoContent { waited: limit, hint: self.why_nobody() });
        }
        Ok(())
    }

    /// Decides about what the destination holds; `over` when the time for peers is.
    fn review_stored(&mut self, waited: Duration, over: bool) {
        let Some(stored) = &self.stored else { return };
        let id = stored.manifest.id();
        let rival = self.endorsed_offer(|other| other != id && self.may_follow(other));
        if over && let Some((source, other)) = rival {
            let text =
                format!("nobody offers content {id}, of which the destination holds a part; content {other} is taken");
            self.reports.send(Report::Warning(text));
            self.stored = None;
            return self.obtain(source, other);
        }
        let offered = self.links.iter().any(|(_, link)| link.offers.iter().any(|offer| offer.id == id));
        let wanted = self.links.iter().any(|(_, link)| link.offers.is_empty());
        let alone = self.lookout.roster.is_empty();
        let patient = !over && waited <= STORED_PATIENCE && !(offered && self.everybody_offers(id));
        if alone || over || (rival.is_none() && (offered || wanted) && !patient) {
            self.take_stored();
        }
    }

    /// Whether every peer of the list was tried, and all neighbours offer this content: nothing newer is to be expected.
    fn everybody_offers(&self, id: ContentId) -> bool {
        self.lookout.roster.is_known()
            && self.candidates.all_listed_tried()
            && self.links.iter().all(|(_, link)| link.offers.iter().any(|offer| offer.id == id))
    }

    /// The content with the latest endorsement among those that a neighbour offers, and the neighbour.
    pub(super) fn endorsed_offer(&self, wanted: impl Fn(ContentId) -> bool) -> Option<(SourceId, ContentId)> {
        let mut known: Vec<&Endorsement> = self.endorsements.iter().filter(|one| wanted(one.content)).collect();
        known.sort_by_key(|one| std::cmp::Reverse(one.time));
        known.into_iter().find_map(|one| {
            let mut links = self.links.iter();
            let (source, _) = links.find(|(_, link)| link.offers.iter().any(|offer| offer.id == one.content))?;
            Some((source, one.content))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::manifest::{DatasetKeyId, Entries, Manifest};

    fn endorsement(content: ContentId, time: u64) -> Endorsement {
        let (signature, chain) = (Vec::new(), Vec::new());
        Endorsement { content, key: DatasetKeyId([1; 32]), time, scheme: 0, signature, chain }
    }

    /// What a destination holds of a content that was endorsed at second 100.
    fn stored(whole: bool) -> Stored {
        let manifest = Manifest::publish(Entries::parse(Vec::new()).unwrap(), None).unwrap();
        let endorsements = vec![endorsement(manifest.id(), 100)];
        Stored { manifest: Arc::new(manifest), endorsements, batches: Vec::new(), whole }
    }

    #[test]
    fn an_unfinished_copy_goes_on_and_a_finished_one_takes_what_is_newer() {
        let other = ContentId([9; 32]);
        for (whole, same, newer) in [(true, Step::Wait, Step::Follow), (false, Step::Follow, Step::Wait)] {
            let stored = stored(whole);
            let own = stored.manifest.id();
            assert_eq!(stored.judge(&endorsement(own, 100), false), same);
            assert_eq!(stored.judge(&endorsement(own, 50), true), Step::Follow, "a pin leaves nothing to wait for");
            assert_eq!(stored.judge(&endorsement(other, 101), false), newer);
            assert_eq!(stored.judge(&endorsement(other, 100), false), newer, "times are whole seconds");
            assert_eq!(stored.judge(&endorsement(other, 99), false), Step::Ignore);
        }
    }
}
