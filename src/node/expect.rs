//! Expect: what a user knows of a content beforehand, and what is left alone because of it.
//!
//! A content id pins names, sizes, times and the way of digesting; it is known as soon as a publisher has walked its source. A root pins
//! every byte; it is known when the last chunk is hashed. So an id decides whom to follow, and a root decides at the end, before
//! anything gets its final name: until then nobody's word but a publisher's stands for the bytes.
//!
//! Invariant: a content that is not the pinned one is never followed, and with a pinned root nothing gets a final name before the root
//! of all digests is that one.
//!
//! Not here: which of several acceptable contents is followed (`choose`), reading pins from words (`cli`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::Node;
use super::error::NodeError;
use super::obtain::Stored;
use super::report::Report;
use crate::manifest::{Check, ContentId, Digest, DigestKind, Manifest};
use crate::swarm::SourceId;
use crate::wire::Wants;

/// Contents remembered that are not followed (16: enough to see in an error message what went wrong; anybody can make up more).
const LEFT_ALONE_MAX: usize = 16;

/// What is known of the content beforehand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// Its id. Default `None`: any.
    pub id: Option<ContentId>,
    /// The root of its digests: every byte. Default `None`: whatever a publisher signs. Costs that files become final at the end only.
    pub root: Option<Digest>,
}

/// Contents that were offered and are not followed.
#[derive(Debug, Default)]
pub(super) struct LeftAlone {
    /// Those that are not the pinned one, each with who offered it last.
    others: BTreeMap<ContentId, SocketAddr>,
    /// Those that are digested more weakly than the user allows.
    weak: BTreeSet<ContentId>,
}

impl LeftAlone {
    /// For a message: what was offered by whom.
    fn list(&self) -> String {
        let one = |(id, address): (&ContentId, &SocketAddr)| format!("id:{id} by {address}");
        if self.others.is_empty() {
            return "nothing was offered".to_owned();
        }
        format!("offered instead: {}", self.others.iter().map(one).collect::<Vec<_>>().join(", "))
    }
}

impl Node {
    /// What we say that we want while there is no content.
    pub(super) fn wants(&self) -> Wants {
        self.config.expect.id.map_or(Wants::Any, Wants::Id)
    }

    /// Whether this content may be followed, as far as is known yet.
    pub(super) fn may_follow(&self, id: ContentId) -> bool {
        self.config.expect.id.is_none_or(|expected| expected == id) && !self.left_alone.weak.contains(&id)
    }

    /// A neighbour says what it offers while we look for a content: whoever can only have others is let go.
    pub(super) fn note_offers(&mut self, source: SourceId) {
        let Some(link) = self.links.link(source) else { return };
        if link.offers.iter().any(|offer| self.may_follow(offer.id)) {
            return;
        }
        let follows = match link.hello.wants {
            Wants::Id(wanted) => !self.may_follow(wanted),
            Wants::Any | Wants::Nothing => !link.offers.is_empty(),
        };
        for offer in &link.offers {
            if self.left_alone.others.len() < LEFT_ALONE_MAX {
                self.left_alone.others.insert(offer.id, link.address);
            }
        }
        if follows {
            self.refuse_other_content(source);
        }
    }

    /// Whether a manifest is digested as strongly as the user asks for; notes and tells it when not.
    pub(super) fn admits(&mut self, manifest: &Manifest) -> bool {
        let (id, kind) = (manifest.id(), manifest.digest_kind());
        match (self.config.digest, kind) {
            (DigestKind::Blake3, DigestKind::Xxh3) => {
                if self.left_alone.weak.len() < LEFT_ALONE_MAX && self.left_alone.weak.insert(id) {
                    self.reports.send(Report::Warning(NodeError::Weak { id, kind }.to_string()));
                }
                false
            }
            (DigestKind::Xxh3, DigestKind::Blake3) => {
                let text =
                    format!("content {id} is digested with blake3, which is stronger than --digest xxh3; it is taken");
                self.reports.send(Report::Warning(text));
                true
            }
            _ => true,
        }
    }

    /// What the destination holds, if the user lets us go on with it.
    pub(super) fn acceptable(&mut self, stored: Stored) -> Option<Stored> {
        let pinned = self.config.expect.id.is_none_or(|expected| expected == stored.manifest.id());
        (pinned && self.admits(&stored.manifest)).then_some(stored)
    }

    /// Nobody offered a content that may be followed: says what was offered instead, if that is why.
    pub(super) fn nothing_acceptable(&self) -> Option<NodeError> {
        let waited = self.config.peer_wait_timeout;
        if let Some(id) = self.left_alone.weak.first() {
            return Some(NodeError::Weak { id: *id, kind: DigestKind::Xxh3 });
        }
        let expected = self.config.expect.id?;
        let hint = self.last_failure.as_ref().map(|text| format!(" (last failure: {text})")).unwrap_or_default();
        Some(NodeError::NotOffered { expected, waited, offered: format!("{}{hint}", self.left_alone.list()) })
    }

    /// A publisher compares its walk with what the user expects of it.
    pub(super) fn check_walk(&self, found: ContentId) -> Result<(), NodeError> {
        match self.config.expect.id {
            Some(expected) if expected != found => Err(NodeError::OtherId { expected, found }),
            _ => Ok(()),
        }
    }

    /// Whether files may get their final names as far as the pinned root is concerned.
    pub(super) fn may_commit(&self) -> bool {
        self.config.expect.root.is_none_or(|expected| {
            self.content.as_ref().is_some_and(|content| content.proofs.check_root(&expected) == Check::Proven)
        })
    }

    /// Digests or roots came: tells the root once every digest is known, and compares it with the expected one.
    pub(super) fn review_root(&mut self) -> Result<(), NodeError> {
        let Some(content) = &self.content else { return Ok(()) };
        if let Some(expected) = self.config.expect.root
            && content.proofs.check_root(&expected) == Check::Wrong
        {
            let found = content.proofs.computed_root().or_else(|| content.proofs.root().map(|root| root.root));
            return Err(NodeError::OtherRoot { expected, found: found.unwrap_or(expected) });
        }
        let root = content.proofs.computed_root();
        if root != self.root {
            self.root = root;
            if let Some(root) = root {
                self.reports.send(Report::Root { content: content.id(), root });
                // Whatever was held back for it may become final now.
                if self.finishing { self.finish() } else { self.commit_if_due() }
            }
        }
        Ok(())
    }
}
