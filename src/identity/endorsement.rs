//! Endorsements: a payload signed with a node's certificate key, checkable by every peer that trusts the same roots.
//!
//! A manifest travels through peers that nobody trusts for content, so its signature brings the signer's certificates
//! along and is checked against the roots by whoever needs it. The certificate's own key signs, not a second one,
//! because then the right to publish is exactly the certificate's role, and there is nothing more to distribute.
//!
//! Invariant: an [`Endorser`] is only made by a check that passed whole: bounds, chain, validity at the payload's time,
//! role, signature. A payload that could be a TLS handshake's is neither signed nor accepted.
//!
//! Not here: what the payload means; its writer puts a prefix of its own before it, so that payloads of two kinds
//! differ.

use std::time::Duration;

use rustls::SignatureScheme;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use super::{Credentials, Identity, IdentityError, Role, tls};

/// A signature with the certificates that prove whose it is. From the network it is nothing but bytes until it is
/// verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The signature scheme's number in TLS 1.3 (RFC 8446, 4.2.3).
    pub scheme: u16,
    /// The signature of the payload.
    pub signature: Vec<u8>,
    /// The signer's certificates in DER, leaf first, without the root.
    pub chain: Vec<Vec<u8>>,
}

/// Who endorsed a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endorser {
    /// The signer's identity.
    pub identity: Identity,
    /// The signer's role: always [`Role::Seed`], since no other may endorse.
    pub role: Role,
}

/// Why an endorsement does not count.
#[derive(Debug, thiserror::Error)]
pub enum EndorsementError {
    /// The payload is empty or begins as the payload of a TLS handshake does.
    #[error("the endorsed payload is empty or looks like a TLS handshake")]
    Payload,
    /// No certificate, too many, or one too long.
    #[error(
        "an endorsement carries 1 to {CHAIN_LEN_MAX} certificates of at most {CHAIN_CERTIFICATE_LEN_MAX} bytes each"
    )]
    ChainBounds,
    /// The certificates do not lead from the signer to one of our roots, or are not valid at that time.
    #[error("the endorser's certificate is not one of this swarm, or was not valid when it signed")]
    Chain(#[source] webpki::Error),
    /// The certificate does not give the right to publish.
    #[error("{identity} has the role {role} and may not publish; publishing takes the role seed")]
    Role {
        /// The signer.
        identity: Identity,
        /// Its role.
        role: Role,
    },
    /// The scheme is none that we know.
    #[error("the endorsement is signed with the unknown scheme {0:#06x}")]
    Scheme(u16),
    /// The signature is not the signer's signature of this payload.
    #[error("the endorsement's signature is wrong: it was altered, or belongs to something else")]
    Signature(#[source] webpki::Error),
}

/// The most certificates in an endorsement's chain: a leaf and three authorities below the root.
pub const CHAIN_LEN_MAX: usize = 4;
/// The longest certificate in an endorsement's chain, in bytes; usual ones have one to two thousand.
pub const CHAIN_CERTIFICATE_LEN_MAX: usize = 16 << 10;

impl Credentials {
    /// Signs `payload` with our certificate's key.
    ///
    /// # Errors
    /// [`IdentityError::Unsignable`] for an empty payload or one that begins as a TLS handshake's does;
    /// [`IdentityError::Scheme`] and [`IdentityError::Tls`] when the key cannot sign.
    pub fn sign(&self, payload: &[u8]) -> Result<Signed, IdentityError> {
        if !is_endorsable(payload) {
            return Err(IdentityError::Unsignable);
        }
        let signer = self.certificate.key.choose_scheme(&tls::signature_algorithms().supported_schemes());
        let signer = signer.ok_or(IdentityError::Scheme)?;
        let signature = signer.sign(payload).map_err(IdentityError::Tls)?;
        let chain = self.certificate.cert.iter().map(|der| der.to_vec()).collect();
        Ok(Signed { scheme: signer.scheme().into(), signature, chain })
    }

    /// Checks that a node that may publish signed `payload`, with a certificate that was valid `at` (seconds since
    /// 1970, UTC).
    ///
    /// # Errors
    /// [`EndorsementError`] names the check that failed.
    pub fn verify(&self, payload: &[u8], signed: &Signed, at: u64) -> Result<Endorser, EndorsementError> {
        if !is_endorsable(payload) {
            return Err(EndorsementError::Payload);
        }
        if !(1..=CHAIN_LEN_MAX).contains(&signed.chain.len())
            || signed.chain.iter().any(|certificate| certificate.len() > CHAIN_CERTIFICATE_LEN_MAX)
        {
            return Err(EndorsementError::ChainBounds);
        }
        let chain: Vec<CertificateDer<'_>> = signed.chain.iter().map(|der| CertificateDer::from(&der[..])).collect();
        let leaf = EndEntityCert::try_from(&chain[0]).map_err(EndorsementError::Chain)?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(at));
        // The usage of a dialling node: a publisher must be one that its peers would let in.
        let usage = KeyUsage::client_auth();
        let algorithms = tls::signature_algorithms();
        leaf.verify_for_usage(algorithms.all, &self.roots.roots, &chain[1..], time, usage, None, None)
            .map_err(EndorsementError::Chain)?;
        let endorser = Endorser { identity: Identity::of(&leaf), role: Role::of(&leaf) };
        if endorser.role != Role::Seed {
            return Err(EndorsementError::Role { identity: endorser.identity, role: endorser.role });
        }
        verify_signature(&leaf, payload, signed)?;
        Ok(endorser)
    }
}

