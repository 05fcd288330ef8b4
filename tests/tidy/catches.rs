//! Proof that the rules catch what they forbid and spare what they allow.
//!
//! A rule over text can rot in silence: a change of the scanner, and it finds nothing any more while the build stays green. So
//! each rule is fed with a file that breaks it and with its nearest lawful neighbour.
//!
//! Invariant: the bad words stand in literals of this file, in halves where the rules would find them here as well.
//!
//! Not here: the project's own sources (`tidy.rs`).

use crate::lex::Source;
use crate::rooms::may_use;
use crate::{style, violations};

/// What a file at `path` with a header and `body` breaks, one line each, without the remedies.
fn broken(path: &str, body: &str) -> Vec<String> {
    let source = Source::new(path, &format!("//! Header.\n{body}\n"));
    violations(&source).iter().map(|v| format!("{}: {}", v.line, v.what)).collect()
}

#[track_caller]
fn catches(path: &str, body: &str, line: usize, wanted: &str) {
    let found = broken(path, body);
    let hit = |v: &String| v.starts_with(&format!("{line}: ")) && v.contains(wanted);
    assert!(found.iter().any(hit), "{wanted:?} not found at line {line} of {path}:\n{body}\nbut {found:?}");
}

#[track_caller]
fn spares(path: &str, body: &str) {
    let found = broken(path, body);
    assert!(found.is_empty(), "{path}:\n{body}\n{found:?}");
}

#[test]
fn pure_rooms_use_only_lower_rooms() {
    catches("src/units.rs", "use crate::swarm::Swarm;", 2, "crate::swarm");
    catches("src/chunk.rs", "fn f() -> crate::bitfield::Bitfield {}", 2, "crate::bitfield");
    catches("src/wire/mod.rs", "use crate::{chunk::ChunkId,\n    swarm::{Input, Output}};", 3, "crate::swarm");
    catches("src/swarm/mod.rs", "use crate::net::Net;", 2, "crate::net");
    spares("src/swarm/pick.rs", "use crate::{bitfield::Bitfield, chunk::{self, ChunkId}};");
    spares("src/sim/mod.rs", "use crate::swarm::Swarm;\nuse crate::units::Time;");
}

#[test]
fn detours_through_super_and_self_are_followed() {
    catches("src/chunk.rs", "use super::bitfield::Bitfield;", 2, "crate::bitfield");
    catches("src/units/parse.rs", "use super::super::swarm;\nfn f() { super::super::sim::run() }", 3, "crate::sim");
    catches("src/chunk.rs", "mod tests {\n    use super::super::wire::Frame;\n}", 3, "crate::wire");
    catches("src/chunk.rs", "mod tests {}\nuse super::wire::Frame;", 3, "crate::wire");
    catches("src/chunk.rs", "use self::super::wire::Frame;", 2, "crate::wire");
    spares(
        "src/swarm/event.rs",
        "use super::Swarm;\nmod tests {\n    use super::*;\n    use super::super::pick::Pick;\n}",
    );
}

#[test]
fn rooms_of_the_shell_do_not_know_each_other() {
    for (from, to, allowed) in [
        ("store", "manifest", true),
        ("store", "net", false),
        ("net", "store", true),
        ("net", "identity", true),
        ("net", "discovery", false),
        ("identity", "net", false),
        ("discovery", "node", false),
        ("node", "net", true),
        ("node", "cli", false),
        ("cli", "node", true),
        ("cli", "proxy", true),
        ("proxy", "cli", false),
        ("admin", "node", true),
        ("swarm", "store", false),
    ] {
        assert_eq!(may_use(from, to), allowed, "{from} -> {to}");
    }
    catches("src/store/mod.rs", "use crate::net::Net;", 2, "crate::net");
    spares("src/net/mod.rs", "use crate::store::Store;\nuse crate::swarm::Input;");
}

#[test]
fn a_new_room_must_be_drawn_into_the_picture() {
    catches("src/misc.rs", "", 1, "no room");
    catches("src/node/mod.rs", "use crate::misc::X;", 2, "crate::misc");
    spares("src/main.rs", "use strew::cli;");
    spares("src/lib.rs", "pub mod anything;\npub use crate::node::Node;");
}

