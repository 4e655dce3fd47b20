//! What the broker remembers of one connected client.

use std::collections::VecDeque;

use fanfare_protocol::{CloseCode, Filter, OnSlow, Position, Publication, Topic};

use crate::edge::Edge;
use crate::entry::SessionId;
use crate::limits::Limits;
use crate::outbox::Outbox;
use crate::replay::Replay;
use crate::subscriptions::Subscriptions;
use crate::waiting::Ticket;

slotmap::new_key_type! {
    /// Finds a session in its worker; the key of an ended session is never given again.
    pub struct SessionKey;
}

/// One client's subscriptions, outbox and standing.
#[derive(Debug)]
pub struct Session {
    pub(crate) id: SessionId,
    pub(crate) outbox: Outbox,
    pub(crate) subscriptions: Subscriptions,
    /// Filters whose replay goes on, in turn.
    pub(crate) replaying: VecDeque<Filter>,
    /// Live subscriptions that do not want this session's own messages.
    pub(crate) deaf: u32,
    /// The newest live message that was queued here.
    pub(crate) newest: u64,
    /// When something was last received.
    pub(crate) heard_ms: u64,
    pub(crate) opened_ms: u64,
    /// Publishes that wait, the first for room, the others for the first.
    pub(crate) publishing: VecDeque<WaitingPublish>,
    pub(crate) standing: Standing,
    /// True while it stands in its worker's list of sessions to write to.
    pub(crate) dirty: bool,
    /// The round in which it was last written to.
    pub(crate) round: u32,
    pub(crate) bad_frames: u32,
    /// Requests for history that wait for the backplane.
    pub(crate) waiting_reads: u32,
    requests: Rate,
    control_frames: Rate,
}

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Open; `connect` may still come.
    Fresh,
    /// Open.
    Connected,
    /// Over: what waits is written, then the connection is closed.
    Closing(u16),
}

/// One filter of a session.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) state: State,
    pub(crate) echo: bool,
    /// In the place of its topics' rules.
    pub(crate) on_slow: Option<OnSlow>,
}

#[derive(Debug)]
pub(crate) enum State {
    /// Follows from a mark in the worker's backlog on, above `top`; there the request `id` is answered, or, after a
    /// replay, `live` is told.
    Joining(Box<Joining>),
    /// Waits for what it needs of the backplane.
    Awaiting(Ticket),
    /// Catches up from the log; without a replay of its own, by that of the session's first filter.
    Replaying(Option<Box<Replay>>),
    /// Gets what its worker gets; the index among the filter's followers there.
    Live(u32),
}

#[derive(Debug)]
pub(crate) struct Joining {
    pub(crate) id: Option<u64>,
    pub(crate) top: Position,
}

/// A publish of a session that can't be made yet.
#[derive(Debug)]
pub(crate) struct WaitingPublish {
    pub(crate) id: u64,
    pub(crate) until_ms: u64,
    pub(crate) work: Work,
}

#[derive(Debug)]
pub(crate) enum Work {
    /// Waits for its turn.
    Queued(Topic, Box<Publication>),
    /// Waits for room.
    Parked(Ticket),
}

/// A session as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its name.
    pub id: SessionId,
    /// Over what it is connected.
    pub edge: Edge,
    /// For how long it is open.
    pub open_ms: u64,
    /// What it follows.
    pub filters: Vec<Filter>,
    /// Bytes that wait for it.
    pub outbox_bytes: usize,
    /// Items that wait for it.
    pub outbox_items: usize,
}

impl Session {
    pub(crate) fn new(id: SessionId, edge: Edge, now_ms: u64) -> Session {
        Session {
            id,
            outbox: Outbox::new(edge),
            subscriptions: Subscriptions::default(),
            replaying: VecDeque::new(),
            deaf: 0,
            newest: 0,
            heard_ms: now_ms,
            opened_ms: now_ms,
            publishing: VecDeque::new(),
            standing: Standing::Fresh,
            dirty: false,
            round: 0,
            bad_frames: 0,
            waiting_reads: 0,
            requests: Rate::default(),
            control_frames: Rate::default(),
        }
    }

    /// What waits to be written.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The code with which the connection is to be closed once the outbox is written.
    pub fn closing(&self) -> Option<u16> {
        match self.standing {
            Standing::Closing(code) => Some(code),
            Standing::Fresh | Standing::Connected => None,
        }
    }

    /// Its name.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// True if so many publishes wait that no more is to be read from the client.
    pub fn is_paused(&self, limits: &Limits) -> bool {
        self.publishing.len() >= limits.session_waiting_publishes
    }

    /// True if `bytes` more in one more item fit.
    pub(crate) fn has_room(&self, bytes: usize, limits: &Limits) -> bool {
        self.outbox.bytes() + bytes <= limits.outbox_bytes && self.outbox.items() < limits.outbox_items
    }

    /// True if what waits is within the bounds.
    pub(crate) fn keeps_bounds(&self, limits: &Limits) -> bool {
        self.outbox.bytes() <= limits.outbox_bytes && self.outbox.items() <= limits.outbox_items
    }

    /// Counts a request; when to try again if it is one too many.
    pub(crate) fn admit_request(&mut self, now_ms: u64, limits: &Limits) -> Result<(), u64> {
        self.requests.admit(now_ms, limits.requests_per_s)
    }

    /// Counts a control frame; an error if it is one too many.
    pub(crate) fn admit_control(&mut self, now_ms: u64, limits: &Limits) -> Result<(), CloseCode> {
        self.control_frames.admit(now_ms, limits.control_frames_per_s).map_err(|_| CloseCode::PolicyViolation)
    }

    pub(crate) fn info(&self, now_ms: u64) -> SessionInfo {
        SessionInfo {
            id: self.id,
            edge: self.outbox.edge(),
            open_ms: now_ms.saturating_sub(self.opened_ms),
            filters: self.subscriptions.iter().map(|(filter, _)| filter.clone()).collect(),
            outbox_bytes: self.outbox.bytes(),
            outbox_items: self.outbox.items(),
        }
    }
}

/// A count in the current second.
#[derive(Debug, Default)]
struct Rate {
    second: u32,
    count: u32,
}

impl Rate {
    /// Counts one; the milliseconds until the next second if it is over the limit.
    fn admit(&mut self, now_ms: u64, per_s: u32) -> Result<(), u64> {
        let second = (now_ms / 1_000) as u32;
        if second != self.second {
            (self.second, self.count) = (second, 0);
        }
        self.count = self.count.saturating_add(1);
        if self.count > per_s { Err(1_000 - now_ms % 1_000) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_counts_anew_each_second() {
        let mut rate = Rate::default();
        assert_eq!(rate.admit(5_100, 2), Ok(()));
        assert_eq!(rate.admit(5_200, 2), Ok(()));
        assert_eq!(rate.admit(5_300, 2), Err(700));
        assert_eq!(rate.admit(6_000, 2), Ok(()));
    }
}
