//! The values of annotations, each read once; the grammar of each is in the table beside it.

use std::path::Component;

use args::GitDuration;
use args::Link;
use args::MASK;
use args::RepoKind;
use args::RepoUrl;
use args::Subdir;
use args::Submodules;
use args::is_label;
use args::is_token;
use args::mask_addresses;
use args::may_be_token;
use url::Url;

use crate::Medium;
use crate::Mode;
use crate::MountPath;
use crate::Quantity;

/// What is wrong with a value: it is not of the table's grammar, or there is more to say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wrong {
    Clause(&'static str),
    Grammar,
}

/// What is said where there is more to say than the grammar.
pub(crate) const CREDENTIALS: &str = "credentials in an address can be read by all who can read \
                                      the Pod; expected an address without them, and a Secret \
                                      named by gitvolume.dev/secret";
pub(crate) const CREDENTIALS_OF_NOTIFY: &str = "credentials in an address can be read by all who \
                                                can read the Pod; expected an address without them";
pub(crate) const OWN_NAMES: &str =
    "expected another name: .git and .worktrees are the syncer's own";
pub(crate) const PROC: &str = "expected a path outside of /proc, where nothing can be mounted";
pub(crate) const SHORT: &str = "expected at least 10ms";

pub(crate) fn repo(text: &str) -> Result<RepoUrl, Wrong> {
    // Before the grammar: an address with a password must not pass for a misspelt one.
    if has_credentials(text) {
        return Err(Wrong::Clause(CREDENTIALS));
    }
    let repo: RepoUrl = text.parse().map_err(|_| Wrong::Grammar)?;
    match repo.kind() {
        RepoKind::Http | RepoKind::Ssh => Ok(repo),
        // A path would be one in the syncer's own container: nothing of the author's is there. And
        // git's own protocol lets everyone on the way change the files.
        RepoKind::Git | RepoKind::Local => Err(Wrong::Grammar),
    }
}

/// Judged on the text, since what is no URL (a password with a slash in it) may still hold one.
fn has_credentials(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':') || is_token(user))
}

pub(crate) fn mount_path(text: &str) -> Result<MountPath, Wrong> {
    let path: MountPath = text.parse().map_err(|()| Wrong::Grammar)?;
    let is_in = |top: &str| path.as_str() == top || path.as_str().starts_with(&format!("{top}/"));
    // runc's checkProcMount: such a container is made and never starts.
    if is_in("/proc") {
        return Err(Wrong::Clause(PROC));
    }
    Ok(path)
}

pub(crate) fn link(text: &str) -> Result<Link, Wrong> {
    let link: Link = text.parse().map_err(|_| Wrong::Grammar)?;
    if !link.is_relative() {
        return Err(Wrong::Grammar);
    }
    // The link layout keeps its own things in the same directory.
    let first = link
        .as_path()
        .components()
        .find(|part| *part != Component::CurDir);
    let own = [".git", ".worktrees"].map(|name| Component::Normal(name.as_ref()));
    if first.is_some_and(|first| own.contains(&first)) {
        return Err(Wrong::Clause(OWN_NAMES));
    }
    Ok(link)
}

pub(crate) fn mode(text: &str) -> Result<Mode, Wrong> {
    match text {
        "once" => Ok(Mode::Once),
        "sync" => Ok(Mode::Sync),
        _ => Err(Wrong::Grammar),
    }
}

pub(crate) fn period(text: &str) -> Result<GitDuration, Wrong> {
    let period: GitDuration = text.parse().map_err(|_| Wrong::Grammar)?;
    // The syncer's own limit, said here rather than in a container that does not start.
    if period.get().as_millis() < 10 {
        return Err(Wrong::Clause(SHORT));
    }
    Ok(period)
}

pub(crate) fn depth(text: &str) -> Result<u32, Wrong> {
    // Digits only: `parse` would take a plus sign. git's own largest is 2^31-1.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let depth = text
        .parse()
        .ok()
        .filter(|depth| digits && *depth <= i32::MAX as u32);
    depth.ok_or(Wrong::Grammar)
}

/// A DNS-1123 subdomain, the grammar of a Secret's name
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>).
pub(crate) fn secret(text: &str) -> Result<String, Wrong> {
    if text.len() <= 253 && text.split('.').all(is_label) {
        Ok(text.to_owned())
    } else {
        Err(Wrong::Grammar)
    }
}

pub(crate) fn subdir(text: &str) -> Result<Subdir, Wrong> {
    text.parse().map_err(|_| Wrong::Grammar)
}

/// Patterns for git's sparse checkout; blanks around them are a manifest's indentation.
pub(crate) fn sparse(text: &str) -> Result<String, Wrong> {
    let patterns: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let is_comment = |line: &&str| line.starts_with('#');
    let bad_char = |c: char| c.is_control();
    if patterns.iter().all(is_comment) || patterns.iter().any(|line| line.contains(bad_char)) {
        return Err(Wrong::Grammar);
    }
    Ok(patterns.join("\n"))
}

