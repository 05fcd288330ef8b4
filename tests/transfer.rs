//! Transfers with the real program: what a user starts, what arrives, and with which code everybody ends.
//!
//! Every test runs its own swarm of processes on the loopback interface, with a fresh key and free ports, and follows their events. No
//! test needs root; faults that need no transfer are in `faults.rs`, those that need root in `namespaces.rs`.
//!
//! Invariant: a copy counts as equal only if a walk that knows nothing of strew finds it so.
//!
//! Not here: speed. It is measured beside rivals over the same links, not asserted.

mod common;

#[path = "transfer/holes.rs"]
mod holes;
#[path = "transfer/limits.rs"]
mod limits;
#[path = "transfer/packed.rs"]
mod packed;
#[path = "transfer/resume.rs"]
mod resume;
#[path = "transfer/shapes.rs"]
mod shapes;
#[path = "transfer/swarm.rs"]
mod swarm;
#[path = "transfer/update.rs"]
mod update;
