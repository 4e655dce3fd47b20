//! Requests that wait for the backplane, and gaps that come from it.

use std::sync::Arc;

use fanfare_protocol::{ErrorCode, Filter, Frame, Gap, OnSlow, Position, Topic};

use super::{PollKey, SessionKey, Worker};
use crate::backplane::{Admitted, Held, Pass};
use crate::broker::{Answer, Broker, Door, Outcome};
use crate::clock::Now;
use crate::filters::Filters;
use crate::partition::Refusal;
use crate::session::{State, Subscription};
use crate::waiting::Ticket;

/// A request that waits, and whose it is.
pub(super) struct Awaiting {
    session: SessionKey,
    request: Request,
}

enum Request {
    Subscribe(Asked),
    History(AskedHistory),
    Stream(AskedStream),
    /// A replay is under way.
    Replay(Filter),
}

/// What a stream asks for.
pub(super) struct AskedStream {
    pub(super) filters: Filters,
    pub(super) after: Option<Position>,
    pub(super) last: usize,
    pub(super) on_slow: Option<OnSlow>,
}

/// What a `subscribe` asks for.
pub(super) struct Asked {
    pub(super) id: u64,
    pub(super) filter: Filter,
    pub(super) after: Option<Position>,
    pub(super) last: usize,
    pub(super) echo: bool,
    pub(super) on_slow: Option<OnSlow>,
}

/// What a `history` asks for.
pub(super) struct AskedHistory {
    pub(super) id: u64,
    pub(super) topic: Topic,
    pub(super) after: Option<fanfare_protocol::Cursor>,
    pub(super) limit: usize,
}

impl Worker {
    /// How a session's request enters the broker.
    pub(super) fn door(
        &self,
        now: Now,
        session: SessionKey,
        pass: Pass,
    ) -> Door<impl FnOnce() -> Admitted + use<>> {
        let (broker, worker) = (self.broker.clone(), self.index);
        Door { now, pass, completion: Some(move || admitted_of(broker, worker, session)) }
    }

    /// A subscription can't begin yet, or not at all.
    pub(super) fn subscribe_held(&mut self, key: SessionKey, asked: Asked, held: Held) {
        match held {
            Held::Refused(refusal) => self.refuse_request(key, asked.id, &refusal),
            Held::Waits(ticket) => {
                let Some(session) = self.sessions.get_mut(key) else { return };
                let state = State::Awaiting(ticket);
                let subscription = Subscription { state, echo: asked.echo, on_slow: asked.on_slow };
                session.subscriptions.insert(asked.filter.clone(), subscription);
                self.awaiting.insert(ticket, Awaiting { session: key, request: Request::Subscribe(asked) });
            }
        }
    }

    /// History can't be read yet, or not at all.
    pub(super) fn history_held(&mut self, key: SessionKey, asked: AskedHistory, held: Held) {
        let ticket = match held {
            Held::Refused(refusal) => return self.refuse_request(key, asked.id, &refusal),
            Held::Waits(ticket) => ticket,
        };
        let most = self.limits().session_waiting_reads;
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.waiting_reads as usize >= most {
            self.broker.cancel(ticket);
            let reason = format!(
                "{most} requests of this session wait for the backplane already, the limit \
                 (limits.session_waiting_reads)"
            );
            self.error(key, Some(asked.id), ErrorCode::Overloaded, reason);
            return;
        }
        session.waiting_reads += 1;
        self.awaiting.insert(ticket, Awaiting { session: key, request: Request::History(asked) });
    }

    /// A stream can't begin yet.
    pub(super) fn await_stream(&mut self, key: SessionKey, asked: AskedStream, ticket: Ticket) {
        self.awaiting.insert(ticket, Awaiting { session: key, request: Request::Stream(asked) });
    }

    /// A replay can't go on yet.
    pub(super) fn await_replay(&mut self, key: SessionKey, filter: Filter, ticket: Ticket) {
        self.awaiting.insert(ticket, Awaiting { session: key, request: Request::Replay(filter) });
    }

