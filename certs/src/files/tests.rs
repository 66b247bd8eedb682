use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::CertificateParams;
use rcgen::Issuer;
use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;

use super::*;
use crate::Bundle;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The content that cert-manager writes into a Secret.
struct Pair {
    certificate: String,
    key: KeyPair,
    ca: Bundle,
}

fn names() -> Names {
    Names::service("gitvolume", "ns")
}

fn pair(name: &str, now: SystemTime) -> Pair {
    let ca = Bundle::generate(now).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_before = (now - DAY).into();
    params.not_after = (now + DAY).into();
    let issuer = Issuer::from_ca_cert_der(ca.signer(), ca.key()).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap().pem();
    Pair {
        certificate,
        key,
        ca,
    }
}

fn good(now: SystemTime) -> Pair {
    pair("gitvolume.ns.svc", now)
}

/// Updates a mounted volume as the kubelet does: a new directory, then one rename of the link to
/// it.
fn mount(dir: &Path, files: &[(&str, &str)]) {
    let data = tempfile::Builder::new()
        .prefix("..2026_")
        .tempdir_in(dir)
        .unwrap()
        .keep();
    for (name, text) in files {
        fs::write(data.join(name), text).unwrap();
        let link = dir.join(name);
        if !link.is_symlink() {
            symlink(Path::new("..data").join(name), link).unwrap();
        }
    }
    let new = dir.join("..data_tmp");
    symlink(data.file_name().unwrap(), &new).unwrap();
    fs::rename(new, dir.join("..data")).unwrap();
}

fn mount_pair(dir: &Path, pair: &Pair) {
    let key = pair.key.serialize_pem();
    mount(
        dir,
        &[
            (CERTIFICATE, &pair.certificate),
            (KEY, &key),
            (CA, pair.ca.pem()),
        ],
    );
}

fn serves(leaf: &Leaf, pair: &Pair) -> bool {
    let expected = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    leaf.certified().cert[0] == expected
}

#[test]
fn a_new_pair_is_served_once_after_the_kubelets_swap() {
    let (dir, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let mut directory = Directory::new(dir.path(), names());
    let (first, second) = (good(now), good(now));
    mount_pair(dir.path(), &first);
    let leaf = directory.reload(now).unwrap().unwrap();
    assert!(serves(&leaf, &first));
    assert_eq!(leaf.signer(), first.ca.signer());
    assert_eq!(leaf.ca_not_after(), Some(first.ca.not_after()));
    assert!(directory.reload(now).unwrap().is_none(), "nothing changed");
    mount_pair(dir.path(), &first);
    assert!(
        directory.reload(now).unwrap().is_none(),
        "nothing but the folder changed"
    );
    mount_pair(dir.path(), &second);
    assert!(serves(&directory.reload(now).unwrap().unwrap(), &second));
}

#[test]
fn a_mismatched_pair_is_reported_and_the_next_pair_is_accepted() {
    let (dir, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let mut directory = Directory::new(dir.path(), names());
    let (ours, other) = (good(now), good(now));
    let at = |name: &str| dir.path().join(name).display().to_string();
    let error = |directory: &mut Directory| directory.reload(now).unwrap_err().to_string();
    let missing = error(&mut directory);
    assert!(
        missing.starts_with(&format!("cannot read {}: ", at(CERTIFICATE))),
        "{missing}"
    );
    let (key, other_key) = (ours.key.serialize_pem(), other.key.serialize_pem());
    let elsewhere = pair("another.ns.svc", now);
    let elsewhere_key = elsewhere.key.serialize_pem();
    for (certificate, key, expected) in [
        (
            ours.certificate.as_str(),
            other_key.as_str(),
            format!(
                "{}: tls.key is not the key of tls.crt",
                dir.path().display()
            ),
        ),
        (
            "half",
            &key,
            format!(
                "{}: there is no certificate; expected a PEM certificate, followed by its chain",
                at(CERTIFICATE)
            ),
        ),
        (
            &ours.certificate,
            "half",
            format!(
                "{}: expected a private key in PEM (PKCS#8, PKCS#1 or SEC1; ECDSA, RSA or Ed25519)",
                at(KEY)
            ),
        ),
        (
            &elsewhere.certificate,
            &elsewhere_key,
            format!(
                "{}: the certificate is not for gitvolume.ns.svc, the name that the API server connects to",
                at(CERTIFICATE)
            ),
        ),
    ] {
        mount(dir.path(), &[(CERTIFICATE, certificate), (KEY, key)]);
        assert_eq!(error(&mut directory), expected);
        assert_eq!(error(&mut directory), expected, "until it changes");
    }
    mount_pair(dir.path(), &ours);
    assert!(serves(&directory.reload(now).unwrap().unwrap(), &ours));
}

#[test]
fn an_expired_certificate_does_not_replace_a_valid_one() {
    let (dir, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let mut directory = Directory::new(dir.path(), names());
    let (current, old, coming) = (good(now), good(now - 3 * DAY), good(now + 2 * DAY));
    mount_pair(dir.path(), &current);
    assert!(directory.reload(now).unwrap().is_some());
    mount_pair(dir.path(), &old);
    let error = directory.reload(now).unwrap_err().to_string();
    assert!(error.contains("it is not valid now"), "{error}");
    mount_pair(dir.path(), &coming);
    assert!(directory.reload(now).is_err(), "it is too early");
    let leaf = directory.reload(now + DAY + DAY / 2).unwrap().unwrap();
    assert!(
        serves(&leaf, &coming),
        "its time has come, with no change of the files"
    );
}

#[test]
fn an_expired_certificate_is_served_if_there_is_no_valid_one() {
    let (dir, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let mut directory = Directory::new(dir.path(), names());
    mount_pair(dir.path(), &good(now - 3 * DAY));
    let leaf = directory.reload(now).unwrap().unwrap();
    assert!(!leaf.is_valid(now));
}

#[test]
fn a_chain_and_a_sec1_key_are_accepted_in_plain_files() {
    let (dir, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let ours = good(now);
    let chain = format!("{}{}", ours.certificate, ours.ca.pem());
    // The key inside PKCS#8 is the one of RFC 5915; a SEC1 file contains just that.
    let der = ours.key.serialize_der();
    let inner = &der[der.len() - 0x6d..];
    let sec1 = STANDARD.encode(inner);
    let sec1 = format!("-----BEGIN EC PRIVATE KEY-----\n{sec1}\n-----END EC PRIVATE KEY-----\n");
    fs::write(dir.path().join(CERTIFICATE), chain).unwrap();
    fs::write(dir.path().join(KEY), sec1).unwrap();
    let mut directory = Directory::new(dir.path(), names());
    let leaf = directory.reload(now).unwrap().unwrap();
    assert_eq!(leaf.certified().cert.len(), 2);
    assert_eq!(
        leaf.signer(),
        ours.ca.signer(),
        "the chain's end, without a ca.crt"
    );
}

#[test]
fn a_key_is_never_printed() {
    let (dir, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let ours = good(now);
    mount_pair(dir.path(), &ours);
    let mut directory = Directory::new(dir.path(), names());
    directory.reload(now).unwrap();
    let printed = format!("{directory:?}");
    let der = format!("{:?}", ours.key.serialize_pem().as_bytes());
    assert!(
        !printed.contains("PRIVATE") && !printed.contains(&der),
        "{printed}"
    );
}
