//! Every fault of a certificate, in both directions: the sound node refuses, both ends name the same fault, and nobody else is
//! concerned.
//!
//! The spoilt node does not check itself here, as a hostile one would not.
//!
//! Not here: what a node says about its own certificate (`identity::files`).

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use rustls::pki_types::CertificateDer;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

/// An authority of this name.
fn authority(name: &str) -> (CertificateDer<'static>, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap().der().clone();
    (certificate, Issuer::new(params, key))
}

/// Since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

fn at(since_1970: Duration) -> impl Fn(&mut CertificateParams, bool) {
    move |params, begins| {
        let moment = rcgen::date_time_ymd(1970, 1, 1) + since_1970;
        if begins { params.not_before = moment } else { params.not_after = moment }
    }
}

/// A node's certificate that is sound: no name of ours, valid from yesterday to tomorrow.
fn sound() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "a node");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![SanType::URI("spiffe://example.org/node".try_into().unwrap())];
    at(now() - DAY)(&mut params, true);
    at(now() + DAY)(&mut params, false);
    params
}

/// Each fault, and a certificate that has it and no other.
fn faults(issuer: &Issuer<'static, KeyPair>) -> Vec<(CertificateFault, CertificateDer<'static>, Vec<u8>)> {
    let sign = |spoil: &dyn Fn(&mut CertificateParams), issuer: &Issuer<'static, KeyPair>| {
        let (key, mut params) = (KeyPair::generate().unwrap(), sound());
        spoil(&mut params);
        (params.signed_by(&key, issuer).unwrap().der().clone(), key.serialize_der())
    };
    let (_, foreign) = authority("somebody else");
    let (_, namesake) = authority("ours");
    let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    unknown.set_criticality(true);
    let own_key = KeyPair::generate().unwrap();
    let own = sound().self_signed(&own_key).unwrap().der().clone();
    let with = |fault, (leaf, key)| (fault, leaf, key);
    vec![
        with(CertificateFault::Expired, sign(&|params| at(now() - DAY / 2)(params, false), issuer)),
        with(CertificateFault::NotYetValid, sign(&|params| at(now() + DAY / 2)(params, true), issuer)),
        with(CertificateFault::Foreign, sign(&|_| {}, &foreign)),
        with(CertificateFault::Foreign, sign(&|_| {}, &namesake)),
        with(CertificateFault::SelfSigned, (own, own_key.serialize_der())),
        with(
            CertificateFault::Authority,
            sign(&|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)), issuer),
        ),
        with(CertificateFault::Extension, sign(&|params| params.custom_extensions = vec![unknown.clone()], issuer)),
    ]
}

#[tokio::test]
async fn every_fault_is_refused_in_both_directions_and_named_at_both_ends() {
    let (root, issuer) = authority("ours");
    let key = KeyPair::generate().unwrap();
    let leaf = sound().signed_by(&key, &issuer).unwrap().der().clone();
    let good = node(&Credentials::unchecked(&root, leaf, key.serialize_der()));
    for (expected, leaf, key) in faults(&issuer) {
        if expected == CertificateFault::Extension {
            // A node cannot even load a certificate whose extensions it does not know, so the bytes are checked alone.
            assert!(webpki::EndEntityCert::try_from(&leaf).is_err());
            continue;
        }
        let spoilt = node(&Credentials::unchecked(&root, leaf, key));
        let [dialling_sees, dialled_sees] = meet(&good, &spoilt).await;
        assert_eq!(fault(&dialling_sees), AuthenticationFault::Peer(expected));
        assert_eq!(fault(&dialled_sees), AuthenticationFault::Ours(expected));
        let [dialling_sees, dialled_sees] = meet(&spoilt, &good).await;
        assert_eq!(fault(&dialling_sees), AuthenticationFault::Ours(expected));
        assert_eq!(fault(&dialled_sees), AuthenticationFault::Peer(expected));
    }
}

#[tokio::test]
async fn a_certificate_for_one_end_is_refused_at_the_other() {
    let (root, issuer) = authority("ours");
    let made = |usages: Vec<ExtendedKeyUsagePurpose>| {
        let (key, mut params) = (KeyPair::generate().unwrap(), sound());
        params.extended_key_usages = usages;
        let leaf = params.signed_by(&key, &issuer).unwrap().der().clone();
        node(&Credentials::unchecked(&root, leaf, key.serialize_der()))
    };
    let (client, server) = (ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth);
    let good = made(vec![client.clone(), server.clone()]);
    let [dialling_sees, dialled_sees] = meet(&good, &made(vec![client])).await;
    assert_eq!(fault(&dialling_sees), AuthenticationFault::Peer(CertificateFault::Purpose));
    assert_eq!(fault(&dialled_sees), AuthenticationFault::Ours(CertificateFault::Purpose));
    let [dialling_sees, dialled_sees] = meet(&made(vec![server]), &good).await;
    assert_eq!(fault(&dialling_sees), AuthenticationFault::Ours(CertificateFault::Purpose));
    assert_eq!(fault(&dialled_sees), AuthenticationFault::Peer(CertificateFault::Purpose));
}

#[tokio::test]
async fn renewed_credentials_serve_new_connections_and_leave_the_old_ones() {
    let dialling = node(&member(&[2, 1]));
    let mut dialled = node(&member(&[1, 2]));
    let [before, _kept] = meet(&dialling, &dialled).await.map(Result::unwrap);
    let new = member(&[2, 1]);
    renew(&mut dialled, &new, &TransportSettings::default());
    let [after, _] = meet(&dialling, &dialled).await.map(Result::unwrap);
    assert_eq!(identity_of(&after).unwrap().0, new.identity());
    assert_ne!(identity_of(&before).unwrap().0, new.identity());
    assert_eq!(before.close_reason(), None);
}
