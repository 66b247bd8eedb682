use std::collections::BTreeMap;

use args::CacheTrust;
use args::RepoKind;
use serde::Serialize;

use crate::Key;
use crate::Role;
use crate::Syncer;
use crate::User;
use crate::model::user::UserRule;
use crate::plan::cache::CacheChoice;
use crate::plan::input::PlanInput;
use crate::plan::position::Placement;
use crate::plan::position::PlacementRule;
use crate::pod::resources::ResourcesRule;
use crate::sources::sourced::OPERATOR;

/// A container that is added, with the reasons for its settings.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// Its name.
    pub name: String,
    /// Its purpose.
    pub does: &'static str,
    /// Its image and the origin of that.
    pub image: (String, String),
    /// Its position among the init containers, and the reason.
    pub position: (String, String),
    /// Its user and the reason.
    pub user: (String, String),
    /// Its requests and limits, and the reason.
    pub resources: (String, String),
    /// The resources that the scheduler reserves for it, and how they are computed.
    pub reserves: (String, String),
    /// The address of its metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_port: Option<u16>,
    /// The pull-through cache for its repositories over http(s), and the reason; only where the
    /// operator has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<(String, String)>,
}

pub(super) fn explained(syncer: &Syncer, input: &PlanInput<'_>) -> Explained {
    let role = syncer.role;
    Explained {
        name: syncer.name().to_owned(),
        does: match role {
            Role::GitRepo | Role::GitRepoLate => {
                "an init container that clones the gitRepo volumes and exits"
            }
            Role::Once => "an init container that fetches once and exits",
            Role::Sync => {
                "a sidecar that fetches before the app starts and then keeps the files up to date"
            }
        },
        image: match &syncer.image {
            Some(image) => (image.clone(), input.key(None, Key::Image)),
            None => (input.settings.image.clone(), OPERATOR.to_owned()),
        },
        position: position_of(&syncer.position, input),
        user: user(syncer, input),
        resources: resources_of(syncer, input),
        reserves: charge(syncer),
        metrics_port: syncer.metrics_port,
        cache: cache(syncer, input),
    }
}

fn cache(syncer: &Syncer, input: &PlanInput<'_>) -> Option<(String, String)> {
    let is_served = syncer.kinds.contains(&RepoKind::Http);
    let is_used = is_served || syncer.kinds.contains(&RepoKind::Ssh);
    if input.settings.cache.is_empty() || !is_used {
        return None;
    }
    let none = |why: &str| ("none".to_owned(), why.to_owned());
    Some(match input.cache {
        CacheChoice::Use(cache) if !is_served => {
            (format!("{cache}, for pushes alone"), OPERATOR.to_owned())
        }
        CacheChoice::Use(cache) => {
            let trust = match cache.trust {
                CacheTrust::Content => "content",
                CacheTrust::Full => "full",
            };
            (format!("{cache}, trust {trust}"), OPERATOR.to_owned())
        }
        CacheChoice::None => none("no namespaceSelector of the caches matches the namespace"),
        CacheChoice::UnknownLabels => {
            none("the labels of the namespace are unknown here, and a cache is chosen by them")
        }
        CacheChoice::Unresolvable(cache) => {
            let why = "the Pod does not use the cluster's DNS, which resolves the name of";
            none(&format!("{why} {cache}"))
        }
    })
}

fn position_of(placement: &Placement, input: &PlanInput<'_>) -> (String, String) {
    let Placement { index, rule } = placement;
    let inits = input.pod.init_containers.as_deref().unwrap_or_default();
    let place = match (inits.get(*index), index.checked_sub(1)) {
        (None, None) => {
            let alone = "the Pod has no other init container";
            return (alone.to_owned(), String::new());
        }
        (Some(next), None) => format!("first, before {}", next.name),
        (Some(next), Some(last)) => format!("between {} and {}", inits[last].name, next.name),
        (None, Some(last)) => format!("last, after {}", inits[last].name),
    };
    let why = match rule {
        PlacementRule::Author => input.key(None, Key::Position),
        PlacementRule::GitRepo => {
            "gitRepo volumes must be ready before every other container starts".to_owned()
        }
        PlacementRule::Reader(name) => format!("{name} reads the files"),
        PlacementRule::Last => {
            "starts after init containers that git may need, such as a proxy".to_owned()
        }
    };
    (place, why)
}

