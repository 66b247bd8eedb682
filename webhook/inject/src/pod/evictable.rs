//! The cluster autoscaler's annotation. The autoscaler does not remove a node on which a Pod has an
//! emptyDir, unless the Pod lists the volume as safe to lose
//! (<https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md>). The content
//! of added volumes can be fetched again, and a gitRepo volume never kept a node.

/// The autoscaler's annotation: names of volumes, separated by commas.
pub(crate) const KEY: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes";

/// The annotation's value with these volumes added; `None` where it lists all of them.
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

/// The annotation's value without these volumes: the original value, where it was not changed since
/// `merged`; `None` where nothing is left.
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

/// The names in the annotation's value.
pub(crate) fn listed(value: Option<&str>) -> Vec<&str> {
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
    fn the_authors_volumes_stay_first_in_the_list() {
        let merge = |value, volumes: &[&'static str]| merged(value, volumes.iter().copied());
        assert_eq!(merge(None, &["a", "b"]).as_deref(), Some("a,b"));
        assert_eq!(merge(Some("x, a"), &["a", "b"]).as_deref(), Some("x,a,b"));
        assert_eq!(merge(Some("x, a"), &["a"]), None);
        assert_eq!(merge(None, &[]), None);
    }

    #[test]
    fn merged_volumes_are_removed_again() {
        let without = |value, before| without(value, before, ["a", "b"].into_iter());
        assert_eq!(without("a,b", None), None);
        assert_eq!(without("x,b", None).as_deref(), Some("x"));
        assert_eq!(without("x,a,b", Some("x, a")).as_deref(), Some("x, a"));
        assert_eq!(without("x,a,b,y", Some("x, a")).as_deref(), Some("x,a,y"));
    }
}
