//! A peer as a user writes it: a host with an optional port.
//!
//! Fleets that come from p2pcp list peers in every form that it took: `host`, `host:port`, `10.0.0.5`, `fd00::5`,
//! `[fd00::5]:10090`, even `http://host:10090/`. All of them are read here, so that nothing else knows about them.
//!
//! Invariant: two entries that mean the same are equal, so a list can be made free of repetition by comparing.
//!
//! Not here: whether the host exists; only a resolver can tell.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The UDP port of a peer that is listed without one: the ancestor's port, so that its peer lists keep working.
pub const DEFAULT_PORT: u16 = 10090;

/// The longest name of a host, in bytes (RFC 1035, section 2.3.4: 255 with the length bytes that the wire adds).
const NAME_LEN_MAX: usize = 253;
/// The longest label of a name, in bytes (RFC 1035, section 2.3.4).
const LABEL_LEN_MAX: usize = 63;

/// Where a peer may be found: a host and a UDP port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerName {
    host: Host,
    port: u16,
}

/// The host of a peer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An address; nothing has to be looked up.
    Address(IpAddr),
    /// A name in lower case, for the resolver.
    Name(String),
}

/// A name for a name server, in lower case: of a service, not necessarily of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(String);

/// Text that is no name for a name server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no name that a name server could know ({reason})")]
pub struct HostNameError {
    text: String,
    reason: &'static str,
}

/// An entry of a peer list that does not name a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerNameError {
    /// Nothing was given, for example after a trailing comma.
    #[error("a peer's address is empty; is there a comma too many?")]
    Empty,
    /// There is a port and no host.
    #[error("peer {entry:?} has no host; write it as host:port")]
    NoHost {
        /// The entry as it was given.
        entry: String,
    },
    /// The port is not a number between 1 and 65535.
    #[error("peer {entry:?} has an invalid port {port:?}; ports are 1 to 65535")]
    Port {
        /// The entry as it was given.
        entry: String,
        /// What stood where the port should.
        port: String,
    },
    /// The host is neither an address nor a name that can exist.
    #[error("peer {entry:?} is neither an address nor a host name ({reason})")]
    Host {
        /// The entry as it was given.
        entry: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A URL's path, query or user was given.
    #[error("peer {entry:?} has more than a host and a port; leave out everything else")]
    Excess {
        /// The entry as it was given.
        entry: String,
    },
}

