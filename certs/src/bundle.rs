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
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::error::X509Error;

use crate::issue::CLOCK_SKEW;

/// A CA lives until it is replaced on purpose: there is no hand-over between two CAs yet, so its
/// end would be an outage.
const CA_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The CA that signs our leaves, with every certificate that callers shall trust.
///
/// The first certificate is the one that signs; further ones are for the overlap of two CAs.
pub struct Bundle {
    certificates: Vec<CertificateDer<'static>>,
    pem: String,
    key: KeyPair,
    not_after: SystemTime,
}

/// Why a CA could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The certificates are no PEM.
    #[error("the CA certificates cannot be read as PEM")]
    Certificate(#[source] rustls::pki_types::pem::Error),
    /// The signing certificate is no X.509.
    #[error("the CA certificate is not X.509")]
    Der(#[source] x509_parser::nom::Err<X509Error>),
    /// There is no certificate at all.
    #[error("there is no CA certificate")]
    Empty,
    /// A key or certificate could not be made.
    #[error("a CA cannot be made")]
    Generate(#[source] rcgen::Error),
    /// The key is no PKCS#8 key that we can sign with.
    #[error("the CA key cannot be read as a PKCS#8 PEM")]
    Key(#[source] rcgen::Error),
}

impl Bundle {
    /// Makes a new CA: P-256, for signing certificates only.
    pub fn generate(now: SystemTime) -> Result<Self, BundleError> {
        let key = KeyPair::generate().map_err(BundleError::Generate)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "gitvolume webhook CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = (now - CLOCK_SKEW).into();
        params.not_after = (now + CA_LIFETIME).into();
        let certificate = params.self_signed(&key).map_err(BundleError::Generate)?;
        Ok(Self {
            not_after: ends(certificate.der())?,
            certificates: vec![certificate.der().clone()],
            pem: certificate.pem(),
            key,
        })
    }

    /// Reads a CA as [`Bundle::pem`] and [`Bundle::key_pem`] wrote it.
    pub fn from_pem(certificates: &str, key: &str) -> Result<Self, BundleError> {
        let key = KeyPair::from_pem(key).map_err(BundleError::Key)?;
        let pem = certificates.to_owned();
        let certificates = read_certificates(certificates.as_bytes())?;
        let signer = certificates.first().ok_or(BundleError::Empty)?;
        Ok(Self {
            not_after: ends(signer)?,
            certificates,
            pem,
            key,
        })
    }

    /// The certificates to trust, for a caBundle or a client.
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

    /// When the CA that signs ends.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// The private key, for the Secret alone.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    pub(crate) fn key(&self) -> &KeyPair {
        &self.key
    }
}

impl fmt::Debug for Bundle {
    // By hand: the key never reaches a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("certificates", &self.certificates.len())
            .finish_non_exhaustive()
    }
}

fn ends(certificate: &CertificateDer<'_>) -> Result<SystemTime, BundleError> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(BundleError::Der)?;
    let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Reads every certificate of a PEM text; an empty text has none.
pub(crate) fn read_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, BundleError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(BundleError::Certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_to_the_secret_is_read_back() {
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
    fn a_text_without_a_certificate_is_no_ca() {
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
