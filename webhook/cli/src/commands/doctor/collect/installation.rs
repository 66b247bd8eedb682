//! Reads the installation: registrations, the webhook's Pods behind them, the guard, and the answer
//! to a trial Pod.

use crate::live::path_of;
use crate::live::path_to;
use inject::Key;
use inject::Settings;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use serde_json::Value;
use serde_json::json;

use super::Look;
use crate::commands::doctor::facts::Guard;
use crate::commands::doctor::facts::Install;
use crate::commands::doctor::facts::Replica;
use crate::commands::doctor::facts::Trial;
use crate::commands::doctor::judge::is_about_us;
use crate::commands::doctor::value::text;
use crate::live::Part;
use crate::live::Unavailable;
use crate::live::installed;
use crate::live::known::texts;
use crate::live::settings;

/// A Service, and what is behind it.
#[derive(Debug, Default)]
pub(super) struct Behind {
    pub(super) has_service: bool,
    pub(super) ports: Vec<u16>,
    /// The numbers of ready and of not ready endpoints; `None` if they could not be read.
    pub(super) endpoints: Option<(usize, usize)>,
    pub(super) pods: Vec<Value>,
}

impl Look<'_> {
    /// Reads the registrations and the Services, endpoints and Pods behind them; returns the
    /// webhook's settings.
    pub(super) async fn installs(&mut self) -> Settings {
        // Only whether a Pod is injected matters here, not with which image.
        let mut found = Settings::new("gitvolume.dev/gitvolume-syncer");
        let what = "the webhook's registration";
        let path = path_of::<MutatingWebhookConfiguration>(None);
        let all = self.all(what, &path, ListParams::default(), Part::Whole);
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
                let pods = self.replicas(&mut install, &namespace, &name).await;
                let mut reported = install
                    .replicas
                    .iter()
                    .filter_map(|own| own.readiness.as_ref());
                match reported.next().map(settings::read) {
                    Some(Ok(settings)) => found = settings,
                    Some(Err(error)) => self.unseen("the webhook's settings", error),
                    // The Pods could not be read, which is recorded already.
                    None => {}
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

    /// Reads the webhook's Service, its endpoints and its Pods; returns the Pods.
    async fn replicas(&mut self, install: &mut Install, namespace: &str, name: &str) -> Vec<Value> {
        let Some(behind) = self.behind("the webhook", namespace, name).await else {
            return Vec::new();
        };
        install.has_service = Some(behind.has_service);
        install.endpoints = behind.endpoints;
        self.seen("replicas", behind.pods.len());
        for pod in &behind.pods {
            let replica = self.replica(pod).await;
            install.replicas.push(replica);
        }
        behind.pods
    }

    /// Reads a Service, its endpoints and its Pods; `None` if the Service cannot be read.
    pub(super) async fn behind(
        &mut self,
        whose: &str,
        namespace: &str,
        name: &str,
    ) -> Option<Behind> {
        let mut behind = Behind::default();
        let uri = path_to::<core::Service>(Some(namespace), name);
        let service = match self.live.get(&uri).await {
            Ok(service) => service,
            Err(Unavailable::Absent(_)) => return Some(behind),
            Err(error) => {
                self.unseen(&format!("Service {namespace}/{name}"), error);
                return None;
            }
        };
        behind.has_service = true;
        let ports = service["spec"]["ports"].as_array().into_iter().flatten();
        let ports = ports.filter_map(|own| own["port"].as_u64()?.try_into().ok());
        behind.ports = ports.collect();
        let path = path_of::<EndpointSlice>(Some(namespace));
        let of_service = format!("kubernetes.io/service-name={name}");
        let selectors = ListParams::default().labels(&of_service);
        let what = format!("{whose}'s endpoints");
        let slices = self.all(&what, &path, selectors, Part::Whole);
        behind.endpoints = slices.await.map(|slices| {
            let endpoints = slices.iter().filter_map(|own| own["endpoints"].as_array());
            let ready = endpoints
                .flatten()
                .map(|own| own["conditions"]["ready"] != false);
            ready.fold((0, 0), |(ready, others), is| match is {
                true => (ready + 1, others),
                false => (ready, others + 1),
            })
        });
        match installed::pods(self.live, &service).await {
            Ok(pods) => behind.pods = pods,
            Err(error) => self.unseen(&format!("{whose}'s Pods"), error),
        }
        Some(behind)
    }

    /// Requests the readiness of a webhook Pod, through the API server.
    async fn replica(&mut self, pod: &Value) -> Replica {
        let (namespace, name) = (
            text(pod, "/metadata/namespace"),
            text(pod, "/metadata/name"),
        );
        let containers = pod["spec"]["containers"].as_array();
        let mut containers = containers.into_iter().flatten();
        let mut replica = Replica {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            image: containers
                .next()
                .map(|own| text(own, "/image").to_owned())
                .unwrap_or_default(),
            ..Replica::default()
        };
        if text(pod, "/status/phase") != "Running" {
            return replica;
        }
        match settings::readiness(self.live, pod).await {
            Ok(readiness) => replica.readiness = Some(readiness),
            Err(error) => self.unseen("the readiness of the webhook's Pods", error),
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
        let uri = path_to::<core::Secret>(Some(namespace), name);
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

    pub(super) async fn trial(&mut self) {
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
                let status = annotations.get(Key::Status.annotation());
                let by = status.map(|status| {
                    let status: Value = serde_json::from_str(status).unwrap_or_default();
                    let field = |key: &str| text(&status, key).to_owned();
                    (field("/version"), field("/config"))
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

    pub(super) async fn guards(&mut self) {
        let path = path_of::<ValidatingAdmissionPolicy>(None);
        let selectors = ListParams::default().labels("app.kubernetes.io/name=gitvolume");
        let policies = self.all("the guard", &path, selectors, Part::Whole).await;
        let Some(policies) = policies else { return };
        let path = path_of::<ValidatingAdmissionPolicyBinding>(None);
        let bindings = self.all(
            "the guard's bindings",
            &path,
            ListParams::default(),
            Part::Whole,
        );
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
}

/// A Pod with a repository that the restricted Pod Security level accepts. It is never created.
fn trial_pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "gitvolume-doctor-",
            "annotations": {Key::Repo.annotation(): "https://git.example/doctor.git"},
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
