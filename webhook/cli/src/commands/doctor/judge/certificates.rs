//! Checks of the caBundle of each webhook, and of the serving certificates.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use x509_parser::parse_x509_certificate;

use super::registration;
use super::serving;
use crate::commands::doctor::facts::Facts;
use crate::commands::doctor::facts::Install;
use crate::commands::doctor::finding as f;
use crate::commands::doctor::finding::Finding;
use crate::commands::doctor::value::text;

/// Remaining lifetime in seconds below which a certificate is reported: the webhook renews its leaf
/// days before the end.
const SOON: i64 = 2 * 24 * 60 * 60;

pub(super) fn judge(facts: &Facts, findings: &mut Vec<Finding>) {
    for install in facts.installs.iter().flatten() {
        for entry in install.entries() {
            bundle(facts.now, install, entry, findings);
        }
        served(facts.now, install, findings);
    }
}

/// A certificate of a caBundle.
pub(super) struct Trusted {
    pub(super) der: CertificateDer<'static>,
    /// Its validity, as Unix times in seconds.
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

impl Trusted {
    /// Reads the validity; `None` if this is no certificate.
    pub(super) fn parse(der: CertificateDer<'static>) -> Option<Self> {
        let (_, parsed) = parse_x509_certificate(&der).ok()?;
        let validity = parsed.validity();
        let (not_before, not_after) = (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        );
        Some(Self {
            der,
            not_before,
            not_after,
        })
    }
}

fn bundle(now: i64, install: &Install, entry: &Value, findings: &mut Vec<Finding>) {
    let mut found = |check, what: String| {
        findings.push(Finding::new(
            check,
            registration::place(install, entry),
            what,
        ));
    };
    let encoded = text(entry, "/clientConfig/caBundle");
    if encoded.is_empty() {
        found(f::CA_BUNDLE_EMPTY, "Its caBundle is empty.".to_owned());
        return;
    }
    let pem = BASE64_STANDARD.decode(encoded).unwrap_or_default();
    let trusted = read(&pem);
    if trusted.is_empty() {
        let what = "Its caBundle has no certificate in PEM.".to_owned();
        found(f::CA_BUNDLE_UNREADABLE, what);
        return;
    }
    let valid = trusted
        .iter()
        .filter(|own| own.not_before <= now && now < own.not_after);
    match valid.map(|own| own.not_after).max() {
        None => {
            let last = trusted.iter().map(|own| own.not_after).max();
            let what = format!(
                "The last one expires at {}.",
                time(last.unwrap_or_default())
            );
            found(f::CA_EXPIRED, what);
        }
        Some(last) if last - now < SOON => {
            found(
                f::CA_ENDS_SOON,
                format!("The last one expires at {}.", time(last)),
            );
        }
        Some(_) => {}
    }
    // The first certificate in the Secret is the signing one.
    let signer = install.ca_secret.as_ref();
    let signer = signer.and_then(|pem| read(pem.as_bytes()).into_iter().next());
    if signer.is_some_and(|signer| trusted.iter().all(|own| own.der != signer.der)) {
        let what = "Its caBundle lacks the first certificate of the Secret's ca.crt.".to_owned();
        found(f::CA_SECRET_DIFFERS, what);
    }
}

fn served(now: i64, install: &Install, findings: &mut Vec<Finding>) {
    for replica in &install.replicas {
        let log = format!("kubectl -n {} logs {}", replica.namespace, replica.name);
        let Some(readiness) = &replica.readiness else {
            continue;
        };
        let ends = readiness.certificate_not_after;
        let check = match ends {
            Some(ends) if ends <= now => Some(f::CERTIFICATE_EXPIRED),
            Some(ends) if ends - now < SOON => Some(f::CERTIFICATE_ENDS_SOON),
            _ => None,
        };
        if let Some(check) = check {
            let ends = time(ends.unwrap_or_default());
            let what = match check == f::CERTIFICATE_EXPIRED {
                true => format!("It expired at {ends}."),
                false => format!("It expires at {ends}."),
            };
            let at = serving::place(replica);
            findings.push(Finding::new(check, at, what).command(log.clone()));
        }
        if !readiness.ca_bundle_in_sync {
            let what = "It reports that the caBundle does not contain the CA of its certificate.";
            let finding = Finding::new(f::CA_BUNDLE_UNTRUSTED, serving::place(replica), what);
            findings.push(finding.command(log));
        }
    }
}

/// The certificates in a PEM text.
pub(super) fn read(pem: &[u8]) -> Vec<Trusted> {
    let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    certificates.filter_map(Trusted::parse).collect()
}

/// A Unix time in readable form.
pub(in crate::commands::doctor) fn time(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds);
    time.map(|time| time.to_string()).unwrap_or_default()
}
