//! Who we are and whom we believe: swarm key, certificates, TLS configurations, endorsements.
//!
//! A node proves itself by a certificate in both directions of every connection; the swarm key is only a convenient way
//! to own a certificate authority without ever seeing one. Everything after [`Credentials`] knows certificates alone,
//! so certificates made elsewhere can take the key's place without a second path through the code.
//!
//! Invariant: a connection that exists was authenticated by a full handshake. There is no plaintext mode, no
//! resumption, no 0-RTT and no ticket, because each of them would skip the certificate checks.
//!
//! Not here: sockets (`net` binds them), which peers to trust with what (`node` asks for the [`Role`]), and the meaning
//! of a signed payload (`manifest` writes it, with its own domain prefix).

mod authority;
mod certificate;
mod credentials;
mod describe;
mod endorsement;
mod fault;
mod files;
mod issue;
mod key;
mod refusal;
mod ring;
mod tls;
mod verifier;
mod watch;

pub use authority::SwarmId;
pub use certificate::{Identity, Role, identity_of, valid_until};
pub use credentials::Credentials;
pub use describe::{DescribeError, Description, describe};
pub use endorsement::{CHAIN_CERTIFICATE_LEN_MAX, CHAIN_LEN_MAX, EndorsementError, Endorser, Signed};
pub use fault::CertificateFault;
pub use files::{CertificateFiles, FilesError, read_file, read_key_file};
pub use issue::{FileAuthority, IssueError, KeyKind, Pair, Wish, make_authority, request};
pub use key::{ParseKeyError, SwarmKey};
pub use refusal::{AuthenticationFault, Failure};
pub use ring::{KEYS_MAX, KeyError, KeyRing, KeySources};
pub use tls::ALPN;
pub use watch::{Origin, RenewalError, Stamp, Watch};

/// The name that every certificate of a swarm key carries and that every dialling node asks for; nobody checks it.
///
/// One fixed name instead of host names or addresses: machines move, and whoever holds a certificate of the swarm is a
/// peer wherever it runs. The `.internal` domain is reserved for private use, so nobody can own the name in public DNS.
pub const NODE_NAME: &str = "node.strew.internal";

/// Why no credentials could be made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The system gave no random numbers.
    #[error("cannot get random numbers from the system")]
    Random,
    /// A key could not be derived or made.
    #[error("cannot make the {what} key")]
    Key {
        /// Whose key.
        what: &'static str,
    },
    /// A certificate could not be written.
    #[error("cannot make the {what} certificate")]
    Mint {
        /// Whose certificate.
        what: &'static str,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// The certificate and the roots do not make a TLS configuration.
    #[error("cannot build the TLS configuration from this certificate and these roots")]
    Tls(#[source] rustls::Error),
    /// A certificate cannot be read.
    #[error("cannot read our own certificate")]
    Certificate(#[source] webpki::Error),
    /// There is nothing to sign, or it could be mistaken for a TLS handshake.
    #[error("refusing to sign a payload that is empty or looks like a TLS handshake")]
    Unsignable,
    /// The key signs with no scheme that we know how to verify.
    #[error("the certificate's key cannot sign with any scheme that peers verify")]
    Scheme,
}
