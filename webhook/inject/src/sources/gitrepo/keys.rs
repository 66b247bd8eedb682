//! The annotations about a Pod's gitRepo volumes.

use args::Submodules;

use crate::Key;
use crate::Medium;
use crate::Mistake;
use crate::keys::key::full_key;
use crate::keys::value::shown;
use crate::model::request::DEFAULT_DEPTH;
use crate::model::request::DEFAULT_PERIOD;
use crate::model::request::Fields;
use crate::model::request::GitRepoMode;
use crate::sources::gitrepo::volume::Follow;
use crate::sources::gitrepo::volume::follow_key;
use crate::sources::requested::Group;
use crate::sources::requested::RequestedVolumes;
use crate::sources::sourced::Values;

/// The keys that apply to a volume that is cloned once.
const OF_A_CLONE: [Key; 4] = [Key::Secret, Key::Timeout, Key::SizeLimit, Key::Medium];

/// The additional keys that apply to a followed volume.
const OF_A_FOLLOWED: [Key; 8] = [
    Key::Period,
    Key::MaxStaleness,
    Key::Depth,
    Key::Filter,
    Key::Submodules,
    Key::SparseCheckout,
    Key::Lfs,
    Key::Notify,
];

/// The keys for one volume: those with its name, or else the unnamed ones. Keys of a group with a
/// `repo` belong to that repository.
pub(super) struct Keys {
    fields: Fields,
    values: Values,
}

impl Keys {
    pub(super) fn of(volume: &str, requested: &RequestedVolumes) -> Self {
        let groups = || requested.groups.iter().filter(|group| group.has_no_repo());
        let own = groups().find(|group| is_named(group, volume));
        let unnamed = groups().find(|group| group.name.is_none());
        let groups = own.into_iter().chain(unnamed);
        let values = groups.fold(Values::default(), |all, group| all.or(&group.values));
        Self {
            fields: values.fields(),
            values,
        }
    }

    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    pub(super) fn values(&self) -> &Values {
        &self.values
    }

    pub(super) fn medium(&self) -> Medium {
        self.fields.medium.unwrap_or_default()
    }

    /// The settings of a followed volume: those of a repository, except that submodules, which the
    /// kubelet did not fetch, are off by default.
    pub(super) fn follow(&self) -> Follow {
        let fields = self.fields.clone();
        Follow {
            period: fields.period.unwrap_or(DEFAULT_PERIOD),
            max_staleness: fields.max_staleness,
            depth: fields.depth.unwrap_or(DEFAULT_DEPTH),
            submodules: fields.submodules.unwrap_or(Submodules::Off),
            filter: fields.filter,
            lfs: fields.lfs.unwrap_or_default(),
            sparse_checkout: fields.sparse_checkout,
            notify: fields.notify,
        }
    }
}

/// The mistakes of keys that do not apply to their volumes: their author expects an effect that
/// they do not have.
pub(super) fn mistakes(
    names: &[String],
    requested: &RequestedVolumes,
    mode: GitRepoMode,
) -> Vec<Mistake> {
    let is_meant = |group: &&Group| {
        let is_named = names.iter().any(|name| is_named(group, name));
        group.has_no_repo() && (group.name.is_none() || is_named)
    };
    let groups = requested.groups.iter().filter(is_meant);
    groups.flat_map(|group| mistakes_of(group, mode)).collect()
}

fn is_named(group: &Group, volume: &str) -> bool {
    let name = group.name.as_ref();
    name.is_some_and(|name| name.as_str() == volume)
}

fn mistakes_of(group: &Group, mode: GitRepoMode) -> Vec<Mistake> {
    let of_a_clone = OF_A_CLONE.map(Key::as_str).join(", ");
    let of_a_followed = OF_A_FOLLOWED.map(Key::as_str).join(", ");
    let what = match &group.name {
        Some(name) => format!("gitRepo volume {}", shown(name.as_str())),
        None => "gitRepo volumes".to_owned(),
    };
    let sentence = |key: Key| {
        let full = full_key(group.name.as_ref(), key);
        let repo = full_key(group.name.as_ref(), Key::Repo);
        let sentence = match mode {
            GitRepoMode::Follow => format!(
                "{full}: does not apply to {what}; expected {of_a_clone}, {of_a_followed}, or \
                 {repo} as well"
            ),
            _ if OF_A_FOLLOWED.contains(&key) => format!(
                "{full}: does not apply to {what}, which is cloned only once; expected {} as well",
                follow_key()
            ),
            _ => format!(
                "{full}: does not apply to {what}; expected {of_a_clone}, or {repo} as well"
            ),
        };
        Mistake::new(key, sentence)
    };
    let is_known = |key: Key| {
        OF_A_CLONE.contains(&key) || mode == GitRepoMode::Follow && OF_A_FOLLOWED.contains(&key)
    };
    let keys = group.values.iter().map(|(key, _)| key);
    let accepted = keys.filter(|key| !group.wrong.contains(key));
    let unknown = accepted.filter(|key| !is_known(*key));
    unknown.map(sentence).collect()
}
