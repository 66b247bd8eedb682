//! The parsers of the annotations' values; the grammars are in the table.

use std::path::Component;

use args::GitDuration;
use args::Layout;
use args::Link;
use args::MASK;
use args::ParseRevError;
use args::RepoKind;
use args::RepoUrl;
use args::Rev;
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

/// The reason to refuse a value: it does not match the table's grammar, or there is a more specific
/// clause.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wrong {
    Clause(&'static str),
    Grammar,
}

/// The clause for an address with credentials.
pub(crate) const CREDENTIALS: &str = "credentials in an address are visible to everyone who can read the Pod; expected an address without credentials, and a Secret \
                                      named by gitvolume.dev/secret";
pub(crate) const CREDENTIALS_OF_NOTIFY: &str = "credentials in an address are visible to everyone who can read the Pod; expected an address without credentials";
pub(crate) const OWN_NAMES: &str = "expected another name: the syncer reserves .git and .worktrees";
pub(crate) const PROC: &str =
    "expected a path outside of /proc, where container runtimes refuse mounts";
/// The clause for an invalid range of versions, as the syncer prints it.
pub(crate) const RANGE: &str = "expected semver: and version comparators such as ^1.2, ~1.2.3, 1.x or >=1.2 <2, with || between alternatives";
pub(crate) const SHORT: &str = "expected at least 10ms";
/// The clause for a maximum age below the resolution of the cache's answers.
pub(crate) const FRESH: &str = "expected at least 1s, which refuses every older revision";

pub(crate) fn repo(text: &str) -> Result<RepoUrl, Wrong> {
    // Before the grammar: an address with a password must not be reported as a misspelt one.
    if has_credentials(text) {
        return Err(Wrong::Clause(CREDENTIALS));
    }
    let repo: RepoUrl = text.parse().map_err(|_| Wrong::Grammar)?;
    match repo.kind() {
        RepoKind::Http | RepoKind::Ssh => Ok(repo),
        // A local path would be in the syncer's own container, which has none of the author's
        // files. git's own protocol lets everyone on the network path change the files.
        RepoKind::Git | RepoKind::Local => Err(Wrong::Grammar),
    }
}

/// Checks the text: a string that does not parse as a URL (a password with a slash in it) may still
/// contain credentials.
fn has_credentials(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':') || is_token(user))
}

pub(crate) fn rev(text: &str) -> Result<Rev, Wrong> {
    text.parse().map_err(|error| match error {
        ParseRevError::Name => Wrong::Grammar,
        ParseRevError::Range(_) => Wrong::Clause(RANGE),
    })
}

pub(crate) fn mount_path(text: &str) -> Result<MountPath, Wrong> {
    let path: MountPath = text.parse().map_err(|()| Wrong::Grammar)?;
    let is_in = |top: &str| path.as_str() == top || path.as_str().starts_with(&format!("{top}/"));
    // runc's checkProcMount: such a container is created and never starts.
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
    // The link layout keeps its own files in the same directory.
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

pub(crate) fn layout(text: &str) -> Result<Layout, Wrong> {
    match text {
        "projected" => Ok(Layout::Projected),
        "files" => Ok(Layout::Files),
        _ => Err(Wrong::Grammar),
    }
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
    // The syncer's own limit, checked here because the syncer would exit at start.
    if period.get().as_millis() < 10 {
        return Err(Wrong::Clause(SHORT));
    }
    Ok(period)
}

/// Zero is no limit for the syncer, and "never" for a reader of the annotation; so it is refused.
pub(crate) fn staleness(text: &str) -> Result<GitDuration, Wrong> {
    let staleness: GitDuration = text.parse().map_err(|_| Wrong::Grammar)?;
    if staleness.get().as_secs() < 1 {
        return Err(Wrong::Clause(FRESH));
    }
    Ok(staleness)
}

pub(crate) fn depth(text: &str) -> Result<u32, Wrong> {
    // Digits only: `parse` would accept a plus sign. git's own maximum is 2^31-1.
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

/// Patterns for git's sparse checkout; leading and trailing blanks are a manifest's indentation.
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

/// The object filters of git-rev-list(1) that are useful for a checkout.
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

/// An address that the syncer calls; like a repository's, it is visible to everyone.
pub(crate) fn notify(text: &str) -> Result<String, Wrong> {
    if has_credentials(text) {
        return Err(Wrong::Clause(CREDENTIALS_OF_NOTIFY));
    }
    let is_http = text.starts_with("http://") || text.starts_with("https://");
    let bad_char = |c: char| c.is_control() || c.is_whitespace();
    // The parser repairs characters that another parser may read differently.
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
        // Kubernetes' spelling is accepted too.
        "memory" | "Memory" => Ok(Medium::Memory),
        _ => Err(Wrong::Grammar),
    }
}

/// Names separated by commas, with optional blanks; the plan checks whether they exist.
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

/// A value for a sentence: quoted, control characters escaped, of limited length, and without
/// anything that may be a password.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 100;
    let mut text = without_secrets(text);
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    format!("{text:?}")
}

/// Removes rather too much than too little: everything up to the last `@` that follows a colon or a
/// possible token, and other parts of an address that may be secret.
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
    fn the_syncer_and_the_webhook_refuse_a_ref_with_the_same_sentence() {
        for text in ["semver:latest", "semver:", "a b", "^1.2"] {
            let sentence = text.parse::<Rev>().unwrap_err().to_string();
            let clause = match rev(text).unwrap_err() {
                Wrong::Clause(clause) => clause.to_owned(),
                Wrong::Grammar => format!("expected {}", crate::Key::Ref.row().grammar),
            };
            assert_eq!(clause, sentence, "{text}");
        }
    }

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
    fn links_stay_inside_the_volume_and_avoid_reserved_names() {
        assert!(link("current").is_ok() && link("a/b").is_ok() && link(".github").is_ok());
        for text in ["/srv/html", "../x", "", "a/"] {
            assert_eq!(link(text), Err(Wrong::Grammar), "{text:?}");
        }
        for text in [".git", "./.git", ".worktrees/x"] {
            assert!(matches!(link(text), Err(Wrong::Clause(_))), "{text:?}");
        }
    }

    #[test]
    fn numbers_names_and_periods_have_limits() {
        assert_eq!(depth("0"), Ok(0));
        for text in ["", "-1", "+1", "1.5", "2147483648", "99999999999", " 1"] {
            assert_eq!(depth(text), Err(Wrong::Grammar), "{text:?}");
        }
        assert!(period("10ms").is_ok());
        assert_eq!(period("9ms"), Err(Wrong::Clause("expected at least 10ms")));
        assert!(staleness("1s").is_ok());
        for text in ["0", "0s", "999ms"] {
            assert_eq!(staleness(text), Err(Wrong::Clause(FRESH)), "{text}");
        }
        assert_eq!(staleness("an hour"), Err(Wrong::Grammar));
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
        fn no_value_of_an_author_causes_a_panic(text: String) {
            let _ = (repo(&text), link(&text), mode(&text), period(&text), depth(&text));
            let _ = (secret(&text), names(&text), boolean(&text));
            prop_assert!(!shown(&text).contains(char::is_control));
        }
    }
}
