//! Reads the Pods, their controllers, and the Secrets that they name.

use crate::live::path_of;
use crate::live::path_to;
use k8s_openapi::api::core::v1 as core;
use kube::api::ListParams;
use std::collections::BTreeMap;

use inject::Namespace;
use inject::PREFIX;
use inject::Settings;
use inject::misplaced;
use serde_json::Value;
use serde_json::json;

use super::Look;
use crate::commands::doctor::facts::SecretFact;
use crate::commands::doctor::judge::is_about_us;
use crate::commands::doctor::pods::PodFact;
use crate::commands::doctor::pods::Workload;
use crate::commands::doctor::pods::owner;
use crate::commands::doctor::syncer::Syncer;
use crate::commands::doctor::value::text;
use crate::commands::doctor::value::when;
use crate::live::Part;
use crate::live::Unavailable;
use crate::live::kinds::Resource;
use crate::live::kinds::WORKLOADS;
use crate::live::known::texts;

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
        let path = path_of::<core::Pod>(self.scope.namespace.as_deref());
        let listed = self
            .live
            .list(&path, ListParams::default(), Part::Whole, each)
            .await;
        match listed {
            Ok(()) => self.seen("pods", count),
            Err(error) => self.unseen(&self.within("the Pods"), error),
        }
        self.facts.pods = pods;
    }

    /// The kubelet's warnings about Pods that wait for an injected container. Without such Pods no
    /// request is made.
    pub(super) async fn warnings(&mut self) {
        let path = path_of::<core::Event>(self.scope.namespace.as_deref());
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
            // The event may be about an earlier Pod of the same name.
            let pod = waiting.get(&key(&event));
            if pod.is_some_and(|pod| when(&event) >= pod.created.as_str()) {
                events.push(event);
            }
        };
        let selectors = ListParams::default().fields("type=Warning,involvedObject.kind=Pod");
        let listed = self.live.list(&path, selectors, Part::Whole, each).await;
        events.sort_by(|one, other| when(one).cmp(when(other)));
        for event in &events {
            let pod = waiting.get_mut(&key(event));
            if let Some(syncer) = pod.and_then(|pod| pod.syncer.as_mut()) {
                syncer.hear(event);
            }
        }
        if let Err(error) = listed {
            self.unseen(&self.within("the events of pending Pods"), error);
        }
    }

    pub(super) async fn events(&mut self) {
        let path = path_of::<core::Event>(self.scope.namespace.as_deref());
        let selectors = ListParams::default().fields("reason=FailedCreate");
        let what = self.within("the events of controllers");
        let mut events = Vec::new();
        let each = |event: Value| {
            if is_about_us(text(&event, "/message")) {
                events.push(event);
            }
        };
        let listed = self.live.list(&path, selectors, Part::Whole, each).await;
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
                // The Jobs of a CronJob have their own metadata.
                "CronJob" => Part::Whole,
                // Metadata is enough to find annotations on the wrong level.
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
                // An object with a controller has the annotations of that controller.
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
            match self
                .live
                .list(&path, ListParams::default(), part, each)
                .await
            {
                Ok(()) => self.seen("workloads", count),
                Err(Unavailable::Absent(_)) => {}
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
                // It was deleted in the meantime.
                Err(Unavailable::Absent(_)) => return,
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
            let uri = path_to::<core::Secret>(Some(&namespace), &name);
            let keys = match self.live.get(&uri).await {
                // Only the keys are kept; the values are dropped here.
                Ok(secret) => Some(texts(&secret["data"]).into_keys().collect()),
                Err(Unavailable::Absent(_)) => None,
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
