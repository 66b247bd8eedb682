//! GitVolumes and ClusterGitVolumes: watches that keep them in memory, so that no admission waits
//! for an API call, and the writing of their status.

mod conditions;
pub(crate) mod object;
pub mod status;
pub(crate) mod writes;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use inject::GitVolume;
use inject::Kind;
use kube::Api;
use kube::Client;
use kube::api::ApiResource;
use kube::api::DynamicObject;
use kube::runtime::watcher::Event;
use serde_json::Value;
use serde_json::json;

use crate::cluster::namespaces::Model;
use crate::cluster::namespaces::Namespaces;
use crate::cluster::objects::object::Key;
use crate::cluster::objects::object::Object;
use crate::cluster::watching;
use crate::cluster::watching::Contact;

pub use crate::cluster::objects::writes::Writes;

/// The API resource of a kind.
pub(crate) fn resource(kind: Kind) -> ApiResource {
    ApiResource {
        group: Kind::GROUP.to_owned(),
        version: Kind::VERSION.to_owned(),
        api_version: format!("{}/{}", Kind::GROUP, Kind::VERSION),
        kind: kind.to_string(),
        plural: kind.plural().to_owned(),
    }
}

/// Keeps the objects of a kind current; never returns.
pub async fn watch(namespaces: Arc<Namespaces>, kind: Kind, client: Client) -> Infallible {
    let api: Api<DynamicObject> = Api::all_with(client, &resource(kind));
    let nobody = Contact::new("the objects");
    let contact = namespaces.contact(kind).unwrap_or(&nobody);
    let mut listed = BTreeMap::new();
    let take = |event| take(&namespaces, kind, &mut listed, event);
    watching::watch(api, contact, take).await
}

pub(crate) fn take(
    namespaces: &Namespaces,
    kind: Kind,
    listed: &mut BTreeMap<Key, Object>,
    event: Event<DynamicObject>,
) {
    match event {
        Event::Init => listed.clear(),
        Event::InitApply(object) => {
            let (key, object) = read(kind, object);
            listed.insert(key, object);
        }
        Event::InitDone => {
            let mut model = namespaces.model();
            let is_other = |key: &Key| key.namespace.is_some() != (kind == Kind::GitVolume);
            model.objects.retain(|key, _| is_other(key));
            model.objects.append(listed);
            namespaces.renew_all(&model);
        }
        Event::Apply(object) => {
            let (key, object) = read(kind, object);
            let mut model = namespaces.model();
            let old = model.objects.insert(key.clone(), object);
            let new = model.objects.get(&key).map(|object| &object.volume);
            // A changed status alone makes no difference to any Pod.
            if old.as_ref().map(|old| &old.volume) != new {
                renew(namespaces, &model, &key);
            }
        }
        Event::Delete(object) => {
            let (key, _) = read(kind, object);
            let mut model = namespaces.model();
            if model.objects.remove(&key).is_some() {
                renew(namespaces, &model, &key);
            }
        }
    }
}

fn renew(namespaces: &Namespaces, model: &Model, key: &Key) {
    match &key.namespace {
        Some(namespace) => namespaces.renew(model, namespace),
        None => namespaces.renew_all(model),
    }
}

/// Reduces a watched object to what decisions need; nearly all metadata is dropped.
pub(crate) fn read(kind: Kind, object: DynamicObject) -> (Key, Object) {
    let DynamicObject { metadata, data, .. } = object;
    let name = metadata.name.unwrap_or_default();
    let volume = GitVolume::read(&json!({
        "kind": kind.as_str(),
        "metadata": {
            "name": name,
            "namespace": metadata.namespace,
            "uid": metadata.uid,
            "generation": metadata.generation,
        },
        "spec": data["spec"],
    }));
    let told = data["status"]["conditions"].as_array();
    let told = told.into_iter().flatten();
    let told = told.filter_map(|condition: &Value| serde_json::from_value(condition.clone()).ok());
    let object = Object {
        volume: Arc::new(volume),
        told: told.collect(),
        observed_generation: data["status"]["observedGeneration"].as_i64(),
        resource_version: metadata.resource_version.unwrap_or_default(),
    };
    let namespace = metadata.namespace.filter(|_| kind == Kind::GitVolume);
    (Key { namespace, name }, object)
}
