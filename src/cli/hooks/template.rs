//! Template: a hook's line, cut into a program and its arguments without a shell.
//!
//! Names of files come from other machines. As long as no shell sees them, no name can become a command; so the line is cut into words
//! first, and values are put into words afterwards. What a shell alone understands is refused, because a line that means something else
//! without one must not run at all.
//!
//! The rules, all of them: blanks separate words. Between single quotes everything is itself. Between double quotes `\` keeps the next
//! character as it is if that is `"` or `\`, and everything else is itself. Elsewhere `\` keeps the next character. `%{name}` is a value,
//! in quotes as well; `%%{` is a plain `%{`.
//!
//! Invariant: a value is part of exactly one argument, whatever bytes it has, and never of the program's name.
//!
//! Not here: lines for a shell (`shell`), finding the program (`program`).

use std::ffi::OsString;

use super::values::{Occasion, Value, Values};

/// A line that is no hook.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Nothing but blanks.
    #[error("is empty; give it a command")]
    Empty,
    /// A quote without its end.
    #[error("has a {0} that is not closed")]
    Unclosed(char),
    /// It ends with a backslash.
    #[error("ends with a backslash that has nothing to keep")]
    Backslash,
    /// It needs a shell.
    #[error(
        "has {0:?} outside single quotes, which only a shell understands; put it into single quotes, or add --exec-shell"
    )]
    Shell(char),
    /// No such value.
    #[error("has %{{{name}}}, which is none of its values; they are {known} (%%{{ is a plain %{{)")]
    Unknown {
        /// What it says.
        name: String,
        /// What it may say.
        known: String,
    },
    /// A value as the name of a program.
    #[error("begins with a value; the name of the program must be a plain word")]
    Program,
    /// A place in a shell line where a value cannot be put safely.
    #[error(
        "has a value and {0}, where it is not certain how a shell would read the value; write \"$STREW_FILE_PATH\" and its like in place of %{{file_path}}"
    )]
    Unsure(&'static str),
}

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The program's name or path.
    pub program: String,
    arguments: Vec<Vec<Part>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(Value),
}

impl Template {
    /// Cuts a line.
    ///
    /// # Errors
    /// [`LineError`] for a line that is none, or that means something else with a shell.
    pub fn parse(line: &str, occasion: Occasion) -> Result<Self, LineError> {
        let mut words = Cutter { occasion, words: Vec::new(), word: None }.cut(line.trim())?.into_iter();
        let program = words.next().ok_or(LineError::Empty)?;
        let program = match program.as_slice() {
            [Part::Text(text)] if !text.is_empty() => text.clone(),
            [] | [Part::Text(_)] => return Err(LineError::Empty),
            _ => return Err(LineError::Program),
        };
        Ok(Self { program, arguments: words.collect() })
    }

    /// The arguments with these values.
    #[must_use]
    pub fn fill(&self, values: &Values) -> Vec<OsString> {
        let fill = |word: &Vec<Part>| {
            let mut argument = OsString::new();
            for part in word {
                match part {
                    Part::Text(text) => argument.push(text),
                    Part::Value(wanted) => argument.push(values.bytes_of(*wanted)),
                }
            }
            argument
        };
        self.arguments.iter().map(fill).collect()
    }
}

/// The value that `rest`, which begins after `%{`, names, and what follows the brace.
pub(super) fn value_at(rest: &str, occasion: Occasion) -> Result<(Value, &str), LineError> {
    let (name, after) = rest.split_once('}').ok_or(LineError::Unclosed('{'))?;
    let value = occasion.values().iter().find(|value| value.name() == name);
    let unknown = || LineError::Unknown { name: name.to_owned(), known: occasion.names() };
    value.map(|value| (*value, after)).ok_or_else(unknown)
}

struct Cutter {
    occasion: Occasion,
    words: Vec<Vec<Part>>,
    /// The word that is being read; `None` between words.
    word: Option<Vec<Part>>,
}

