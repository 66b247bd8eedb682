use serde::Serialize;
use serde_json::Value;

use super::OPERATOR;
use crate::Role;
use crate::Syncer;
use crate::User;
use crate::position;
use crate::reader::List;
use crate::request::Position;
use crate::resources;
use crate::wanted::Wanted;

/// A container that is added, with the reasons for what is chosen.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// Its name.
    pub name: String,
    /// What it does.
    pub does: &'static str,
    /// Its image, and who chose it.
    pub image: (String, String),
    /// Where it is put, and why.
    pub position: (String, String),
    /// Who it runs as, and why.
    pub user: (String, String),
    /// What it asks for and where it ends, and why.
    pub resources: (String, String),
    /// What the Pod is charged for it, and how.
    pub reserves: (String, String),
    /// Where it serves metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_port: Option<u16>,
}

pub(super) fn explained(syncer: &Syncer, wanted: &Wanted<'_>) -> Explained {
    let role = syncer.role;
    Explained {
        name: syncer.name().to_owned(),
        does: match role {
            Role::GitRepo | Role::GitRepoLate => {
                "an init container that clones the gitRepo volumes and ends"
            }
            Role::Once => "an init container that fetches once and ends",
            Role::Sync => "a sidecar that fetches before the app starts, and follows",
        },
        image: match &syncer.image {
            Some(image) => (image.clone(), wanted.key(None, "image")),
            None => (wanted.settings.image.clone(), OPERATOR.to_owned()),
        },
        position: position_of(role, wanted),
        user: user(syncer.user, role, wanted),
        resources: resources_of(syncer, wanted),
        reserves: charge(syncer),
        metrics_port: syncer.metrics_port,
    }
}

fn position_of(role: Role, wanted: &Wanted<'_>) -> (String, String) {
    let inits = wanted.pod.init_containers.as_deref().unwrap_or_default();
    let index = position::of(role, wanted);
    let place = match (inits.get(index), index.checked_sub(1)) {
        (None, None) => {
            let alone = "the Pod has no other init container";
            return (alone.to_owned(), String::new());
        }
        (Some(next), None) => format!("first, before {}", next.name),
        (Some(next), Some(last)) => format!("between {} and {}", inits[last].name, next.name),
        (None, Some(last)) => format!("last, after {}", inits[last].name),
    };
    let readers = wanted.readers_of(role);
    let first = readers
        .iter()
        .find(|reader| reader.list == List::InitContainers);
    let has_volume = wanted.git_repos.iter().any(|own| own.role() == role);
    let why = match (&wanted.wide.position, first) {
        (Some(Position::Last) | None, Some(reader)) if !has_volume => {
            format!("{} reads the files", reader.container.name)
        }
        (Some(_), _) => wanted.key(None, "position"),
        (None, _) if has_volume => "a gitRepo volume was there before every container".to_owned(),
        (None, _) => "what git may need, such as a proxy, has started then".to_owned(),
    };
    (place, why)
}

/// Tells which of the rules of [`User::for_pod`] gave the user.
fn user(user: Option<User>, role: Role, wanted: &Wanted<'_>) -> (String, String) {
    let Some(User { uid, gid }) = user else {
        let why = "the namespace hands out users".to_owned();
        return ("none of ours".to_owned(), why);
    };
    let of_pod = wanted.pod.security_context.as_ref();
    let of_pod = of_pod.and_then(|own| own.run_as_user);
    let readers = wanted.readers_of(role);
    let is_readers = |uid: i64| {
        let mut users = readers.iter().map(|reader| {
            let own = reader.container.security_context.as_ref();
            own.and_then(|own| own.run_as_user).or(of_pod)
        });
        !readers.is_empty() && users.all(|own| own == Some(uid))
    };
    let names: Vec<&str> = readers
        .iter()
        .map(|reader| reader.container.name.as_str())
        .collect();
    let why = if wanted.wide.user.is_some() {
        wanted.key(None, "user")
    } else if is_readers(uid) {
        format!("the user of {}, who read the files", names.join(", "))
    } else if of_pod == Some(uid) {
        "the Pod's own, since those who read the files differ".to_owned()
    } else {
        "the image's own: those who read the files name none, several, or root".to_owned()
    };
    (format!("{uid}:{gid}"), why)
}

fn resources_of(syncer: &Syncer, wanted: &Wanted<'_>) -> (String, String) {
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
    let text = match lists.is_empty() {
        true => "none".to_owned(),
        false => lists.join("; "),
    };
    let has_limits = syncer.resources.as_ref().is_some_and(|own| {
        own.get("limits")
            .and_then(Value::as_object)
            .is_some_and(|limits| !limits.is_empty())
    });
    let why = if !wanted.wide.resources.is_empty() {
        {
            let (list, name, _) = &wanted.wide.resources[0];
            let key = wanted.key(None, &format!("resources.{list}.{name}"));
            let key = key.replace(&format!("{list}.{name}"), "…");
            format!("{key}, and for the rest {OPERATOR}")
        }
    } else if resources::has_own(wanted.pod) {
        "the Pod has its own, for all its containers together".to_owned()
    } else if resources::is_guaranteed(wanted.pod) {
        "the Pod is Guaranteed, and stays so".to_owned()
    } else if has_limits {
        format!("{OPERATOR}; limits where all the Pod's containers have one")
    } else {
        format!("{OPERATOR}; no limits, since not all the Pod's containers have them")
    };
    (text, why)
}

/// What the scheduler reserves for the Pod because of the container, and quotas count: its requests, and
/// its limits where requests are left out.
fn charge(syncer: &Syncer) -> (String, String) {
    let amounts = |list: &str| {
        let amounts = syncer.resources.as_ref()?.get(list)?.as_object();
        let amounts = amounts?.iter();
        let amounts =
            amounts.map(|(name, amount)| format!("{name} {}", amount.as_str().unwrap_or_default()));
        Some(amounts.collect::<Vec<_>>().join(", "))
    };
    let amounts = amounts("requests").or_else(|| amounts("limits"));
    let how = match syncer.role.restart_policy() {
        _ if amounts.is_none() => "nothing of its own",
        Some(_) => "beside the Pod's own containers, for as long as the Pod runs",
        None => "only where it is more than what the Pod's own containers need together",
    };
    (amounts.unwrap_or_else(|| "none".to_owned()), how.to_owned())
}
