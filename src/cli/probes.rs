//! The flag for probes, and what it means.
//!
//! Invariant: an address that somebody named is wanted, so not having it is an error; the one that is there by itself is an offer.
//!
//! Not here: what is answered (`admin`), listening (`transfer`).

use std::net::SocketAddr;

use super::config::parse_listen;
use super::lists::not_empty;
use super::usage::UsageError;

/// The flag.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ProbeArgs {
    /// TCP address for probes over HTTP.
    #[arg(long, value_name = "ADDR", help_heading = super::args::SHOW, help = HELP)]
    pub health_addr: Option<String>,
}

// Apart from the field, whose documentation would take the brackets for links.
const HELP: &str = "TCP address for probes over HTTP: /completed, /healthz, /version, and /status, which is told to this machine alone \
                    unless this flag is given (docs/probes.md); none listens nowhere [default: the address and port of \
                    --listen-addr, if it can be had]";

/// Where probes are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// On the TCP port with the number of the UDP port, if that can be had.
    #[default]
    Beside,
    /// Here, or the run does not begin.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl ProbeArgs {
    /// What the flag means beside a node that listens on `listen`.
    pub(super) fn health(&self, listen: SocketAddr) -> Result<Health, UsageError> {
        match not_empty(&self.health_addr).map(str::trim) {
            None => Ok(Health::Beside),
            Some(text) if text.eq_ignore_ascii_case("none") => Ok(Health::Off),
            Some(text) => {
                let address = parse_listen(text, listen.ip(), listen.port());
                address.map(Health::At).map_err(|_| UsageError::Health { value: text.to_owned() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(text: Option<&str>) -> Result<Health, String> {
        let args = ProbeArgs { health_addr: text.map(str::to_owned) };
        args.health("10.0.0.5:7000".parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn probes_are_beside_the_node_where_somebody_says_or_nowhere() {
        assert_eq!((health(None), health(Some(""))), (Ok(Health::Beside), Ok(Health::Beside)));
        assert_eq!((health(Some("none")), health(Some("None"))), (Ok(Health::Off), Ok(Health::Off)));
        for (text, address) in [(":8080", "10.0.0.5:8080"), ("127.0.0.1", "127.0.0.1:7000"), ("[::1]:80", "[::1]:80")] {
            assert_eq!(health(Some(text)), Ok(Health::At(address.parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_would_do() {
        for text in ["here", "localhost:80", "127.0.0.1:http", "0"] {
            let told = health(Some(text)).unwrap_err();
            assert!(["--health-addr", "127.0.0.1:10090", "none"].iter().all(|part| told.contains(part)), "{told}");
        }
    }
}
