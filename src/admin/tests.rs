use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::node::{Phase, Snapshot};

const DOCUMENT: &str = include_str!("../../docs/probes.md");

fn status(phase: Phase) -> Status {
    Status::of(&Snapshot { phase, ..Snapshot::default() })
}

fn code(method: &Method, path: &str, phase: Phase) -> u16 {
    answer(method, path, true, &status(phase)).status().as_u16()
}

#[test]
fn only_a_node_that_serves_is_complete() {
    let before =
        [Phase::Connecting, Phase::Manifest, Phase::Transferring, Phase::EndGame, Phase::Finishing, Phase::Verifying];
    for phase in before {
        assert_eq!(code(&Method::GET, "/completed", phase), 503, "{phase:?}");
    }
    assert_eq!(code(&Method::GET, "/completed", Phase::Serving), 200);
    assert_eq!(code(&Method::HEAD, "/completed", Phase::Serving), 200);
}

#[test]
fn nothing_but_reading_is_possible() {
    for path in ["/completed", "/healthz", "/version", "/status"] {
        assert_eq!(code(&Method::GET, path, Phase::Connecting), if path == "/completed" { 503 } else { 200 });
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert_eq!(code(&method, path, Phase::Serving), 405, "{method} {path}");
        }
    }
    for path in ["/", "/chunk/0", "/manifest", "/status/", "//status"] {
        assert_eq!(code(&Method::GET, path, Phase::Serving), 404, "{path}");
    }
}

#[test]
fn the_state_is_told_to_this_machine_unless_it_is_opened() {
    let caller = |remote: &str| Caller { remote: remote.parse().unwrap(), local: "10.0.0.5:10090".parse().unwrap() };
    assert!(admits(Audience::Everybody, caller("10.0.0.6:7")));
    assert!(!admits(Audience::ThisMachine, caller("10.0.0.6:7")));
    assert!(admits(Audience::ThisMachine, caller("10.0.0.5:7")));
    assert_eq!(answer(&Method::GET, "/status", false, &status(Phase::Serving)).status(), 403);
    assert_eq!(answer(&Method::GET, "/completed", false, &status(Phase::Serving)).status(), 200);
}

#[test]
fn the_document_names_exactly_the_fields_that_exist() {
    let row = |line: &'static str| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name);
    let table = DOCUMENT.split_once("## The state").unwrap().1;
    let documented: BTreeSet<&str> = table.lines().filter_map(row).collect();
    let example = table.lines().find(|line| line.starts_with('{')).unwrap();
    let shown: Status = serde_json::from_str(example).unwrap();
    let written = serde_json::to_value(&shown).unwrap();
    assert_eq!(written, serde_json::from_str::<Value>(example).unwrap());
    // Complete and still under way exclude each other, so the example lacks what only the latter has.
    let all = Status { eta_ms: Some(1), ..shown };
    let fields = serde_json::to_value(&all).unwrap();
    assert_eq!(documented, fields.as_object().unwrap().keys().map(String::as_str).collect());
}
