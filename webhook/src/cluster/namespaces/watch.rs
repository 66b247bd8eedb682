//! The watch of Namespaces, and the parts of a Namespace that are cached.

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
use crate::cluster::namespaces::USERS;
use crate::cluster::watching;
use crate::cluster::watching::Contact;

/// Keeps the namespace cache current; never returns.
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

/// Applies an event. Most events change nothing that is cached and rebuild no view.
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
    /// The cached part of a namespace; `None` if it is empty.
    fn read(&self, namespace: PartialObjectMeta<core::Namespace>) -> (String, Option<Seen>) {
        let metadata = namespace.metadata;
        let annotations = metadata.annotations.unwrap_or_default();
        let has_uid_range = annotations.contains_key(USERS);
        let is_asked = self.objects.is_some();
        let labels = metadata.labels.filter(|_| is_asked).unwrap_or_default();
        let seen = Seen {
            labels: Arc::new(labels),
            has_uid_range,
        };
        let name = metadata.name.unwrap_or_default();
        (name, Some(seen).filter(|_| is_asked || has_uid_range))
    }
}
