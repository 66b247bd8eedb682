//! The annotations of a Pod before and after the conversion.

use inject::ANNOTATIONS;
use inject::Key;
use inject::Name;
use inject::PREFIX;
use inject::Scope;
use serde_json::Map;
use serde_json::Value;

use crate::conversion::source::Note;
use crate::conversion::source::Source;

/// The annotations to set and to remove, by full key.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) set: Vec<(String, String)>,
    pub(super) removed: Vec<String>,
    pub(super) notes: Vec<Note>,
}

/// The annotations for these sources. `all` are the containers that remain in the Pod;
/// `has_volumes` is whether gitRepo volumes remain.
pub(super) fn of(
    sources: &[Source],
    present: &Map<String, Value>,
    all: &[String],
    has_volumes: bool,
) -> Result<Keys, String> {
    let mut keys = Keys::default();
    let has = |key: &str| present.contains_key(&format!("{PREFIX}{key}"));
    let has_key = |key: Key| present.contains_key(key.annotation());
    let has_repo = present
        .keys()
        .filter_map(|key| key.strip_prefix(PREFIX))
        .any(|key| Key::parse(key.rsplit('.').next().unwrap_or(key)) == Some(Key::Repo));
    // If a volume has a NAME, its other keys begin with it.
    let is_named = |source: &Source| {
        let start = format!("{PREFIX}{}.", source.base);
        present.keys().any(|key| key.starts_with(&start))
    };
    let is_alone = sources.len() == 1 && !has_repo && !has_volumes && !is_named(&sources[0]);
    let mut names: Vec<String> = Vec::new();
    for source in sources {
        let start = if is_alone {
            String::new()
        } else {
            let name = name(&source.base, |name| {
                names.iter().any(|own| own == name) || has(&format!("{name}.{}", Key::Repo))
            });
            names.push(name.clone());
            format!("{name}.")
        };
        for (key, value) in &source.keys {
            keys.set
                .push((format!("{PREFIX}{start}{key}"), value.clone()));
        }
    }
    readers(&mut keys, sources, present, all, has_repo)?;
    wide(&mut keys, sources, present);
    if !has_volumes {
        // These keys applied to volumes that are removed.
        let stale = ANNOTATIONS
            .iter()
            .filter(|row| has_key(row.key))
            .filter(|row| {
                let is_of_repository = row.scope == Scope::Repository;
                let is_about_volumes = is_of_repository && !has_key(Key::Repo) && !is_alone;
                row.key == Key::GitRepo || is_about_volumes
            })
            .map(|row| row.key.annotation().to_owned());
        keys.removed.extend(stale);
    }
    // Omit keys that the Pod already has with the same value.
    keys.set
        .retain(|(key, value)| present.get(key).and_then(Value::as_str) != Some(value));
    Ok(keys)
}

/// Sets the containers that read the repositories; the annotation applies to the whole Pod.
fn readers(
    keys: &mut Keys,
    sources: &[Source],
    present: &Map<String, Value>,
    all: &[String],
    has_repo: bool,
) -> Result<(), String> {
    let Some(first) = sources.first() else {
        return Ok(());
    };
    let annotated = |key: Key| {
        let text = present.get(key.annotation())?.as_str()?;
        let names = text.split(',').map(|name| name.trim().to_owned());
        Some(names.collect::<Vec<String>>())
    };
    // Repositories that the Pod already has by annotation have their own readers.
    let (containers, inits) = match has_repo || annotated(Key::Containers).is_some() {
        true => (
            annotated(Key::Containers).unwrap_or_else(|| all.to_vec()),
            annotated(Key::InitContainers).unwrap_or_default(),
        ),
        false => (first.containers.clone(), first.init_containers.clone()),
    };
    for source in sources {
        let is_same = |one: &[String], other: &[String]| {
            one.len() == other.len() && one.iter().all(|name| other.contains(name))
        };
        if !is_same(&source.containers, &containers) || !is_same(&source.init_containers, &inits) {
            return Err(format!(
                "the containers that read it are {}, but those of the Pod's other repositories are {}; \
                 {} is for all repositories of a Pod",
                listed(&source.containers, &source.init_containers),
                listed(&containers, &inits),
                Key::Containers.annotation(),
            ));
        }
    }
    if annotated(Key::Containers).is_none() && containers.len() != all.len() {
        keys.set.push((
            Key::Containers.annotation().to_owned(),
            containers.join(","),
        ));
    }
    if !inits.is_empty() {
        keys.set
            .push((Key::InitContainers.annotation().to_owned(), inits.join(",")));
    }
    Ok(())
}

fn listed(containers: &[String], inits: &[String]) -> String {
    let names: Vec<&str> = inits.iter().chain(containers).map(String::as_str).collect();
    names.join(", ")
}

/// Sets the options of the Pod: one syncer serves all of its repositories, so the first value takes
/// precedence.
fn wide(keys: &mut Keys, sources: &[Source], present: &Map<String, Value>) {
    let mut chosen: Vec<(Key, String)> = Vec::new();
    for source in sources {
        for (key, value) in &source.wide {
            let whole = key.annotation();
            let own = present.get(whole).and_then(Value::as_str);
            let first = own.or_else(|| {
                let first = chosen.iter().find(|(other, _)| other == key);
                first.map(|(_, value)| value.as_str())
            });
            match first {
                None => {
                    chosen.push((*key, value.clone()));
                    keys.set.push((whole.to_owned(), value.clone()));
                }
                Some(first) if first != value => keys.notes.push(Note {
                    about: source.about.clone(),
                    text: format!(
                        "{whole} is {first:?} for all repositories of the Pod, and not {value:?}"
                    ),
                    is_left: false,
                }),
                Some(_) => {}
            }
        }
    }
}

/// A NAME derived from a container or volume; it is unused and not an annotation key.
fn name(base: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let is_key = |name: &str| name == "resources" || Key::parse(name).is_some();
    let short: String = base.chars().take(34).collect();
    let short = short.trim_matches('-');
    let others = (2..).map(|number| format!("{short}-{number}"));
    let mut names = [base.to_owned(), short.to_owned()]
        .into_iter()
        .chain(others);
    names
        .find(|name| name.parse::<Name>().is_ok() && !is_key(name) && !is_taken(name))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_unique_label_and_no_annotation_key() {
        assert_eq!(name("git-sync", |_| false), "git-sync");
        assert_eq!(name("repo", |_| false), "repo-2");
        assert_eq!(name("site", |name| name != "site-3"), "site-3");
        let long = "a".repeat(60);
        assert_eq!(name(&long, |_| false), "a".repeat(34));
    }
}
