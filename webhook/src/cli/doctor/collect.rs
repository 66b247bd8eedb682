//! Looks at a cluster; what cannot be looked at is noted, and the rest goes on.

use std::collections::BTreeMap;

use inject::Kind;
use inject::Namespace;
use inject::PREFIX;
use inject::Settings;
use inject::misplaced;
use jiff::SignedDuration;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use super::facts::Facts;
use super::facts::Guard;
use super::facts::Install;
use super::facts::Node;
use super::facts::Replica;
use super::facts::SecretFact;
use super::facts::Trial;
use super::facts::Workload;
use super::facts::text;
use super::judge::is_about_us;
use super::pods::PodFact;
use super::pods::owner;
use crate::cli::live::Live;
use crate::cli::live::Part;
use crate::cli::live::Unseen;
use crate::cli::live::encoded;
use crate::cli::live::installed;
use crate::cli::live::installed::REGISTRATIONS;
use crate::cli::live::kinds::Resource;
use crate::cli::live::kinds::WORKLOADS;
use crate::cli::live::kinds::our_api;
use crate::cli::live::kinds::our_objects;
use crate::cli::live::known::texts;
use crate::cli::live::settings;

/// Where the admin listener of the webhook is, unless its container says otherwise.
const ADMIN_PORT: u64 = 8080;

/// What to look at.
#[derive(Clone, Debug)]
pub struct Scope {
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// Whether a trial Pod is sent through a server-side dry run, and in which namespace.
    pub trial: Option<String>,
    /// Whether the Secrets that annotations name are read.
    pub secrets: bool,
}

/// Looks at everything.
pub async fn collect(live: &Live, scope: &Scope) -> Facts {
    let now = Timestamp::now();
    let before = |seconds: i64| {
        let time = now.saturating_sub(SignedDuration::from_secs(seconds));
        let time = time.unwrap_or(now).as_second();
        super::judge::time(time)
    };
    let mut look = Look {
        live,
        scope,
        facts: Facts {
            now: now.as_second(),
            minute_ago: before(60),
            hour_ago: before(3600),
            own_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Facts::default()
        },
    };
    look.namespaces().await;
    let settings = look.installs().await;
    look.trial().await;
    look.guards().await;
    look.objects().await;
    look.nodes().await;
    look.pods(&settings).await;
    look.events().await;
    look.workloads().await;
    look.secrets().await;
    look.facts
}

struct Look<'a> {
    live: &'a Live,
    scope: &'a Scope,
    facts: Facts,
}

