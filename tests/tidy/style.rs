//! Sizes, names and words that hold in every file.
//!
//! Each rule is one function that reads the layer it is about and adds what it finds. The numbers are the house's: a file that
//! one can hold in mind, a function that one can see.
//!
//! Invariant: test code is held to the same rules as the rest. A test that nobody can read is a test that nobody believes,
//! so there is no exemption to argue about.
//!
//! Not here: the direction of the rooms (`rooms`).

use crate::Violation;
use crate::lex::{Source, Token, is_word};

/// The longest file, in lines: five to ten screens, read in one sitting.
const FILE_LINES_MAX: usize = 400;
/// The longest function, in lines from its `fn` to its closing brace: one screen.
const FUNCTION_LINES_MAX: usize = 70;

/// Identifiers with "block" in them that belong to the system or the runtime: they speak of waiting or of a file system.
const FOREIGN: [&str; 6] = ["block_on", "block_in_place", "blocks", "f_blocks", "st_blocks", "WouldBlock"];
/// What stands before "block" where it is a noun. As a verb ("must not block") the word is free.
const ARTICLES: [&str; 16] = [
    "a", "the", "each", "every", "per", "one", "this", "of", "all", "any", "no", "first", "last", "next", "data",
    "same",
];
/// Parts of names that say nothing about what a thing does.
const EMPTY_NAMES: [&str; 7] = ["manager", "handler", "helper", "helpers", "util", "utils", "utilities"];
/// Roots of paths that exist on one machine only.
const MACHINE_ROOTS: [&str; 4] = ["home", "root", "work", "Users"];

/// Every rule of this file.
pub(crate) fn check(source: &Source, found: &mut Vec<Violation>) {
    let tokens = source.tokens();
    header(source, found);
    file_length(source, found);
    function_lengths(source, &tokens, found);
    function_names(source, &tokens, found);
    empty_names(source, &tokens, found);
    glossary_in_code(source, &tokens, found);
    glossary_in_prose(source, &source.comments, found);
    glossary_in_prose(source, &source.literals, found);
    unfinished(source, &tokens, found);
    silenced_lints(source, found);
    machine_paths(source, &source.comments, found);
    machine_paths(source, &source.literals, found);
}

/// A `tests.rs` has none: it is the end of the file beside it, moved out for its length, and that file has the header.
fn header(source: &Source, found: &mut Vec<Violation>) {
    let is_moved_end = source.path.starts_with("src/") && source.path.ends_with("/tests.rs");
    if !is_moved_end && !source.raw.starts_with("//! ") {
        let remedy = "say first what it is, why this way, which invariant it keeps and what is not here";
        found.push(Violation::new(source, 1, "the file has no `//!` header".into(), remedy));
    }
}

fn file_length(source: &Source, found: &mut Vec<Violation>) {
    let lines = source.raw.lines().count();
    if lines > FILE_LINES_MAX {
        let what = format!("{lines} lines, {FILE_LINES_MAX} are allowed");
        found.push(Violation::new(source, FILE_LINES_MAX + 1, what, "split the file by what its parts are about"));
    }
}

