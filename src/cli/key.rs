//! Swarm keys at the command line: making one, naming one, and finding the one to run with.
//!
//! `key new` prints the key alone on standard output, so that it can be redirected or piped into a secret store, and everything
//! that is meant for people on standard error.
//!
//! Invariant: an existing file is never overwritten (every machine of a swarm would be locked out by one slip), and a key is
//! only ever made when nobody has configured one and somebody is there to read it.
//!
//! Not here: what a key is and where it may be found (`identity`).

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::args::KeyNewArgs;
use super::config::Config;
use super::exit::ExitCode;
use super::file;
use super::screen::Screen;
use crate::identity::{IdentityError, KeyError, KeyRing, KeySources, Origin, Stamp, SwarmId, SwarmKey};

/// A key that could not be made, written or found.
#[derive(Debug, thiserror::Error)]
pub enum KeyUseError {
    /// No key is configured, and none may be made.
    #[error(
        "no swarm key is configured; give --key-file FILE, or set STREW_KEY_FILE or STREW_KEY \
         (`strew key new --out swarm.key` makes one; all machines of a swarm need the same)"
    )]
    None,
    /// A configured key cannot be used.
    #[error(transparent)]
    Unusable(#[from] KeyError),
    /// The system gave no key.
    #[error(transparent)]
    Made(#[from] IdentityError),
    /// The file for a new key exists.
    #[error(
        "{path} exists already, and a key is never overwritten; choose another name, or remove it if no machine uses it"
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file for a new key cannot be written.
    #[error("cannot write the new key to {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Standard output does not take it.
    #[error("cannot write to standard output")]
    Print(#[source] io::Error),
}

impl KeyUseError {
    /// How a run ends that failed so.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::None | Self::Unusable(_) | Self::Exists { .. } => ExitCode::Usage,
            Self::Made(_) => ExitCode::Internal,
            Self::Write { .. } | Self::Print(_) => ExitCode::LocalIo,
        }
    }
}

/// The keys to run with.
pub struct OwnKeys {
    /// The keys.
    pub ring: KeyRing,
    /// Whether the key was made for this run, so that nobody else has it yet.
    pub fresh: bool,
    /// The file that they are from and what it was then, if it can be read again.
    pub file: Option<(PathBuf, Stamp)>,
}

impl OwnKeys {
    /// The configured keys, or a fresh one where that helps.
    ///
    /// A publisher without a key makes one when somebody at a terminal can carry it to the other machines. So does a local copy that
    /// leaves when it is done, because it needs no other machine. Everybody else would wait for peers that cannot exist.
    ///
    /// # Errors
    /// [`KeyUseError`] when no key is configured or the configured one cannot be used.
    pub fn find(
        sources: &KeySources,
        stdin: &mut dyn Read,
        config: &Config,
        terminal: bool,
    ) -> Result<Self, KeyUseError> {
        // Before it is read, so that no change is missed.
        let file = sources.file().map(|path| (path.to_owned(), Origin::Keys(path.to_owned()).stamp()));
        if let Some(ring) = KeyRing::load(sources, stdin)? {
            return Ok(Self { ring, fresh: false, file });
        }
        if config.needs_nobody() || (terminal && config.source().is_some()) {
            return Ok(Self { ring: KeyRing::single(SwarmKey::generate()?), fresh: true, file: None });
        }
        Err(KeyUseError::None)
    }
}

/// `strew key new`.
pub(super) fn new(args: &KeyNewArgs, out: &mut dyn Write, screen: &Screen) -> Result<(), KeyUseError> {
    let key = SwarmKey::generate()?;
    let id = SwarmId::of_key(&key)?;
    let text = key.reveal_text();
    match &args.out {
        Some(path) => {
            write_new(path, &Zeroizing::new(format!("# strew key of swarm {id}\n{}\n", text.as_str())))?;
            screen.say(&format!(
                "wrote the key of swarm {id} to {0}; copy it to every machine of the swarm and run strew there with \
                 --key-file {0}",
                path.display()
            ));
        }
        None => {
            screen.say(&format!("{HEADER}\n# Swarm {id}"));
            let line = Zeroizing::new(format!("{}\n", text.as_str()));
            out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(KeyUseError::Print)?;
        }
    }
    Ok(())
}