impl Look<'_> {
    fn unseen(&mut self, what: &str, why: impl ToString) {
        let line = (what.to_owned(), why.to_string());
        if !self.facts.unseen.contains(&line) {
            self.facts.unseen.push(line);
        }
    }

    fn seen(&mut self, what: &'static str, count: usize) {
        *self.facts.seen.entry(what).or_default() += count;
    }

    /// The path of a kind's objects in the namespaces that are looked at.
    fn path(&self, api: &str, plural: &str) -> String {
        match &self.scope.namespace {
            None => format!("{api}/{plural}"),
            Some(namespace) => format!("{api}/namespaces/{namespace}/{plural}"),
        }
    }

    /// Lists all of a kind; `None` where that cannot be, of which a line tells.
    async fn all(&mut self, what: &str, path: &str, query: &str, part: Part) -> Option<Vec<Value>> {
        let mut all = Vec::new();
        match self.live.list(path, query, part, |own| all.push(own)).await {
            Ok(()) => Some(all),
            Err(error) => {
                self.unseen(what, error);
                None
            }
        }
    }

    async fn namespaces(&mut self) {
        let path = "/api/v1/namespaces";
        let all = self.all("the namespaces' labels", path, "", Part::Metadata);
        let Some(all) = all.await else { return };
        self.seen("namespaces", all.len());
        for namespace in &all {
            self.facts.known.add_namespace(namespace);
        }
    }

    /// Looks at our registrations and what is behind them; answers the webhook's settings.
    async fn installs(&mut self) -> Settings {
        // What a Pod would get does not count here but that it gets it.
        let mut found = Settings::new("gitvolume.dev/gitvolume-syncer");
        let what = "the webhook's registration";
        let all = self.all(what, REGISTRATIONS, "", Part::Whole);
        let Some(all) = all.await else { return found };
        let (ours, others): (Vec<Value>, Vec<Value>) = all
            .into_iter()
            .partition(|own| installed::entries(own).next().is_some());
        self.seen("registrations", ours.len());
        self.facts.others = others;
        let mut installs = Vec::new();
        for registration in ours {
            let mut install = Install {
                registration,
                ..Install::default()
            };
            if let Some(entry) = install.auto_entry() {
                self.facts.known.add_selector(entry);
            }
            let service = installed::service(&install.registration);
            if let Some((namespace, name)) = service {
                install.service = Some((namespace.clone(), name.clone()));
                let pods = self.behind(&mut install, &namespace, &name).await;
                if let Some(pod) = pods.first() {
                    match settings::of_webhook(self.live, pod).await {
                        Ok(settings) => found = settings,
                        Err(error) => self.unseen("the webhook's settings", error),
                    }
                }
                if self.scope.secrets {
                    install.ca_secret = self.ca_secret(&namespace, &pods).await;
                }
            }
            installs.push(install);
        }
        self.facts.installs = Some(installs);
        found
    }

    /// Looks at a Service, its endpoints and its Pods; answers the Pods.
    async fn behind(&mut self, install: &mut Install, namespace: &str, name: &str) -> Vec<Value> {
        let uri = format!("/api/v1/namespaces/{namespace}/services/{name}");
        let service = match self.live.get(&uri).await {
            Ok(service) => service,
            Err(Unseen::Absent(_)) => {
                install.has_service = Some(false);
                return Vec::new();
            }
            Err(error) => {
                self.unseen(&format!("Service {namespace}/{name}"), error);
                return Vec::new();
            }
        };
        install.has_service = Some(true);
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices");
        let query = format!(
            "labelSelector={}",
            encoded(&format!("kubernetes.io/service-name={name}"))
        );
        let slices = self.all("the webhook's endpoints", &path, &query, Part::Whole);
        install.endpoints = slices.await.map(|slices| {
            let endpoints = slices.iter().filter_map(|own| own["endpoints"].as_array());
            let ready = endpoints
                .flatten()
                .map(|own| own["conditions"]["ready"] != false);
            ready.fold((0, 0), |(ready, others), is| match is {
                true => (ready + 1, others),
                false => (ready, others + 1),
            })
        });
        let pods = match installed::pods(self.live, &service).await {
            Ok(pods) => pods,
            Err(error) => {
                self.unseen("the webhook's Pods", error);
                return Vec::new();
            }
        };
        self.seen("replicas", pods.len());
        for pod in &pods {
            let replica = self.replica(pod).await;
            install.replicas.push(replica);
        }
        pods
    }

    /// Asks a Pod of the webhook's, through the API server.
    async fn replica(&mut self, pod: &Value) -> Replica {
        let (namespace, name) = (
            text(pod, "/metadata/namespace"),
            text(pod, "/metadata/name"),
        );
        let containers = pod["spec"]["containers"].as_array();
        let containers = containers.into_iter().flatten();
        let mut ports = containers
            .clone()
            .filter_map(|own| own["ports"].as_array())
            .flatten();
        let port = ports
            .find(|port| port["name"] == "admin")
            .and_then(|port| port["containerPort"].as_u64())
            .unwrap_or(ADMIN_PORT);
        let mut replica = Replica {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            image: containers
                .map(|own| text(own, "/image").to_owned())
                .next()
                .unwrap_or_default(),
            ..Replica::default()
        };
        if text(pod, "/status/phase") != "Running" {
            return replica;
        }
        let proxy = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy");
        let what = "what the webhook's Pods say of themselves";
        match self.live.text(&format!("{proxy}/readyz")).await {
            Ok(said) => replica.readyz = Some((true, said)),
            Err(Unseen::Failed { message, .. }) if message.starts_with("not ready") => {
                replica.readyz = Some((false, message));
            }
            Err(error) => {
                self.unseen(what, error);
                return replica;
            }
        }
        match self.live.text(&format!("{proxy}/metrics")).await {
            Ok(metrics) => read_metrics(&metrics, &mut replica),
            Err(error) => self.unseen(what, error),
        }
        replica
    }

    async fn ca_secret(&mut self, namespace: &str, pods: &[Value]) -> Option<String> {
        let flag = "--secret-name=";
        let containers = pods.first()?["spec"]["containers"].as_array()?;
        let mut args = containers.iter().filter_map(|own| own["args"].as_array());
        let name = args.find_map(|args| {
            let mut args = args.iter().filter_map(Value::as_str);
            args.find_map(|arg| arg.strip_prefix(flag))
        })?;
        let uri = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        match self.live.get(&uri).await {
            Ok(secret) => {
                use base64::Engine;
                let encoded = text(&secret, "/data/ca.crt");
                let pem = base64::prelude::BASE64_STANDARD.decode(encoded).ok()?;
                String::from_utf8(pem).ok()
            }
            Err(error) => {
                self.unseen("the Secret with the webhook's CA", error);
                None
            }
        }
    }

    async fn trial(&mut self) {
        let is_installed = self
            .facts
            .installs
            .as_ref()
            .is_some_and(|own| !own.is_empty());
        let Some(namespace) = self.scope.trial.as_ref().filter(|_| is_installed) else {
            return;
        };
        match self.live.try_pod(namespace, &trial_pod()).await {
            Ok(pod) => {
                let annotations = texts(&pod["metadata"]["annotations"]);
                let status = annotations.get(&format!("{PREFIX}status"));
                let by = status.map(|status| {
                    let status: Value = serde_json::from_str(status).unwrap_or_default();
                    let said = |key: &str| text(&status, key).to_owned();
                    (said("/version"), said("/config"))
                });
                self.facts.trial = Some(Trial::Admitted(by));
            }
            Err(error) => {
                let message = error.to_string();
                if is_about_us(&message) {
                    self.facts.trial = Some(Trial::Refused(message));
                } else {
                    let what = format!("a trial Pod in the namespace {namespace} (dry run)");
                    self.unseen(&what, message);
                }
            }
        }
    }

    async fn guards(&mut self) {
        let api = "/apis/admissionregistration.k8s.io/v1";
        let path = format!("{api}/validatingadmissionpolicies");
        let query = format!(
            "labelSelector={}",
            encoded("app.kubernetes.io/name=gitvolume")
        );
        let policies = self.all("the guard", &path, &query, Part::Whole).await;
        let Some(policies) = policies else { return };
        let path = format!("{api}/validatingadmissionpolicybindings");
        let bindings = self.all("the guard's bindings", &path, "", Part::Whole);
        let bindings = bindings.await;
        let guards = policies.into_iter().map(|policy| {
            let name = &policy["metadata"]["name"];
            let actions = bindings.as_ref().map(|bindings| {
                let own = bindings
                    .iter()
                    .filter(|own| own["spec"]["policyName"] == *name);
                own.map(|own| {
                    let actions = own["spec"]["validationActions"].as_array();
                    let actions = actions.into_iter().flatten().filter_map(Value::as_str);
                    actions.map(str::to_owned).collect()
                })
                .collect()
            });
            Guard { policy, actions }
        });
        self.facts.guards = Some(guards.collect());
    }

    /// Whether there are such kinds at all: whoever may not list them is not told that.
    async fn serves(&self, api: &str) -> bool {
        !matches!(self.live.get(api).await, Err(Unseen::Absent(_)))
    }

    async fn objects(&mut self) {
        if !self.serves(&our_api()).await {
            return;
        }
        for kind in Kind::ALL {
            let path = our_objects(kind, self.scope.namespace.as_deref());
            let mut all = Vec::new();
            let listed = self.live.list(&path, "", Part::Whole, |mut own| {
                own["kind"] = json!(kind.as_str());
                all.push(own);
            });
            match listed.await {
                Ok(()) => self.seen("objects", all.len()),
                // The chart may be without them.
                Err(Unseen::Absent(_)) => {}
                Err(error) => self.unseen(&format!("the {kind}s"), error),
            }
            for object in &all {
                self.facts.known.add_object(object);
            }
            self.facts.objects.extend(all);
        }
    }

    async fn nodes(&mut self) {
        let mut nodes = Vec::new();
        let each = |node: Value| {
            nodes.push(Node {
                name: text(&node, "/metadata/name").to_owned(),
                os: text(&node, "/status/nodeInfo/operatingSystem").to_owned(),
                kubelet: text(&node, "/status/nodeInfo/kubeletVersion").to_owned(),
            });
        };
        match self.live.list("/api/v1/nodes", "", Part::Whole, each).await {
            Ok(()) => self.seen("nodes", nodes.len()),
            Err(error) => self.unseen("the nodes", error),
        }
        self.facts.nodes = nodes;
    }

    async fn pods(&mut self, settings: &Settings) {
        let mut pods = Vec::new();
        let mut count = 0;
        let known = &self.facts.known;
        let mut namespaces: BTreeMap<String, Namespace> = BTreeMap::new();
        let each = |pod: Value| {
            count += 1;
            let name = text(&pod, "/metadata/namespace");
            let namespace = namespaces
                .entry(name.to_owned())
                .or_insert_with(|| known.namespace(name));
            pods.extend(PodFact::read(&pod, settings, namespace));
        };
        let path = self.path("/api/v1", "pods");
        let listed = self.live.list(&path, "", Part::Whole, each).await;
        match listed {
            Ok(()) => self.seen("pods", count),
            Err(error) => self.unseen(&self.within("the Pods"), error),
        }
        self.facts.pods = pods;
    }

    /// What of the namespaces that are looked at.
    fn within(&self, what: &str) -> String {
        match &self.scope.namespace {
            None => format!("{what} of all namespaces (--namespace looks at one)"),
            Some(namespace) => format!("{what} of the namespace {namespace}"),
        }
    }

    async fn events(&mut self) {
        let path = self.path("/api/v1", "events");
        let query = format!("fieldSelector={}", encoded("reason=FailedCreate"));
        let what = self.within("the events of controllers");
        let mut events = Vec::new();
        let each = |event: Value| {
            if is_about_us(text(&event, "/message")) {
                events.push(event);
            }
        };
        let listed = self.live.list(&path, &query, Part::Whole, each).await;
        if let Err(error) = listed {
            self.unseen(&what, error);
        }
        self.facts.events = events;
    }

    async fn workloads(&mut self) {
        for resource in WORKLOADS {
            let Resource {
                api, plural, kind, ..
            } = resource;
            let part = match kind {
                // Its Jobs have metadata of their own.
                "CronJob" => Part::Whole,
                // Enough to see annotations on a wrong level.
                _ => Part::Metadata,
            };
            if kind == "Rollout" && !self.serves(api).await {
                continue;
            }
            let path = self.path(api, plural);
            let mut found = Vec::new();
            let mut count = 0;
            let each = |object: Value| {
                count += 1;
                // What a controller makes has its maker's annotations.
                if owner(&object).is_some() {
                    return;
                }
                let at = [
                    "/metadata/annotations",
                    "/spec/jobTemplate/metadata/annotations",
                ];
                let mut keys = at
                    .into_iter()
                    .flat_map(|at| texts(object.pointer(at).unwrap_or(&Value::Null)))
                    .map(|(key, _)| key);
                if keys.any(|key| key.starts_with(PREFIX)) {
                    found.push(object);
                }
            };
            match self.live.list(&path, "", part, each).await {
                Ok(()) => self.seen("workloads", count),
                Err(Unseen::Absent(_)) => {}
                Err(error) => self.unseen(&self.within(&format!("the {plural}")), error),
            }
            for object in found {
                self.workload(api, plural, kind, part, object).await;
            }
        }
    }

    async fn workload(&mut self, api: &str, plural: &str, kind: &str, part: Part, object: Value) {
        let workload = Workload {
            kind: kind.to_owned(),
            namespace: text(&object, "/metadata/namespace").to_owned(),
            name: text(&object, "/metadata/name").to_owned(),
        };
        let Workload {
            namespace, name, ..
        } = &workload;
        let uri = format!("{api}/namespaces/{namespace}/{plural}/{name}");
        let mut whole = match part {
            Part::Whole => object,
            Part::Metadata => match self.live.get(&uri).await {
                Ok(whole) => whole,
                // It went in the meantime.
                Err(Unseen::Absent(_)) => return,
                Err(error) => {
                    self.unseen(&format!("{kind} {namespace}/{name}"), error);
                    return;
                }
            },
        };
        let version = api.trim_start_matches("/apis/").trim_start_matches("/api/");
        whole["apiVersion"] = json!(version);
        whole["kind"] = json!(kind);
        let sentences = misplaced(&whole);
        let told = sentences.into_iter().map(|own| (workload.clone(), own));
        self.facts.misplaced.extend(told);
    }

    async fn secrets(&mut self) {
        if !self.scope.secrets {
            return;
        }
        let mut wanted: BTreeMap<(String, String), String> = BTreeMap::new();
        for pod in &self.facts.pods {
            for secret in &pod.secrets {
                let key = (pod.namespace.clone(), secret.clone());
                wanted.entry(key).or_insert_with(|| pod.name.clone());
            }
        }
        for ((namespace, name), pod) in wanted {
            let uri = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
            let keys = match self.live.get(&uri).await {
                // The keys alone; what is under them is forgotten here.
                Ok(secret) => Some(texts(&secret["data"]).into_keys().collect()),
                Err(Unseen::Absent(_)) => None,
                Err(error) => {
                    let what = format!("the Secrets of the namespace {namespace}");
                    self.unseen(&what, error);
                    continue;
                }
            };
            self.seen("secrets", 1);
            self.facts.secrets.push(SecretFact {
                namespace,
                name,
                pod,
                keys,
            });
        }
    }
}

