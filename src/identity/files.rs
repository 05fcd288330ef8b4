//! Certificates from files: a directory as cert-manager, SPIFFE's helper or `strew certs` write it, or one bundle.
//!
//! The files are taken as they are found: names decide in a directory, and in a bundle what the certificates are (the one that the
//! key belongs to is ours, those signed by themselves are authorities, the rest lies between). Everything is checked here with the
//! very check that peers apply, so that a node learns at its start, from one sentence, what a peer would have told it by an alert.
//!
//! Invariant: credentials from here have a key that strangers cannot read, and a certificate that peers with the same authority
//! accept now, in both directions.
//!
//! Not here: making certificates (`issue`), noticing new ones (`watch`).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::{InconsistentKeys, RootCertStore};
use webpki::{EndEntityCert, KeyUsage};
use zeroize::Zeroizing;

use super::endorsement::CHAIN_LEN_MAX;
use super::ring::refuse_exposed;
use super::verifier::check;
use super::{CertificateFault, Credentials, IdentityError, KeyError, Origin, SwarmId};

/// Where a node's certificate, its key and the authorities are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateFiles {
    /// Three files of a directory: of cert-manager, of `strew certs` or of SPIFFE's helper.
    Directory(PathBuf),
    /// One file with all of it, in any order.
    Bundle(PathBuf),
}

/// Certificates from files that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file that cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory without a certificate under any known name.
    #[error(
        "{path} holds neither tls.crt, cert.pem nor svid.pem; give a directory that `strew certs issue`, cert-manager or SPIFFE wrote"
    )]
    NoFiles {
        /// The directory.
        path: PathBuf,
    },
    /// The key can be read by others, or belongs to a stranger.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file that is far too long.
    #[error("{path} is longer than {FILE_LEN_MAX} bytes; is it a certificate?")]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// A file that is not PEM.
    #[error("{path} is not a PEM file, or was cut off")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// Something is not in the file.
    #[error("{path} holds no {what}")]
    Missing {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// More certificates than an endorsement can carry.
    #[error("{path} holds a chain of more than {CHAIN_LEN_MAX} certificates; leave the root out")]
    ChainTooLong {
        /// The file.
        path: PathBuf,
    },
    /// The key is another certificate's.
    #[error("the key does not belong to the certificate in {path}; both must come from one `strew certs issue`")]
    Mismatch {
        /// The file with the certificate.
        path: PathBuf,
    },
    /// A certificate that peers would refuse.
    #[error(
        "the certificate in {path} {fault}; renew it, for instance with: strew certs issue NAME --role ROLE --force"
    )]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        fault: CertificateFault,
    },
    /// The key or an authority is of no use for TLS.
    #[error("{path} cannot be used")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: IdentityError,
    },
}

impl FilesError {
    /// Whether the certificate is at fault, and not the way in which it was given.
    #[must_use]
    pub const fn is_authentication(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

/// Names of certificate, key and authorities in a directory: of cert-manager, of `strew certs`, of SPIFFE's helper.
const NAMES: [[&str; 3]; 3] = [
    ["tls.crt", "tls.key", "ca.crt"],
    ["cert.pem", "key.pem", "ca.pem"],
    ["svid.pem", "svid_key.pem", "svid_bundle.pem"],
];

/// What the files hold.
struct Material {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authorities: Vec<CertificateDer<'static>>,
    /// The file with our certificate, for messages.
    path: PathBuf,
}

impl CertificateFiles {
    /// The files, whether they are there or not.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        match self {
            Self::Bundle(path) => vec![path.clone()],
            Self::Directory(folder) => names_in(folder).map(|name| folder.join(name)).into(),
        }
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    /// [`FilesError`] names the file and what is wrong with it.
    pub fn load(&self) -> Result<Credentials, FilesError> {
        let origin = Origin::Certificates(self.clone());
        let stamp = origin.stamp();
        Ok(self.load_at(UnixTime::now())?.watching(origin, stamp))
    }

    /// [`load`](Self::load) as of `now`.
    pub(super) fn load_at(&self, now: UnixTime) -> Result<Credentials, FilesError> {
        let Material { chain, key, authorities, path } = self.read()?;
        if chain.len() > CHAIN_LEN_MAX {
            return Err(FilesError::ChainTooLong { path });
        }
        let unusable = |source| FilesError::Unusable { path: path.clone(), source };
        let mut roots = RootCertStore::empty();
        for authority in &authorities {
            roots.add(authority.clone()).map_err(|error| unusable(IdentityError::Tls(error)))?;
        }
        let swarm = SwarmId::of_roots(&roots);
        for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
            let refused = |fault| FilesError::Refused { path: path.clone(), fault };
            check(&roots, &chain[0], &chain[1..], usage, now).map_err(refused)?;
        }
        Credentials::new(roots, chain, key, swarm).map_err(|error| match error {
            IdentityError::Tls(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                FilesError::Mismatch { path: path.clone() }
            }
            other => unusable(other),
        })
    }