impl PeerName {
    /// The peer behind an address that is known already.
    ///
    /// Returns `None` for port zero, which nobody can listen on.
    #[must_use]
    pub fn from_address(address: SocketAddr) -> Option<Self> {
        (address.port() != 0).then(|| Self { host: Host::Address(address.ip()), port: address.port() })
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The UDP port, never zero.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl HostName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        match parse_host(text.trim()) {
            Ok(Host::Name(name)) => Ok(Self(name)),
            Ok(Host::Address(_)) => Err(HostNameError { text: text.to_owned(), reason: "it is an address" }),
            Err(reason) => Err(HostNameError { text: text.to_owned(), reason }),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PeerName {
    type Err = PeerNameError;

    fn from_str(text: &str) -> Result<Self, PeerNameError> {
        let entry = text.trim();
        let bare = entry.strip_prefix("http://").or_else(|| entry.strip_prefix("https://")).unwrap_or(entry);
        let bare = bare.strip_suffix('/').unwrap_or(bare);
        if entry.is_empty() {
            return Err(PeerNameError::Empty);
        }
        if bare.contains(['/', '?', '@']) {
            return Err(PeerNameError::Excess { entry: entry.to_owned() });
        }
        let (host, port) = split_port(bare, entry)?;
        if host.is_empty() {
            return Err(PeerNameError::NoHost { entry: entry.to_owned() });
        }
        let host = parse_host(host).map_err(|reason| PeerNameError::Host { entry: entry.to_owned(), reason })?;
        Ok(Self { host, port })
    }
}

/// Host and port of an entry without scheme. A bracketed host keeps its brackets, so that it can only be IPv6.
fn split_port<'a>(bare: &'a str, entry: &str) -> Result<(&'a str, u16), PeerNameError> {
    if bare.parse::<Ipv6Addr>().is_ok() {
        return Ok((bare, DEFAULT_PORT));
    }
    let (host, port) = match bare.rfind(']') {
        Some(end) => bare.split_at(end + 1),
        None => bare.split_at(bare.rfind(':').unwrap_or(bare.len())),
    };
    if port.is_empty() {
        return Ok((host, DEFAULT_PORT));
    }
    let digits = port.strip_prefix(':').unwrap_or("");
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
    match number {
        Some(number) if number != 0 => Ok((host, number)),
        _ => {
            let port = port.trim_start_matches(':').to_owned();
            Err(PeerNameError::Port { entry: entry.to_owned(), port })
        }
    }
}

/// The host, or what is wrong with it.
fn parse_host(text: &str) -> Result<Host, &'static str> {
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or("a bracket is not closed")?;
        if inner.contains('%') {
            return Err("IPv6 addresses with a zone such as %eth0 are not supported");
        }
        return inner.parse().map(|v6| Host::Address(IpAddr::V6(v6))).map_err(|_| "not an IPv6 address in brackets");
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Host::Address(address));
    }
    if text.contains(':') {
        return Err("an IPv6 address with a port is written [address]:port");
    }
    let name = text.to_ascii_lowercase();
    let labels = name.strip_suffix('.').unwrap_or(&name);
    if labels.len() > NAME_LEN_MAX {
        return Err("the name is longer than 253 bytes");
    }
    for label in labels.split('.') {
        if label.is_empty() || label.len() > LABEL_LEN_MAX {
            return Err("each part between dots has 1 to 63 letters");
        }
        // The underscore is not a host name's letter (RFC 952), but the names of services and containers have it.
        if !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err("names are made of letters, digits, '-', '_' and '.'");
        }
    }
    // No top-level domain is a number (RFC 3696, section 2), so this is an address with a slip in it.
    if labels.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
        return Err("not a valid IPv4 address");
    }
    Ok(Host::Name(name))
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(address) => SocketAddr::new(*address, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        text.parse::<PeerName>().map_or_else(|e| panic!("{text:?} is refused: {e}"), |peer| peer.to_string())
    }

    #[test]
    fn every_form_of_an_entry_is_understood() {
        for (text, meaning) in [
            ("seed1", "seed1:10090"),
            ("Seed1.Example.:7", "seed1.example.:7"),
            ("my_service", "my_service:10090"),
            (" 10.0.0.5 ", "10.0.0.5:10090"),
            ("10.0.0.5:4433", "10.0.0.5:4433"),
            ("fd00::5", "[fd00::5]:10090"),
            ("::1", "[::1]:10090"),
            ("[fd00::5]", "[fd00::5]:10090"),
            ("[fd00::5]:4433", "[fd00::5]:4433"),
            ("http://seed1", "seed1:10090"),
            ("https://[::1]:4433/", "[::1]:4433"),
        ] {
            assert_eq!(shown(text), meaning, "{text}");
        }
    }

    #[test]
    fn entries_that_mean_the_same_are_equal() {
        let peer = |text: &str| text.parse::<PeerName>().unwrap();
        assert_eq!(peer("SEED"), peer("http://seed:10090/"));
        assert_eq!(peer("fd00:0:0::5"), peer("[fd00::5]:10090"));
    }

    #[test]
    fn errors_name_the_entry_and_what_is_wrong_with_it() {
        for (text, part) in [
            ("", "a comma too many"),
            (" ", "a comma too many"),
            (":10090", "has no host"),
            ("http://", "has no host"),
            ("seed:", "invalid port"),
            ("seed:0", "invalid port \"0\""),
            ("seed:65536", "invalid port \"65536\""),
            ("seed:+80", "invalid port \"+80\""),
            ("[::1]x", "invalid port \"x\""),
            ("[::1", "a bracket is not closed"),
            ("[seed]:1", "not an IPv6 address in brackets"),
            ("[fe80::1%eth0]:1", "zone"),
            ("fd00::5::10090", "[address]:port"),
            ("256.0.0.1", "not a valid IPv4 address"),
            ("10090", "not a valid IPv4 address"),
            ("a..b", "1 to 63"),
            ("höst", "letters, digits"),
            ("seed one", "letters, digits"),
            ("seed:1/path", "leave out everything else"),
            ("user@seed", "leave out everything else"),
        ] {
            let error = text.parse::<PeerName>().expect_err(text).to_string();
            assert!(error.contains(part), "{text:?} gives {error:?}");
            assert!(text.trim().is_empty() || error.contains(&format!("{text:?}")), "{text:?} is not in {error:?}");
        }
    }

    #[test]
    fn refuses_names_longer_than_dns_carries() {
        let long = ["a"; 130].join(".");
        assert!(long.parse::<PeerName>().unwrap_err().to_string().contains("253"));
        assert!("a".repeat(64).parse::<PeerName>().unwrap_err().to_string().contains("63"));
    }

    proptest! {
        #[test]
        fn what_is_shown_parses_back_to_the_same_peer(text in "[a-z0-9:.\\[\\]/-]{0,24}") {
            if let Ok(peer) = text.parse::<PeerName>() {
                prop_assert_eq!(peer.to_string().parse::<PeerName>(), Ok(peer));
            }
        }

        #[test]
        fn every_socket_address_is_a_peer(address: SocketAddr) {
            prop_assume!(address.port() != 0 && !address.to_string().contains('%'));
            prop_assert_eq!(address.to_string().parse::<PeerName>().ok(), PeerName::from_address(address));
        }
    }
}