/// A Pod that asks for a repository, and that the strictest namespace takes. It is never made.
fn trial_pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "gitvolume-doctor-",
            "annotations": {format!("{PREFIX}repo"): "https://git.example/doctor.git"},
        },
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "trial",
                "image": "gitvolume.dev/doctor:never-pulled",
                "resources": {
                    "requests": {"cpu": "1m", "memory": "1Mi"},
                    "limits": {"cpu": "1m", "memory": "1Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    })
}

/// Takes what counts out of the text of `/metrics`.
fn read_metrics(metrics: &str, replica: &mut Replica) {
    for line in metrics.lines() {
        let Some((name, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let number = value.parse::<f64>();
        match (name.split('{').next().unwrap_or_default(), number) {
            ("gitvolume_webhook_cert_not_after_seconds", Ok(number)) => {
                replica.not_after = Some(number as i64);
            }
            ("gitvolume_webhook_cabundle_in_sync", Ok(number)) => {
                replica.in_sync = Some(number > 0.0);
            }
            ("gitvolume_webhook_build_info", _) => replica.version = label(name, "version"),
            ("gitvolume_webhook_config_info", _) => replica.config = label(name, "hash"),
            _ => {}
        }
    }
}

/// A label's value in a line of the text.
fn label(series: &str, name: &str) -> Option<String> {
    let (_, rest) = series.split_once(&format!("{name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_tells_of_itself_by_its_metrics() {
        let mut replica = Replica::default();
        let metrics = "# TYPE gitvolume_webhook_build info\n\
            gitvolume_webhook_build_info{version=\"0.1.0\"} 1\n\
            gitvolume_webhook_config_info{hash=\"c0ffee\"} 1\n\
            gitvolume_webhook_cert_not_after_seconds 1795276108.0\n\
            gitvolume_webhook_cabundle_in_sync 0\n# EOF\n";
        read_metrics(metrics, &mut replica);
        let expected = Replica {
            version: Some("0.1.0".to_owned()),
            config: Some("c0ffee".to_owned()),
            not_after: Some(1_795_276_108),
            in_sync: Some(false),
            ..Replica::default()
        };
        assert_eq!(replica, expected);
    }
}
