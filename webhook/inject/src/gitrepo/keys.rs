//! What a Pod's annotations say about its gitRepo volumes.

use crate::Medium;
use crate::Mistake;
use crate::annotations::Asked;
use crate::annotations::Group;
use crate::annotations::full_key;
use crate::gitrepo::Follow;
use crate::gitrepo::follow_key;
use crate::request::DEFAULT_DEPTH;
use crate::request::DEFAULT_PERIOD;
use crate::request::Fields;
use crate::request::GitRepoMode;
use crate::value::shown;
use args::Submodules;

/// The keys that mean something for a volume that is cloned once.
const OF_A_CLONE: [&str; 4] = ["secret", "timeout", "size-limit", "medium"];

/// And those that a followed one has beside them.
const OF_A_FOLLOWED: [&str; 6] = [
    "period",
    "depth",
    "filter",
    "submodules",
    "sparse-checkout",
    "notify",
];

/// What is said about one volume: by the keys that begin with its name, else by the unnamed ones.
/// Keys beside a `repo` are that repository's.
pub(super) struct Keys(Fields);

impl Keys {
    pub(super) fn of(volume: &str, asked: &Asked) -> Self {
        let groups = || asked.groups.iter().filter(|group| is_about_volumes(group));
        let own = groups().find(|group| is_named(group, volume));
        let unnamed = groups().find(|group| group.name.is_none());
        let own = own.map(|group| group.fields.clone()).unwrap_or_default();
        let unnamed = unnamed
            .map(|group| group.fields.clone())
            .unwrap_or_default();
        // Taken apart without `..`: a key that is forgotten here does not compile.
        let Fields {
            repo: _,
            rev: _,
            mount_path: _,
            link: _,
            subdir: _,
            mode: _,
            period,
            timeout,
            depth,
            submodules,
            sparse_checkout,
            filter,
            secret,
            read_only: _,
            notify,
            size_limit,
            medium,
        } = own;
        Self(Fields {
            period: period.or(unnamed.period),
            timeout: timeout.or(unnamed.timeout),
            depth: depth.or(unnamed.depth),
            submodules: submodules.or(unnamed.submodules),
            sparse_checkout: sparse_checkout.or(unnamed.sparse_checkout),
            filter: filter.or(unnamed.filter),
            secret: secret.or(unnamed.secret),
            notify: notify.or(unnamed.notify),
            size_limit: size_limit.or(unnamed.size_limit),
            medium: medium.or(unnamed.medium),
            ..Fields::default()
        })
    }

    pub(super) fn fields(&self) -> &Fields {
        &self.0
    }

    pub(super) fn medium(&self) -> Medium {
        self.0.medium.unwrap_or_default()
    }

    /// How the volume is followed: as a repository of the annotations is, but that submodules, which
    /// the kubelet did not fetch, are asked for.
    pub(super) fn follow(&self) -> Follow {
        let fields = self.0.clone();
        Follow {
            period: fields.period.unwrap_or(DEFAULT_PERIOD),
            depth: fields.depth.unwrap_or(DEFAULT_DEPTH),
            submodules: fields.submodules.unwrap_or(Submodules::Off),
            filter: fields.filter,
            sparse_checkout: fields.sparse_checkout,
            notify: fields.notify,
        }
    }
}

/// The keys that mean nothing for the volumes that they are about: somebody expects something of
/// them that will not come.
pub(super) fn mistakes(names: &[String], asked: &Asked, mode: GitRepoMode) -> Vec<Mistake> {
    let is_meant = |group: &&Group| {
        let is_named = names.iter().any(|name| is_named(group, name));
        is_about_volumes(group) && (group.name.is_none() || is_named)
    };
    let groups = asked.groups.iter().filter(is_meant);
    groups.flat_map(|group| mistakes_of(group, mode)).collect()
}

fn is_about_volumes(group: &Group) -> bool {
    group.fields.repo.is_none() && group.first_key != "repo"
}

fn is_named(group: &Group, volume: &str) -> bool {
    let name = group.name.as_ref();
    name.is_some_and(|name| name.as_str() == volume)
}

fn mistakes_of(group: &Group, mode: GitRepoMode) -> Vec<Mistake> {
    let of_a_clone = OF_A_CLONE.join(", ");
    let of_a_followed = OF_A_FOLLOWED.join(", ");
    let what = match &group.name {
        Some(name) => format!("gitRepo volume {}", shown(name.as_str())),
        None => "gitRepo volumes".to_owned(),
    };
    let sentence = |key: &'static str| {
        let full = full_key(group.name.as_ref(), key);
        let repo = full_key(group.name.as_ref(), "repo");
        let sentence = match mode {
            GitRepoMode::Follow => format!(
                "{full}: means nothing for {what}; expected {of_a_clone}, {of_a_followed}, or \
                 {repo} beside it"
            ),
            _ if OF_A_FOLLOWED.contains(&key) => format!(
                "{full}: means nothing for {what}, cloned once; expected {} beside it",
                follow_key()
            ),
            _ => format!(
                "{full}: means nothing for {what}; expected {of_a_clone}, or {repo} beside it"
            ),
        };
        Mistake::new(key, sentence)
    };
    let is_known = |key: &str| {
        OF_A_CLONE.contains(&key) || mode == GitRepoMode::Follow && OF_A_FOLLOWED.contains(&key)
    };
    let unknown = given(&group.fields).into_iter();
    unknown.filter(|key| !is_known(key)).map(sentence).collect()
}

/// The keys that say something, in the table's order.
fn given(fields: &Fields) -> Vec<&'static str> {
    let Fields {
        repo,
        rev,
        mount_path,
        link,
        subdir,
        mode,
        period,
        timeout,
        depth,
        submodules,
        sparse_checkout,
        filter,
        secret,
        read_only,
        notify,
        size_limit,
        medium,
    } = fields;
    let keys = [
        ("repo", repo.is_some()),
        ("ref", rev.is_some()),
        ("mount-path", mount_path.is_some()),
        ("link", link.is_some()),
        ("mode", mode.is_some()),
        ("period", period.is_some()),
        ("depth", depth.is_some()),
        ("secret", secret.is_some()),
        ("subdir", subdir.is_some()),
        ("sparse-checkout", sparse_checkout.is_some()),
        ("filter", filter.is_some()),
        ("submodules", submodules.is_some()),
        ("timeout", timeout.is_some()),
        ("read-only", read_only.is_some()),
        ("notify", notify.is_some()),
        ("size-limit", size_limit.is_some()),
        ("medium", medium.is_some()),
    ];
    let keys = keys.into_iter().filter(|(_, is_given)| *is_given);
    keys.map(|(key, _)| key).collect()
}
