//! One worker's sessions: who follows what here, what waits to be delivered, and whom to write to.
//!
//! The worker is driven from outside: it is told what was received and what time it is, it fills outboxes and names
//! the sessions to write to. `requests` answers clients, `delivery` moves messages, this file opens and closes.

mod awaiting;
mod closing;
mod delivery;
mod polls;
mod publishing;
mod replays;
mod requests;
mod rounds;
mod slow;
mod streams;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use fanfare_protocol::{Encoding, Filter, Frame, Gap, Position, Welcome};
use slotmap::SlotMap;

pub use crate::session::SessionKey;
pub use streams::Stream;

use self::awaiting::Awaiting;
use crate::broker::{Broker, Outcome};
use crate::clock::Now;
use crate::edge::Edge;
use crate::encoded::pong_frame;
use crate::entry::{Entry, SessionId};
use crate::filters::Filters;
use crate::inbox::Delivery;
use crate::limits::Limits;
use crate::outbox::Outbox;
use crate::session::{Session, SessionInfo};
use crate::stats::WorkerStats;
use crate::subscriptions::Subscriptions;
use crate::trie::Trie;
use crate::waiting::Ticket;
use rounds::Rounds;

slotmap::new_key_type! {
    /// Finds a long poll in its worker.
    pub struct PollKey;
}

/// Called once when a long poll has something to read.
pub type Ready = Box<dyn FnOnce()>;

/// All sessions of one worker.
pub struct Worker {
    index: usize,
    broker: Arc<Broker>,
    sessions: SlotMap<SessionKey, Session>,
    polls: SlotMap<PollKey, Poll>,
    followers: Trie<Followers>,
    /// What was taken out of the inbox, and marks that hold their place among it.
    backlog: VecDeque<Pending>,
    dirty: Rounds,
    /// What ended sessions followed, as far as that is not ended yet.
    leaving: BTreeMap<SessionKey, Subscriptions>,
    /// When each session's next heartbeat is due; in order, since all wait equally long.
    heartbeats: VecDeque<(u64, SessionKey)>,
    /// Publishes that wait for room, by when they give up; in order likewise.
    giving_up: VecDeque<(u64, SessionKey, Ticket)>,
    /// Requests that wait for the backplane.
    awaiting: BTreeMap<Ticket, Awaiting>,
    /// Sessions whose replay goes on once the worker has caught up.
    held_back: Vec<SessionKey>,
    stats: WorkerStats,
}

/// Who follows a filter here.
#[derive(Debug, Default)]
struct Followers {
    sessions: Vec<SessionKey>,
    polls: Vec<PollKey>,
}

struct Poll {
    filters: Filters,
    ready: Ready,
}

#[derive(Debug)]
enum Pending {
    Message(Arc<Entry>),
    /// Something is missing for all live filters that it concerns; what it takes of the inbox.
    Gap(Box<(Gap, usize)>),
    /// From here on the filter is live: what stands before is not its, what comes after is.
    Live {
        session: SessionKey,
        filter: Filter,
        top: Position,
    },
    /// All that was published before stands before; then the session is sent away.
    Goodbye {
        session: SessionKey,
        reconnect_after_ms: u64,
    },
    /// All that matches up to `top` stands before.
    Heartbeat {
        sessions: Vec<SessionKey>,
        top: Position,
    },
}

impl Extend<Delivery> for Backlog<'_> {
    fn extend<T: IntoIterator<Item = Delivery>>(&mut self, deliveries: T) {
        self.0.extend(deliveries.into_iter().map(|delivery| match delivery {
            Delivery::Message(entry) => Pending::Message(entry),
            Delivery::Gap(gap) => Pending::Gap(gap),
        }));
    }
}

/// The end of the backlog, as the broker fills it.
struct Backlog<'a>(&'a mut VecDeque<Pending>);

impl Worker {
    /// The worker of this index, with no session.
    pub fn new(index: usize, broker: Arc<Broker>) -> Worker {
        assert!(index < broker.workers(), "the broker has an inbox for each worker");
        Worker {
            index,
            broker,
            sessions: SlotMap::with_key(),
            polls: SlotMap::with_key(),
            followers: Trie::default(),
            backlog: VecDeque::new(),
            dirty: Rounds::default(),
            leaving: BTreeMap::new(),
            heartbeats: VecDeque::new(),
            giving_up: VecDeque::new(),
            awaiting: BTreeMap::new(),
            held_back: Vec::new(),
            stats: WorkerStats::default(),
        }
    }

