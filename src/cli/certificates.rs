//! With what a node proves itself: a swarm key or certificates from files, and never both.
//!
//! Two ways to say who belongs to whom would mean that nobody knows which one holds, so giving both is a mistake that is told and
//! not a preference that is guessed.
//!
//! Invariant: a membership names where its credentials come from, so that the node can look there again.
//!
//! Not here: what keys and certificates are (`identity`), making them (`key`, `certs`).

use std::io::Read;
use std::path::{Path, PathBuf};

use super::config::Config;
use super::environment::Environment;
use super::exit::ExitCode;
use super::key::{KeyUseError, OwnKeys};
use crate::identity::{CertificateFiles, Credentials, FilesError, IdentityError, KeySources, Origin};

/// The flags for certificates from files.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CertificateArgs {
    /// Take part with certificates from this directory and without a swarm key: tls.crt, tls.key and ca.crt as cert-manager
    /// writes them, or cert.pem, key.pem and ca.pem as `strew certs issue` does [default: $STREW_CERTS_DIR].
    #[arg(long, value_name = "DIR", help_heading = "Peers and keys")]
    pub certs_dir: Option<PathBuf>,
    /// The same from one PEM file with certificate, key and authority [default: $STREW_BUNDLE].
    #[arg(long, value_name = "FILE", help_heading = "Peers and keys", conflicts_with = "certs_dir")]
    pub bundle: Option<PathBuf>,
}

/// With what a node proves itself.
pub enum Membership {
    /// With the swarm key.
    Keys(OwnKeys),
    /// With certificates.
    Certificates(CertificateFiles),
}

/// Why a node cannot prove itself.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// Both ways are given.
    #[error(
        "{certificates} and {key} are both given; a node takes part with certificates or with a swarm key, leave one out"
    )]
    Both {
        /// Where the certificates were given.
        certificates: &'static str,
        /// Where the key was given.
        key: &'static str,
    },
    /// Two places of certificates in the environment.
    #[error("STREW_CERTS_DIR and STREW_BUNDLE are both set; leave one out")]
    Two,
    /// The swarm key cannot be had.
    #[error(transparent)]
    Key(#[from] KeyUseError),
    /// The certificates cannot be used.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The key makes no certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl MembershipError {
    /// How a run ends that failed so.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Files(error) if error.is_authentication() => ExitCode::Authentication,
            Self::Both { .. } | Self::Two | Self::Files(_) => ExitCode::Usage,
            Self::Key(error) => error.exit_code(),
            Self::Identity(_) => ExitCode::Internal,
        }
    }
}

impl Membership {
    /// What flags and environment say.
    ///
    /// # Errors
    /// [`MembershipError`] when they say too much, or nothing that can be used.
    pub fn find(
        args: &CertificateArgs,
        environment: &Environment,
        stdin: &mut dyn Read,
        config: &Config,
        terminal: bool,
    ) -> Result<Self, MembershipError> {
        let keys = environment.key_sources(config.key_file.clone());
        let Some((certificates, files)) = args.files(environment)? else {
            return Ok(Self::Keys(OwnKeys::find(&keys, stdin, config, terminal)?));
        };
        match named(&keys) {
            Some(key) => Err(MembershipError::Both { certificates, key }),
            None => Ok(Self::Certificates(files)),
        }
    }

    /// The credentials.
    ///
    /// # Errors
    /// [`MembershipError`] when the certificates cannot be used.
    pub fn credentials(&self) -> Result<Credentials, MembershipError> {
        match self {
            Self::Certificates(files) => Ok(files.load()?),
            Self::Keys(keys) => {
                let credentials = Credentials::from_keys(&keys.ring)?;
                Ok(match &keys.file {
                    Some((path, stamp)) => credentials.watching(Origin::Keys(path.clone()), stamp.clone()),
                    None => credentials,
                })
            }
        }
    }

    /// The swarm keys, if it is by them.
    #[must_use]
    pub const fn keys(&self) -> Option<&OwnKeys> {
        match self {
            Self::Keys(keys) => Some(keys),
            Self::Certificates(_) => None,
        }
    }
}

