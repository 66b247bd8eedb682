use std::fmt;
use std::time::Duration;
use std::time::SystemTime;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::PublicKeyData;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::error::X509Error;

/// Lifetime of a CA that is never replaced: longer than any process runs.
const LONG_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The CA that signs the leaf certificates, with every certificate that callers must trust.
///
/// The first certificate is the one that signs; the others are there while two CAs overlap.
pub struct Bundle {
    certificates: Vec<CertificateDer<'static>>,
    pem: String,
    key: KeyPair,
    not_before: SystemTime,
    not_after: SystemTime,
}

/// An error in making or reading a CA.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The certificates are not PEM.
    #[error("the CA certificates cannot be read as PEM")]
    Certificate(#[source] rustls::pki_types::pem::Error),
    /// The signing certificate is not X.509.
    #[error("the CA certificate is not X.509")]
    Der(#[source] x509_parser::nom::Err<X509Error>),
    /// There is no certificate.
    #[error("there is no certificate")]
    Empty,
    /// The key does not belong to the certificate, or the certificate is not that of a CA.
    #[error("the CA key does not match the CA certificate")]
    Mismatch,
    /// A key or certificate could not be made.
    #[error("cannot generate a CA")]
    Generate(#[source] rcgen::Error),
    /// The key is not a PKCS#8 key of a supported algorithm.
    #[error("the CA key cannot be read as a PKCS#8 PEM")]
    Key(#[source] rcgen::Error),
}

impl Bundle {
    /// Generates a CA that outlives any process: P-256, for signing certificates only.
    pub fn generate(now: SystemTime) -> Result<Self, BundleError> {
        Self::generate_for(now, LONG_LIFETIME)
    }

    /// Generates a CA with this lifetime, in whole seconds.
    pub fn generate_for(now: SystemTime, lifetime: Duration) -> Result<Self, BundleError> {
        let key = KeyPair::generate().map_err(BundleError::Generate)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "gitvolume CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = (now - CLOCK_SKEW).into();
        params.not_after = (now + lifetime).into();
        let certificate = params.self_signed(&key).map_err(BundleError::Generate)?;
        let (not_before, not_after) = validity(certificate.der())?;
        Ok(Self {
            certificates: vec![certificate.der().clone()],
            pem: certificate.pem(),
            key,
            not_before,
            not_after,
        })
    }

    /// Parses a CA from the texts of [`Bundle::pem`] and [`Bundle::key_pem`].
    pub fn from_pem(certificates: &str, key: &str) -> Result<Self, BundleError> {
        let key = KeyPair::from_pem(key).map_err(BundleError::Key)?;
        let pem = certificates.to_owned();
        let certificates = read_certificates(certificates.as_bytes())?;
        let signer = certificates.first().ok_or(BundleError::Empty)?;
        let (not_before, not_after) = validity(signer)?;
        Ok(Self {
            certificates,
            pem,
            key,
            not_before,
            not_after,
        })
    }

    /// The certificates to trust, as PEM, for a caBundle or a client.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The certificates to trust.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// The certificate of the CA that signs.
    pub fn signer(&self) -> &CertificateDer<'static> {
        // `generate` and `from_pem` leave at least one.
        &self.certificates[0]
    }

    /// Expiry of the signing CA.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Creation time of the signing CA, derived from its `notBefore`.
    pub fn made(&self) -> SystemTime {
        self.not_before + CLOCK_SKEW
    }

    /// Whether the signing CA is valid at this time.
    pub fn is_valid(&self, now: SystemTime) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// Whether the key belongs to the first certificate, and that certificate is a CA's.
    pub(crate) fn is_pair(&self) -> bool {
        let Ok((_, signer)) = x509_parser::parse_x509_certificate(self.signer()) else {
            return false;
        };
        let is_ca = signer.basic_constraints();
        let is_ca = is_ca.is_ok_and(|found| found.is_some_and(|found| found.value.ca));
        is_ca && signer.public_key().raw == self.key.subject_public_key_info()
    }

    /// The private key as PEM, to be written to the Secret only.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    pub(crate) fn key(&self) -> &KeyPair {
        &self.key
    }
}

impl fmt::Debug for Bundle {
    // Implemented by hand so that the key never reaches a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("certificates", &self.certificates.len())
            .finish_non_exhaustive()
    }
}

/// The validity period of a certificate (`notBefore`, `notAfter`), in whole seconds.
pub(crate) fn validity(
    certificate: &CertificateDer<'_>,
) -> Result<(SystemTime, SystemTime), BundleError> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(BundleError::Der)?;
    let at = |seconds: i64| {
        let seconds = u64::try_from(seconds).unwrap_or_default();
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    };
    let validity = parsed.validity();
    let (from, to) = (validity.not_before, validity.not_after);
    Ok((at(from.timestamp()), at(to.timestamp())))
}

/// Parses every certificate of a PEM text; an empty text has none.
pub(crate) fn read_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, BundleError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(BundleError::Certificate)
}

/// Tolerated clock skew: how far a caller's clock may be behind.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_is_read_back_from_the_texts_of_the_secret() {
        let made = Bundle::generate(SystemTime::now()).unwrap();
        let read = Bundle::from_pem(made.pem(), &made.key_pem()).unwrap();
        assert_eq!(made.signer(), read.signer());
        assert_eq!(made.key_pem(), read.key_pem());
    }

    #[test]
    fn a_key_is_never_printed() {
        let made = Bundle::generate(SystemTime::now()).unwrap();
        let printed = format!("{made:?} {made:#?}");
        assert_eq!(printed.matches("certificates: 1").count(), 2);
        assert!(!printed.contains("PRIVATE"));
        let secret = made.key_pem();
        let line = secret.lines().nth(1).unwrap();
        assert!(!printed.contains(line));
    }

    #[test]
    fn a_text_without_a_certificate_is_rejected() {
        let made = Bundle::generate(SystemTime::now()).unwrap();
        assert!(matches!(
            Bundle::from_pem("", &made.key_pem()),
            Err(BundleError::Empty)
        ));
        assert!(matches!(
            Bundle::from_pem(made.pem(), "no key"),
            Err(BundleError::Key(_))
        ));
    }
}
