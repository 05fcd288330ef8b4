//! Just enough of Rust's lexis to tell code, comments and literals apart.
//!
//! A word list over raw text would take the `//` of an address in a string for a comment and a forbidden word in a comment for
//! code. So every character is sorted once, and each rule reads the layer that it is about. A full parser would say more, but
//! it would be a dependency of a test that must run in a moment.
//!
//! Invariant: the three layers have the same lines as the file, so a line number found in one is right in all.
//!
//! Not here: the rules.

/// A source file in three layers; in each, what belongs to another layer is spaces.
pub(crate) struct Source {
    /// Path from the project's root, with `/` between its components.
    pub(crate) path: String,
    /// The file as it is.
    pub(crate) raw: String,
    /// Code without comments and without literals' contents.
    pub(crate) code: String,
    /// Comments with their markers, documentation included.
    pub(crate) comments: String,
    /// String and character literals, quotes included.
    pub(crate) literals: String,
}

/// A word or a sign of code, with its line, counted from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    /// The text: an identifier, keyword or number, `::`, or one sign.
    pub(crate) text: &'a str,
    /// The line it stands on.
    pub(crate) line: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl Source {
    /// Sorts the characters of `raw` into layers.
    pub(crate) fn new(path: &str, raw: &str) -> Self {
        let chars: Vec<char> = raw.chars().collect();
        let kinds = sort(&chars);
        let layer = |kind: Kind| -> String {
            let keep = |(c, k): (&char, &Kind)| if *k == kind || *c == '\n' { *c } else { ' ' };
            chars.iter().zip(&kinds).map(keep).collect()
        };
        Self {
            path: path.to_owned(),
            raw: raw.to_owned(),
            code: layer(Kind::Code),
            comments: layer(Kind::Comment),
            literals: layer(Kind::Literal),
        }
    }

    /// The code as words and signs.
    pub(crate) fn tokens(&self) -> Vec<Token<'_>> {
        let mut tokens = Vec::new();
        for (index, line) in self.code.lines().enumerate() {
            let mut rest = line.trim_start();
            while let Some(first) = rest.chars().next() {
                let len = match first {
                    c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                    ':' if rest.starts_with("::") => 2,
                    c => c.len_utf8(),
                };
                tokens.push(Token { text: &rest[..len], line: index + 1 });
                rest = rest[len..].trim_start();
            }
        }
        tokens
    }
}

/// Whether `c` can stand in an identifier or a number.
pub(crate) fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn sort(chars: &[char]) -> Vec<Kind> {
    let mut kinds = vec![Kind::Code; chars.len()];
    let mut at = 0;
    while at < chars.len() {
        let (kind, end) = element(chars, at);
        kinds[at..end].fill(kind);
        at = end;
    }
    kinds
}

/// The kind of what starts at `at`, and where it ends.
fn element(chars: &[char], at: usize) -> (Kind, usize) {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => (Kind::Comment, find(chars, at, '\n')),
        '/' if next == Some('*') => (Kind::Comment, end_of_nested_comment(chars, at)),
        '"' => (Kind::Literal, end_of_quoted(chars, at, '"')),
        '\'' if next == Some('\\') || (next.is_some() && chars.get(at + 2) == Some(&'\'')) => {
            (Kind::Literal, end_of_quoted(chars, at, '\''))
        }
        c if is_word(c) => {
            let end = at + chars[at..].iter().take_while(|c| is_word(**c)).count();
            let is_raw_prefix = matches!(&chars[at..end], ['r'] | ['b' | 'c', 'r']);
            match is_raw_prefix.then(|| end_of_raw(chars, end)).flatten() {
                Some(end) => (Kind::Literal, end),
                None => (Kind::Code, end),
            }
        }
        _ => (Kind::Code, at + 1),
    }
}

fn find(chars: &[char], from: usize, wanted: char) -> usize {
    chars[from..].iter().position(|c| *c == wanted).map_or(chars.len(), |offset| from + offset)
}

fn end_of_nested_comment(chars: &[char], start: usize) -> usize {
    let mut depth = 1;
    let mut at = start + 2;
    while at < chars.len() && depth > 0 {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at.min(chars.len())
}

fn end_of_quoted(chars: &[char], start: usize, quote: char) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// The end of a raw string whose prefix ends at `start`, or `None` when it is a raw identifier after all.
fn end_of_raw(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars[start..].iter().take_while(|c| **c == '#').count();
    if chars.get(start + hashes) != Some(&'"') {
        return None;
    }
    let mut at = start + hashes + 1;
    while at < chars.len() {
        let tail = &chars[at + 1..];
        if chars[at] == '"' && tail.len() >= hashes && tail[..hashes].iter().all(|c| *c == '#') {
            return Some(at + 1 + hashes);
        }
        at += 1;
    }
    Some(chars.len())
}
