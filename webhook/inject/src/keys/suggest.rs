//! Suggestions for the author: the known key for an unknown one, the accepted value for a refused
//! one, and the repository for the address of a git host's web page.

use crate::ANNOTATIONS;
use crate::Name;
use crate::keys::table::Annotation;
use crate::keys::table::Key;
use crate::keys::table::Scope;

/// Words that people know from git, Argo CD, Flux, git-sync and Kubernetes, in lower case and
/// without hyphens, each with the key of the same meaning.
const WORDS: [(&str, Key); 68] = [
    ("address", Key::Repo),
    ("auth", Key::Secret),
    ("autoinject", Key::Inject),
    ("branch", Key::Ref),
    ("commit", Key::Ref),
    ("container", Key::Containers),
    ("cpu", Key::RequestsCpu),
    ("credentials", Key::Secret),
    ("dest", Key::MountPath),
    ("destination", Key::MountPath),
    ("dir", Key::MountPath),
    ("directory", Key::Subdir),
    ("enable", Key::Inject),
    ("enabled", Key::Inject),
    ("folder", Key::Subdir),
    ("frequency", Key::Period),
    ("gid", Key::User),
    ("git", Key::Repo),
    ("gitsecret", Key::Secret),
    ("giturl", Key::Repo),
    ("hash", Key::Ref),
    ("hook", Key::Notify),
    ("initcontainer", Key::InitContainers),
    ("interval", Key::Period),
    ("location", Key::MountPath),
    ("maxage", Key::MaxStaleness),
    ("memory", Key::RequestsMemory),
    ("memorylimit", Key::LimitsMemory),
    ("mount", Key::MountPath),
    ("mountdir", Key::MountPath),
    ("mountpoint", Key::MountPath),
    ("once", Key::Mode),
    ("onetime", Key::Mode),
    ("order", Key::Position),
    ("path", Key::MountPath),
    ("poll", Key::Period),
    ("pollinterval", Key::Period),
    ("port", Key::MetricsPort),
    ("readonly", Key::ReadOnly),
    ("refresh", Key::Period),
    ("refreshinterval", Key::Period),
    ("remote", Key::Repo),
    ("repository", Key::Repo),
    ("repourl", Key::Repo),
    ("rev", Key::Ref),
    ("revision", Key::Ref),
    ("root", Key::MountPath),
    ("runasuser", Key::User),
    ("secretname", Key::Secret),
    ("secretref", Key::Secret),
    ("sha", Key::Ref),
    ("size", Key::SizeLimit),
    ("sizelimit", Key::SizeLimit),
    ("source", Key::Repo),
    ("sparse", Key::SparseCheckout),
    ("sshsecret", Key::Secret),
    ("staleness", Key::MaxStaleness),
    ("submodule", Key::Submodules),
    ("subpath", Key::Subdir),
    ("syncer", Key::Image),
    ("syncinterval", Key::Period),
    ("syncperiod", Key::Period),
    ("tag", Key::Ref),
    ("target", Key::MountPath),
    ("targetrevision", Key::Ref),
    ("uid", Key::User),
    ("url", Key::Repo),
    ("wait", Key::Period),
];

/// The annotation that is nearest to an unknown key, with the name of the repository before it, if
/// any.
pub(crate) fn nearest(key: &str) -> Option<(Option<&str>, &'static Annotation)> {
    /// Below this similarity two keys have little more in common than their alphabet.
    const ALIKE: f64 = 0.7;
    // The author of `site.repos` knows that the first part is a name.
    let (name, last) = match key.rsplit_once('.') {
        Some((name, last)) if name.parse::<Name>().is_ok() => (Some(name), last),
        _ => (None, key),
    };
    let row = by_word(last).or_else(|| {
        let rows = ANNOTATIONS.iter();
        let rows = rows.filter(|row| row.scope != Scope::Status);
        rows.map(|row| (strsim::jaro_winkler(last, row.key.as_str()), row))
            .max_by(|one, other| one.0.total_cmp(&other.0))
            .filter(|(likeness, _)| *likeness >= ALIKE)
            .map(|(_, row)| row)
    })?;
    Some((name.filter(|_| row.scope == Scope::Repository), row))
}

