//! The swarm keys that a node holds, and where they come from.
//!
//! A ring holds several keys so that a swarm can change its key without a standstill: add the new one behind the old on
//! every machine, then put it first, then drop the old. The first key mints our certificate, all of them are believed.
//! Keys come from a file, from standard input or from the environment, and never from the command line, which every
//! user of a machine can read.
//!
//! Invariant: a ring has 1 to [`KEYS_MAX`] different keys. A key file that strangers can read or have written gives
//! none.
//!
//! Not here: reading the environment, which the command line does once and passes in.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{ParseKeyError, SwarmKey};

/// The most keys of a ring: two are enough for a rotation, and each one adds a root to every check.
pub const KEYS_MAX: usize = 8;

/// One or several swarm keys; the first mints, all verify.
#[derive(Clone, Debug)]
pub struct KeyRing(Vec<SwarmKey>);

/// Where keys may be found, in order of precedence. A blank value counts as none, as container tools write unset
/// variables.
#[derive(Clone, Default)]
pub struct KeySources {
    /// `--key-file`; `-` is standard input.
    pub file_flag: Option<PathBuf>,
    /// The value of `STREW_KEY`: keys separated by commas or white space.
    pub env_value: Option<Zeroizing<String>>,
    /// The value of `STREW_KEY_FILE`; `-` is standard input.
    pub env_file: Option<PathBuf>,
}

impl KeySources {
    /// The file that the keys come from, if they come from one that can be read again.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        let given = |path: &&PathBuf| !path.as_os_str().is_empty();
        let value = self.env_value.as_ref().is_some_and(|value| !value.trim().is_empty());
        let from_env = self.env_file.as_ref().filter(|_| !value);
        let file = self.file_flag.as_ref().filter(given).or(from_env.filter(given));
        file.map(PathBuf::as_path).filter(|path| *path != Path::new("-"))
    }
}

impl fmt::Debug for KeySources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file_flag, env_value, env_file } = self;
        let env_value = env_value.as_ref().map(|_| "secret");
        write!(f, "KeySources({file_flag:?}, {env_value:?}, {env_file:?})")
    }
}

/// Why no keys could be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A key file that cannot be read.
    #[error("cannot read the key file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A key file that every user of the machine can read or change.
    #[error("the key file {path} has mode {mode:04o}, so other users can get at the key; run: chmod 600 {path}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key file that belongs to somebody else, who could put another key into it.
    #[error(
        "the key file {path} belongs to user {owner}, neither to us (user {us}) nor to root; run: chown {us} {path}"
    )]
    Owner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user that we run as.
        us: u32,
    },
    /// A source that is much longer than any list of keys.
    #[error("{origin} is longer than {KEY_TEXT_LEN_MAX} bytes; is it a key file?")]
    TooLong {
        /// The source.
        origin: String,
    },
    /// A source without a key.
    #[error("{origin} holds no key; make one with `strew key new`")]
    Empty {
        /// The source.
        origin: String,
    },
    /// Too many keys.
    #[error("{origin} holds more than {KEYS_MAX} keys; drop the old ones")]
    TooMany {
        /// The source.
        origin: String,
    },
    /// A key that cannot be read.
    #[error("key {number} of {origin} cannot be read")]
    Parse {
        /// The source.
        origin: String,
        /// Which key, counted from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: ParseKeyError,
    },
}

impl KeyRing {
    /// A ring of these keys, the first of which mints; `None` when there are none or too many. Repeated keys count
    /// once.
    #[must_use]
    pub fn new(keys: Vec<SwarmKey>) -> Option<Self> {
        let mut ring: Vec<SwarmKey> = Vec::new();
        for key in keys {
            if !ring.contains(&key) {
                ring.push(key);
            }
        }
        (1..=KEYS_MAX).contains(&ring.len()).then_some(Self(ring))
    }

    /// A ring of one key.
    #[must_use]
    pub fn single(key: SwarmKey) -> Self {
        Self(vec![key])
    }

