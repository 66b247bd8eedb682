//! Containers that run git directly, such as `alpine/git`. Their scripts may do more than clone, so
//! they stay unchanged; the message contains the equivalent annotations.

use args::RepoUrl;
use inject::PREFIX;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;

use super::process;
use super::view;
use super::view::joined;
use super::view::mount_of;
use crate::conversion::source::Left;
use crate::conversion::source::Source;

/// The git command of a container.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Command {
    Clone,
    /// `pull` or `fetch` in an existing clone.
    Update,
}

/// Options of `git clone` that take the next word as value.
const WITH_VALUE: [&str; 12] = [
    "-b",
    "-c",
    "-j",
    "-o",
    "-u",
    "--branch",
    "--config",
    "--depth",
    "--filter",
    "--jobs",
    "--origin",
    "--reference",
];

/// Whether a container runs `git clone`, `git pull` or `git fetch`.
pub(super) fn is_one(container: &Container) -> bool {
    command(&words(container)).is_some()
}

/// The containers that run git; each stays unchanged, with the equivalent annotations in the
/// message.
pub(super) fn sources(pod: &PodSpec) -> Vec<Result<Source, Left>> {
    let all: Vec<(&Container, bool)> = view::all(pod)
        .filter(|(own, _)| process::kind(own) == process::Kind::Other && !process::is_ours(own))
        .filter(|(own, _)| is_one(own))
        .collect();
    let names: Vec<&str> = all.iter().map(|(own, _)| own.name.as_str()).collect();
    let is_followed = all
        .iter()
        .any(|(own, is_init)| !is_init && command(&words(own)).is_some());
    all.iter()
        .map(|(own, _)| {
            let words = words(own);
            let why = match command(&words) {
                Some((Command::Clone, at)) => cloned(pod, own, &words[at..], &names, is_followed),
                _ => format!(
                    "it runs git on what another container clones; the injected syncer follows the \
                     branch itself, unless {PREFIX}mode is once: remove this container"
                ),
            };
            Err(Left {
                about: format!("container {}", own.name),
                why,
            })
        })
        .collect()
}

/// The message for a container that clones; `rest` are the words after `git clone`.
fn cloned(
    pod: &PodSpec,
    container: &Container,
    rest: &[String],
    names: &[&str],
    is_followed: bool,
) -> String {
    let mut options: Vec<(&str, &str)> = Vec::new();
    let mut plain: Vec<&str> = Vec::new();
    let mut words = rest.iter().map(String::as_str);
    while let Some(word) = words.next() {
        // The command ends here in a shell script.
        if [";", "&&", "||", "|", "&"].contains(&word) {
            break;
        }
        match word.split_once('=') {
            _ if word == "--" => {}
            Some((name, value)) if name.starts_with("--") => options.push((name, value)),
            _ if WITH_VALUE.contains(&word) => options.push((word, words.next().unwrap_or(""))),
            _ if word.starts_with('-') => options.push((word, "")),
            _ => plain.push(word),
        }
    }
    let option = |names: [&str; 2]| {
        let mut own = options.iter().filter(|(name, _)| names.contains(name));
        own.next_back().map(|(_, value)| *value)
    };
    let address = plain.first().and_then(|text| text.parse::<RepoUrl>().ok());
    let has_password = address
        .as_ref()
        .is_some_and(|own| own.user_info().has_secret());
    let repo = match address.as_ref().map(RepoUrl::without_secret) {
        Some(repo) if !repo.contains('$') => format!("{repo:?}"),
        // A variable whose value the manifest does not contain, or no address.
        _ => "the repository's address".to_owned(),
    };
    let mut keys = vec![format!("{PREFIX}repo: {repo}")];
    if let Some(branch) = option(["-b", "--branch"]) {
        keys.push(format!("{PREFIX}ref: {branch:?}"));
    }
    let directory = plain.get(1).map(|own| (*own).to_owned());
    let directory = directory.or_else(|| Some(address.as_ref()?.last_component().to_owned()));
    let directory = directory.map(|own| match (own.starts_with('/'), &container.working_dir) {
        (false, Some(dir)) => joined(dir, &own),
        _ => own,
    });
    let place = directory.and_then(|directory| {
        let (mount, rest) = mount_of(container, &directory)?;
        let view = view::of(pod, &mount.name, names).ok()?;
        Some((mount.name.clone(), joined(&view.mount_path, &rest)))
    });
    match &place {
        Some((_, path)) => keys.push(format!("{PREFIX}mount-path: {path:?}")),
        None => keys.push(format!("{PREFIX}mount-path: where the app reads it")),
    }
    if !is_followed {
        keys.push(format!("{PREFIX}mode: \"once\""));
    }
    if option(["--depth", "--depth"]).is_none() {
        keys.push(format!(
            "{PREFIX}depth: \"0\" where something reads the history"
        ));
    }
    let env = container.env.iter().flatten();
    let is_unchecked = env.into_iter().any(|own| own.name == "GIT_SSL_NO_VERIFY");
    let words = [&container.command, &container.args];
    let mut words = words.into_iter().flatten().flatten();
    let config = words.any(|own| own.contains("http.sslVerify"));
    if is_unchecked || config {
        keys.push(format!(
            "{PREFIX}secret: a Secret with the host's CA as ca.crt, since certificates are always \
             checked"
        ));
    } else if has_password || has_secret(pod, container) {
        keys.push(format!("{PREFIX}secret: the Secret with its credentials"));
    }
    let volume = match &place {
        Some((volume, _)) => format!(" and the volume {volume}"),
        None => String::new(),
    };
    format!(
        "it runs git clone; instead write {}, and remove the container{volume}",
        keys.join(", ")
    )
}

