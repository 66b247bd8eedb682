//! The rules of the kubelet and the API server for gitRepo volumes.

use args::Link;
use args::RepoKind;
use args::RepoUrl;
use args::Revision;
use k8s_openapi::api::core::v1::GitRepoVolumeSource;

use crate::Mistake;
use crate::keys::value;
use crate::keys::value::shown;
use crate::model::request::GitRepoMode;
use crate::sources::gitrepo::address::Unfit;
use crate::sources::gitrepo::address::humanish;
use crate::sources::gitrepo::address::unfit;
use crate::sources::gitrepo::keys::Keys;
use crate::sources::gitrepo::volume::GitRepo;
use crate::sources::gitrepo::volume::follow_key;
use crate::sources::gitrepo::volume::mistake;

/// Reads one volume. A refusal repeats the message of the component that refused it before, and
/// reports all mistakes at once.
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
                values: keys.values().clone(),
                follow: (mode == GitRepoMode::Follow).then(|| keys.follow()),
            })
        }
        _ => {
            let mistakes = sentences.iter().map(|sentence| mistake(name, sentence));
            Err(mistakes.collect())
        }
    }
}

/// The mistakes of values that git would take for options (`validateNonFlagArgument`).
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

/// The mistake of a nested directory: checking out a revision runs the hooks in it (CVE-2024-10220;
/// `validateVolume`).
fn nested(revision: &str, directory: &str) -> Result<(), String> {
    let is_nested = cleaned(directory).is_some_and(|clean| clean.contains(['/', '\\']));
    // Absolute paths and paths with `..` have their own mistake.
    if revision.is_empty() || directory.starts_with('/') || !is_nested {
        return Ok(());
    }
    Err(format!(
        "{} is not a valid directory, it must not contain a directory separator",
        shown(directory)
    ))
}

/// The repository's address; `None` where it was refused as an option.
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

/// The revision; `None` where it was refused as an option.
fn wanted(text: &str, mode: GitRepoMode) -> Result<Option<Revision>, String> {
    if text.starts_with('-') {
        return Ok(None);
    }
    if text.is_empty() {
        return Ok(Some(Revision::default()));
    }
    let is_followed = mode == GitRepoMode::Follow;
    // A clone names the remote's branches `origin/NAME`.
    let own = text.strip_prefix("origin/").filter(|_| is_followed);
    let Ok(revision) = own.unwrap_or(text).parse::<Revision>() else {
        let text = shown(text);
        let expected = "expected a revision that git can check out, such as main or v1.2.0";
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

/// The directory of the files in the volume; `None` is the volume's root.
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
            // The mistake in the address is reported for the address.
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
        // The link layout reserves names in the volume.
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

/// Go's `filepath.Clean` of a relative path; `None` where it leaves the directory.
fn cleaned(path: &str) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            // The API server refuses every such element, whatever the path resolves to.
            ".." => return None,
            name => names.push(name),
        }
    }
    Some(if names.is_empty() {
        ".".to_owned()
    } else {
        names.join("/")
    })
}
