//! Whom to write to next, and how much may be moved meanwhile.
//!
//! In a round each session that shares its messages with many is written to once. Those that share theirs with few are
//! written to in between, every other time: so a quiet topic does not wait for a busy one's subscribers, nor these for
//! many quiet ones.

use std::collections::VecDeque;

use super::SessionKey;
use crate::limits::Limits;
use crate::session::Session;

/// How much is moved to outboxes at most before all of them are written to: less where an outbox's bound is low, so
/// that a client that reads is not cut off by a burst.
const CHUNK_BYTES: usize = 512 * 1024;
/// A message for so many sessions is one for few.
const FEW: usize = 16;

/// The sessions that have something to be written, each once.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    few: VecDeque<SessionKey>,
    many: VecDeque<SessionKey>,
    /// Of the many those that were written to in this round already.
    next: VecDeque<SessionKey>,
    /// True if it is the turn of the many.
    favours_many: bool,
    number: u32,
    /// What was moved in this round.
    moved: Moved,
    /// What was moved in the round before: it may wait still where this round has not come to.
    before: Moved,
}

/// What was moved to outboxes and may not be written yet.
#[derive(Debug, Default)]
struct Moved {
    bytes: usize,
    /// When each message was numbered, in microseconds.
    numbered_us: Vec<u64>,
}

impl Rounds {
    /// Adds a session unless it is there; `sharing` is with how many it has its message in common.
    pub(super) fn add(&mut self, key: SessionKey, session: &mut Session, sharing: usize) {
        if std::mem::replace(&mut session.dirty, true) {
            return;
        }
        if sharing <= FEW {
            self.few.push_back(key);
        } else if session.round == self.number {
            self.next.push_back(key);
        } else {
            self.many.push_back(key);
        }
    }

    /// The next to write to in this round.
    pub(super) fn pop(&mut self) -> Option<SessionKey> {
        self.favours_many = !self.favours_many;
        let (first, second) = match self.favours_many {
            true => (&mut self.many, &mut self.few),
            false => (&mut self.few, &mut self.many),
        };
        first.pop_front().or_else(|| second.pop_front())
    }

    /// Notes that the session that was popped is written to.
    pub(super) fn visit(&self, session: &mut Session) {
        session.dirty = false;
        session.round = self.number;
    }

    /// Begins the next round if this one is over; of which messages it is sure now that they were written, but for what
    /// sockets did not take, told by when they were numbered.
    pub(super) fn turn(&mut self) -> Vec<u64> {
        if !self.few.is_empty() || !self.many.is_empty() {
            return Vec::new();
        }
        std::mem::swap(&mut self.many, &mut self.next);
        self.number = self.number.wrapping_add(1);
        let moved = std::mem::take(&mut self.moved);
        let mut written = std::mem::replace(&mut self.before, moved).numbered_us;
        if self.many.is_empty() {
            written.append(&mut std::mem::take(&mut self.before).numbered_us);
        }
        written
    }

    /// True if more may be moved: no outbox has more than about half its bound of what it was not yet offered to write.
    pub(super) fn has_room(&self, limits: &Limits) -> bool {
        self.moved.bytes + self.before.bytes <= CHUNK_BYTES.min(limits.outbox_bytes / 2)
            && self.unwritten() <= limits.outbox_items / 2
    }

    /// Counts a message that is moved.
    pub(super) fn count(&mut self, bytes: usize, numbered_us: u64) {
        self.moved.bytes += bytes;
        self.moved.numbered_us.push(numbered_us);
    }

    /// How many messages were moved that are perhaps not offered yet to all who follow them.
    pub(super) fn unwritten(&self) -> usize {
        self.moved.numbered_us.len() + self.before.numbered_us.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.few.is_empty() && self.many.is_empty() && self.next.is_empty()
    }
}
