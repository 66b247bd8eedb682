//! The webhook's own MutatingWebhookConfiguration: for which namespaces the API server calls the
//! auto-injection entry. It is read from the API server because platforms edit it (AKS adds
//! expressions to every namespaceSelector), so a flag could be wrong.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::Api;
use kube::Client;
use kube::ResourceExt;
use kube::api::WatchEvent;
use kube::api::WatchParams;
use kube::core::Selector;

use crate::cluster::coverage::AutoInjection;
use crate::cluster::coverage::Coverage;
use crate::cluster::namespaces::Namespaces;

/// The name of the auto-injection entry.
pub(crate) const AUTO: &str = "auto.gitvolume.dev";

/// Duration of one watch, in seconds; then the registration is read again.
const WATCH_SECONDS: u32 = 60;

/// Pause after the end of a watch or a failure, before the next read.
const PAUSE: Duration = Duration::from_secs(2);

/// Keeps the auto-injection entry of the registration of this name current; never returns. While it
/// cannot be read, the last known entry stays in force.
pub(crate) async fn watch(namespaces: Arc<Namespaces>, name: String, client: Client) -> Infallible {
    let api: Api<MutatingWebhookConfiguration> = Api::all(client);
    let mut trouble = None;
    loop {
        match follow(&api, &name, &namespaces).await {
            Ok(()) => trouble = None,
            Err(error) => {
                namespaces.registration_is_unreadable();
                // Logged once, not at every attempt.
                let error = error.to_string();
                if trouble.as_ref() != Some(&error) {
                    tracing::warn!(error, name, "cannot read the webhook configuration");
                    trouble = Some(error);
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Reads the registration, then follows its changes until the watch ends.
async fn follow(
    api: &Api<MutatingWebhookConfiguration>,
    name: &str,
    namespaces: &Namespaces,
) -> Result<(), kube::Error> {
    let found = api.get_opt(name).await?;
    namespaces.set_auto_injection(read(found.as_ref()));
    // The watch reports a missing registration when it is created.
    let version = found.and_then(|found| found.resource_version());
    let version = version.unwrap_or_else(|| "0".to_owned());
    let params = WatchParams::default()
        .fields(&format!("metadata.name={name}"))
        .timeout(WATCH_SECONDS);
    let mut events = pin!(api.watch(&params, &version).await?);
    while let Some(event) = events.try_next().await? {
        match event {
            WatchEvent::Added(found) | WatchEvent::Modified(found) => {
                namespaces.set_auto_injection(read(Some(&found)));
            }
            WatchEvent::Deleted(_) => namespaces.set_auto_injection(read(None)),
            WatchEvent::Bookmark(_) => {}
            // The version is too old to continue from: read again.
            WatchEvent::Error(_) => break,
        }
    }
    Ok(())
}

fn read(found: Option<&MutatingWebhookConfiguration>) -> AutoInjection {
    let entries = found.and_then(|found| found.webhooks.as_ref());
    let mut entries = entries.into_iter().flatten();
    let Some(entry) = entries.find(|entry| entry.name == AUTO) else {
        return AutoInjection::Unregistered;
    };
    let selector = entry.namespace_selector.clone().unwrap_or_default();
    match Selector::try_from(selector) {
        Ok(selector) => AutoInjection::Registered(Coverage {
            selector: selector.into_iter().collect(),
        }),
        // The API server accepts no operator that kube does not know.
        Err(_) => AutoInjection::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn the_selector_is_that_of_the_entry_for_auto_injection() {
        let found = json!({"webhooks": [
            {
                "name": AUTO,
                "clientConfig": {}, "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "namespaceSelector": {
                    "matchLabels": {"gitvolume.dev/auto-inject": "enabled"},
                    "matchExpressions": [{"key": "control-plane", "operator": "DoesNotExist"}],
                },
            },
            {
                "name": "pods.gitvolume.dev",
                "clientConfig": {}, "sideEffects": "None", "admissionReviewVersions": ["v1"],
            },
        ]});
        let mut found: MutatingWebhookConfiguration = serde_json::from_value(found).unwrap();
        let AutoInjection::Registered(coverage) = read(Some(&found)) else {
            panic!("not registered");
        };
        let labels = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
            let all = all.iter();
            all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect()
        };
        let enabled = ("gitvolume.dev/auto-inject", "enabled");
        assert!(coverage.covers(&labels(&[enabled])));
        assert!(!coverage.covers(&labels(&[])));
        assert!(!coverage.covers(&labels(&[enabled, ("control-plane", "x")])));

        found.webhooks.as_mut().unwrap().remove(0);
        assert_eq!(read(Some(&found)), AutoInjection::Unregistered);
        assert_eq!(read(None), AutoInjection::Unregistered);
    }
}
