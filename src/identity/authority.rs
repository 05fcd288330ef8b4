//! The certificate authority inside a swarm key, and the certificates that it signs.
//!
//! HKDF turns the key into the seed of an Ed25519 key pair, and the authority's certificate is written with a fixed
//! subject, serial and validity. So every holder of the key owns the same authority, byte for byte, and no file has to
//! be passed around beside the key. Each run then makes a fresh key pair in memory and signs its own leaf.
//!
//! Invariant: the authority is a pure function of the key. The validity spans all dates that X.509 can write, because
//! machines with wrong clocks must still find each other; who must go is shut out by changing the key.
//!
//! Not here: TLS (`tls`), and authorities that exist as files.

use std::fmt;

use aws_lc_rs::hkdf;
use aws_lc_rs::rand;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use data_encoding::BASE32_NOPAD_NOCASE;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SerialNumber, SignatureAlgorithm, SigningKey,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::{IdentityError, NODE_NAME, Role, SwarmKey};

/// The public name of a swarm: 80 bits of the hash of its authority's public key, safe to print and to compare.
///
/// It says nothing about the key: a public key of Ed25519 does not reveal its seed, and the hash hides even that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SwarmId([u8; SWARM_ID_LEN]);

impl SwarmId {
    /// The name of the swarm that this key belongs to.
    ///
    /// # Errors
    /// [`IdentityError::Key`] when the crypto library derives no key, which no value of the key causes.
    pub fn of_key(key: &SwarmKey) -> Result<Self, IdentityError> {
        Ok(Self::of(&AuthorityKey::derive(key)?.subject_public_key_info()))
    }

    /// The name of a swarm whose authorities are these: that of the first.
    pub(super) fn of_roots(roots: &RootCertStore) -> Self {
        // The store keeps the key without its frame, which is as unique.
        Self::of(roots.roots.first().map_or(&[], |root| root.subject_public_key_info.as_ref()))
    }

    /// The name that belongs to an authority with this public key (DER of its SubjectPublicKeyInfo).
    fn of(public_key_info: &[u8]) -> Self {
        let hash = blake3::derive_key("strew 2026 swarm id v1", public_key_info);
        let mut id = [0; SWARM_ID_LEN];
        id.copy_from_slice(&hash[..SWARM_ID_LEN]);
        Self(id)
    }
}

impl fmt::Display for SwarmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_NOPAD_NOCASE.encode(&self.0).to_ascii_lowercase())
    }
}

impl fmt::Debug for SwarmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SwarmId({self})")
    }
}

/// The authority that a swarm key stands for.
pub(super) struct Authority {
    issuer: Issuer<'static, AuthorityKey>,
    certificate: CertificateDer<'static>,
    swarm_id: SwarmId,
}

/// A leaf certificate with its private key.
pub(super) struct Leaf {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Authority {
    /// Derives the authority of this key; the same key always gives the same bytes.
    pub(super) fn derive(key: &SwarmKey) -> Result<Self, IdentityError> {
        let signing_key = AuthorityKey::derive(key)?;
        let swarm_id = SwarmId::of(&signing_key.subject_public_key_info());
        let params = authority_params(swarm_id);
        let mint = |source| IdentityError::Mint { what: "swarm's", source };
        let certificate = params.self_signed(&signing_key).map_err(mint)?.into();
        Ok(Self { issuer: Issuer::new(params, signing_key), certificate, swarm_id })
    }

    /// The authority's own certificate, which peers hold as a root.
    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The public name of the swarm.
    pub(super) fn swarm_id(&self) -> SwarmId {
        self.swarm_id
    }

    /// A certificate for this run, with a fresh key that never leaves memory.
    pub(super) fn mint(&self, role: Role) -> Result<Leaf, IdentityError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(|_| IdentityError::Key { what: "node's" })?;
        let mint = |source| IdentityError::Mint { what: "node's", source };
        let certificate = leaf_params("strew node", role)?.signed_by(&key, &self.issuer).map_err(mint)?.into();
        Ok(Leaf { certificate, key: PrivatePkcs8KeyDer::from(key.serialize_der()).into() })
    }
}

/// The authority's key pair. Not an `rcgen::KeyPair`, which would keep a copy of the secret that is never wiped.
struct AuthorityKey(Ed25519KeyPair);

