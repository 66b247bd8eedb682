//! Cache of the cluster's namespaces, so that no admission waits for an API call: which namespaces
//! have a UID range, which ones auto-injection covers, and the objects that apply to each. A change
//! in the cluster rebuilds the views; an admission only looks one up.

pub mod watch;

use std::collections::BTreeMap;
use std::collections::HashMap;
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
use tokio::sync::Notify;

use crate::cluster::coverage::AutoInjection;
use crate::cluster::objects::object::Key;
use crate::cluster::objects::object::Object;
use crate::cluster::objects::writes::Writes;
use crate::cluster::watching::Contact;

pub use crate::cluster::watching::SILENCE;

/// The namespace cache. While the API server is unreachable, the last known state stays in force.
#[derive(Debug, Default)]
pub struct Namespaces {
    /// The state of the namespace watch; `None` without one.
    contact: Option<Contact>,
    objects: Option<Objects>,
    model: Mutex<Model>,
    views: RwLock<Views>,
    changed: Notify,
    /// Counters of status writes.
    pub writes: Writes,
}

/// State that exists only where objects are watched.
#[derive(Debug)]
struct Objects {
    /// The registration's entry for auto-injection, kept current by
    /// [`crate::cluster::registration::watch`].
    auto_injection: RwLock<AutoInjection>,
    contacts: [Contact; 2],
}

/// The state of the cluster as the watches reported it.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) namespaces: HashMap<String, Seen>,
    pub(crate) objects: BTreeMap<Key, Object>,
}

/// A namespace as the watch reported it; labels only where objects are watched.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) labels: Arc<BTreeMap<String, String>>,
    pub(crate) has_uid_range: bool,
}

/// The precomputed views that an admission looks up.
#[derive(Debug, Default)]
struct Views {
    known: HashMap<String, Namespace>,
}

type Volumes = Arc<[Arc<GitVolume>]>;

impl Namespaces {
    /// A cache without a watch: it is always ready and knows no namespace.
    pub fn unwatched() -> Arc<Self> {
        Arc::default()
    }

    /// A cache that [`watch`] fills; the replica is not ready until the first list is complete.
    pub fn watched() -> Arc<Self> {
        Arc::new(Self {
            contact: Some(Contact::new("the namespaces")),
            ..Self::default()
        })
    }

    /// The same, with the objects of each namespace, which [`crate::cluster::objects::watch`] adds.
    pub fn with_objects() -> Arc<Self> {
        let contacts = ["the GitVolumes", "the ClusterGitVolumes"].map(Contact::new);
        Arc::new(Self {
            contact: Some(Contact::new("the namespaces")),
            objects: Some(Objects {
                auto_injection: RwLock::default(),
                contacts,
            }),
            ..Self::default()
        })
    }

    /// The view of a namespace. `None` where objects are watched and the watch has not reported
    /// this namespace yet: a namespace is often created just before its first Pod.
    pub fn get(&self, name: &str) -> Option<Namespace> {
        let known = self.views().known.get(name).cloned();
        match &self.objects {
            Some(_) => known,
            None => Some(known.unwrap_or_default()),
        }
    }

