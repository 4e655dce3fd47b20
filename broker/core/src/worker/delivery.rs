//! Moving messages: from the inbox over the backlog to the outboxes, and the heartbeats among them.

use std::sync::Arc;

use fanfare_protocol::{CloseCode, Cursor, Filter, Frame, OkBody, Position};

use super::slow::make_room;
use super::{Backlog, Followers, Outcome, Pending, PollKey, SessionKey, Worker};
use crate::broker::Answer;
use crate::clock::Now;
use crate::edge::Edge;
use crate::entry::Entry;
use crate::session::{Joining, Session, State};
use crate::spare::shrink;

impl Worker {
    /// Moves what waits to the outboxes, as much as they may be given before they are written to, and ends a part of
    /// what ended sessions followed. To be called again and again between writes; false if nothing waited.
    pub fn deliver(&mut self, now: Now) -> bool {
        for Answer { session, ticket, outcome } in self.broker.take_answers(self.index) {
            match outcome {
                Outcome::Published(result) => self.publish_answered(now, session, ticket, result),
                Outcome::Admitted(result) => self.admitted(now, ticket, result),
            }
        }
        if self.backlog.is_empty() {
            self.broker.take(self.index, &mut Backlog(&mut self.backlog));
        }
        for numbered_us in self.dirty.turn() {
            self.stats.delivery.add(now.us.saturating_sub(numbered_us));
        }
        let waited = !self.backlog.is_empty() || !self.leaving.is_empty();
        let mut bytes = 0;
        while self.dirty.has_room(self.broker.limits())
            && let Some(pending) = self.backlog.pop_front()
        {
            match pending {
                Pending::Message(entry) => {
                    bytes += entry.cost();
                    self.dirty.count(entry.cost(), entry.numbered_us);
                    self.deliver_message(&entry);
                }
                Pending::Gap(gap) => {
                    bytes += gap.1;
                    self.deliver_gap(&gap.0);
                }
                Pending::Live { session, filter, top } => self.go_live(session, &filter, top),
                Pending::Goodbye { session, reconnect_after_ms } => {
                    let reason = "the broker restarts; come back and resume";
                    self.say_goodbye(session, CloseCode::Restart, reason, Some(reconnect_after_ms));
                }
                Pending::Heartbeat { sessions, top } => self.ping(&sessions, top),
            }
        }
        shrink(&mut self.backlog);
        if bytes > 0 {
            self.broker.release(self.index, bytes, now);
        }
        self.end_leaving();
        self.release_held_back();
        waited
    }

    /// The next session of this round that has something to be written or pulled; the caller writes until the socket
    /// takes no more. After the last, [`Worker::deliver`] begins the next round.
    pub fn next_dirty(&mut self) -> Option<SessionKey> {
        while let Some(key) = self.dirty.pop() {
            if let Some(session) = self.sessions.get_mut(key) {
                self.dirty.visit(session);
                return Some(key);
            }
        }
        None
    }

    /// True if somebody is to be written to, in this round or the next.
    pub fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// How many messages are in outboxes of sessions that may not have been written to since.
    pub fn unwritten(&self) -> usize {
        self.dirty.unwritten()
    }

