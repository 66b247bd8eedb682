//! What may be found, and what is to be done about it: one table, from which the page docs/doctor.md
//! is made too.

use std::fmt;

use serde::Serialize;
use serde::Serializer;

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work: code 1.
    Error,
    /// Something is odd or will not work for ever: code 1 with `--strict`.
    Warning,
    /// Worth to know.
    Info,
}

impl Severity {
    /// The word, as in the output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// What is found, as a kind of finding.
#[derive(Debug, Eq, PartialEq)]
pub struct Check {
    /// Its name, which never changes.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it means.
    pub means: &'static str,
    /// What to do.
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
        /// Every kind of finding, in the order in which they are told.
        pub const CHECKS: &[&Check] = &[$($name),*];
    };
}

checks! {
    NOT_INSTALLED = "not-installed", Error:
        "No MutatingWebhookConfiguration has a webhook of ours: no Pod is ever sent to gitvolume."
        => "Install the chart; after an uninstall, take the annotations and gitRepo volumes out of the manifests.";
    INSTALLED_TWICE = "installed-twice", Warning:
        "Several MutatingWebhookConfigurations have webhooks of ours: a Pod is sent to each of them."
        => "Uninstall all releases but one.";
    ENTRY_MISSING = "entry-missing", Error:
        "The registration lacks the webhook that Pods with annotations are sent to."
        => "Run helm upgrade again, which writes the registration anew.";
    ENTRY_MISSES_PODS = "entry-misses-pods", Error:
        "The rules of a webhook of ours do not name the creation of Pods."
        => "Run helm upgrade again, which writes the registration anew.";
    ENTRY_UNSCOPED = "entry-unscoped", Error:
        "A webhook of ours has no matchConditions: every Pod is sent to it, and with failurePolicy Fail none is made while it is away."
        => "Run helm upgrade again, which writes the registration anew.";
    ENTRY_COVERS_ITSELF = "entry-covers-itself", Error:
        "Auto-injection covers the namespace gitvolume itself runs in: its own Pods may wait for itself."
        => "Take that namespace out of the value autoInject.namespaceSelector, or its label off the namespace.";
    ENTRY_COVERS_KUBE_SYSTEM = "entry-covers-kube-system", Warning:
        "Auto-injection covers kube-system: what the cluster needs to start may wait for gitvolume."
        => "Take kube-system out of the value autoInject.namespaceSelector, or the label off the namespace.";
    ENTRY_NEVER_AGAIN = "entry-never-again", Warning:
        "reinvocationPolicy is not IfNeeded: what a later webhook adds to a Pod or takes out of it is not seen."
        => "Run helm upgrade again, which writes the registration anew.";
    ENTRY_EDITED = "entry-edited", Warning:
        "Somebody changed the registration after it was installed."
        => "If that was not on purpose, run helm upgrade again; otherwise set the values that mean the same.";
    CA_BUNDLE_EMPTY = "ca-bundle-empty", Error:
        "A webhook of ours has no caBundle, so the API server trusts no certificate of it."
        => "Wait ten seconds: the replicas write it. If it stays, look at their log; if they are taken away again, keep the tool that does so from clientConfig.caBundle.";
    CA_BUNDLE_UNREADABLE = "ca-bundle-unreadable", Error:
        "A caBundle has no certificate that can be read."
        => "Wait ten seconds: the replicas write it anew. With certificates of your own, put the PEM of their CA there.";
    CA_BUNDLE_UNTRUSTED = "ca-bundle-untrusted", Error:
        "The caBundle does not contain the CA that signed the certificate that is served."
        => "Wait ten seconds: the replicas write it anew. If it stays, look at their log; with certificates of your own, put the PEM of their CA there.";
    CA_EXPIRED = "ca-expired", Error:
        "Every certificate in a caBundle has ended, or has not begun."
        => "Look at the replicas' log and at the clocks of the nodes; with certificates of your own, renew the CA.";
    CA_ENDS_SOON = "ca-ends-soon", Warning:
        "Every certificate in a caBundle ends within two days."
        => "Look at the replicas' log, which says why it is not renewed; with certificates of your own, renew the CA.";
    CA_SECRET_DIFFERS = "ca-secret-differs", Error:
        "The caBundle lacks the CA in the Secret, with which every replica signs its next certificate."
        => "Wait ten seconds: the replicas write it. If it stays, look at their log.";
    CERTIFICATE_EXPIRED = "certificate-expired", Error:
        "The certificate that a replica serves has ended."
        => "Look at the replica's log and delete its Pod; with mounted files, renew the certificate.";
    CERTIFICATE_ENDS_SOON = "certificate-ends-soon", Warning:
        "The certificate that a replica serves ends within two days."
        => "Look at the replica's log, which says why it is not renewed; with mounted files, renew the certificate.";
    SERVICE_MISSING = "service-missing", Error:
        "The Service that the registration names is not there."
        => "Run helm upgrade again; if gitvolume is uninstalled, delete the registration.";
    NO_ENDPOINTS = "no-endpoints", Error:
        "No replica of the webhook is ready: Pods that ask for a repository are refused, or start without it."
        => "Look at the Pods of the webhook, their events and their log.";
    ENDPOINTS_NOT_READY = "endpoints-not-ready", Warning:
        "Some replicas of the webhook are not ready."
        => "Look at those Pods, their events and their log; during an upgrade wait for its end.";
    REPLICA_NOT_READY = "replica-not-ready", Warning:
        "A replica says why it is not ready."
        => "Do what it says; its log has more.";
    REPLICA_REMARKS = "replica-remarks", Warning:
        "A replica is ready and has something to say, such as a configuration file that it could not take."
        => "Do what it says; its log has more.";
    REPLICAS_DIFFER = "replicas-differ", Warning:
        "The replicas are of several versions: which one a Pod meets is chance."
        => "Wait for the end of the upgrade, or look at why it does not end.";
    SETTINGS_DIFFER = "settings-differ", Warning:
        "The replicas have several settings: which of them a Pod gets is chance."
        => "Wait a minute: each replica reads the changed ConfigMap when its node has it. If it stays, look at the log of the one that says it cannot use the file.";
    PROGRAM_DIFFERS = "program-differs", Info:
        "This program and the webhook are of several versions: what one of them knows the other may not."
        => "Use the program of the webhook's version.";
    UNREACHABLE = "unreachable", Error:
        "The API server cannot call the webhook."
        => "If it times out, open the webhook's port from the control plane to the nodes (10250 by default); if the address is not allowed, or the Pod network cannot be reached from the control plane, set hostNetwork; otherwise look at the replicas.";
    TRIAL_REFUSED = "trial-refused", Error:
        "A trial Pod with an annotation was refused because it was not injected."
        => "Look at what else is found: the webhook was not asked, or another webhook removed what it added.";
    TRIAL_NOT_INJECTED = "trial-not-injected", Error:
        "A trial Pod with an annotation came back without its repository: the API server did not call the webhook, or passed over its failure."
        => "Look at what else is found; if nothing is, at the namespaceSelector and failurePolicy of the registration.";
    SILENT_SKIP = "silent-skip", Warning:
        "failurePolicy is Ignore and no guard denies: while the webhook is away Pods start without their repository, and nobody is told."
        => "Set the values guard.enabled: true and guard.actions: [Deny], or webhook.failurePolicy: Fail.";
    GUARD_MISSING = "guard-missing", Info:
        "There is no guard: a Pod whose injection another webhook has removed or spoilt is started all the same."
        => "Set the value guard.enabled: true.";
    GUARD_UNBOUND = "guard-unbound", Warning:
        "The guard has no binding, so it looks at no Pod."
        => "Run helm upgrade again, which writes the binding anew.";
    GUARD_BROKEN = "guard-broken", Warning:
        "The API server finds mistakes in the guard's expressions."
        => "Run helm upgrade again, which writes the policy anew; if it stays, tell us.";
    INJECTORS_AFTER = "injectors-after", Info:
        "Webhooks that may change Pods come after ours, by the alphabet of their configurations' names: annotations that one of them adds to a Pod that had none of ours, and no gitRepo volume, are not seen."
        => "Nothing, unless one of them is to add annotations of ours; then give the release a name that sorts after it.";
    MESH_BEFORE = "mesh-before", Info:
        "A service mesh's webhook comes before ours, by the alphabet of their configurations' names: where its proxy is no native sidecar, a Pod's network is taken before ours can fetch, and the Pod waits for ever (mesh-without-network)."
        => "Nothing, if the mesh runs its proxy as a native sidecar; otherwise give the release a name that sorts before the mesh's, such as gitvolume.";
    MESH_WITHOUT_NETWORK = "mesh-without-network", Warning:
        "A Pod waits with a service mesh that has taken its network before its proxy runs: the repository cannot be fetched before that, and the proxy starts only after it."
        => "Let the mesh run its proxy as a native sidecar (Istio: ENABLE_NATIVE_SIDECARS; Linkerd: config.linkerd.io/proxy-enable-native-sidecar), or exclude the git host's port (Istio: traffic.sidecar.istio.io/excludeOutboundPorts; Linkerd: config.linkerd.io/skip-outbound-ports). Without a CNI plugin of the mesh's it is also enough that its webhook comes after ours (mesh-before).";
    SYNCER_FAILS = "syncer-fails", Error:
        "A Pod has waited for two minutes or more for a container of ours that cannot start, cannot fetch, or ends again and again; it says why."
        => "Remove the cause that is named: docs/troubleshooting.md has each sentence with its cure. Where it was killed for memory (OOMKilled), raise gitvolume.dev/resources.limits.memory or fetch less (gitvolume.dev/filter).";
    SYNCER_WAITS = "syncer-waits", Warning:
        "A container of ours has run for two minutes or more and has not finished its first clone; the containers after it wait."
        => "Nothing, if the repository is large; otherwise look at its log, and fetch less (gitvolume.dev/depth, filter, sparse-checkout).";
    SYNCER_RESTARTS = "syncer-restarts", Warning:
        "Our sidecar was restarted three times or more, the last time within an hour; the app keeps its files meanwhile, and they are not renewed."
        => "Look at how it ended. Where it was killed for memory (OOMKilled), raise gitvolume.dev/resources.limits.memory.";
    KUBELET_TOO_OLD = "kubelet-too-old", Error:
        "A node's kubelet does not know native sidecars (1.29): a Pod with a repository never starts there."
        => "Upgrade the node, or keep such Pods from it.";
    OBJECT_REFUSED = "object-refused", Error:
        "A GitVolume or ClusterGitVolume is refused: nothing of it counts."
        => "Correct what the sentence names, and apply the object again.";
    OBJECT_WITHOUT_EFFECT = "object-without-effect", Warning:
        "A GitVolume or ClusterGitVolume has no effect, such as where its namespace lacks the label for auto-injection."
        => "Do what the sentence names, such as giving the namespace the label.";
    OBJECT_UNJUDGED = "object-unjudged", Warning:
        "Nobody has judged a GitVolume or ClusterGitVolume as it is now: the webhook does not watch it."
        => "Set the value objects.enabled: true; if it is, look at the replicas' log.";
    POD_NOT_INJECTED = "pod-not-injected", Error:
        "A Pod asks for a repository and runs without it."
        => "Remove the cause that is named, then make the Pod again (kubectl rollout restart, or delete it).";
    POD_WITHOUT_OBJECT = "pod-without-object", Warning:
        "A Pod for which there is a GitVolume or ClusterGitVolume runs without it."
        => "Make the Pod again when it suits (kubectl rollout restart).";
    POD_REFUSED = "pod-refused", Warning:
        "A Pod was admitted without its repository, because of a mistake in its annotations (webhook.onMistake: warn)."
        => "Correct the annotation in what makes the Pod.";
    POD_CREATION_REFUSED = "pod-creation-refused", Warning:
        "In the last hour a controller could not make a Pod because of us."
        => "Correct what the sentence names in the controller's template.";
    POD_OUTDATED = "pod-outdated", Warning:
        "A Pod was injected by another version or configuration than the present one, and keeps that until it is made again."
        => "Make the Pod again when it suits (kubectl rollout restart); gitvolume explain pod/NAME tells what would be different.";
    GITREPO_UNMOUNTED = "gitrepo-unmounted", Error:
        "A Pod waits with a gitRepo volume that was not converted; kubelets since 1.33 do not fill it unless told to, and since 1.36 not at all."
        => "Make the Pod again while the webhook is there, or convert its manifest (gitvolume convert).";
    GITREPO_LEFT = "gitrepo-left", Warning:
        "A Pod runs with a gitRepo volume that was not converted: on the next kubelet it will not start again."
        => "Make the Pod again while the webhook is there, or convert its manifest (gitvolume convert).";
    GITREPO_CONVERTED = "gitrepo-converted", Info:
        "Pods have gitRepo volumes that the webhook converts: without it such Pods do not start any more."
        => "Before uninstalling, convert their manifests (gitvolume convert).";
    ANNOTATION_MISPLACED = "annotation-misplaced", Warning:
        "An annotation of ours is beside a workload's Pod template, where it has no effect."
        => "Move it to the metadata of the Pod template.";
    SECRET_MISSING = "secret-missing", Error:
        "A Secret that a Pod's annotation names is not in the Pod's namespace; the Pod does not start."
        => "Make the Secret in that namespace, or correct the annotation.";
    SECRET_WITHOUT_KEYS = "secret-without-keys", Error:
        "A Secret that a Pod's annotation names has none of the keys that are known."
        => "Give it the keys of docs/secrets.md, such as ssh and known_hosts, or username and password.";
}

