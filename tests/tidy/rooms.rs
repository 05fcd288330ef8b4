//! The house: which room may use which, and which words the pure half may not say.
//!
//! The compiler stops at crates, and this is one crate. Without this test a first convenient `use crate::node::…` in the swarm
//! would turn the simulator into a program with sockets, and nobody would notice before it stopped being deterministic.
//!
//! Invariant: every path that starts at `crate`, `super` or `self` is followed to the room that it reaches, however it is
//! written; groups and inline modules included.
//!
//! Not here: paths that a macro puts together, and items re-exported by the crate's root. Neither occurs.

use crate::Violation;
use crate::lex::{Source, Token};

/// The pure half, lowest room first: each may use those before it.
const PURE: [&str; 7] = ["units", "chunk", "bitfield", "manifest", "wire", "swarm", "sim"];
/// The rooms of effects below `node`. They do not know each other, save for the pairs in [`NEXT_DOOR`].
const SHELL: [&str; 5] = ["identity", "store", "net", "discovery", "origin"];
/// `net` moves bytes between streams and the store, and its connections are authenticated.
const NEXT_DOOR: [(&str, &str); 2] = [("net", "store"), ("net", "identity")];
/// The rooms above `node`; `cli` comes last, because it starts the others.
const ABOVE: [&str; 3] = ["proxy", "admin", "cli"];
/// The one file that knows the library behind the encoding, so that it can be replaced by another one.
const CODEC: &str = "src/wire/codec.rs";
/// The only rooms that may start a task: whoever looks for what runs concurrently has three places to look.
const SPAWNING: [&str; 3] = ["node", "net", "discovery"];

/// Modules and functions of `std` that reach outside, and what to do in their place.
const EFFECTS: [(&str, &str); 8] = [
    ("fs", "read and write in `store`, and pass bytes in"),
    ("thread", "leave concurrency to `node`"),
    ("env", "read the environment in `cli`, and pass values in"),
    ("process", "leave processes to `cli`"),
    ("os", "leave the system to the shell"),
    ("io::stdin", "leave the terminal to `cli`"),
    ("io::stdout", "leave the terminal to `cli`"),
    ("io::stderr", "leave the terminal to `cli`"),
];

/// Words that reach outside whatever path they are written with, and what to use in their place.
const WORDS: [(&str, &str); 22] = [
    ("Instant", "take `now: Time` as an argument"),
    ("SystemTime", "take the time as an argument"),
    ("HashMap", "use BTreeMap or Vec: the order of a hash map differs from run to run"),
    ("HashSet", "use BTreeSet or Vec: the order of a hash set differs from run to run"),
    ("TcpStream", "leave sockets to `net`"),
    ("TcpListener", "leave sockets to `net`"),
    ("UdpSocket", "leave sockets to `net`"),
    ("ToSocketAddrs", "leave names to `discovery`; an address is a value, a look-up is not"),
    ("RandomState", "use BTreeMap or Vec: the order of a hash map differs from run to run"),
    ("tokio", "leave the runtime to the shell"),
    ("quinn", "leave the transport to `net`"),
    ("rustix", "leave the system to the shell"),
    ("socket2", "leave sockets to `net`"),
    ("async", "return an output and let `node` wait for it"),
    ("await", "return an output and let `node` wait for it"),
    ("rand", "take `rng: &mut Rng` as an argument"),
    ("thread_local", "pass state as an argument"),
    ("print", "return what is to be said"),
    ("println", "return what is to be said"),
    ("eprint", "return what is to be said"),
    ("eprintln", "return what is to be said"),
    ("thread_rng", "take `rng: &mut Rng` as an argument"),
];

/// Whether code of room `from` may name room `to`.
pub(crate) fn may_use(from: &str, to: &str) -> bool {
    let rank = |list: &[&str], room: &str| list.iter().position(|r| *r == room);
    match (rank(&PURE, from), rank(&PURE, to)) {
        _ if from == to => true,
        (Some(above), Some(below)) => below < above,
        (Some(_), None) => false,
        (None, Some(_)) => true,
        (None, None) if SHELL.contains(&from) => NEXT_DOOR.contains(&(from, to)),
        (None, None) if from == "node" => SHELL.contains(&to),
        (None, None) if from == "cli" => to != "cli" && is_room(to),
        (None, None) => ABOVE.contains(&from) && (SHELL.contains(&to) || to == "node"),
    }
}

fn is_room(name: &str) -> bool {
    name == "node" || PURE.contains(&name) || SHELL.contains(&name) || ABOVE.contains(&name)
}

/// The room of a file under `src`, or `None` for the crate's root and everything above the library.
fn room_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let room = inside.split('/').next()?;
    (!matches!(inside, "lib" | "main") && room != "bin").then_some(room)
}

/// Every use of a room that the picture does not allow, and every word that a room may not say.
pub(crate) fn check(source: &Source, found: &mut Vec<Violation>) {
    let Some(room) = room_of(&source.path) else { return };
    let tokens = source.tokens();
    if !is_room(room) {
        let remedy = "put it into an existing room, or draw the new one into the picture in tests/tidy/rooms.rs";
        found.push(Violation::new(source, 1, format!("`{room}` is no room of the house"), remedy));
        return;
    }
    for used in paths(source, &tokens) {
        direction(source, room, &used, found);
        effects(source, room, &used, found);
    }
    if PURE.contains(&room) {
        words(source, &tokens, found);
    }
    for token in tokens.iter().filter(|token| token.text == "bincode" && source.path != CODEC) {
        let remedy = "use what wire/codec.rs offers, so that the library can be replaced there";
        found.push(Violation::new(source, token.line, format!("`bincode` outside {CODEC}"), remedy));
    }
}