fn function_lengths(source: &Source, tokens: &[Token<'_>], found: &mut Vec<Violation>) {
    for (at, token) in named_functions(tokens) {
        let Some(end) = end_of_body(tokens, at) else { continue };
        let lines = tokens[end].line - token.line + 1;
        if lines > FUNCTION_LINES_MAX {
            let what = format!("`{}` has {lines} lines, {FUNCTION_LINES_MAX} are allowed", tokens[at + 1].text);
            found.push(Violation::new(source, token.line, what, "give its steps names: push `if`s up and `for`s down"));
        }
    }
}

/// Places and tokens of every `fn` that has a name; function pointers have none.
fn named_functions<'a>(tokens: &'a [Token<'a>]) -> impl Iterator<Item = (usize, &'a Token<'a>)> {
    let has_name = |at: usize| tokens.get(at + 1).is_some_and(|name| name.text.chars().all(is_word));
    tokens.iter().enumerate().filter(move |(at, token)| token.text == "fn" && has_name(*at))
}

/// The closing brace of the function at `start`, or `None` when it has no body.
fn end_of_body(tokens: &[Token<'_>], start: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut in_brackets = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text {
            "(" | "[" => in_brackets += 1,
            ")" | "]" => in_brackets = in_brackets.saturating_sub(1),
            ";" if depth == 0 && in_brackets == 0 => return None,
            "{" => depth += 1,
            "}" if depth == 1 => return Some(at),
            "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn function_names(source: &Source, tokens: &[Token<'_>], found: &mut Vec<Violation>) {
    for (at, token) in named_functions(tokens) {
        let name = tokens[at + 1].text;
        let remedy = match name {
            _ if name.starts_with("get_") => "name it for what it gives: `path`, not `get_path`",
            _ if name.starts_with("test_") => "name it as a sentence about behaviour: `refuses_an_empty_name`",
            _ => continue,
        };
        found.push(Violation::new(source, token.line, format!("the name of function `{name}`"), remedy));
    }
}

fn empty_names(source: &Source, tokens: &[Token<'_>], found: &mut Vec<Violation>) {
    let mut names: Vec<(&str, usize)> = tokens
        .windows(2)
        .filter(|pair| matches!(pair[0].text, "struct" | "enum" | "union" | "trait" | "type" | "mod" | "fn"))
        .map(|pair| (pair[1].text, pair[1].line))
        .collect();
    names.extend(source.path.trim_end_matches(".rs").split('/').map(|part| (part, 1)));
    for (name, line) in names {
        if let Some(part) = parts(name).into_iter().find(|part| EMPTY_NAMES.contains(&part.as_str())) {
            let what = format!("\"{part}\" in the name `{name}`");
            found.push(Violation::new(source, line, what, "name it for the one thing that it does or knows"));
        }
    }
}

/// The words of an identifier in lower case: `ReadPart` and `read_part` both give `read`, `part`.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before = '_';
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && before.is_lowercase()) {
            parts.push(String::new());
        }
        if let Some(last) = parts.last_mut().filter(|_| c != '_') {
            last.extend(c.to_lowercase());
        }
        before = c;
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn glossary_in_code(source: &Source, tokens: &[Token<'_>], found: &mut Vec<Violation>) {
    for token in tokens.iter().filter(|token| !FOREIGN.contains(&token.text)) {
        for part in parts(token.text) {
            off_glossary(source, token.line, &part, found);
        }
    }
}

/// The words of the glossary in comments and messages; a quoted word is spoken about, not used.
fn glossary_in_prose(source: &Source, layer: &str, found: &mut Vec<Violation>) {
    let mut before = String::new();
    for (index, line) in layer.lines().enumerate() {
        for word in line.split_whitespace() {
            let is_quoted =
                word.starts_with(['"', '`', '\'']) && word.len() > 2 && word[1..].contains(['"', '`', '\'']);
            let bare = word.trim_matches(|c| !is_word(c)).to_lowercase();
            let is_noun = ARTICLES.contains(&before.as_str());
            if !is_quoted && (is_noun || !bare.starts_with("block")) {
                off_glossary(source, index + 1, &bare, found);
            }
            if !bare.is_empty() {
                before = bare;
            }
        }
    }
}

fn off_glossary(source: &Source, line: usize, word: &str, found: &mut Vec<Violation>) {
    if matches!(word, "piece" | "pieces" | "block" | "blocks") {
        let remedy = "say chunk for what is had, asked and verified, span for a range of a file, buffer for I/O";
        found.push(Violation::new(source, line, format!("\"{word}\" is not in the glossary"), remedy));
    }
}

fn unfinished(source: &Source, tokens: &[Token<'_>], found: &mut Vec<Violation>) {
    let remedy = "finish it, or leave it out and say in the header that it is not here";
    for pair in tokens.windows(2).filter(|pair| pair[1].text == "!") {
        if matches!(pair[0].text, "todo" | "unimplemented") {
            found.push(Violation::new(source, pair[0].line, format!("`{}!`", pair[0].text), remedy));
        }
    }
    for (index, line) in source.comments.lines().enumerate() {
        for word in line.split(|c| !is_word(c)).filter(|word| matches!(*word, "TODO" | "FIXME" | "XXX" | "HACK")) {
            found.push(Violation::new(source, index + 1, format!("{word} in a comment"), remedy));
        }
    }
}

/// Lints are policy; an exception says why, in the attribute, behind it, or on the line above.
fn silenced_lints(source: &Source, found: &mut Vec<Violation>) {
    let mut before = "";
    for (index, line) in source.raw.lines().enumerate() {
        let code = source.code.lines().nth(index).unwrap_or_default().trim_start();
        let silences = ["#[allow(", "#![allow(", "#[expect(", "#![expect("].iter().any(|start| code.starts_with(start));
        let says_why = line.contains("// ") || line.contains("reason = \"");
        let said_above = before.starts_with("// ");
        if silences && !says_why && !said_above {
            let remedy = "mend what the lint found, or add `// ` and the reason why it is wrong here";
            found.push(Violation::new(source, index + 1, "a lint is silenced without a reason".into(), remedy));
        }
        before = line.trim_start();
    }
}

/// Paths that name a place of one machine, in `layer`.
pub(crate) fn machine_paths(source: &Source, layer: &str, found: &mut Vec<Violation>) {
    for (index, line) in layer.lines().enumerate() {
        for root in MACHINE_ROOTS.map(|root| format!("/{root}/")) {
            let continues = |c: char| is_word(c) || matches!(c, '.' | '-' | '/' | '}' | '~');
            if line.match_indices(&root).any(|(at, _)| !line[..at].ends_with(continues)) {
                let remedy = "name the place relative to the project, or take it from the environment";
                found.push(Violation::new(source, index + 1, format!("a path under {root} of one machine"), remedy));
            }
        }
    }
}
