//! The environment variables that are more than flags in another spelling, read once.
//!
//! Every flag of a transfer has a variable, and `settings` knows their rule. These here have rules of their own: the swarm key, which must
//! never stand on a command line (and, as an image wants it, where the certificates are that take its place), the zone, which differs
//! between the pods of one template, what a registry asks for, and the log's level, which one wants to turn up without changing a
//! deployment's arguments. One more variable is for the processes of a demonstration.
//!
//! Invariant: nobody else in strew looks at the environment, and the key is wiped from our memory when it is not needed any more
//! (the process's environment itself stays readable to its owner).
//!
//! Not here: conventions that other crates and terminals follow by themselves (`NO_COLOR`, `TERM`).

use std::ffi::OsString;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::demo::leash;
use super::usage::UsageError;
use crate::identity::KeySources;

/// What the environment says.
#[derive(Clone, Default)]
pub struct Environment {
    /// `STREW_KEY`: swarm keys themselves.
    pub key: Option<Zeroizing<String>>,
    /// `STREW_KEY_FILE`: the file with the swarm keys.
    pub key_file: Option<PathBuf>,
    /// `STREW_CERTS_DIR`: the directory with certificates.
    pub certs_dir: Option<PathBuf>,
    /// `STREW_BUNDLE`: the file with certificates.
    pub bundle: Option<PathBuf>,
    /// `STREW_ZONE`: the label of the place that this machine is in.
    pub zone: Option<String>,
    /// `STREW_REGISTRY_TOKEN`: what a registry asks for.
    pub registry_token: Option<Zeroizing<String>>,
    /// `SSL_CERT_FILE`: a PEM file with authorities for HTTPS, a convention of many programs and images.
    pub ssl_cert_file: Option<PathBuf>,
    /// `STREW_LOG`: the log's filter.
    pub log: Option<String>,
    /// `STREW_DEMO`: the process id of the demonstration that this process belongs to.
    pub demo: Option<u32>,
}

impl Environment {
    /// Reads the variables of this process.
    ///
    /// # Errors
    /// [`UsageError::NotText`] for a key or a filter that is not UTF-8.
    pub fn read() -> Result<Self, UsageError> {
        let text = |name| std::env::var_os(name).map(|value| as_text(name, value)).transpose();
        Ok(Self {
            key: text("STREW_KEY")?.map(Zeroizing::new),
            key_file: std::env::var_os("STREW_KEY_FILE").map(PathBuf::from),
            certs_dir: std::env::var_os("STREW_CERTS_DIR").map(PathBuf::from),
            bundle: std::env::var_os("STREW_BUNDLE").map(PathBuf::from),
            zone: text("STREW_ZONE")?,
            registry_token: text("STREW_REGISTRY_TOKEN")?.map(Zeroizing::new),
            ssl_cert_file: std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from),
            log: text("STREW_LOG")?,
            demo: std::env::var(leash::PARENT).ok().and_then(|id| id.parse().ok()),
        })
    }

    /// Where keys may be found, `--key-file` included.
    #[must_use]
    pub fn key_sources(&self, file_flag: Option<PathBuf>) -> KeySources {
        KeySources { file_flag, env_value: self.key.clone(), env_file: self.key_file.clone() }
    }
}

/// A variable that stands for a flag.
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// The names of all variables that are strew's: none of them is anybody else's business, the key least of all.
pub(super) fn ours() -> impl Iterator<Item = OsString> {
    std::env::vars_os().map(|(name, _)| name).filter(|name| name.as_encoded_bytes().starts_with(b"STREW_"))
}

fn as_text(name: &'static str, value: OsString) -> Result<String, UsageError> {
    // The value is not shown: it may be a key with one wrong byte.
    value.into_string().map_err(|_| UsageError::NotText { name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn a_value_that_is_not_text_is_refused_without_showing_it() {
        let error = as_text("STREW_KEY", OsString::from_vec(b"strew1-a\xff".to_vec())).unwrap_err().to_string();
        assert!(error.contains("STREW_KEY") && !error.contains("strew1-a"), "{error}");
    }
}
