//! The hosts that repositories may be on.

use args::LfsHosts;
use args::is_label;
use serde::Deserialize;

use crate::policy::invalid::wrong;

/// Whether a list allows a host. An unknown host (`None`) matches no entry; an empty list allows
/// every host.
pub(super) fn allows(list: &[String], host: Option<&str>) -> bool {
    let mut allowed = list.iter();
    list.is_empty()
        || host.is_some_and(|host| {
            allowed.any(|allowed| match allowed.strip_prefix('*') {
                // The dot is included, so that the match begins at a label.
                Some(domain) => host.len() > domain.len() && host.ends_with(domain),
                None => host == allowed,
            })
        })
}

/// Reads the list: names, domains, and addresses in the form of `RepoUrl::host`.
pub(super) fn read<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let hosts = Vec::<String>::deserialize(deserializer)?;
    let read = hosts.into_iter().map(|text| {
        let host = text.to_ascii_lowercase();
        let name = host.strip_prefix("*.").unwrap_or(&host);
        if name.split('.').all(is_label) {
            return Ok(host);
        }
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let address = address.parse::<std::net::IpAddr>().ok();
        address
            .map(|address| address.to_string())
            .ok_or_else(|| wrong(&text, "a host such as git.example or *.corp.example"))
    });
    read.collect()
}

/// Reads the list of hosts of Git LFS content.
pub(super) fn read_lfs<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<LfsHosts, D::Error> {
    let hosts = Vec::<String>::deserialize(deserializer)?;
    let expected = "a host such as media.example, media.example:8443 or *.cdn.example";
    for text in &hosts {
        let is_one = !text.trim().is_empty() && !text.contains(',');
        if !is_one || text.parse::<LfsHosts>().is_err() {
            return Err(wrong(text, expected));
        }
    }
    let joined = hosts.join(",");
    joined.parse().map_err(|_| wrong(&joined, expected))
}

/// Writes the list as it is read.
pub(super) fn write_lfs<S: serde::Serializer>(
    hosts: &LfsHosts,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(hosts.to_string().split(','))
}

/// Whether no further host is allowed.
pub(super) fn has_no_lfs(hosts: &LfsHosts) -> bool {
    *hosts == LfsHosts::default()
}
