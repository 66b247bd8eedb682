//! The table of all checks, with their meaning and remedy. The page docs/doctor.md is generated
//! from it.

use std::fmt;

use serde::Serialize;
use serde::Serializer;

/// The severity.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work: exit code 1.
    Error,
    /// Something is suspicious, or will stop working: exit code 1 with `--strict`.
    Warning,
    /// Information.
    Info,
}

impl Severity {
    /// The name in the output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// A check: a kind of finding.
#[derive(Debug, Eq, PartialEq)]
pub struct Check {
    /// The ID, which never changes.
    pub id: &'static str,
    /// The severity.
    pub severity: Severity,
    /// The meaning.
    pub means: &'static str,
    /// The remedy.
    pub to_do: &'static str,
}

macro_rules! checks {
    ($($name:ident = $id:literal, $severity:ident: $means:literal => $to_do:literal;)*) => {
        $(
            #[doc = $means]
            pub const $name: &Check = &Check {
                id: $id, severity: Severity::$severity, means: $means, to_do: $to_do,
            };
        )*
        /// All checks, in the order of the output.
        pub const CHECKS: &[&Check] = &[$($name),*];
    };
}

checks! {
    NOT_INSTALLED = "not-installed", Error:
        "No MutatingWebhookConfiguration contains a gitvolume webhook, so the API server sends no Pod to gitvolume."
        => "Install the chart; if you uninstalled it, remove the annotations and gitRepo volumes from the manifests.";
    INSTALLED_TWICE = "installed-twice", Warning:
        "Several MutatingWebhookConfigurations contain gitvolume webhooks; the API server sends each Pod to all of them."
        => "Uninstall all releases but one.";
    ENTRY_MISSING = "entry-missing", Error:
        "The registration lacks the webhook that handles Pods with annotations."
        => "Run helm upgrade again; it restores the registration.";
    ENTRY_MISSES_PODS = "entry-misses-pods", Error:
        "The rules of a gitvolume webhook do not match the creation of Pods."
        => "Run helm upgrade again; it restores the registration.";
    ENTRY_UNSCOPED = "entry-unscoped", Error:
        "A gitvolume webhook has no matchConditions: the API server sends every Pod to it, and with failurePolicy Fail creates no Pod while the webhook is unavailable."
        => "Run helm upgrade again; it restores the registration.";
    ENTRY_COVERS_ITSELF = "entry-covers-itself", Error:
        "Auto-injection covers gitvolume's own namespace: the creation of the webhook's Pods may depend on the webhook itself."
        => "Exclude that namespace in the value autoInject.namespaceSelector, or remove the label from the namespace.";
    ENTRY_COVERS_KUBE_SYSTEM = "entry-covers-kube-system", Warning:
        "Auto-injection covers kube-system: the creation of the cluster's system Pods may depend on gitvolume."
        => "Exclude kube-system in the value autoInject.namespaceSelector, or remove the label from the namespace.";
    ENTRY_NEVER_AGAIN = "entry-never-again", Warning:
        "reinvocationPolicy is not IfNeeded: gitvolume does not see what a later webhook changes in a Pod."
        => "Run helm upgrade again; it restores the registration.";
    ENTRY_EDITED = "entry-edited", Warning:
        "The registration was changed after its installation."
        => "If the change was not intended, run helm upgrade again; otherwise set the corresponding chart values.";
    CA_BUNDLE_EMPTY = "ca-bundle-empty", Error:
        "A gitvolume webhook has no caBundle, so the API server does not trust its certificate."
        => "Wait ten seconds: the replicas write the caBundle. If the problem remains, read their log; if another tool removes the caBundle again, make that tool ignore clientConfig.caBundle.";
    CA_BUNDLE_UNREADABLE = "ca-bundle-unreadable", Error:
        "A caBundle contains no readable certificate."
        => "Wait ten seconds: the replicas rewrite the caBundle. If you use your own certificates, set the caBundle to the PEM of their CA.";
    CA_BUNDLE_UNTRUSTED = "ca-bundle-untrusted", Error:
        "The caBundle does not contain the CA of the serving certificate."
        => "Wait ten seconds: the replicas rewrite the caBundle. If the problem remains, read their log; if you use your own certificates, set the caBundle to the PEM of their CA.";
    CA_EXPIRED = "ca-expired", Error:
        "Every certificate in a caBundle is expired or not yet valid."
        => "Check the replicas' log and the nodes' clocks; if you use your own certificates, renew the CA.";
    CA_ENDS_SOON = "ca-ends-soon", Warning:
        "Every certificate in a caBundle expires within two days."
        => "Read in the replicas' log why they do not renew the CA; if you use your own certificates, renew the CA.";
    CA_SECRET_DIFFERS = "ca-secret-differs", Error:
        "The caBundle does not contain the CA of the Secret, with which every replica signs its next certificate."
        => "Wait ten seconds: the replicas write the caBundle. If the problem remains, read their log.";
    CERTIFICATE_EXPIRED = "certificate-expired", Error:
        "The serving certificate of a replica has expired."
        => "Read the replica's log and delete its Pod; if the certificate comes from mounted files, renew it.";
    CERTIFICATE_ENDS_SOON = "certificate-ends-soon", Warning:
        "The serving certificate of a replica expires within two days."
        => "Read in the replica's log why it does not renew the certificate; if the certificate comes from mounted files, renew it.";
    SERVICE_MISSING = "service-missing", Error:
        "The Service that the registration names does not exist."
        => "Run helm upgrade again; if gitvolume is uninstalled, delete the registration.";
    NO_ENDPOINTS = "no-endpoints", Error:
        "No replica of the webhook is ready: the API server refuses Pods that request a repository, or creates them without it."
        => "Check the webhook's Pods, their events and their log.";
    ENDPOINTS_NOT_READY = "endpoints-not-ready", Warning:
        "Some replicas of the webhook are not ready."
        => "Check those Pods, their events and their log; during an upgrade, wait until it has finished.";
    REPLICA_NOT_READY = "replica-not-ready", Warning:
        "A replica is not ready and reports the reason."
        => "Correct the reported problem; the replica's log has the details.";
    REPLICA_REMARKS = "replica-remarks", Warning:
        "A replica is ready but reports a warning, such as a configuration file that it cannot use."
        => "Correct the reported problem; the replica's log has the details.";
    REPLICAS_DIFFER = "replicas-differ", Warning:
        "The replicas run different versions: which replica handles a Pod is random."
        => "Wait until the upgrade has finished, or find out why it does not finish.";
    SETTINGS_DIFFER = "settings-differ", Warning:
        "The replicas have different settings: which settings apply to a Pod is random."
        => "Wait a minute: each replica reads the changed ConfigMap once the kubelet has updated the volume. If the problem remains, read the log of the replica that cannot use the file.";
    PROGRAM_DIFFERS = "program-differs", Info:
        "This program and the webhook have different versions, so this program's results may differ from the webhook's."
        => "Use the gitvolume program of the webhook's version.";
    UNREACHABLE = "unreachable", Error:
        "The API server cannot call the webhook."
        => "If the call times out, allow traffic from the control plane to the webhook's port on the nodes (10250 by default); if the address is not allowed, or the control plane cannot reach the Pod network, set hostNetwork; otherwise check the replicas.";
    TRIAL_REFUSED = "trial-refused", Error:
        "A trial Pod with an annotation was refused because it was not injected."
        => "See the other findings: the API server did not call the webhook, or another webhook removed the injection.";
    TRIAL_NOT_INJECTED = "trial-not-injected", Error:
        "The API server admitted a trial Pod with an annotation without its repository: it did not call the webhook, or ignored the webhook's failure."
        => "See the other findings; if there are none, check the namespaceSelector and failurePolicy of the registration.";
    SILENT_SKIP = "silent-skip", Warning:
        "failurePolicy is Ignore and no guard denies: while the webhook is unavailable, Pods start without their repository and without an error."
        => "Set the values guard.enabled: true and guard.actions: [Deny], or webhook.failurePolicy: Fail.";
    GUARD_MISSING = "guard-missing", Info:
        "There is no guard: a Pod starts even if another webhook has removed or damaged its injection."
        => "Set the value guard.enabled: true.";
    GUARD_UNBOUND = "guard-unbound", Warning:
        "The guard has no binding, so it checks no Pod."
        => "Run helm upgrade again; it restores the binding.";
    GUARD_BROKEN = "guard-broken", Warning:
        "The API server reports errors in the guard's expressions."
        => "Run helm upgrade again; it restores the policy. If the problem remains, open an issue.";
    INJECTORS_AFTER = "injectors-after", Info:
        "The API server calls other mutating webhooks after gitvolume, in the alphabetical order of their configurations' names: if one of them adds gitvolume annotations to a Pod that had neither these nor a gitRepo volume, gitvolume does not see them."
        => "Nothing, unless one of them adds gitvolume annotations; then give the release a name that sorts after it.";
    MESH_BEFORE = "mesh-before", Info:
        "The API server calls a service mesh's webhook before gitvolume, in the alphabetical order of their configurations' names: unless the mesh's proxy is a native sidecar, the mesh redirects the Pod's traffic before the syncer can fetch, and the Pod never starts (mesh-without-network)."
        => "Nothing, if the mesh runs its proxy as a native sidecar; otherwise give the release a name that sorts before the mesh's, such as gitvolume.";
    MESH_WITHOUT_NETWORK = "mesh-without-network", Warning:
        "A service mesh redirects the traffic of a waiting Pod before the mesh's proxy runs: the syncer cannot fetch without the proxy, and the proxy starts only after the syncer has fetched."
        => "Let the mesh run its proxy as a native sidecar (Istio: ENABLE_NATIVE_SIDECARS; Linkerd: config.linkerd.io/proxy-enable-native-sidecar), or exclude the git host's port (Istio: traffic.sidecar.istio.io/excludeOutboundPorts; Linkerd: config.linkerd.io/skip-outbound-ports). If the mesh has no CNI plugin, it is also enough that the API server calls the mesh's webhook after gitvolume (mesh-before).";
    SYNCER_FAILS = "syncer-fails", Error:
        "A Pod has waited for two minutes or more for a gitvolume container that cannot start, cannot fetch, or exits repeatedly, for the reported reason."
        => "Remove the reported cause: docs/troubleshooting.md lists each message with its remedy. If the container was OOMKilled, raise gitvolume.dev/resources.limits.memory or fetch less (gitvolume.dev/filter).";
    SYNCER_WAITS = "syncer-waits", Warning:
        "A gitvolume container has run for two minutes or more and has not finished its first clone; the containers after it wait."
        => "Nothing, if the repository is large; otherwise read the container's log, and fetch less (gitvolume.dev/depth, filter, sparse-checkout).";
    SYNCER_RESTARTS = "syncer-restarts", Warning:
        "The gitvolume sidecar has restarted three times or more, most recently within the last hour; meanwhile the app keeps its files, but they are not updated."
        => "Check why it exited. If the container was OOMKilled, raise gitvolume.dev/resources.limits.memory.";
    CACHE_WITHOUT_CA = "cache-without-ca", Warning:
        "The CA file of a cache is missing or has no certificates, so no Pod gets this cache, and syncers poll the git host themselves."
        => "Wait two minutes after an installation. If the problem remains, read the webhook's log (tls.mode self), check the Certificate (cert-manager), or correct the Secret or caBundleFile.";
    CACHE_CA_EXPIRED = "cache-ca-expired", Warning:
        "Every CA certificate of a cache is expired or not yet valid: syncers do not trust the cache and poll the git host themselves."
        => "Renew the CA, then recreate the Pods: a Pod keeps the CA that it started with.";
    CACHE_CA_ENDS_SOON = "cache-ca-ends-soon", Warning:
        "Every CA certificate of a cache expires within 30 days: Pods that run for longer will not trust the cache then."
        => "Renew the CA, and recreate the Pods before the old one ends.";
    CACHE_SERVICE_MISSING = "cache-service-missing", Warning:
        "The Service in the address of a cache does not exist, or does not have the port."
        => "Correct the address in the settings, or install the cache (cache.enabled).";
    CACHE_WITHOUT_ENDPOINTS = "cache-without-endpoints", Warning:
        "No replica of a cache is ready: syncers poll the git host themselves, and no Pod starts while it is unreachable."
        => "Check the cache's Pods, their events and their log.";
    CACHE_ENDPOINTS_NOT_READY = "cache-endpoints-not-ready", Warning:
        "Some replicas of a cache are not ready."
        => "Check those Pods, their events and their log; during an upgrade, wait until it has finished.";
    CACHE_CERTIFICATE_EXPIRED = "cache-certificate-expired", Warning:
        "The serving certificate of a cache has expired: syncers poll the git host themselves."
        => "Read in the webhook's log why it does not renew the certificate; if it is your own, renew it.";
    CACHE_CERTIFICATE_ENDS_SOON = "cache-certificate-ends-soon", Warning:
        "The serving certificate of a cache expires within two days."
        => "Read in the webhook's log why it does not renew the certificate; if it is your own, renew it.";
    CACHE_CERTIFICATE_NAME = "cache-certificate-name", Warning:
        "The serving certificate of a cache is not valid for the host in its address: syncers poll the git host themselves."
        => "Issue the certificate for that host, or correct the address (cache.clusterDomain).";
    CACHE_CERTIFICATE_UNTRUSTED = "cache-certificate-untrusted", Warning:
        "The serving certificate of a cache is not signed by the CAs in the settings: new Pods do not trust the cache and poll the git host themselves."
        => "Set the CA of the certificate (caBundle, caBundleFile, or ca.crt of the Secret).";
    CACHE_NOT_REACHED = "cache-not-reached", Warning:
        "A syncer does not reach its cache, for the reported reason, and polls the git host itself."
        => "If the connection times out, allow egress to the cache's port in the NetworkPolicies of the namespace. If the certificate is not trusted, recreate the Pod: it has an older CA. Otherwise check the cache's Pods.";
    CACHE_STALE = "cache-stale", Warning:
        "A replica of a cache serves answers from before a git host became unreachable."
        => "Check the git host, and the egress of the cache (cache.egressPorts, cache.egressCIDRs); the replica's log has the reason.";
    CACHE_FEW_HITS = "cache-few-hits", Info:
        "A replica of a cache answers less than a fifth of the requests without asking the git host."
        => "Give the Pods of one repository the same credentials, depth and filter: the cache shares answers between equal requests only.";
    KUBELET_TOO_OLD = "kubelet-too-old", Error:
        "A node's kubelet is older than 1.29 and does not support native sidecars: a Pod with a repository never starts there."
        => "Upgrade the node, or keep such Pods off it.";
    OBJECT_REFUSED = "object-refused", Error:
        "A GitVolume or ClusterGitVolume is not accepted: it has no effect."
        => "Correct the reported mistake, and apply the object again.";
    OBJECT_WITHOUT_EFFECT = "object-without-effect", Warning:
        "A GitVolume or ClusterGitVolume has no effect, for example because its namespace lacks the label for auto-injection."
        => "Remove the reported cause, for example by labelling the namespace.";
    OBJECT_UNJUDGED = "object-unjudged", Warning:
        "A GitVolume or ClusterGitVolume has no current status: the webhook does not watch it."
        => "Set the value objects.enabled: true; if it is set, read the replicas' log.";
    POD_NOT_INJECTED = "pod-not-injected", Error:
        "A Pod requests a repository and runs without it."
        => "Remove the reported cause, then recreate the Pod (kubectl rollout restart, or delete it).";
    POD_WITHOUT_OBJECT = "pod-without-object", Warning:
        "A Pod that a GitVolume or ClusterGitVolume selects runs without its repository."
        => "Recreate the Pod at a convenient time (kubectl rollout restart).";
    POD_REFUSED = "pod-refused", Warning:
        "A Pod was admitted without its repository, because of a mistake in its annotations (webhook.onMistake: warn)."
        => "Correct the annotation in the manifest that creates the Pod.";
    POD_CREATION_REFUSED = "pod-creation-refused", Warning:
        "In the last hour gitvolume prevented a controller from creating a Pod."
        => "Correct the reported mistake in the controller's Pod template.";
    POD_OUTDATED = "pod-outdated", Warning:
        "A Pod was injected by another version or configuration than the current one, and keeps that injection until it is recreated."
        => "Recreate the Pod at a convenient time (kubectl rollout restart); gitvolume explain pod/NAME shows what would change.";
    GITREPO_UNMOUNTED = "gitrepo-unmounted", Error:
        "A Pod waits with a gitRepo volume that was not converted; kubelets fill it only with a feature gate since 1.33, and not at all since 1.36."
        => "Recreate the Pod while the webhook is available, or convert its manifest (gitvolume convert).";
    GITREPO_LEFT = "gitrepo-left", Warning:
        "A Pod runs with a gitRepo volume that was not converted: newer kubelets will not start it again."
        => "Recreate the Pod while the webhook is available, or convert its manifest (gitvolume convert).";
    GITREPO_CONVERTED = "gitrepo-converted", Info:
        "Pods have gitRepo volumes that the webhook converts: without the webhook such Pods no longer start."
        => "Before uninstalling, convert their manifests (gitvolume convert).";
    ANNOTATION_MISPLACED = "annotation-misplaced", Warning:
        "A gitvolume annotation is outside a workload's Pod template, where it has no effect."
        => "Move it to the metadata of the Pod template.";
    SECRET_MISSING = "secret-missing", Error:
        "A Secret that a Pod's annotation names does not exist in the Pod's namespace; the Pod does not start."
        => "Create the Secret in that namespace, or correct the annotation.";
    SECRET_WITHOUT_KEYS = "secret-without-keys", Error:
        "A Secret that a Pod's annotation names contains none of the known keys."
        => "Add keys from docs/secrets.md, such as ssh and known_hosts, or username and password.";
}

/// The location of a finding.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Place {
    /// The kind of the object.
    pub kind: String,
    /// Its namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The part of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
}

