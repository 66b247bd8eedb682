use std::convert::Infallible;
use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use futures::future::Either;
use json_patch::Patch as JsonPatch;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::Client;
use kube::api::Patch;
use kube::api::PatchParams;
use kube::api::PostParams;
use kube::api::WatchParams;
use rustls::pki_types::CertificateDer;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::BundleError;
use crate::bundle::read_certificates;

/// The owner of `caBundle` in the managed fields. The chart leaves the field out and we own only
/// it, so neither `helm upgrade` nor a GitOps tool has a difference to undo
/// (argoproj/argo-cd#1487).
const FIELD_MANAGER: &str = "gitvolume-certs";

/// A call of the API server that takes longer is given up and made again at the next look.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one watch lasts before the next one begins.
const WATCH_SECONDS: u32 = 60;

/// From the beginning of one watch to that of the next, at least.
const WATCH_PAUSE: Duration = Duration::from_secs(5);

const SECRET: &str = "Secret";
const CONFIGURATION: &str = "MutatingWebhookConfiguration";
const WRITE_CA_BUNDLE: &str = "cannot write the caBundle of";

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
    /// Each of our webhooks.
    Known(Vec<Trust>),
}

/// Whom the API server trusts as one of our webhooks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trust {
    /// The webhook's name.
    pub webhook: String,
    /// The certificates of its caBundle.
    pub certificates: Vec<CertificateDer<'static>>,
}

impl Published {
    /// Whether every caller trusts this CA.
    pub fn trusts(&self, ca: &CertificateDer<'_>) -> bool {
        match self {
            Self::Unknown => false,
            Self::NotNeeded => true,
            Self::Known(_) => self.distrusting(ca).next().is_none(),
        }
    }

    /// The webhooks whose caller does not trust this CA.
    pub fn distrusting(&self, ca: &CertificateDer<'_>) -> impl Iterator<Item = &str> {
        let webhooks = match self {
            Self::Unknown | Self::NotNeeded => &[][..],
            Self::Known(webhooks) => webhooks,
        };
        let distrusting = webhooks.iter().filter(move |webhook| {
            let mut trusted = webhook.certificates.iter();
            !trusted.any(|trusted| trusted == ca)
        });
        distrusting.map(|webhook| webhook.webhook.as_str())
    }

    /// Every certificate that is trusted by some caller.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        let webhooks = match self {
            Self::Unknown | Self::NotNeeded => &[][..],
            Self::Known(webhooks) => webhooks,
        };
        webhooks.iter().flat_map(|webhook| &webhook.certificates)
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

    /// Reads the Secret.
    pub(crate) async fn secret(&self) -> Result<Secret, PublishError> {
        let get = self.secrets.get(&self.secret);
        self.call("cannot read", SECRET, get).await
    }

    /// Writes the Secret as it was read and then changed. The update carries the resourceVersion
    /// that was read: of two replicas that change it at once one is refused with a conflict, and
    /// reads what the other one wrote. No leader is needed.
    pub(crate) async fn write_secret(&self, secret: &Secret) -> Result<(), PublishError> {
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let update = self.secrets.replace(&self.secret, &params, secret);
        self.call("cannot write", SECRET, update).await.map(drop)
    }

    /// Reads our webhook configuration.
    pub(crate) async fn configuration(&self) -> Result<MutatingWebhookConfiguration, PublishError> {
        let get = self.configurations.get(&self.configuration);
        self.call("cannot read", CONFIGURATION, get).await
    }

    /// Writes this text wherever the caBundle of the configuration, as it was read, is another;
    /// tells whether it was.
    pub(crate) async fn write_ca_bundle(
        &self,
        found: &MutatingWebhookConfiguration,
        pem: &str,
    ) -> Result<bool, PublishError> {
        let operations = ca_bundle_operations(found, pem.as_bytes());
        if operations.is_empty() {
            return Ok(false);
        }
        let patch: Patch<()> = Patch::Json(operations);
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let name = &self.configuration;
        let write = self.configurations.patch(name, &params, &patch);
        self.call(WRITE_CA_BUNDLE, CONFIGURATION, write).await?;
        tracing::info!(configuration = name, "wrote the caBundle");
        Ok(true)
    }

    /// Notifies of each change of the Secret or the configuration, for ever. It needs no more than
    /// the right to watch these two by their names, and where it fails the next look finds what it
    /// missed.
    pub(crate) async fn watch(&self, changed: &Notify) -> Infallible {
        let secret = watch(&self.secrets, &self.secret, changed);
        let configuration = watch(&self.configurations, &self.configuration, changed);
        match futures::future::select(pin!(secret), pin!(configuration)).await {
            Either::Left((never, _)) | Either::Right((never, _)) => never,
        }
    }

    /// The Secret's name.
    pub(crate) fn secret_name(&self) -> &str {
        &self.secret
    }

    async fn call<T>(
        &self,
        action: &'static str,
        kind: &'static str,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, PublishError> {
        let name = match kind {
            SECRET => self.secret.clone(),
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
    /// Whether somebody else wrote the object since it was read. The API server calls it a conflict,
    /// or invalid where it is the `test` of a JSON patch that fails.
    pub fn is_conflict(&self) -> bool {
        let Self::Api { action, source, .. } = self else {
            return false;
        };
        let kube::Error::Api(status) = source.as_ref() else {
            return false;
        };
        status.is_conflict() || (*action == WRITE_CA_BUNDLE && status.code == 422)
    }
}

/// One watch after the other, of the metadata of one object.
async fn watch<K>(api: &Api<K>, name: &str, changed: &Notify) -> Infallible
where
    K: Clone + DeserializeOwned + Debug,
{
    let params = WatchParams::default()
        .fields(&format!("metadata.name={name}"))
        .timeout(WATCH_SECONDS);
    loop {
        let began = Instant::now();
        // From whatever the API server has: its first event is the object as it is.
        if let Ok(events) = api.watch_metadata(&params, "0").await {
            let mut events = pin!(events);
            while let Some(Ok(_)) = events.next().await {
                changed.notify_one();
            }
        }
        // A watch that lasted is begun again at once, one that is refused is not asked for all the
        // time.
        let rest = WATCH_PAUSE.saturating_sub(began.elapsed());
        tokio::time::sleep(rest).await;
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
    let mut operations: Vec<_> = operations.collect();
    if !operations.is_empty() {
        // The Secret was read after the configuration. If that is still the same, nobody has written
        // a newer caBundle: a replica that was held up between its reading and its writing must not
        // take a CA away that signs by now. The names are tested for who reads the request.
        let version = &found.metadata.resource_version;
        let path = "/metadata/resourceVersion";
        operations.insert(0, json!({"op": "test", "path": path, "value": version}));
    }
    let operations = operations.into_iter();
    let operations = operations.filter_map(|operation| serde_json::from_value(operation).ok());
    JsonPatch(operations.collect())
}

/// What a configuration says of whom the API server trusts.
pub(crate) fn published(found: &MutatingWebhookConfiguration) -> Published {
    let webhooks = found.webhooks.as_deref().unwrap_or_default();
    let webhooks = webhooks.iter().map(|webhook| {
        let bundle = webhook.client_config.ca_bundle.as_ref();
        Trust {
            webhook: webhook.name.clone(),
            // What is no PEM trusts nobody.
            certificates: bundle
                .and_then(|bundle| read_certificates(&bundle.0).ok())
                .unwrap_or_default(),
        }
    });
    Published::Known(webhooks.collect())
}
