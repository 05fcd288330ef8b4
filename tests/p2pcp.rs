//! The table for those who come from p2pcp (`docs/p2pcp.md`), held against the program.
//!
//! Invariant: every flag of p2pcp is in the table once, every flag that it promises exists, and none that it calls missing does.

use std::collections::BTreeMap;
use std::process::Command;

const TABLE: &str = include_str!("../docs/p2pcp.md");

/// The flags of p2pcp 2.1.
const FLAGS: [&str; 33] = [
    "chunk-size",
    "command-timeout",
    "compress-type",
    "dst",
    "execute-on-complete",
    "execute-on-each-file-complete",
    "exit-complete",
    "files-per-chunk",
    "help",
    "listen-addr",
    "local-num-concurrent",
    "peer-list",
    "peer-list-a",
    "peer-list-dns-server",
    "peer-list-poll-interval",
    "peer-list-srv",
    "peer-list-url",
    "peer-num-concurrent",
    "peer-registry-heartbeat-interval",
    "peer-registry-heartbeat-url",
    "peer-registry-self-endpoint",
    "peer-registry-timeout",
    "peer-wait-timeout",
    "seed-idle-timeout",
    "src",
    "statistics",
    "sync-interval",
    "transfer-idle-timeout",
    "verbose",
    "verify-on-complete",
    "version",
    "wait-host",
    "wait-host-timeout",
];

/// A row: what strew has, and how it compares.
struct Row {
    ours: Option<&'static str>,
    how: &'static str,
    note: &'static str,
}

fn rows() -> BTreeMap<&'static str, Row> {
    let mut rows = BTreeMap::new();
    for line in TABLE.lines().filter(|line| line.starts_with("| `-")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [theirs, ours, how, note] = cells[..] else { panic!("not four cells: {line}") };
        let name = theirs.trim_matches('`').trim_start_matches('-');
        let ours = ours.strip_prefix("`--").map(|name| name.trim_end_matches('`'));
        assert!(rows.insert(name, Row { ours, how, note }).is_none(), "{name} is there twice");
    }
    rows
}

/// The long flags that the help of a transfer names at the beginning of a line.
fn help() -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_strew")).arg("--help").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let flag = |line: &str| {
        let line = line.trim_start();
        let line = line.split_once(", ").filter(|(short, _)| short.len() == 2).map_or(line, |(_, long)| long);
        let name = line.strip_prefix("--")?.split([' ', '=', '[']).next()?;
        Some(name.to_owned())
    };
    text.lines().filter_map(flag).collect()
}

#[test]
fn every_flag_of_p2pcp_is_in_the_table_and_nothing_else() {
    assert_eq!(rows().into_keys().collect::<Vec<_>>(), FLAGS);
}

#[test]
fn a_flag_that_the_table_promises_exists_and_one_that_it_calls_missing_does_not() {
    let help = help();
    assert!(help.len() > 20 && help.iter().any(|name| name == "src"), "{help:?}");
    for (name, row) in rows() {
        match (row.how, row.ours) {
            ("same" | "better" | "different" | "no effect", Some(ours)) => {
                assert!(help.iter().any(|flag| flag == ours), "--{ours} is promised and not in --help");
                assert!(row.how == "same" || !row.note.is_empty(), "{name}: {} needs a reason", row.how);
            }
            ("not yet", None) => {
                assert!(help.iter().all(|flag| flag != name), "--{name} exists now; say so in docs/p2pcp.md");
            }
            _ => panic!("{name}: {:?} does not go with {:?}", row.how, row.ours),
        }
    }
}

#[test]
fn every_flag_that_is_there_is_taken_in_the_spelling_of_go() {
    for (name, row) in rows().into_iter().filter(|(name, _)| !["help", "version"].contains(name)) {
        let output = Command::new(env!("CARGO_BIN_EXE_strew")).arg(format!("-{name}")).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(message.contains("unexpected argument"), row.ours.is_none(), "{name}: {message}");
    }
}
