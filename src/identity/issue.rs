//! An authority of one's own: its certificate, certificates for nodes, and requests of nodes that keep their key.
//!
//! A certificate says exactly what its issuer asked for. Of a request only the public key is taken, once its signature shows that
//! the asker holds the private one; the names and extensions that it asks for are not even looked at, since whoever writes a
//! request could write the role of a publisher into it.
//!
//! Invariant: every certificate has a serial number of its own, both usages, one role and dates from its maker; none outlives its
//! authority, because verifiers do not look at the authority's dates.
//!
//! Not here: files (`cli`), and the authority inside a swarm key (`authority`).

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
    SubjectPublicKeyInfo,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::authority::{base_params, leaf_params, random_serial};
use super::{IdentityError, Role};

/// The kind of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256: what browsers, hardware and every other tool take.
    #[default]
    P256,
    /// Ed25519.
    Ed25519,
}

/// A certificate or a request with its private key, in PEM.
pub struct Pair {
    /// The certificate, or the request.
    pub public: String,
    /// The private key (PKCS#8).
    pub key: Zeroizing<String>,
}

/// What a node's certificate is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Whose it is.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// Further DNS names.
    pub dns: Vec<String>,
    /// URIs, as SPIFFE has them.
    pub uris: Vec<String>,
    /// How long it is valid.
    pub days: u32,
}

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// No key or random numbers.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The certificate could not be written.
    #[error("cannot make the certificate")]
    Make(#[source] rcgen::Error),
    /// The authority's files are none.
    #[error("ca.pem or ca.key is not what `strew certs init` writes")]
    Authority(#[source] rcgen::Error),
    /// The authority's files do not belong together.
    #[error("ca.key is not the key of ca.pem")]
    Mismatch,
    /// The certificate in `ca.pem` is not one of an authority.
    #[error("ca.pem is not the certificate of an authority")]
    NotAuthority,
    /// The certificate would outlive its authority.
    #[error("the authority is valid for {left} more days only; give fewer --days, or make a new authority")]
    Outlives {
        /// Days that the authority has left.
        left: u64,
    },
    /// A name that is the sign of a role.
    #[error("{0} stands for a role; say it with --role")]
    RoleName(String),
    /// A name that certificates cannot hold.
    #[error("{0:?} cannot stand in a certificate")]
    Name(String),
    /// The request is none.
    #[error("it is not a certificate request in PEM, as `strew certs csr` writes it")]
    Request,
    /// The request was not made by the holder of its key.
    #[error("the request's signature is wrong: it was altered, or made by somebody who does not hold the key")]
    Signature,
    /// A key of a kind that we do not sign for.
    #[error(
        "the request's key is of a kind that strew does not take: P-256, P-384, Ed25519 or RSA of 2048 bits at least"
    )]
    KeyKind,
}

/// Makes the certificate of an authority that signs leaves only.
///
/// # Errors
/// [`IssueError`] when the system has no random numbers or the name cannot be written.
pub fn make_authority(name: &str, kind: KeyKind, days: u32, now: u64) -> Result<Pair, IssueError> {
    let key = new_key(kind)?;
    let mut params = base_params(name);
    params.serial_number = Some(random_serial()?);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    limit(&mut params, now, now + u64::from(days) * DAY);
    let certificate = params.self_signed(&key).map_err(IssueError::Make)?;
    Ok(Pair { public: certificate.pem(), key: Zeroizing::new(key.serialize_pem()) })
}

/// Makes a key and a request for a certificate of it.
///
/// # Errors
/// [`IssueError`] when the system has no random numbers or the name cannot be written.
pub fn request(name: &str, kind: KeyKind) -> Result<Pair, IssueError> {
    let key = new_key(kind)?;
    let mut params = base_params(name);
    params.is_ca = IsCa::NoCa;
    let request = params.serialize_request(&key).map_err(IssueError::Make)?;
    Ok(Pair { public: request.pem().map_err(IssueError::Make)?, key: Zeroizing::new(key.serialize_pem()) })
}

/// An authority from its files.
pub struct FileAuthority {
    issuer: Issuer<'static, KeyPair>,
    not_after: u64,
}

