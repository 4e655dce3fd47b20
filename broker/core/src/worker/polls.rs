//! Long polls: those who wait for a message without a session.

use fanfare_protocol::Cursor;

use super::{Poll, PollKey, Ready, Worker};
use crate::backplane::Pass;
use crate::broker::{History, HistoryError};
use crate::clock::Now;
use crate::filters::Filters;

impl Worker {
    /// Reads the history of what `filters` match; if there is nothing, `ready` is called when there may be, and the
    /// key ends the wait.
    pub fn poll(
        &mut self,
        now: Now,
        filters: &Filters,
        after: Option<&Cursor>,
        limit: usize,
        ready: Ready,
    ) -> Result<(History, Option<PollKey>), HistoryError> {
        self.poll_with(Pass::default(), now, filters, after, limit, ready)
    }

    /// As [`Worker::poll`], with the pass of [`Broker::prepare`](crate::Broker::prepare): where there is a backplane,
    /// that comes first.
    pub fn poll_with(
        &mut self,
        pass: Pass,
        now: Now,
        filters: &Filters,
        after: Option<&Cursor>,
        limit: usize,
        ready: Ready,
    ) -> Result<(History, Option<PollKey>), HistoryError> {
        let history = self.broker.history_or_follow(self.index, filters, after, limit, pass, now)?;
        if !history.is_empty() {
            return Ok((history, None));
        }
        let key = self.polls.insert(Poll { filters: filters.clone(), ready });
        for filter in filters.iter() {
            self.followers.entry(filter).polls.push(key);
        }
        Ok((history, Some(key)))
    }

    /// Ends the wait of a long poll, unless it was ready.
    pub fn end_poll(&mut self, key: PollKey) {
        let Some(poll) = self.polls.remove(key) else { return };
        for filter in poll.filters.iter() {
            if let Some(followers) = self.followers.get_mut(filter) {
                followers.polls.retain(|other| *other != key);
                if followers.sessions.is_empty() && followers.polls.is_empty() {
                    self.followers.remove(filter);
                }
            }
            self.broker.unfollow(self.index, filter, true);
        }
    }

    /// Wakes all long polls.
    pub fn end_polls(&mut self) {
        for key in self.polls.keys().collect::<Vec<_>>() {
            self.poll_ready(key);
        }
    }

    pub(super) fn poll_ready(&mut self, key: PollKey) {
        let Some(poll) = self.polls.get_mut(key) else { return };
        let ready = std::mem::replace(&mut poll.ready, Box::new(|| ()));
        self.end_poll(key);
        ready();
    }
}