fn user(syncer: &Syncer, input: &PlanInput<'_>) -> (String, String) {
    let user = match syncer.user {
        Some(User { uid, gid }) => format!("{uid}:{gid}"),
        None => "not set".to_owned(),
    };
    let why = match syncer.user_rule {
        UserRule::Author => input.key(None, Key::User),
        UserRule::Consumers => {
            let readers = &input.role(syncer.role).readers;
            let names = readers.iter().map(|reader| reader.container.name.as_str());
            let names: Vec<&str> = names.collect();
            format!("the user of {}, which mount the files", names.join(", "))
        }
        UserRule::Pod => "the Pod's runAsUser, because the containers that mount the files run as different users".to_owned(),
        UserRule::Image => {
            "the image's default: the containers that mount the files set no user, different users, or root".to_owned()
        }
        UserRule::Namespace => "OpenShift assigns the user from the namespace's UID range".to_owned(),
    };
    (user, why)
}

fn resources_of(syncer: &Syncer, input: &PlanInput<'_>) -> (String, String) {
    let amounts = |list: &str| {
        let amounts = syncer.resources.as_ref()?.get(list)?.as_object()?;
        let amounts = amounts
            .iter()
            .map(|(name, amount)| format!("{name} {}", amount.as_str().unwrap_or_default()));
        Some(format!("{list} {}", amounts.collect::<Vec<_>>().join(", ")))
    };
    let lists: Vec<String> = ["requests", "limits"]
        .into_iter()
        .filter_map(amounts)
        .collect();
    let text = if lists.is_empty() {
        "none".to_owned()
    } else {
        lists.join("; ")
    };
    let why = match syncer.resources_rule {
        ResourcesRule::Author(list, name) => {
            let key = Key::of_resource(list, name).map(|key| input.key(None, key));
            let key = key.unwrap_or_default();
            let key = key.replace(&format!("{list}.{name}"), "…");
            format!("{key}, and for the rest {OPERATOR}")
        }
        ResourcesRule::Pod => {
            "the Pod has Pod-level resources, which cover all its containers".to_owned()
        }
        ResourcesRule::Guaranteed => "the Pod keeps the QoS class Guaranteed".to_owned(),
        ResourcesRule::Limits => {
            format!("{OPERATOR}; limits, because all containers of the Pod have one")
        }
        ResourcesRule::Requests => {
            format!("{OPERATOR}; no limits, because not all containers of the Pod have them")
        }
    };
    (text, why)
}

/// The resources that the scheduler reserves for the Pod because of the container and that quotas
/// count: its requests, and its limits where requests are left out.
fn charge(syncer: &Syncer) -> (String, String) {
    let list = |list: &str| syncer.resources.as_ref()?.get(list)?.as_object();
    let [limits, requests] = ["limits", "requests"].map(|own| list(own).into_iter().flatten());
    let amounts: BTreeMap<&str, &str> = limits
        .chain(requests)
        .map(|(name, amount)| (name.as_str(), amount.as_str().unwrap_or_default()))
        .collect();
    let amounts = amounts
        .iter()
        .map(|(name, amount)| format!("{name} {amount}"));
    let amounts: Vec<String> = amounts.collect();
    let amounts = (!amounts.is_empty()).then(|| amounts.join(", "));
    let how = match syncer.role.restart_policy() {
        _ if amounts.is_none() => "no resources of its own",
        Some(_) => "in addition to the Pod's own containers, as long as the Pod runs",
        None => "only if it exceeds the sum of the Pod's own containers",
    };
    (amounts.unwrap_or_else(|| "none".to_owned()), how.to_owned())
}
