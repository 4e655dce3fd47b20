//! What a follower holds.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use fanfare_protocol::{Cursor, Filter};
use tokio::sync::mpsc;

use super::driver::Command;
use super::queue::{Item, Receiver};
use crate::event::Event;

/// One filter that a [`crate::Client`] follows. Dropped, it is unsubscribed.
#[derive(Debug)]
pub struct Subscription {
    filter: Filter,
    cursor: Option<Cursor>,
    receiver: Receiver,
    is_ended: bool,
    /// The connection stays as long as this.
    _client: mpsc::Sender<Command>,
}

impl Subscription {
    pub(super) fn new(
        filter: Filter,
        cursor: Option<Cursor>,
        receiver: Receiver,
        client: mpsc::Sender<Command>,
    ) -> Subscription {
        Subscription { filter, cursor, receiver, is_ended: false, _client: client }
    }

    /// The next event; `None` after the last, which is [`Event::Unsubscribed`] or [`Event::Closed`].
    ///
    /// It may be dropped before it is ready: nothing is lost.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The same for those who wait for several at once.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        while !self.is_ended {
            match ready!(self.receiver.poll(cx)) {
                Some(Item::Event(event)) => {
                    event.advance(&mut self.cursor);
                    return Poll::Ready(Some(event));
                }
                Some(Item::Moved(cursor)) => self.cursor = Some(cursor),
                None => {
                    self.is_ended = true;
                    let task_ended =
                        || Event::Closed { code: 1006, reason: "the client's task was ended".to_owned() };
                    return Poll::Ready(Some(self.receiver.last().cloned().unwrap_or_else(task_ended)));
                }
            }
        }
        Poll::Ready(None)
    }

    /// What is followed.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Where the events that were taken end: what to give as `after` to go on from here. `None` until the broker has
    /// answered and [`Subscription::next`] was asked since.
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }
}
