//! How sessions end, and what they followed with them.

use fanfare_protocol::{CloseCode, Filter, Frame};

use super::{Backlog, Pending, SessionKey, Worker};
use crate::edge::Edge;
use crate::encoded::close_frame;
use crate::session::{Standing, State, Subscription};

/// A session that followed more does not have it ended all at once, since others would wait for that.
const ENDED_AT_ONCE: usize = 256;

impl Worker {
    /// Ends a session with a `goodbye` and a close frame. What waits is dropped: the client resumes where it stands.
    pub fn close(&mut self, key: SessionKey, code: CloseCode, reason: &str) {
        self.close_after(key, code, reason, None);
    }

    /// Sends a session away, behind all that was published before: it comes back after `reconnect_after_ms`.
    pub fn send_away(&mut self, key: SessionKey, reconnect_after_ms: u64) {
        self.broker.top(self.index, &mut Backlog(&mut self.backlog));
        self.backlog.push_back(Pending::Goodbye { session: key, reconnect_after_ms });
    }

    /// The sessions that are not closing yet.
    pub fn open_sessions(&self) -> Vec<SessionKey> {
        let open = self.sessions.iter().filter(|(_, session)| session.closing().is_none());
        open.map(|(key, _)| key).collect()
    }

    /// Answers the client's close frame, if the broker has sent none.
    pub fn close_received(&mut self, key: SessionKey, code: Option<u16>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.closing().is_some() {
            return;
        }
        let code = code.unwrap_or(CloseCode::Normal.as_u16());
        session.standing = Standing::Closing(code);
        session.outbox.cut();
        session.outbox.push_control(close_frame(code, ""));
        self.mark_dirty(key);
        self.end_subscriptions(key);
    }

    pub(super) fn close_after(
        &mut self,
        key: SessionKey,
        code: CloseCode,
        reason: &str,
        reconnect_after_ms: Option<u64>,
    ) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.closing().is_none() {
            session.outbox.cut();
            self.say_goodbye(key, code, reason, reconnect_after_ms);
        }
    }

    /// Appends `goodbye` and, on a WebSocket, the close frame; nothing is queued behind them.
    pub(super) fn say_goodbye(
        &mut self,
        key: SessionKey,
        code: CloseCode,
        reason: &str,
        reconnect_after_ms: Option<u64>,
    ) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.closing().is_some() {
            return;
        }
        let code = code.as_u16();
        session.standing = Standing::Closing(code);
        let goodbye = Frame::Goodbye { code, reason: reason.to_owned(), reconnect_after_ms };
        session.outbox.push_frame(&goodbye);
        if let Edge::WebSocket(_) = session.outbox.edge() {
            session.outbox.push_control(close_frame(code, reason));
        }
        self.stats.count_close(code);
        self.mark_dirty(key);
        self.end_subscriptions(key);
    }

    pub(super) fn close_slow(&mut self, key: SessionKey) {
        let limits = self.limits();
        let reason = format!(
            "too slow: more than {} bytes or {} items were waiting; come back and resume",
            limits.outbox_bytes, limits.outbox_items
        );
        self.close_after(key, CloseCode::Slow, &reason, Some(0));
    }

    pub(super) fn end_subscriptions(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let mut subscriptions = std::mem::take(&mut session.subscriptions);
        session.replaying.clear();
        let waits = std::mem::take(&mut session.publishing);
        if subscriptions.len() > ENDED_AT_ONCE {
            self.leaving.insert(key, subscriptions);
        } else {
            while let Some((filter, subscription)) = subscriptions.pop() {
                self.end_subscription(&filter, subscription);
            }
        }
        for wait in waits {
            self.end_wait(wait);
        }
    }

    /// Ends a part of what ended sessions followed.
    pub(super) fn end_leaving(&mut self) {
        for _ in 0..ENDED_AT_ONCE {
            let Some(mut leaving) = self.leaving.first_entry() else { return };
            let ended = leaving.get_mut().pop();
            if leaving.get().len() == 0 {
                leaving.remove();
            }
            if let Some((filter, subscription)) = ended {
                self.end_subscription(&filter, subscription);
            }
        }
    }

    /// Takes an ended subscription out of all that knows it, but its session.
    pub(super) fn end_subscription(&mut self, filter: &Filter, subscription: Subscription) {
        if let State::Awaiting(ticket) = subscription.state {
            self.awaiting.remove(&ticket);
            self.broker.cancel(ticket);
            return;
        }
        if let State::Replaying(Some(replay)) = &subscription.state
            && let Some(ticket) = replay.ticket()
        {
            self.awaiting.remove(&ticket);
            self.broker.cancel(ticket);
        }
        let live = !matches!(subscription.state, State::Replaying(_));
        if let State::Live(index) = subscription.state {
            self.remove_follower(filter, index as usize);
        }
        self.broker.unfollow(self.index, filter, live);
    }

    fn remove_follower(&mut self, filter: &Filter, index: usize) {
        let followers = self.followers.get_mut(filter).expect("a live filter has followers");
        followers.sessions.swap_remove(index);
        let moved = followers.sessions.get(index).copied();
        if followers.sessions.is_empty() && followers.polls.is_empty() {
            self.followers.remove(filter);
        }
        let Some(moved) = moved else { return };
        let subscriptions = match self.leaving.get_mut(&moved) {
            Some(leaving) => leaving,
            None => &mut self.sessions[moved].subscriptions,
        };
        let subscription = subscriptions.get_mut(filter).expect("a follower has the filter");
        subscription.state = State::Live(index as u32);
    }
}
