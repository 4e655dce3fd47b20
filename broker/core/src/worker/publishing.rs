//! Publishes of sessions, in their order, and those that must wait for room.

use fanfare_protocol::{ErrorCode, Frame, OkBody, Publication, Topic};

use super::{SessionKey, Worker};
use crate::broker::{Answer, Outcome, Publishing};
use crate::clock::Now;
use crate::partition::{Draft, Published, Refusal};
use crate::session::{Session, State, WaitingPublish, Work};
use crate::waiting::Ticket;

impl Worker {
    /// Publishes for a session, behind those of its publishes that wait.
    pub(super) fn publish(
        &mut self,
        now: Now,
        key: SessionKey,
        id: u64,
        topic: Topic,
        publication: Publication,
    ) {
        let until_ms = now.ms() + self.limits().publish_wait_ms;
        let Some(session) = self.sessions.get_mut(key) else { return };
        if !session.publishing.is_empty() {
            let work = Work::Queued(topic, Box::new(publication));
            session.publishing.push_back(WaitingPublish { id, until_ms, work });
            return;
        }
        if let Some(waiting) = self.try_publish(now, key, id, until_ms, topic, publication)
            && let Some(session) = self.sessions.get_mut(key)
        {
            session.publishing.push_front(waiting);
        }
    }

    /// A publish that waited is done.
    pub(super) fn publish_answered(
        &mut self,
        now: Now,
        key: SessionKey,
        ticket: Ticket,
        result: Result<Published, Refusal>,
    ) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let first = session.publishing.front();
        if !first.is_some_and(|first| matches!(first.work, Work::Parked(parked) if parked == ticket)) {
            return;
        }
        let Some(WaitingPublish { id, .. }) = session.publishing.pop_front() else { return };
        self.answer_publish(key, id, result);
        self.publish_next(now, key);
    }

    /// Ends the waits that took too long.
    pub(super) fn give_up(&mut self, now: Now) {
        while let Some((at, key, ticket)) = self.giving_up.front().copied()
            && at <= now.ms()
        {
            self.giving_up.pop_front();
            if self.sessions.contains_key(key) && self.broker.cancel(ticket) {
                let waited_ms = self.limits().publish_wait_ms;
                let refusal = self.broker.overdue(waited_ms);
                self.publish_answered(now, key, ticket, Err(refusal));
            }
        }
    }

    /// Forgets a publish whose session ended: if it was not made yet, it never is.
    pub(super) fn end_wait(&mut self, wait: WaitingPublish) {
        if let Work::Parked(ticket) = wait.work {
            self.broker.cancel(ticket);
        }
    }

    /// Makes the publishes that waited for another of their session, until one must wait for room.
    fn publish_next(&mut self, now: Now, key: SessionKey) {
        while let Some(session) = self.sessions.get_mut(key)
            && let Some(WaitingPublish { id, until_ms, work }) = session.publishing.pop_front()
        {
            let Work::Queued(topic, publication) = work else {
                unreachable!("only the first of a session's publishes waits for room")
            };
            if let Some(waiting) = self.try_publish(now, key, id, until_ms.max(now.ms()), topic, *publication)
            {
                if let Some(session) = self.sessions.get_mut(key) {
                    session.publishing.push_front(waiting);
                }
                return;
            }
        }
    }

    /// Publishes and answers; what must wait is returned.
    fn try_publish(
        &mut self,
        now: Now,
        key: SessionKey,
        id: u64,
        until_ms: u64,
        topic: Topic,
        publication: Publication,
    ) -> Option<WaitingPublish> {
        let session = self.sessions.get(key)?;
        let draft =
            Draft { deaf: deaf_subscriptions(session, &topic), topic, publication, origin: Some(session.id) };
        let (broker, worker) = (self.broker.clone(), self.index);
        let completion = || -> crate::waiting::Completion {
            let broker = broker.clone();
            Box::new(move |ticket, result| {
                let outcome = Outcome::Published(result);
                broker.answer(worker, Answer { session: key, ticket, outcome });
            })
        };
        match self.broker.publish(now, draft, completion) {
            Publishing::Done(result) => {
                self.answer_publish(key, id, result);
                None
            }
            Publishing::Waits(ticket) => {
                let at = self.giving_up.back().map_or(until_ms, |(last, ..)| until_ms.max(*last));
                self.giving_up.push_back((at, key, ticket));
                Some(WaitingPublish { id, until_ms, work: Work::Parked(ticket) })
            }
        }
    }

    fn answer_publish(&mut self, key: SessionKey, id: u64, result: Result<Published, Refusal>) {
        let frame = match result {
            Ok(published) => {
                self.stats.publishes += 1;
                Frame::Ok { id, body: published.into() }
            }
            Err(refusal) => {
                let code = refusal.code();
                let retry_after_ms = refusal.retry_after_ms();
                Frame::Error { id: Some(id), code, reason: refusal.to_string(), retry_after_ms }
            }
        };
        self.reply(key, &frame);
    }
}

impl From<Published> for OkBody {
    fn from(published: Published) -> OkBody {
        let Published { position, heard, receivers, repeated } = published;
        OkBody {
            position: Some(position),
            heard: Some(heard),
            receivers,
            repeated: repeated.then_some(true),
            ..OkBody::default()
        }
    }
}

impl Refusal {
    /// The stable word.
    pub fn code(&self) -> ErrorCode {
        match self {
            Refusal::Overloaded { .. } | Refusal::TooManyWaiting { .. } | Refusal::TooManyKeys { .. } => {
                ErrorCode::Overloaded
            }
            Refusal::BackplaneFull { .. } => ErrorCode::StorageFull,
            Refusal::Unavailable { .. } => ErrorCode::Unavailable,
            Refusal::TooManyTopics { .. } => ErrorCode::Limit,
            Refusal::IdempotencyMismatch => ErrorCode::IdempotencyMismatch,
        }
    }

    /// When to try again, if that helps.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Refusal::Overloaded { waited_ms } => Some((*waited_ms).max(1_000)),
            Refusal::TooManyWaiting { .. } => Some(1_000),
            Refusal::TooManyKeys { .. } | Refusal::BackplaneFull { .. } => Some(5_000),
            Refusal::Unavailable { retry_after_ms, .. } => Some(*retry_after_ms),
            Refusal::TooManyTopics { .. } | Refusal::IdempotencyMismatch => None,
        }
    }
}

/// How many of the session's live subscriptions match and do not want its own messages.
fn deaf_subscriptions(session: &Session, topic: &Topic) -> u32 {
    if session.deaf == 0 {
        return 0;
    }
    let deaf = session.subscriptions.iter().filter(|(filter, subscription)| {
        !subscription.echo && matches!(subscription.state, State::Live(_)) && filter.matches(topic.as_str())
    });
    deaf.count() as u32
}
