//! The broker on one node: its partition behind one short lock, an inbox for each worker, and the publishes that wait.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;
use fanfare_protocol::{Cursor, Epoch, Filter, Position, Topic};

use crate::clock::Now;
use crate::entry::{Entry, SessionId};
use crate::filters::Filters;
use crate::inbox::Inbox;
use crate::interest::{WORKERS_MAX, WorkerSet};
use crate::limits::{Limits, TopicRules};
use crate::log::TopicId;
use crate::partition::{Attempt, Draft, Partition, Published, Refusal, TopicInfo};
use crate::replay::{Budget, Pulled, Replay, ReplayEvent};
use crate::waiting::{Completion, Finished, Ticket, Waiting};
use crate::worker::SessionKey;

/// What became of a publish that may wait.
#[derive(Debug)]
pub enum Publishing {
    /// It is done.
    Done(Result<Published, Refusal>),
    /// It waits for room; the completion is called, perhaps already, unless the wait is cancelled first.
    Waits(Ticket),
}

/// The end of a session's publish that had to wait.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) session: SessionKey,
    pub(crate) ticket: Ticket,
    pub(crate) result: Result<Published, Refusal>,
}

/// What history says: message and gap frames in order.
#[derive(Debug)]
pub struct History {
    /// The frames.
    pub events: Vec<ReplayEvent>,
    /// Where the next call goes on.
    pub cursor: Position,
    /// True if more is kept above.
    pub more: bool,
}

impl History {
    /// True if nothing was found and nothing is left to be looked at.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && !self.more
    }
}

/// A cursor that lacks the broker's partition or has one that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cursor {cursor:?} must have one position, in partition 0, the only one of this broker")]
pub struct BadCursor {
    cursor: String,
}

/// Figures for operators.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BrokerStats {
    /// The newest seq.
    pub seq: u64,
    /// Topics remembered.
    pub topics: usize,
    /// Messages kept.
    pub kept: usize,
    /// What they cost, in bytes.
    pub history_bytes: usize,
    /// Subscriptions of all sessions.
    pub subscriptions: usize,
    /// Publishes that wait for room.
    pub waiting_publishes: usize,
    /// What waits in all inboxes, in bytes.
    pub inbox_bytes: usize,
}

/// One node's broker, shared by its workers.
pub struct Broker {
    state: Mutex<State>,
    inboxes: Box<[Inbox]>,
    /// Finds a topic's log without the lock. An id may be stale: the log knows.
    topics: DashMap<Topic, TopicId>,
    /// Mirrors how many publishes wait, so that nobody locks to find none.
    waiting: AtomicUsize,
    sessions: AtomicU64,
    limits: Arc<Limits>,
}

struct State {
    partition: Partition,
    waiting: Waiting,
}

/// Calls a worker's event loop when something is in its inbox.
pub type Wake = Box<dyn Fn() + Send + Sync>;

impl Broker {
    /// A broker that begins a new epoch of this life, with a worker for each of `wakes`.
    pub fn new(life: u64, rules: TopicRules, limits: Limits, wakes: Vec<Wake>) -> Broker {
        assert!((1..=WORKERS_MAX).contains(&wakes.len()), "1 to {WORKERS_MAX} workers");
        let limits = Arc::new(limits);
        let partition = Partition::new(Epoch { partition: 0, life }, rules, limits.clone());
        Broker {
            state: Mutex::new(State { partition, waiting: Waiting::default() }),
            inboxes: wakes.into_iter().map(|wake| Inbox::new(limits.inbox_bytes, wake)).collect(),
            topics: DashMap::new(),
            waiting: AtomicUsize::new(0),
            sessions: AtomicU64::new(0),
            limits,
        }
    }

