//! Reading history: what is kept, with the gaps before it.

use std::sync::Arc;

use fanfare_protocol::{Cursor, Filter, Position, Topic};

use super::{Broker, Door};
use crate::backplane::{Admitted, Held, Need, Pass};
use crate::clock::Now;
use crate::entry::Entry;
use crate::filters::Filters;
use crate::partition::{Partition, Refusal};
use crate::replay::{Budget, ReplayEvent};

/// What history says: message and gap frames in order.
#[derive(Debug)]
pub struct History {
    /// The frames.
    pub events: Vec<ReplayEvent>,
    /// Where the next call goes on.
    pub cursor: Position,
    /// True if more is kept above.
    pub more: bool,
}

impl History {
    /// True if nothing was found and nothing is left to be looked at.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && !self.more
    }
}

/// A cursor that lacks the broker's partition or has one that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cursor {cursor:?} must have one position, in partition 0, the only one of this broker")]
pub struct BadCursor {
    cursor: String,
}

/// Why history can't be read now.
#[derive(Debug)]
pub(crate) enum HistoryHeld {
    BadCursor(BadCursor),
    Held(Held),
}

impl From<BadCursor> for HistoryHeld {
    fn from(error: BadCursor) -> HistoryHeld {
        HistoryHeld::BadCursor(error)
    }
}

impl From<Held> for HistoryHeld {
    fn from(held: Held) -> HistoryHeld {
        HistoryHeld::Held(held)
    }
}

impl From<HistoryHeld> for HistoryError {
    fn from(held: HistoryHeld) -> HistoryError {
        match held {
            HistoryHeld::BadCursor(error) => HistoryError::BadCursor(error),
            HistoryHeld::Held(Held::Refused(refusal)) => HistoryError::Refused(refusal),
            HistoryHeld::Held(Held::Waits(_)) => unreachable!("nobody waits at a closed door"),
        }
    }
}

/// Why history can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The cursor is none of this broker.
    #[error(transparent)]
    BadCursor(#[from] BadCursor),
    /// The backplane is away.
    #[error(transparent)]
    Refused(Refusal),
}

impl Broker {
    /// A topic's history above `after`, oldest first; without it the newest `limit`.
    pub fn history(
        &self,
        topic: &Topic,
        after: Option<&Cursor>,
        limit: usize,
        now: Now,
    ) -> Result<History, HistoryError> {
        let door = Door::closed(now, Pass::default());
        self.history_through(door, topic, after, limit).map_err(HistoryError::from)
    }

    /// As [`Broker::history`]; the door says who waits for what it needs.
    pub(crate) fn history_through(
        &self,
        door: Door<impl FnOnce() -> Admitted>,
        topic: &Topic,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<History, HistoryHeld> {
        let (now, filters) = (door.now, Filters::from(Filter::from(topic)));
        let cursor = after.map(|cursor| self.own_part(cursor)).transpose()?;
        let mut state =
            self.pass(|| Need { after: cursor, all: cursor.is_none(), ..Need::new(&filters) }, door)?;
        Ok(self.read_history(&mut state.partition, &filters, after, limit, now)?)
    }

    /// As [`Broker::history`], of all that `filters` match; if there is nothing, `worker` is sent what comes from now on, until `unfollow`.
    pub(crate) fn history_or_follow(
        &self,
        worker: usize,
        filters: &Filters,
        after: Option<&Cursor>,
        limit: usize,
        pass: Pass,
        now: Now,
    ) -> Result<History, HistoryError> {
        let cursor = after.map(|cursor| self.own_part(cursor)).transpose()?;
        let need =
            || Need { after: cursor, all: cursor.is_none(), worker: Some(worker), ..Need::new(filters) };
        let state = self.pass(need, Door::closed(now, pass));
        let mut state = state.map_err(|held| HistoryError::from(HistoryHeld::from(held)))?;
        let history = self.read_history(&mut state.partition, filters, after, limit, now)?;
        if history.is_empty() {
            state.hold(filters, now, &self.inboxes);
            filters.iter().for_each(|filter| state.partition.interest.add_live(filter, worker));
        }
        Ok(history)
    }

    /// The part of a cursor for the only partition.
    pub(crate) fn own_part(&self, cursor: &Cursor) -> Result<Position, BadCursor> {
        self.lock().partition.own_part(cursor).ok_or_else(|| BadCursor { cursor: cursor.to_string() })
    }

    fn read_history(
        &self,
        partition: &mut Partition,
        filters: &Filters,
        after: Option<&Cursor>,
        limit: usize,
        now: Now,
    ) -> Result<History, BadCursor> {
        let bytes_max = self.limits.outbox_bytes / 4;
        let Some(after) = after else {
            let newest = partition.newest(filters, limit, partition.seq, None, now);
            let newest = newest_within(newest, limit, bytes_max);
            let events = newest.into_iter().map(ReplayEvent::Message).collect();
            return Ok(History { events, cursor: partition.top(), more: false });
        };
        let bad = || BadCursor { cursor: after.to_string() };
        let after = partition.own_part(after).ok_or_else(bad)?;
        let (mut replay, _) = partition.begin_replay(filters, Some(after), 0, None, now);
        // A page must get on, and gaps move no cursor: they come with its first message, however many they are.
        let budget = Budget { messages: limit, events: usize::MAX, bytes: bytes_max };
        let pulled = partition.pull(&mut replay, budget, now);
        let more = !pulled.caught_up && partition.has_more(&replay, now);
        let cursor = if more { partition.position(replay.scanned()) } else { partition.top() };
        Ok(History { events: pulled.events, cursor, more })
    }
}

/// The newest `limit` of `entries`, as many as cost at most `bytes_max` together; one at least.
fn newest_within(mut entries: Vec<Arc<Entry>>, limit: usize, bytes_max: usize) -> Vec<Arc<Entry>> {
    let mut bytes = 0;
    let fitting = entries.iter().rev().take(limit).take_while(|entry| {
        bytes += entry.cost();
        bytes <= bytes_max
    });
    let fitting = fitting.count().max(1);
    entries.drain(..entries.len().saturating_sub(fitting));
    entries
}