/// A path as it stands in the code, made absolute: `crate`, `std` or another crate first.
struct Used {
    path: Vec<String>,
    line: usize,
    /// Whether a module of tests holds it.
    in_tests: bool,
}

fn direction(source: &Source, room: &str, used: &Used, found: &mut Vec<Violation>) {
    let ["crate", target, ..] = used.path.iter().map(String::as_str).collect::<Vec<_>>()[..] else { return };
    if is_room(target) && may_use(room, target) {
        return;
    }
    let what = format!("`{room}` uses `crate::{target}`, against the direction of the house");
    let remedy = "move the code to the room that may know both, or pass what it needs as an argument (CONTRIBUTING.md)";
    found.push(Violation::new(source, used.line, what, remedy));
}

fn effects(source: &Source, room: &str, used: &Used, found: &mut Vec<Violation>) {
    let Some((first, rest)) = used.path.split_first() else { return };
    let tail = rest.join("::");
    let reaches = |name: &str| tail == name || tail.strip_prefix(name).is_some_and(|more| more.starts_with("::"));
    if first == "tokio" && (tail == "spawn" || tail == "task::spawn") && !SPAWNING.contains(&room) && !used.in_tests {
        let remedy = "return a future, and let `node`, `net` or `discovery` run it";
        found.push(Violation::new(source, used.line, format!("`{room}` starts a task"), remedy));
    }
    if !PURE.contains(&room) {
        return;
    }
    if first == "std" {
        for (name, remedy) in EFFECTS.iter().filter(|(name, _)| reaches(name)) {
            let what = format!("`std::{name}` in `{room}`, which is of the pure half");
            found.push(Violation::new(source, used.line, what, remedy));
        }
    }
    let ambient = match (first.as_str(), rest.first().map(String::as_str), rest.get(1).map(String::as_str)) {
        ("fastrand", Some("Rng"), maker) | ("Rng", maker, _) => matches!(maker, Some("new" | "default")),
        ("fastrand", Some(_), _) => true,
        _ => false,
    };
    if ambient {
        let what = format!("`{}` in `{room}` asks the system for randomness", used.path.join("::"));
        found.push(Violation::new(
            source,
            used.line,
            what,
            "take `rng: &mut Rng` as an argument, or seed one from an argument",
        ));
    }
}

fn words(source: &Source, tokens: &[Token<'_>], found: &mut Vec<Violation>) {
    for token in tokens {
        if let Some((word, remedy)) = WORDS.iter().find(|(word, _)| *word == token.text) {
            let what =
                format!("`{word}` in the pure half, which has no clock, no chance, no socket, no file and no async");
            found.push(Violation::new(source, token.line, what, remedy));
        }
    }
}

/// Every path of at least two components, groups unfolded and `self` and `super` resolved.
fn paths(source: &Source, tokens: &[Token<'_>]) -> Vec<Used> {
    let mut found = Vec::new();
    let mut inline: Vec<(&str, usize)> = Vec::new();
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "{" => {
                depth += 1;
                if let [.., module, name] = &tokens[..at]
                    && module.text == "mod"
                {
                    inline.push((name.text, depth));
                }
            }
            "}" => {
                inline.retain(|(_, opened)| *opened < depth);
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        let starts_path =
            tokens.get(at + 1).is_some_and(|t| t.text == "::") && (at == 0 || tokens[at - 1].text != "::");
        if starts_path && token.text.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            let here = module_path(&source.path).into_iter().chain(inline.iter().map(|(name, _)| (*name).to_owned()));
            let mut trees = Vec::new();
            unfold(tokens, at, Vec::new(), &mut trees);
            let here: Vec<String> = here.collect();
            let in_tests = here.iter().any(|module| module == "tests");
            found.extend(trees.into_iter().map(|(path, line)| Used { path: absolute(&here, path), line, in_tests }));
        }
    }
    found
}

/// `crate`, then the modules that the file's place names.
fn module_path(path: &str) -> Vec<String> {
    let inside = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    let modules = inside.split('/').filter(|part| !matches!(*part, "mod" | "lib" | "main"));
    std::iter::once("crate").chain(modules).map(str::to_owned).collect()
}

/// `path` seen from the crate's root when it starts at `self` or `super`.
fn absolute(here: &[String], path: Vec<String>) -> Vec<String> {
    let relative = path.iter().take_while(|part| matches!(part.as_str(), "self" | "super")).count();
    if relative == 0 {
        return path;
    }
    let ups = path[..relative].iter().filter(|part| *part == "super").count();
    let base = &here[..here.len().saturating_sub(ups).max(1)];
    base.iter().chain(&path[relative..]).cloned().collect()
}

/// Collects the paths of the use-tree at `at` and returns where it ends.
fn unfold(tokens: &[Token<'_>], at: usize, mut path: Vec<String>, found: &mut Vec<(Vec<String>, usize)>) -> usize {
    let Some(token) = tokens.get(at) else { return at };
    if token.text == "{" {
        let mut next = at + 1;
        while let Some(token) = tokens.get(next)
            && token.text != "}"
        {
            next = if token.text == "," { next + 1 } else { unfold(tokens, next, path.clone(), found).max(next + 1) };
        }
        return next + 1;
    }
    let is_component = token.text == "*" || token.text.chars().all(crate::lex::is_word);
    if !is_component {
        found.push((path, token.line));
        return at;
    }
    path.push(token.text.to_owned());
    if tokens.get(at + 1).is_some_and(|t| t.text == "::") {
        return unfold(tokens, at + 2, path, found);
    }
    found.push((path, token.line));
    let renamed = tokens.get(at + 1).is_some_and(|t| t.text == "as");
    at + if renamed { 3 } else { 1 }
}
