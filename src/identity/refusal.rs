//! Why a connection failed, in words that say what to do.
//!
//! TLS tells a refusal by a one-byte alert, and QUIC wraps it in an error that looks the same for a wrong key and for a
//! lost packet. A user needs to know which of three remedies helps: another key, another address, another version. A
//! refused client learns it late: in TLS 1.3 its side of the handshake is complete before the server has looked at its
//! certificate, so the very same classification is used for the end of a young connection.
//!
//! Invariant: [`Failure::Authentication`] only where a certificate was looked at and refused, or asked for and not
//! given.
//!
//! Not here: exit codes (`cli`), and whether to try again (`node`).

use quinn::{ConnectionError, TransportErrorCode};

use super::CertificateFault;

/// Why a connection could not be made, or ended before it was of use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// One of the two does not believe the other's certificate. Trying again does not help.
    #[error("{0}")]
    Authentication(AuthenticationFault),
    /// No answer came.
    #[error("no answer: nothing listens at that address, or UDP is dropped on the way")]
    Unreachable,
    /// The peer speaks another version, or is no strew at all.
    #[error("the peer does not speak this version of strew: {0}")]
    Incompatible(String),
    /// The connection existed and ended for another reason.
    #[error("the connection ended: {0}")]
    Ended(String),
}

/// Which side refused whose certificate, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticationFault {
    /// We do not believe the peer's certificate.
    #[error("the peer's certificate {0}")]
    Peer(CertificateFault),
    /// The peer showed no certificate.
    #[error("the peer showed no certificate; every peer of a swarm needs one")]
    PeerAnonymous,
    /// The peer does not believe our certificate.
    #[error("the peer refuses us because our certificate {0}")]
    Ours(CertificateFault),
    /// The peer asked for a certificate and got none.
    #[error("the peer asks for a certificate and we showed none")]
    OursAnonymous,
}

impl Failure {
    /// Whether certificates are the reason, so that another attempt cannot help.
    #[must_use]
    pub const fn is_authentication(&self) -> bool {
        matches!(self, Self::Authentication(_))
    }
}

impl From<&ConnectionError> for Failure {
    fn from(error: &ConnectionError) -> Self {
        match error {
            // We raised the alert: it is about the peer.
            ConnectionError::TransportError(raised) => match Refused::by(raised.code, &raised.reason) {
                Some(Refused::Certificate(why)) => Self::Authentication(why.about_peer()),
                Some(Refused::Protocol) => Self::Incompatible(raised.reason.clone()),
                None => Self::Ended(error.to_string()),
            },
            // The peer raised it: it is about us.
            ConnectionError::ConnectionClosed(close) => {
                match Refused::by(close.error_code, &String::from_utf8_lossy(&close.reason)) {
                    Some(Refused::Certificate(why)) => Self::Authentication(why.about_us()),
                    Some(Refused::Protocol) => Self::Incompatible(String::from_utf8_lossy(&close.reason).into_owned()),
                    None => Self::Ended(error.to_string()),
                }
            }
            ConnectionError::VersionMismatch => Self::Incompatible(error.to_string()),
            ConnectionError::TimedOut => Self::Unreachable,
            ConnectionError::ApplicationClosed(_)
            | ConnectionError::Reset
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted => Self::Ended(error.to_string()),
        }
    }
}

/// What an alert refuses.
#[derive(Clone, Copy)]
enum Refused {
    Certificate(Why),
    Protocol,
}

#[derive(Clone, Copy)]
enum Why {
    Fault(CertificateFault),
    Missing,
}

impl Why {
    const fn about_peer(self) -> AuthenticationFault {
        match self {
            Self::Fault(fault) => AuthenticationFault::Peer(fault),
            Self::Missing => AuthenticationFault::PeerAnonymous,
        }
    }

    const fn about_us(self) -> AuthenticationFault {
        match self {
            Self::Fault(fault) => AuthenticationFault::Ours(fault),
            Self::Missing => AuthenticationFault::OursAnonymous,
        }
    }
}

impl Refused {
    /// The alert inside this error code (RFC 9001, 4.8: 0x100 plus the alert of RFC 8446, 6), if it refuses something.
    fn by(code: TransportErrorCode, reason: &str) -> Option<Self> {
        let alert = u8::try_from(u64::from(code).checked_sub(0x100)?).ok()?;
        Some(match alert {
            116 => Self::Certificate(Why::Missing), // certificate_required
            40 | 70 | 71 | 120 => Self::Protocol, // handshake_failure, protocol_version, insufficient_security, no ALPN
            _ => Self::Certificate(Why::Fault(CertificateFault::of_alert(alert, reason)?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(alert: u8) -> ConnectionError {
        ConnectionError::ConnectionClosed(quinn::ConnectionClose {
            error_code: TransportErrorCode::crypto(alert),
            frame_type: None,
            reason: "why".into(),
        })
    }

    #[test]
    fn an_alert_from_the_peer_is_about_our_certificate() {
        for (alert, fault) in [
            (48, AuthenticationFault::Ours(CertificateFault::Foreign)),
            (51, AuthenticationFault::Ours(CertificateFault::Foreign)),
            (45, AuthenticationFault::Ours(CertificateFault::Expired)),
            (116, AuthenticationFault::OursAnonymous),
        ] {
            assert_eq!(Failure::from(&closed(alert)), Failure::Authentication(fault), "alert {alert}");
        }
    }

    #[test]
    fn a_missing_protocol_is_not_a_matter_of_keys() {
        assert_eq!(Failure::from(&closed(120)), Failure::Incompatible("why".to_owned()));
    }

    #[test]
    fn other_ends_are_not_a_matter_of_keys() {
        for error in [closed(80), ConnectionError::Reset, ConnectionError::LocallyClosed] {
            assert!(matches!(Failure::from(&error), Failure::Ended(_)), "{error:?}");
        }
        assert_eq!(Failure::from(&ConnectionError::TimedOut), Failure::Unreachable);
    }
}
