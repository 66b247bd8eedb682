//! What is known of the cluster's namespaces, so that no admission waits for a call of ours: which of
//! them hand out ranges of users, which are covered by auto-injection, and the objects that are for
//! each. It is put together when something changes, and only looked up when a Pod comes.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::time::Duration;

use inject::GitVolume;
use inject::Kind;
use inject::Namespace;
use inject::Settings;
use k8s_openapi::api::core::v1 as core;
use kube::Api;
use kube::Client;
use kube::api::PartialObjectMeta;
use kube::runtime::watcher::Event;
use tokio::sync::Notify;

use crate::coverage::Coverage;
use crate::coverage::NAME;
use crate::objects::Key;
use crate::objects::Object;
use crate::objects::Writes;
use crate::watching;
use crate::watching::Contact;
pub use crate::watching::SILENCE;

/// OpenShift's range of users for the Pods of a namespace
/// (<https://docs.redhat.com/en/documentation/openshift_container_platform/4.20/html/authentication_and_authorization/managing-pod-security-policies>).
pub(crate) const USERS: &str = "openshift.io/sa.scc.uid-range";

/// What is known of the namespaces. Losing the API server changes nothing here: what was last known
/// counts.
#[derive(Debug, Default)]
pub struct Namespaces {
    /// `None` where nobody watches.
    contact: Option<Contact>,
    objects: Option<Objects>,
    model: Mutex<Model>,
    views: RwLock<Views>,
    changed: Notify,
    /// What became of the statuses of objects.
    pub writes: Writes,
}

/// What is there where objects are watched.
#[derive(Debug)]
struct Objects {
    coverage: Coverage,
    contacts: [Contact; 2],
}

/// What was seen of the cluster.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) namespaces: HashMap<String, Seen>,
    pub(crate) objects: BTreeMap<Key, Object>,
}

/// What was seen of a namespace; its labels only where somebody asks for them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) hands_out_users: bool,
}

/// What an admission looks up.
#[derive(Debug, Default)]
struct Views {
    known: HashMap<String, Namespace>,
    /// All ClusterGitVolumes.
    everywhere: Volumes,
}

type Volumes = Arc<[Arc<GitVolume>]>;

impl Namespaces {
    /// Nothing is known of any namespace but by its Pods, and nothing is waited for.
    pub fn unwatched() -> Arc<Self> {
        Arc::default()
    }

    /// To be filled by [`watch`]; until it has listed them all, we are not ready.
    pub fn watched() -> Arc<Self> {
        Arc::new(Self {
            contact: Some(Contact::new("the namespaces")),
            ..Self::default()
        })
    }

    /// The same, with the objects that are for them, which [`crate::objects::watch`] fills in.
    pub fn with_objects(coverage: Coverage) -> Arc<Self> {
        let contacts = ["the GitVolumes", "the ClusterGitVolumes"].map(Contact::new);
        Arc::new(Self {
            contact: Some(Contact::new("the namespaces")),
            objects: Some(Objects { coverage, contacts }),
            ..Self::default()
        })
    }

    /// What is known of a namespace.
    pub fn get(&self, name: &str) -> Namespace {
        let views = self.views();
        match views.known.get(name) {
            Some(known) => known.clone(),
            None if views.everywhere.is_empty() => Namespace::default(),
            None => {
                // So new that no watch has told of it: it has the label that every one has.
                let everywhere = Arc::clone(&views.everywhere);
                drop(views);
                self.new_one(name, &everywhere)
            }
        }
    }

    fn new_one(&self, name: &str, everywhere: &[Arc<GitVolume>]) -> Namespace {
        let labels = BTreeMap::from([(NAME.to_owned(), name.to_owned())]);
        let covering = everywhere.iter().filter(|own| own.covers(name, &labels));
        Namespace {
            hands_out_users: false,
            is_covered: self.is_covered(name, &labels),
            volumes: covering.cloned().collect(),
        }
    }

