//! Which server certificates are trusted: those that webpki trusts, and those that OpenSSL does
//! besides, so that the poller accepts the servers that git accepts.
//!
//! What git accepts and webpki refuses, and is accepted here:
//! - a server certificate that is itself among the trusted ones, self-signed or not, although it has
//!   `CA:TRUE` (what `openssl req -x509` makes), version 1, or a signature of an old kind: nobody's
//!   signature has to be checked;
//! - one with `CA:TRUE` or of version 1 that a trusted authority has signed;
//! - one without any alternative name whose common name is the host's.
//!
//! Signatures, dates, key usage and path lengths are checked as for any other; a chain with name
//! constraints, or a critical extension that is unknown here, is webpki's alone.

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

use crate::web::certificate::Certificate;

/// No honest chain has more authorities between the server's certificate and a trusted one.
const LONGEST_CHAIN: u64 = 8;

type Digest = [u8; digest::SHA256_OUTPUT_LEN];

/// Trusts servers as git does.
pub(super) struct Verifier {
    /// None where nothing is trusted.
    webpki: Option<Arc<WebPkiServerVerifier>>,
    roots: Arc<RootCertStore>,
    /// Of the trusted certificates: a whole system's are large.
    digests: BTreeSet<Digest>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Trusts these certificates.
    pub(super) fn new<'a>(
        trusted: impl Iterator<Item = CertificateDer<'a>>,
        provider: &Arc<CryptoProvider>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        let mut digests = BTreeSet::new();
        for certificate in trusted {
            digests.extend(digest(&certificate));
            // One that cannot be an authority may still be a server's.
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

    /// Tells whether OpenSSL would trust a server's certificate.
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

    /// Tells whether a trusted authority stands at the end of a chain of signatures.
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

    /// Checks the signature of a handshake by the key of a certificate that webpki cannot read.
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
        match is_signed {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(error),
        }
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
        match self.is_trusted(leaf, intermediates, name, now) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(error),
        }
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
        let (algorithm, key) = crate::web::certificate::public_key(contents)?;
        Some(Self { algorithm, key })
    }
}

/// Tells whether a certificate is the host's. Where it has no alternative name at all, the common
/// name counts, as for curl.
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
    // A wildcard is the whole first label, with two labels behind it at least.
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
mod tests {
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

    /// In the years in which rcgen's certificates are valid.
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
    fn a_server_that_is_itself_trusted_is_so_for_its_name_and_time_alone() {
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
    fn the_common_name_counts_where_there_is_no_other_name() {
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
        // Of the authority's name, and not signed by it.
        let (_, other_key) = self_signed(params("root", &[], CA));
        let (forged, _) = signed(leaf(), &other_key);
        assert!(!is_trusted(&[&root], &[&forged], "git.example", NOW));
        // Two authorities below one that allows none.
        let short = IsCa::Ca(BasicConstraints::Constrained(0));
        let (upper, upper_key) = signed(params("upper", &[], short), &root_key);
        let (lower, lower_key) = signed(params("lower", &[], CA), &upper_key);
        let (leaf, _) = signed(leaf(), &lower_key);
        let chain = [&leaf, &lower, &upper];
        assert!(!is_trusted(&[&root], &chain, "git.example", NOW));
    }
}
