//! strew replicates a content from one or a few sources to many machines, peer to peer, over mutually authenticated QUIC.

// The pure half: no clock, no ambient randomness, no socket, no file, no async.
pub mod bitfield;
pub mod chunk;
pub mod manifest;
pub mod sim;
pub mod swarm;
pub mod units;
pub mod wire;

// The shell: every effect lives here.
pub mod cli;
pub mod discovery;
pub mod identity;
pub mod net;
pub mod node;
pub mod store;
