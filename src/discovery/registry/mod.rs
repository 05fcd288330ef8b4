//! The registry: a list of peers that peers make themselves, by saying every few seconds that they are there.
//!
//! The protocol is p2pcp's, so that its registries work here and ours works there: a small JSON object is posted, and the list is text
//! with commas (`docs/registry-protocol.md`). A registry knows no content and no key. What it says is where somebody may be; who that
//! is, certificates tell.
//!
//! Invariant: whoever says no more that it is there is on the list no longer than it asked for, and never longer than an hour.
//!
//! Not here: several registries that agree with each other; whoever needs two announces to one and lists the other's copy.

mod announce;
mod book;
mod server;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use announce::{Announcer, News, Registration, SelfEndpoint};
pub use server::{RegistryServer, RegistrySettings, ServeError, ServerCertificate};

use super::name::PeerName;

/// The longest time that an entry holds (1 h: whoever has more to say than once an hour says it; a mistake in a unit is over by then).
pub const HOLDS_MAX: Duration = Duration::from_secs(3600);
/// The longest id of an announcement, in bytes (64: a UUID has 36).
const ID_LEN_MAX: usize = 64;

/// "I am there", as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Heartbeat {
    /// Who says it: one id for one run of a node.
    uuid: String,
    /// Where it can be reached.
    address: String,
    /// How long that holds; zero is good-bye.
    expires_in_seconds: u64,
}

/// A heartbeat that can be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Beat {
    id: String,
    peer: PeerName,
    holds: Duration,
}

/// A heartbeat that cannot.
#[derive(Debug, thiserror::Error)]
enum HeartbeatError {
    /// It is no such object.
    #[error("not a heartbeat: {0}")]
    Json(#[from] serde_json::Error),
    /// It has no id, or one that is none.
    #[error("uuid is not 1 to {ID_LEN_MAX} visible ASCII characters")]
    Id,
    /// Nobody can be there.
    #[error("address: {0}")]
    Address(#[from] super::name::PeerNameError),
}

impl Beat {
    /// Reads the body of an announcement.
    fn parse(body: &[u8]) -> Result<Self, HeartbeatError> {
        let Heartbeat { uuid, address, expires_in_seconds } = serde_json::from_slice(body)?;
        if !(1..=ID_LEN_MAX).contains(&uuid.len()) || !uuid.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(HeartbeatError::Id);
        }
        let holds = Duration::from_secs(expires_in_seconds).min(HOLDS_MAX);
        Ok(Self { id: uuid, peer: address.parse()?, holds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_read_as_p2pcp_writes_it() {
        let beat =
            Beat::parse(br#"{"uuid":"6a1b","address":"10.0.0.5:10090","expires_in_seconds":10,"more":1}"#).unwrap();
        assert_eq!((beat.id.as_str(), beat.peer.to_string().as_str()), ("6a1b", "10.0.0.5:10090"));
        assert_eq!(beat.holds, Duration::from_secs(10));
        let week = Beat::parse(br#"{"uuid":"6a1b","address":"node","expires_in_seconds":604800}"#).unwrap();
        assert_eq!(week.holds, HOLDS_MAX);
    }

    #[test]
    fn what_is_no_heartbeat_is_refused_in_words() {
        for (body, part) in [
            (&b"uuid=6a1b"[..], "not a heartbeat"),
            (br#"{"uuid":"a","address":"b"}"#, "expires_in_seconds"),
            (br#"{"uuid":"a","address":"b","expires_in_seconds":-1}"#, "not a heartbeat"),
            (br#"{"uuid":"","address":"b","expires_in_seconds":1}"#, "uuid is not"),
            (br#"{"uuid":"a b","address":"b","expires_in_seconds":1}"#, "uuid is not"),
            (br#"{"uuid":"a","address":":1","expires_in_seconds":1}"#, "address: peer \":1\" has no host"),
            (b"\xff\xfe", "not a heartbeat"),
        ] {
            let error = Beat::parse(body).unwrap_err().to_string();
            assert!(error.contains(part), "{body:?} gives {error:?}");
        }
        let long = format!(r#"{{"uuid":"{}","address":"b","expires_in_seconds":1}}"#, "a".repeat(65));
        assert!(Beat::parse(long.as_bytes()).is_err());
    }
}