impl Place {
    /// A cluster-scoped object.
    pub fn cluster(kind: &str, name: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// A namespaced object.
    pub fn within(namespace: &str, kind: &str, name: &str) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            ..Self::cluster(kind, name)
        }
    }

    /// The same object, with a part of it.
    #[must_use]
    pub fn part(self, part: &str) -> Self {
        Self {
            part: Some(part.to_owned()),
            ..self
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            namespace,
            name,
            part,
        } = self;
        write!(f, "{kind} ")?;
        if let Some(namespace) = namespace {
            write!(f, "{namespace}/")?;
        }
        write!(f, "{name}")?;
        part.iter().try_for_each(|part| write!(f, ", {part}"))
    }
}

/// A finding.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The check that it comes from.
    #[serde(flatten, serialize_with = "row")]
    pub check: &'static Check,
    /// The location.
    pub at: Place,
    /// The number of further findings like it.
    pub more: usize,
    /// The observed fact, in one sentence.
    pub what: String,
    /// A command that helps to fix it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

impl Finding {
    /// A finding of this check at this location.
    pub fn new(check: &'static Check, at: Place, what: impl Into<String>) -> Self {
        Self {
            check,
            at,
            more: 0,
            what: what.into(),
            command: None,
        }
    }

    /// The same finding, with a command that helps to fix it.
    #[must_use]
    pub fn command(self, command: impl Into<String>) -> Self {
        Self {
            command: Some(command.into()),
            ..self
        }
    }