    /// The reason why the replica is not ready; `None` when it is.
    pub fn missing(&self) -> Option<&'static str> {
        let is_missing = |contact: &Contact| !contact.is_listed();
        if self.contact.as_ref().is_some_and(is_missing) {
            return Some("the namespaces are not listed yet");
        }
        let mut contacts = self.objects.iter().flat_map(|objects| &objects.contacts);
        let is_missing = contacts.any(is_missing);
        is_missing.then_some("the GitVolumes and ClusterGitVolumes are not listed yet")
    }

    /// Time since the namespace watch was lost; zero while it works, or without a watch.
    pub fn stale(&self) -> Duration {
        let contact = self.contact.as_ref();
        contact.map_or(Duration::ZERO, Contact::stale)
    }

    /// Time since an object watch was lost; zero while both work, or without a watch.
    pub fn objects_stale(&self) -> Duration {
        let contacts = self.objects.iter().flat_map(|objects| &objects.contacts);
        contacts.map(Contact::stale).max().unwrap_or_default()
    }

    /// The number of namespaces with a UID range.
    pub fn with_users(&self) -> usize {
        let views = self.views();
        let with_users = views.known.values().filter(|known| known.has_uid_range);
        with_users.count()
    }

    /// The numbers of accepted and of rejected objects of a kind.
    pub fn count(&self, kind: Kind, settings: &Settings) -> (usize, usize) {
        let model = self.model();
        let own = model.objects.values().map(|object| &object.volume);
        let (accepted, refused): (Vec<_>, Vec<_>) = own
            .filter(|volume| volume.kind() == kind)
            .partition(|volume| volume.accepted(settings).is_ok());
        (accepted.len(), refused.len())
    }

    /// The registration's entry for auto-injection, as last read.
    pub(crate) fn auto_injection(&self) -> AutoInjection {
        let objects = self.objects.as_ref();
        objects.map_or_else(AutoInjection::default, |objects| {
            let known = objects.auto_injection.read();
            known.unwrap_or_else(PoisonError::into_inner).clone()
        })
    }

    /// Stores the registration's entry for auto-injection.
    pub fn set_auto_injection(&self, found: AutoInjection) {
        let Some(objects) = &self.objects else { return };
        let model = self.model();
        let mut known = objects
            .auto_injection
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if *known == found {
            return;
        }
        *known = found;
        drop(known);
        self.renew_all(&model);
    }

    /// Records that the registration cannot be read. An entry that was read before stays in force.
    pub(crate) fn registration_is_unreadable(&self) {
        if self.auto_injection() == AutoInjection::Unread {
            self.set_auto_injection(AutoInjection::Unreadable);
        }
    }

    /// Waits for the next change since the last call.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The watch state of a kind; `None` where objects are not watched.
    pub(crate) fn contact(&self, kind: Kind) -> Option<&Contact> {
        let [namespaced, cluster] = &self.objects.as_ref()?.contacts;
        Some(match kind {
            Kind::GitVolume => namespaced,
            Kind::ClusterGitVolume => cluster,
        })
    }

    /// The cluster state. Admissions never take this lock.
    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        // Every change is made in one step, so a panic leaves no inconsistent state.
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn views(&self) -> RwLockReadGuard<'_, Views> {
        self.views.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rebuilds the view of one namespace.
    pub(crate) fn renew(&self, model: &Model, name: &str) {
        let auto = self.auto_injection();
        let view = view(model, name, &auto, &model.everywhere(), &mut HashMap::new());
        let mut views = self.views.write().unwrap_or_else(PoisonError::into_inner);
        match view {
            Some(view) => drop(views.known.insert(name.to_owned(), view)),
            None => drop(views.known.remove(name)),
        }
        drop(views);
        self.changed.notify_one();
    }

    /// Rebuilds the views of all namespaces.
    pub(crate) fn renew_all(&self, model: &Model) {
        let auto = self.auto_injection();
        let everywhere = model.everywhere();
        let mut shared = HashMap::new();
        let known = model.namespaces.keys().filter_map(|name| {
            let view = view(model, name, &auto, &everywhere, &mut shared)?;
            Some((name.clone(), view))
        });
        let views = Views {
            known: known.collect(),
        };
        let mut old = self.views.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *old, views);
        drop(old);
        self.changed.notify_one();
    }
}

/// Builds the view of a namespace; `None` if no watch has reported it. Namespaces with the same
/// objects share one list.
fn view(
    model: &Model,
    name: &str,
    auto_injection: &AutoInjection,
    everywhere: &[Arc<GitVolume>],
    shared: &mut HashMap<Vec<usize>, Volumes>,
) -> Option<Namespace> {
    let Seen {
        labels,
        has_uid_range,
    } = model.namespaces.get(name)?;
    let own: Vec<Arc<GitVolume>> = model.of_namespace(name).collect();
    let covering = everywhere.iter().enumerate();
    let covering = covering.filter(|(_, volume)| volume.covers(name, labels));
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
        // Every namespace has a label, so without any they are not watched.
        labels: (!labels.is_empty()).then(|| Arc::clone(labels)),
        has_uid_range: *has_uid_range,
        is_auto_injected: auto_injection.covers(labels),
        volumes,
    })
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

/// The annotation with the UID range that OpenShift assigns to a namespace
/// (<https://docs.redhat.com/en/documentation/openshift_container_platform/4.20/html/authentication_and_authorization/managing-pod-security-policies>).
pub const USERS: &str = "openshift.io/sa.scc.uid-range";

#[cfg(test)]
mod tests;