    /// The keys of the first source that is given, or `None` when none is. `stdin` is only read where a source says
    /// `-`.
    ///
    /// # Errors
    /// [`KeyError`] when that source has no usable keys; a later source never stands in for a broken one.
    pub fn load(sources: &KeySources, stdin: &mut dyn Read) -> Result<Option<Self>, KeyError> {
        let given = |path: &&PathBuf| !path.as_os_str().is_empty();
        if let Some(path) = sources.file_flag.as_ref().filter(given) {
            return Self::read(path, stdin).map(Some);
        }
        if let Some(value) = sources.env_value.as_ref().filter(|value| !value.trim().is_empty()) {
            return Self::parse(value, "STREW_KEY").map(Some);
        }
        match sources.env_file.as_ref().filter(given) {
            Some(path) => Self::read(path, stdin).map(Some),
            None => Ok(None),
        }
    }

    /// The key that mints our certificate.
    #[must_use]
    pub fn first(&self) -> &SwarmKey {
        &self.0[0]
    }

    /// All keys, the minting one first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &SwarmKey> {
        self.0.iter()
    }

    pub(super) fn read(path: &Path, stdin: &mut dyn Read) -> Result<Self, KeyError> {
        if path == Path::new("-") {
            let unreadable = |source| KeyError::Read { path: "standard input".into(), source };
            let text = read_bounded(stdin, "standard input", unreadable)?;
            return Self::parse(&text, "standard input");
        }
        let unreadable = |source| KeyError::Read { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(unreadable)?;
        // Of the open file and not of its name, which could lead to another file by now.
        let metadata = file.metadata().map_err(unreadable)?;
        refuse_exposed(path, metadata.mode(), metadata.uid(), rustix::process::geteuid().as_raw())?;
        let origin = path.display().to_string();
        let text = read_bounded(&mut file, &origin, unreadable)?;
        Self::parse(&text, &origin)
    }

    /// Reads keys separated by commas or white space; `#` begins a comment that ends with its line.
    fn parse(text: &str, origin: &str) -> Result<Self, KeyError> {
        let origin = || origin.to_owned();
        let uncommented = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        let words = uncommented.flat_map(|line| line.split([',', ' ', '\t', '\r'])).filter(|word| !word.is_empty());
        let mut keys = Vec::new();
        for (index, word) in words.enumerate() {
            let key = word.parse();
            keys.push(key.map_err(|source| KeyError::Parse { origin: origin(), number: index + 1, source })?);
        }
        if keys.is_empty() {
            return Err(KeyError::Empty { origin: origin() });
        }
        Self::new(keys).ok_or_else(|| KeyError::TooMany { origin: origin() })
    }
}

fn read_bounded(
    source: &mut dyn Read,
    origin: &str,
    unreadable: impl Fn(io::Error) -> KeyError,
) -> Result<Zeroizing<String>, KeyError> {
    // The whole capacity at once: a buffer that grows would leave copies of the keys behind.
    let mut text = Zeroizing::new(String::with_capacity(KEY_TEXT_LEN_MAX + 1));
    source.take(KEY_TEXT_LEN_MAX as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() > KEY_TEXT_LEN_MAX {
        return Err(KeyError::TooLong { origin: origin.to_owned() });
    }
    Ok(text)
}

/// Refuses a file with a secret that others can read, or that somebody else could have written.
pub(super) fn refuse_exposed(path: &Path, mode: u32, owner: u32, us: u32) -> Result<(), KeyError> {
    const OTHERS: u32 = 0o007;
    const ROOT: u32 = 0;
    if mode & OTHERS != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode: mode & 0o7777 });
    }
    if owner != us && owner != ROOT {
        return Err(KeyError::Owner { path: path.to_owned(), owner, us });
    }
    Ok(())
}