#[test]
fn the_pure_half_has_no_effects() {
    for (line, wanted) in [
        ("use std::time::Instant;", "Instant"),
        ("use std::{fmt, fs};", "std::fs"),
        ("let now = std::time::SystemTime::now();", "SystemTime"),
        ("use std::collections::{BTreeMap, HashMap};", "HashMap"),
        ("std::thread::sleep(d);", "std::thread"),
        ("let x = std::env::var(\"X\");", "std::env"),
        ("use std::net::{IpAddr, UdpSocket};", "UdpSocket"),
        ("async fn f() {}", "async"),
        ("let c = fastrand::u32(..);", "fastrand::u32"),
        ("let mut rng = fastrand::Rng::new();", "fastrand::Rng::new"),
        ("let mut rng = Rng::default();", "Rng::default"),
        ("println!(\"x\");", "println"),
        ("use tokio::sync::mpsc;", "tokio"),
    ] {
        catches("src/swarm/mod.rs", line, 2, wanted);
        spares("src/node/mod.rs", line);
    }
    spares("src/swarm/mod.rs", "use std::net::{IpAddr, SocketAddr};\nuse std::time::Duration;");
    spares("src/sim/mod.rs", "let rng = fastrand::Rng::with_seed(seed);\nlet r = Rng::with_seed(7);");
}

#[test]
fn words_in_comments_and_strings_are_no_code() {
    spares(
        "src/swarm/mod.rs",
        "/// Unlike a HashMap, and without async.\nconst X: &str = \"use tokio::fs; crate::net::Net\";",
    );
    spares(
        "src/swarm/mod.rs",
        "const X: &str = r#\"\"HashMap\" // \"#; /* crate::net::X /* tokio */ async */ const Q: char = '\"';",
    );
    catches("src/swarm/mod.rs", "const Q: char = '\"'; fn f<'a>(x: &'a HashMap) {}", 2, "HashMap");
    catches("src/swarm/mod.rs", "const A: &str = \"a // b\"; const E: char = '\\''; type T = HashMap;", 2, "HashMap");
    catches("src/swarm/mod.rs", "const A: &[u8] = b\"\\\"\"; type T = HashMap; // \"", 2, "HashMap");
}

#[test]
fn tasks_start_only_where_one_looks_for_them() {
    catches("src/store/pool.rs", "fn f() { tokio::spawn(work) }", 2, "starts a task");
    catches("src/cli/mod.rs", "fn f() { tokio::task::spawn(work); }", 2, "starts a task");
    spares("src/store/pool.rs", "fn f() { tokio::task::spawn_blocking(work) }");
    spares("src/node/mod.rs", "fn f() { tokio::spawn(work) }");
    spares("src/store/pool.rs", "mod tests { fn f() { tokio::spawn(work) } }");
    spares("src/store/pool/tests.rs", "fn f() { tokio::spawn(work) }");
    catches("src/store/pool.rs", "mod tests {}\nfn f() { tokio::spawn(work) }", 3, "starts a task");
}

#[test]
fn only_the_codec_knows_the_library_behind_it() {
    catches("src/wire/mod.rs", "use bincode::Encode;", 2, "bincode");
    catches("src/store/journal.rs", "let bytes = bincode::encode_to_vec(x, y);", 2, "bincode");
    spares("src/wire/codec.rs", "use bincode::Encode;");
}

#[test]
fn long_files_and_functions_are_caught() {
    let lines = |n: usize| "    work();\n".repeat(n);
    spares("src/node/mod.rs", &"// x\n".repeat(398));
    catches("src/node/mod.rs", &"// x\n".repeat(400), 401, "lines");
    spares("src/node/mod.rs", &format!("fn f() {{\n{}}}", lines(68)));
    catches("src/node/mod.rs", &format!("\nfn f() {{\n{}}}", lines(69)), 3, "`f` has 71 lines");
    let nested = format!("fn f(x: [u8; 2]) -> [u8; 3] {{\n    if x {{ {{ }} }}\n{}}}", lines(68));
    catches("src/node/mod.rs", &nested, 2, "`f` has 71 lines");
    let in_string = format!("fn f() {{\n    let x = \"}}\"; // }}\n{}}}", lines(68));
    catches("src/node/mod.rs", &in_string, 2, "`f` has 71 lines");
    spares("src/node/mod.rs", &format!("trait T {{ fn g(&self, f: fn(u8) -> u8);\n{}}}", lines(90)));
}

