//! The broker on one node: its partition behind one short lock, an inbox for each worker, and the publishes that wait.

mod batch;
mod joined;
mod reading;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;
use fanfare_protocol::{Epoch, Filter, Position, Topic};

pub(crate) use self::joined::Door;
pub use self::joined::{Clearing, Preparing};
pub(crate) use self::reading::HistoryHeld;
pub use self::reading::{BadCursor, History, HistoryError};

use crate::backplane::{Admitted, Held, Joined, Need, Pass};
use crate::clock::Now;
use crate::entry::SessionId;
use crate::filters::Filters;
use crate::inbox::{Delivery, Inbox};
use crate::interest::{WORKERS_MAX, WorkerSet};
use crate::limits::{Limits, TopicRules};
use crate::log::TopicId;
use crate::partition::{Attempt, Draft, Partition, Published, Refusal, TopicInfo};
use crate::replay::{Budget, Pulled, Replay};
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

/// The end of something for which a session had to wait.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) session: SessionKey,
    pub(crate) ticket: Ticket,
    pub(crate) outcome: Outcome,
}

/// What a session is told.
#[derive(Debug)]
pub(crate) enum Outcome {
    Published(Result<Published, Refusal>),
    /// What a request needs of the backplane is there, or will not be.
    Admitted(Result<Pass, Refusal>),
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
    /// How often a worker had no room for what came from the backplane, and was sent it from the log.
    pub falls_behind: u64,
}

/// One node's broker, shared by its workers.
pub struct Broker {
    state: Mutex<State>,
    inboxes: Box<[Inbox]>,
    /// Finds a topic's log without the lock. An id may be stale: the log knows.
    topics: DashMap<Topic, TopicId>,
    /// Mirrors how many publishes wait, so that nobody locks to find none.
    waiting: AtomicUsize,
    /// Calls the link to the backplane when something is to be asked.
    link_wake: Wake,
    sessions: AtomicU64,
    limits: Arc<Limits>,
}