    fn read(&self) -> Result<Material, FilesError> {
        match self {
            Self::Bundle(path) => {
                let text = read_key_file(path)?;
                let key = parse_key(path, &text)?;
                sort_out(path, parse_certificates(path, &text)?, key)
            }
            Self::Directory(folder) => {
                let paths = self.paths();
                let [certificate, key, authorities] = &paths[..] else { unreachable!("a directory has three files") };
                if !certificate.exists() && !folder.join(NAMES[0][1]).exists() {
                    return Err(FilesError::NoFiles { path: folder.clone() });
                }
                Ok(Material {
                    chain: parse_certificates(certificate, &read_file(certificate)?)?,
                    key: parse_key(key, &read_key_file(key)?)?,
                    authorities: parse_certificates(authorities, &read_file(authorities)?)?,
                    path: certificate.clone(),
                })
            }
        }
    }
}

/// The first set of names of which the certificate is there.
fn names_in(folder: &Path) -> [&'static str; 3] {
    NAMES.into_iter().find(|[certificate, ..]| folder.join(certificate).exists()).unwrap_or(NAMES[0])
}

/// Tells the certificates of a bundle apart.
fn sort_out(
    path: &Path,
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Material, FilesError> {
    let missing = |what| FilesError::Missing { path: path.to_owned(), what };
    let public = rcgen::KeyPair::try_from(&key).map(|pair| rcgen::PublicKeyData::subject_public_key_info(&pair));
    let public = public.map_err(|_| missing("private key that can be used"))?;
    let (mut ours, mut between, mut authorities) = (None, Vec::new(), Vec::new());
    for der in certificates {
        let Ok(read) = EndEntityCert::try_from(&der) else {
            between.push(der);
            continue;
        };
        if read.subject_public_key_info().as_ref() == public && ours.is_none() {
            ours = Some(der);
        } else if read.issuer() == read.subject() {
            authorities.push(der);
        } else {
            between.push(der);
        }
    }
    if authorities.is_empty() {
        return Err(missing("certificate of an authority (one that is signed by itself)"));
    }
    let ours = ours.ok_or_else(|| FilesError::Mismatch { path: path.to_owned() })?;
    let chain = std::iter::once(ours).chain(between).collect();
    Ok(Material { chain, key, authorities, path: path.to_owned() })
}

fn parse_certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, FilesError> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let certificates = parsed.map_err(|source| FilesError::Pem { path: path.to_owned(), source })?;
    if certificates.is_empty() {
        return Err(FilesError::Missing { path: path.to_owned(), what: "certificate" });
    }
    Ok(certificates)
}

fn parse_key(path: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, FilesError> {
    use rustls::pki_types::pem::Error;
    PrivateKeyDer::from_pem_slice(text).map_err(|source| match source {
        Error::NoItemsFound => FilesError::Missing { path: path.to_owned(), what: "private key" },
        source => FilesError::Pem { path: path.to_owned(), source },
    })
}

/// Reads a file with a private key, if nobody else can.
///
/// # Errors
/// [`FilesError::Read`], [`FilesError::Key`], [`FilesError::TooLong`].
pub fn read_key_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, FilesError> {
    read(path, |metadata| {
        Ok(refuse_exposed(path, metadata.mode(), metadata.uid(), rustix::process::geteuid().as_raw())?)
    })
}

/// Reads a file with certificates or a request for one, which may come from a stranger.
///
/// # Errors
/// [`FilesError::Read`], [`FilesError::TooLong`].
pub fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, FilesError> {
    read(path, |_| Ok(()))
}

fn read(
    path: &Path,
    admit: impl Fn(&std::fs::Metadata) -> Result<(), FilesError>,
) -> Result<Zeroizing<Vec<u8>>, FilesError> {
    let unreadable = |source| FilesError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    // Of the open file and not of its name, which could lead to another file by now.
    admit(&file.metadata().map_err(unreadable)?)?;
    // The whole capacity at once: a buffer that grows would leave copies of the key behind.
    let mut text = Zeroizing::new(Vec::with_capacity(FILE_LEN_MAX + 1));
    file.take(FILE_LEN_MAX as u64 + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() > FILE_LEN_MAX {
        return Err(FilesError::TooLong { path: path.to_owned() });
    }
    Ok(text)
}

/// Dozens of authorities with comments fit (a certificate has two thousand characters); `/dev/zero` ends here.
const FILE_LEN_MAX: usize = 256 << 10;
