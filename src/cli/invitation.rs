//! The command that makes another machine a peer of this one, ready to be pasted.
//!
//! A seeder knows all that the others need: the key or its file, an address and the port. Printing the whole line spares the
//! user the manual, and a wrong word in it.
//!
//! Invariant: the line can be pasted into a POSIX shell as it is, whatever bytes are in the names. It shows the key only when
//! that was made for this run and exists nowhere else.
//!
//! Not here: when and where it is printed (only people get it), and finding the address.

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::path::{Component, Path};

use zeroize::Zeroizing;

use crate::discovery::DEFAULT_PORT;
use crate::identity::SwarmKey;
use crate::manifest::{ContentId, DigestKind};

/// What the other machines need to know.
pub struct Invitation<'a> {
    /// The key, when it was made for this run; otherwise the others have it already.
    pub fresh_key: Option<&'a SwarmKey>,
    /// The key's file here, when it came from one (not standard input).
    pub key_file: Option<&'a Path>,
    /// What is published.
    pub source: &'a Path,
    /// What its content id is: the others follow this content and no other.
    pub content: ContentId,
    /// How its chunks are digested: a weak kind must be asked for on the other side too.
    pub digest: DigestKind,
    /// Where this machine can be reached; `None` when there is no network.
    pub address: Option<IpAddr>,
    /// The UDP port that it listens on.
    pub port: u16,
}

impl Invitation<'_> {
    /// The command line.
    #[must_use]
    pub fn command(&self) -> Zeroizing<String> {
        // Long enough for everything but an unusual name, so that growing leaves no copy of the key behind.
        let mut line = Zeroizing::new(String::with_capacity(4096));
        if let Some(key) = self.fresh_key {
            line.push_str("STREW_KEY=");
            line.push_str(&key.reveal_text());
            line.push(' ');
        }
        line.push_str("strew --dst ");
        line.push_str(&self.destination());
        if let (None, Some(file)) = (self.fresh_key, self.key_file) {
            line.push_str(" --key-file ");
            line.push_str(quoted(file.as_os_str()).as_deref().unwrap_or("FILE"));
        }
        line.push_str(&format!(" --expect id:{}", self.content));
        if self.digest != DigestKind::default() {
            line.push_str(&format!(" --digest {}", self.digest));
        }
        line.push_str(" --peer-list ");
        line.push_str(&self.peer());
        line
    }

    /// A directory like the source beside the shell's own.
    fn destination(&self) -> String {
        let name = match self.source.components().next_back() {
            Some(Component::Normal(name)) => quoted(Path::new(".").join(name).as_os_str()),
            _ => None,
        };
        name.unwrap_or_else(|| "./copy".to_owned())
    }

    fn peer(&self) -> String {
        match (self.address, self.port) {
            (None, DEFAULT_PORT) => "HOST".to_owned(),
            (None, port) => format!("HOST:{port}"),
            (Some(ip), DEFAULT_PORT) => ip.to_string(),
            (Some(ip), port) => SocketAddr::new(ip, port).to_string(),
        }
    }
}

/// A word of a POSIX shell's command line that means exactly this name; `None` for names that a terminal would not show as they
/// are (control characters, other encodings than UTF-8), because nobody could paste them.
fn quoted(name: &OsStr) -> Option<String> {
    const PLAIN: &[u8] = b"/._-+:@%,=";
    let text = name.to_str().filter(|text| !text.chars().any(char::is_control))?;
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || PLAIN.contains(&byte));
    Some(if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    fn invitation(source: &Path) -> Invitation<'_> {
        let address = Some("10.0.0.5".parse().unwrap());
        let (content, digest) = (ContentId([0xab; 32]), DigestKind::Blake3);
        Invitation { fresh_key: None, key_file: None, source, content, digest, address, port: DEFAULT_PORT }
    }

    #[test]
    fn the_command_names_what_the_others_need() {
        let source = Path::new("/data/models/");
        let pin = format!("--expect id:{}", "ab".repeat(32));
        assert_eq!(*invitation(source).command(), format!("strew --dst ./models {pin} --peer-list 10.0.0.5"));
        let with_file = Invitation { key_file: Some(Path::new("/etc/swarm.key")), port: 7, ..invitation(source) };
        assert_eq!(
            *with_file.command(),
            format!("strew --dst ./models --key-file /etc/swarm.key {pin} --peer-list 10.0.0.5:7")
        );
        let six = Invitation { address: Some("fd00::5".parse().unwrap()), port: 7, ..invitation(source) };
        assert_eq!(*six.command(), format!("strew --dst ./models {pin} --peer-list [fd00::5]:7"));
        let lonely = Invitation { address: None, ..invitation(Path::new("..")) };
        assert_eq!(*lonely.command(), format!("strew --dst ./copy {pin} --peer-list HOST"));
        let weak = Invitation { digest: DigestKind::Xxh3, ..invitation(source) };
        assert_eq!(*weak.command(), format!("strew --dst ./models {pin} --digest xxh3 --peer-list 10.0.0.5"));
    }

    #[test]
    fn a_fresh_key_is_carried_along() {
        let key = SwarmKey::generate().unwrap();
        let fresh = Invitation { fresh_key: Some(&key), ..invitation(Path::new("a")) };
        let expected = format!("STREW_KEY={} strew --dst ./a --expect ", key.reveal_text().as_str());
        assert!(fresh.command().starts_with(&expected));
    }

    #[test]
    fn the_shell_reads_back_what_was_quoted() {
        for name in ["a b", "it's", "$HOME", "\u{e9}", "*", "-x", "a;b"] {
            let line = invitation(Path::new(name)).destination();
            let shell = Command::new("sh").args(["-c", &format!("printf %s {line}")]).output().unwrap();
            assert_eq!(shell.stdout, format!("./{name}").into_bytes(), "{line}");
        }
    }

    #[test]
    fn a_name_that_cannot_be_pasted_is_not_printed() {
        for name in [&b"\xff"[..], b"a\x1b[2J", b"a\n"] {
            assert_eq!(invitation(Path::new(OsStr::from_bytes(name))).destination(), "./copy");
        }
    }
}
