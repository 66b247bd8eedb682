use std::fmt;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use rcgen::Certificate;
use rcgen::CertificateParams;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::SanType;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use rustls::sign::CertifiedKey;

use crate::Bundle;
use crate::BundleError;
use crate::bundle::CLOCK_SKEW;
use crate::bundle::validity;

/// Default lifetime of a leaf certificate; it is renewed when a third of it is left.
pub const LEAF_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The names a serving certificate is valid for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Names {
    dns: Vec<String>,
    ips: Vec<IpAddr>,
}

impl Names {
    /// The DNS name by which the API server calls a Service: `<service>.<namespace>.svc`.
    pub fn service(service: &str, namespace: &str) -> Self {
        Self {
            dns: vec![format!("{service}.{namespace}.svc")],
            ips: Vec::new(),
        }
    }

    /// An empty set of names.
    pub fn none() -> Self {
        Self {
            dns: Vec::new(),
            ips: Vec::new(),
        }
    }

    /// The names of the local machine (loopback), for callers on it.
    pub fn local() -> Self {
        Self {
            dns: vec!["localhost".to_owned()],
            ips: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        }
    }

    /// Adds a DNS name.
    pub fn and_dns(mut self, name: impl Into<String>) -> Self {
        self.dns.push(name.into());
        self
    }

    /// Adds an IP address, for callers that use a URL instead of a Service.
    pub fn and_ip(mut self, ip: IpAddr) -> Self {
        self.ips.push(ip);
        self
    }
}

/// A serving certificate with its key.
pub struct Leaf {
    certified: Arc<CertifiedKey>,
    not_before: SystemTime,
    /// The time of issue, from which the renewal is computed.
    issued: SystemTime,
    not_after: SystemTime,
    signer: CertificateDer<'static>,
    ca_not_after: Option<SystemTime>,
}

