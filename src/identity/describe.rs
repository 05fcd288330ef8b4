//! What certificates say of themselves, for people and programs to read.
//!
//! Invariant: nothing here verifies, and nothing that is told has any effect; the verifier reads certificates by itself.
//!
//! Not here: how it is printed (`cli`).

use data_encoding::HEXLOWER;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use webpki::EndEntityCert;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Identity, Role};

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// Its alternative names, each with its kind before it.
    pub names: Vec<String>,
    /// Whether it is an authority's.
    pub authority: bool,
    /// The role that it names; a certificate without one counts as a peer's.
    pub role: Option<Role>,
    /// What peers know its holder by: the hash of its public key, the whole of it in hexadecimal.
    pub identity: String,
    /// SHA-256 of the certificate, as other tools show it.
    pub fingerprint: String,
    /// Seconds since 1970 (UTC) from which it is valid.
    pub not_before: i64,
    /// The last second at which it is valid.
    pub not_after: i64,
    /// Both, for people.
    pub validity: [String; 2],
}

/// Text that describes no certificate.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// It is not PEM.
    #[error("it is not a PEM file, or was cut off")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// There is none in it.
    #[error("it holds no certificate")]
    None,
    /// One of them cannot be read.
    #[error("certificate {0} cannot be read")]
    Malformed(usize),
}

/// Describes every certificate of a PEM file; keys in it are passed over.
///
/// # Errors
/// [`DescribeError`] when there is none, or one cannot be read.
pub fn describe(pem: &[u8]) -> Result<Vec<Description>, DescribeError> {
    let certificates: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(DescribeError::Pem)?;
    if certificates.is_empty() {
        return Err(DescribeError::None);
    }
    let numbered = certificates.iter().enumerate();
    numbered.map(|(index, der)| describe_one(der).ok_or(DescribeError::Malformed(index + 1))).collect()
}

fn describe_one(der: &CertificateDer<'_>) -> Option<Description> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    // What has an extension that the verifier does not take can still be described, without identity and role.
    let read = EndEntityCert::try_from(der).ok();
    let names = certificate.subject_alternative_name().ok()?;
    let names = names.map(|names| names.value.general_names.iter().map(name).collect()).unwrap_or_default();
    let validity = certificate.validity();
    let key = blake3::hash(certificate.public_key().raw);
    debug_assert!(read.as_ref().is_none_or(|read| Identity::of(read).as_bytes() == key.as_bytes()), "one identity");
    Some(Description {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        serial: HEXLOWER.encode(certificate.raw_serial()),
        names,
        authority: certificate.is_ca(),
        role: read.as_ref().and_then(Role::named_by),
        identity: key.to_hex().to_string(),
        fingerprint: HEXLOWER.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der).as_ref()),
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
        validity: [validity.not_before.to_string(), validity.not_after.to_string()],
    })
}

fn name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(text) => format!("DNS:{text}"),
        GeneralName::URI(text) => format!("URI:{text}"),
        GeneralName::RFC822Name(text) => format!("email:{text}"),
        other => other.to_string(),
    }
}