/// The filters that a reader of files has a use for, out of git-rev-list(1)'s.
pub(crate) fn filter(text: &str) -> Result<String, Wrong> {
    let is_number = |text: &str| {
        (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_size = |text: &str| is_number(text.strip_suffix(['k', 'm', 'g']).unwrap_or(text));
    let known = text == "blob:none"
        || text.strip_prefix("blob:limit=").is_some_and(is_size)
        || text.strip_prefix("tree:").is_some_and(is_number);
    known.then(|| text.to_owned()).ok_or(Wrong::Grammar)
}

pub(crate) fn submodules(text: &str) -> Result<Submodules, Wrong> {
    match text {
        "off" => Ok(Submodules::Off),
        "recursive" => Ok(Submodules::Recursive),
        "shallow" => Ok(Submodules::Shallow),
        _ => Err(Wrong::Grammar),
    }
}

/// An address that the syncer calls; like a repository's, it is for all to read.
pub(crate) fn notify(text: &str) -> Result<String, Wrong> {
    if has_credentials(text) {
        return Err(Wrong::Clause(CREDENTIALS_OF_NOTIFY));
    }
    let is_http = text.starts_with("http://") || text.starts_with("https://");
    let bad_char = |c: char| c.is_control() || c.is_whitespace();
    // The reader of addresses mends what another one may read otherwise.
    if !is_http || text.contains(bad_char) || Url::parse(text).is_err() {
        return Err(Wrong::Grammar);
    }
    Ok(text.to_owned())
}

pub(crate) fn amount(text: &str) -> Result<Quantity, Wrong> {
    let amount: Quantity = text.parse().map_err(|_| Wrong::Grammar)?;
    if amount.is_zero() {
        return Err(Wrong::Grammar);
    }
    Ok(amount)
}

pub(crate) fn medium(text: &str) -> Result<Medium, Wrong> {
    match text {
        "disk" => Ok(Medium::Disk),
        // Kubernetes' own spelling too.
        "memory" | "Memory" => Ok(Medium::Memory),
        _ => Err(Wrong::Grammar),
    }
}

/// Names separated by commas, blanks around them allowed; whether they exist is seen by the plan.
pub(crate) fn names(text: &str) -> Result<Vec<String>, Wrong> {
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) {
        return Err(Wrong::Grammar);
    }
    Ok(names)
}

pub(crate) fn boolean(text: &str) -> Result<bool, Wrong> {
    match text {
        "false" => Ok(false),
        "true" => Ok(true),
        _ => Err(Wrong::Grammar),
    }
}

/// Writes a value for a sentence: quoted, control characters escaped, of bearable length, and
/// without what may be a password.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 100;
    let mut text = without_secrets(text);
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    format!("{text:?}")
}

/// Rather too much than too little: everything up to the last `@`, if there is a colon in it or what may be
/// a token, and what else in an address may be a secret.
pub(crate) fn without_secrets(text: &str) -> String {
    if let Some((scheme, rest)) = text.split_once("://")
        && let Some((user, host)) = rest.rsplit_once('@')
        && (user.contains(':') || may_be_token(user) || has_credentials(text))
    {
        return mask_addresses(&format!("{scheme}://{MASK}@{host}"));
    }
    mask_addresses(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn remote_addresses_are_read() {
        for text in [
            "https://git.example/site.git",
            "https://org@git.example/site",
            "ssh://git@git.example:2222/site.git",
            "git@git.example:org/site.git",
            "https://git.example:8443/@scope/site",
        ] {
            assert!(repo(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn local_addresses_options_and_programs_are_refused() {
        for text in [
            "/etc",
            "file:///etc",
            "--upload-pack=x",
            "ext::id",
            "",
            "site",
        ] {
            assert_eq!(repo(text), Err(Wrong::Grammar), "{text:?}");
        }
    }

    #[test]
    fn an_address_with_credentials_is_refused_and_never_shown() {
        for text in [
            "https://me:hunter2@git.example/x",
            "https://:hunter2@git.example/x",
            "ssh://git:hunter2@git.example/x",
            "https://ghp_hunter2@git.example/x",
            "ftp://me:hunter2@git.example/x",
        ] {
            assert!(matches!(repo(text), Err(Wrong::Clause(_))), "{text:?}");
            assert!(!shown(text).contains("hunter2"), "{}", shown(text));
        }
        assert!(!shown("https://me:hun/ter2@git.example/x").contains("ter2"));
    }

    #[test]
    fn links_stay_inside_and_off_the_syncers_own_names() {
        assert!(link("current").is_ok() && link("a/b").is_ok() && link(".github").is_ok());
        for text in ["/srv/html", "../x", "", "a/"] {
            assert_eq!(link(text), Err(Wrong::Grammar), "{text:?}");
        }
        for text in [".git", "./.git", ".worktrees/x"] {
            assert!(matches!(link(text), Err(Wrong::Clause(_))), "{text:?}");
        }
    }

    #[test]
    fn numbers_names_and_periods_have_their_limits() {
        assert_eq!(depth("0"), Ok(0));
        for text in ["", "-1", "+1", "1.5", "2147483648", "99999999999", " 1"] {
            assert_eq!(depth(text), Err(Wrong::Grammar), "{text:?}");
        }
        assert!(period("10ms").is_ok());
        assert_eq!(period("9ms"), Err(Wrong::Clause("expected at least 10ms")));
        assert!(secret("git-credentials.v1").is_ok());
        for text in ["", "Git", "-a", "a-", "a..b", "a/b", &"a".repeat(254)] {
            assert_eq!(secret(text), Err(Wrong::Grammar), "{text:?}");
        }
        assert_eq!(names("web, log").unwrap(), ["web", "log"]);
        assert_eq!(names("web,"), Err(Wrong::Grammar));
    }

    #[test]
    fn a_value_is_shown_on_one_line_and_short() {
        assert_eq!(shown("a\n\"b\""), r#""a\n\"b\"""#);
        assert_eq!(shown(&"ü".repeat(500)).chars().count(), 103);
    }

    proptest! {
        #[test]
        fn nothing_an_author_writes_makes_us_panic(text: String) {
            let _ = (repo(&text), link(&text), mode(&text), period(&text), depth(&text));
            let _ = (secret(&text), names(&text), boolean(&text));
            prop_assert!(!shown(&text).contains(char::is_control));
        }
    }
}
