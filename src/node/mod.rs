//! The only owner of a swarm: turns its outputs into effects and their results into inputs.

mod snapshot;

pub use snapshot::{Phase, Snapshot};