/// Whether a container uses a Secret.
fn has_secret(pod: &PodSpec, container: &Container) -> bool {
    let mut volumes = pod.volumes.iter().flatten();
    let is_mounted = volumes.any(|volume| {
        let mut mounts = container.volume_mounts.iter().flatten();
        volume.secret.is_some() && mounts.any(|mount| mount.name == volume.name)
    });
    let mut env = container.env.iter().flatten();
    let mut from = container.env_from.iter().flatten();
    is_mounted
        || from.any(|own| own.secret_ref.is_some())
        || env.any(|own| {
            let from = own.value_from.as_ref();
            from.is_some_and(|from| from.secret_key_ref.is_some())
        })
}

/// The first git command that downloads, with the index of the word after it.
fn command(words: &[String]) -> Option<(Command, usize)> {
    let mut update = None;
    for (index, word) in words.iter().enumerate() {
        if word != "git" && !word.ends_with("/git") {
            continue;
        }
        let mut at = index + 1;
        // Global options of git precede the command.
        while let Some(option) = words.get(at).filter(|own| own.starts_with('-')) {
            at += match option.as_str() {
                "-C" | "-c" | "--git-dir" | "--work-tree" => 2,
                _ => 1,
            };
        }
        match words.get(at).map(String::as_str) {
            Some("clone") => return Some((Command::Clone, at + 1)),
            Some("pull" | "fetch") => update = update.or(Some((Command::Update, at + 1))),
            _ => {}
        }
    }
    update
}

/// The words of a container's command line; a shell script is split into words. The default command
/// of a git image is git.
fn words(container: &Container) -> Vec<String> {
    let command = container.command.as_deref().unwrap_or_default();
    let args = container.args.as_deref().unwrap_or_default();
    let image = container.image.as_deref().unwrap_or_default();
    let name = image.split(['@', ':']).next().unwrap_or(image);
    let is_git = name.ends_with("/git") || name == "git" || name.ends_with("/alpine-git");
    let entry = (is_git && command.is_empty()).then(|| "git".to_owned());
    let mut words: Vec<String> = entry.into_iter().collect();
    for text in command.iter().chain(args) {
        let text = known(text, container);
        let parted = text
            .replace("&&", " && ")
            .replace(';', " ; ")
            .replace("$(git", " git ")
            .replace('\n', " ; ");
        let parted = parted.split_whitespace();
        let bare = parted.map(|word| word.trim_matches(['"', '\'', '(', ')', '`']));
        words.extend(bare.filter(|word| !word.is_empty()).map(str::to_owned));
    }
    words
}

