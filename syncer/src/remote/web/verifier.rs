//! Verification of server certificates: those that webpki trusts, and those that only OpenSSL
//! trusts, so that the poller accepts the servers that git accepts.
//!
//! git accepts, webpki refuses, and this verifier accepts:
//! - a server certificate that is itself trusted, self-signed or not, although it has `CA:TRUE`
//!   (from `openssl req -x509`), version 1, or a signature with an old algorithm: no signature has
//!   to be checked;
//! - one with `CA:TRUE` or of version 1 that a trusted CA has signed;
//! - one without any alternative name whose common name is the host's.
//!
//! Signatures, dates, key usage and path lengths are checked as for any other; webpki alone decides
//! about a chain with name constraints or with a critical extension that is unknown here.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use ring::digest;
use rustls::CertificateError;
use rustls::DigitallySignedStruct;
use rustls::Error;
use rustls::RootCertStore;
use rustls::SignatureScheme;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use rustls::server::ParsedCertificate;

use crate::remote::web::certificate::Certificate;

/// The maximum number of CAs between the server's certificate and a trusted one.
const LONGEST_CHAIN: u64 = 8;

type Digest = [u8; digest::SHA256_OUTPUT_LEN];

/// The verifier, equivalent to git's.
pub(super) struct Verifier {
    /// `None` if there is no trusted certificate.
    webpki: Option<Arc<WebPkiServerVerifier>>,
    roots: Arc<RootCertStore>,
    /// Digests of the trusted certificates, since those of a whole system are large.
    digests: BTreeSet<Digest>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Creates a verifier that trusts these certificates.
    pub(super) fn new<'a>(
        trusted: impl Iterator<Item = CertificateDer<'a>>,
        provider: &Arc<CryptoProvider>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        let mut digests = BTreeSet::new();
        for certificate in trusted {
            digests.extend(digest(&certificate));
            // A certificate that cannot be a CA may still be a server's.
            let _ = roots.add(certificate);
        }
        let roots = Arc::new(roots);
        let webpki = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone());
        Self {
            webpki: webpki.build().ok(),
            roots,
            digests,
            algorithms: provider.signature_verification_algorithms,
        }
    }

    /// Whether OpenSSL would trust a server's certificate.
    fn is_trusted(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> bool {
        let Some(server) = Certificate::parse(leaf) else {
            return false;
        };
        let Ok(now) = i64::try_from(now.as_secs()) else {
            return false;
        };
        server.is_valid_at(now)
            && server.may_serve()
            && is_named(leaf, &server, name)
            && (self.has(leaf) || self.is_issued(&server, intermediates, now))
    }

    /// Whether a chain of signatures ends at a trusted CA.
    fn is_issued(
        &self,
        server: &Certificate<'_>,
        intermediates: &[CertificateDer<'_>],
        now: i64,
    ) -> bool {
        let read = |der| Some((Certificate::parse(der)?, self.has(der)));
        let authorities: Vec<_> = intermediates.iter().filter_map(|der| read(der)).collect();
        let mut last = server;
        for below in 0..LONGEST_CHAIN {
            let is_anchored = self.roots.roots.iter().any(|root| {
                let key = Spki::parse(&root.subject_public_key_info);
                root.subject.as_ref() == last.issuer
                    && root.name_constraints.is_none()
                    && key.is_some_and(|key| self.has_signed(&key, last))
            });
            if is_anchored {
                return true;
            }
            let issuer = authorities.iter().find(|(authority, _)| {
                authority.subject == last.issuer
                    && authority.subject != authority.issuer
                    && authority.is_valid_at(now)
                    && authority.may_issue(below)
                    && self.has_signed(&Spki::of(authority), last)
            });
            match issuer {
                Some((_, true)) => return true,
                Some((authority, false)) => last = authority,
                None => return false,
            }
        }
        false
    }

    fn has(&self, certificate: &[u8]) -> bool {
        digest(certificate).is_some_and(|digest| self.digests.contains(&digest))
    }

    fn has_signed(&self, key: &Spki<'_>, certificate: &Certificate<'_>) -> bool {
        let mut algorithms = self.algorithms.all.iter();
        algorithms.any(|algorithm| {
            algorithm.signature_alg_id().as_ref() == certificate.signature_algorithm
                && algorithm.public_key_alg_id().as_ref() == key.algorithm
                && algorithm
                    .verify_signature(key.key, certificate.signed, certificate.signature)
                    .is_ok()
        })
    }

    /// Checks the signature of a handshake with the key of a certificate that webpki cannot parse.
    fn verify_handshake(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        error: Error,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(certificate) = Certificate::parse(certificate) else {
            return Err(error);
        };
        let mut schemes = self.algorithms.mapping.iter();
        let known = schemes.find(|(scheme, _)| *scheme == signed.scheme);
        let mut algorithms = known
            .into_iter()
            .flat_map(|(_, algorithms)| algorithms.iter());
        let is_signed = algorithms.any(|algorithm| {
            algorithm.public_key_alg_id().as_ref() == certificate.key_algorithm
                && algorithm
                    .verify_signature(certificate.public_key, message, signed.signature())
                    .is_ok()
        });
        if is_signed {
            return Ok(HandshakeSignatureValid::assertion());
        }
        Err(error)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let error = match &self.webpki {
            None => CertificateError::UnknownIssuer.into(),
            Some(webpki) => match webpki.verify_server_cert(leaf, intermediates, name, ocsp, now) {
                Ok(verified) => return Ok(verified),
                Err(error) => error,
            },
        };
        if self.is_trusted(leaf, intermediates, name, now) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(error)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
            .or_else(|error| self.verify_handshake(message, certificate, signed, error))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
            .or_else(|error| self.verify_handshake(message, certificate, signed, error))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// A public key.
struct Spki<'a> {
    algorithm: &'a [u8],
    key: &'a [u8],
}

impl<'a> Spki<'a> {
    fn of(certificate: &Certificate<'a>) -> Self {
        Self {
            algorithm: certificate.key_algorithm,
            key: certificate.public_key,
        }
    }

    fn parse(contents: &'a [u8]) -> Option<Self> {
        let (algorithm, key) = crate::remote::web::certificate::public_key(contents)?;
        Some(Self { algorithm, key })
    }
}

/// Whether a certificate is valid for the host. Without any alternative name the common name is
/// used, as in curl.
fn is_named(
    der: &CertificateDer<'_>,
    certificate: &Certificate<'_>,
    name: &ServerName<'_>,
) -> bool {
    if certificate.has_subject_alt_name {
        let parsed = ParsedCertificate::try_from(der);
        return parsed.is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok());
    }
    let Some(common) = certificate.common_name() else {
        return false;
    };
    let host = name.to_str();
    if host.eq_ignore_ascii_case(common) {
        return true;
    }
    // A wildcard must be the whole first label, followed by at least two labels.
    let is_domain = matches!(name, ServerName::DnsName(_));
    match (common.strip_prefix("*."), host.split_once('.')) {
        (Some(domain), Some((_, parent))) => {
            is_domain && domain.contains('.') && parent.eq_ignore_ascii_case(domain)
        }
        _ => false,
    }
}

fn digest(certificate: &[u8]) -> Option<Digest> {
    let digest = digest::digest(&digest::SHA256, certificate);
    digest.as_ref().try_into().ok()
}

#[cfg(test)]
mod tests;