/// Where something was found.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Place {
    /// The kind of the object.
    pub kind: String,
    /// Its namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Where in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
}

impl Place {
    /// An object of the whole cluster.
    pub fn cluster(kind: &str, name: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// An object of a namespace.
    pub fn within(namespace: &str, kind: &str, name: &str) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            ..Self::cluster(kind, name)
        }
    }

    /// A part of it.
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

/// Something that was found.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What it is.
    #[serde(flatten, serialize_with = "row")]
    pub check: &'static Check,
    /// Where.
    pub at: Place,
    /// How many more there are like it.
    pub more: usize,
    /// What was seen there, one sentence.
    pub what: String,
    /// A command that helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

impl Finding {
    /// Something was seen there.
    pub fn new(check: &'static Check, at: Place, what: impl Into<String>) -> Self {
        Self {
            check,
            at,
            more: 0,
            what: what.into(),
            command: None,
        }
    }

    /// With a command that helps.
    #[must_use]
    pub fn command(self, command: impl Into<String>) -> Self {
        Self {
            command: Some(command.into()),
            ..self
        }
    }

    /// And so many more like it.
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
    let mut text = "| id | | what it means | what to do |\n|---|---|---|---|\n".to_owned();
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
    fn no_id_is_there_twice_and_each_sentence_ends() {
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