impl CertificateArgs {
    /// The files, and where they were named; flags come before the environment.
    fn files(&self, environment: &Environment) -> Result<Option<(&'static str, CertificateFiles)>, MembershipError> {
        let given = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
        let directory = |name, path| (name, CertificateFiles::Directory(path));
        let bundle = |name, path| (name, CertificateFiles::Bundle(path));
        let flag = given(&self.certs_dir).map(|path| directory("--certs-dir", path));
        if let Some(found) = flag.or_else(|| given(&self.bundle).map(|path| bundle("--bundle", path))) {
            return Ok(Some(found));
        }
        match (given(&environment.certs_dir), given(&environment.bundle)) {
            (Some(_), Some(_)) => Err(MembershipError::Two),
            (Some(path), None) => Ok(Some(directory("STREW_CERTS_DIR", path))),
            (None, Some(path)) => Ok(Some(bundle("STREW_BUNDLE", path))),
            (None, None) => Ok(None),
        }
    }
}

/// By which name a swarm key was given.
fn named(keys: &KeySources) -> Option<&'static str> {
    let given = |path: &Option<PathBuf>| path.as_deref().is_some_and(|path| path != Path::new(""));
    match keys {
        keys if given(&keys.file_flag) => Some("--key-file"),
        keys if keys.env_value.as_ref().is_some_and(|value| !value.trim().is_empty()) => Some("STREW_KEY"),
        keys if given(&keys.env_file) => Some("STREW_KEY_FILE"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use zeroize::Zeroizing;

    use super::super::Args;
    use super::*;

    fn find(line: &str, environment: &Environment) -> Result<Membership, MembershipError> {
        let args = Args::read(line.split(' ').map(Into::into)).unwrap().transfer;
        let config = Config::from_args(&args).unwrap();
        Membership::find(&args.certificates, environment, &mut io::empty(), &config, false)
    }

    fn files(line: &str, environment: &Environment) -> CertificateFiles {
        match find(line, environment) {
            Ok(Membership::Certificates(files)) => files,
            Ok(Membership::Keys(_)) => panic!("a swarm key: {line}"),
            Err(error) => panic!("{line}: {error}"),
        }
    }

    #[test]
    fn a_flag_comes_before_the_environment() {
        let environment = Environment { bundle: Some("b".into()), ..Environment::default() };
        assert_eq!(files("--dst /x", &environment), CertificateFiles::Bundle("b".into()));
        assert_eq!(files("--dst /x --certs-dir d", &environment), CertificateFiles::Directory("d".into()));
        assert_eq!(files("-dst /x -bundle f", &environment), CertificateFiles::Bundle("f".into()));
    }

    #[test]
    fn a_swarm_key_beside_certificates_is_refused_and_both_are_named() {
        let key = Environment { key: Some(Zeroizing::new("k".into())), ..Environment::default() };
        let file = Environment { key_file: Some("k".into()), certs_dir: Some("d".into()), ..Environment::default() };
        for (line, environment, certificates, key) in [
            ("--dst /x --certs-dir d", &key, "--certs-dir", "STREW_KEY"),
            ("--dst /x --bundle d", &key, "--bundle", "STREW_KEY"),
            ("--dst /x", &file, "STREW_CERTS_DIR", "STREW_KEY_FILE"),
            ("--dst /x --bundle b --key-file k", &Environment::default(), "--bundle", "--key-file"),
        ] {
            let refusal = find(line, environment).err().expect("both are given");
            assert_eq!(refusal.exit_code(), ExitCode::Usage);
            let text = refusal.to_string();
            assert!(text.starts_with(&format!("{certificates} and {key} are both given")), "{text}");
        }
    }

    #[test]
    fn an_empty_variable_counts_as_none() {
        let environment =
            Environment { key: Some(Zeroizing::new(" ".into())), bundle: Some("".into()), ..Environment::default() };
        assert_eq!(files("--dst /x --certs-dir d", &environment), CertificateFiles::Directory("d".into()));
        assert!(matches!(find("--dst /x", &environment), Err(MembershipError::Key(KeyUseError::None))));
    }
}
