//! Where peers may be found: the names that a user lists, and the addresses behind them.
//!
//! A name and an address are two things: a name is parsed once, at the door, and stays what the user typed; its addresses
//! may change while the program runs, so they are looked up again whenever they are needed.
//!
//! Invariant: a [`PeerName`] always has a host that can exist and a port that is not zero; nothing that takes one checks
//! again.
//!
//! Not here: connecting (`net`), which addresses are worth a try and which one is our own (`node`), and lists that change
//! while the program runs.

mod name;
mod own;
mod resolve;

pub use name::{DEFAULT_PORT, Host, PeerName, PeerNameError};
pub use own::own_address;
pub use resolve::{PATIENCE, ResolveError, Resolver};
