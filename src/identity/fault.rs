//! What is wrong with a certificate, in words that fit after "the peer's certificate" and after the name of a file.
//!
//! The verifier knows dozens of errors, and TLS has a handful of alerts for them. A user has one question: renew it, take another
//! authority, or make it otherwise. So there are eight faults, each with its own sentence, and both ends of a refusal name the same.
//!
//! Invariant: a fault that was made a TLS error is the same fault again after its way through alert and reason.
//!
//! Not here: verifying (`verifier`), and certificates that are missing altogether (`refusal`).

use std::sync::Arc;

use rustls::{CertificateError, OtherError};
use webpki::EndEntityCert;

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// Its time is over.
    #[error("has expired")]
    Expired,
    /// Its time has not begun.
    #[error("is not valid yet: is the clock right?")]
    NotYetValid,
    /// No trusted authority signed it.
    #[error("was not issued by an authority that is trusted here: is it the same swarm key, or the same CA?")]
    Foreign,
    /// It vouches for itself.
    #[error("is signed by itself and not by an authority")]
    SelfSigned,
    /// Its extended key usages do not allow what it is used for.
    #[error("is not made for both ends of a connection: it needs the extended key usages serverAuth and clientAuth")]
    Purpose,
    /// It is the certificate of an authority.
    #[error("is the certificate of an authority and not of a node")]
    Authority,
    /// It asks not to be used by whoever does not understand it.
    #[error("has a critical extension that strew does not know")]
    Extension,
    /// It cannot be read, or uses algorithms or constraints that do not fit.
    #[error("is malformed, or its key, signature or constraints are none that strew takes")]
    Unusable,
}

impl CertificateFault {
    /// The fault of a certificate that could not be read.
    pub(super) fn of_reading(error: &webpki::Error) -> Self {
        match error {
            webpki::Error::UnsupportedCriticalExtension => Self::Extension,
            _ => Self::Unusable,
        }
    }

    /// The fault behind the verifier's error.
    pub(super) fn of(certificate: &EndEntityCert<'_>, error: &webpki::Error) -> Self {
        use webpki::Error as E;
        match error {
            E::CertExpired { .. } => Self::Expired,
            E::CertNotValidYet { .. } => Self::NotYetValid,
            E::CaUsedAsEndEntity => Self::Authority,
            E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => Self::Purpose,
            E::UnsupportedCriticalExtension => Self::Extension,
            E::UnknownIssuer if certificate.issuer() == certificate.subject() => Self::SelfSigned,
            // The second: the authority has the name of one of ours, and another key.
            E::UnknownIssuer | E::InvalidSignatureForPublicKey => Self::Foreign,
            _ => Self::Unusable,
        }
    }

    /// As rustls tells it to the peer: an alert, and a text that says more than the alert can.
    pub(super) fn to_tls(self) -> rustls::Error {
        rustls::Error::InvalidCertificate(match self {
            Self::Expired => CertificateError::Expired,
            Self::NotYetValid => CertificateError::NotValidYet,
            Self::Foreign => CertificateError::UnknownIssuer,
            Self::Purpose => CertificateError::InvalidPurpose,
            Self::Extension => CertificateError::UnhandledCriticalExtension,
            Self::SelfSigned | Self::Authority | Self::Unusable => CertificateError::Other(OtherError(Arc::new(self))),
        })
    }

    /// The fault behind an alert (RFC 8446, 6) and the reason beside it. The reason may come from the peer; it only chooses among
    /// faults of the same alert.
    pub(super) fn of_alert(alert: u8, reason: &str) -> Option<Self> {
        // rustls shows a fault of ours by its name in the code.
        let told = |fault: &Self| reason.contains(&format!("({fault:?})"));
        Some(match alert {
            42 => Self::Extension, // bad_certificate
            43 => Self::Purpose,   // unsupported_certificate
            45 if reason.contains("NotValidYet") => Self::NotYetValid,
            45 => Self::Expired, // certificate_expired, also for one whose time has not begun
            46 => [Self::SelfSigned, Self::Authority].into_iter().find(told).unwrap_or(Self::Unusable), // certificate_unknown
            // certificate_revoked, unknown_ca, access_denied, decrypt_error
            44 | 48 | 49 | 51 => Self::Foreign,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_survives_its_way_through_the_alert() {
        for (fault, alert) in [
            (CertificateFault::Expired, 45),
            (CertificateFault::NotYetValid, 45),
            (CertificateFault::Foreign, 48),
            (CertificateFault::SelfSigned, 46),
            (CertificateFault::Purpose, 43),
            (CertificateFault::Authority, 46),
            (CertificateFault::Extension, 42),
            (CertificateFault::Unusable, 46),
        ] {
            let reason = fault.to_tls().to_string();
            assert_eq!(CertificateFault::of_alert(alert, &reason), Some(fault), "{reason}");
        }
        assert_eq!(CertificateFault::of_alert(80, "internal error"), None);
    }
}