    /// What keeps us from answering, in words; `None` when nothing does.
    pub fn missing(&self) -> Option<&'static str> {
        let is_missing = |contact: &Contact| !contact.is_listed();
        if self.contact.as_ref().is_some_and(is_missing) {
            return Some("the namespaces are not listed yet");
        }
        let mut contacts = self.objects.iter().flat_map(|objects| &objects.contacts);
        let is_missing = contacts.any(is_missing);
        is_missing.then_some("the GitVolumes and ClusterGitVolumes are not listed yet")
    }

    /// How long changes of namespaces have not been heard of; zero while they are, or where nobody
    /// watches.
    pub fn stale(&self) -> Duration {
        let contact = self.contact.as_ref();
        contact.map_or(Duration::ZERO, Contact::stale)
    }

    /// How long changes of objects have not been heard of; zero while they are, or where nobody
    /// watches.
    pub fn objects_stale(&self) -> Duration {
        let contacts = self.objects.iter().flat_map(|objects| &objects.contacts);
        contacts.map(Contact::stale).max().unwrap_or_default()
    }

    /// How many namespaces hand out users.
    pub fn with_users(&self) -> usize {
        let views = self.views();
        let with_users = views.known.values().filter(|known| known.hands_out_users);
        with_users.count()
    }

    /// How many objects of a kind there are that can be used, and how many that cannot.
    pub fn count(&self, kind: Kind, settings: &Settings) -> (usize, usize) {
        let model = self.model();
        let own = model.objects.values().map(|object| &object.volume);
        let (accepted, refused): (Vec<_>, Vec<_>) = own
            .filter(|volume| volume.kind() == kind)
            .partition(|volume| volume.accepted(settings).is_ok());
        (accepted.len(), refused.len())
    }

    /// Which namespaces auto-injection is for; every one where no objects are watched.
    pub(crate) fn coverage(&self) -> Coverage {
        let objects = self.objects.as_ref();
        objects.map_or_else(Coverage::default, |objects| objects.coverage.clone())
    }

    /// Waits until something has changed since the last wait.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// How we stand with the objects of a kind, where they are watched.
    pub(crate) fn contact(&self, kind: Kind) -> Option<&Contact> {
        let [namespaced, cluster] = &self.objects.as_ref()?.contacts;
        Some(match kind {
            Kind::GitVolume => namespaced,
            Kind::ClusterGitVolume => cluster,
        })
    }

    fn is_covered(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        let objects = self.objects.as_ref();
        objects.is_some_and(|objects| objects.coverage.covers(name, labels))
    }

    /// What was seen; no admission waits for it.
    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        // Each change is whole, so a panic between two leaves nothing half done.
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn views(&self) -> RwLockReadGuard<'_, Views> {
        self.views.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts together anew what is known of one namespace.
    pub(crate) fn renew(&self, model: &Model, name: &str) {
        let view = self.view(model, name, &model.everywhere(), &mut HashMap::new());
        let mut views = self.views.write().unwrap_or_else(PoisonError::into_inner);
        match view {
            Some(view) => drop(views.known.insert(name.to_owned(), view)),
            None => drop(views.known.remove(name)),
        }
        drop(views);
        self.changed.notify_one();
    }

    /// Puts together anew what is known of all of them.
    pub(crate) fn renew_all(&self, model: &Model) {
        let everywhere = model.everywhere();
        let mut shared = HashMap::new();
        let objects = model
            .objects
            .keys()
            .filter_map(|key| key.namespace.as_ref());
        let mut known = HashMap::new();
        for name in model.namespaces.keys().chain(objects) {
            if !known.contains_key(name)
                && let Some(view) = self.view(model, name, &everywhere, &mut shared)
            {
                known.insert(name.clone(), view);
            }
        }
        let views = Views {
            known,
            everywhere: everywhere.into_iter().collect(),
        };
        let mut old = self.views.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *old, views);
        drop(old);
        self.changed.notify_one();
    }

    /// `None` for a namespace that nothing is known of. Namespaces of the same objects share their
    /// list.
    fn view(
        &self,
        model: &Model,
        name: &str,
        everywhere: &[Arc<GitVolume>],
        shared: &mut HashMap<Vec<usize>, Volumes>,
    ) -> Option<Namespace> {
        let seen = model.namespaces.get(name);
        let own: Vec<Arc<GitVolume>> = model.of_namespace(name).collect();
        if seen.is_none() && own.is_empty() {
            return None;
        }
        let unseen = || Seen {
            labels: BTreeMap::from([(NAME.to_owned(), name.to_owned())]),
            hands_out_users: false,
        };
        let Seen {
            labels,
            hands_out_users,
        } = seen.cloned().unwrap_or_else(unseen);
        let covering = everywhere.iter().enumerate();
        let covering = covering.filter(|(_, volume)| volume.covers(name, &labels));
        let volumes = match own.is_empty() {
            false => {
                let covering = covering.map(|(_, volume)| Arc::clone(volume));
                own.into_iter().chain(covering).collect()
            }
            true => {
                let covering: Vec<usize> = covering.map(|(index, _)| index).collect();
                let list = || -> Volumes {
                    let list = covering.iter().map(|index| Arc::clone(&everywhere[*index]));
                    list.collect()
                };
                Arc::clone(shared.entry(covering.clone()).or_insert_with(list))
            }
        };
        Some(Namespace {
            hands_out_users,
            is_covered: self.is_covered(name, &labels),
            volumes,
        })
    }
}

