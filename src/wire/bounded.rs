//! Lists and texts that cannot be longer than their type says.
//!
//! A bound that is checked where a message is used is forgotten once; one that is part of the type is checked by the decoder, and a
//! message that is too long to send cannot be made.
//!
//! Invariant: a [`List`] has at most `MAX` items; a [`Text`] has at most `MAX` bytes and no control characters, so it can be shown
//! without harm to a terminal or a log.
//!
//! Not here: the numbers (`limits`).

use std::fmt;
use std::ops::Deref;

/// More items or bytes than the message has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} do not fit, {most} are the most")]
pub struct TooLong {
    /// Items or bytes given.
    pub found: usize,
    /// Items or bytes that fit.
    pub most: usize,
}

/// At most `MAX` items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> List<T, MAX> {
    /// The list without items.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The items.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }

    /// As many lists as it takes to hold all items, none of them empty.
    pub fn split(items: impl IntoIterator<Item = T>) -> impl Iterator<Item = Self> {
        let mut items = items.into_iter();
        std::iter::from_fn(move || {
            let part: Vec<T> = items.by_ref().take(MAX).collect();
            (!part.is_empty()).then_some(Self(part))
        })
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const MAX: usize> TryFrom<Vec<T>> for List<T, MAX> {
    type Error = TooLong;

    fn try_from(items: Vec<T>) -> Result<Self, TooLong> {
        if items.len() > MAX {
            return Err(TooLong { found: items.len(), most: MAX });
        }
        Ok(Self(items))
    }
}

/// At most `MAX` bytes of text without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// The text as it is, or `None` when it is too long or holds a control character.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        let fits = text.len() <= MAX && !text.chars().any(char::is_control);
        fits.then_some(Self(text))
    }

    /// As much of the text as fits, with spaces for control characters: for sentences that are only read by people.
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        let end = text.floor_char_boundary(MAX);
        Self(text[..end].chars().map(|c| if c.is_control() && c.len_utf8() == 1 { ' ' } else { c }).collect())
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
