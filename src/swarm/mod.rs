//! The swarm: a state machine per content that decides who gives which chunk to whom.
mod event;

pub use event::{Input, Outcome, Output, Profile, RequestId, SourceId, Zone};
