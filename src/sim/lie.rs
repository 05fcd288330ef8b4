//! Lie: what liars do in place of what their swarms say.
//!
//! A liar runs the same machine as everybody else, and only its answers are bent on their way out: a swarm that lies would have to be
//! a second one. So a liar fetches, passes on news and bans like an honest peer.
//!
//! Invariant: an honest machine's answers pass unchanged.
//!
//! Not here: what a claim of everything looks like (`neighbours` sends it).

use crate::sim::queue::{Event, Key};
use crate::sim::scenario::Lie;
use crate::sim::transfer::Runs;
use crate::sim::world::World;

/// Refusals after which a liar claims everything anew: as many as make a swarm stop believing.
const REFUSALS_PER_CLAIM: u32 = 3;

impl World<'_> {
    /// Whether the server of `key` sends bad bytes.
    pub(super) fn corrupts(&mut self, key: Key) -> bool {
        let Some(transfer) = self.transfers.find(key) else { return false };
        let (connection, server, chunk, runs) =
            (transfer.connection, 1 - transfer.client, transfer.chunk, transfer.runs);
        match self.lie(connection, server) {
            Some(Lie::Corrupts) => true,
            // Asked for a part, or from the end: somebody else brings or has brought the other part.
            Some(Lie::CorruptsSecond) => runs != Runs::all(self.runs_of(chunk)),
            Some(Lie::Refuses | Lie::Silent) | None => false,
        }
    }

    /// Does to a request what liars do; false when the server treats it as everybody does.
    pub(super) fn is_evaded(&mut self, key: Key) -> bool {
        let Some(transfer) = self.transfers.find(key) else { return false };
        let (connection, server) = (transfer.connection, 1 - transfer.client);
        match self.lie(connection, server) {
            Some(Lie::Refuses) => {
                self.end_server(key);
                self.queue.push(self.queue.now() + self.delay(connection), Event::Refuse { key });
                let host = self.connections[connection as usize].ends[usize::from(server)];
                self.hosts[host].refusals += 1;
                if self.hosts[host].refusals.is_multiple_of(REFUSALS_PER_CLAIM) {
                    self.say_holdings(connection, server);
                }
                true
            }
            Some(Lie::Silent) => true,
            Some(Lie::Corrupts | Lie::CorruptsSecond) | None => false,
        }
    }

    fn lie(&self, connection: u32, side: u8) -> Option<Lie> {
        self.scenario.hosts[self.connections[connection as usize].ends[usize::from(side)]].lie
    }
}
