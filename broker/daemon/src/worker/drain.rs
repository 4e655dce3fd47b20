//! Sending all sessions of a worker away, in paced batches.

use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Local;
use super::sockets::CLOSE_MS;

/// The time between two batches.
const PACE: Duration = Duration::from_millis(100);
/// The least of a batch: few sessions need not wait for each other.
const BATCH_MIN: usize = 50;

impl Local {
    /// Sends the sessions away over `spread`, waits until they are gone, and tells.
    pub(super) async fn drain(self: Rc<Local>, spread: Duration, done: oneshot::Sender<()>) {
        self.worker.borrow_mut().end_polls();
        let open = self.worker.borrow().open_sessions();
        let batches = (spread.as_millis() / PACE.as_millis()).max(1) as usize;
        let reconnect_ms = self.node.settings.drain.reconnect_ms;
        let mut pace = tokio::time::interval(PACE);
        for batch in open.chunks(open.len().div_ceil(batches).max(BATCH_MIN)) {
            pace.tick().await;
            for key in batch {
                let after_ms = RandomState::new().hash_one(key) % (reconnect_ms + 1);
                self.worker.borrow_mut().send_away(*key, after_ms);
            }
            self.wake();
        }
        let until = Instant::now() + Duration::from_millis(CLOSE_MS) + PACE;
        while self.worker.borrow().sessions() > 0 {
            if tokio::time::timeout_at(until, self.closed.notified()).await.is_err() {
                break;
            }
        }
        // Who asked may be gone.
        _ = done.send(());
    }
}
