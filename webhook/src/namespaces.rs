//! What is known of the cluster's namespaces, so that no admission waits for a call of ours: which of
//! them hand out ranges of users, which are covered by auto-injection, and the objects that are for
//! each. It is put together when something changes, and only looked up when a Pod comes.

mod watch;

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

pub(crate) use self::watch::USERS;
pub use self::watch::watch;
use crate::coverage::AutoInjection;
use crate::objects::Key;
use crate::objects::Object;
use crate::objects::Writes;
use crate::watching::Contact;
pub use crate::watching::SILENCE;

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
    /// The entry of our registration, which [`crate::registration::watch`] keeps current.
    auto_injection: RwLock<AutoInjection>,
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

    /// What is known of a namespace; `None` of one that objects may be for and that the watch has not
    /// told of yet: it is created a moment before its first Pod.
    pub fn get(&self, name: &str) -> Option<Namespace> {
        let known = self.views().known.get(name).cloned();
        match &self.objects {
            Some(_) => known,
            None => Some(known.unwrap_or_default()),
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

    /// The registration's entry for auto-injection, as it was last seen.
    pub(crate) fn auto_injection(&self) -> AutoInjection {
        let objects = self.objects.as_ref();
        objects.map_or_else(AutoInjection::default, |objects| {
            let known = objects.auto_injection.read();
            known.unwrap_or_else(PoisonError::into_inner).clone()
        })
    }

    /// Takes note of the registration's entry for auto-injection.
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

    /// Takes note that the registration cannot be read: what was last known counts.
    pub(crate) fn registration_is_unreadable(&self) {
        if self.auto_injection() == AutoInjection::Unread {
            self.set_auto_injection(AutoInjection::Unreadable);
        }
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

    /// Puts together anew what is known of all of them.
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

/// `None` for a namespace that no watch has told of. Namespaces of the same objects share their list.
fn view(
    model: &Model,
    name: &str,
    auto_injection: &AutoInjection,
    everywhere: &[Arc<GitVolume>],
    shared: &mut HashMap<Vec<usize>, Volumes>,
) -> Option<Namespace> {
    let Seen {
        labels,
        hands_out_users,
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
        hands_out_users: *hands_out_users,
        is_covered: auto_injection.covers(labels),
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

#[cfg(test)]
mod tests;