/// A text with the container's variables substituted, as far as the manifest contains their values.
fn known(text: &str, container: &Container) -> String {
    let mut text = text.to_owned();
    for own in container.env.iter().flatten() {
        let Some(value) = own.value.as_deref().filter(|value| !value.is_empty()) else {
            continue;
        };
        let name = &own.name;
        for form in [
            format!("$({name})"),
            format!("${{{name}}}"),
            format!("${name}"),
        ] {
            text = text.replace(&form, value);
        }
    }
    text
}

/// Whether a container downloads a repository, by git-sync or by a git command.
pub(crate) fn is_git_program(container: &Container) -> bool {
    process::kind(container) != process::Kind::Other || is_one(container)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::Value;
    use serde_json::json;

    fn messages(container: Value) -> Vec<String> {
        let pod = json!({
            "volumes": [{"name": "html", "emptyDir": {}}],
            "initContainers": [container],
            "containers": [{
                "name": "web", "image": "nginx",
                "volumeMounts": [{"name": "html", "mountPath": "/www"}],
            }],
        });
        let pod = PodSpec::deserialize(&pod).unwrap();
        let sources = sources(&pod).into_iter();
        sources.map(|own| own.unwrap_err().why).collect()
    }

    fn container(rest: &[(&str, Value)]) -> Value {
        let mut own = json!({
            "name": "clone", "image": "alpine/git:2.45.2",
            "volumeMounts": [{"name": "html", "mountPath": "/html"}],
        });
        for (key, value) in rest {
            own[*key] = value.clone();
        }
        own
    }

    #[test]
    fn a_clone_is_reported_with_the_equivalent_annotations() {
        let expected = "it runs git clone; instead write gitvolume.dev/repo: \
            \"https://git.example/a.git\", gitvolume.dev/ref: \"main\", gitvolume.dev/mount-path: \
            \"/www/site\", gitvolume.dev/mode: \"once\", and remove the container and the volume html";
        for own in [
            container(&[(
                "args",
                json!([
                    "clone",
                    "--depth=1",
                    "-b",
                    "main",
                    "--",
                    "https://git.example/a.git",
                    "/html/site"
                ]),
            )]),
            container(&[
                ("image", json!("alpine:3")),
                ("command", json!(["sh", "-c"])),
                (
                    "args",
                    json!([
                        "apk add git\ngit -c a=b clone --branch=main --depth 1 \"${REPO}\" /html/site && ls"
                    ]),
                ),
                (
                    "env",
                    json!([{"name": "REPO", "value": "https://git.example/a.git"}]),
                ),
            ]),
            container(&[
                (
                    "args",
                    json!([
                        "clone",
                        "--depth=1",
                        "--branch",
                        "main",
                        "https://git.example/a.git",
                        "site"
                    ]),
                ),
                ("workingDir", json!("/html")),
            ]),
        ] {
            assert_eq!(messages(own.clone()), [expected], "{own}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        let own = container(&[(
            "args",
            json!(["clone", "https://me:hunter2@git.example/a", "/html"]),
        )]);
        let messages = messages(own);
        assert!(!messages[0].contains("hunter2"), "{messages:?}");
        assert!(messages[0].contains("gitvolume.dev/secret"), "{messages:?}");
    }

    #[test]
    fn another_git_command_is_no_clone() {
        for args in [
            json!(["version"]),
            json!(["log", "clone"]),
            json!(["digit clone"]),
        ] {
            assert!(messages(container(&[("args", args)])).is_empty());
        }
    }
}
