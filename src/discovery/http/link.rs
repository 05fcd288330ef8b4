//! URLs of web servers, and whose they are.
//!
//! Invariant: an [`HttpUrl`] has the scheme `http` or `https`, a host that can exist and a port that is not zero, and neither user nor
//! password: what is secret has no place in an argument that every user of the machine can see.
//!
//! Not here: asking what is there.

use std::fmt;
use std::str::FromStr;

use hyper::http::uri::PathAndQuery;
use url::{Position, Url};

use crate::discovery::name::PeerName;

/// Where something is on a web server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    url: Url,
    /// Its host and port, as something that can be looked up.
    host: PeerName,
}

/// A scheme, a host and a port: everything there belongs to one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    secure: bool,
    host: PeerName,
}

/// Text that is no URL of a web server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no URL of a web server ({reason}); write it as in http://lists.example/peers")]
pub struct HttpUrlError {
    /// The text.
    text: String,
    /// What is wrong with it.
    reason: &'static str,
}

impl FromStr for HttpUrl {
    type Err = HttpUrlError;

    fn from_str(text: &str) -> Result<Self, HttpUrlError> {
        let error = |reason| HttpUrlError { text: text.to_owned(), reason };
        let url = Url::parse(text.trim()).map_err(|_| error("it cannot be read"))?;
        Self::new(url).map_err(error)
    }
}

impl HttpUrl {
    fn new(mut url: Url) -> Result<Self, &'static str> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err("it must start with http:// or https://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a user and a password cannot be given in it");
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err("it has no host");
        };
        let host = format!("{host}:{port}").parse().map_err(|_| "its host or port cannot exist")?;
        url.set_fragment(None);
        let target = &url[Position::BeforePath..Position::AfterQuery];
        target.parse::<PathAndQuery>().map_err(|_| "its path cannot be asked for")?;
        Ok(Self { url, host })
    }

    /// Whether it is behind TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whose it is.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin { secure: self.is_secure(), host: self.host.clone() }
    }

    /// Its host and port.
    pub(super) const fn host(&self) -> &PeerName {
        &self.host
    }

    /// The host alone, as a certificate names it.
    pub(super) fn host_name(&self) -> &str {
        self.url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// Host and port as the header `Host` has them.
    pub(super) fn authority(&self) -> &str {
        self.url.authority()
    }

    /// Path and query.
    pub(super) fn target(&self) -> &str {
        &self.url[Position::BeforePath..Position::AfterQuery]
    }

    /// Where a redirect from here leads, or why it is not followed.
    pub(super) fn join(&self, to: &str) -> Result<Self, &'static str> {
        let url = self.url.join(to).map_err(|_| "it cannot be read")?;
        let next = Self::new(url)?;
        if self.is_secure() && !next.is_secure() { Err("it leads out of TLS") } else { Ok(next) }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> HttpUrl {
        text.parse().unwrap_or_else(|e| panic!("{text:?} is refused: {e}"))
    }

    #[test]
    fn a_url_knows_its_host_and_what_to_ask_for() {
        for (text, host, authority, target) in [
            ("http://lists.example/peers?of=a#top", "lists.example:80", "lists.example", "/peers?of=a"),
            ("https://lists.example", "lists.example:443", "lists.example", "/"),
            ("http://[fd00::5]:8080/", "[fd00::5]:8080", "[fd00::5]:8080", "/"),
            ("HTTP://10.0.0.5:80/a b", "10.0.0.5:80", "10.0.0.5", "/a%20b"),
        ] {
            let url = url(text);
            assert_eq!((url.host().to_string().as_str(), url.authority(), url.target()), (host, authority, target));
        }
    }

    #[test]
    fn what_is_no_url_of_a_web_server_is_refused() {
        for (text, part) in [
            ("lists.example/peers", "cannot be read"),
            ("ftp://lists.example/", "must start with http"),
            ("file:///peers", "must start with http"),
            ("http://me:secret@lists.example/", "password"),
            ("http://lists.example:0/", "cannot exist"),
        ] {
            let error = text.parse::<HttpUrl>().unwrap_err().to_string();
            assert!(error.contains(part), "{text:?} gives {error:?}");
        }
    }

    #[test]
    fn redirects_stay_on_the_web_and_within_tls() {
        let from = url("https://lists.example/a/b");
        assert_eq!(from.join("../c").unwrap().to_string(), "https://lists.example/c");
        assert_eq!(from.join("//other.example/d").unwrap().origin(), url("https://other.example").origin());
        assert_eq!(from.join("http://lists.example/"), Err("it leads out of TLS"));
        assert!(from.join("file:///passwords").is_err());
        assert!(url("http://lists.example/").join("https://lists.example/").is_ok());
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(url("http://a/x").origin(), url("http://A:80/y").origin());
        assert_ne!(url("http://a/x").origin(), url("https://a/x").origin());
        assert_ne!(url("http://a/x").origin(), url("http://a:81/x").origin());
    }
}