impl AuthorityKey {
    fn derive(key: &SwarmKey) -> Result<Self, IdentityError> {
        let failed = || IdentityError::Key { what: "swarm's" };
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, HKDF_SALT).extract(key.expose());
        let output = secret.expand(&[HKDF_INFO], hkdf::HKDF_SHA256).map_err(|_| failed())?;
        output.fill(&mut seed[..]).map_err(|_| failed())?;
        Ed25519KeyPair::from_seed_unchecked(&seed[..]).map(Self).map_err(|_| failed())
    }
}

impl PublicKeyData for AuthorityKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl SigningKey for AuthorityKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

fn authority_params(swarm_id: SwarmId) -> CertificateParams {
    let mut params = base_params(&swarm_id.to_string());
    params.serial_number = Some(SerialNumber::from(1));
    // No authority below this one: a member signs leaves with the key itself, never with a leaf.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// A serial number that nobody else has.
pub(super) fn random_serial() -> Result<SerialNumber, IdentityError> {
    let mut serial = [0; SERIAL_LEN];
    rand::fill(&mut serial).map_err(|_| IdentityError::Random)?;
    serial[0] &= 0x7f; // a serial number is positive (RFC 5280, 4.1.2.2)
    Ok(SerialNumber::from_slice(&serial))
}

/// A node's certificate with this role, valid for ever.
pub(super) fn leaf_params(common_name: &str, role: Role) -> Result<CertificateParams, IdentityError> {
    let mut params = base_params(common_name);
    params.serial_number = Some(random_serial()?);
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true; // required of a leaf (RFC 5280, 4.2.1.1)
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Both, because every node dials and is dialled.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let named = |name: &str| {
        let name = name.try_into().map_err(|source| IdentityError::Mint { what: "node's", source })?;
        Ok(rcgen::SanType::DnsName(name))
    };
    params.subject_alt_names = vec![named(NODE_NAME)?, named(role.dns_name())?];
    Ok(params)
}

/// A certificate of that name, valid for ever.
pub(super) fn base_params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    // The epoch of UNIX time, before which no clock can be, and the last day that X.509 can write (RFC 5280, 4.1.2.5).
    params.not_before = rcgen::date_time_ymd(1970, 1, 1);
    params.not_after = rcgen::date_time_ymd(9999, 12, 31);
    params
}

/// Enough that no two swarms share a name by chance, and short enough to compare by eye: 16 characters of base32.
const SWARM_ID_LEN: usize = 10;
/// Seed of an Ed25519 key (RFC 8032, 5.1.5).
const SEED_LEN: usize = 32;
/// RFC 5280 allows 20 bytes; 16 random ones never repeat.
const SERIAL_LEN: usize = 16;
/// Constant: HKDF asks for a salt that need not be secret, and all members must derive the same.
const HKDF_SALT: &[u8] = b"strew swarm key v1";
/// Separates this use of the key from every later one.
const HKDF_INFO: &[u8] = b"strew swarm ca v1";

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SwarmKey {
        SwarmKey::from_bytes([byte; 32])
    }

    #[test]
    fn one_key_makes_one_authority() {
        let [first, second] = [key(1), key(1)].map(|key| Authority::derive(&key).unwrap());
        assert_eq!(first.certificate(), second.certificate());
        assert_eq!(first.swarm_id(), second.swarm_id());
    }

    #[test]
    fn the_authority_of_a_key_never_changes() {
        // A new release must still belong to the swarm of the old one.
        let authority = Authority::derive(&key(1)).unwrap();
        assert_eq!(SwarmId::of_key(&key(1)).unwrap(), authority.swarm_id());
        assert_eq!(authority.swarm_id().to_string(), "lejjdb75cl7pydrf");
        assert_eq!(blake3::hash(authority.certificate()).to_hex()[..16], *"28a561ff8b411b15");
    }

    #[test]
    fn two_keys_make_two_authorities_with_two_names() {
        let [first, second] = [key(1), key(2)].map(|key| Authority::derive(&key).unwrap());
        assert_ne!(first.certificate(), second.certificate());
        assert_ne!(first.swarm_id(), second.swarm_id());
    }

    #[test]
    fn every_leaf_is_fresh() {
        let authority = Authority::derive(&key(1)).unwrap();
        let [first, second] = [0, 1].map(|_| authority.mint(Role::Seed).unwrap());
        assert_ne!(first.key.secret_der(), second.key.secret_der());
        assert_ne!(first.certificate, second.certificate);
    }
}