#[test]
fn names_that_say_nothing_are_caught() {
    catches("src/node/mod.rs", "pub fn get_path() {}", 2, "get_path");
    catches("tests/transfer.rs", "#[test]\nfn test_one() {}", 3, "test_one");
    catches("src/node/mod.rs", "struct PeerManager;", 2, "PeerManager");
    catches("src/node/mod.rs", "mod utils;", 2, "utils");
    catches("src/node/mod.rs", "trait EventHandler {}", 2, "EventHandler");
    catches("src/node/helpers.rs", "", 1, "helpers");
    spares("src/node/mod.rs", "let x = map.get_mut(k); let y = rustls::server::ClientHelloHandler;");
    spares("src/node/mod.rs", "fn budget_for() {}\nfn target() {}\nfn latest_of() {}");
}

#[test]
fn words_off_the_glossary_are_caught() {
    let (one, two) = (["pie", "ce"].concat(), ["blo", "ck"].concat());
    catches("src/node/mod.rs", &format!("let {one}_index = 1;"), 2, &one);
    catches("src/node/mod.rs", &format!("struct {}Size;", ["Blo", "ck"].concat()), 2, &two);
    catches("src/node/mod.rs", &format!("/// Sends a {one}."), 2, &one);
    catches("src/node/mod.rs", &format!("/// Sends the\n/// {two}."), 3, &two);
    catches("src/node/mod.rs", &format!("const X: &str = \"bad {one} at 7\";"), 2, &one);
    spares("src/node/mod.rs", &format!("/// Must not {two}. \"{one}\" and the `{two}` are no words of ours."));
    spares("src/node/mod.rs", &format!("rt.{two}_on(f); spawn_{two}ing(g); meta.{two}s(); e == WouldBlock"));
}

#[test]
fn unfinished_work_is_caught() {
    for word in ["TODO", "FIXME", "XXX"] {
        catches("src/node/mod.rs", &format!("// {word}: later"), 2, word);
    }
    catches("src/node/mod.rs", "fn f() { todo!() }", 2, "todo!");
    catches("src/node/mod.rs", "fn f() { unimplemented!() }", 2, "unimplemented!");
    spares("src/node/mod.rs", "fn f() { unreachable!(\"the caller checked\") }");
}

#[test]
fn a_silenced_lint_needs_a_reason() {
    catches("src/node/mod.rs", "#[allow(dead_code)]\nfn f() {}", 2, "silenced");
    catches("src/node/mod.rs", "/// Doc.\n    #[expect(unused)]\nfn f() {}", 3, "silenced");
    spares("src/node/mod.rs", "#[allow(unused)] // the macro makes it\nfn f() {}");
    spares("src/node/mod.rs", "// The macro makes it.\n#[allow(unused)]\nfn f() {}");
    spares("src/node/mod.rs", "#[expect(unused, reason = \"the macro makes it\")]\nfn f() {}");
}

#[test]
fn a_file_without_a_header_is_caught() {
    let lacks =
        |path: &str| violations(&Source::new(path, "use std::fmt;\n")).iter().any(|v| v.what.contains("header"));
    assert!(lacks("src/node/mod.rs"));
    assert!(lacks("tests/transfer.rs"));
    assert!(!lacks("src/node/tests.rs"), "its header is that of the file beside it");
}

#[test]
fn paths_of_one_machine_are_caught() {
    for root in ["home", "root", "work", "Users"] {
        catches("src/node/mod.rs", &format!("const X: &str = \"/{root}/me/data\";"), 2, root);
        catches("src/node/mod.rs", &format!("/// See /{root}/me/data."), 2, root);
    }
    spares("src/node/mod.rs", "const X: &str = \"/data/home/x ./work/y https://a.example/home/z\";");
    let mut found = Vec::new();
    let paper = Source::new("README.md", &format!("run it\nin `/{}/me/strew`\n", "home"));
    style::machine_paths(&paper, &paper.raw, &mut found);
    assert_eq!(found.iter().map(|v| v.line).collect::<Vec<_>>(), [2]);
}
