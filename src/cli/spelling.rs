//! The spelling of Go's flags, rewritten to the usual one before anything is parsed.
//!
//! Fleets that come from p2pcp write `-src DIR`, `-src=DIR` and `-verbose=true`. Rewriting words before the parser sees them
//! keeps every rule about flags in one place (`cli/args.rs`) instead of listing each name twice.
//!
//! Invariant: the value of a flag is never changed, whatever it looks like; nothing after `--` is; and words in the usual
//! spelling come out as they went in.
//!
//! Not here: what a flag means, and what Go accepts but we refuse: words that belong to no flag.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::builder::{PossibleValue, TypedValueParser};

/// The long flags that exist, as far as spelling is concerned.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// Names of flags that take the next word as their value.
    pub valued: Vec<String>,
    /// Names of flags that stand alone or carry `=true` or `=false`.
    pub switches: Vec<String>,
}

impl Flags {
    /// The flags of a command and of its subcommands.
    #[must_use]
    pub fn of(command: &clap::Command) -> Self {
        let mut flags = Self::default();
        flags.add(command);
        flags
    }

    fn add(&mut self, command: &clap::Command) {
        for arg in command.get_arguments() {
            let Some(name) = arg.get_long() else { continue };
            let takes_next = arg.get_action().takes_values() && !arg.is_require_equals_set();
            let names = if takes_next { &mut self.valued } else { &mut self.switches };
            names.push(name.to_owned());
        }
        for subcommand in command.get_subcommands() {
            self.add(subcommand);
        }
    }

    fn knows(&self, name: &[u8]) -> bool {
        self.takes_value(name) || self.switches.iter().any(|known| known.as_bytes() == name)
    }

    fn takes_value(&self, name: &[u8]) -> bool {
        self.valued.iter().any(|known| known.as_bytes() == name)
    }
}

/// Rewrites the words of a command line, without the program's name, to `--name value` or `--name=value`.
///
/// A value that begins with a dash and is no flag is joined to its flag with `=`, because only so can it be told from one.
#[must_use]
pub fn normalise(words: impl IntoIterator<Item = OsString>, flags: &Flags) -> Vec<OsString> {
    let mut words = words.into_iter().peekable();
    let mut out = Vec::new();
    while let Some(word) = words.next() {
        if word == "--" {
            out.push(word);
            out.extend(words);
            break;
        }
        let Some(flag) = Flag::read(&word) else {
            out.push(word);
            continue;
        };
        let mut text = b"--".to_vec();
        text.extend_from_slice(flag.name);
        if let Some(value) = flag.value {
            text.push(b'=');
            text.extend_from_slice(value);
        } else if flags.takes_value(flag.name) {
            let is_value = |next: &OsString| !Flag::read(next).is_some_and(|other| flags.knows(other.name));
            match words.next_if(is_value) {
                Some(next) if next.len() > 1 && next.as_bytes().starts_with(b"-") => {
                    text.push(b'=');
                    text.extend_from_slice(next.as_bytes());
                }
                Some(next) => {
                    out.push(OsString::from_vec(text));
                    out.push(next);
                    continue;
                }
                None => {}
            }
        }
        out.push(OsString::from_vec(text));
    }
    out
}

/// A word that is a long flag in either spelling.
struct Flag<'a> {
    name: &'a [u8],
    value: Option<&'a [u8]>,
}

impl<'a> Flag<'a> {
    /// `None` for everything else: values, `-`, `--`, and single letters such as `-h`, which keep their usual meaning.
    fn read(word: &'a OsStr) -> Option<Self> {
        let bytes = word.as_bytes();
        let text = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-"))?;
        let (name, value) = match text.iter().position(|&b| b == b'=') {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let single_letter = name.len() == 1 && !bytes.starts_with(b"--");
        let is_name = name.first().is_some_and(u8::is_ascii_alphabetic);
        (is_name && !single_letter).then_some(Self { name, value })
    }
}

/// `true` and `false` in every spelling of Go's flag package, which knows six of each.
#[derive(Clone)]
pub(super) struct GoBool;

impl TypedValueParser for GoBool {
    type Value = bool;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<bool, clap::Error> {
        match value.to_str().unwrap_or_default() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => {
                let flag = arg.and_then(clap::Arg::get_long).unwrap_or_default();
                let shown = value.display();
                let message = format!("--{flag} is true or false, not '{shown}'");
                Err(command.clone().error(clap::error::ErrorKind::InvalidValue, message))
            }
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(["true", "false"].map(PossibleValue::new).into_iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flags() -> Flags {
        Flags {
            valued: ["src", "dst", "peer-list", "key-file"].map(String::from).into(),
            switches: ["verbose", "exit-complete"].map(String::from).into(),
        }
    }

    /// The words of `line`, normalised and shown with `|` between them.
    fn spelt(line: &str) -> String {
        let out = normalise(line.split(' ').map(OsString::from), &flags());
        out.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn single_dashes_become_double_ones() {
        assert_eq!(spelt("-src /a -peer-list=b,c -exit-complete"), "--src|/a|--peer-list=b,c|--exit-complete");
        assert_eq!(spelt("-verbose=true -dst=/x"), "--verbose=true|--dst=/x");
    }

    #[test]
    fn the_usual_spelling_stays() {
        for line in ["--src|/a|--dst=/b|-h", "-V", "demo|/a", "key|new", "--src=|--unknown|x|-"] {
            assert_eq!(spelt(&line.replace('|', " ")), line);
        }
    }

    #[test]
    fn an_unknown_flag_stays_one_word_so_that_it_can_be_named() {
        assert_eq!(spelt("-compress-type zstd"), "--compress-type|zstd");
    }

    #[test]
    fn values_that_look_like_flags_are_kept() {
        assert_eq!(spelt("-src -odd"), "--src=-odd");
        assert_eq!(spelt("--src --odd=1"), "--src=--odd=1");
        assert_eq!(spelt("-src=-dst"), "--src=-dst");
        assert_eq!(spelt("-key-file - -src -5"), "--key-file|-|--src=-5");
    }

    #[test]
    fn a_forgotten_value_does_not_swallow_the_next_flag() {
        assert_eq!(spelt("-src -dst /x"), "--src|--dst|/x");
        assert_eq!(spelt("-src"), "--src");
    }

    #[test]
    fn nothing_changes_after_two_dashes() {
        assert_eq!(spelt("-src /a -- -dst x"), "--src|/a|--|-dst|x");
    }

    #[test]
    fn bytes_that_are_not_text_survive() {
        let odd = OsString::from_vec(b"-src=/\xff".to_vec());
        assert_eq!(normalise([odd], &flags()), [OsString::from_vec(b"--src=/\xff".to_vec())]);
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing_more(words in prop::collection::vec("-{0,2}(src|verbose|odd)?(=[-a]{0,2})?|[-a]{0,3}", 0..6)) {
            let once = normalise(words.into_iter().map(OsString::from), &flags());
            let twice = normalise(once.clone(), &flags());
            prop_assert_eq!(once, twice);
        }
    }
}
