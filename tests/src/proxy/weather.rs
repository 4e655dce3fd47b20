//! What a test says of a proxy, for all its connections.

use std::net::SocketAddr;
use std::time::Duration;

/// What the proxy does to what passes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    /// Where new connections go.
    pub(super) to: SocketAddr,
    pub(super) is_over: bool,
    pub(super) refuses: bool,
    /// Raised by each cut: a connection ends when it is not what it was at its beginning.
    pub(super) cuts: u64,
    pub(super) is_held: [bool; 2],
    /// Raised by each `hold_subscriptions`: it meets connections that were there before.
    pub(super) deafenings: u64,
    pub(super) is_deaf: bool,
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
}

impl Weather {
    /// In which everything passes.
    pub(super) fn fair(to: SocketAddr) -> Weather {
        Weather {
            to,
            is_over: false,
            refuses: false,
            cuts: 0,
            is_held: [false; 2],
            deafenings: 0,
            is_deaf: false,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
        }
    }
}
