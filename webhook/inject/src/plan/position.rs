//! The positions of injected init containers among the Pod's own.

use k8s_openapi::api::core::v1::Container;

use crate::Key;
use crate::Mistake;
use crate::keys::value::shown;
use crate::model::request::Position;
use crate::model::role::Role;
use crate::plan::input::PlanInput;
use crate::pod::reader::List;

/// The position of an injected container among the Pod's init containers.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// The index of the init container before which it is put.
    pub index: usize,
    /// The rule that chose it.
    pub rule: PlacementRule,
}

/// The rule that chose the position.
#[derive(Clone, Debug, PartialEq)]
pub enum PlacementRule {
    /// Set by the author.
    Author,
    /// First, because the kubelet filled a gitRepo volume before every container.
    GitRepo,
    /// Before the first init container that reads the files, which has this name.
    Reader(String),
    /// After every other.
    Last,
}

/// The position of the container of a role.
///
/// The default is last: sidecars that git may need (a mesh's proxy) have started by then, and no
/// init container waits for a clone that it does not read. Init containers that other mutators add
/// after it on a later call may stay there. A container for gitRepo volumes is first, since the
/// kubelet filled them before every container.
pub(crate) fn of(role: Role, input: &PlanInput<'_>) -> Placement {
    let inits = input.pod.init_containers.as_deref().unwrap_or_default();
    let has_git_repo = input.git_repos.iter().any(|volume| volume.role() == role);
    let chosen = |index: usize| (index, PlacementRule::Author);
    let (index, rule) = match &input.wide.position {
        None if has_git_repo => (0, PlacementRule::GitRepo),
        position @ (None | Some(Position::Last)) => {
            let mut readers = input.role(role).readers.iter();
            let first = readers.find(|reader| reader.list == List::InitContainers);
            match (first, position) {
                (Some(first), _) if !has_git_repo => {
                    let name = first.container.name.clone();
                    (first.index, PlacementRule::Reader(name))
                }
                (first, Some(_)) => chosen(first.map_or(inits.len(), |first| first.index)),
                (_, None) => (inits.len(), PlacementRule::Last),
            }
        }
        Some(Position::First) => chosen(0),
        Some(Position::Before(name)) => chosen(find(inits, name).unwrap_or(inits.len())),
        Some(Position::After(name)) => {
            chosen(find(inits, name).map_or(inits.len(), |index| index + 1))
        }
    };
    Placement { index, rule }
}

/// The mistakes in the requested positions.
pub(crate) fn mistakes(input: &PlanInput<'_>) -> Vec<Mistake> {
    let inits = input.pod.init_containers.as_deref().unwrap_or_default();
    let (text, name) = match &input.wide.position {
        Some(Position::Before(name)) => (format!("before:{name}"), name),
        Some(Position::After(name)) => (format!("after:{name}"), name),
        None | Some(Position::First | Position::Last) => return Vec::new(),
    };
    let text = shown(&text);
    let key = input.key(None, Key::Position);
    if find(inits, name).is_none() {
        let known: Vec<&str> = inits.iter().map(|own| own.name.as_str()).collect();
        // Another webhook may add it on a later call; `last` is after the containers of earlier
        // webhooks.
        let expected = if known.is_empty() {
            "first or last, because the Pod has no init container".to_owned()
        } else {
            format!(
                "first, last, before:NAME or after:NAME with NAME one of {}",
                known.join(", ")
            )
        };
        let sentence =
            format!("{key}: {text}: the Pod has no such init container; expected {expected}");
        return vec![Mistake::new(Key::Position, sentence)];
    }
    let mut mistakes = Vec::new();
    for role in Role::ALL {
        if input.entries(role).is_empty() {
            continue;
        }
        let position = of(role, input).index;
        let mut readers = input.role(role).readers.iter();
        let early =
            readers.find(|reader| reader.list == List::InitContainers && reader.index < position);
        if let Some(early) = early {
            let sentence = format!(
                "{key}: {text}: init container {} mounts a repository and would start before its files exist; expected a position before this container",
                shown(&early.container.name)
            );
            mistakes.push(Mistake::new(Key::Position, sentence));
            break;
        }
    }
    mistakes
}

fn find(inits: &[Container], name: &str) -> Option<usize> {
    inits.iter().position(|own| own.name == name)
}
