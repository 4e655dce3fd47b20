//! The clocks that the core is told.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use fanfare_core::Now;

/// A clock that counts from the broker's start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock that starts here.
    pub(crate) fn start() -> Clock {
        Clock { started: Instant::now() }
    }

    /// One reading of both clocks.
    pub(crate) fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { us: self.started.elapsed().as_micros() as u64, unix_ms: unix.as_millis() as u64 }
    }

    /// The moment that a core's time stands for.
    pub(crate) fn instant(&self, ms: u64) -> Instant {
        self.started + std::time::Duration::from_millis(ms)
    }
}
