//! Reads the facts of a cluster. A part that cannot be read is recorded as unavailable, and the
//! rest is still read.

mod cache;
mod installation;
mod workloads;

use crate::live::path_of;
use inject::Kind;
use jiff::SignedDuration;
use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;
use kube::api::ListParams;
use serde_json::Value;
use serde_json::json;

use super::facts::Facts;
use super::facts::Node;
use crate::commands::doctor::value::text;
use crate::live::ClusterReader;
use crate::live::Part;
use crate::live::Unavailable;
use crate::live::kinds::our_api;
use crate::live::kinds::our_objects;

/// The parts of the cluster to read.
#[derive(Clone, Debug)]
pub struct Scope {
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// The namespace of the trial Pod (a server-side dry run); `None` for no trial.
    pub trial: Option<String>,
    /// Whether the Secrets that annotations name are read.
    pub secrets: bool,
}

/// Reads all facts.
pub async fn collect(live: &ClusterReader, scope: &Scope) -> Facts {
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
    look.caches(&settings.cache).await;
    look.trial().await;
    look.guards().await;
    look.objects().await;
    look.nodes().await;
    look.pods(&settings).await;
    look.warnings().await;
    look.cache_states().await;
    look.events().await;
    look.workloads().await;
    look.secrets().await;
    look.facts
}

struct Look<'a> {
    live: &'a ClusterReader,
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

    /// The API path of a kind's objects in the namespaces of the scope.
    fn path(&self, api: &str, plural: &str) -> String {
        match &self.scope.namespace {
            None => format!("{api}/{plural}"),
            Some(namespace) => format!("{api}/namespaces/{namespace}/{plural}"),
        }
    }

    /// Lists all objects of a kind; `None` if that fails, which is recorded.
    async fn all(
        &mut self,
        what: &str,
        path: &str,
        selectors: ListParams,
        part: Part,
    ) -> Option<Vec<Value>> {
        let mut all = Vec::new();
        match self
            .live
            .list(path, selectors, part, |own| all.push(own))
            .await
        {
            Ok(()) => Some(all),
            Err(error) => {
                self.unseen(what, error);
                None
            }
        }
    }

    async fn namespaces(&mut self) {
        let path = path_of::<core::Namespace>(None);
        let all = self.all(
            "the namespaces' labels",
            &path,
            ListParams::default(),
            Part::Metadata,
        );
        let Some(all) = all.await else { return };
        self.seen("namespaces", all.len());
        for namespace in &all {
            self.facts.known.add_namespace(namespace);
        }
    }

    /// Whether the API server serves the API group: without permission to list, a client does not
    /// learn that a kind is missing.
    async fn serves(&self, api: &str) -> bool {
        !matches!(self.live.get(api).await, Err(Unavailable::Absent(_)))
    }

    async fn objects(&mut self) {
        if !self.serves(&our_api()).await {
            return;
        }
        for kind in Kind::ALL {
            let path = our_objects(kind, self.scope.namespace.as_deref());
            let mut all = Vec::new();
            let listed = self
                .live
                .list(&path, ListParams::default(), Part::Whole, |mut own| {
                    own["kind"] = json!(kind.as_str());
                    all.push(own);
                });
            match listed.await {
                Ok(()) => self.seen("objects", all.len()),
                // The chart can be installed without these CRDs.
                Err(Unavailable::Absent(_)) => {}
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
        match self
            .live
            .list(
                &path_of::<core::Node>(None),
                ListParams::default(),
                Part::Whole,
                each,
            )
            .await
        {
            Ok(()) => self.seen("nodes", nodes.len()),
            Err(error) => self.unseen("the nodes", error),
        }
        self.facts.nodes = nodes;
    }

    /// A description of the scope, for messages.
    fn within(&self, what: &str) -> String {
        match &self.scope.namespace {
            None => format!("{what} of all namespaces (--namespace checks only one)"),
            Some(namespace) => format!("{what} of the namespace {namespace}"),
        }
    }
}
