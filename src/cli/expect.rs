//! `--expect`: pins, from words to values.
//!
//! A pin names what it pins, because an id and a root look alike and mean different moments: who is followed, and what may become final.
//!
//! Invariant: at most one of each kind; a second one would leave it open which of the two counts.
//!
//! Not here: what a pin does (`node`).

use std::str::FromStr;

use super::usage::UsageError;
use crate::node::Expect;

/// What the values of all `--expect` say together.
pub(super) fn parse(values: &[String]) -> Result<Expect, UsageError> {
    let mut expect = Expect::default();
    // Also separated by commas, as a variable has but one value.
    for value in values.iter().flat_map(|value| value.split(',')) {
        match value.trim().split_once(':') {
            Some(("id", hex)) => put(&mut expect.id, hex, value)?,
            Some(("root", hex)) => put(&mut expect.root, hex, value)?,
            _ => return Err(UsageError::Expect { value: value.to_owned() }),
        }
    }
    Ok(expect)
}

fn put<T: FromStr>(pin: &mut Option<T>, hex: &str, value: &str) -> Result<(), UsageError> {
    let parsed = hex.parse().map_err(|_| UsageError::Expect { value: value.to_owned() })?;
    match pin.replace(parsed) {
        None => Ok(()),
        Some(_) => Err(UsageError::ExpectTwice { value: value.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Expect, String> {
        parse(&values.iter().map(ToString::to_string).collect::<Vec<_>>()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_id_and_a_root_are_told_apart_by_their_names() {
        let (id, root) = ("ab".repeat(32), "cd".repeat(32));
        let expect = read(&[&format!("root:{root}"), &format!("id:{}", id.to_uppercase())]).unwrap();
        assert_eq!(expect, Expect { id: id.parse().ok(), root: root.parse().ok() });
        assert_eq!(read(&[&format!("id:{id},root:{root}")]), Ok(expect));
        assert!(expect.id.is_some() && expect.root.is_some());
        assert_eq!(read(&[]), Ok(Expect::default()));
    }

    #[test]
    fn a_malformed_pin_is_refused_with_the_form() {
        let hex = "ab".repeat(32);
        for value in
            ["", "id:", "id", &hex, &format!("b3:{hex}"), &format!("id:{hex}0"), &format!("root:{}", &hex[2..])]
        {
            let error = read(&[value]).unwrap_err();
            assert!(error.contains("--expect id:HEX") && error.contains("64 hexadecimal digits"), "{value:?}: {error}");
        }
    }

    #[test]
    fn two_pins_of_one_kind_are_refused() {
        let (one, other) = (format!("id:{}", "ab".repeat(32)), format!("id:{}", "cd".repeat(32)));
        assert!(read(&[&one, &other]).unwrap_err().contains("second"));
    }
}
