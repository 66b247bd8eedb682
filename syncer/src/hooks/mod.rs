//! What is told of each new tree: two programs and an address.
//!
//! A hook is told of the newest tree at least once, and never twice in a row; what came between may
//! be left out. It is told again after each start of the process, since nobody knows whether it was
//! before. No hook holds up a publication or prevents one.

mod exec;
mod runner;
mod webhook;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::config::ExecHook;
use crate::config::RepoConfig;
use crate::git::Git;
use crate::git::Hash;
use crate::hooks::exec::Exec;
use crate::hooks::exec::ExecError;
use crate::hooks::runner::Runner;
use crate::hooks::webhook::Webhook;
use crate::hooks::webhook::WebhookError;
use crate::metrics::RepoMetrics;
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

/// What a hook is told.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Revision {
    commit: Hash,
    /// What was published before the first tree that the hook was told of.
    before: Option<Hash>,
    dir: PathBuf,
    /// What a program gets besides our own environment.
    environment: Vec<(OsString, OsString)>,
}

/// What a hook does; each time with the hash that it was last told, if it was.
enum Hook {
    Exec(Exec),
    Webhook(Webhook),
}

/// Why a hook failed.
#[derive(Debug, thiserror::Error)]
enum HookError {
    #[error(transparent)]
    Exec(#[from] ExecError),
    #[error(transparent)]
    Webhook(#[from] WebhookError),
}

impl Hook {
    async fn tell(&self, revision: &Revision, old: Option<&Hash>) -> Result<(), HookError> {
        match self {
            Self::Exec(exec) => exec.run(revision, old).await?,
            Self::Webhook(webhook) => webhook.call(&revision.commit, old).await?,
        }
        Ok(())
    }
}

impl Hooks {
    /// Makes the hooks ready; each waits in a task of its own. Only within the event loop.
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

    /// Tells of a tree that is whole and not published yet.
    pub(crate) fn about_to_publish(&mut self, git: &Git, tree: &Tree, old: Option<&Tree>) {
        if let Some(runner) = &mut self.pre_publish {
            runner.send(Revision::of(git, tree, old));
        }
    }

    /// Tells of a tree that is published; to be called after every pass, since one that failed late
    /// may have published and told nobody. Who knows it already hears nothing.
    pub(crate) fn published(&mut self, git: &Git, tree: &Tree, old: Option<&Tree>) {
        for runner in &mut self.published {
            runner.send(Revision::of(git, tree, old));
        }
    }

    /// Waits until every hook that was told of a tree has tried once; whether all have succeeded.
    pub(crate) async fn first_attempts(&mut self) -> bool {
        let mut are_well = true;
        for runner in self.pre_publish.iter_mut().chain(&mut self.published) {
            are_well &= runner.first_attempt().await;
        }
        are_well
    }
}

impl Revision {
    fn of(git: &Git, tree: &Tree, old: Option<&Tree>) -> Self {
        let before = old.map(|old| &old.commit);
        Self {
            commit: tree.commit.clone(),
            before: before.filter(|before| **before != tree.commit).cloned(),
            dir: tree.shown.clone(),
            environment: git.environment_of_hooks(),
        }
    }
}