    /// Notes that so many bytes of a session's outbox went out.
    pub fn written(&mut self, key: SessionKey, bytes: usize) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let messages = session.outbox.advance(bytes);
        let edge = session.outbox.edge();
        self.stats.count_written(edge, messages, bytes);
    }

    /// Does what is due: heartbeats, silent sessions, publishes that waited long enough.
    pub fn tick(&mut self, now: Now) {
        let heartbeat_ms = self.limits().heartbeat_ms;
        let mut due = Vec::new();
        while let Some((at, key)) = self.heartbeats.front().copied()
            && at <= now.ms()
        {
            self.heartbeats.pop_front();
            let Some(session) = self.sessions.get_mut(key) else { continue };
            session.outbox.shrink();
            self.heartbeats.push_back((now.ms() + heartbeat_ms, key));
            let speaks = matches!(session.outbox.edge(), Edge::WebSocket(_));
            if speaks && now.ms().saturating_sub(session.heard_ms) >= 2 * heartbeat_ms {
                let reason = format!("nothing was heard for {} ms, two heartbeats", 2 * heartbeat_ms);
                self.close_after(key, CloseCode::Unresponsive, &reason, Some(0));
            } else {
                due.push(key);
            }
        }
        if !due.is_empty() {
            let top = self.broker.top(self.index, &mut Backlog(&mut self.backlog));
            self.backlog.push_back(Pending::Heartbeat { sessions: due, top });
        }
        self.give_up(now);
    }

    /// When [`Worker::tick`] is next needed.
    pub fn next_timeout(&self) -> Option<u64> {
        let heartbeat = self.heartbeats.front().map(|(at, _)| *at);
        let giving_up = self.giving_up.front().map(|(at, ..)| *at);
        heartbeat.into_iter().chain(giving_up).min()
    }

    fn deliver_message(&mut self, entry: &Arc<Entry>) {
        let Worker { followers, sessions, dirty, broker, stats, .. } = self;
        let (limits, seq) = (broker.limits(), entry.seq());
        let (mut slow, mut ready): (Vec<SessionKey>, Vec<PollKey>) = (Vec::new(), Vec::new());
        followers.visit_matching(entry.message.topic.as_str(), &mut |followers: &Followers| {
            ready.extend_from_slice(&followers.polls);
            for key in &followers.sessions {
                let Some(session) = sessions.get_mut(*key) else { continue };
                if session.newest == seq || session.closing().is_some() || is_unwanted_echo(session, entry) {
                    continue;
                }
                let bytes = session.outbox.live_bytes(entry);
                if !make_room(session, entry, bytes, limits, stats) {
                    slow.push(*key);
                    continue;
                }
                session.newest = seq;
                session.outbox.push_live(entry.clone());
                dirty.add(*key, session, followers.sessions.len());
            }
        });
        for key in slow {
            self.close_slow(key);
        }
        for key in ready {
            self.poll_ready(key);
        }
    }

    /// The filter's place in the backlog is reached: all that was before it is delivered.
    pub(super) fn go_live(&mut self, key: SessionKey, filter: &Filter, top: Position) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(subscription) = session.subscriptions.get_mut(filter) else { return };
        let State::Joining(joining) = &subscription.state else { return };
        let Joining { id, top: joined } = **joining;
        if joined != top {
            return;
        }
        let followers = self.followers.entry(filter);
        subscription.state = State::Live(followers.sessions.len() as u32);
        session.deaf += u32::from(!subscription.echo);
        followers.sessions.push(key);
        let cursor = Cursor::from(top);
        let frame = match (session.outbox.edge(), id) {
            (Edge::Events, _) if !session.subscriptions.are_live() => return,
            (Edge::Events, _) => Frame::Live { filter: None, cursor },
            (Edge::WebSocket(_), Some(id)) => {
                Frame::Ok { id, body: OkBody { cursor: Some(cursor), ..OkBody::default() } }
            }
            (Edge::WebSocket(_), None) => Frame::Live { filter: Some(filter.clone()), cursor },
        };
        self.reply(key, &frame);
    }

    fn ping(&mut self, sessions: &[SessionKey], top: Position) {
        let ping = Frame::Ping { cursor: Cursor::from(top) };
        for key in sessions {
            // The cursor of a stream that still catches up stands below what it has not got yet.
            let is_behind = |session: &Session| {
                session.outbox.edge() == Edge::Events && !session.subscriptions.are_live()
            };
            if self.sessions.get(*key).is_some_and(is_behind) {
                continue;
            }
            self.reply(*key, &ping);
        }
    }
}

/// True if the session published the message itself and every filter of it that matches is deaf to that.
fn is_unwanted_echo(session: &Session, entry: &Entry) -> bool {
    if session.deaf == 0 || entry.origin != Some(session.id) {
        return false;
    }
    let topic = entry.message.topic.as_str();
    !session.subscriptions.iter().any(|(filter, subscription)| {
        subscription.echo && matches!(subscription.state, State::Live(_)) && filter.matches(topic)
    })
}
