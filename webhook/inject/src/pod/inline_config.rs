//! The variable with the configuration of several repositories.

use k8s_openapi::api::core::v1::Container;

/// The inline configuration of an injected container, as the kubelet gets it.
pub(crate) fn config_of(own: &Container) -> Option<&str> {
    let mut env = own.env.iter().flatten();
    env.find(|own| own.name == CONFIG)?.value.as_deref()
}

/// The variable with a syncer's configuration of several repositories.
pub(crate) const CONFIG: &str = "GITSYNC_CONFIG_INLINE";