    /// The bounds that hold here.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.inboxes.len()
    }

    /// The topic of a name, without an allocation if it is known.
    pub fn known_topic(&self, name: &str) -> Option<Topic> {
        self.topics.get(name).map(|found| found.key().clone())
    }

    /// Publishes, or lets the publish wait for room: `completion` is made and kept only then.
    pub fn publish(&self, now: Now, draft: Draft, completion: impl FnOnce() -> Completion) -> Publishing {
        let known = self.topics.get(&draft.topic).map(|found| *found);
        let mut state = self.lock();
        let State { partition, waiting } = &mut *state;
        match partition.publish(now, draft, known, &self.inboxes, waiting.blocked()) {
            Attempt::Done(published, id, wake) => {
                let name = id.filter(|id| Some(*id) != known).and_then(|id| partition.log.topic(id));
                let name = name.map(|topic| topic.name.clone());
                drop(state);
                if let (Some(name), Some(id)) = (name, id) {
                    self.topics.insert(name, id);
                }
                self.wake(wake);
                Publishing::Done(Ok(published))
            }
            Attempt::Refused(refusal) => Publishing::Done(Err(refusal)),
            Attempt::Full(draft, workers) => {
                if waiting.len() >= self.limits.waiting_publishes {
                    let waiting_max = self.limits.waiting_publishes;
                    return Publishing::Done(Err(Refusal::TooManyWaiting { waiting_max }));
                }
                let ticket = waiting.push(draft, workers, completion());
                self.waiting.store(waiting.len(), Ordering::SeqCst);
                if waiting.len() == 1 {
                    // A worker that released room just now may have seen nobody waiting.
                    self.retry(state, now);
                }
                Publishing::Waits(ticket)
            }
        }
    }

    /// Ends the wait of a publish; false if it ended already and its completion is called.
    pub fn cancel(&self, ticket: Ticket) -> bool {
        let mut state = self.lock();
        let cancelled = state.waiting.cancel(ticket);
        self.waiting.store(state.waiting.len(), Ordering::SeqCst);
        cancelled
    }

    /// A topic's history above `after`, oldest first; without it the newest `limit`.
    pub fn history(
        &self,
        topic: &Topic,
        after: Option<&Cursor>,
        limit: usize,
        now: Now,
    ) -> Result<History, BadCursor> {
        let mut state = self.lock();
        let filters = Filters::from(Filter::from(topic));
        self.read_history(&mut state.partition, &filters, after, limit, now)
    }

    /// As [`Broker::history`], of all that `filters` match; if there is nothing, `worker` is sent what comes from now on, until `unfollow`.
    pub(crate) fn history_or_follow(
        &self,
        worker: usize,
        filters: &Filters,
        after: Option<&Cursor>,
        limit: usize,
        now: Now,
    ) -> Result<History, BadCursor> {
        let mut state = self.lock();
        let history = self.read_history(&mut state.partition, filters, after, limit, now)?;
        if history.is_empty() {
            filters.iter().for_each(|filter| state.partition.interest.add_live(filter, worker));
        }
        Ok(history)
    }

    /// Trims all of a topic's history; how many messages went.
    pub fn clear(&self, topic: &Topic) -> usize {
        self.lock().partition.clear(topic.as_str())
    }

    /// At most `limit` topics that `filter` matches, by name, after the name `after`.
    pub fn list_topics(&self, filter: &Filter, after: Option<&str>, limit: usize) -> Vec<TopicInfo> {
        self.lock().partition.list(filter, after, limit)
    }

    /// Trims what is too old and forgets idle topics; to be called about once a second.
    pub fn sweep(&self, now: Now) {
        const TOPICS_MAX: usize = 1_000;
        loop {
            let (forgotten, done) = self.lock().partition.sweep(now, TOPICS_MAX);
            for name in forgotten {
                self.topics.remove(&name);
            }
            if done {
                return;
            }
        }
    }

    /// Figures of this moment.
    pub fn stats(&self) -> BrokerStats {
        let state = self.lock();
        let State { partition, waiting } = &*state;
        BrokerStats {
            seq: partition.seq,
            topics: partition.log.topics(),
            kept: partition.log.kept(),
            history_bytes: partition.log.bytes(),
            subscriptions: partition.interest.subscriptions(),
            waiting_publishes: waiting.len(),
            inbox_bytes: self.inboxes.iter().map(Inbox::bytes).sum(),
        }
    }

    /// The name of a new session.
    pub(crate) fn name_session(&self) -> SessionId {
        SessionId(self.sessions.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The part of a cursor for the only partition.
    pub(crate) fn own_part(&self, cursor: &Cursor) -> Result<Position, BadCursor> {
        self.lock().partition.own_part(cursor).ok_or_else(|| BadCursor { cursor: cursor.to_string() })
    }

    /// Follows filters from now on. What the worker must deliver before is added to `backlog`; what comes after is
    /// above the position.
    pub(crate) fn follow(
        &self,
        worker: usize,
        filters: &[Filter],
        backlog: &mut impl Extend<Arc<Entry>>,
    ) -> Position {
        let mut state = self.lock();
        filters.iter().for_each(|filter| state.partition.interest.add_live(filter, worker));
        self.inboxes[worker].take(backlog);
        state.partition.top()
    }

    /// Begins to follow filters by one replay; see [`Partition::begin_replay`].
    pub(crate) fn begin_replay(
        &self,
        filters: &Filters,
        after: Option<Position>,
        last: usize,
        deaf_to: Option<SessionId>,
        now: Now,
    ) -> (Replay, bool, Position) {
        let mut state = self.lock();
        let top = state.partition.top();
        filters.iter().for_each(|filter| state.partition.interest.add_replaying(filter));
        let (replay, whole) = state.partition.begin_replay(filters, after, last, deaf_to, now);
        (replay, whole, after.unwrap_or(top))
    }

    /// Pulls from a replay. Once it has caught up its filters are live as after [`Broker::follow`].
    pub(crate) fn pull(
        &self,
        worker: usize,
        replay: &mut Replay,
        budget: Budget,
        now: Now,
        backlog: &mut impl Extend<Arc<Entry>>,
    ) -> (Pulled, Position) {
        let mut state = self.lock();
        let pulled = state.partition.pull(replay, budget, now);
        if pulled.caught_up {
            let interest = &mut state.partition.interest;
            replay.filters().iter().for_each(|filter| interest.caught_up(filter, worker));
            self.inboxes[worker].take(backlog);
        }
        (pulled, state.partition.top())
    }

    /// Ends a subscription; `live` tells in which state it was.
    pub(crate) fn unfollow(&self, worker: usize, filter: &Filter, live: bool) {
        self.lock().partition.interest.remove(filter, live.then_some(worker));
    }

    /// True if so many further subscriptions may begin.
    pub fn has_room_for_filters(&self, count: usize) -> bool {
        self.lock().partition.interest.subscriptions() + count <= self.limits.filters
    }

    /// The newest position; all that the worker must deliver up to it is added to `backlog`.
    pub(crate) fn top(&self, worker: usize, backlog: &mut impl Extend<Arc<Entry>>) -> Position {
        let state = self.lock();
        self.inboxes[worker].take(backlog);
        state.partition.top()
    }

    /// Empties the worker's inbox into `backlog`.
    pub(crate) fn take(&self, worker: usize, backlog: &mut impl Extend<Arc<Entry>>) {
        self.inboxes[worker].take(backlog);
    }

    /// Gives back the room of what the worker has delivered, and lets those who wait for it publish.
    pub(crate) fn release(&self, worker: usize, cost: usize, now: Now) {
        self.inboxes[worker].release(cost);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.retry(self.lock(), now);
        }
    }

    /// Answers to publishes that waited.
    pub(crate) fn take_answers(&self, worker: usize) -> Vec<Answer> {
        self.inboxes[worker].take_answers()
    }

    /// Sends an answer to the worker of its session.
    pub(crate) fn answer(&self, worker: usize, answer: Answer) {
        self.inboxes[worker].answer(answer);
        self.inboxes[worker].wake();
    }

    fn read_history(
        &self,
        partition: &mut Partition,
        filters: &Filters,
        after: Option<&Cursor>,
        limit: usize,
        now: Now,
    ) -> Result<History, BadCursor> {
        let bytes_max = self.limits.outbox_bytes / 4;
        let Some(after) = after else {
            let newest = partition.newest(filters, limit, partition.seq, None, now);
            let newest = newest_within(newest, limit, bytes_max);
            let events = newest.into_iter().map(ReplayEvent::Message).collect();
            return Ok(History { events, cursor: partition.top(), more: false });
        };
        let bad = || BadCursor { cursor: after.to_string() };
        let after = partition.own_part(after).ok_or_else(bad)?;
        let (mut replay, _) = partition.begin_replay(filters, Some(after), 0, None, now);
        // A page must get on, and gaps move no cursor: they come with its first message, however many they are.
        let budget = Budget { messages: limit, events: usize::MAX, bytes: bytes_max };
        let pulled = partition.pull(&mut replay, budget, now);
        let more = !pulled.caught_up && partition.has_more(&replay, now);
        let cursor = if more { partition.position(replay.scanned()) } else { partition.top() };
        Ok(History { events: pulled.events, cursor, more })
    }

    fn retry(&self, mut state: MutexGuard<'_, State>, now: Now) {
        let State { partition, waiting } = &mut *state;
        let (finished, wake) = waiting.retry(partition, now, &self.inboxes);
        self.waiting.store(waiting.len(), Ordering::SeqCst);
        drop(state);
        self.wake(wake);
        finished.into_iter().for_each(Finished::tell);
    }

    fn wake(&self, workers: WorkerSet) {
        for worker in workers.iter() {
            self.inboxes[worker].wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The newest `limit` of `entries`, as many as cost at most `bytes_max` together; one at least.
fn newest_within(mut entries: Vec<Arc<Entry>>, limit: usize, bytes_max: usize) -> Vec<Arc<Entry>> {
    let mut bytes = 0;
    let fitting = entries.iter().rev().take(limit).take_while(|entry| {
        bytes += entry.cost();
        bytes <= bytes_max
    });
    let fitting = fitting.count().max(1);
    entries.drain(..entries.len().saturating_sub(fitting));
    entries
}
