//! Everything a node needs to prove itself and to check others, made once at the start.
//!
//! From a swarm key: a certificate authority per key (the first signs our certificate, all are roots) and a certificate
//! that lives as long as the process. What is kept afterwards is only certificates, their key and the roots, which is
//! just what files of a PKI give as well (`files`).
//!
//! Invariant: whatever our verifiers accept chains to one of the roots, has both key usages and is valid now.
//!
//! Not here: reading keys ([`super::KeyRing`]), sockets (`net::endpoint`).

use std::fmt;
use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;
use zeroize::Zeroizing;

use super::authority::{Authority, Leaf};
use super::{Identity, IdentityError, KeyRing, Origin, Role, Stamp, SwarmId, Watch, tls};

/// A node's certificate, its key, the roots it trusts, and the TLS configurations made of them. Cheap to clone.
#[derive(Clone)]
pub struct Credentials {
    pub(super) roots: Arc<RootCertStore>,
    pub(super) certificate: Arc<CertifiedKey>,
    client: Arc<QuicClientConfig>,
    server: Arc<QuicServerConfig>,
    identity: Identity,
    role: Option<Role>,
    swarm_id: SwarmId,
    reset_secret: Arc<Zeroizing<[u8; 32]>>,
    watch: Option<Watch>,
}

impl Credentials {
    /// Credentials of a member of the swarm: a fresh certificate from the first key, roots from all.
    ///
    /// The certificate has the role `seed`, because every holder of the key could mint that role anyway.
    ///
    /// # Errors
    /// [`IdentityError`] when the system has no random numbers; nothing else depends on the keys' values.
    pub fn from_keys(keys: &KeyRing) -> Result<Self, IdentityError> {
        let first = Authority::derive(keys.first())?;
        let mut roots = RootCertStore::empty();
        for key in keys.iter() {
            let authority = Authority::derive(key)?;
            roots.add(authority.certificate().clone()).map_err(IdentityError::Tls)?;
        }
        let Leaf { certificate, key } = first.mint(Role::Seed)?;
        let credentials = Self::new(roots, vec![certificate], key, first.swarm_id())?;
        // Our certificate's key is new in each run, so what must outlive the run comes from the swarm key.
        Ok(Self { reset_secret: reset_secret(keys.first().expose()), ..credentials })
    }

    /// Credentials of the holder of this certificate, which trusts these roots.
    pub(super) fn new(
        roots: RootCertStore,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        swarm_id: SwarmId,
    ) -> Result<Self, IdentityError> {
        let roots = Arc::new(roots);
        let reset_secret = reset_secret(key.secret_der());
        let certificate = CertifiedKey::from_der(chain, key, &tls::provider()).map_err(IdentityError::Tls)?;
        let certificate = Arc::new(certificate);
        let client = tls::client(Arc::clone(&roots), Arc::clone(&certificate))?;
        let server = tls::server(Arc::clone(&roots), Arc::clone(&certificate))?;
        let leaf = EndEntityCert::try_from(&certificate.cert[0]).map_err(IdentityError::Certificate)?;
        let (identity, role) = (Identity::of(&leaf), Role::named_by(&leaf));
        let (client, server) = (Arc::new(tls::quic_client(client)), Arc::new(tls::quic_server(server)));
        let watch = None;
        Ok(Self { roots, certificate, client, server, identity, role, swarm_id, reset_secret, watch })
    }

    /// These credentials, which came from there, when the files were as `stamp` says.
    #[must_use]
    pub fn watching(mut self, origin: Origin, stamp: Stamp) -> Self {
        self.watch = Some(Watch::new(origin, stamp));
        self
    }

    /// These credentials in the place of earlier ones: whoever can ask for a look at the files of those asks for one at these.
    #[must_use]
    pub fn heir_of(mut self, earlier: &Self) -> Self {
        if let (Some(watch), Some(before)) = (&self.watch, &earlier.watch) {
            self.watch = Some(watch.heir_of(before));
        }
        self
    }

    /// The files to look at for newer credentials, if these came from files.
    #[must_use]
    pub const fn watch(&self) -> Option<&Watch> {
        self.watch.as_ref()
    }

    /// The TLS half of a QUIC client.
    #[must_use]
    pub fn client_crypto(&self) -> Arc<QuicClientConfig> {
        Arc::clone(&self.client)
    }

    /// The TLS half of a QUIC server.
    #[must_use]
    pub fn server_crypto(&self) -> Arc<QuicServerConfig> {
        Arc::clone(&self.server)
    }

    /// Our own identity, as peers see it.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        self.identity
    }

    /// Our own role, as peers see it.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role.unwrap_or(Role::Peer)
    }

    /// The role that our certificate names, if it names one.
    #[must_use]
    pub const fn named_role(&self) -> Option<Role> {
        self.role
    }

    /// The public name of the swarm whose key or authority signed our certificate.
    #[must_use]
    pub const fn swarm_id(&self) -> SwarmId {
        self.swarm_id
    }

    /// A secret that is the same in every run with the same key material; for telling neighbours that an earlier run is over.
    pub(crate) fn reset_secret(&self) -> &[u8; 32] {
        &self.reset_secret
    }
}

fn reset_secret(key: &[u8]) -> Arc<Zeroizing<[u8; 32]>> {
    Arc::new(Zeroizing::new(blake3::derive_key("strew 2026 reset secret v1", key)))
}

#[cfg(test)]
impl Credentials {
    /// Credentials that nobody has checked, for tests of who refuses them.
    pub(crate) fn unchecked(root: &CertificateDer<'static>, leaf: CertificateDer<'static>, key: Vec<u8>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(root.clone()).unwrap();
        let swarm = SwarmId::of_roots(&roots);
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key);
        Self::new(roots, vec![leaf], key.into(), swarm).unwrap()
    }

    /// The TLS configuration of [`client_crypto`](Self::client_crypto), for tests that spoil something in it.
    pub(crate) fn client_tls(&self) -> rustls::ClientConfig {
        tls::client(Arc::clone(&self.roots), Arc::clone(&self.certificate)).unwrap()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { identity, swarm_id, roots, .. } = self;
        let role = self.role();
        write!(f, "Credentials({identity}, {role}, swarm {swarm_id}, {} roots)", roots.len())
    }
}
