//! One partition: the order of its messages, and everything that must happen in that order.
//!
//! The daemon keeps it behind one short lock. Under it a publish is numbered, appended and pushed to the inboxes of
//! the workers that want it, and filters begin and end; nothing else happens there.

use std::sync::Arc;

use fanfare_protocol::{Cursor, Epoch, Filter, Message, OnSlow, Position, Publication, SEQ_MAX, Topic};

use crate::clock::Now;
use crate::entry::{Entry, SessionId, cost};
use crate::idempotency::{IdempotencyWindow, Lookup};
use crate::inbox::Inbox;
use crate::interest::{Interest, Reach, WorkerSet};
use crate::limits::{HistoryRule, Limits, TopicRules};
use crate::lives::Lives;
use crate::log::{Log, TopicId};

/// What is to be published, checked, with what is known of its topic and publisher.
#[derive(Debug)]
pub struct Draft {
    /// Where to.
    pub topic: Topic,
    /// What.
    pub publication: Publication,
    /// The session that publishes; none: by HTTP.
    pub origin: Option<SessionId>,
    /// How many live subscriptions of that session match and do not want its own messages back.
    pub deaf: u32,
}

/// What a publisher is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The message's place.
    pub position: Position,
    /// True if some session gets it.
    pub heard: bool,
    /// How many sessions get it; there if one filter at most matches, so that none is counted twice.
    pub receivers: Option<u64>,
    /// True if an earlier publish with the same idempotency key made the message.
    pub repeated: bool,
}

/// Why a publish is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No room came free in the inboxes in time, or too many wait for it.
    #[error("subscribers are behind: no room came free within {waited_ms} ms (limits.publish_wait)")]
    Overloaded {
        /// How long it waited.
        waited_ms: u64,
    },
    /// So many publishes wait for room already that another may not.
    #[error(
        "subscribers are behind: {waiting_max} publishes wait for room already, the limit (limits.waiting_publishes)"
    )]
    TooManyWaiting {
        /// The limit.
        waiting_max: usize,
    },
    /// Another topic would be one too many, and none is idle and empty.
    #[error("there are {topics_max} topics already, the limit (limits.topics), and all keep messages")]
    TooManyTopics {
        /// The limit.
        topics_max: usize,
    },
    /// The idempotency key was used for another message.
    #[error("this idempotency key was used for a different message to this topic within its window")]
    IdempotencyMismatch,
    /// No further idempotency key can be remembered.
    #[error(
        "{keys_max} idempotency keys are remembered already, the limit (limits.idempotency_keys); \
         send without a key or try later"
    )]
    TooManyKeys {
        /// The limit.
        keys_max: usize,
    },
    /// The backplane is away, or has not answered: whether it was done is not known.
    #[error("{reason}")]
    Unavailable {
        /// Why.
        reason: Box<str>,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The backplane has no memory left; nothing was published.
    #[error("the backplane takes no writes: {reason}")]
    BackplaneFull {
        /// Why.
        reason: Box<str>,
    },
}

/// A topic's place in the broker, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: Topic,
    /// The position of its newest message.
    pub position: Position,
    /// Messages published since it was first seen.
    pub published: u64,
    /// Messages kept.
    pub kept: usize,
    /// When the newest was numbered, in milliseconds since 1970.
    pub time: Option<u64>,
    /// Subscriptions whose filter matches.
    pub followers: u32,
}

/// What became of an attempt to publish.
pub(crate) enum Attempt {
    Done(Published, Option<TopicId>, WorkerSet),
    Refused(Refusal),
    /// These workers have no room; nothing is held.
    Full(Draft, WorkerSet),
}

/// One partition's numbering, log, interest and idempotency keys.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) epoch: Epoch,
    pub(crate) seq: u64,
    pub(crate) lives: Lives,
    pub(crate) log: Log,
    pub(crate) interest: Interest,
    idempotency: IdempotencyWindow,
    rules: TopicRules,
    pub(crate) limits: Arc<Limits>,
    forgotten: Vec<Topic>,
}

impl Partition {
    pub(crate) fn new(epoch: Epoch, rules: TopicRules, limits: Arc<Limits>) -> Partition {
        Partition {
            epoch,
            seq: 0,
            lives: Lives::default(),
            log: Log::new(limits.numbering_ttl_ms),
            interest: Interest::default(),
            idempotency: IdempotencyWindow::new(limits.idempotency_ms, limits.idempotency_keys),
            rules,
            limits,
            forgotten: Vec::new(),
        }
    }

    /// Publishes unless an inbox is full or belongs to `blocked`, for whose room others wait already.
    pub(crate) fn publish(
        &mut self,
        now: Now,
        draft: Draft,
        known: Option<TopicId>,
        inboxes: &[Inbox],
        blocked: WorkerSet,
    ) -> Attempt {
        if let Some(answer) = self.known_publish(&draft, now) {
            return answer;
        }
        let name = draft.topic.as_str();
        let id = known.filter(|id| self.log.topic(*id).is_some()).or_else(|| self.log.find(name));
        let reach = self.reach(name, id);
        let message = self.next_message(&draft, now);
        let cost = cost(&message);
        let full = reach.workers.iter().any(|worker| !inboxes[worker].has_room(cost));
        if full || reach.workers.meets(blocked) {
            return Attempt::Full(draft, reach.workers);
        }
        let Some(id) = id.or_else(|| self.create(&draft.topic)) else {
            return Attempt::Refused(Refusal::TooManyTopics { topics_max: self.limits.topics });
        };
        let position = message.position;
        let entry = self.number(id, message, &draft, now);
        let mut wake = WorkerSet::default();
        for worker in reach.workers.iter() {
            if inboxes[worker].push(entry.clone(), cost) {
                wake.insert(worker);
            }
        }
        let followers = reach.followers.saturating_sub(draft.deaf);
        let receivers = (reach.filters <= 1).then_some(u64::from(followers));
        let published = Published { position, heard: followers > 0, receivers, repeated: false };
        Attempt::Done(published, Some(id), wake)
    }

