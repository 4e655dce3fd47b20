//! Answers to what clients ask.

use fanfare_protocol::{
    CloseCode, Cursor, ErrorCode, Filter, Frame, OkBody, Request, RequestError, SubscribeOptions, Topic,
    encode_history_ok,
};

use super::awaiting::AskedHistory;
use super::{SessionKey, Worker};
use crate::backplane::Pass;
use crate::broker::HistoryHeld;
use crate::clock::Now;
use crate::replay::ReplayEvent;
use crate::session::{Standing, State};

impl Worker {
    /// Does what a frame of the client asks and answers it.
    pub fn handle(&mut self, now: Now, key: SessionKey, request: Request) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.closing().is_some() {
            return;
        }
        session.heard_ms = now.ms();
        if let Err(retry_after_ms) = session.admit_request(now.ms(), self.broker.limits()) {
            let limit = self.limits().requests_per_s;
            let reason = format!("more than {limit} requests in a second (limits.requests_per_s)");
            let (id, code) = (request.id(), ErrorCode::RateLimited);
            self.reply(key, &Frame::Error { id, code, reason, retry_after_ms: Some(retry_after_ms) });
            return;
        }
        let standing = std::mem::replace(&mut session.standing, Standing::Connected);
        match request {
            Request::Connect { id, token, .. } => self.connect(key, id, token.is_some(), standing),
            Request::Subscribe { id, filter, options } => self.subscribe(now, key, id, filter, options),
            Request::Unsubscribe { id, filter } => self.unsubscribe(key, id, &filter),
            Request::Publish { id, topic, publication } => self.publish(now, key, id, topic, publication),
            Request::History { id, topic, after, limit } => self.history(now, key, id, &topic, after, limit),
            Request::Presence { id, .. } => self.refuse_unserved(key, id, "presence"),
            Request::Token { id, .. } => self.refuse_unserved(key, id, "token"),
            Request::Pong => self.restore_standing(key, standing),
        }
    }

    /// Answers a frame that can't be read, or asks for what can't be asked; the tenth unreadable one closes.
    pub fn refuse(&mut self, now: Now, key: SessionKey, error: RequestError) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.closing().is_some() {
            return;
        }
        session.heard_ms = now.ms();
        let unreadable = error.code == ErrorCode::BadFrame;
        session.bad_frames += u32::from(unreadable);
        let bad_frames = session.bad_frames;
        self.error(key, error.id, error.code, error.reason);
        if unreadable && bad_frames >= self.limits().bad_frames {
            self.close(
                key,
                CloseCode::PolicyViolation,
                &format!("{bad_frames} unreadable frames (limits.bad_frames)"),
            );
        }
    }

    fn connect(&mut self, key: SessionKey, id: u64, has_token: bool, standing: Standing) {
        if standing != Standing::Fresh {
            let reason = "connect comes once, as the first request".to_owned();
            self.error(key, Some(id), ErrorCode::AlreadyConnected, reason);
        } else if has_token {
            self.refuse_unserved(key, id, "connect with a token");
        } else if let Some(session) = self.sessions.get(key) {
            let welcome = self.welcome(session.id);
            self.reply(key, &Frame::Welcome { id: Some(id), welcome });
        }
    }

    fn subscribe(&mut self, now: Now, key: SessionKey, id: u64, filter: Filter, options: SubscribeOptions) {
        let Some(session) = self.sessions.get(key) else { return };
        let (held, limit) = (session.subscriptions.len(), self.limits().subscriptions);
        let refusal = if options.presence {
            Some((ErrorCode::Unsupported, "presence is not served by this broker".to_owned()))
        } else if session.subscriptions.contains(&filter) {
            Some((
                ErrorCode::AlreadySubscribed,
                format!("filter {filter:?} is already followed by this session"),
            ))
        } else if held >= limit {
            let reason =
                format!("this session has {held} subscriptions, the limit is {limit} (limits.subscriptions)");
            Some((ErrorCode::Limit, reason))
        } else if !self.broker.has_room_for_filters(1) {
            let limit = self.limits().filters;
            let reason =
                format!("the broker has {limit} subscriptions, the limit of all sessions (limits.filters)");
            Some((ErrorCode::Limit, reason))
        } else {
            None
        };
        if let Some((code, reason)) = refusal {
            self.error(key, Some(id), code, reason);
        } else if let Err(error) = self.begin_subscription(now, key, id, filter, options) {
            self.error(key, Some(id), ErrorCode::BadCursor, error.to_string());
        }
    }

    fn unsubscribe(&mut self, key: SessionKey, id: u64, filter: &Filter) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(subscription) = session.subscriptions.remove(filter) else {
            let reason = format!("filter {filter:?} is not followed by this session");
            self.error(key, Some(id), ErrorCode::NotSubscribed, reason);
            return;
        };
        session.replaying.retain(|other| other != filter);
        if matches!(subscription.state, State::Live(_)) && !subscription.echo {
            session.deaf -= 1;
        }
        self.answer_joining(key, &subscription.state);
        self.end_subscription(filter, subscription);
        self.reply(key, &Frame::Ok { id, body: OkBody::default() });
    }

    fn history(
        &mut self,
        now: Now,
        key: SessionKey,
        id: u64,
        topic: &Topic,
        after: Option<Cursor>,
        limit: Option<u32>,
    ) {
        let most = self.limits().history_frames;
        let limit = limit.map_or(most, |limit| limit.min(most)) as usize;
        self.history_with(Pass::default(), now, key, AskedHistory { id, topic: topic.clone(), after, limit });
    }

    /// Answers with history, or waits for what that needs.
    pub(super) fn history_with(&mut self, pass: Pass, now: Now, key: SessionKey, asked: AskedHistory) {
        let door = self.door(now, key, pass);
        let AskedHistory { id, ref topic, ref after, limit } = asked;
        let history = match self.broker.history_through(door, topic, after.as_ref(), limit) {
            Ok(history) => history,
            Err(HistoryHeld::BadCursor(error)) => {
                return self.error(key, Some(id), ErrorCode::BadCursor, error.to_string());
            }
            Err(HistoryHeld::Held(held)) => return self.history_held(key, asked, held),
        };
        self.queue(key, |outbox| {
            let encoding = outbox.edge().encoding();
            let frames: Vec<Vec<u8>> = history.events.iter().map(|event| event.frame(encoding)).collect();
            let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            let cursor = Cursor::from(history.cursor);
            outbox.push_own(|out| encode_history_ok(encoding, id, &frames, &cursor, history.more, out));
        });
    }

    fn refuse_unserved(&mut self, key: SessionKey, id: u64, what: &str) {
        self.error(key, Some(id), ErrorCode::Unsupported, format!("{what} is not served by this broker"));
    }

    pub(super) fn error(&mut self, key: SessionKey, id: Option<u64>, code: ErrorCode, reason: String) {
        self.reply(key, &Frame::Error { id, code, reason, retry_after_ms: None });
    }

    fn restore_standing(&mut self, key: SessionKey, standing: Standing) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.standing = standing;
        }
    }
}

impl ReplayEvent {
    /// The `message` or `gap` frame.
    pub fn frame(&self, encoding: fanfare_protocol::Encoding) -> Vec<u8> {
        match self {
            ReplayEvent::Message(entry) => entry.frame(encoding).payload().to_vec(),
            ReplayEvent::Gap(gap) => {
                let mut out = Vec::new();
                gap.encode(encoding, &mut out);
                out
            }
        }
    }
}
