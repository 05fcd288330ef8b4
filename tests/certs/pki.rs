//! An authority for tests, and nodes that take part with its certificates.
//!
//! Not here: what is tested.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use tempfile::TempDir;

use crate::common::Node;
use crate::common::node::{ANY_PORT, bare, list, program};

/// A day in seconds.
const DAY: i64 = 86_400;

/// A folder with an authority that `strew certs init` made.
pub(crate) struct Pki {
    folder: TempDir,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let pki = Self { folder: tempfile::tempdir().unwrap() };
        pki.certs(&["init"]);
        pki
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `strew certs` here; it must succeed.
    pub(crate) fn certs(&self, words: &[&str]) -> Output {
        let output = certs_in(self.folder.path(), words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// The folder of a node's new certificate.
    pub(crate) fn issue(&self, name: &str, role: &str) -> PathBuf {
        self.certs(&["issue", name, "--role", role, "--force"]);
        self.path(name)
    }

    /// The authority, to sign what strew would not.
    pub(crate) fn issuer(&self) -> Issuer<'static, KeyPair> {
        let [certificate, key] = ["ca.pem", "ca.key"].map(|name| fs::read_to_string(self.path(name)).unwrap());
        Issuer::from_ca_cert_pem(&certificate, KeyPair::from_pem(&key).unwrap()).unwrap()
    }

    /// The folder of a certificate that is a peer's and good, but for what `spoil` does to it.
    pub(crate) fn spoilt(&self, name: &str, spoil: impl FnOnce(&mut CertificateParams)) -> PathBuf {
        self.signed(name, &self.issuer(), spoil)
    }

    /// The same, signed by another issuer.
    pub(crate) fn signed(
        &self,
        name: &str,
        issuer: &Issuer<'static, KeyPair>,
        spoil: impl FnOnce(&mut CertificateParams),
    ) -> PathBuf {
        let mut params = peer_params();
        spoil(&mut params);
        let key = KeyPair::generate().unwrap();
        self.lay(name, &params.signed_by(&key, issuer).unwrap().pem(), &key.serialize_pem())
    }

    /// Writes a node's folder by hand.
    pub(crate) fn lay(&self, name: &str, certificate: &str, key: &str) -> PathBuf {
        let folder = self.path(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("cert.pem"), certificate).unwrap();
        fs::write(folder.join("key.pem"), key).unwrap();
        fs::set_permissions(folder.join("key.pem"), Permissions::from_mode(0o600)).unwrap();
        fs::copy(self.path("ca.pem"), folder.join("ca.pem")).unwrap();
        folder
    }
}

/// A peer's certificate as it should be.
pub(crate) fn peer_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "by hand");
    set_days(&mut params, -1, 1);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![SanType::DnsName("peer.strew.internal".try_into().unwrap())];
    params
}

/// Sets the days of a certificate, counted from now.
pub(crate) fn set_days(params: &mut CertificateParams, from: i64, to: i64) {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let at = |days| Duration::from_secs(u64::try_from(now + days * DAY).unwrap());
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + at(from);
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + at(to);
}

/// Runs `strew certs` in a folder.
pub(crate) fn certs_in(folder: &Path, words: &[&str]) -> Output {
    Command::new(program()).arg("certs").args(words).arg("--dir").arg(folder).output().unwrap()
}

/// The program with these certificates; prints events.
pub(crate) fn command(certificates: &Path) -> Command {
    let mut command = bare(&[program()]);
    command.env_remove("STREW_CERTS_DIR").env_remove("STREW_BUNDLE");
    command.arg("--certs-dir").arg(certificates).args(["--listen-addr", ANY_PORT]);
    command
}

/// Publishes `src`.
pub(crate) fn seed(certificates: &Path, src: &Path, words: &[&str]) -> Node {
    let mut command = command(certificates);
    command.arg("--src").arg(src).args(words);
    Node::start(command)
}

/// Pulls into `dst`.
pub(crate) fn pull(certificates: &Path, dst: &Path, peers: &[SocketAddr], words: &[&str]) -> Node {
    let mut command = command(certificates);
    command.arg("--dst").arg(dst).arg("--peer-list").arg(list(peers)).args(words);
    Node::start(command)
}
