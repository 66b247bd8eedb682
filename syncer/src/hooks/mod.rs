//! Hooks for each new tree: two programs and an address.
//!
//! A hook runs at least once for the newest tree and never twice in a row for the same one; it may
//! skip intermediate trees. It runs again after each start of the process, because the process does
//! not store whether it has run. A hook neither delays nor prevents a publication.

mod exec;
mod hook;
mod revision;
mod runner;
mod webhook;

use crate::config::ExecHook;
use crate::config::RepoConfig;
use crate::git::Git;
use crate::hooks::exec::Exec;
use crate::hooks::hook::Hook;
use crate::hooks::revision::Revision;
use crate::hooks::runner::Runner;
use crate::hooks::webhook::Webhook;
use crate::observe::metrics::RepoMetrics;
use crate::tree::Tree;

/// git-sync's names of the hooks, in logs and metrics.
const EXEC: &str = "exechook";
const PRE_PUBLISH: &str = "pre-publish-exechook";
const WEBHOOK: &str = "webhook";

/// The hooks of one repository.
pub(crate) struct Hooks {
    pre_publish: Option<Runner>,
    published: Vec<Runner>,
}

impl Hooks {
    /// Starts a task for each hook. It must be called within the event loop.
    pub(crate) fn start(config: &RepoConfig, metrics: &RepoMetrics) -> Self {
        let hooks = &config.hooks;
        let exec = |name, hook: &Option<ExecHook>| {
            let hook = hook.as_ref()?;
            let path = config.environment.path.clone().unwrap_or_default();
            let exec = Hook::Exec(Exec::new(name, hook, path));
            Some(Runner::start(name, exec, hook.backoff, metrics.clone()))
        };
        let webhook = hooks.webhook.as_ref().map(|hook| {
            let webhook = Hook::Webhook(Webhook::new(WEBHOOK, hook, config));
            Runner::start(WEBHOOK, webhook, hook.backoff, metrics.clone())
        });
        Self {
            pre_publish: exec(PRE_PUBLISH, &hooks.pre_publish),
            published: exec(EXEC, &hooks.exec).into_iter().chain(webhook).collect(),
        }
    }

    /// Notifies the hooks of a tree that is complete and not published yet.
    pub(crate) fn about_to_publish(&mut self, git: &Git, tree: &Tree, old: Option<&Tree>) {
        if let Some(runner) = &mut self.pre_publish {
            runner.send(Revision::of(git, tree, old));
        }
    }

    /// Notifies the hooks of a published tree. Call it after every pass: a pass that failed late
    /// may have published without notifying them. A hook that already ran for this tree does not
    /// run again.
    pub(crate) fn published(&mut self, git: &Git, tree: &Tree, old: Option<&Tree>) {
        for runner in &mut self.published {
            runner.send(Revision::of(git, tree, old));
        }
    }

    /// Waits for the first attempt of every hook that has a tree; returns whether all succeeded.
    pub(crate) async fn first_attempts(&mut self) -> bool {
        let mut are_well = true;
        for runner in self.pre_publish.iter_mut().chain(&mut self.published) {
            are_well &= runner.first_attempt().await;
        }
        are_well
    }
}
