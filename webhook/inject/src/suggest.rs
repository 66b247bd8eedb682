//! What an author probably meant: the annotation of a key that is not in the table, the value in
//! place of one that is not accepted, and the repository of a page of a git host.

use crate::ANNOTATIONS;
use crate::Name;
use crate::annotations::Annotation;
use crate::annotations::Scope;

/// Words that people bring from git, Argo CD, Flux, git-sync and Kubernetes, in small letters and
/// without hyphens, and the key that means the same.
const WORDS: [(&str, &str); 66] = [
    ("address", "repo"),
    ("auth", "secret"),
    ("autoinject", "inject"),
    ("branch", "ref"),
    ("commit", "ref"),
    ("container", "containers"),
    ("cpu", "resources.requests.cpu"),
    ("credentials", "secret"),
    ("dest", "mount-path"),
    ("destination", "mount-path"),
    ("dir", "mount-path"),
    ("directory", "subdir"),
    ("enable", "inject"),
    ("enabled", "inject"),
    ("folder", "subdir"),
    ("frequency", "period"),
    ("gid", "user"),
    ("git", "repo"),
    ("gitsecret", "secret"),
    ("giturl", "repo"),
    ("hash", "ref"),
    ("hook", "notify"),
    ("initcontainer", "init-containers"),
    ("interval", "period"),
    ("location", "mount-path"),
    ("memory", "resources.requests.memory"),
    ("memorylimit", "resources.limits.memory"),
    ("mount", "mount-path"),
    ("mountdir", "mount-path"),
    ("mountpoint", "mount-path"),
    ("once", "mode"),
    ("onetime", "mode"),
    ("order", "position"),
    ("path", "mount-path"),
    ("poll", "period"),
    ("pollinterval", "period"),
    ("port", "metrics-port"),
    ("readonly", "read-only"),
    ("refresh", "period"),
    ("refreshinterval", "period"),
    ("remote", "repo"),
    ("repository", "repo"),
    ("repourl", "repo"),
    ("rev", "ref"),
    ("revision", "ref"),
    ("root", "mount-path"),
    ("runasuser", "user"),
    ("secretname", "secret"),
    ("secretref", "secret"),
    ("sha", "ref"),
    ("size", "size-limit"),
    ("sizelimit", "size-limit"),
    ("source", "repo"),
    ("sparse", "sparse-checkout"),
    ("sshsecret", "secret"),
    ("submodule", "submodules"),
    ("subpath", "subdir"),
    ("syncer", "image"),
    ("syncinterval", "period"),
    ("syncperiod", "period"),
    ("tag", "ref"),
    ("target", "mount-path"),
    ("targetrevision", "ref"),
    ("uid", "user"),
    ("url", "repo"),
    ("wait", "period"),
];

/// The annotation that was perhaps meant by a key that is not in the table, with the name of a
/// repository that may stand before it.
pub(crate) fn nearest(key: &str) -> Option<(Option<&str>, &'static Annotation)> {
    /// Below this two keys have little more in common than their alphabet.
    const ALIKE: f64 = 0.7;
    // Who writes `site.repos` knows what a name is.
    let (name, last) = match key.rsplit_once('.') {
        Some((name, last)) if name.parse::<Name>().is_ok() => (Some(name), last),
        _ => (None, key),
    };
    let row = by_word(last).or_else(|| {
        let rows = ANNOTATIONS.iter();
        let rows = rows.filter(|row| row.scope != Scope::Status);
        rows.map(|row| (strsim::jaro_winkler(last, row.key), row))
            .max_by(|one, other| one.0.total_cmp(&other.0))
            .filter(|(likeness, _)| *likeness >= ALIKE)
            .map(|(_, row)| row)
    })?;
    Some((name.filter(|_| row.scope == Scope::Repository), row))
}

/// The annotation of a word that means the same, or of its key in another spelling: `mountPath`,
/// `READ_ONLY`.
fn by_word(word: &str) -> Option<&'static Annotation> {
    let bare = |text: &str| {
        let text = text.chars().filter(|c| !matches!(c, '-' | '_' | '.'));
        text.collect::<String>().to_ascii_lowercase()
    };
    let word = bare(word);
    let rows = || ANNOTATIONS.iter().filter(|row| row.scope != Scope::Status);
    rows().find(|row| bare(row.key) == word).or_else(|| {
        let (_, key) = WORDS.iter().find(|(own, _)| *own == word)?;
        rows().find(|row| row.key == *key)
    })
}

