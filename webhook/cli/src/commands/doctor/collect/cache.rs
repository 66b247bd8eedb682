//! Reads the pull-through caches of the webhook's settings: their Services, certificates and metrics,
//! and what syncers report about them.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::StreamExt;
use inject::Cache;
use k8s_openapi::api::core::v1 as core;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use super::Look;
use crate::commands::doctor::cache::CacheFact;
use crate::commands::doctor::cache::CacheFigures;
use crate::commands::doctor::cache::CacheReplica;
use crate::commands::doctor::value::text;
use crate::commands::status::syncers::page;
use crate::live::Unavailable;
use crate::live::path_to;
use crate::live::settings::admin_port;
use crate::live::settings::mounted;

/// The default port of a cache's admin listener.
const ADMIN_PORT: u64 = 8081;

/// Syncers whose state is read, and how many of them at a time.
const SYNCERS: usize = 20;
const CONCURRENT: usize = 5;

/// The flag of a cache with the path of its certificate.
const CERTIFICATE: &str = "--tls-cert=";

impl Look<'_> {
    /// Reads the caches.
    pub(super) async fn caches(&mut self, caches: &[Cache]) {
        for cache in caches {
            let mut fact = CacheFact::new(cache);
            if let Some((namespace, name)) = fact.service.clone() {
                self.behind_cache(&mut fact, &namespace, &name).await;
            }
            self.facts.caches.push(fact);
        }
        if !caches.is_empty() {
            self.seen("caches", caches.len());
        }
    }

    async fn behind_cache(&mut self, fact: &mut CacheFact, namespace: &str, name: &str) {
        let Some(behind) = self.behind("the cache", namespace, name).await else {
            return;
        };
        fact.ports = Some(behind.ports);
        fact.endpoints = behind.endpoints;
        for pod in &behind.pods {
            let replica = self.cache_replica(pod).await;
            fact.replicas.push(replica);
        }
        if self.scope.secrets
            && let Some(pod) = behind.pods.first()
        {
            fact.certificate = self.cache_certificate(pod).await;
        }
    }

    /// Reads the metrics of a cache's Pod, through the API server.
    async fn cache_replica(&mut self, pod: &Value) -> CacheReplica {
        let (namespace, name) = (
            text(pod, "/metadata/namespace"),
            text(pod, "/metadata/name"),
        );
        let mut replica = CacheReplica {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            figures: None,
        };
        if text(pod, "/status/phase") != "Running" {
            return replica;
        }
        let port = admin_port(pod).unwrap_or(ADMIN_PORT);
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy/metrics");
        match self.live.text(&path).await {
            Ok(page) => replica.figures = Some(CacheFigures::read(&page)),
            Err(error) => self.unseen("the metrics of the cache's Pods", error),
        }
        replica
    }

    /// Reads the certificate in the Secret that a cache's Pod mounts; `None` if it mounts none.
    async fn cache_certificate(&mut self, pod: &Value) -> Option<Vec<CertificateDer<'static>>> {
        let containers = pod["spec"]["containers"].as_array()?.iter();
        let args = containers
            .filter_map(|own| own["args"].as_array())
            .flatten();
        let mut args = args.filter_map(Value::as_str);
        let file = args.find_map(|arg| arg.strip_prefix(CERTIFICATE))?;
        let (secret, key) = mounted(pod, Path::new(file), "/secret/secretName")?;
        let namespace = text(pod, "/metadata/namespace");
        let uri = path_to::<core::Secret>(Some(namespace), &secret);
        let secret = match self.live.get(&uri).await {
            Ok(secret) => secret,
            // The Pod waits for it, which is a finding about its endpoints.
            Err(Unavailable::Absent(_)) => return None,
            Err(error) => {
                self.unseen("the Secret with the cache's certificate", error);
                return None;
            }
        };
        let pem = BASE64_STANDARD
            .decode(secret["data"][&key].as_str()?)
            .ok()?;
        let chain = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
        Some(chain.collect())
    }

    /// Reads from some Pods whether their syncers reach the cache.
    pub(super) async fn cache_states(&mut self) {
        let asked = self.facts.pods.iter().enumerate();
        let asked = asked.filter_map(|(index, pod)| Some((index, pod, pod.status_port?)));
        let reading = asked.take(SYNCERS).map(|(index, pod, port)| {
            let reading = page(self.live, (&pod.namespace, &pod.name), port);
            async move { (index, reading.await) }
        });
        let read: Vec<_> = futures::stream::iter(reading)
            .buffered(CONCURRENT)
            .collect()
            .await;
        for (index, read) in read {
            match read {
                Ok(repositories) => {
                    let mut states = repositories.into_iter().filter_map(|own| own.cache);
                    self.facts.pods[index].cache_state = states.next();
                }
                Err(error) => self.unseen("the state of the cache in Pods", error),
            }
        }
    }
}
