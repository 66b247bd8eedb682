//! What is known of the cluster's namespaces: a watch of their metadata, so that no admission waits
//! for a call of ours. Kept are the names of those that hand out ranges of users and nothing else.

use std::collections::HashSet;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;
use std::time::Duration;
use std::time::Instant;

use futures::StreamExt;
use inject::Namespace;
use k8s_openapi::api::core::v1 as core;
use kube::Api;
use kube::Client;
use kube::api::PartialObjectMeta;
use kube::runtime::watcher;
use kube::runtime::watcher::DefaultBackoff;
use kube::runtime::watcher::Event;

/// OpenShift's range of users for the Pods of a namespace
/// (<https://docs.redhat.com/en/documentation/openshift_container_platform/4.20/html/authentication_and_authorization/managing-pod-security-policies>).
const USERS: &str = "openshift.io/sa.scc.uid-range";

/// Namespaces in one answer of the first list: a page is in memory as a whole.
const PAGE: u32 = 100;

/// How long one watch lasts before the next one begins where it ended. A connection that died
/// without a word is noticed by then.
const WATCH_SECONDS: u32 = 60;

/// How long the API server may say nothing: longer than a quiet watch does.
pub const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 30);

/// What is known of the namespaces. Losing the API server changes nothing here: what was last known
/// counts.
#[derive(Debug)]
pub struct Namespaces {
    /// `None` where nobody watches.
    known: Option<RwLock<Known>>,
}

#[derive(Debug)]
struct Known {
    with_users: HashSet<String>,
    is_listed: bool,
    /// Since when nobody has told of changes.
    lost: Option<Instant>,
}

impl Namespaces {
    /// Nothing is known of any namespace but by its Pods, and nothing is waited for.
    pub fn unwatched() -> Arc<Self> {
        Arc::new(Self { known: None })
    }

    /// To be filled by [`watch`]; until it has listed them all, we are not ready.
    pub fn watched() -> Arc<Self> {
        let known = Known {
            with_users: HashSet::new(),
            is_listed: false,
            lost: Some(Instant::now()),
        };
        Arc::new(Self {
            known: Some(RwLock::new(known)),
        })
    }

    /// What is known of a namespace.
    pub fn get(&self, name: &str) -> Namespace {
        Namespace {
            hands_out_users: self
                .read()
                .is_some_and(|known| known.with_users.contains(name)),
            ..Namespace::default()
        }
    }

    /// What keeps us from answering, in words; `None` when nothing does.
    pub fn missing(&self) -> Option<&'static str> {
        let is_missing = self.read().is_some_and(|known| !known.is_listed);
        is_missing.then_some("the namespaces are not listed yet")
    }

    /// How long changes have not been heard of; zero while they are, or where nobody watches.
    pub fn stale(&self) -> Duration {
        let lost = self.read().and_then(|known| known.lost);
        lost.map_or(Duration::ZERO, |lost| lost.elapsed())
    }

    /// How many namespaces hand out users.
    pub fn with_users(&self) -> usize {
        self.read().map_or(0, |known| known.with_users.len())
    }

    fn read(&self) -> Option<RwLockReadGuard<'_, Known>> {
        let known = self.known.as_ref()?;
        // Each change is whole, so a panic between two leaves nothing half done.
        Some(known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self) -> Option<RwLockWriteGuard<'_, Known>> {
        let known = self.known.as_ref()?;
        Some(known.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn lose(&self) {
        if let Some(mut known) = self.write() {
            known.lost.get_or_insert_with(Instant::now);
        }
    }
}

/// Keeps it current, for ever.
pub async fn watch(namespaces: Arc<Namespaces>, client: Client) -> Infallible {
    let api: Api<PartialObjectMeta<core::Namespace>> = Api::all(client);
    let config = watcher::Config::default()
        .page_size(PAGE)
        .timeout(WATCH_SECONDS);
    let mut backoff = DefaultBackoff::default();
    let mut trouble: Option<String> = None;
    loop {
        // After an error all are listed anew: a watch that goes on by itself does not say so, and
        // then nobody would know whether it does.
        let mut events = pin!(watcher::watcher(api.clone(), config.clone()));
        let mut listed = HashSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if take(&namespaces, &mut listed, event) {
                        backoff = DefaultBackoff::default();
                        if trouble.take().is_some() {
                            tracing::info!("the namespaces are watched again");
                        }
                    }
                }
                Err(error) => {
                    namespaces.lose();
                    // Once, and not at every attempt.
                    let error = error.to_string();
                    if trouble.as_ref() != Some(&error) {
                        tracing::warn!(error, "the namespaces cannot be watched");
                        trouble = Some(error);
                    }
                    break;
                }
            }
        }
        let pause = backoff.next().unwrap_or(Duration::from_secs(30));
        tokio::time::sleep(pause).await;
    }
}

/// Takes note of an event; tells whether all of them are listed with it.
fn take(
    namespaces: &Namespaces,
    listed: &mut HashSet<String>,
    event: Event<PartialObjectMeta<core::Namespace>>,
) -> bool {
    match event {
        Event::Init => listed.clear(),
        Event::InitApply(namespace) => {
            if let (name, true) = read(namespace) {
                listed.insert(name);
            }
        }
        Event::InitDone => {
            if let Some(mut known) = namespaces.write() {
                *known = Known {
                    with_users: std::mem::take(listed),
                    is_listed: true,
                    lost: None,
                };
            }
            return true;
        }
        Event::Apply(namespace) => {
            let (name, hands_out_users) = read(namespace);
            change(namespaces, name, hands_out_users);
        }
        Event::Delete(namespace) => {
            let (name, _) = read(namespace);
            change(namespaces, name, false);
        }
    }
    false
}

/// Most events change nothing that counts here: then nobody waits for the lock.
fn change(namespaces: &Namespaces, name: String, hands_out_users: bool) {
    if namespaces.get(&name).hands_out_users == hands_out_users {
        return;
    }
    if let Some(mut known) = namespaces.write() {
        match hands_out_users {
            true => known.with_users.insert(name),
            false => known.with_users.remove(&name),
        };
    }
}

fn read(namespace: PartialObjectMeta<core::Namespace>) -> (String, bool) {
    let metadata = namespace.metadata;
    let annotations = metadata.annotations.unwrap_or_default();
    let hands_out_users = annotations.contains_key(USERS);
    (metadata.name.unwrap_or_default(), hands_out_users)
}