/// The value that is accepted, and that means what a refused one was probably to mean.
pub(crate) fn value(row: &Annotation, text: &str) -> Option<String> {
    let text = text.trim();
    let candidate = match row.key {
        "period" | "timeout" => duration(text)?,
        "subdir" | "link" => path(text),
        "mount-path" => format!("/{}", path(text)),
        "size-limit" => amount(text)?,
        key if key.starts_with("resources.") => amount(text)?,
        "read-only" | "safe-directory" | "inject" => match &*text.to_ascii_lowercase() {
            "true" | "yes" | "on" | "1" => "true".to_owned(),
            "false" | "no" | "off" | "0" => "false".to_owned(),
            _ => return None,
        },
        "depth" => match &*text.to_ascii_lowercase() {
            "all" | "full" | "none" | "unlimited" => "0".to_owned(),
            _ => return None,
        },
        "repo" => format!("https://{}", text.trim_start_matches('/')),
        "mode" | "medium" | "submodules" | "filter" | "gitrepo" => text.to_ascii_lowercase(),
        _ => return None,
    };
    // An address without a scheme has at least a host with a dot and a path.
    let is_likely = row.key != "repo" || {
        let (host, rest) = text.split_once('/')?;
        host.contains('.') && !host.starts_with('.') && !rest.is_empty() && !text.contains("://")
    };
    (candidate != text && is_likely && row.check(&candidate).is_ok()).then_some(candidate)
}

/// A path below a directory, without what stands for the directory itself.
fn path(text: &str) -> String {
    let parts = text.split('/').filter(|part| !["", "."].contains(part));
    parts.collect::<Vec<_>>().join("/")
}

/// A duration in other words: `60`, `5 min`, `10S`, `1 day`.
fn duration(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = (text[..end].parse::<u32>().ok()?, text[end..].trim());
    Some(match unit {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => format!("{number}s"),
        "m" | "min" | "mins" | "minute" | "minutes" => format!("{number}m"),
        "h" | "hr" | "hrs" | "hour" | "hours" => format!("{number}h"),
        "d" | "day" | "days" => format!("{}h", number.checked_mul(24)?),
        "w" | "week" | "weeks" => format!("{}h", number.checked_mul(168)?),
        "ms" | "millis" | "milliseconds" => format!("{number}ms"),
        _ => return None,
    })
}

/// An amount in other letters: `500MB`, `1 gi`, `2GiB`.
fn amount(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = (&text[..end], text[end..].trim());
    let unit = unit.strip_suffix(['b', 'B']).unwrap_or(unit);
    let mut letters = unit.chars();
    let first = letters.next()?.to_ascii_uppercase();
    let is_binary = letters.as_str().eq_ignore_ascii_case("i");
    let is_known = ['K', 'M', 'G', 'T', 'P', 'E'].contains(&first);
    (is_known && (is_binary || letters.as_str().is_empty())).then(|| {
        let first = if first == 'K' && !is_binary {
            'k'
        } else {
            first
        };
        format!("{number}{first}{}", if is_binary { "i" } else { "" })
    })
}

/// A repository, and what a page of it shows.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Page {
    pub(crate) repo: String,
    /// The branch, tag or hash, as far as the address tells: one with a slash in it is cut.
    pub(crate) rev: Option<String>,
    pub(crate) path: Option<String>,
}

/// The repository whose page in a browser an address is, where its path says so.
pub(crate) fn page(address: &str) -> Option<Page> {
    let rest = address.strip_prefix("https://");
    let rest = rest.or_else(|| address.strip_prefix("http://"))?;
    let scheme = &address[..address.len() - rest.len()];
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    let (host, path) = rest.split_once('/')?;
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let at = |index: usize| parts.get(index).copied();
    let kinds = ["blame", "blob", "commit", "commits", "edit", "raw", "tree"];
    // The place of the word that says that this is a page, and how many words follow it before the
    // revision.
    let found = (1..parts.len()).find_map(|index| match at(index)? {
        "-" if at(index + 1).is_some_and(|word| kinds.contains(&word)) => Some((index, 2)),
        "src" if ["branch", "commit", "tag"].contains(&at(index + 1)?) => Some((index, 2)),
        "src" if host == "bitbucket.org" && index == 2 => Some((index, 1)),
        word if kinds.contains(&word) && index == 2 && parts.len() > 3 => Some((index, 1)),
        _ => None,
    });
    let (index, skipped) = found?;
    let mut below = parts.get(index + skipped + 1..).unwrap_or_default();
    let is_file = ["blame", "blob", "edit", "raw"];
    if is_file
        .iter()
        .any(|kind| parts[index..index + skipped].contains(kind))
    {
        // The directory of the file that the page shows.
        below = &below[..below.len().saturating_sub(1)];
    }
    Some(Page {
        repo: format!("{scheme}{host}/{}", parts[..index].join("/")),
        rev: at(index + skipped).map(str::to_owned),
        path: (!below.is_empty()).then(|| below.join("/")),
    })
}

