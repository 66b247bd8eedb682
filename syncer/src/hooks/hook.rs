//! One hook: a program or an address.

use crate::git::Hash;
use crate::hooks::exec::Exec;
use crate::hooks::exec::ExecError;
use crate::hooks::revision::Revision;
use crate::hooks::webhook::Webhook;
use crate::hooks::webhook::WebhookError;

/// A hook's action; each run gets the hash of the last successful run, if there was one.
pub(super) enum Hook {
    Exec(Exec),
    Webhook(Webhook),
}

/// Why a hook failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum HookError {
    #[error(transparent)]
    Exec(#[from] ExecError),
    #[error(transparent)]
    Webhook(#[from] WebhookError),
}

impl Hook {
    pub(crate) async fn tell(
        &self,
        revision: &Revision,
        old: Option<&Hash>,
    ) -> Result<(), HookError> {
        match self {
            Self::Exec(exec) => exec.run(revision, old).await?,
            Self::Webhook(webhook) => webhook.call(&revision.commit, old).await?,
        }
        Ok(())
    }
}
