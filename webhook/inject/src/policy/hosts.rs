//! The hosts that repositories may be on.

use args::is_label;
use serde::Deserialize;

use super::wrong;

/// Tells whether a list has a host. One that is not known for sure is none of them; an empty list
/// has them all.
pub(super) fn allows(list: &[String], host: Option<&str>) -> bool {
    let mut allowed = list.iter();
    list.is_empty()
        || host.is_some_and(|host| {
            allowed.any(|allowed| match allowed.strip_prefix('*') {
                // With its dot, so that it is a whole label.
                Some(domain) => host.len() > domain.len() && host.ends_with(domain),
                None => host == allowed,
            })
        })
}

/// Reads the list: names, domains, and addresses as `RepoUrl::host` writes them.
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
