//! What the kubelet and the API server take for a gitRepo volume.

use args::Link;
use args::RepoKind;
use args::RepoUrl;
use args::Revision;
use k8s_openapi::api::core::v1::GitRepoVolumeSource;

use crate::Mistake;
use crate::gitrepo::GitRepo;
use crate::gitrepo::address::Unfit;
use crate::gitrepo::address::humanish;
use crate::gitrepo::address::unfit;
use crate::gitrepo::follow_key;
use crate::gitrepo::keys::Keys;
use crate::gitrepo::mistake;
use crate::request::GitRepoMode;
use crate::value;
use crate::value::shown;

/// Reads one volume; what is refused is refused in the words of who refused it before, with all
/// mistakes at once.
pub(super) fn volume(
    index: usize,
    name: &str,
    source: &GitRepoVolumeSource,
    keys: &Keys,
    mode: GitRepoMode,
) -> Result<GitRepo, Vec<Mistake>> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (revision, directory) = (text(&source.revision), text(&source.directory));
    let mut sentences = options(&source.repository, &revision, &directory);
    let mut keep = |outcome: Result<(), String>| sentences.extend(outcome.err());
    keep(nested(&revision, &directory));
    let repository = repository(&source.repository).map_err(|why| keep(Err(why)));
    let wanted = wanted(&revision, mode).map_err(|why| keep(Err(why)));
    let place = place(&source.repository, &directory, mode).map_err(|why| keep(Err(why)));
    match (repository, wanted, place) {
        (Ok(Some(repository)), Ok(Some(revision)), Ok(directory)) if sentences.is_empty() => {
            let fields = keys.fields();
            Ok(GitRepo {
                index,
                volume: name.to_owned(),
                repository,
                revision,
                directory,
                secret: fields.secret.clone(),
                timeout: fields.timeout,
                size_limit: fields.size_limit.clone(),
                medium: keys.medium(),
                is_late: false,
                follow: (mode == GitRepoMode::Follow).then(|| keys.follow()),
            })
        }
        _ => {
            let mistakes = sentences.iter().map(|sentence| mistake(name, sentence));
            Err(mistakes.collect())
        }
    }
}

/// What git would take for an option (`validateNonFlagArgument`).
fn options(repository: &str, revision: &str, directory: &str) -> Vec<String> {
    let values = [
        ("repository", repository),
        ("revision", revision),
        ("directory", directory),
    ];
    values
        .into_iter()
        .filter(|(_, value)| value.starts_with('-'))
        .map(|(what, value)| format!("{} is an invalid value for {what}", shown(value)))
        .collect()
}

/// A revision's checkout runs the hooks of a directory that it finds (CVE-2024-10220;
/// `validateVolume`).
fn nested(revision: &str, directory: &str) -> Result<(), String> {
    let is_nested = cleaned(directory).is_some_and(|clean| clean.contains(['/', '\\']));
    // What is absolute or climbs is refused for that.
    if revision.is_empty() || directory.starts_with('/') || !is_nested {
        return Ok(());
    }
    Err(format!(
        "{} is not a valid directory, it must not contain a directory separator",
        shown(directory)
    ))
}

/// `None` for what was refused as an option.
fn repository(text: &str) -> Result<Option<RepoUrl>, String> {
    if text.starts_with('-') {
        return Ok(None);
    }
    if text.is_empty() {
        return Err("repository: Required value".to_owned());
    }
    let repository = text.parse::<RepoUrl>().ok();
    if let Some(repository) = repository.filter(|url| url.kind() != RepoKind::Local) {
        return Ok(Some(repository));
    }
    let kind = unfit(text);
    let text = shown(text);
    Err(match kind {
        Unfit::Local => format!(
            "repository: {text}: expected the address of a remote repository; a path on the node \
             would show other Pods' files (CVE-2025-1767)"
        ),
        Unfit::Unknown => format!(
            "repository: {text}: expected https://, http://, ssh://, git:// or user@host:path"
        ),
    })
}

/// `None` for what was refused as an option.
fn wanted(text: &str, mode: GitRepoMode) -> Result<Option<Revision>, String> {
    if text.starts_with('-') {
        return Ok(None);
    }
    if text.is_empty() {
        return Ok(Some(Revision::default()));
    }
    let is_followed = mode == GitRepoMode::Follow;
    // The remote's own name for what a clone calls so.
    let own = text.strip_prefix("origin/").filter(|_| is_followed);
    let Ok(revision) = own.unwrap_or(text).parse::<Revision>() else {
        let text = shown(text);
        let expected = "expected what git can check out, such as main or v1.2.0";
        return Err(format!("revision: {text}: {expected}"));
    };
    if is_followed && revision.to_rev().is_err() {
        let text = shown(text);
        return Err(format!(
            "revision: {text}: expected a branch, a tag or a full commit hash with {}",
            follow_key()
        ));
    }
    Ok(Some(revision))
}

/// Where in the volume the files are: `None` is its top.
fn place(repository: &str, directory: &str, mode: GitRepoMode) -> Result<Option<Link>, String> {
    let text = shown(directory);
    if directory.starts_with('/') {
        return Err(format!("directory: {text}: must be a relative path"));
    }
    let Some(clean) = cleaned(directory) else {
        return Err(format!("directory: {text}: must not contain '..'"));
    };
    let name = match directory.is_empty() {
        true => match humanish(repository).as_str() {
            // What is wrong with the address is said of it.
            _ if repository.is_empty() || repository.starts_with('-') => return Ok(None),
            "" | "." | ".." => {
                return Err(format!(
                    "repository: {}: no directory name could be guessed; expected one in directory",
                    shown(repository)
                ));
            }
            name => name.to_owned(),
        },
        false if clean == "." => return Ok(None),
        false => clean,
    };
    let link = match mode {
        // The layout behind a symlink has names of its own.
        GitRepoMode::Follow => value::link(&name).map_err(|wrong| match wrong {
            value::Wrong::Clause(clause) => clause,
            value::Wrong::Grammar => "expected a relative path without control characters",
        }),
        _ => name
            .parse()
            .map_err(|_| "expected a relative path without control characters"),
    };
    match link {
        Ok(link) => Ok(Some(link)),
        Err(why) => Err(format!("directory: {}: {why}", shown(&name))),
    }
}

/// Go's `filepath.Clean` of a relative path; `None` where it climbs.
fn cleaned(path: &str) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            // The API server refuses every such element, wherever it leads.
            ".." => return None,
            name => names.push(name),
        }
    }
    Some(match names.is_empty() {
        true => ".".to_owned(),
        false => names.join("/"),
    })
}
