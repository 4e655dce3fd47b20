//! The bound of every wait.

use std::time::Duration;

use tokio::time::timeout;

/// How long anything may take: far longer than it does, so that only what hangs meets it.
pub const WATCHDOG: Duration = Duration::from_secs(10);

/// The outcome of a wait; a panic that names `what` if the watchdog ends it.
pub async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match timeout(WATCHDOG, wait).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("{what}: nothing for {} s", WATCHDOG.as_secs()),
    }
}