/// The annotation for a synonym, or for its key in another spelling: `mountPath`, `READ_ONLY`.
fn by_word(word: &str) -> Option<&'static Annotation> {
    let bare = |text: &str| {
        let text = text.chars().filter(|c| !matches!(c, '-' | '_' | '.'));
        text.collect::<String>().to_ascii_lowercase()
    };
    let word = bare(word);
    let mut rows = ANNOTATIONS.iter().filter(|row| row.scope != Scope::Status);
    let spelt = rows.find(|row| bare(row.key.as_str()) == word);
    spelt.or_else(|| {
        let (_, key) = WORDS.iter().find(|(own, _)| *own == word)?;
        Some(key.row())
    })
}

/// The accepted value that is nearest to a refused one.
pub(crate) fn value(row: &Annotation, text: &str) -> Option<String> {
    let text = text.trim();
    let candidate = match row.key {
        Key::Period | Key::Timeout | Key::MaxStaleness => duration(text)?,
        Key::Subdir | Key::Link => path(text),
        Key::MountPath => format!("/{}", path(text)),
        Key::SizeLimit
        | Key::RequestsCpu
        | Key::RequestsMemory
        | Key::RequestsEphemeralStorage
        | Key::LimitsCpu
        | Key::LimitsMemory
        | Key::LimitsEphemeralStorage => amount(text)?,
        Key::Lfs | Key::ReadOnly | Key::SafeDirectory | Key::Inject => {
            match &*text.to_ascii_lowercase() {
                "true" | "yes" | "on" | "1" => "true".to_owned(),
                "false" | "no" | "off" | "0" => "false".to_owned(),
                _ => return None,
            }
        }
        Key::Depth => match &*text.to_ascii_lowercase() {
            "all" | "full" | "none" | "unlimited" => "0".to_owned(),
            _ => return None,
        },
        Key::Repo => address(text)?,
        Key::Layout | Key::Mode | Key::Medium | Key::Submodules | Key::Filter | Key::GitRepo => {
            text.to_ascii_lowercase()
        }
        // A range without its prefix.
        Key::Ref => format!("semver:{text}"),
        Key::Secret
        | Key::SparseCheckout
        | Key::Notify
        | Key::Containers
        | Key::InitContainers
        | Key::Position
        | Key::User
        | Key::Image
        | Key::MetricsPort
        | Key::Use
        | Key::Injected
        | Key::Status => return None,
    };
    (candidate != text && row.check(&candidate).is_ok()).then_some(candidate)
}

/// An address with the missing scheme; it must have at least a host with a dot and a path.
fn address(text: &str) -> Option<String> {
    let (host, rest) = text.split_once('/')?;
    let is_likely =
        host.contains('.') && !host.starts_with('.') && !rest.is_empty() && !text.contains("://");
    is_likely.then(|| format!("https://{}", text.trim_start_matches('/')))
}

/// A path below a directory, without the segments that name the directory itself.
fn path(text: &str) -> String {
    let parts = text.split('/').filter(|part| !["", "."].contains(part));
    parts.collect::<Vec<_>>().join("/")
}

/// Corrects a duration: `60`, `5 min`, `10S`, `1 day`.
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

/// Corrects a quantity: `500MB`, `1 gi`, `2GiB`.
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

/// A repository and the revision that a web page of it shows.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Page {
    pub(crate) repo: String,
    /// The branch, tag or hash, as far as the address shows it: a name with a slash is cut.
    pub(crate) rev: Option<String>,
    pub(crate) path: Option<String>,
}

/// The repository of a web page's address, where the path identifies it.
pub(crate) fn page(address: &str) -> Option<Page> {
    let rest = address.strip_prefix("https://");
    let rest = rest.or_else(|| address.strip_prefix("http://"))?;
    let scheme = &address[..address.len() - rest.len()];
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    let (host, path) = rest.split_once('/')?;
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let at = |index: usize| parts.get(index).copied();
    let kinds = ["blame", "blob", "commit", "commits", "edit", "raw", "tree"];
    // The index of the path segment that marks a web page, and the number of segments between it
    // and the revision.
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

/// Whether a ref looks like an abbreviated commit hash, which no git server resolves.
pub(crate) fn is_short_hash(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_hexdigit();
    (7..40).contains(&text.len())
        && text.bytes().all(is_hex)
        && text.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
