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

/// The field manager of `caBundle`. The chart omits the field and the webhook owns only this field,
/// so neither `helm upgrade` nor a GitOps tool has a difference to revert (argoproj/argo-cd#1487).
const FIELD_MANAGER: &str = "gitvolume-certs";

/// Timeout of a call of the API server; the next pass repeats the call.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Duration of one watch, in seconds.
const WATCH_SECONDS: u32 = 60;

/// Minimum time between the starts of two watches.
const WATCH_PAUSE: Duration = Duration::from_secs(5);

const SECRET: &str = "Secret";
const CONFIGURATION: &str = "MutatingWebhookConfiguration";
const WRITE_CA_BUNDLE: &str = "cannot write the caBundle of";

/// One Secret; all replicas may write it.
#[derive(Clone)]
pub struct SharedSecret {
    api: Api<Secret>,
    name: String,
}

impl SharedSecret {
    /// The Secret of this name. It must exist: the permission to create one cannot be limited to a
    /// name.
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Reads the Secret.
    pub(crate) async fn read(&self) -> Result<Secret, PublishError> {
        let get = self.api.get(&self.name);
        call("cannot read", SECRET, &self.name, get).await
    }

    /// Updates the Secret. The update carries the resourceVersion that was read, so if two replicas
    /// change the Secret at once, one gets a conflict and reads what the other one wrote. No leader
    /// is needed.
    pub(crate) async fn write(&self, secret: &Secret) -> Result<(), PublishError> {
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let update = self.api.replace(&self.name, &params, secret);
        call("cannot write", SECRET, &self.name, update)
            .await
            .map(drop)
    }

    /// Watches the Secret and notifies of each change; never returns.
    pub(crate) async fn watch(&self, changed: &Notify) -> Infallible {
        watch(&self.api, &self.name, changed).await
    }
}

/// The Secret that stores the CA, and the webhook configuration whose caBundle makes the API server
/// trust it.
#[derive(Clone)]
pub struct Cluster {
    secret: SharedSecret,
    configurations: Api<MutatingWebhookConfiguration>,
    configuration: String,
}

/// The known state of the caBundle in the webhook configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Published {
    /// The configuration has not been read yet.
    #[default]
    Unknown,
    /// There is no configuration to fill: callers get the CA in another way.
    NotNeeded,
    /// The caBundle of each webhook in the configuration.
    Known(Vec<Trust>),
}

/// The CAs that the API server trusts when it calls a webhook.
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

    /// Every certificate that at least one caller trusts.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        let webhooks = match self {
            Self::Unknown | Self::NotNeeded => &[][..],
            Self::Known(webhooks) => webhooks,
        };
        webhooks.iter().flat_map(|webhook| &webhook.certificates)
    }
}

/// An error in reading or writing the Secret or the webhook configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The API server rejected the call or is unreachable.
    #[error("{action} {kind} {name}")]
    Api {
        /// The attempted action, such as `cannot read`.
        action: &'static str,
        /// The object's kind.
        kind: &'static str,
        /// The object's name.
        name: String,
        /// The error of the API server.
        #[source]
        source: Box<kube::Error>,
    },
    /// The Secret contains something other than a CA of the webhook; it is never overwritten.
    #[error(
        "Secret {name} contains no usable CA (delete its data, and the webhook generates a new CA)"
    )]
    Content {
        /// The Secret's name.
        name: String,
        /// The parse error.
        #[source]
        source: BundleError,
    },
    /// No CA could be generated.
    #[error("cannot set up the CA for Secret {name}")]
    Generate {
        /// The Secret's name.
        name: String,
        /// The cause.
        #[source]
        source: BundleError,
    },
    /// The API server did not answer in time.
    #[error("{action} {kind} {name}: no answer within {CALL_TIMEOUT:?}")]
    Timeout {
        /// The attempted action, such as `cannot read`.
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
            secret: SharedSecret::new(client.clone(), namespace, secret),
            configurations: Api::all(client),
            configuration: configuration.to_owned(),
        }
    }

    /// The Secret with the CA.
    pub(crate) fn secret(&self) -> &SharedSecret {
        &self.secret
    }

    /// Reads the webhook configuration.
    pub(crate) async fn configuration(&self) -> Result<MutatingWebhookConfiguration, PublishError> {
        let get = self.configurations.get(&self.configuration);
        call("cannot read", CONFIGURATION, &self.configuration, get).await
    }

    /// Writes this caBundle into every webhook of the configuration that has another one; returns
    /// whether it changed any.
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
        call(WRITE_CA_BUNDLE, CONFIGURATION, name, write).await?;
        tracing::info!(configuration = name, "wrote the caBundle");
        Ok(true)
    }

    /// Watches the Secret and the configuration and notifies of each change; never returns. It
    /// needs only the permission to watch these two by name. If it fails, the next pass reads the
    /// changes.
    pub(crate) async fn watch(&self, changed: &Notify) -> Infallible {
        let secret = self.secret.watch(changed);
        let configuration = watch(&self.configurations, &self.configuration, changed);
        match futures::future::select(pin!(secret), pin!(configuration)).await {
            Either::Left((never, _)) | Either::Right((never, _)) => never,
        }
    }
}

async fn call<T>(
    action: &'static str,
    kind: &'static str,
    name: &str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, PublishError> {
    let name = name.to_owned();
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

impl PublishError {
    /// Whether another client wrote the object since it was read. The API server reports a
    /// conflict, or `Invalid` if the `test` operation of a JSON patch fails.
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

/// Watches the metadata of one object, in consecutive watches; never returns.
async fn watch<K>(api: &Api<K>, name: &str, changed: &Notify) -> Infallible
where
    K: Clone + DeserializeOwned + Debug,
{
    let params = WatchParams::default()
        .fields(&format!("metadata.name={name}"))
        .timeout(WATCH_SECONDS);
    loop {
        let began = Instant::now();
        // Version "0" starts at the API server's cached state; the first event is the object
        // itself.
        if let Ok(events) = api.watch_metadata(&params, "0").await {
            let mut events = pin!(events);
            while let Some(Ok(_)) = events.next().await {
                changed.notify_one();
            }
        }
        // Restart a watch that lasted at once; do not restart a rejected one in a tight loop.
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
        // The Secret was read after the configuration. If the configuration is unchanged, no client
        // has written a newer caBundle: a replica that was delayed between its read and its write
        // must not remove a CA that signs by now. The `test` operations for the names only help
        // people who read the request.
        let version = &found.metadata.resource_version;
        let path = "/metadata/resourceVersion";
        operations.insert(0, json!({"op": "test", "path": path, "value": version}));
    }
    let operations = operations.into_iter();
    let operations = operations.filter_map(|operation| serde_json::from_value(operation).ok());
    JsonPatch(operations.collect())
}

/// The caBundles of a configuration.
pub(crate) fn published(found: &MutatingWebhookConfiguration) -> Published {
    let webhooks = found.webhooks.as_deref().unwrap_or_default();
    let webhooks = webhooks.iter().map(|webhook| {
        let bundle = webhook.client_config.ca_bundle.as_ref();
        Trust {
            webhook: webhook.name.clone(),
            // A caBundle that is not PEM trusts no certificate.
            certificates: bundle
                .and_then(|bundle| read_certificates(&bundle.0).ok())
                .unwrap_or_default(),
        }
    });
    Published::Known(webhooks.collect())
}
