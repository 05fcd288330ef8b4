//! The events and their documentation, held together.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::Value;

use super::*;

const DOCUMENT: &str = include_str!("../../../docs/events.md");

/// Every example of the document, with the heading that it stands under.
fn examples() -> Vec<(&'static str, &'static str)> {
    let mut heading = "";
    let mut examples = Vec::new();
    for line in DOCUMENT.lines() {
        if let Some(kind) = line.strip_prefix("## `") {
            heading = kind.trim_end_matches('`');
        } else if line.starts_with('{') {
            examples.push((heading, line));
        }
    }
    examples
}

/// The fields that the tables of the document name, by heading.
fn documented() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut heading = "";
    let mut fields: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for line in DOCUMENT.lines() {
        if let Some(kind) = line.strip_prefix("## `") {
            heading = kind.trim_end_matches('`');
        } else if let Some((name, _)) = line.strip_prefix("| `").and_then(|rest| rest.split_once('`')) {
            fields.entry(heading).or_default().insert(name);
        }
    }
    fields
}

/// The fields of an event, without its frame; those of the objects of a list as `list[].field`.
fn fields(line: &Value) -> BTreeSet<String> {
    let object = line.as_object().unwrap();
    let mut names = BTreeSet::new();
    for (name, value) in object.iter().filter(|(name, _)| !["v", "ts", "event"].contains(&name.as_str())) {
        names.insert(name.clone());
        if let Some(first) = value.as_array().and_then(|list| list.first()).and_then(Value::as_object) {
            names.extend(first.keys().map(|inner| format!("{name}[].{inner}")));
        }
    }
    names
}

#[test]
fn every_documented_example_is_an_event_and_nothing_of_it_is_lost() {
    let kinds: BTreeSet<&str> = examples().iter().map(|(heading, _)| *heading).collect();
    assert_eq!(kinds.len(), 12, "a kind of event has no example: {kinds:?}");
    for (heading, text) in examples() {
        let line: Line = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e} in {text}"));
        let written = serde_json::to_value(&line).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(written["event"], heading);
        assert_eq!(line.v, SCHEMA);
    }
}

#[test]
fn the_document_names_exactly_the_fields_that_exist() {
    let mut shown: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (heading, text) in examples() {
        shown.entry(heading).or_default().extend(fields(&serde_json::from_str(text).unwrap()));
    }
    for (heading, names) in documented() {
        let names: BTreeSet<String> = names.into_iter().map(String::from).collect();
        assert_eq!(Some(&names), shown.get(heading), "the table and the examples of {heading} differ");
    }
    assert_eq!(documented().len(), shown.len());
}

#[test]
fn a_path_that_is_not_utf8_is_told_without_loss() {
    let told = EventPath::from(Path::new(OsStr::from_bytes(b"/a\n\xff/\xe2\x82\xac")));
    assert_eq!(told.path, "/a\n\\xff/€");
    assert_eq!(told.hex.as_deref(), Some("2f610aff2fe282ac"));
    let plain = EventPath::from(Path::new("/a\\xff \"b\"\n"));
    assert_eq!((plain.path.as_str(), plain.hex), ("/a\\xff \"b\"\n", None));
}

#[test]
fn an_event_is_one_line() {
    let mut out = Vec::new();
    let event = Event::Warning(Warning { message: "two\nlines".into(), path: Some(Path::new("a\nb").into()) });
    EventWriter::new(&mut out).write(7, &event);
    assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 1);
    let line: Line = serde_json::from_slice(&out).unwrap();
    assert_eq!((line.ts, line.event), (7, event));
}

#[test]
fn a_reader_that_went_away_is_left_alone() {
    struct Broken(u32);
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.0 += 1;
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut broken = Broken(0);
    let mut writer = EventWriter::new(&mut broken);
    let event = Event::Warning(Warning { message: String::new(), path: None });
    writer.write(0, &event);
    writer.write(1, &event);
    assert_eq!(broken.0, 1, "it wrote again after the pipe was closed");
}
