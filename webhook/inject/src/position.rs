//! Where our init containers are put among the Pod's own.

use k8s_openapi::api::core::v1::Container;

use crate::Mistake;
use crate::container::Role;
use crate::reader::List;
use crate::request::Position;
use crate::value::shown;
use crate::wanted::Wanted;

/// The place in the Pod's init containers before which the container of a role is put.
///
/// By default after every other: sidecars that git may need (a mesh's proxy) have started, and no
/// init container waits for a clone that it does not read. One that others added after us, on a
/// later call, may as well stay there. A gitRepo volume was there before every container.
pub(crate) fn of(role: Role, wanted: &Wanted<'_>) -> usize {
    let inits = wanted.pod.init_containers.as_deref().unwrap_or_default();
    let has_git_repo = wanted.git_repos.iter().any(|volume| volume.role() == role);
    match &wanted.wide.position {
        None if has_git_repo => 0,
        None | Some(Position::Last) => {
            let readers = wanted.readers_of(role);
            let first = readers
                .iter()
                .filter(|reader| reader.list == List::InitContainers)
                .map(|reader| reader.index)
                .min();
            first.unwrap_or(inits.len())
        }
        Some(Position::First) => 0,
        Some(Position::Before(name)) => find(inits, name).unwrap_or(inits.len()),
        Some(Position::After(name)) => find(inits, name).map_or(inits.len(), |index| index + 1),
    }
}

/// What keeps our containers from being where they are wanted.
pub(crate) fn mistakes(wanted: &Wanted<'_>) -> Vec<Mistake> {
    let inits = wanted.pod.init_containers.as_deref().unwrap_or_default();
    let (text, name) = match &wanted.wide.position {
        Some(Position::Before(name)) => (format!("before:{name}"), name),
        Some(Position::After(name)) => (format!("after:{name}"), name),
        None | Some(Position::First | Position::Last) => return Vec::new(),
    };
    let text = shown(&text);
    let key = wanted.key(None, "position");
    if find(inits, name).is_none() {
        let known: Vec<&str> = inits.iter().map(|own| own.name.as_str()).collect();
        // One that another webhook adds may come after us; `last` is behind those before us.
        let expected = match known.is_empty() {
            true => "first or last, since it has none yet".to_owned(),
            false => format!("first, last, or one out of {}", known.join(", ")),
        };
        let sentence =
            format!("{key}: {text}: the Pod has no such init container; expected {expected}");
        return vec![Mistake::new("position", sentence)];
    }
    let mut mistakes = Vec::new();
    for role in Role::ALL {
        if wanted.entries(role).is_empty() {
            continue;
        }
        let position = of(role, wanted);
        let readers = wanted.readers_of(role);
        let early = readers
            .iter()
            .find(|reader| reader.list == List::InitContainers && reader.index < position);
        if let Some(early) = early {
            let sentence = format!(
                "{key}: {text}: init container {} reads a repository and would start \
                 before it is there; expected a position before it",
                shown(&early.container.name)
            );
            mistakes.push(Mistake::new("position", sentence));
            break;
        }
    }
    mistakes
}

fn find(inits: &[Container], name: &str) -> Option<usize> {
    inits.iter().position(|own| own.name == name)
}
