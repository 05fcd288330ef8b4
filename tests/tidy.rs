//! The style as a test: the direction of the rooms, the words of the pure half, sizes and names, on every source file.
//!
//! What a reviewer has to say twice is said here once, with file, line and remedy, before the review. The rules and their
//! reasons are in CONTRIBUTING.md. Where a rule is wrong, change it here, in a commit of its own that says why.
//!
//! Invariant: every rule is shown to catch what it forbids and to spare what it allows (`tidy/catches.rs`); a rule that catches
//! nothing is worse than none. All of it takes well under a second, so it can run before every commit.
//!
//! Not here: what rustfmt, clippy and rustdoc check already.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "tidy/lex.rs"]
mod lex;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/style.rs"]
mod style;

#[cfg(test)]
#[path = "tidy/catches.rs"]
mod catches;

use lex::Source;

/// A place where a rule is broken.
struct Violation {
    path: String,
    line: usize,
    what: String,
    remedy: String,
}

impl Violation {
    fn new(source: &Source, line: usize, what: String, remedy: &str) -> Self {
        Self { path: source.path.clone(), line, what, remedy: remedy.to_owned() }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}\n    remedy: {}", self.path, self.line, self.what, self.remedy)
    }
}

/// What a Rust file breaks, in the order of its lines.
fn violations(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    rooms::check(source, &mut found);
    style::check(source, &mut found);
    found.sort_by_key(|violation| violation.line);
    found
}

/// Where the sources are. Cargo says it at run time, and an exported tree is as good as a clone: git is not asked.
fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// Paths of the files beneath `folder` that end in one of `endings`, sorted so that failures read alike everywhere.
fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() {
                folders.push(path);
            } else if endings.iter().any(|ending| name.to_string_lossy().ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources(folders: &[&str], endings: &[&str]) -> Vec<Source> {
    let root = root();
    let paths = folders.iter().flat_map(|folder| files(&root.join(folder), endings));
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        Source::new(&name, &String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()))
    };
    paths.map(read).collect()
}

fn report(found: &[Violation]) {
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{} places break the rules of the house:\n\n{}\n", found.len(), lines.join("\n"));
}

#[test]
fn sources_keep_the_rules_of_the_house() {
    let sources = sources(&["src", "tests", "examples", "benches", "netem"], &[".rs"]);
    assert!(sources.iter().any(|s| s.path == "src/lib.rs"), "no src/lib.rs beneath {}", root().display());
    report(&sources.iter().flat_map(violations).collect::<Vec<_>>());
}

#[test]
fn papers_and_scripts_name_no_path_of_one_machine() {
    let mut found = Vec::new();
    for source in sources(&["docs", "certs", "netem", "deploy", ".ci"], &[".md", ".sh", "run", ".toml", ".yaml"]) {
        style::machine_paths(&source, &source.raw, &mut found);
    }
    for name in ["README.md", "CONTRIBUTING.md", "Cargo.toml", "deny.toml"] {
        let source = Source::new(name, &fs::read_to_string(root().join(name)).unwrap_or_default());
        style::machine_paths(&source, &source.raw, &mut found);
    }
    report(&found);
}
