//! The event about a list of peers that changes.
//!
//! Not here: the peers that are neighbours ([`super::Peer`]); who is listed may never be met.

use serde::{Deserialize, Serialize};

/// The list of peers that changes came for the first time, or is another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerList {
    /// Peers on it now.
    pub listed: u32,
    /// Some of those that are new on it.
    pub added: Vec<String>,
    /// Some of those that are not on it any more.
    pub removed: Vec<String>,
}