    /// The same finding, with the number of further ones like it.
    #[must_use]
    pub fn and_more(self, more: usize) -> Self {
        Self { more, ..self }
    }
}

fn row<S: Serializer>(check: &&'static Check, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        id: &'static str,
        severity: Severity,
        means: &'static str,
        to_do: &'static str,
    }
    let Check {
        id,
        severity,
        means,
        to_do,
    } = **check;
    Row {
        id,
        severity,
        means,
        to_do,
    }
    .serialize(serializer)
}

/// The table of docs/doctor.md.
pub fn markdown() -> String {
    let mut text = "| id | | problem | remedy |\n|---|---|---|---|\n".to_owned();
    for check in CHECKS {
        let Check {
            id,
            severity,
            means,
            to_do,
        } = check;
        let severity = severity.as_str();
        text.push_str(&format!("| `{id}` | {severity} | {means} | {to_do} |\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique_and_each_sentence_ends_with_a_full_stop() {
        let ids: BTreeSet<&str> = CHECKS.iter().map(|check| check.id).collect();
        assert_eq!(ids.len(), CHECKS.len());
        for check in CHECKS {
            for sentence in [check.means, check.to_do] {
                assert!(sentence.ends_with('.'), "{}: {sentence}", check.id);
                assert!(!sentence.contains('|'), "{}: {sentence}", check.id);
            }
        }
    }
}
