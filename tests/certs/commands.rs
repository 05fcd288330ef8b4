//! `strew certs`: what it writes, what it refuses, and what other tools say about it.
//!
//! Not here: running with certificates.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rcgen::{CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};
use serde_json::Value;

use crate::pki::{Pki, certs_in, peer_params};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn show(path: &Path) -> Value {
    let output = Command::new(crate::common::node::program())
        .args(["certs", "show", "--output", "json"])
        .arg(path)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn keys_are_private_certificates_are_not_and_nothing_is_replaced_unasked() {
    let pki = Pki::new();
    pki.certs(&["issue", "a", "--role", "peer", "--bundle"]);
    for (name, expected) in [
        ("ca.key", 0o600),
        ("ca.pem", 0o644),
        ("a", 0o700),
        ("a/key.pem", 0o600),
        ("a/bundle.pem", 0o600),
        ("a/cert.pem", 0o644),
        ("a/ca.pem", 0o644),
    ] {
        assert_eq!(mode(&pki.path(name)), expected, "{name}");
    }
    let before = ["ca.key", "a/key.pem", "a/cert.pem"].map(|name| fs::read(pki.path(name)).unwrap());
    for words in [&["init"][..], &["issue", "a", "--role", "seed"]] {
        let refused = certs_in(&pki.path(""), words);
        assert_eq!(refused.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("--force"), "{words:?}");
    }
    assert_eq!(["ca.key", "a/key.pem", "a/cert.pem"].map(|name| fs::read(pki.path(name)).unwrap()), before);
    let names: BTreeSet<_> = fs::read_dir(pki.path("a")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 4, "drafts are left: {names:?}");
}

#[test]
fn a_certificate_says_what_was_asked_for_and_has_a_serial_of_its_own() {
    let pki = Pki::new();
    let mut serials = BTreeSet::new();
    for (name, role, days) in [("a", "seed", "1"), ("b", "peer", "90"), ("c", "observer", "3000")] {
        pki.certs(&["issue", name, "--role", role, "--days", days, "--uri", "spiffe://a/b"]);
        let shown = show(&pki.path(name).join("cert.pem"));
        assert_eq!(shown["role"], role);
        assert_eq!(shown["subject"], format!("CN={name}"));
        assert!(shown["names"].as_array().unwrap().contains(&"URI:spiffe://a/b".into()), "{shown}");
        let life = shown["not_after"].as_i64().unwrap() - shown["not_before"].as_i64().unwrap();
        assert_eq!(life, days.parse::<i64>().unwrap() * 86_400 + 3600);
        serials.insert(shown["serial"].as_str().unwrap().to_owned());
    }
    assert_eq!(serials.len(), 3);
    assert_eq!(show(&pki.path("ca.pem"))["authority"], true);
}

#[test]
fn a_role_cannot_be_slipped_in_and_nobody_outlives_the_authority() {
    let pki = Pki::new();
    for (words, part) in [
        (&["issue", "a", "--role", "peer", "--dns", "SEED.strew.internal"][..], "--role"),
        (&["issue", "a", "--role", "peer", "--days", "4000"], "days"),
        (&["issue", "../a", "--role", "peer"], "no name"),
    ] {
        let refused = certs_in(&pki.path(""), words);
        assert_eq!(refused.status.code(), Some(2));
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(text.contains(part), "{text}");
    }
    assert!(!pki.path("a").exists());
}

#[test]
fn a_request_gets_the_names_and_rights_of_the_flags_and_none_of_its_own() {
    let (pki, node) = (Pki::new(), tempfile::tempdir().unwrap());
    let key = KeyPair::generate().unwrap();
    let mut hostile = peer_params();
    hostile.subject_alt_names = vec![SanType::DnsName("seed.strew.internal".try_into().unwrap())];
    hostile.extended_key_usages.push(ExtendedKeyUsagePurpose::CodeSigning);
    hostile.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    hostile.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0])];
    let file = node.path().join("node.csr");
    fs::write(&file, hostile.serialize_request(&key).unwrap().pem().unwrap()).unwrap();
    pki.certs(&["sign", file.to_str().unwrap(), "--role", "peer"]);
    let shown = show(&pki.path("node/cert.pem"));
    assert_eq!((&shown["role"], &shown["authority"]), (&"peer".into(), &false.into()));
    assert_eq!(shown["names"], serde_json::json!(["DNS:node.strew.internal", "DNS:peer.strew.internal"]));
    assert_eq!(shown["subject"], "CN=node");
    // One whose signature does not show that the asker has the key.
    let mut altered = fs::read_to_string(&file).unwrap();
    let at = altered.len() / 2;
    let other = if &altered[at..=at] == "A" { "B" } else { "A" };
    altered.replace_range(at..=at, other);
    fs::write(&file, altered).unwrap();
    let refused = certs_in(&pki.path(""), &["sign", file.to_str().unwrap(), "--role", "peer", "--force"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
}

#[test]
fn the_key_of_a_request_stays_where_it_was_made() {
    let (pki, node) = (Pki::new(), tempfile::tempdir().unwrap());
    assert!(certs_in(node.path(), &["csr", "n1", "--key", "ed25519"]).status.success());
    assert_eq!(mode(&node.path().join("n1/key.pem")), 0o600);
    let request = node.path().join("n1.csr");
    assert!(!fs::read_to_string(&request).unwrap().contains("PRIVATE KEY"));
    pki.certs(&["sign", request.to_str().unwrap(), "--role", "seed"]);
    for name in ["cert.pem", "ca.pem"] {
        fs::copy(pki.path("n1").join(name), node.path().join("n1").join(name)).unwrap();
    }
    let files = strew::identity::CertificateFiles::Directory(node.path().join("n1"));
    assert_eq!(files.load().unwrap().role(), strew::identity::Role::Seed);
}

#[test]
fn openssl_agrees_with_the_chain_and_its_purposes() {
    // Where it is installed; strew itself does not need it.
    let Ok(version) = Command::new("openssl").arg("version").output() else { return };
    assert!(version.status.success());
    let pki = Pki::new();
    for (name, key) in [("a", "p256"), ("b", "ed25519")] {
        pki.certs(&["issue", name, "--role", "peer", "--key", key]);
        for purpose in ["sslserver", "sslclient"] {
            let verified = Command::new("openssl")
                .args(["verify", "-x509_strict", "-purpose", purpose, "-CAfile"])
                .args([pki.path("ca.pem"), pki.path(name).join("cert.pem")])
                .output()
                .unwrap();
            assert!(verified.status.success(), "{verified:?}");
        }
    }
}

#[test]
fn what_comes_from_strangers_costs_no_memory_and_commands_no_terminal() {
    let (pki, folder) = (Pki::new(), tempfile::tempdir().unwrap());
    let endless = certs_in(&pki.path(""), &["sign", "/dev/zero", "--role", "peer", "--name", "n"]);
    assert_eq!(endless.status.code(), Some(2), "{endless:?}");
    let mut hostile = peer_params();
    hostile.distinguished_name.push(DnType::CommonName, "x\u{1b}]0;y\u{7}\n  role      seed");
    let file = folder.path().join("hostile.pem");
    fs::write(&file, hostile.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()).unwrap();
    let shown = Command::new(crate::common::node::program()).args(["certs", "show"]).arg(&file).output().unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("\\u{1b}]0;y\\u{7}\\n"), "{text}");
    assert_eq!(text.lines().filter(|line| line.trim_start().starts_with("role")).count(), 1, "{text}");
}

#[test]
fn an_authority_whose_key_others_can_read_is_not_used() {
    let pki = Pki::new();
    fs::set_permissions(pki.path("ca.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let refused = certs_in(&pki.path(""), &["issue", "n", "--role", "peer"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(!pki.path("n").exists());
}
