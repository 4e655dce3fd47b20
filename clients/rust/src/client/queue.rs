//! The bounded queue between the driver and one subscription.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use fanfare_protocol::Cursor;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::event::Event;

/// How long the driver waits for room in all, from one time at which half of the queue is free to the next.
const STALL: Duration = Duration::from_millis(100);

/// What a subscription is told.
#[derive(Debug)]
pub(super) enum Item {
    Event(Event),
    Moved(Cursor),
}

/// The driver's end.
#[derive(Debug)]
pub(super) struct Sender {
    items: mpsc::Sender<Item>,
    shared: Arc<Shared>,
    /// What found no room; nothing follows it but the end.
    waiting: Option<Item>,
    /// What is left of [`STALL`].
    patience: Duration,
}

/// The subscription's end.
#[derive(Debug)]
pub(super) struct Receiver {
    items: mpsc::Receiver<Item>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The last event, which needs no room.
    last: OnceLock<Event>,
    /// The driver wants to know when there is room.
    is_held: AtomicBool,
    attention: Arc<Notify>,
}

/// How handing over an item went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handed {
    /// It is in the queue.
    Over,
    /// There was no room: it waits, and no other may come before [`Sender::has_drained`].
    Held,
    /// Nobody listens any more.
    Dropped,
}

/// A queue of at most `items_max`.
pub(super) fn new(items_max: usize, attention: Arc<Notify>) -> (Sender, Receiver) {
    let (sender, receiver) = mpsc::channel(items_max);
    let shared = Arc::new(Shared { last: OnceLock::new(), is_held: AtomicBool::new(false), attention });
    let sender = Sender { items: sender, shared: shared.clone(), waiting: None, patience: STALL };
    (sender, Receiver { items: receiver, shared })
}

impl Sender {
    /// Hands over an event, waiting a little if there is no room.
    pub(super) async fn hand(&mut self, event: Event) -> Handed {
        if event.is_last() {
            // Whoever comes second comes after the end.
            drop(self.shared.last.set(event));
            return Handed::Over;
        }
        assert!(self.waiting.is_none(), "a held filter has no events");
        let item = match self.items.try_send(Item::Event(event)) {
            Ok(()) => {
                if self.is_half_free() {
                    self.patience = STALL;
                }
                return Handed::Over;
            }
            Err(TrySendError::Closed(_)) => return Handed::Dropped,
            Err(TrySendError::Full(item)) => item,
        };
        let began = Instant::now();
        let room = tokio::time::timeout(self.patience, self.items.reserve()).await;
        match room {
            Ok(Ok(room)) => {
                room.send(item);
                self.patience = self.patience.saturating_sub(began.elapsed());
                Handed::Over
            }
            Ok(Err(_)) => Handed::Dropped,
            Err(_) => {
                self.waiting = Some(item);
                self.patience = STALL;
                self.shared.is_held.store(true, Ordering::SeqCst);
                Handed::Held
            }
        }
    }

    /// Tells where the filter stands, if there is room; an older cursor does as well.
    pub(super) fn tell(&self, cursor: Cursor) {
        drop(self.items.try_send(Item::Moved(cursor)));
    }

    /// True once what waited is in the queue and half of it is free.
    pub(super) fn has_drained(&mut self) -> bool {
        if self.waiting.is_none() || !self.is_half_free() {
            return false;
        }
        if let Some(item) = self.waiting.take() {
            // There is room, unless nobody listens any more.
            drop(self.items.try_send(item));
        }
        self.shared.is_held.store(false, Ordering::SeqCst);
        true
    }

    /// True if everything was handed over, the last event too.
    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_none() && self.shared.last.get().is_some()
    }

    fn is_half_free(&self) -> bool {
        self.items.capacity() >= self.items.max_capacity().div_ceil(2)
    }

    /// True if nobody listens any more.
    pub(super) fn is_dropped(&self) -> bool {
        self.items.is_closed()
    }
}

impl Receiver {
    /// The next item; `None` after the last event.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let item = std::task::ready!(self.items.poll_recv(cx));
        let is_half_free = self.items.len() <= self.items.max_capacity() / 2;
        if is_half_free && self.shared.is_held.load(Ordering::SeqCst) {
            self.shared.attention.notify_one();
        }
        Poll::Ready(item)
    }

    /// What the broker or the client ended it with.
    pub(super) fn last(&self) -> Option<&Event> {
        self.shared.last.get()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.items.close();
        self.shared.attention.notify_one();
    }
}
