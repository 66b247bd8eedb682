//! Waits that end early on a signal or a changed Secret.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The interval at which a failing syncer checks for a changed Secret, with a few `stat` calls.
pub(crate) const SECRET_CHECK: Duration = Duration::from_secs(1);

/// Waits until the credentials have changed, at most for this time; returns whether they have.
pub(crate) async fn sleep_unless(is_mended: impl Fn() -> bool, wait: Duration) -> bool {
    let end = Instant::now() + wait;
    while Instant::now() < end {
        if is_mended() {
            return true;
        }
        tokio::time::sleep_until(end.min(Instant::now() + SECRET_CHECK)).await;
    }
    false
}

/// Waits for the signal that requests a pass.
pub(crate) async fn signalled(wake: &mut watch::Receiver<()>) {
    if wake.changed().await.is_err() {
        // The sender is gone, so no signal can arrive.
        std::future::pending::<()>().await;
    }
    tracing::info!(v = 1, "a signal requests a sync");
}
