//! Subscriptions that begin, by a replay or at once, and replays that go on as their outbox drains.

use fanfare_protocol::{Cursor, Filter, Frame, OkBody, Position, SubscribeOptions};

use super::awaiting::{Asked, admitted_of};
use super::{Backlog, Pending, SessionKey, Worker};
use crate::backplane::Pass;
use crate::broker::BadCursor;
use crate::clock::Now;
use crate::edge::Edge;
use crate::filters::Filters;
use crate::replay::{Budget, Pulled, ReplayEvent};
use crate::session::{Joining, State, Subscription};

/// The most messages pulled under one hold of the partition's lock.
const PULL_MESSAGES: usize = 256;

impl Worker {
    /// Follows a filter that was checked and is new to the session.
    pub(super) fn begin_subscription(
        &mut self,
        now: Now,
        key: SessionKey,
        id: u64,
        filter: Filter,
        options: SubscribeOptions,
    ) -> Result<(), BadCursor> {
        let after = options.after.as_ref().map(|cursor| self.broker.own_part(cursor)).transpose()?;
        let last = options.last.unwrap_or(0) as usize;
        let SubscribeOptions { echo, on_slow, .. } = options;
        self.subscribe_with(Pass::default(), now, key, Asked { id, filter, after, last, echo, on_slow });
        Ok(())
    }

    /// Follows a filter, or waits for what that needs.
    pub(super) fn subscribe_with(&mut self, pass: Pass, now: Now, key: SessionKey, asked: Asked) {
        let door = self.door(now, key, pass);
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Asked { id, ref filter, after, last, echo, on_slow } = asked;
        if after.is_none() && last == 0 {
            let filters = std::slice::from_ref(filter);
            match self.broker.follow(self.index, filters, door, &mut Backlog(&mut self.backlog)) {
                Ok(top) => {
                    let state = State::Joining(Box::new(Joining { id: Some(id), top }));
                    session.subscriptions.insert(filter.clone(), Subscription { state, echo, on_slow });
                    self.mark_live(key, asked.filter, top);
                }
                Err(held) => self.subscribe_held(key, asked, held),
            }
            return;
        }
        let deaf_to = (!echo).then_some(session.id);
        match self.broker.begin_replay(&Filters::from(filter.clone()), after, last, deaf_to, door) {
            Ok((replay, whole, start)) => {
                let state = State::Replaying(Some(Box::new(replay)));
                session.subscriptions.insert(filter.clone(), Subscription { state, echo, on_slow });
                session.replaying.push_back(asked.filter);
                let resumed = after.map(|_| whole);
                let body = OkBody { cursor: Some(Cursor::from(start)), resumed, ..OkBody::default() };
                self.reply(key, &Frame::Ok { id, body });
            }
            Err(held) => self.subscribe_held(key, asked, held),
        }
    }

    /// Pulls from the session's next replay if its outbox is at most half full; true if there may be more to pull.
    pub fn pull(&mut self, now: Now, key: SessionKey) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let limits = self.broker.limits();
        let bytes = (limits.outbox_bytes / 2).saturating_sub(session.outbox.bytes());
        let messages = (limits.outbox_items / 2).saturating_sub(session.outbox.items()).min(PULL_MESSAGES);
        if bytes == 0 || messages == 0 {
            return false;
        }
        let Some(filter) = session.replaying.pop_front() else { return false };
        let subscription = session.subscriptions.get_mut(&filter).expect("a replaying filter is subscribed");
        let State::Replaying(Some(replay)) = &mut subscription.state else { return true };
        let backlog = &mut Backlog(&mut self.backlog);
        let budget = Budget { messages, events: messages, bytes };
        let broker = &self.broker;
        let completion = || admitted_of(broker.clone(), self.index, key);
        let (pulled, top) = broker.pull(self.index, replay, budget, now, completion, backlog);
        if let Some(ticket) = pulled.waits {
            replay.wait(ticket);
            let has_others = !session.replaying.is_empty();
            self.await_replay(key, filter, ticket);
            if has_others {
                self.mark_dirty(key);
            }
            return has_others;
        }
        let caught_up = pulled.caught_up.then(|| replay.filters().clone());
        if caught_up.is_none() {
            session.replaying.push_back(filter.clone());
        }
        let is_held_back = pulled.is_held_back;
        let is_idle = is_held_back && pulled.events.is_empty();
        self.push_pulled(key, &filter, pulled);
        if let Some(filters) = caught_up {
            self.join(key, &filters, top);
        }
        if is_held_back {
            self.hold_back(key);
        }
        if !is_idle {
            self.mark_dirty(key);
        }
        !is_idle
    }

    /// A replay that waited is pulled again.
    pub(super) fn replay_on(&mut self, key: SessionKey, filter: Filter, pass: Option<Pass>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(subscription) = session.subscriptions.get_mut(&filter) else { return };
        let State::Replaying(Some(replay)) = &mut subscription.state else { return };
        replay.go_on(pass);
        session.replaying.push_back(filter);
        self.mark_dirty(key);
    }

    /// True if the session has a replay that goes on once its outbox has drained.
    pub fn is_replaying(&self, key: SessionKey) -> bool {
        self.sessions.get(key).is_some_and(|session| !session.replaying.is_empty())
    }

    /// Lets filters that caught up together be live from here on.
    pub(super) fn join(&mut self, key: SessionKey, filters: &Filters, top: Position) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        for filter in filters.iter() {
            let subscription =
                session.subscriptions.get_mut(filter).expect("a replaying filter is subscribed");
            subscription.state = State::Joining(Box::new(Joining { id: None, top }));
        }
        for filter in filters.iter() {
            self.mark_live(key, filter.clone(), top);
        }
    }

    /// Puts the mark at which the filter is live behind all that is not its.
    fn mark_live(&mut self, session: SessionKey, filter: Filter, top: Position) {
        self.backlog.push_back(Pending::Live { session, filter: filter.clone(), top });
        if self.backlog.len() == 1 {
            self.backlog.pop_front();
            self.go_live(session, &filter, top);
        }
    }

    fn push_pulled(&mut self, key: SessionKey, filter: &Filter, pulled: Pulled) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        for event in pulled.events {
            match event {
                ReplayEvent::Message(entry) => session.outbox.push_replayed(filter, entry),
                ReplayEvent::Gap(gap) => {
                    match gap.topic {
                        Some(_) => self.stats.gaps.trimmed += 1,
                        None => self.stats.gaps.cursor += 1,
                    }
                    let gap = Frame::Gap(gap);
                    session.outbox.push_frame(&match session.outbox.edge() {
                        Edge::WebSocket(_) => Frame::Replay { filter: filter.clone(), frame: Box::new(gap) },
                        Edge::Events => gap,
                    });
                }
            }
        }
    }

    /// A subscription that is not live yet is answered before it ends.
    pub(super) fn answer_joining(&mut self, key: SessionKey, state: &State) {
        if let State::Awaiting(ticket) = state {
            return self.answer_awaiting(key, *ticket);
        }
        let State::Joining(joining) = state else { return };
        let Joining { id: Some(id), top } = **joining else { return };
        let body = OkBody { cursor: Some(Cursor::from(top)), ..OkBody::default() };
        self.reply(key, &Frame::Ok { id, body });
    }
}