struct State {
    partition: Partition,
    waiting: Waiting,
    /// There on a node that is joined to others.
    joined: Option<Box<Joined>>,
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
            state: Mutex::new(State { partition, waiting: Waiting::default(), joined: None }),
            inboxes: wakes.into_iter().map(|wake| Inbox::new(limits.inbox_bytes, wake)).collect(),
            topics: DashMap::new(),
            waiting: AtomicUsize::new(0),
            link_wake: Box::new(|| ()),
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
        if state.joined.is_some() {
            return self.ask_publish(state, now, draft, completion);
        }
        let State { partition, waiting, .. } = &mut *state;
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
        if state.joined.is_some() {
            return self.forget(state, ticket);
        }
        let cancelled = state.waiting.cancel(ticket);
        self.waiting.store(state.waiting.len(), Ordering::SeqCst);
        cancelled
    }

    /// Trims all of a topic's history; how many messages went.
    pub fn clear(&self, topic: &Topic) -> usize {
        self.lock().partition.clear(topic.as_str())
    }

    /// At most `limit` topics that `filter` matches, by name, after the name `after`.
    pub fn list_topics(&self, filter: &Filter, after: Option<&str>, limit: usize) -> Vec<TopicInfo> {
        self.lock().partition.list(filter, after, limit)
    }

    /// How many subscriptions of this node match each of the topics, in their order.
    pub fn followers<'a>(&self, topics: impl IntoIterator<Item = &'a Topic>) -> Vec<u32> {
        let mut state = self.lock();
        topics.into_iter().map(|topic| state.partition.reach(topic.as_str(), None).followers).collect()
    }

    /// Trims what is too old and forgets idle topics; to be called about once a second.
    pub fn sweep(&self, now: Now) {
        const AT_ONCE_MAX: usize = 1_000;
        loop {
            let (forgotten, done) = self.lock().partition.sweep(now, AT_ONCE_MAX);
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
        let State { partition, waiting, joined } = &*state;
        let asked = joined.as_ref().map_or(0, |joined| joined.publishes());
        BrokerStats {
            seq: partition.seq,
            topics: partition.log.topics(),
            kept: partition.log.kept(),
            history_bytes: partition.log.bytes(),
            subscriptions: partition.interest.subscriptions(),
            waiting_publishes: waiting.len() + asked,
            inbox_bytes: self.inboxes.iter().map(Inbox::bytes).sum(),
            falls_behind: joined.as_ref().map_or(0, |joined| joined.falls_behind),
        }
    }

    /// The name of a new session.
    pub(crate) fn name_session(&self) -> SessionId {
        SessionId(self.sessions.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Follows filters from now on. What the worker must deliver before is added to `backlog`; what comes after is
    /// above the position.
    pub(crate) fn follow(
        &self,
        worker: usize,
        filters: &[Filter],
        door: Door<impl FnOnce() -> Admitted>,
        backlog: &mut impl Extend<Delivery>,
    ) -> Result<Position, Held> {
        let need = || Need { worker: Some(worker), ..Need::new(filters) };
        let mut state = self.enter(filters, need, door)?;
        filters.iter().for_each(|filter| state.partition.interest.add_live(filter, worker));
        self.inboxes[worker].take(backlog);
        Ok(state.partition.top())
    }

    /// Begins to follow filters by one replay; see [`Partition::begin_replay`].
    pub(crate) fn begin_replay(
        &self,
        filters: &Filters,
        after: Option<Position>,
        last: usize,
        deaf_to: Option<SessionId>,
        door: Door<impl FnOnce() -> Admitted>,
    ) -> Result<(Replay, bool, Position), Held> {
        let now = door.now;
        let mut state = self.enter(filters, || Need { after, all: last > 0, ..Need::new(filters) }, door)?;
        let top = state.partition.top();
        filters.iter().for_each(|filter| state.partition.interest.add_replaying(filter));
        let (replay, whole) = state.partition.begin_replay(filters, after, last, deaf_to, now);
        Ok((replay, whole, after.unwrap_or(top)))
    }

    /// Pulls from a replay. Once it has caught up its filters are live as after [`Broker::follow`]. Where it has to wait,
    /// `completion` is made and kept.
    pub(crate) fn pull(
        &self,
        worker: usize,
        replay: &mut Replay,
        budget: Budget,
        now: Now,
        completion: impl FnOnce() -> Admitted,
        backlog: &mut impl Extend<Delivery>,
    ) -> (Pulled, Position) {
        let mut state = self.lock();
        let mirror = state.mirror(now, &self.inboxes);
        if let Some(Err(ticket)) = mirror.map(|mut mirror| mirror.admit_replay(replay, completion)) {
            let top = state.partition.top();
            self.settle(state);
            return (Pulled { waits: Some(ticket), ..Pulled::default() }, top);
        }
        let mut pulled = state.partition.pull(replay, budget, now);
        if pulled.caught_up && state.behind(worker).is_some() {
            (pulled.caught_up, pulled.is_held_back) = (false, true);
        }
        if pulled.caught_up {
            let interest = &mut state.partition.interest;
            replay.filters().iter().for_each(|filter| interest.caught_up(filter, worker));
            self.inboxes[worker].take(backlog);
        }
        (pulled, state.partition.top())
    }

    /// Ends a subscription; `live` tells in which state it was.
    pub(crate) fn unfollow(&self, worker: usize, filter: &Filter, live: bool) {
        let mut state = self.lock();
        state.partition.interest.remove(filter, live.then_some(worker));
        state.release(filter);
    }

    /// True if so many further subscriptions may begin.
    pub fn has_room_for_filters(&self, count: usize) -> bool {
        let state = self.lock();
        state.partition.interest.subscriptions() + state.awaits() + count <= self.limits.filters
    }

    /// The newest position; all that the worker must deliver up to it is added to `backlog`.
    pub(crate) fn top(&self, worker: usize, backlog: &mut impl Extend<Delivery>) -> Position {
        let state = self.lock();
        self.inboxes[worker].take(backlog);
        let sent = state.behind(worker);
        sent.map_or(state.partition.top(), |seq| state.partition.position(seq))
    }

    /// Empties the worker's inbox into `backlog`.
    pub(crate) fn take(&self, worker: usize, backlog: &mut impl Extend<Delivery>) {
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

    fn retry(&self, mut state: MutexGuard<'_, State>, now: Now) {
        if state.joined.is_some() {
            return self.catch_up(state, now);
        }
        let State { partition, waiting, .. } = &mut *state;
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
