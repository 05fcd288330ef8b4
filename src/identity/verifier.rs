//! The one verifier of certificates, for both ends of a connection and for our own files.
//!
//! The stock verifier of servers insists on a name. Names say where a machine is, and membership does not depend on that: a pod
//! moves, an address is lent, and a certificate of cert-manager or SPIFFE has names of its own. So the chain, the usage and the
//! time are checked, and no name.
//!
//! Invariant: whatever is accepted leads to one of the roots, is valid now, and may be used in the direction in which it is used.
//!
//! Not here: roles (`certificate`), endorsements (`endorsement`), revocation.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use webpki::{EndEntityCert, KeyUsage};

use super::{CertificateFault, tls};

/// Checks that `leaf` leads over `intermediates` to one of `roots`, is valid at `now` and made for `usage`.
pub(super) fn check(
    roots: &RootCertStore,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    usage: KeyUsage,
    now: UnixTime,
) -> Result<(), CertificateFault> {
    let certificate = EndEntityCert::try_from(leaf).map_err(|error| CertificateFault::of_reading(&error))?;
    let algorithms = tls::signature_algorithms().all;
    match certificate.verify_for_usage(algorithms, &roots.roots, intermediates, now, usage, None, None) {
        Ok(_) => Ok(()),
        Err(error) => Err(CertificateFault::of(&certificate, &error)),
    }
}

/// Verifies whoever is at the other end.
pub(super) struct PeerVerifier {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PeerVerifier {
    pub(super) fn new(roots: Arc<RootCertStore>) -> Self {
        Self { roots, algorithms: tls::signature_algorithms() }
    }
}

impl fmt::Debug for PeerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerVerifier({} roots)", self.roots.len())
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        check(&self.roots, leaf, intermediates, KeyUsage::server_auth(), now).map_err(CertificateFault::to_tls)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for PeerVerifier {
    /// None: the list of authorities is not told to whoever dials, because a peer has one certificate and needs no hint.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        check(&self.roots, leaf, intermediates, KeyUsage::client_auth(), now).map_err(CertificateFault::to_tls)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
