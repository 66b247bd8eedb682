//! What the API server tells of namespaces, and what of it counts.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use kube::Api;
use kube::Client;
use kube::api::PartialObjectMeta;
use kube::runtime::watcher::Event;

use super::Namespaces;
use super::Seen;
use crate::watching;
use crate::watching::Contact;

/// OpenShift's range of users for the Pods of a namespace
/// (<https://docs.redhat.com/en/documentation/openshift_container_platform/4.20/html/authentication_and_authorization/managing-pod-security-policies>).
pub(crate) const USERS: &str = "openshift.io/sa.scc.uid-range";

/// Keeps it current, for ever.
pub async fn watch(namespaces: Arc<Namespaces>, client: Client) -> Infallible {
    let api: Api<PartialObjectMeta<core::Namespace>> = Api::all(client);
    let nobody = Contact::new("the namespaces");
    let contact = namespaces.contact.as_ref().unwrap_or(&nobody);
    let mut listed = HashMap::new();
    let take = |event| take(&namespaces, &mut listed, event);
    watching::watch(api, contact, take).await
}

pub(super) fn take(
    namespaces: &Namespaces,
    listed: &mut HashMap<String, Seen>,
    event: Event<PartialObjectMeta<core::Namespace>>,
) {
    match event {
        Event::Init => listed.clear(),
        Event::InitApply(namespace) => {
            if let (name, Some(seen)) = namespaces.read(namespace) {
                listed.insert(name, seen);
            }
        }
        Event::InitDone => {
            let mut model = namespaces.model();
            model.namespaces = std::mem::take(listed);
            namespaces.renew_all(&model);
        }
        Event::Apply(namespace) => {
            let (name, seen) = namespaces.read(namespace);
            change(namespaces, name, seen);
        }
        Event::Delete(namespace) => {
            let (name, _) = namespaces.read(namespace);
            change(namespaces, name, None);
        }
    }
}

/// Most events change nothing that counts here: then nobody waits.
fn change(namespaces: &Namespaces, name: String, seen: Option<Seen>) {
    let mut model = namespaces.model();
    if model.namespaces.get(&name) == seen.as_ref() {
        return;
    }
    match seen {
        Some(seen) => drop(model.namespaces.insert(name.clone(), seen)),
        None => drop(model.namespaces.remove(&name)),
    }
    namespaces.renew(&model, &name);
}

impl Namespaces {
    /// What counts of a namespace; `None` where nothing does.
    fn read(&self, namespace: PartialObjectMeta<core::Namespace>) -> (String, Option<Seen>) {
        let metadata = namespace.metadata;
        let annotations = metadata.annotations.unwrap_or_default();
        let hands_out_users = annotations.contains_key(USERS);
        let is_asked = self.objects.is_some();
        let labels = metadata.labels.filter(|_| is_asked).unwrap_or_default();
        let seen = Seen {
            labels,
            hands_out_users,
        };
        let name = metadata.name.unwrap_or_default();
        (name, Some(seen).filter(|_| is_asked || hands_out_users))
    }
}
