//! Moves bytes between streams and the store; knows no policy.

pub mod endpoint;
mod socket;
pub mod transport;
