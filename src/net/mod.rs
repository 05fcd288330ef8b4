//! Moves bytes between streams and the store; knows no policy.
//!
//! Everything that touches quinn's streams is here, so that the node deals in messages, chunks and manifests. Functions do one exchange
//! and return; only a link has tasks of its own, because a control stream lives as long as its connection.
//!
//! Invariant: whatever comes from a peer is bounded before it is stored, in length and in time.
//!
//! Not here: whom to connect to, what to ask for, what to believe (`node`).

mod assembly;
mod congestion;
mod cover;
mod delivery;
pub mod endpoint;
mod fetch;
pub mod frames;
mod gate;
mod incoming;
mod interfaces;
pub mod link;
mod pace;
mod pages;
mod probe;
mod reset;
mod rest;
mod socket;
#[cfg(test)]
pub(crate) mod testing;
pub mod transport;

pub use assembly::{Assembly, Whole};
pub use congestion::CongestionControl;
pub use delivery::Delivery;
pub use endpoint::{BindError, bind, dial, remote_address, renew};
pub use fetch::{BUDGET_UNIT, Budget, Fetch, FetchError, Fetched};
pub use gate::Gate;
pub(crate) use link::error_chain;
pub use link::{ControlSender, Greeted, LinkError, LinkEvent, close, greet};
pub use pages::{ObtainError, answer, obtain};
pub use probe::{Echo, probe};
pub use transport::TransportSettings;
