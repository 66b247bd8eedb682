use std::net::Ipv4Addr;
use std::sync::Arc;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::SanType;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use rustls::sign::SingleCertAndKey;
use tokio_rustls::TlsAcceptor;

/// An authority of its own, and a certificate for 127.0.0.1 and localhost that it signed.
pub(crate) struct Tls {
    pub(crate) ca_pem: String,
    pub(crate) acceptor: TlsAcceptor,
}

impl Tls {
    /// Makes a new authority and a new certificate.
    pub(crate) fn new() -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        authority
            .distinguished_name
            .push(DnType::CommonName, "authority of a test");
        let authority = CertifiedIssuer::self_signed(authority, new_key()).expect("an authority");
        let mut leaf =
            CertificateParams::new(vec!["localhost".to_owned()]).expect("a name for the server");
        let address = SanType::IpAddress(Ipv4Addr::LOCALHOST.into());
        leaf.subject_alt_names.push(address);
        // All authorities of tests have one name: this tells whose the certificate is.
        leaf.use_authority_key_identifier_extension = true;
        let key = new_key();
        let leaf = leaf.signed_by(&key, &authority).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .expect("a usable certificate");
        Self {
            ca_pem: authority.pem(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }
}

impl Tls {
    /// Shows this certificate, with those behind it in the same PEM, whatever kind it is.
    pub(crate) fn of_pem(chain: &str, key: &str) -> Self {
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        let key = any_supported_type(&key).expect("a usable key");
        let shown = SingleCertAndKey::from(CertifiedKey::new(chain, key));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(shown));
        Self {
            ca_pem: String::new(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("a key")
}