impl FileAuthority {
    /// The authority with this certificate and this key.
    ///
    /// # Errors
    /// [`IssueError`] when they are none, or do not belong together.
    pub fn parse(certificate: &str, key: &str) -> Result<Self, IssueError> {
        let key = KeyPair::from_pem(key).map_err(IssueError::Authority)?;
        let not_authority = |_| IssueError::NotAuthority;
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| IssueError::NotAuthority)?;
        let (_, read) = X509Certificate::from_der(&der).map_err(not_authority)?;
        if !read.is_ca() {
            return Err(IssueError::NotAuthority);
        }
        if read.public_key().raw != key.subject_public_key_info() {
            return Err(IssueError::Mismatch);
        }
        let not_after = u64::try_from(read.validity().not_after.timestamp()).unwrap_or(0);
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(IssueError::Authority)?;
        Ok(Self { issuer, not_after })
    }

    /// Makes a certificate and its key.
    ///
    /// # Errors
    /// [`IssueError`] when the wish cannot be fulfilled.
    pub fn issue(&self, wish: &Wish, kind: KeyKind, now: u64) -> Result<Pair, IssueError> {
        let key = new_key(kind)?;
        Ok(Pair { public: self.certify(wish, &key, now)?, key: Zeroizing::new(key.serialize_pem()) })
    }

    /// Makes a certificate for the key of this request (PEM), which says nothing that the request asks for.
    ///
    /// # Errors
    /// [`IssueError`] when the request is none, or the wish cannot be fulfilled.
    pub fn sign(&self, wish: &Wish, request: &[u8], now: u64) -> Result<String, IssueError> {
        let der = rustls::pki_types::CertificateSigningRequestDer::from_pem_slice(request);
        let der = der.map_err(|_| IssueError::Request)?;
        let (_, request) = X509CertificationRequest::from_der(&der).map_err(|_| IssueError::Request)?;
        request.verify_signature().map_err(|_| IssueError::Signature)?;
        let key = request.certification_request_info.subject_pki.raw;
        let key = SubjectPublicKeyInfo::from_der(key).map_err(|_| IssueError::KeyKind)?;
        self.certify(wish, &key, now)
    }

    fn certify(&self, wish: &Wish, key: &impl PublicKeyData, now: u64) -> Result<String, IssueError> {
        let until = now + u64::from(wish.days) * DAY;
        if until > self.not_after {
            return Err(IssueError::Outlives { left: self.not_after.saturating_sub(now) / DAY });
        }
        let mut params = leaf_params(&wish.name, wish.role)?;
        limit(&mut params, now, until);
        for name in &wish.dns {
            if Role::ALL.into_iter().any(|role| name.trim_end_matches('.').eq_ignore_ascii_case(role.dns_name())) {
                return Err(IssueError::RoleName(name.clone()));
            }
            let plain =
                name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*'));
            if name.is_empty() || !plain {
                return Err(IssueError::Name(name.clone()));
            }
            let text = name.as_str().try_into().map_err(|_| IssueError::Name(name.clone()))?;
            params.subject_alt_names.push(SanType::DnsName(text));
        }
        for uri in &wish.uris {
            let text = uri.as_str().try_into().map_err(|_| IssueError::Name(uri.clone()))?;
            params.subject_alt_names.push(SanType::URI(text));
        }
        Ok(params.signed_by(key, &self.issuer).map_err(IssueError::Make)?.pem())
    }
}

fn new_key(kind: KeyKind) -> Result<KeyPair, IssueError> {
    let algorithm = match kind {
        KeyKind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyKind::Ed25519 => &rcgen::PKCS_ED25519,
    };
    Ok(KeyPair::generate_for(algorithm).map_err(|_| IdentityError::Key { what: "new" })?)
}

fn limit(params: &mut CertificateParams, now: u64, until: u64) {
    let at = |seconds| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
    params.not_before = at(now.saturating_sub(BACKDATED));
    params.not_after = at(until);
}

/// Seconds of a day.
const DAY: u64 = 86_400;
/// A certificate begins an hour before it is made, so that a node whose clock is behind by less can use it at once.
const BACKDATED: u64 = 3600;