/// `strew key id`.
pub(super) fn id(sources: &KeySources, stdin: &mut dyn Read, out: &mut dyn Write) -> Result<(), KeyUseError> {
    let ring = KeyRing::load(sources, stdin)?.ok_or(KeyUseError::None)?;
    for key in ring.iter() {
        let id = SwarmId::of_key(key)?;
        writeln!(out, "{id}").map_err(KeyUseError::Print)?;
    }
    out.flush().map_err(KeyUseError::Print)
}

/// Writes a file that only its owner can read, durably, or leaves none.
fn write_new(path: &Path, text: &str) -> Result<(), KeyUseError> {
    file::write(path, text.as_bytes(), file::SECRET, false).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyUseError::Exists { path: path.to_owned() },
        _ => KeyUseError::Write { path: path.to_owned(), source },
    })
}

const HEADER: &str = "\
# A new swarm key. Whoever has it can join the swarm, read what it replicates and publish to it.
# Keep it in a file that only you can read (--key-file FILE, or STREW_KEY_FILE), or in the variable STREW_KEY.";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::Args;
    use super::*;

    fn config(line: &str) -> Config {
        Config::from_args(&Args::read(line.split(' ').map(Into::into)).unwrap().transfer).unwrap()
    }

    fn find(sources: &KeySources, line: &str, terminal: bool) -> Result<bool, KeyUseError> {
        OwnKeys::find(sources, &mut io::empty(), &config(line), terminal).map(|keys| keys.fresh)
    }

    #[test]
    fn a_key_is_made_only_where_somebody_reads_it_or_nobody_needs_it() {
        for (line, terminal, fresh) in [
            ("--src /a", true, true),
            ("--src /a", false, false),
            ("--dst /b --peer-list x", true, false),
            ("--src /a --dst /b", false, false),
            ("--src /a --dst /b --exit-complete", false, true),
            ("--src /a --dst /b --exit-complete --peer-list x", false, false),
        ] {
            let found = find(&KeySources::default(), line, terminal);
            assert_eq!(found.is_ok_and(|is_fresh| is_fresh), fresh, "{line} {terminal}");
        }
    }

    #[test]
    fn a_configured_key_is_never_replaced_by_a_fresh_one() {
        let key = SwarmKey::generate().unwrap().reveal_text();
        let good = KeySources { env_value: Some(key), ..KeySources::default() };
        assert!(!find(&good, "--src /a", true).unwrap());
        let bad = KeySources { env_value: Some(Zeroizing::new("strew1-oops".into())), ..KeySources::default() };
        assert!(matches!(find(&bad, "--src /a", true), Err(KeyUseError::Unusable(_))));
    }

    #[test]
    fn a_new_key_file_is_private_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("swarm.key");
        let args = KeyNewArgs { out: Some(path.clone()) };
        let screen = Screen::new(Box::new(io::sink()), None);
        new(&args, &mut io::empty(), &screen).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let before = std::fs::read(&path).unwrap();
        let refusal = new(&args, &mut io::empty(), &screen).unwrap_err();
        assert!(matches!(refusal, KeyUseError::Exists { .. }), "{refusal}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn the_id_belongs_to_the_key_that_was_made() {
        let screen = super::super::screen::tests::Paper::default();
        let mut made = Vec::new();
        new(&KeyNewArgs { out: None }, &mut made, &screen.screen(None)).unwrap();
        let text = Zeroizing::new(String::from_utf8(made).unwrap());
        assert!(!screen.text().contains(text.trim()), "the key is shown twice");
        let mut shown = Vec::new();
        let sources = KeySources { env_value: Some(text), ..KeySources::default() };
        id(&sources, &mut io::empty(), &mut shown).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert!(screen.text().ends_with(&format!("# Swarm {shown}")), "{shown}");
    }
}