/// An error in issuing a leaf certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The CA has expired. Go's verification checks the root's dates too, webpki's does not.
    #[error("the CA has expired")]
    CaEnded,
    /// The CA could not sign.
    #[error("a serving certificate cannot be signed")]
    Sign(#[source] rcgen::Error),
    /// The TLS library rejects the new key or the CA.
    #[error("a serving certificate cannot be used")]
    Unusable(#[source] rustls::Error),
    /// A client that trusts the CA would reject the leaf: the CA's key does not belong to its
    /// certificate.
    #[error("the CA does not verify the serving certificate that it signed")]
    Unverified(#[source] rustls::Error),
    /// A client's verifier could not be built from the CA.
    #[error("the CA certificate cannot be used for verification")]
    Verifier(#[source] rustls::client::VerifierBuilderError),
}

impl Leaf {
    /// Issues a leaf of [`LEAF_LIFETIME`] for the names, and verifies that a client which trusts
    /// the bundle accepts it.
    pub fn issue(bundle: &Bundle, names: &Names, now: SystemTime) -> Result<Self, IssueError> {
        Self::issue_for(bundle, names, now, LEAF_LIFETIME)
    }

    /// Issues a leaf of this lifetime, shortened to the end of the CA if necessary.
    pub fn issue_for(
        bundle: &Bundle,
        names: &Names,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<Self, IssueError> {
        let Signed { certificate, key } = sign(bundle, names, now, lifetime)?;
        let (not_before, not_after) = validity_of(bundle, now, lifetime);
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let key = ring::sign::any_supported_type(&key).map_err(IssueError::Unusable)?;
        Ok(Self {
            certified: Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key)),
            not_before,
            issued: now,
            not_after,
            signer: bundle.signer().clone(),
            ca_not_after: Some(bundle.not_after()),
        })
    }

    /// A leaf that another tool issued; `signer` is the last certificate of its chain, or the CA
    /// that came with it.
    pub(crate) fn of_others(
        certified: CertifiedKey,
        signer: CertificateDer<'static>,
    ) -> Result<Self, BundleError> {
        let leaf = certified.cert.first().ok_or(BundleError::Empty)?;
        let (not_before, not_after) = validity(leaf)?;
        let (_, ca_not_after) = validity(&signer)?;
        Ok(Self {
            certified: Arc::new(certified),
            not_before,
            issued: not_before,
            not_after,
            signer,
            ca_not_after: Some(ca_not_after),
        })
    }

    /// The beginning of its validity.
    pub(crate) fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// The end of its validity.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Whether the leaf is valid at this time.
    pub fn is_valid(&self, now: SystemTime) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// Whether the leaf is due for renewal: a third or less of its lifetime is left, or the clock
    /// went back to before its beginning.
    pub fn is_due(&self, now: SystemTime) -> bool {
        now < self.not_before || now >= self.due()
    }

    /// The time at which the renewal is due.
    pub(crate) fn due(&self) -> SystemTime {
        let lifetime = self.not_after.duration_since(self.issued);
        self.not_after - lifetime.unwrap_or_default() / 3
    }

    /// Expiry of the CA that signed the leaf, if known.
    pub fn ca_not_after(&self) -> Option<SystemTime> {
        self.ca_not_after
    }

    /// The certificate of the CA that signed the leaf.
    pub fn signer(&self) -> &CertificateDer<'static> {
        &self.signer
    }

    /// The certificate, and the intermediate ones that it is served with.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

impl fmt::Debug for Leaf {
    // Implemented by hand so that the key never reaches a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf")
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// A new leaf certificate and its key.
pub(crate) struct Signed {
    pub(crate) certificate: Certificate,
    pub(crate) key: KeyPair,
}

/// Signs a leaf of this lifetime with a new key, and verifies that a client which trusts the bundle
/// accepts it.
pub(crate) fn sign(
    bundle: &Bundle,
    names: &Names,
    now: SystemTime,
    lifetime: Duration,
) -> Result<Signed, IssueError> {
    if bundle.not_after() <= now {
        return Err(IssueError::CaEnded);
    }
    let (not_before, not_after) = validity_of(bundle, now, lifetime);
    let params = params(names, not_before, not_after).map_err(IssueError::Sign)?;
    let issuer = Issuer::from_ca_cert_der(bundle.signer(), bundle.key());
    let key = KeyPair::generate().map_err(IssueError::Sign)?;
    let certificate = issuer
        .and_then(|issuer| params.signed_by(&key, &issuer))
        .map_err(IssueError::Sign)?;
    verify(bundle.signer(), certificate.der(), names, now)?;
    Ok(Signed { certificate, key })
}

/// The validity period of a leaf that is signed now, shortened to the end of the CA if necessary.
fn validity_of(bundle: &Bundle, now: SystemTime, lifetime: Duration) -> (SystemTime, SystemTime) {
    let not_after = bundle.not_after().min(whole_seconds(now + lifetime));
    (now - CLOCK_SKEW, not_after)
}

/// Truncates a time to whole seconds, as X.509 stores it: for a short lifetime the dropped part
/// matters.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or_default();
    let up = u64::from(since.subsec_nanos() > 0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs() + up)
}

fn params(
    names: &Names,
    not_before: SystemTime,
    not_after: SystemTime,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names.dns.clone())?;
    let ips = names.ips.iter().copied().map(SanType::IpAddress);
    params.subject_alt_names.extend(ips);
    // The common name is for people only; clients read the alternative names.
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "gitvolume");
    params.not_before = not_before.into();
    params.not_after = not_after.into();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Verifies a leaf as a client does that trusts the CA and connects to each of the names.
pub(crate) fn verify(
    signer: &CertificateDer<'static>,
    leaf: &CertificateDer<'static>,
    names: &Names,
    now: SystemTime,
) -> Result<(), IssueError> {
    let mut roots = RootCertStore::empty();
    roots.add(signer.clone()).map_err(IssueError::Unusable)?;
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(IssueError::Verifier)?;
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    for name in server_names(names) {
        verifier
            .verify_server_cert(leaf, &[], &name, &[], UnixTime::since_unix_epoch(since))
            .map_err(IssueError::Unverified)?;
    }
    Ok(())
}

pub(crate) fn server_names(names: &Names) -> impl Iterator<Item = ServerName<'static>> {
    let dns = names.dns.iter().cloned();
    let dns = dns.filter_map(|name| ServerName::try_from(name).ok());
    let ips = names.ips.iter().copied().map(ServerName::from);
    dns.chain(ips)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::service("gitvolume", "gitvolume-system").and_ip([127, 0, 0, 1].into())
    }

    #[test]
    fn a_leaf_is_valid_for_seven_days_and_renewed_when_a_third_is_left() {
        let now = SystemTime::now();
        let day = Duration::from_secs(24 * 60 * 60);
        let bundle = Bundle::generate(now).unwrap();
        let leaf = Leaf::issue(&bundle, &names(), now).unwrap();
        assert!(leaf.is_valid(now - Duration::from_secs(60)));
        assert!(leaf.is_valid(now + 7 * day - Duration::from_secs(1)));
        assert!(!leaf.is_valid(now + 7 * day + Duration::from_secs(1)));
        assert!(!leaf.is_due(now + 4 * day));
        assert!(leaf.is_due(now + 5 * day));
        assert!(leaf.is_due(now - day));
    }

    #[test]
    fn a_leaf_of_seconds_is_renewed_when_a_third_of_them_is_left() {
        let now = SystemTime::now();
        let bundle = Bundle::generate_for(now, Duration::from_secs(60)).unwrap();
        let lifetime = Duration::from_secs(6);
        let leaf = Leaf::issue_for(&bundle, &names(), now, lifetime).unwrap();
        assert!(!leaf.is_due(now + Duration::from_secs(3)));
        assert!(leaf.is_due(now + Duration::from_secs(5)));
        assert!(leaf.is_valid(now + Duration::from_secs(5)));
        assert!(!leaf.is_valid(now + Duration::from_secs(7)));
    }

    #[test]
    fn a_ca_with_the_key_of_another_ca_signs_nothing() {
        let now = SystemTime::now();
        let ours = Bundle::generate(now).unwrap();
        let other = Bundle::generate(now).unwrap();
        let mixed = Bundle::from_pem(ours.pem(), &other.key_pem()).unwrap();
        assert!(matches!(
            Leaf::issue(&mixed, &names(), now),
            Err(IssueError::Unverified(_))
        ));
    }

    #[test]
    fn an_expired_ca_signs_nothing() {
        let now = SystemTime::now();
        let years = Duration::from_secs(11 * 365 * 24 * 60 * 60);
        let old = Bundle::generate(now - years).unwrap();
        assert!(matches!(
            Leaf::issue(&old, &names(), now),
            Err(IssueError::CaEnded)
        ));
    }

    #[test]
    fn a_leaf_never_outlives_its_ca() {
        let now = SystemTime::now();
        let years = Duration::from_secs((10 * 365 - 1) * 24 * 60 * 60);
        let old = Bundle::generate(now - years).unwrap();
        let leaf = Leaf::issue(&old, &names(), now).unwrap();
        assert_eq!(leaf.not_after(), old.not_after());
        assert!(!leaf.is_due(now), "it is not signed again each minute");
    }

    #[test]
    fn a_leaf_is_refused_for_another_name() {
        let now = SystemTime::now();
        let bundle = Bundle::generate(now).unwrap();
        let leaf = Leaf::issue(&bundle, &names(), now).unwrap();
        let other = Names::service("another", "gitvolume-system");
        let certificate = leaf.certified().cert[0].clone();
        verify(bundle.signer(), &certificate, &names(), now).unwrap();
        assert!(verify(bundle.signer(), &certificate, &other, now).is_err());
    }
}
