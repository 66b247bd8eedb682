//! Waits that end early on a request for a pass or a changed Secret.

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

/// Waits for a request for a pass, by a signal or a push.
pub(crate) async fn requested(wake: &mut watch::Receiver<()>) {
    if wake.changed().await.is_err() {
        // The senders are gone, so no request can arrive.
        std::future::pending::<()>().await;
    }
    tracing::info!(v = 1, "a sync is requested");
}
