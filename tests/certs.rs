//! Certificates from files with the real program: making them, taking part with them, being refused, renewing them.
//!
//! Every test has an authority of its own, made by `strew certs` or, where it must be something that strew would not make, by hand.
//!
//! Invariant: nothing here outlives its test, keys least of all.
//!
//! Not here: the verifier's matrix in both directions (beside the code), swarm keys without rotation (`transfer.rs`).

mod common;

#[path = "certs/commands.rs"]
mod commands;
#[path = "certs/pki.rs"]
mod pki;
#[path = "certs/publisher.rs"]
mod publisher;
#[path = "certs/refusals.rs"]
mod refusals;
#[path = "certs/rotation.rs"]
mod rotation;
