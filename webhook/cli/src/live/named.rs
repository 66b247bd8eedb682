//! Objects by their names on the command line: `KIND/NAME`, with the kinds that kubectl accepts.

use inject::Kind;

use crate::live::kinds::PODS;
use crate::live::kinds::Resource;
use crate::live::kinds::WORKLOADS;

/// The name in `KIND/NAME`; an error if it or the namespace cannot be part of a URL path.
pub fn name<'a>(name: &'a str, namespace: &str) -> anyhow::Result<&'a str> {
    let is_name = |text: &str| {
        let mut all = text.bytes();
        !text.is_empty() && all.all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
    };
    let (_, own) = name.split_once('/').ok_or_else(|| wrong(name))?;
    match is_name(own) && is_name(namespace) {
        true => Ok(own),
        false => Err(wrong(name)),
    }
}

/// The kind and the API path of `KIND/NAME`.
pub fn path(name: &str, namespace: &str) -> anyhow::Result<(&'static str, String)> {
    let own = self::name(name, namespace)?;
    let kind = name.split('/').next().unwrap_or_default();
    // `deployments.apps` is a Deployment too.
    let kind = kind.split('.').next().unwrap_or(kind).to_ascii_lowercase();
    let mut kinds = [PODS].into_iter().chain(WORKLOADS);
    let Resource {
        api, plural, kind, ..
    } = kinds
        .find(|own| own.names.contains(&kind.as_str()) || own.plural == kind)
        .ok_or_else(|| wrong(name))?;
    let uri = format!("{api}/namespaces/{namespace}/{plural}/{own}");
    Ok((kind, uri))
}

/// The kind in `KIND/NAME`, if it is GitVolume or ClusterGitVolume.
pub fn volume_kind(name: &str) -> Option<Kind> {
    let (kind, _) = name.split_once('/')?;
    let kind = kind.split('.').next().unwrap_or(kind).to_ascii_lowercase();
    let is_it = |own: &Kind| {
        let short = match own {
            Kind::GitVolume => "gv",
            Kind::ClusterGitVolume => "cgv",
        };
        [own.plural(), short, &own.as_str().to_ascii_lowercase()].contains(&kind.as_str())
    };
    Kind::ALL.into_iter().find(is_it)
}

fn wrong(name: &str) -> anyhow::Error {
    anyhow::anyhow!("{name:?}: expected KIND/NAME, such as pod/web or deploy/web")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_as_kubectl_names_it() {
        for (name, kind, uri) in [
            ("pod/web", "Pod", "/api/v1/namespaces/shop/pods/web"),
            ("po/web", "Pod", "/api/v1/namespaces/shop/pods/web"),
            (
                "deploy/web",
                "Deployment",
                "/apis/apps/v1/namespaces/shop/deployments/web",
            ),
            (
                "Deployments.apps/web",
                "Deployment",
                "/apis/apps/v1/namespaces/shop/deployments/web",
            ),
            (
                "cj/web.1",
                "CronJob",
                "/apis/batch/v1/namespaces/shop/cronjobs/web.1",
            ),
        ] {
            assert_eq!(path(name, "shop").unwrap(), (kind, uri.to_owned()));
        }
        for name in ["web", "service/web", "pod/", "pod/a/b", "pod/..%2f"] {
            let error = path(name, "shop").unwrap_err().to_string();
            assert!(error.contains("expected KIND/NAME"), "{error}");
        }
        assert!(path("pod/web", "a/b").is_err());
    }

    #[test]
    fn gitvolume_kinds_have_the_names_that_kubectl_accepts() {
        for (name, expected) in [
            ("gitvolume/site", Some(Kind::GitVolume)),
            ("gv/site", Some(Kind::GitVolume)),
            ("GitVolumes.gitvolume.dev/site", Some(Kind::GitVolume)),
            ("clustergitvolumes/site", Some(Kind::ClusterGitVolume)),
            ("cgv/site", Some(Kind::ClusterGitVolume)),
            ("pod/gitvolume", None),
            ("gitvolume", None),
        ] {
            assert_eq!(volume_kind(name), expected, "{name}");
        }
    }
}
