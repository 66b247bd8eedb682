use std::collections::BTreeMap;
use std::time::Duration;
use std::time::SystemTime;

use json_patch::Patch as JsonPatch;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::Client;
use kube::api::Patch;
use kube::api::PatchParams;
use kube::api::PostParams;
use rustls::pki_types::CertificateDer;
use serde_json::json;

use crate::Bundle;
use crate::BundleError;
use crate::bundle::read_certificates;

/// The owner of `caBundle` in the managed fields. The chart leaves the field out and we own only
/// it, so neither `helm upgrade` nor a GitOps tool has a difference to undo
/// (argoproj/argo-cd#1487).
const FIELD_MANAGER: &str = "gitvolume-certs";

/// A call of the API server that takes longer is given up and made again at the next look.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

const CERTIFICATE_KEY: &str = "ca.crt";
const PRIVATE_KEY: &str = "ca.key";

/// The CA's home: one Secret, and the webhook configuration that tells the API server to trust it.
#[derive(Clone)]
pub struct Cluster {
    secrets: Api<Secret>,
    configurations: Api<MutatingWebhookConfiguration>,
    secret: String,
    configuration: String,
}

/// What is known of the caBundle in our webhook configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Published {
    /// It has not been read yet.
    #[default]
    Unknown,
    /// There is no configuration of ours to fill: callers get the CA in another way.
    NotNeeded,
    /// For each of our webhooks the certificates of its caBundle.
    Known(Vec<Vec<CertificateDer<'static>>>),
}

impl Published {
    /// Whether every caller trusts this CA.
    pub fn trusts(&self, ca: &CertificateDer<'_>) -> bool {
        match self {
            Self::Unknown => false,
            Self::NotNeeded => true,
            Self::Known(webhooks) => webhooks.iter().all(|bundle| bundle.iter().any(|c| c == ca)),
        }
    }
}

/// Why the Secret or the webhook configuration could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The API server refused or could not be reached.
    #[error("{action} {kind} {name}")]
    Api {
        /// What was tried, such as `cannot read`.
        action: &'static str,
        /// The object's kind.
        kind: &'static str,
        /// The object's name.
        name: String,
        /// The API server's answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// The Secret holds something else than a CA of ours; it is never overwritten.
    #[error("Secret {name} holds no usable CA (delete its data to have a new one made)")]
    Content {
        /// The Secret's name.
        name: String,
        /// What is wrong with it.
        #[source]
        source: BundleError,
    },
    /// No CA could be made.
    #[error("no CA for Secret {name}")]
    Generate {
        /// The Secret's name.
        name: String,
        /// What went wrong.
        #[source]
        source: BundleError,
    },
    /// The API server did not answer in time.
    #[error("{action} {kind} {name}: no answer within {CALL_TIMEOUT:?}")]
    Timeout {
        /// What was tried, such as `cannot read`.
        action: &'static str,
        /// The object's kind.
        kind: &'static str,
        /// The object's name.
        name: String,
    },
}

impl Cluster {
    /// The Secret in the namespace and the webhook configuration, by name.
    pub fn new(client: Client, namespace: &str, secret: &str, configuration: &str) -> Self {
        Self {
            secrets: Api::namespaced(client.clone(), namespace),
            configurations: Api::all(client),
            secret: secret.to_owned(),
            configuration: configuration.to_owned(),
        }
    }

