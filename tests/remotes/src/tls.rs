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
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::NoClientAuth;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::sign::SingleCertAndKey;
use tokio_rustls::TlsAcceptor;

/// A CA, and a certificate for 127.0.0.1 and localhost that it signed.
pub(crate) struct Tls {
    pub(crate) ca_pem: String,
    pub(crate) acceptor: TlsAcceptor,
}

/// A client certificate and its key, PEM.
#[derive(Debug)]
pub struct ClientCertificate {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Tls {
    /// Creates a new CA and a new certificate.
    pub(crate) fn new() -> Self {
        Self::with_authority(|_| Arc::new(NoClientAuth))
    }

    /// The same; accepts only clients that present the returned certificate.
    pub(crate) fn for_a_client() -> (Self, ClientCertificate) {
        let mut made = None;
        let tls = Self::with_authority(|authority| {
            let key = new_key();
            let name = vec!["client".to_owned()];
            let client = CertificateParams::new(name).expect("a name for the client");
            let client = client.signed_by(&key, authority).expect("a certificate");
            made = Some(ClientCertificate {
                certificate: client.pem(),
                key: key.serialize_pem(),
            });
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().clone()).expect("an authority");
            let provider = Arc::new(ring::default_provider());
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            verifier.expect("a usable authority")
        });
        (tls, made.expect("it was made"))
    }

    fn with_authority(
        verifier: impl FnOnce(&CertifiedIssuer<'static, KeyPair>) -> Arc<dyn ClientCertVerifier>,
    ) -> Self {
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
        // All test CAs have the same name: the key identifier selects the right one.
        leaf.use_authority_key_identifier_extension = true;
        let key = new_key();
        let leaf = leaf.signed_by(&key, &authority).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_client_cert_verifier(verifier(&authority))
            .with_single_cert(vec![leaf.der().clone()], key)
            .expect("a usable certificate");
        Self {
            ca_pem: authority.pem(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }
}

impl Tls {
    /// Presents this certificate of any kind, with the further certificates of the same PEM.
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