    /// What a request needs is there, or will not be.
    pub(super) fn admitted(&mut self, now: Now, ticket: Ticket, result: Result<Pass, Refusal>) {
        let Some(Awaiting { session: key, request }) = self.awaiting.remove(&ticket) else { return };
        let Some(session) = self.sessions.get_mut(key) else { return };
        match request {
            Request::Subscribe(asked) => {
                session.subscriptions.remove(&asked.filter);
                match result {
                    Ok(pass) => self.subscribe_with(pass, now, key, asked),
                    Err(refusal) => self.refuse_request(key, asked.id, &refusal),
                }
            }
            Request::Stream(asked) => {
                for filter in asked.filters.iter() {
                    session.subscriptions.remove(filter);
                }
                match result {
                    Ok(pass) => self.begin_stream(pass, now, key, asked),
                    Err(refusal) => self.end_stream(key, &refusal),
                }
                self.mark_dirty(key);
            }
            Request::Replay(filter) => self.replay_on(key, filter, result.ok()),
            Request::History(asked) => {
                session.waiting_reads -= 1;
                match result {
                    Ok(pass) => self.history_with(pass, now, key, asked),
                    Err(refusal) => self.refuse_request(key, asked.id, &refusal),
                }
            }
        }
    }

    /// A subscription that waits is ended by its client: its own request is answered first.
    pub(super) fn answer_awaiting(&mut self, key: SessionKey, ticket: Ticket) {
        let Some(Awaiting { request: Request::Subscribe(asked), .. }) = self.awaiting.get(&ticket) else {
            return;
        };
        let (id, reason) = (asked.id, format!("filter {:?} was unsubscribed before it began", asked.filter));
        self.error(key, Some(id), ErrorCode::NotSubscribed, reason);
    }

    /// The session's replay goes on once the worker has caught up.
    pub(super) fn hold_back(&mut self, key: SessionKey) {
        if !self.held_back.contains(&key) {
            self.held_back.push(key);
        }
    }

    /// Lets replays go on that waited for the worker to catch up.
    pub(super) fn release_held_back(&mut self) {
        if self.held_back.is_empty() || self.broker.is_behind(self.index) {
            return;
        }
        for key in std::mem::take(&mut self.held_back) {
            self.mark_dirty(key);
        }
    }

    /// Tells all live filters that a gap concerns.
    pub(super) fn deliver_gap(&mut self, gap: &Gap) {
        let (mut concerned, mut ready): (Vec<SessionKey>, Vec<PollKey>) = (Vec::new(), Vec::new());
        if let Some(topic) = &gap.topic {
            self.followers.visit_matching(topic.as_str(), &mut |followers| {
                concerned.extend_from_slice(&followers.sessions);
                ready.extend_from_slice(&followers.polls);
            });
            concerned.sort_unstable();
            concerned.dedup();
        } else {
            let is_live = |subscription: &Subscription| matches!(subscription.state, State::Live(_));
            for (key, session) in &mut self.sessions {
                // Another life may give the newest seq once more.
                session.newest = 0;
                if session.subscriptions.iter().any(|(_, subscription)| is_live(subscription)) {
                    concerned.push(key);
                }
            }
            ready.extend(self.polls.keys());
        }
        let told = Frame::Gap(gap.clone());
        for key in concerned {
            match gap.topic {
                Some(_) => self.stats.gaps.trimmed += 1,
                None => self.stats.gaps.cursor += 1,
            }
            self.reply(key, &told);
        }
        ready.into_iter().for_each(|key| self.poll_ready(key));
    }

    fn refuse_request(&mut self, key: SessionKey, id: u64, refusal: &Refusal) {
        let (code, retry_after_ms) = (refusal.code(), refusal.retry_after_ms());
        self.reply(key, &Frame::Error { id: Some(id), code, reason: refusal.to_string(), retry_after_ms });
    }
}

/// Tells a session that what it awaits is there, or will not be.
pub(super) fn admitted_of(broker: Arc<Broker>, worker: usize, session: SessionKey) -> Admitted {
    Box::new(move |ticket, result| {
        let outcome = Outcome::Admitted(result);
        broker.answer(worker, Answer { session, ticket, outcome });
    })
}
