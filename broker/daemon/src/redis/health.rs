//! How the backplane is, for `/readyz` and `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::metrics::AtomicLatencies;

/// What the link says of itself.
pub(crate) struct Health {
    state: Mutex<State>,
    /// Told at each change.
    changed: Notify,
    pub(crate) figures: Figures,
}

/// What is counted.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) connects: AtomicU64,
    pub(crate) losses: AtomicU64,
    pub(crate) messages: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) unreadable: AtomicU64,
    pub(crate) reads: AtomicU64,
    pub(crate) probe: AtomicLatencies,
    pub(crate) publish: AtomicLatencies,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// It was never tried.
    Unknown,
    /// It can be used.
    Up,
    /// It can be used, but not be trusted.
    InDanger(String),
    /// It can't be used.
    Down(String),
    /// It can't be used by this version.
    Incompatible(String),
}

impl Default for Health {
    fn default() -> Health {
        Health { state: Mutex::new(State::Unknown), changed: Notify::new(), figures: Figures::default() }
    }
}

impl Health {
    /// Why the node is not ready; none if the backplane is as it should be.
    pub(crate) fn trouble(&self) -> Option<String> {
        match &*self.lock() {
            State::Up => None,
            State::Unknown => Some("Redis was not reached yet".to_owned()),
            State::InDanger(reason) | State::Down(reason) | State::Incompatible(reason) => {
                Some(reason.clone())
            }
        }
    }

    /// The same, for who was turned away a moment ago.
    pub(crate) fn reason(&self) -> String {
        self.trouble().unwrap_or_else(|| "the connection to Redis was lost".to_owned())
    }

    /// True if there is a connection.
    pub(crate) fn is_up(&self) -> bool {
        matches!(*self.lock(), State::Up | State::InDanger(_))
    }

    /// Waits until the first attempt to connect has ended, at most for `patience`; an error says why this broker can't
    /// work with what is there.
    pub(crate) async fn first(&self, patience: Duration) -> Result<(), String> {
        let known = async {
            loop {
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                match &*self.lock() {
                    State::Unknown => {}
                    State::Incompatible(reason) => break Err(reason.clone()),
                    State::Up | State::InDanger(_) | State::Down(_) => break Ok(()),
                }
                changed.await;
            }
        };
        tokio::time::timeout(patience, known).await.unwrap_or(Ok(()))
    }

    /// A connection stands; `danger` says why it can't be trusted.
    pub(super) fn up(&self, danger: Option<String>) {
        let state = danger.map_or(State::Up, State::InDanger);
        let was = std::mem::replace(&mut *self.lock(), state.clone());
        self.changed.notify_waiters();
        match (&state, was == state) {
            (State::InDanger(reason), false) => tracing::error!(reason, "not ready"),
            (_, false) => tracing::info!("the backplane is up"),
            (_, true) => {}
        }
    }

    /// There is no connection.
    pub(super) fn down(&self, reason: &str, is_incompatible: bool) {
        let state = if is_incompatible {
            State::Incompatible(reason.to_owned())
        } else {
            State::Down(reason.to_owned())
        };
        let was = std::mem::replace(&mut *self.lock(), state.clone());
        self.changed.notify_waiters();
        if matches!(was, State::Up | State::InDanger(_)) {
            self.figures.losses.fetch_add(1, Ordering::Relaxed);
        }
        if was != state {
            tracing::warn!(reason, "the backplane is away; sessions stay, and publishes are refused");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
