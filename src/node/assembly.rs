//! Assembly: the chunks in flight, and the tasks that bring their bytes.
//!
//! Tasks share the list with the loop, because only they learn in time which chunk an answer brings: a source may send another
//! than the one it was asked for. A chunk that the swarm wants from one source alone has an assembly that is not in the list.
//!
//! Invariant: no unfinished chunk keeps its memory for ever. One that nobody brings is dropped after [`IDLE_MAX`], and while somebody
//! waits for memory, those that nobody brings are dropped one after the other, the least complete first.
//!
//! Not here: bytes and ranges (`net::Assembly`), whom to ask (the swarm), what to do with a whole chunk (`download`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use quinn::Connection;

use super::config::Compression;
use super::content::OUR_INDEX;
use super::event::{Event, Events};
use crate::chunk::{ChunkId, Layout};
use crate::net::{Assembly, Budget, Delivery, Fetch, FetchError, Fetched, Whole};
use crate::swarm::{Part, SourceId};
use crate::wire::{Accepts, Request};

/// How long bytes are kept that nobody adds to (30 s: longer than a lost neighbour takes to come back).
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The chunks in flight. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Assemblies(Arc<Mutex<BTreeMap<ChunkId, Arc<Assembly>>>>);

impl Assemblies {
    /// The assembly of a chunk, a new one if there is none.
    pub(super) fn of(&self, layout: Layout, chunk: ChunkId) -> Arc<Assembly> {
        let mut list = self.lock();
        let assembly = list.entry(chunk).or_insert_with(|| Arc::new(Assembly::new(layout, chunk)));
        if assembly.is_over() {
            *assembly = Arc::new(Assembly::new(layout, chunk));
        }
        Arc::clone(assembly)
    }

    /// The chunk is here, or was found bad: what came of it is of no use any more.
    pub(super) fn forget(&self, chunk: ChunkId) {
        self.lock().remove(&chunk);
    }

    /// Throws away what an untrusted source brought, where nobody is adding to it.
    pub(super) fn disown(&self, source: SourceId) {
        for assembly in self.lock().values().filter(|assembly| assembly.is_from(source)) {
            assembly.clear();
        }
    }

    /// Drops what is of no use, and one more if memory is wanted.
    pub(super) fn review(&self, wanted: bool) {
        let mut list = self.lock();
        let now = Instant::now();
        // Those that only this list knows are brought by nobody.
        list.retain(|_, assembly| {
            let idle = Arc::strong_count(assembly) == 1;
            let old = now.saturating_duration_since(assembly.touched()) > IDLE_MAX;
            !idle || !old && assembly.bytes() > 0 && !assembly.is_over()
        });
        if wanted {
            let mut held: Vec<&Arc<Assembly>> = list.values().filter(|assembly| assembly.bytes() > 0).collect();
            held.sort_by_key(|assembly| assembly.bytes());
            // An assembly to which somebody is adding says no.
            let _ = held.into_iter().any(|assembly| assembly.clear());
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ChunkId, Arc<Assembly>>> {
        self.0.lock().expect("no thread panics while it holds the assemblies")
    }
}

/// A request of the swarm, carried out by a task of its own.
pub(super) struct Bringing {
    pub(super) source: SourceId,
    pub(super) asked: ChunkId,
    pub(super) part: Part,
    pub(super) exact: bool,
    pub(super) connection: Connection,
    pub(super) compress: Compression,
    pub(super) delivery: Delivery,
    pub(super) layout: Layout,
    pub(super) budget: Budget,
    pub(super) assemblies: Assemblies,
    pub(super) events: Events,
}

impl Bringing {
    /// Brings the chunk; `whole` gets it as soon as its last byte came in answer to this request.
    ///
    /// When another request brings the last byte, this one has nothing more to do. It waits for the swarm to give it up, which comes at once
    /// unless the other one's sender left at that moment.
    pub(super) async fn run(&self, whole: &mut Option<Whole>) -> Result<Fetched, FetchError> {
        let (source, asked, layout) = (self.source, self.asked, self.layout);
        let own = match self.part {
            Part::Alone => Arc::new(Assembly::new(layout, asked)),
            Part::Rest | Part::RestFromEnd => self.assemblies.of(layout, asked),
        };
        while let Some(ranges) = own.ranges(self.part) {
            let exact = self.exact || !ranges.is_whole();
            let accepts = if ranges.is_whole() { self.accepts() } else { Accepts::Raw };
            let request = Request { content: OUR_INDEX, chunk: asked.index(), ranges, exact, accepts };
            let (connection, budget, delivery) = (&self.connection, &self.budget, &self.delivery);
            let fetch = Fetch { connection, source, request, layout, budget, delivery };
            let mut redirected = false;
            let arriving = |chunk| {
                self.events.send(Event::Arriving { source, asked, chunk });
                redirected = chunk != asked;
                if redirected { self.assemblies.of(layout, chunk) } else { Arc::clone(&own) }
            };
            let fetched = fetch.run(arriving, whole).await?;
            if whole.is_some() {
                return Ok(fetched);
            }
            // What was asked for came, and yet something is missing: it was thrown away to make room, so it is asked for as well.
            if redirected || own.is_over() {
                break;
            }
        }
        tokio::time::sleep(IDLE_MAX).await;
        Err(FetchError::Cancelled)
    }

    /// How a whole chunk is taken from this source now.
    fn accepts(&self) -> Accepts {
        match self.compress {
            Compression::None => Accepts::Raw,
            Compression::Zstd => Accepts::Packed,
            Compression::Auto => Accepts::Quicker { delivery: self.delivery.kib_per_second() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assembly_is_dropped_when_nobody_brings_it() {
        let layout = Layout::new(4 << 10, 1 << 10).unwrap();
        let assemblies = Assemblies::default();
        let chunk = layout.chunk(2).unwrap();
        let brought = assemblies.of(layout, chunk);
        assemblies.review(false);
        assert!(Arc::ptr_eq(&brought, &assemblies.of(layout, chunk)), "somebody is bringing it");
        drop(brought);
        assemblies.review(false);
        assert!(assemblies.lock().is_empty());
    }
}
