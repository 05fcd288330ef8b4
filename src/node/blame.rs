//! Blame: what a node does about bad chunks, those that it got and those that it is said to have sent.
//!
//! Invariant: only the sole sender of a bad chunk is blamed, and a banned peer does not become a neighbour again in this run.
//!
//! Not here: when somebody is banned (the swarm).

use super::Node;
use super::content::OUR_INDEX;
use crate::chunk::ChunkId;
use crate::swarm::SourceId;
use crate::wire::{Message, Reason};

impl Node {
    /// Tells a neighbour that a chunk which only it sent was bad, so that its user looks at its disk.
    pub(super) fn blame(&self, source: SourceId, chunk: ChunkId) {
        if let Some(link) = self.links.link(source) {
            link.tell(&Message::BadChunk { content: OUR_INDEX, chunk: chunk.index() });
        }
    }

    /// Drops a neighbour for the rest of the run: by its certificate's identity and by its address.
    pub(super) fn ban(&mut self, source: SourceId) {
        let Some(link) = self.links.link(source) else { return };
        let (address, aliases, identity) = (link.address, link.aliases.clone(), link.identity);
        tracing::warn!(%address, %identity, "banned: it sent bad chunks");
        self.banned.insert(identity);
        self.drop_link(source, Reason::BadChunks, "it sent bad chunks");
        for address in aliases.into_iter().chain([address]) {
            self.candidates.bar(address, self.clock.now());
        }
    }

    /// A neighbour says that a chunk of ours was bad.
    pub(super) fn on_bad_chunk(&mut self, source: SourceId, index: u32) {
        let (Some(content), Some(link)) = (&self.content, self.links.link(source)) else { return };
        let Some(chunk) = content.manifest.layout().chunk(index) else {
            return self.violation(source, "it complains about a chunk beyond the last");
        };
        let path = content.path_of(chunk);
        tracing::error!(address = %link.address, index, %path, "a neighbour found a chunk of ours bad: check this machine's disk");
    }
}
