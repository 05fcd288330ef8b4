//! Names of entries: bytes, made into a [`RelPath`] once, at the door.
//!
//! A name comes from a disk or from a stranger. Both are bytes (Linux knows no other names), and both must stay beneath the
//! destination. So the type can only hold a path that does: every component is a plain name, none is `.`, `..` or empty.
//!
//! Invariant: joining a `RelPath` to a directory names something beneath it, as far as text can tell. What symlinks on the disk
//! do to it is the store's business (`openat2`).
//!
//! Not here: escaping for terminals and JSON (`cli`).

use std::fmt;

/// The longest path in bytes: Linux's `PATH_MAX` less its final zero.
pub const PATH_LEN_MAX: usize = 4095;
/// The longest component in bytes: `NAME_MAX` of Linux's file systems.
pub const COMPONENT_LEN_MAX: usize = 255;
/// The most components: deep enough for any real tree, and a bound for whoever walks it.
pub const DEPTH_MAX: usize = 100;
/// The folder in a destination where strew keeps its own files; never part of a content.
pub const STATE_DIR: &str = ".strew";

/// A path relative to the content's root: plain components joined by `/`, never empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Box<[u8]>);

/// A name that cannot be part of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No bytes at all.
    #[error("name is empty")]
    Empty,
    /// An absolute path, an empty component, `.` or `..`.
    #[error("name has a component that is empty, '.' or '..'")]
    Component,
    /// A zero byte.
    #[error("name holds a zero byte")]
    Nul,
    /// A component, the whole, or the nesting is too long.
    #[error("name is longer or deeper than a file system allows")]
    TooLong,
    /// The first component is [`STATE_DIR`].
    #[error("name lies in .strew, which is strew's own")]
    Reserved,
}

impl RelPath {
    /// Makes a path of these bytes.
    ///
    /// # Errors
    /// [`PathError`] when the bytes name anything but a plain path beneath a root, or strew's own folder.
    pub fn parse(bytes: &[u8]) -> Result<Self, PathError> {
        if bytes.is_empty() {
            return Err(PathError::Empty);
        }
        if bytes.contains(&0) {
            return Err(PathError::Nul);
        }
        if bytes.len() > PATH_LEN_MAX {
            return Err(PathError::TooLong);
        }
        let mut depth = 0;
        for component in bytes.split(|b| *b == b'/') {
            depth += 1;
            match component {
                b"" | b"." | b".." => return Err(PathError::Component),
                long if long.len() > COMPONENT_LEN_MAX => return Err(PathError::TooLong),
                own if depth == 1 && own == STATE_DIR.as_bytes() => return Err(PathError::Reserved),
                _ => {}
            }
        }
        if depth > DEPTH_MAX {
            return Err(PathError::TooLong);
        }
        Ok(Self(bytes.into()))
    }

    /// The path as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The components, outermost first; there is at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/')
    }

    /// The path of the folder that holds this entry, `None` at the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let cut = self.0.iter().rposition(|b| *b == b'/')?;
        Some(Self(self.0[..cut].into()))
    }

    /// The last component.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        let start = self.0.iter().rposition(|b| *b == b'/').map_or(0, |cut| cut + 1);
        &self.0[start..]
    }

    /// Whether this entry lies beneath `folder`.
    #[must_use]
    pub fn is_beneath(&self, folder: &Self) -> bool {
        self.0.len() > folder.0.len() && self.0.starts_with(&folder.0) && self.0[folder.0.len()] == b'/'
    }
}

/// Escaped, so that a name can neither break a line nor move a cursor.
impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.utf8_chunks() {
            for c in part.valid().chars() {
                if c.is_control() || is_invisible_direction(c) {
                    write!(f, "{}", c.escape_unicode())?;
                } else {
                    write!(f, "{c}")?;
                }
            }
            for byte in part.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Unicode's direction marks and overrides, which make a name look like another one.
const fn is_invisible_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_names_that_leave_the_root_or_are_no_names() {
        for (bytes, error) in [
            (&b""[..], PathError::Empty),
            (b"..", PathError::Component),
            (b"a/../../b", PathError::Component),
            (b"/x", PathError::Component),
            (b"//x", PathError::Component),
            (b"./x", PathError::Component),
            (b"a//b", PathError::Component),
            (b"a/", PathError::Component),
            (b"a\0b", PathError::Nul),
            (b".strew/journal", PathError::Reserved),
            (&[b'x'; 256], PathError::TooLong),
            (&b"x/".repeat(2100)[..4199], PathError::TooLong),
            (&b"x/".repeat(101)[..201], PathError::TooLong),
        ] {
            assert_eq!(RelPath::parse(bytes), Err(error), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn odd_names_of_real_trees_are_kept_as_they_are() {
        for bytes in [&b"a b"[..], b"new\nline", b"\xff\xfe", b"C:\\x", b"...", b"-rf", b"sub/.strew", &[b'x'; 255]] {
            assert_eq!(RelPath::parse(bytes).unwrap().as_bytes(), bytes);
        }
    }

    #[test]
    fn shown_names_cannot_move_a_cursor() {
        let path = RelPath::parse(b"a\x1b[2J\n\xff\xe2\x80\xae").unwrap();
        assert_eq!(path.to_string(), "a\\u{1b}[2J\\u{a}\\xff\\u{202e}");
    }

    proptest! {
        #[test]
        fn an_accepted_path_stays_beneath_its_root(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(path) = RelPath::parse(&bytes) {
                prop_assert!(path.components().all(|c| !c.is_empty() && c != b"." && c != b".."));
                prop_assert_eq!(RelPath::parse(path.as_bytes()).unwrap(), path.clone());
                if let Some(parent) = path.parent() {
                    prop_assert!(path.is_beneath(&parent));
                }
            }
        }
    }
}
