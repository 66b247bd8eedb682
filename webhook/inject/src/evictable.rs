//! The cluster autoscaler keeps a node on which a Pod has an emptyDir, unless the Pod says that it
//! may be lost (<https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md>).
//! What is in ours can be fetched again; a gitRepo volume was never in the way.

/// The autoscaler's annotation: names of volumes, separated by commas.
pub(crate) const KEY: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes";

/// The annotation's value with these volumes in it; `None` where it has them all.
pub(crate) fn merged<'a>(
    value: Option<&str>,
    volumes: impl Iterator<Item = &'a str>,
) -> Option<String> {
    let mut names: Vec<&str> = listed(value);
    let before = names.len();
    for volume in volumes {
        if !names.contains(&volume) {
            names.push(volume);
        }
    }
    (names.len() > before).then(|| names.join(","))
}

/// The annotation's value without these volumes: as it was before they were merged into it, where
/// nobody has changed it since; `None` where nothing is left.
pub(crate) fn without<'a>(
    value: &str,
    before: Option<&str>,
    volumes: impl Iterator<Item = &'a str> + Clone,
) -> Option<String> {
    let kept = listed(before);
    let mut names = listed(Some(value));
    names.retain(|name| kept.contains(name) || volumes.clone().all(|volume| volume != *name));
    match before {
        Some(before) if names == kept => Some(before.to_owned()),
        _ => Some(names.join(",")).filter(|value| !value.is_empty()),
    }
}

fn listed(value: Option<&str>) -> Vec<&str> {
    let names = value.into_iter().flat_map(|value| value.split(','));
    names
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_list_has_stays_and_comes_first() {
        let merge = |value, volumes: &[&'static str]| merged(value, volumes.iter().copied());
        assert_eq!(merge(None, &["a", "b"]).as_deref(), Some("a,b"));
        assert_eq!(merge(Some("x, a"), &["a", "b"]).as_deref(), Some("x,a,b"));
        assert_eq!(merge(Some("x, a"), &["a"]), None);
        assert_eq!(merge(None, &[]), None);
    }

    #[test]
    fn what_was_merged_in_is_taken_out_again() {
        let without = |value, before| without(value, before, ["a", "b"].into_iter());
        assert_eq!(without("a,b", None), None);
        assert_eq!(without("x,b", None).as_deref(), Some("x"));
        assert_eq!(without("x,a,b", Some("x, a")).as_deref(), Some("x, a"));
        assert_eq!(without("x,a,b,y", Some("x, a")).as_deref(), Some("x,a,y"));
    }
}
