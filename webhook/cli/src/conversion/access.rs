//! Converts git-sync's credentials to one Secret with well-known keys.

use args::RepoArgs;
use args::RepoKind;
use args::RepoUrl;
use args::secret;
use inject::PREFIX;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;

use super::process::PASSWORDS;
use super::process::Process;
use super::process::USERNAMES;
use super::view::joined;
use super::view::mount_of;

/// The fixed path of git-sync's cookie file.
const COOKIES: &str = "/etc/git-secret/cookie_file";

/// The Secret with git-sync's credentials; an error is a setting that no annotation can express.
pub(super) fn secret(
    pod: &PodSpec,
    container: &Container,
    process: &Process,
    repo: &RepoArgs,
    kind: RepoKind,
) -> Result<Option<String>, String> {
    if !repo.credential.is_empty() {
        return Err(no_equivalent("--credential"));
    }
    if repo.askpass_url.is_some() {
        return Err(no_equivalent("--askpass-url"));
    }
    let is_app = repo.github_app_client_id.is_some()
        || repo.github_app_application_id.is_some()
        || repo.github_app_installation_id.is_some()
        || repo.github_app_private_key.is_some()
        || repo.github_app_private_key_file.is_some();
    if is_app {
        return Err(format!(
            "put the GitHub App's IDs and private key into one Secret, with the keys {}, {} and {}, \
             named by {PREFIX}secret",
            secret::GITHUB_APP_IDS[0],
            secret::GITHUB_APP_INSTALLATION_IDS[0],
            secret::GITHUB_APP_PRIVATE_KEYS[0]
        ));
    }
    if repo.password.is_some() {
        return Err(format!(
            "the manifest contains a password; put it into a Secret with the keys username and \
             password, named by {PREFIX}secret"
        ));
    }
    let mut found: Vec<String> = Vec::new();
    found.extend(of_user(pod, container, process, repo)?);
    if repo.cookie_file {
        let (name, key) = file(pod, container, COOKIES)?
            .ok_or_else(|| format!("--cookie-file: no Secret is mounted at {COOKIES}"))?;
        expect(&name, &key, &[secret::COOKIE_FILE])?;
        found.push(name);
    }
    if kind == RepoKind::Ssh {
        found.extend(of_ssh(pod, container, repo)?);
    }
    found.dedup();
    match &found[..] {
        [] => Ok(None),
        [name] => Ok(Some(name.clone())),
        names => Err(format!(
            "its credentials are in the Secrets {}, but a repository has only one",
            names.join(" and ")
        )),
    }
}

/// The Secret with a user and a password, from variables or a file.
fn of_user(
    pod: &PodSpec,
    container: &Container,
    process: &Process,
    repo: &RepoArgs,
) -> Result<Option<String>, String> {
    let of = |names: &[&str]| {
        let mut secrets = process.secrets.iter();
        secrets
            .rfind(|(own, ..)| names.contains(&own.as_str()))
            .map(|(_, name, key)| (name.clone(), key.clone()))
    };
    let user = of(&USERNAMES);
    let password = match &repo.password_file {
        None => of(&PASSWORDS),
        Some(path) => {
            let path = path.display().to_string();
            let found = file(pod, container, &path)?;
            Some(found.ok_or_else(|| format!("--password-file: no Secret is mounted at {path}"))?)
        }
    };
    let Some((name, key)) = password else {
        return match user.is_some() || repo.username.is_some() {
            true => Err("it has a user name, but the manifest contains no password".to_owned()),
            false => Ok(None),
        };
    };
    let wanted = format!(
        "the Secret {name:?} needs the keys username and password, to be named by {PREFIX}secret"
    );
    let address = repo.repo.as_ref().map(RepoUrl::user_info);
    let is_named = repo.username.is_none() && address.is_some_and(|user| user.name().is_some());
    match user {
        None if is_named && is_password(&key) => Ok(Some(name)),
        Some((other, user)) if other == name => {
            if secret::USERNAMES.contains(&user.as_str()) && is_password(&key) {
                return Ok(Some(name));
            }
            Err(format!("{wanted}; it has {user} and {key}"))
        }
        Some((other, _)) => Err(format!("{wanted}; the user is in {other:?}")),
        None => Err(format!("{wanted}; the user is in the manifest")),
    }
}

fn is_password(key: &str) -> bool {
    secret::PASSWORDS.contains(&key) || secret::TOKENS.contains(&key)
}

fn of_ssh(pod: &PodSpec, container: &Container, repo: &RepoArgs) -> Result<Option<String>, String> {
    let [key_file] = &repo.ssh_key_file[..] else {
        return Err("it has several SSH keys, but a Secret holds only one".to_owned());
    };
    let Some((name, key)) = file(pod, container, &key_file.display().to_string())? else {
        return Ok(None);
    };
    expect(&name, &key, &secret::SSH_KEYS)?;
    if !repo.ssh_known_hosts {
        return Err(format!(
            "it accepts any host key, but the injected syncer accepts only those in known_hosts: add \
             known_hosts to the Secret {name:?}, and remove --ssh-known-hosts"
        ));
    }
    let path = repo.ssh_known_hosts_file.display().to_string();
    match file(pod, container, &path)? {
        Some((other, key)) if other == name => expect(&name, &key, &[secret::KNOWN_HOSTS])?,
        _ => {
            return Err(format!(
                "its host keys are not in the Secret {name:?} of its ssh key: add them to it as \
                 known_hosts, and remove --ssh-known-hosts-file"
            ));
        }
    }
    Ok(Some(name))
}

fn expect(name: &str, key: &str, expected: &[&str]) -> Result<(), String> {
    if expected.contains(&key) {
        return Ok(());
    }
    Err(format!(
        "the key {key:?} of the Secret {name:?} is unknown to the injected syncer: add its content as {}",
        expected[0]
    ))
}

/// The Secret and key that are mounted at a file path in a container; `None` if no volume is
/// mounted there.
fn file(
    pod: &PodSpec,
    container: &Container,
    path: &str,
) -> Result<Option<(String, String)>, String> {
    let Some((mount, rest)) = mount_of(container, path) else {
        return Ok(None);
    };
    let mut volumes = pod.volumes.iter().flatten();
    let volume = volumes.find(|volume| volume.name == mount.name);
    let Some(source) = volume.and_then(|volume| volume.secret.as_ref()) else {
        return Err(format!("{path} is not in a Secret's volume"));
    };
    let name = source.secret_name.clone().unwrap_or_default();
    let inside = match &mount.sub_path {
        Some(sub) => joined(sub, &rest),
        None => rest,
    };
    let key = match &source.items {
        None => inside,
        Some(items) => {
            let item = items.iter().find(|item| item.path == inside);
            item.map(|item| item.key.clone())
                .ok_or_else(|| format!("{path} is not among the items of the Secret {name:?}"))?
        }
    };
    Ok(Some((name, key)))
}

fn no_equivalent(flag: &str) -> String {
    format!("{flag} has no equivalent; put the credentials into a Secret named by {PREFIX}secret")
}
