//! Certificates that are not taken: each with its own sentence and exit code 3, and keys that others can read with 2.
//!
//! Not here: who may publish (`publisher`).

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};

use crate::common::{Node, Tree, assert_equal};
use crate::pki::{Pki, command, peer_params, pull, seed, set_days};

/// What a node says that starts with these certificates.
fn refused(certificates: &std::path::Path, code: i32, parts: &[&str]) {
    let mut command = command(certificates);
    command.args(["--dst", "unused", "--peer-list", "127.0.0.1:9"]).current_dir(certificates);
    Node::start(command).ends().failed(code, parts);
}

#[test]
fn each_fault_of_our_own_certificate_has_its_sentence() {
    let (pki, other) = (Pki::new(), Pki::new());
    let with_usage = |usage| move |params: &mut CertificateParams| params.extended_key_usages = vec![usage];
    let cases: [(PathBuf, &[&str]); 7] = [
        (pki.spoilt("old", |params| set_days(params, -9, -1)), &["cert.pem has expired", "strew certs issue"]),
        (pki.spoilt("new", |params| set_days(params, 1, 9)), &["not valid yet"]),
        (pki.signed("foreign", &other.issuer(), |_| {}), &["not issued by an authority that is trusted here"]),
        (pki.spoilt("server", with_usage(ExtendedKeyUsagePurpose::ServerAuth)), &["serverAuth and clientAuth"]),
        (pki.spoilt("client", with_usage(ExtendedKeyUsagePurpose::ClientAuth)), &["serverAuth and clientAuth"]),
        (
            pki.spoilt("authority", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
            &["certificate of an authority"],
        ),
        (
            pki.spoilt("extension", |params| {
                let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
                unknown.set_criticality(true);
                params.custom_extensions = vec![unknown];
            }),
            &["critical extension"],
        ),
    ];
    for (certificates, parts) in cases {
        refused(&certificates, 3, parts);
    }
    let key = KeyPair::generate().unwrap();
    let alone = peer_params().self_signed(&key).unwrap();
    refused(&pki.lay("alone", &alone.pem(), &key.serialize_pem()), 3, &["signed by itself"]);
}

#[test]
fn files_that_cannot_be_used_are_wrong_configuration() {
    let pki = Pki::new();
    let good = pki.issue("good", "peer");
    fs::set_permissions(good.join("key.pem"), Permissions::from_mode(0o644)).unwrap();
    refused(&good, 2, &["chmod 600"]);
    let other = pki.issue("other", "peer");
    fs::copy(other.join("key.pem"), good.join("key.pem")).unwrap();
    fs::set_permissions(good.join("key.pem"), Permissions::from_mode(0o640)).unwrap();
    refused(&good, 2, &["does not belong to the certificate"]);
    fs::write(other.join("ca.pem"), "").unwrap();
    refused(&other, 2, &["ca.pem holds no certificate"]);
    fs::remove_file(other.join("cert.pem")).unwrap();
    refused(&other, 2, &["tls.crt, cert.pem"]);
}

#[test]
fn a_node_of_another_authority_is_refused_and_told() {
    let (pki, other) = (Pki::new(), Pki::new());
    let mut tree = Tree::new(pki.path("source"), 1);
    tree.file("a", 10_000);
    let seeder = seed(&pki.issue("seeder", "seed"), tree.path(), &[]);
    let stranger = pull(&other.issue("stranger", "peer"), &other.path("copy"), &[seeder.address()], &[]);
    stranger.ends().failed(3, &["was not issued by an authority that is trusted here"]);
}

#[test]
fn an_observer_is_given_nothing() {
    let pki = Pki::new();
    refused(&pki.issue("watcher", "observer"), 3, &["observer", "--role peer"]);
}

#[test]
fn certificates_of_other_tools_are_taken() {
    let pki = Pki::new();
    let mut tree = Tree::new(pki.path("source"), 1);
    tree.file("a", 200_000);
    // A root that may have authorities below it, one of them, and leaves with keys of every kind and without our names.
    let (root_key, middle_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "a root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&root_key).unwrap();
    let root_issuer = Issuer::new(params.clone(), root_key);
    params.distinguished_name.push(rcgen::DnType::CommonName, "an authority below it");
    let middle = params.signed_by(&middle_key, &root_issuer).unwrap();
    let issuer = Issuer::new(params, middle_key);
    let leaf = |name: &str, key: KeyPair, san: SanType| {
        let mut params = peer_params();
        params.subject_alt_names = vec![san];
        let leaf = params.signed_by(&key, &issuer).unwrap();
        let folder = pki.path(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("tls.crt"), format!("{}{}", leaf.pem(), middle.pem())).unwrap();
        fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
        fs::write(folder.join("ca.crt"), root.pem()).unwrap();
        fs::set_permissions(folder.join("tls.key"), Permissions::from_mode(0o440)).unwrap();
        folder
    };
    let spiffe = || SanType::URI("spiffe://example.org/ns/a/sa/b".try_into().unwrap());
    let publisher = SanType::DnsName("seed.strew.internal".try_into().unwrap());
    let seeder = seed(&leaf("seeder", KeyPair::generate().unwrap(), publisher), tree.path(), &[]);
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let peers = [
        ("p384", KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap()),
        ("ed25519", KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap()),
        ("rsa", rsa),
    ];
    for (name, key) in peers {
        let copy = pki.path(format!("copy {name}"));
        pull(&leaf(name, key, spiffe()), &copy, &[seeder.address()], &["--exit-complete"]).ends_with(0);
        assert_equal(tree.path(), &copy);
    }
    seeder.interrupt();
}