impl Model {
    fn everywhere(&self) -> Vec<Arc<GitVolume>> {
        self.below(None).collect()
    }

    fn of_namespace(&self, name: &str) -> impl Iterator<Item = Arc<GitVolume>> {
        self.below(Some(name.to_owned()))
    }

    fn below(&self, namespace: Option<String>) -> impl Iterator<Item = Arc<GitVolume>> {
        let first = Key {
            namespace: namespace.clone(),
            name: String::new(),
        };
        let from = self.objects.range(first..);
        from.take_while(move |(key, _)| key.namespace == namespace)
            .map(|(_, object)| Arc::clone(&object.volume))
    }
}

/// Keeps it current, for ever.
pub async fn watch(namespaces: Arc<Namespaces>, client: Client) -> Infallible {
    let api: Api<PartialObjectMeta<core::Namespace>> = Api::all(client);
    let nobody = Contact::new("the namespaces");
    let contact = namespaces.contact.as_ref().unwrap_or(&nobody);
    let mut listed = HashMap::new();
    let take = |event| take(&namespaces, &mut listed, event);
    watching::watch(api, contact, take).await
}

fn take(
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use serde_json::json;

    fn namespaces() -> Arc<Namespaces> {
        Namespaces::with_objects("auto=on".parse().unwrap())
    }

    fn see(namespaces: &Namespaces, name: &str, labels: Value) {
        let metadata = json!({"metadata": {"name": name, "labels": labels}});
        let event = Event::Apply(serde_json::from_value(metadata).unwrap());
        take(namespaces, &mut HashMap::new(), event);
    }

    fn add(namespaces: &Namespaces, namespace: Option<&str>, name: &str, selector: Value) {
        let kind = match namespace {
            Some(_) => Kind::GitVolume,
            None => Kind::ClusterGitVolume,
        };
        let object = json!({
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"repo": "https://git.example/x.git", "namespaceSelector": selector},
        });
        let event = Event::Apply(serde_json::from_value(object).unwrap());
        crate::objects::take(namespaces, kind, &mut BTreeMap::new(), event);
    }

    fn names(namespace: &Namespace) -> Vec<&str> {
        namespace.volumes.iter().map(|own| own.name()).collect()
    }

    #[test]
    fn a_namespace_has_its_own_objects_and_those_that_select_it() {
        let namespaces = namespaces();
        see(&namespaces, "shop", json!({"team": "web", "auto": "on"}));
        see(&namespaces, "bank", json!({"team": "money"}));
        add(&namespaces, Some("shop"), "site", Value::Null);
        add(&namespaces, None, "everywhere", Value::Null);
        add(
            &namespaces,
            None,
            "web",
            json!({"matchLabels": {"team": "web"}}),
        );
        let shop = namespaces.get("shop");
        assert_eq!(names(&shop), ["site", "everywhere", "web"]);
        assert!(shop.is_covered);
        let bank = namespaces.get("bank");
        assert_eq!(names(&bank), ["everywhere"]);
        assert!(!bank.is_covered);

        see(&namespaces, "bank", json!({"team": "web", "auto": "on"}));
        assert_eq!(names(&namespaces.get("bank")), ["everywhere", "web"]);
        assert!(namespaces.get("bank").is_covered);
    }

    #[test]
    fn a_namespace_that_nobody_has_told_of_has_what_every_one_has() {
        let namespaces = namespaces();
        assert_eq!(namespaces.get("new"), Namespace::default());
        add(&namespaces, None, "everywhere", Value::Null);
        let named = json!({"matchLabels": {"kubernetes.io/metadata.name": "new"}});
        add(&namespaces, None, "named", named);
        add(
            &namespaces,
            None,
            "web",
            json!({"matchLabels": {"team": "web"}}),
        );
        assert_eq!(names(&namespaces.get("new")), ["everywhere", "named"]);
        add(&namespaces, Some("new"), "site", Value::Null);
        assert_eq!(
            names(&namespaces.get("new")),
            ["site", "everywhere", "named"]
        );
    }

    #[test]
    fn namespaces_of_the_same_objects_share_one_list() {
        let namespaces = namespaces();
        for name in ["a", "b"] {
            see(&namespaces, name, json!({}));
        }
        add(&namespaces, None, "everywhere", Value::Null);
        let (a, b) = (namespaces.get("a").volumes, namespaces.get("b").volumes);
        assert!(Arc::ptr_eq(&a, &b));
    }
}
