//! The annotations of one Pod, as they were and as they are to be.

use inject::ANNOTATIONS;
use inject::Name;
use inject::PREFIX;
use inject::Scope;
use serde_json::Map;
use serde_json::Value;

use super::Note;
use super::Source;

/// The annotations to set and to remove, by their whole keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) set: Vec<(String, String)>,
    pub(super) removed: Vec<String>,
    pub(super) notes: Vec<Note>,
}

/// Says sources in annotations. `all` are the containers that the Pod keeps, `has_volumes` whether
/// some of them are gitRepo volumes.
pub(super) fn of(
    sources: &[Source],
    present: &Map<String, Value>,
    all: &[String],
    has_volumes: bool,
) -> Result<Keys, String> {
    let mut keys = Keys::default();
    let has = |key: &str| present.contains_key(&format!("{PREFIX}{key}"));
    let has_repo = present
        .keys()
        .filter_map(|key| key.strip_prefix(PREFIX))
        .any(|key| key == "repo" || key.ends_with(".repo"));
    // Other keys of a volume begin with its name, where it has some.
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
                names.iter().any(|own| own == name) || has(&format!("{name}.repo"))
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
        // They were about volumes that are no more.
        let stale = ANNOTATIONS
            .iter()
            .filter(|row| has(row.key))
            .filter(|row| {
                let is_about_volumes = row.scope == Scope::Repository && !has("repo") && !is_alone;
                row.key == "gitrepo" || is_about_volumes
            })
            .map(|row| format!("{PREFIX}{}", row.key));
        keys.removed.extend(stale);
    }
    // What is said already need not be said again.
    keys.set
        .retain(|(key, value)| present.get(key).and_then(Value::as_str) != Some(value));
    Ok(keys)
}

/// Who reads them is said once for the whole Pod.
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
    let said = |key: &str| {
        let text = present.get(&format!("{PREFIX}{key}"))?.as_str()?;
        let names = text.split(',').map(|name| name.trim().to_owned());
        Some(names.collect::<Vec<String>>())
    };
    // Repositories that the Pod has by annotations have their readers.
    let (containers, inits) = match has_repo || said("containers").is_some() {
        true => (
            said("containers").unwrap_or_else(|| all.to_vec()),
            said("init-containers").unwrap_or_default(),
        ),
        false => (first.containers.clone(), first.init_containers.clone()),
    };
    for source in sources {
        let is_same = |one: &[String], other: &[String]| {
            one.len() == other.len() && one.iter().all(|name| other.contains(name))
        };
        if !is_same(&source.containers, &containers) || !is_same(&source.init_containers, &inits) {
            return Err(format!(
                "its readers are {}, and those of the Pod's other repositories are {}; \
                 {PREFIX}containers is for all repositories of a Pod",
                listed(&source.containers, &source.init_containers),
                listed(&containers, &inits),
            ));
        }
    }
    if said("containers").is_none() && containers.len() != all.len() {
        keys.set
            .push((format!("{PREFIX}containers"), containers.join(",")));
    }
    if !inits.is_empty() {
        keys.set
            .push((format!("{PREFIX}init-containers"), inits.join(",")));
    }
    Ok(())
}

fn listed(containers: &[String], inits: &[String]) -> String {
    let names: Vec<&str> = inits.iter().chain(containers).map(String::as_str).collect();
    names.join(", ")
}

/// One syncer serves all repositories of a Pod: what is said first holds.
fn wide(keys: &mut Keys, sources: &[Source], present: &Map<String, Value>) {
    let mut said: Vec<(&'static str, String)> = Vec::new();
    for source in sources {
        for (key, value) in &source.wide {
            let whole = format!("{PREFIX}{key}");
            let own = present.get(&whole).and_then(Value::as_str);
            let first = own.or_else(|| {
                let first = said.iter().find(|(other, _)| other == key);
                first.map(|(_, value)| value.as_str())
            });
            match first {
                None => {
                    said.push((key, value.clone()));
                    keys.set.push((whole, value.clone()));
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

/// A NAME made of a container's or a volume's, that is none yet and no key.
fn name(base: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let is_key = |name: &str| name == "resources" || ANNOTATIONS.iter().any(|row| row.key == name);
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
    fn a_name_is_a_label_of_its_own_and_no_key() {
        assert_eq!(name("git-sync", |_| false), "git-sync");
        assert_eq!(name("repo", |_| false), "repo-2");
        assert_eq!(name("site", |name| name != "site-3"), "site-3");
        let long = "a".repeat(60);
        assert_eq!(name(&long, |_| false), "a".repeat(34));
    }
}