/// Eight keys of 63 characters with a page of comments fit many times; `--key-file /dev/zero` ends here.
const KEY_TEXT_LEN_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn key(byte: u8) -> SwarmKey {
        SwarmKey::from_bytes([byte; 32])
    }

    fn text(byte: u8) -> String {
        key(byte).reveal_text().to_string()
    }

    fn keys(ring: &KeyRing) -> Vec<SwarmKey> {
        ring.iter().cloned().collect()
    }

    fn key_file(content: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    fn load_file(path: &Path) -> Result<Option<KeyRing>, KeyError> {
        let sources = KeySources { file_flag: Some(path.to_owned()), ..KeySources::default() };
        KeyRing::load(&sources, &mut io::empty())
    }

    #[test]
    fn a_key_file_holds_a_key_a_line_with_comments() {
        let content = format!("# rotation of May\n{}  # new\n\n{}\r\n", text(2), text(1));
        for mode in [0o600, 0o400, 0o640, 0o440] {
            let (_dir, path) = key_file(&content, mode);
            assert_eq!(keys(&load_file(&path).unwrap().unwrap()), [key(2), key(1)], "{mode:o}");
        }
    }

    #[test]
    fn a_key_file_that_others_can_get_at_is_refused_with_the_remedy() {
        for mode in [0o604, 0o644, 0o602, 0o601] {
            let (_dir, path) = key_file(&text(1), mode);
            let refusal = load_file(&path).unwrap_err();
            assert!(matches!(refusal, KeyError::Exposed { mode: found, .. } if found == mode), "{refusal:?}");
            assert!(refusal.to_string().contains(&format!("chmod 600 {}", path.display())));
        }
    }

    #[test]
    fn a_key_file_of_another_user_is_refused_unless_that_is_root() {
        let path = Path::new("key");
        assert!(refuse_exposed(path, 0o600, 1000, 1000).is_ok());
        assert!(refuse_exposed(path, 0o640, 0, 1000).is_ok());
        let refusal = refuse_exposed(path, 0o600, 1001, 1000).unwrap_err();
        assert!(matches!(refusal, KeyError::Owner { owner: 1001, us: 1000, .. }), "{refusal:?}");
    }

    #[test]
    fn the_flag_comes_before_the_environment_and_the_value_before_its_file() {
        let (_dir, path) = key_file(&text(1), 0o600);
        let (_dir, env_path) = key_file(&text(3), 0o600);
        let mut sources = KeySources {
            file_flag: Some(path),
            env_value: Some(Zeroizing::new(format!("{},{}", text(2), text(1)))),
            env_file: Some(env_path),
        };
        assert!(!format!("{sources:?}").contains("strew1-"));
        let load = |sources: &KeySources| KeyRing::load(sources, &mut io::empty()).unwrap().map(|ring| keys(&ring));
        assert_eq!(load(&sources), Some(vec![key(1)]));
        sources.file_flag = None;
        assert_eq!(load(&sources), Some(vec![key(2), key(1)]));
        sources.env_value = Some(Zeroizing::new(" \n".to_owned()));
        assert_eq!(load(&sources), Some(vec![key(3)]));
        sources.env_file = Some(PathBuf::new());
        assert_eq!(load(&sources), None);
    }

    #[test]
    fn a_dash_reads_standard_input() {
        let sources = KeySources { file_flag: Some("-".into()), ..KeySources::default() };
        let ring = KeyRing::load(&sources, &mut text(4).as_bytes()).unwrap().unwrap();
        assert_eq!(keys(&ring), [key(4)]);
    }

    #[test]
    fn a_broken_source_is_an_error_even_when_another_would_do() {
        let sources = KeySources {
            file_flag: Some("/nonexistent/key".into()),
            env_value: Some(Zeroizing::new(text(1))),
            env_file: None,
        };
        assert!(matches!(KeyRing::load(&sources, &mut io::empty()), Err(KeyError::Read { .. })));
    }

    #[test]
    fn a_mistyped_key_is_named_by_its_number_and_not_shown() {
        let mut second = text(2);
        second.pop();
        let (_dir, path) = key_file(&format!("{}\n{second}\n", text(1)), 0o600);
        let refusal = load_file(&path).unwrap_err();
        assert!(matches!(refusal, KeyError::Parse { number: 2, .. }), "{refusal:?}");
        assert!(!format!("{refusal:?} {refusal}").contains(&second));
    }

    #[test]
    fn a_ring_has_one_to_eight_different_keys() {
        assert!(KeyRing::new(vec![]).is_none());
        assert_eq!(KeyRing::new(vec![key(1), key(2), key(1)]).unwrap().iter().len(), 2);
        assert!(KeyRing::new((0..9).map(key).collect()).is_none());
        let (_dir, path) = key_file(&(0..9).map(text).collect::<Vec<_>>().join(","), 0o600);
        assert!(matches!(load_file(&path), Err(KeyError::TooMany { .. })));
    }

    #[test]
    fn a_source_without_keys_or_without_end_is_refused() {
        let (_dir, path) = key_file("# nothing yet\n", 0o600);
        assert!(matches!(load_file(&path), Err(KeyError::Empty { .. })));
        let sources = KeySources { file_flag: Some("-".into()), ..KeySources::default() };
        assert!(matches!(KeyRing::load(&sources, &mut io::repeat(b'a')), Err(KeyError::TooLong { .. })));
    }
}