fn verify_signature(leaf: &EndEntityCert<'_>, payload: &[u8], signed: &Signed) -> Result<(), EndorsementError> {
    let scheme = SignatureScheme::from(signed.scheme);
    let mut refused = EndorsementError::Scheme(signed.scheme);
    // One scheme of TLS 1.2 may stand for several curves, so each of its algorithms gets a try.
    let mapping = tls::signature_algorithms().mapping;
    for algorithm in mapping.iter().filter(|(known, _)| *known == scheme).flat_map(|(_, algorithms)| *algorithms) {
        match leaf.verify_signature(*algorithm, payload, &signed.signature) {
            Ok(()) => return Ok(()),
            Err(error) => refused = EndorsementError::Signature(error),
        }
    }
    Err(refused)
}

/// Whether a payload cannot be confused with what the same key signs in a handshake (RFC 8446, 4.4.3: 64 spaces first).
fn is_endorsable(payload: &[u8]) -> bool {
    const HANDSHAKE_PREFIX: [u8; 64] = [b' '; 64];
    !payload.is_empty() && !payload.starts_with(&HANDSHAKE_PREFIX)
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;

    use super::*;
    use crate::identity::authority::Authority;
    use crate::identity::{KeyRing, SwarmKey};

    /// Some day in 2026, in seconds since 1970.
    const NOW: u64 = 1_790_000_000;

    fn member(keys: &[u8]) -> Credentials {
        let keys = keys.iter().map(|byte| SwarmKey::from_bytes([*byte; 32])).collect();
        Credentials::from_keys(&KeyRing::new(keys).unwrap()).unwrap()
    }

    fn with_role(key: u8, role: Role) -> Credentials {
        let authority = Authority::derive(&SwarmKey::from_bytes([key; 32])).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone()).unwrap();
        let leaf = authority.mint(role).unwrap();
        Credentials::new(roots, vec![leaf.certificate], leaf.key, authority.swarm_id()).unwrap()
    }

    #[test]
    fn another_member_verifies_who_endorsed() {
        let publisher = member(&[1]);
        let signed = publisher.sign(b"content").unwrap();
        let endorser = member(&[1]).verify(b"content", &signed, NOW).unwrap();
        assert_eq!(endorser, Endorser { identity: publisher.identity(), role: Role::Seed });
    }

    #[test]
    fn clocks_do_not_matter_to_certificates_of_a_swarm_key() {
        let signed = member(&[1]).sign(b"content").unwrap();
        let year_2500 = 16_725_225_600;
        for at in [0, NOW, year_2500] {
            assert!(member(&[1]).verify(b"content", &signed, at).is_ok(), "at {at}");
        }
    }

    #[test]
    fn a_certificate_is_refused_outside_its_validity() {
        // The last second of 9999 is the end of what X.509 can write.
        let signed = member(&[1]).sign(b"content").unwrap();
        let refusal = member(&[1]).verify(b"content", &signed, 253_402_300_800).unwrap_err();
        assert!(matches!(refusal, EndorsementError::Chain(webpki::Error::CertExpired { .. })), "{refusal:?}");
    }

    #[test]
    fn every_altered_byte_of_payload_or_signature_is_told() {
        let verifier = member(&[1]);
        let signed = member(&[1]).sign(b"content").unwrap();
        for index in 0..b"content".len() {
            let mut payload = b"content".to_vec();
            payload[index] ^= 1;
            let refusal = verifier.verify(&payload, &signed, NOW).unwrap_err();
            assert!(matches!(refusal, EndorsementError::Signature(_)), "{refusal:?}");
        }
        for index in 0..signed.signature.len() {
            let mut altered = signed.clone();
            altered.signature[index] ^= 1;
            assert!(verifier.verify(b"content", &altered, NOW).is_err());
        }
    }

    #[test]
    fn an_altered_certificate_is_never_accepted() {
        let verifier = member(&[1]);
        let signed = member(&[1]).sign(b"content").unwrap();
        for index in 0..signed.chain[0].len() {
            let mut altered = signed.clone();
            altered.chain[0][index] ^= 1;
            assert!(verifier.verify(b"content", &altered, NOW).is_err(), "byte {index}");
        }
    }

    #[test]
    fn an_endorsement_from_another_swarm_is_refused() {
        let signed = member(&[2]).sign(b"content").unwrap();
        let refusal = member(&[1]).verify(b"content", &signed, NOW).unwrap_err();
        assert!(matches!(refusal, EndorsementError::Chain(_)), "{refusal:?}");
    }

    #[test]
    fn an_endorsement_under_the_old_key_counts_while_both_are_held() {
        let signed = member(&[1]).sign(b"content").unwrap();
        assert!(member(&[2, 1]).verify(b"content", &signed, NOW).is_ok());
        assert!(member(&[2]).verify(b"content", &signed, NOW).is_err());
    }

    #[test]
    fn only_the_role_seed_may_publish() {
        for role in [Role::Peer, Role::Observer] {
            let signed = with_role(1, role).sign(b"content").unwrap();
            let refusal = member(&[1]).verify(b"content", &signed, NOW).unwrap_err();
            assert!(matches!(refusal, EndorsementError::Role { role: found, .. } if found == role), "{refusal:?}");
        }
    }

    #[test]
    fn the_authority_itself_cannot_stand_in_for_a_leaf() {
        let authority = Authority::derive(&SwarmKey::from_bytes([1; 32])).unwrap();
        let mut signed = member(&[1]).sign(b"content").unwrap();
        signed.chain = vec![authority.certificate().to_vec()];
        let refusal = member(&[1]).verify(b"content", &signed, NOW).unwrap_err();
        assert!(matches!(refusal, EndorsementError::Chain(_)), "{refusal:?}");
    }

    #[test]
    fn chains_out_of_bounds_are_refused_before_they_are_read() {
        let verifier = member(&[1]);
        let signed = member(&[1]).sign(b"content").unwrap();
        for chain in [vec![], vec![signed.chain[0].clone(); 5], vec![vec![0; CHAIN_CERTIFICATE_LEN_MAX + 1]]] {
            let refusal = verifier.verify(b"content", &Signed { chain, ..signed.clone() }, NOW).unwrap_err();
            assert!(matches!(refusal, EndorsementError::ChainBounds), "{refusal:?}");
        }
    }

    #[test]
    fn an_unknown_scheme_is_named() {
        let signed = Signed { scheme: 0xfeed, ..member(&[1]).sign(b"content").unwrap() };
        let refusal = member(&[1]).verify(b"content", &signed, NOW).unwrap_err();
        assert!(matches!(refusal, EndorsementError::Scheme(0xfeed)), "{refusal:?}");
    }

    #[test]
    fn what_could_be_a_handshake_is_neither_signed_nor_accepted() {
        let node = member(&[1]);
        let signed = node.sign(b"content").unwrap();
        for payload in [&b""[..], &[b' '; 100][..]] {
            assert!(matches!(node.sign(payload), Err(IdentityError::Unsignable)));
            assert!(matches!(node.verify(payload, &signed, NOW), Err(EndorsementError::Payload)));
        }
    }
}
