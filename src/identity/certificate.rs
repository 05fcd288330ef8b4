//! What a peer's certificate says: who it is and what it may do.
//!
//! The identity is the hash of the public key and not of the certificate, so that a renewed certificate for the same
//! key is still the same peer. The role is a DNS name among the certificate's alternative names, because every tool
//! that makes certificates can write DNS names.
//!
//! Invariant: nothing here verifies. Only certificates that a handshake or an endorsement check has accepted come in.
//!
//! Not here: what a role allows, which the caller decides.

use std::fmt;

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A peer's identity: the BLAKE3 hash of its certificate's public key (DER of the SubjectPublicKeyInfo).
///
/// A certificate may serve a whole fleet, so two peers can share an identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity([u8; 32]);

/// What a certificate allows its holder, from the DNS names `seed`, `peer` and `observer` below `strew.internal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It may look on, but neither fetch nor serve.
    Observer,
    /// It may fetch and serve. The role of a certificate that names none.
    Peer,
    /// It may also publish: its endorsement makes a manifest count.
    Seed,
}

impl Identity {
    /// The whole hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn of(certificate: &EndEntityCert<'_>) -> Self {
        Self(blake3::hash(certificate.subject_public_key_info().as_ref()).into())
    }
}

impl fmt::Display for Identity {
    /// The first 64 bits in hexadecimal: enough to tell peers apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({self})")
    }
}

impl Role {
    /// The DNS name that stands for this role in a certificate.
    #[must_use]
    pub const fn dns_name(self) -> &'static str {
        match self {
            Self::Observer => "observer.strew.internal",
            Self::Peer => "peer.strew.internal",
            Self::Seed => "seed.strew.internal",
        }
    }

    /// Every role, least first.
    pub const ALL: [Self; 3] = [Self::Observer, Self::Peer, Self::Seed];

    /// The role that this certificate allows: what it names, else [`Role::Peer`].
    pub(super) fn of(certificate: &EndEntityCert<'_>) -> Self {
        Self::named_by(certificate).unwrap_or(Self::Peer)
    }

    /// The role that this certificate names; the highest of several.
    pub(super) fn named_by(certificate: &EndEntityCert<'_>) -> Option<Self> {
        let named = |name: &str| Self::ALL.into_iter().find(|role| name.eq_ignore_ascii_case(role.dns_name()));
        certificate.valid_dns_names().filter_map(named).max()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observer => "observer",
            Self::Peer => "peer",
            Self::Seed => "seed",
        })
    }
}

/// The last second at which the certificate at the other end is valid (since 1970, UTC); `None` before the handshake is complete.
#[must_use]
pub fn valid_until(connection: &quinn::Connection) -> Option<u64> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    let (_, certificate) = X509Certificate::from_der(chain.first()?).ok()?;
    u64::try_from(certificate.validity().not_after.timestamp()).ok()
}

/// Who is at the other end of this connection, or `None` before the handshake is complete.
#[must_use]
pub fn identity_of(connection: &quinn::Connection) -> Option<(Identity, Role)> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    let certificate = EndEntityCert::try_from(chain.first()?).ok()?;
    Some((Identity::of(&certificate), Role::of(&certificate)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role_of(names: &[&str]) -> Role {
        let params = rcgen::CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        Role::of(&EndEntityCert::try_from(certificate.der()).unwrap())
    }

    #[test]
    fn a_certificate_that_names_no_role_is_a_peer() {
        assert_eq!(role_of(&[]), Role::Peer);
        assert_eq!(role_of(&["node.strew.internal", "seed.example.org", "x.seed.strew.internal"]), Role::Peer);
    }

    #[test]
    fn the_highest_of_several_roles_counts() {
        assert_eq!(role_of(&["observer.strew.internal"]), Role::Observer);
        assert_eq!(role_of(&["observer.strew.internal", "peer.strew.internal"]), Role::Peer);
        assert_eq!(role_of(&["peer.strew.internal", "SEED.strew.internal"]), Role::Seed);
    }

    #[test]
    fn an_identity_outlives_the_renewal_of_its_certificate() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        let old = params.self_signed(&key).unwrap();
        params.serial_number = Some(7.into());
        let new = params.self_signed(&key).unwrap();
        let of = |certificate| Identity::of(&EndEntityCert::try_from(certificate).unwrap());
        assert_ne!(old.der(), new.der());
        assert_eq!(of(old.der()), of(new.der()));
    }
}