    /// Its place among the broker's workers.
    pub fn index(&self) -> usize {
        self.index
    }

    /// True if somebody is to be written to, or something waits to be moved or ended.
    pub fn has_work(&self) -> bool {
        !self.dirty.is_empty() || !self.backlog.is_empty() || !self.leaving.is_empty()
    }

    /// The broker that it works for.
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Opens a session and welcomes it.
    pub fn open(&mut self, now: Now, encoding: Encoding) -> SessionKey {
        let id = self.broker.name_session();
        let key = self.sessions.insert(Session::new(id, encoding.into(), now.ms()));
        self.heartbeats.push_back((now.ms() + self.limits().heartbeat_ms, key));
        self.reply(key, &Frame::Welcome { id: None, welcome: self.welcome(id) });
        key
    }

    /// The session is gone: forgets all of it.
    pub fn remove(&mut self, key: SessionKey) {
        self.end_subscriptions(key);
        self.sessions.remove(key);
    }

    /// Answers a WebSocket ping.
    pub fn ping_received(&mut self, now: Now, key: SessionKey, payload: &[u8]) {
        self.control_received(now, key);
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.closing().is_some() {
            return;
        }
        let frame = pong_frame(payload);
        if session.has_room(frame.len(), self.broker.limits()) {
            session.outbox.push_control(frame);
            self.mark_dirty(key);
        } else {
            self.close_slow(key);
        }
    }

    /// Counts a control frame of the client.
    pub fn control_received(&mut self, now: Now, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.heard_ms = now.ms();
        if let Err(code) = session.admit_control(now.ms(), self.broker.limits()) {
            let limit = self.limits().control_frames_per_s;
            self.close(key, code, &format!("more than {limit} control frames a second"));
        }
    }

    /// The session of a key, if it is still there.
    pub fn session(&self, key: SessionKey) -> Option<&Session> {
        self.sessions.get(key)
    }

    /// The key of a session by its name.
    pub fn find(&self, id: SessionId) -> Option<SessionKey> {
        self.sessions.iter().find(|(_, session)| session.id == id).map(|(key, _)| key)
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// How many of them are streams of events.
    pub fn streams(&self) -> usize {
        self.sessions.values().filter(|session| session.outbox().edge() == Edge::Events).count()
    }

    /// All sessions as operators see them.
    pub fn session_infos(&self, now: Now) -> Vec<SessionInfo> {
        self.sessions.values().map(|session| session.info(now.ms())).collect()
    }

    /// Bytes and items that wait in all outboxes.
    pub fn outbox_fill(&self) -> (usize, usize) {
        let outboxes = self.sessions.values().map(|session| session.outbox());
        outboxes.fold((0, 0), |(bytes, items), outbox| (bytes + outbox.bytes(), items + outbox.items()))
    }

    /// What was counted since the last call.
    pub fn take_stats(&mut self) -> WorkerStats {
        std::mem::take(&mut self.stats)
    }

    fn limits(&self) -> &Limits {
        self.broker.limits()
    }

    fn welcome(&self, id: SessionId) -> Welcome {
        let limits = self.limits();
        let limits = [
            ("frame_bytes", limits.frame_bytes as u64),
            ("requests_per_s", u64::from(limits.requests_per_s)),
            ("subscriptions", limits.subscriptions as u64),
            ("history_frames", u64::from(limits.history_frames)),
            ("last_messages", limits.last_messages as u64),
            ("waiting_publishes", limits.session_waiting_publishes as u64),
        ];
        Welcome {
            session: id.0.to_string(),
            resume: None,
            user: None,
            heartbeat_ms: self.limits().heartbeat_ms,
            limits: BTreeMap::from(limits.map(|(name, value)| (name.to_owned(), value))),
        }
    }

    /// Appends a frame of the session's own; one that does not fit closes it.
    fn reply(&mut self, key: SessionKey, frame: &Frame) {
        self.queue(key, |outbox| outbox.push_frame(frame));
        if let Frame::Error { code, .. } = frame {
            self.stats.count_error(*code);
        }
    }

    /// Appends to a session's outbox; what does not fit closes it.
    fn queue(&mut self, key: SessionKey, push: impl FnOnce(&mut Outbox)) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.closing().is_some() {
            return;
        }
        push(&mut session.outbox);
        let fits = session.keeps_bounds(self.broker.limits());
        self.mark_dirty(key);
        if !fits {
            self.close_slow(key);
        }
    }

    fn mark_dirty(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        self.dirty.add(key, session, usize::MAX);
    }
}
