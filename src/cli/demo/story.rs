//! Story: what a demonstration says before and after the transfer, in lines that fit the terminal.
//!
//! A sentence that the terminal breaks in the middle of a word looks like an accident, so the lines are broken here, between words.
//!
//! Invariant: no line is wider than asked, unless a single word is (a path, which stays whole so that it can be copied).
//!
//! Not here: figures (`table`) and what changes while it runs (`board`).

use std::path::Path;
use std::time::Duration;

use super::data::Data;
use super::error::shown;
use super::scratch::Need;
use crate::cli::statistics::elapsed;
use crate::units::Bytes;

/// What will happen, where, and with how much.
pub(super) fn introduction(data: &Data, scratch: &Path, need: Need, width: usize) -> String {
    let tree = &data.tree;
    let skipped = match tree.skipped {
        0 => String::new(),
        count => format!(" ({count} left out: special files, or links that lead outside)"),
    };
    let size = format!("{}, {}{skipped}", files(tree.files), together(Bytes(tree.bytes)));
    let path = shown(&data.path);
    let data = data.what.map_or_else(|| format!("{path}: {size}"), |what| format!("{what}: {size}, in {path}"));
    let copies = format!("{} (up to {}, removed at the end)", shown(scratch), together(Bytes(need.bytes)));
    let swarm = "a fresh key; QUIC over loopback, encrypted, both ends authenticated";
    [("data", data.as_str()), ("copies", &copies), ("swarm", swarm)]
        .map(|(label, text)| folded(&format!("  {label:<8}"), text, width))
        .join("\n")
}

/// That every copy is equal, and what that means.
pub(super) fn verdict(count: u64, entries: usize, peers: u32, time: Duration, threads: usize, width: usize) -> String {
    let text = format!(
        "every copy equals the source: type, mode, time, link target and every byte (BLAKE3) of {} ({entries} entries) in {peers} \
         copies, read by {threads} threads in {}",
        files(count),
        elapsed(time),
    );
    folded("", &text, width)
}

fn files(count: u64) -> String {
    if count == 1 { format!("1{GLUE}file") } else { format!("{count}{GLUE}files") }
}

/// A quantity whose number is not parted from its unit.
pub(super) fn together(bytes: Bytes) -> String {
    bytes.to_string().replace(' ', GLUE)
}

/// A space where [`folded`] breaks no line.
const GLUE: &str = "\u{a0}";

/// The text in lines of at most `width` characters; the first follows `label`, the others stand below it.
pub(super) fn folded(label: &str, text: &str, width: usize) -> String {
    let indent = label.chars().count();
    let (mut out, mut column) = (label.to_owned(), indent);
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > indent && column + 1 + length > width {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if column > indent {
            out.push(' ');
            column += 1;
        }
        out.push_str(&word.replace(GLUE, " "));
        column += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::tree::Tree;

    #[test]
    fn lines_are_broken_between_words_and_stand_below_each_other() {
        assert_eq!(folded("ab ", "one two three", 10), "ab one two\n   three");
        assert_eq!(folded("ab ", "one two three", 16), "ab one two three");
        assert_eq!(folded("", "a/very/long/path b", 5), "a/very/long/path\nb");
        assert_eq!(folded("ab ", "word", 2), "ab word");
        assert_eq!(folded("", &format!("has {}", together(Bytes(5 << 20))), 10), "has\n5.0 MiB");
    }

    #[test]
    fn the_introduction_says_what_where_and_how_much() {
        let tree = Tree { root: "/data".into(), items: Vec::new(), files: 3, bytes: 1 << 20, room: 0, skipped: 2 };
        let data = Data { path: "/data".into(), what: Some("some files"), tree };
        let need = Need { bytes: 5 << 20, entries: 3 };
        let expected = "  data    some files: 3 files, 1.0 MiB (2 left out: special files, or links
          that lead outside), in /data
  copies  /tmp/x (up to 5.0 MiB, removed at the end)
  swarm   a fresh key; QUIC over loopback, encrypted, both ends authenticated";
        assert_eq!(introduction(&data, Path::new("/tmp/x"), need, 79), expected);
    }

    #[test]
    fn a_name_cannot_command_the_terminal() {
        let tree = Tree { root: "/".into(), items: Vec::new(), files: 1, bytes: 0, room: 0, skipped: 0 };
        let data = Data { path: "/a\x1b[2J".into(), what: None, tree };
        let text = introduction(&data, Path::new("/tmp/x"), Need { bytes: 0, entries: 0 }, 79);
        assert!(!text.contains('\x1b') && text.contains("1 file,"), "{text}");
    }
}
