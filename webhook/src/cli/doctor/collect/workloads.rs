//! The Pods, what makes them, and the Secrets they name.

use std::collections::BTreeMap;

use inject::Namespace;
use inject::PREFIX;
use inject::Settings;
use inject::misplaced;
use serde_json::Value;
use serde_json::json;

use super::Look;
use crate::cli::doctor::facts::SecretFact;
use crate::cli::doctor::facts::Workload;
use crate::cli::doctor::facts::text;
use crate::cli::doctor::facts::when;
use crate::cli::doctor::judge::is_about_us;
use crate::cli::doctor::pods::PodFact;
use crate::cli::doctor::pods::owner;
use crate::cli::doctor::syncer::Syncer;
use crate::cli::live::Part;
use crate::cli::live::Unseen;
use crate::cli::live::encoded;
use crate::cli::live::kinds::Resource;
use crate::cli::live::kinds::WORKLOADS;
use crate::cli::live::known::texts;

impl Look<'_> {
    pub(super) async fn pods(&mut self, settings: &Settings) {
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

    /// What the kubelet warns of about the Pods that wait for a container of ours. Where none does,
    /// nothing is asked.
    pub(super) async fn warnings(&mut self) {
        let path = self.path("/api/v1", "events");
        let now = self.facts.now;
        let mut waiting: BTreeMap<(String, String), &mut PodFact> = BTreeMap::new();
        for pod in &mut self.facts.pods {
            if pod.syncer.as_ref().is_some_and(Syncer::is_heard_of) && pod.waits(now).is_some() {
                waiting.insert((pod.namespace.clone(), pod.name.clone()), pod);
            }
        }
        if waiting.is_empty() {
            return;
        }
        let mut events = Vec::new();
        let key = |event: &Value| {
            let own = |at: &str| text(event, at).to_owned();
            (
                own("/involvedObject/namespace"),
                own("/involvedObject/name"),
            )
        };
        let each = |event: Value| {
            // A Pod of the same name may have been there before.
            let pod = waiting.get(&key(&event));
            if pod.is_some_and(|pod| when(&event) >= pod.created.as_str()) {
                events.push(event);
            }
        };
        let query = encoded("type=Warning,involvedObject.kind=Pod");
        let query = format!("fieldSelector={query}");
        let listed = self.live.list(&path, &query, Part::Whole, each).await;
        events.sort_by(|one, other| when(one).cmp(when(other)));
        for event in &events {
            let pod = waiting.get_mut(&key(event));
            if let Some(syncer) = pod.and_then(|pod| pod.syncer.as_mut()) {
                syncer.hear(event);
            }
        }
        if let Err(error) = listed {
            self.unseen(&self.within("the events of Pods that wait"), error);
        }
    }

    pub(super) async fn events(&mut self) {
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

    pub(super) async fn workloads(&mut self) {
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

    pub(super) async fn secrets(&mut self) {
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