/// Whether a ref looks like a shortened hash, which no git server resolves.
pub(crate) fn is_short_hash(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_hexdigit();
    (7..40).contains(&text.len())
        && text.bytes().all(is_hex)
        && text.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_that_people_bring_are_known() {
        for (word, key) in [
            ("branch", "ref"),
            ("interval", "period"),
            ("path", "mount-path"),
            ("url", "repo"),
            ("revision", "ref"),
            ("tag", "ref"),
            ("commit", "ref"),
            ("dest", "mount-path"),
            ("secretName", "secret"),
            ("mountPath", "mount-path"),
            ("mount_path", "mount-path"),
            ("READONLY", "read-only"),
            ("perod", "period"),
            ("sub-path", "subdir"),
            ("targetRevision", "ref"),
        ] {
            let (name, row) = nearest(word).unwrap();
            assert_eq!((name, row.key), (None, key), "{word}");
        }
        let (name, row) = nearest("site.branch").unwrap();
        assert_eq!((name, row.key), (Some("site"), "ref"));
        for (word, key) in WORDS {
            assert!(ANNOTATIONS.iter().any(|row| row.key == key), "{word}");
            assert!(ANNOTATIONS.iter().all(|row| row.key != word), "{word}");
        }
        assert!(nearest("xyzzy").is_none());
    }

    #[test]
    fn a_value_that_is_close_becomes_one_that_is_accepted() {
        for (key, text, meant) in [
            ("period", "60", Some("60s")),
            ("period", "5 min", Some("5m")),
            ("period", "1d", Some("24h")),
            ("timeout", "10S", Some("10s")),
            ("timeout", "soon", None),
            ("subdir", "/public/", Some("public")),
            ("subdir", "./a//b", Some("a/b")),
            ("subdir", "../x", None),
            ("mount-path", "srv/www", Some("/srv/www")),
            ("mount-path", "/srv/../etc", None),
            ("size-limit", "500MB", Some("500M")),
            ("size-limit", "1 gib", Some("1Gi")),
            ("size-limit", "0", None),
            ("read-only", "no", Some("false")),
            ("mode", "Once", Some("once")),
            ("depth", "full", Some("0")),
            (
                "repo",
                "github.com/acme/site",
                Some("https://github.com/acme/site"),
            ),
            ("repo", "./x", None),
            ("repo", "/etc", None),
        ] {
            let row = ANNOTATIONS.iter().find(|row| row.key == key).unwrap();
            assert_eq!(value(row, text).as_deref(), meant, "{key}: {text}");
        }
    }

    #[test]
    fn a_page_of_a_git_host_is_one_of_a_repository() {
        for (address, repo, rev, path) in [
            (
                "https://github.com/a/b/tree/main/docs/x",
                "https://github.com/a/b",
                "main",
                "docs/x",
            ),
            (
                "https://github.com/a/b/blob/v1/README.md",
                "https://github.com/a/b",
                "v1",
                "",
            ),
            (
                "https://gitlab.com/a/g/b/-/tree/main",
                "https://gitlab.com/a/g/b",
                "main",
                "",
            ),
            (
                "https://gitlab.com/a/b/-/blob/main/x/y?ref_type=heads",
                "https://gitlab.com/a/b",
                "main",
                "x",
            ),
            (
                "https://codeberg.org/a/b/src/branch/main/x",
                "https://codeberg.org/a/b",
                "main",
                "x",
            ),
            (
                "https://bitbucket.org/a/b/src/main/",
                "https://bitbucket.org/a/b",
                "main",
                "",
            ),
        ] {
            let page = page(address).unwrap();
            assert_eq!(page.repo, repo);
            assert_eq!(page.rev.as_deref(), Some(rev));
            assert_eq!(page.path.unwrap_or_default(), path);
        }
        for address in [
            "https://github.com/a/b.git",
            "https://git.example/tree/main",
            "https://git.example/a/tree",
            "https://git.example/a/b/tree",
            "https://git.example/group/src/site",
            "git@github.com:a/b.git",
        ] {
            assert_eq!(page(address), None, "{address}");
        }
    }

    #[test]
    fn a_shortened_hash_is_neither_a_word_nor_whole() {
        assert!(is_short_hash("1a2b3c4"));
        assert!(is_short_hash("A94A8FE5CCB19"));
        for text in [
            "main",
            "v1.2.3",
            "deadbeef",
            "facade",
            "12345",
            &"a1".repeat(20),
        ] {
            assert!(!is_short_hash(text), "{text}");
        }
    }
}