    /// Reads the CA from the Secret; an empty Secret gets a new CA.
    ///
    /// The update carries the resourceVersion that was read, so of two replicas that start
    /// together one is refused with a conflict and then reads the other's CA: no leader.
    pub async fn load_or_create(&self, now: SystemTime) -> Result<Bundle, PublishError> {
        loop {
            let mut secret = self
                .call("cannot read", "Secret", self.secrets.get(&self.secret))
                .await?;
            if let Some(bundle) = self.read(secret.data.as_ref())? {
                return Ok(bundle);
            }
            let bundle = Bundle::generate(now).map_err(|source| PublishError::Generate {
                name: self.secret.clone(),
                source,
            })?;
            let data = secret.data.get_or_insert_default();
            let certificate = ByteString(bundle.pem().as_bytes().to_vec());
            data.insert(CERTIFICATE_KEY.to_owned(), certificate);
            data.insert(
                PRIVATE_KEY.to_owned(),
                ByteString(bundle.key_pem().into_bytes()),
            );
            let params = PostParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PostParams::default()
            };
            let update = self.secrets.replace(&self.secret, &params, &secret);
            match self.call("cannot write", "Secret", update).await {
                Ok(_) => {
                    tracing::info!(secret = self.secret, "made a new CA");
                    return Ok(bundle);
                }
                Err(error) if error.is_conflict() => {
                    tracing::info!(secret = self.secret, "another replica made the CA");
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads our webhook configuration and writes the bundle where its caBundle differs.
    pub async fn ensure_ca_bundle(&self, bundle: &Bundle) -> Result<Published, PublishError> {
        let kind = "MutatingWebhookConfiguration";
        let get = self.configurations.get(&self.configuration);
        let mut found = self.call("cannot read", kind, get).await?;
        let operations = ca_bundle_operations(&found, bundle.pem().as_bytes());
        if !operations.is_empty() {
            // Each webhook has a test on its name before it: a list that changed since the
            // reading makes the whole patch fail instead of filling a stranger's caBundle.
            let patch: Patch<()> = Patch::Json(operations);
            let params = PatchParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let write = self
                .configurations
                .patch(&self.configuration, &params, &patch);
            found = self
                .call("cannot write the caBundle of", kind, write)
                .await?;
            tracing::info!(configuration = self.configuration, "wrote the caBundle");
        }
        Ok(published(&found))
    }

    fn read(
        &self,
        data: Option<&BTreeMap<String, ByteString>>,
    ) -> Result<Option<Bundle>, PublishError> {
        let text = |key: &str| {
            let value = data.and_then(|data| data.get(key));
            value.map(|value| String::from_utf8_lossy(&value.0).into_owned())
        };
        let certificate = text(CERTIFICATE_KEY).unwrap_or_default();
        let key = text(PRIVATE_KEY).unwrap_or_default();
        if certificate.is_empty() && key.is_empty() {
            return Ok(None);
        }
        let bundle = Bundle::from_pem(&certificate, &key);
        let bundle = bundle.map_err(|source| PublishError::Content {
            name: self.secret.clone(),
            source,
        })?;
        Ok(Some(bundle))
    }

    async fn call<T>(
        &self,
        action: &'static str,
        kind: &'static str,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, PublishError> {
        let name = match kind {
            "Secret" => self.secret.clone(),
            _ => self.configuration.clone(),
        };
        match tokio::time::timeout(CALL_TIMEOUT, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(source)) => Err(PublishError::Api {
                action,
                kind,
                name,
                source: Box::new(source),
            }),
            Err(_) => Err(PublishError::Timeout { action, kind, name }),
        }
    }
}

impl PublishError {
    /// Whether somebody else wrote the object since it was read.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Api { source, .. }
            if matches!(source.as_ref(), kube::Error::Api(status) if status.is_conflict()))
    }
}

fn ca_bundle_operations(found: &MutatingWebhookConfiguration, pem: &[u8]) -> JsonPatch {
    let webhooks = found.webhooks.as_deref().unwrap_or_default();
    let differing = webhooks.iter().enumerate().filter(|(_, webhook)| {
        let current = webhook.client_config.ca_bundle.as_ref();
        current.is_none_or(|current| current.0 != pem)
    });
    let operations = differing.flat_map(|(index, webhook)| {
        let at = format!("/webhooks/{index}");
        [
            json!({"op": "test", "path": format!("{at}/name"), "value": webhook.name}),
            json!({
                "op": "add",
                "path": format!("{at}/clientConfig/caBundle"),
                "value": ByteString(pem.to_vec()),
            }),
        ]
    });
    let operations = operations.filter_map(|operation| serde_json::from_value(operation).ok());
    JsonPatch(operations.collect())
}

fn published(found: &MutatingWebhookConfiguration) -> Published {
    let webhooks = found.webhooks.as_deref().unwrap_or_default();
    let bundles = webhooks.iter().map(|webhook| {
        let bundle = webhook.client_config.ca_bundle.as_ref();
        // What is no PEM trusts nobody.
        bundle
            .and_then(|bundle| read_certificates(&bundle.0).ok())
            .unwrap_or_default()
    });
    Published::Known(bundles.collect())
}
