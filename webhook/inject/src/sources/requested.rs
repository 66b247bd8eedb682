//! The requests of a Pod, by repository.

use std::sync::Arc;

use crate::GitVolume;
use crate::Key;
use crate::Mistake;
use crate::MountPath;
use crate::Name;
use crate::Request;
use crate::Scope;
use crate::keys::key::full_key;
use crate::model::place::Place;
use crate::model::request::Fields;
use crate::model::request::PodOptions;
use crate::model::role::Role;
use crate::sources::sourced::Origin;
use crate::sources::sourced::Values;

/// The requests of a Pod, by annotations and objects.
#[derive(Debug, Default)]
pub(crate) struct RequestedVolumes {
    /// The keys of each repository: the unnamed ones first, the others by name.
    pub(crate) groups: Vec<Group>,
    pub(crate) pod: PodOptions,
    /// The values of `pod`, with their origins.
    pub(crate) pod_values: Values,
    /// The first of the Pod's own keys that is about a repository.
    pub(crate) pod_key: Option<Key>,
    pub(crate) warnings: Vec<String>,
    pub(crate) mistakes: Vec<Mistake>,
    /// The objects that the Pod gets, in order of precedence.
    pub(crate) objects: Vec<Arc<GitVolume>>,
}

/// The keys of one repository.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) name: Option<Name>,
    /// The values that could be parsed.
    pub(crate) fields: Fields,
    /// The values of all keys, with their origins.
    pub(crate) values: Values,
    /// The keys with refused values.
    pub(crate) wrong: Vec<Key>,
    /// The object of this name that does not apply to the Pod, as a clause.
    pub(crate) passed_over: Option<String>,
}

impl Group {
    /// Whether the group has no address: then it may be about gitRepo volumes.
    pub(crate) fn has_no_repo(&self) -> bool {
        self.fields.repo.is_none() && self.values.get(Key::Repo).is_none()
    }
}

impl RequestedVolumes {
    /// The group of a repository.
    pub(crate) fn group(&self, name: Option<&Name>) -> Option<&Group> {
        let mut groups = self.groups.iter();
        groups.find(|group| group.name.as_ref() == name)
    }

    /// The name of a key in sentences, by its origin. A key without a value is named where it could
    /// be set: in the object that has the repository, or else in the Pod.
    pub(crate) fn key(&self, name: Option<&Name>, key: Key) -> String {
        let value = match key.row().scope {
            Scope::Repository => self.group(name).and_then(|group| group.values.get(key)),
            Scope::Pod | Scope::Status => self.pod_values.get(key),
        };
        if let Some(value) = value {
            return value.origin.of_key(key);
        }
        let mut objects = self.objects.iter().filter(|_| name.is_some());
        let origin = match objects.find(|object| object.repository() == name) {
            Some(object) => Origin::Object(Arc::clone(object)),
            None => Origin::Annotation(name.cloned()),
        };
        origin.of_key(key)
    }

    /// The repositories, and the mount paths of these and of repositories with mistakes. A group
    /// without an address is a mistake, unless it is about gitRepo volumes (of these names).
    pub(crate) fn requests(&mut self, git_repos: &[String]) -> (Vec<Request>, Vec<Place>) {
        let mut requests = Vec::new();
        let mut places = Vec::new();
        let mut without = Vec::new();
        for group in &self.groups {
            let Group {
                name,
                fields,
                values,
                wrong,
                passed_over,
            } = group;
            let is_about_volume = match name {
                None => !git_repos.is_empty(),
                Some(name) => git_repos.iter().any(|volume| volume == name.as_str()),
            };
            if group.has_no_repo() && is_about_volume {
                continue;
            }
            if !wrong.contains(&Key::MountPath) {
                let path = fields.mount_path.clone();
                let path = path.unwrap_or_else(|| MountPath::default_for(name.as_ref()));
                places.push(Place {
                    key: self.key(name.as_ref(), Key::MountPath),
                    path,
                    role: Role::of_mode(fields.mode.unwrap_or_default()),
                });
            }
            if let Some(first) = values.first_key().filter(|_| group.has_no_repo()) {
                let said = self.key(name.as_ref(), first);
                let also = passed_over.as_deref();
                without.push(without_repo(name.as_ref(), &said, also));
            }
            if wrong.is_empty() {
                requests.extend(fields.clone().resolve(name.clone()));
            }
        }
        // The Pod's own keys have no effect without a repository.
        let nothing = self.groups.is_empty() && git_repos.is_empty();
        if let Some(key) = self.pod_key.filter(|_| nothing) {
            without.push(without_repo(None, &full_key(None, key), None));
        }
        self.mistakes.splice(0..0, without);
        (requests, places)
    }
}

/// The mistake of a repository with other keys but without an address.
fn without_repo(name: Option<&Name>, said: &str, also: Option<&str>) -> Mistake {
    let also = also.map(|also| format!("; {also}")).unwrap_or_default();
    let sentence = format!(
        "{}: missing, but {said} is set{also}; expected {}",
        full_key(name, Key::Repo),
        Key::Repo.row().grammar
    );
    Mistake::new(Key::Repo, sentence)
}