impl Cutter {
    fn cut(mut self, line: &str) -> Result<Vec<Vec<Part>>, LineError> {
        let (mut rest, mut quote) = (line, None);
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("%%{") {
                self.text("%{");
                rest = after;
                continue;
            }
            if let Some(after) = rest.strip_prefix("%{") {
                let (value, after) = value_at(after, self.occasion)?;
                self.word().push(Part::Value(value));
                rest = after;
                continue;
            }
            rest = &rest[c.len_utf8()..];
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (Some('\''), c) => self.letter(c),
                (Some(_), '$' | '`') => return Err(LineError::Shell(c)),
                (Some(_), '\\') if rest.starts_with(['"', '\\']) => rest = self.keep(rest)?,
                (Some(_), c) => self.letter(c),
                (None, '\'' | '"') => {
                    self.word();
                    quote = Some(c);
                }
                (None, '\\') => rest = self.keep(rest)?,
                (None, ' ' | '\t') => self.words.extend(self.word.take()),
                (None, '#' | '~') if self.word.is_none() => return Err(LineError::Shell(c)),
                (None, c) if FOR_SHELLS.contains(&c) => return Err(LineError::Shell(c)),
                (None, c) => self.letter(c),
            }
        }
        match quote {
            Some(open) => Err(LineError::Unclosed(open)),
            None => {
                self.words.extend(self.word.take());
                Ok(self.words)
            }
        }
    }

    fn word(&mut self) -> &mut Vec<Part> {
        self.word.get_or_insert_default()
    }

    fn letter(&mut self, c: char) {
        self.text(c.encode_utf8(&mut [0; 4]));
    }

    fn text(&mut self, more: &str) {
        match self.word().last_mut() {
            Some(Part::Text(text)) => text.push_str(more),
            _ => self.word().push(Part::Text(more.to_owned())),
        }
    }

    /// Takes the next character as it is.
    fn keep<'a>(&mut self, rest: &'a str) -> Result<&'a str, LineError> {
        let c = rest.chars().next().ok_or(LineError::Backslash)?;
        self.letter(c);
        Ok(&rest[c.len_utf8()..])
    }
}

/// What has a meaning for a shell wherever it stands unquoted: joining, redirecting, expanding, and the end of a line.
const FOR_SHELLS: [char; 13] = ['|', '&', ';', '<', '>', '(', ')', '$', '`', '*', '?', '[', '\n'];

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn filled(line: &str, path: &[u8]) -> Vec<Vec<u8>> {
        let template = Template::parse(line, Occasion::File).unwrap_or_else(|e| panic!("{line:?} {e}"));
        let path = OsString::from_vec(path.to_vec());
        let values = Values::default().with(Value::FilePath, path).with(Value::FileSize, "7");
        let arguments = template.fill(&values).into_iter().map(OsString::into_vec);
        std::iter::once(template.program.into_bytes()).chain(arguments).collect()
    }

    fn refusal(line: &str) -> LineError {
        Template::parse(line, Occasion::File).expect_err(line)
    }

    #[test]
    fn blanks_separate_words_and_quotes_hold_them_together() {
        for (line, words) in [
            ("a b\tc  d ", &["a", "b", "c", "d"][..]),
            ("a 'b c' \"d e\"", &["a", "b c", "d e"]),
            ("a b' 'c\" \"d", &["a", "b c d"]),
            (r#"a '\n"$x' "\"\\\n'""#, &["a", r#"\n"$x"#, r#""\\n'"#]),
            (r"a\ b c\;d \'", &["a b", "c;d", "'"]),
            ("a '' \"\"", &["a", "", ""]),
            ("a b#c x~ {} d=e", &["a", "b#c", "x~", "{}", "d=e"]),
        ] {
            let words: Vec<_> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(filled(line, b""), words, "{line}");
        }
    }

    #[test]
    fn a_value_stays_within_its_argument_whatever_it_contains() {
        let name = b"/d/ a '\"$(rm -rf x);\n\xff%{file_size}\\";
        for (line, before, after) in [
            ("a %{file_path}", &b""[..], &b""[..]),
            ("a '%{file_path}'", b"", b""),
            ("a \"%{file_path}\"", b"", b""),
            ("a --in=%{file_path}:%{file_size}", b"--in=", b":7"),
            ("a '%%{x}'%{file_path}", b"%{x}", b""),
        ] {
            let argument = [before, name, after].concat();
            assert_eq!(filled(line, name), [b"a".to_vec(), argument], "{line}");
        }
    }

    #[test]
    fn what_only_a_shell_understands_is_refused_unless_it_is_quoted() {
        for c in FOR_SHELLS.into_iter().filter(|c| *c != '\n') {
            assert_eq!(refusal(&format!("a b{c}c")), LineError::Shell(c));
            assert_eq!(filled(&format!("a 'b{c}c'"), b"").len(), 2);
        }
        for line in ["a \"$HOME\"", "a \"`b`\"", "a ~/x", "a # why", "a\nb"] {
            assert!(matches!(refusal(line), LineError::Shell(_)), "{line}");
        }
    }

    #[test]
    fn a_line_that_is_no_command_says_why() {
        assert_eq!(refusal("  "), LineError::Empty);
        assert_eq!(refusal("'' a"), LineError::Empty);
        assert_eq!(refusal("a 'b"), LineError::Unclosed('\''));
        assert_eq!(refusal("a \"b'"), LineError::Unclosed('"'));
        assert_eq!(refusal("a %{file_path"), LineError::Unclosed('{'));
        assert_eq!(refusal("a \\"), LineError::Backslash);
        assert_eq!(refusal("%{file_path} a"), LineError::Program);
        assert_eq!(refusal("./%{file_path}"), LineError::Program);
        let unknown = refusal("a %{file_count}").to_string();
        assert!(unknown.contains("%{file_path} %{file_size}") && unknown.contains("%{file_count}"), "{unknown}");
    }
}
