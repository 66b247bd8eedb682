use super::*;
use std::time::Duration;

use rcgen::BasicConstraints;
use rcgen::Certificate as Made;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::GeneralSubtree;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::NameConstraints;
use rustls::crypto::ring::default_provider;

const CA: IsCa = IsCa::Ca(BasicConstraints::Unconstrained);

/// A time at which rcgen's certificates are valid.
const NOW: u64 = 1_800_000_000;

fn params(common_name: &str, names: &[&str], is_ca: IsCa) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.is_ca = is_ca;
    params
}

fn self_signed(params: CertificateParams) -> (Made, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let made = params.self_signed(&key).unwrap();
    (made, Issuer::new(params, key))
}

fn signed(
    params: CertificateParams,
    by: &Issuer<'static, KeyPair>,
) -> (Made, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let made = params.signed_by(&key, by).unwrap();
    (made, Issuer::new(params, key))
}

fn is_trusted(trusted: &[&Made], chain: &[&Made], host: &str, now: u64) -> bool {
    let trusted = trusted.iter().map(|made| made.der().clone());
    let verifier = Verifier::new(trusted, &Arc::new(default_provider()));
    let chain: Vec<_> = chain.iter().map(|made| made.der().clone()).collect();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let name = ServerName::try_from(host).unwrap();
    let verified = verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], now);
    verified.is_ok()
}

#[test]
fn a_trusted_server_certificate_is_valid_only_for_its_name_and_time() {
    let (own, _) = self_signed(params("x", &["git.example"], CA));
    let (other, _) = self_signed(params("x", &["git.example"], CA));
    assert!(is_trusted(&[&own], &[&own], "git.example", NOW));
    assert!(is_trusted(&[&other, &own], &[&own], "git.example", NOW));
    assert!(!is_trusted(&[&other], &[&own], "git.example", NOW));
    assert!(!is_trusted(&[], &[&own], "git.example", NOW));
    assert!(!is_trusted(&[&own], &[&own], "x", NOW));
    assert!(!is_trusted(&[&own], &[&own], "evil.example", NOW));
    let mut old = params("x", &["git.example"], CA);
    old.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let (old, _) = self_signed(old);
    assert!(!is_trusted(&[&old], &[&old], "git.example", NOW));
}

#[test]
fn the_common_name_is_used_without_alternative_names() {
    for (common_name, host, expected) in [
        ("git.example", "git.example", true),
        ("Git.Example", "git.example", true),
        ("10.0.0.1", "10.0.0.1", true),
        ("*.corp.example", "git.corp.example", true),
        ("*.corp.example", "a.git.corp.example", false),
        ("*.example", "git.example", false),
        ("git.example", "x.git.example", false),
    ] {
        let (own, _) = self_signed(params(common_name, &[], CA));
        let found = is_trusted(&[&own], &[&own], host, NOW);
        assert_eq!(found, expected, "{common_name} {host}");
    }
}

#[test]
fn a_chain_needs_an_authority_at_each_step() {
    let (root, root_key) = self_signed(params("root", &[], CA));
    let leaf = || params("git.example", &[], CA);
    let check = |middle: CertificateParams| {
        let (middle, middle_key) = signed(middle, &root_key);
        let (leaf, _) = signed(leaf(), &middle_key);
        is_trusted(&[&root], &[&leaf, &middle], "git.example", NOW)
    };
    assert!(check(params("middle", &[], CA)));
    assert!(!check(params("middle", &[], IsCa::NoCa)));
    assert!(!check(params("middle", &[], IsCa::ExplicitNoCa)));
    let mut limited = params("middle", &[], CA);
    limited.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("other.example".to_owned())],
        excluded_subtrees: Vec::new(),
    });
    assert!(!check(limited));
    let mut old = params("middle", &[], CA);
    old.not_after = rcgen::date_time_ymd(2020, 1, 1);
    assert!(!check(old));
    let mut signs_nothing = params("middle", &[], CA);
    signs_nothing.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    assert!(!check(signs_nothing));
    let mut for_clients = params("middle", &[], CA);
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    assert!(!check(for_clients));
    // It has the CA's name but another signature.
    let (_, other_key) = self_signed(params("root", &[], CA));
    let (forged, _) = signed(leaf(), &other_key);
    assert!(!is_trusted(&[&root], &[&forged], "git.example", NOW));
    // Two CAs below one that permits none.
    let short = IsCa::Ca(BasicConstraints::Constrained(0));
    let (upper, upper_key) = signed(params("upper", &[], short), &root_key);
    let (lower, lower_key) = signed(params("lower", &[], CA), &upper_key);
    let (leaf, _) = signed(leaf(), &lower_key);
    let chain = [&leaf, &lower, &upper];
    assert!(!is_trusted(&[&root], &chain, "git.example", NOW));
}