    /// Trims and forgets what is due, at most `most` topics and as many idempotency keys; the names of the topics
    /// forgotten, and whether nothing more is due.
    pub(crate) fn sweep(&mut self, now: Now, most: usize) -> (Vec<Topic>, bool) {
        let done = self.log.expire(now.ms(), most, &mut self.forgotten);
        let done = self.idempotency.forget_old(now.ms(), most) && done;
        (std::mem::take(&mut self.forgotten), done)
    }

    /// Trims all of a topic; how many messages went.
    pub(crate) fn clear(&mut self, topic: &str) -> usize {
        self.log.find(topic).map_or(0, |id| self.log.clear(id))
    }

    /// At most `limit` topics after the name `after`, by name.
    pub(crate) fn list(&mut self, filter: &Filter, after: Option<&str>, limit: usize) -> Vec<TopicInfo> {
        let (epoch, interest) = (self.epoch, &self.interest);
        let info = |topic: &crate::log::TopicLog| {
            let mut reach = Reach::default();
            interest.refresh(topic.name.as_str(), &mut reach);
            TopicInfo {
                name: topic.name.clone(),
                position: Position { epoch, seq: topic.last },
                published: topic.published,
                kept: topic.entries.len(),
                time: topic.entries.back().and_then(|entry| entry.message.time),
                followers: reach.followers,
            }
        };
        self.log.list(filter, after).take(limit).map(info).collect()
    }

    /// The position of the newest message.
    pub(crate) fn top(&self) -> Position {
        Position { epoch: self.epoch, seq: self.seq }
    }

    /// A seq as a position of the current epoch.
    pub(crate) fn position(&self, seq: u64) -> Position {
        Position { epoch: self.epoch, seq }
    }

    /// The cursor's part for this partition; `None` if it has none, or parts of partitions that do not exist.
    pub(crate) fn own_part(&self, cursor: &Cursor) -> Option<Position> {
        let own = cursor.in_partition(self.epoch.partition)?;
        (cursor.positions().len() == 1).then_some(own)
    }

    fn known_publish(&mut self, draft: &Draft, now: Now) -> Option<Attempt> {
        let key = draft.publication.idempotency_key.as_deref()?;
        match self.idempotency.look_up(&draft.topic, key, &draft.publication, now.ms()) {
            Lookup::New => None,
            Lookup::Repeated(position) => {
                let mut reach = Reach::default();
                self.interest.refresh(draft.topic.as_str(), &mut reach);
                let heard = reach.followers > 0;
                let published = Published { position, heard, receivers: None, repeated: true };
                Some(Attempt::Done(published, None, WorkerSet::default()))
            }
            Lookup::Mismatch => Some(Attempt::Refused(Refusal::IdempotencyMismatch)),
            Lookup::Full => {
                Some(Attempt::Refused(Refusal::TooManyKeys { keys_max: self.limits.idempotency_keys }))
            }
        }
    }

    /// What holds for a topic.
    pub(crate) fn rule_for(&self, name: &str) -> (HistoryRule, OnSlow) {
        self.rules.rule_for(name)
    }

    /// Who gets a topic's messages.
    pub(crate) fn reach(&mut self, name: &str, id: Option<TopicId>) -> Reach {
        let mut unknown = Reach::default();
        let reach = match id.and_then(|id| self.log.topic_mut(id)) {
            Some(topic) => &mut topic.reach,
            None => &mut unknown,
        };
        self.interest.refresh(name, reach);
        *reach
    }

    fn next_message(&self, draft: &Draft, now: Now) -> Message {
        let Publication { payload, media_type, headers, .. } = &draft.publication;
        assert!(self.seq < SEQ_MAX, "a life ends before its numbers do");
        Message {
            topic: draft.topic.clone(),
            position: self.position(self.seq + 1),
            payload: payload.clone(),
            media_type: media_type.clone(),
            time: Some(now.unix_ms),
            user: None,
            headers: headers.clone(),
        }
    }

    /// Gives the message its number, remembers it and appends it.
    fn number(&mut self, id: TopicId, message: Message, draft: &Draft, now: Now) -> Arc<Entry> {
        let position = message.position;
        let topic = self.log.topic(id).expect("the topic was found or made under the same lock");
        let (prev, on_slow) = (topic.last, topic.on_slow);
        let expires_ms = draft.publication.ttl_s.map(|ttl_s| now.ms() + u64::from(ttl_s) * 1_000);
        let entry = Arc::new(Entry::new(message, prev, now.us, expires_ms, draft.origin, on_slow));
        self.seq = position.seq;
        self.idempotency.store(&draft.topic, &draft.publication, position, now.ms());
        self.log.append(id, entry.clone());
        self.log.trim_to_bytes(self.limits.history_bytes);
        entry
    }

    fn create(&mut self, name: &Topic) -> Option<TopicId> {
        if self.log.topics() >= self.limits.topics {
            let forgotten = self.log.forget_longest_idle()?;
            self.forgotten.push(forgotten);
        }
        Some(self.log.create(name, self.rules.rule_for(name.as_str())))
    }
}
