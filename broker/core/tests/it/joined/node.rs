//! One node: the broker and its workers, and what its daemon has of the servers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fanfare_core::{Broker, Now, Told, TopicRead, Worker};
use fanfare_protocol::{Epoch, Filter, Position, Topic};

use super::daemon::Daemon;
use super::settings::{Settings, TOPICS};
use crate::it::chance::wall_ms;
use crate::it::driven::{Driven, flag};

pub(super) const WORKERS: usize = 2;

pub(super) struct Node {
    /// Another one with each start.
    pub(super) name: u64,
    pub(super) driven: Driven,
    /// The daemon was told that something is asked.
    is_asked: Arc<AtomicBool>,
    pub(super) daemon: Daemon,
    /// The newest position that it acknowledged.
    pub(super) acknowledged: Option<Position>,
    /// The topics that it knows with their newest seqs, and up to which seq some may have had to make room for others.
    listed: BTreeMap<Topic, u64>,
    pub(super) evicted: BTreeMap<Topic, u64>,
    /// Its clock is ahead of the servers' by so much.
    ahead_ms: u64,
}

impl Node {
    pub(super) fn start(name: u64, settings: &Settings) -> Node {
        let (is_asked, wake) = flag();
        let Settings { rules, limits, .. } = settings;
        let broker = |wakes| Broker::joined(name, rules.clone(), limits.clone(), wakes, wake);
        Node {
            name,
            driven: Driven::new(name, WORKERS, broker),
            is_asked,
            daemon: Daemon::default(),
            acknowledged: None,
            listed: BTreeMap::new(),
            evicted: BTreeMap::new(),
            ahead_ms: name * 1_000_000,
        }
    }

    /// What its clock says.
    pub(super) fn now(&self, now_ms: u64) -> Now {
        Now { us: (now_ms + self.ahead_ms) * 1_000, unix_ms: wall_ms(now_ms + self.ahead_ms) }
    }

    /// Hands the core what its daemon has for it.
    pub(super) fn tell(&mut self, now_ms: u64, told: Told) {
        self.daemon.note(&told);
        let now = self.now(now_ms);
        let read = if let Told::Read { result: Ok((record, topics)), .. } = &told {
            self.is_too_much(topics).then_some(record.epoch)
        } else {
            None
        };
        self.driven.broker.told(now, told);
        if self.driven.broker.limits().topics < TOPICS.len() {
            self.note_evicted(read);
        }
    }

    /// Takes what the core asks for, if the daemon was told that there is something.
    pub(super) fn take_asks(&mut self) -> bool {
        if !self.is_asked.swap(false, Ordering::Relaxed) {
            return false;
        }
        let asks = self.driven.broker.take_asks();
        let some = !asks.is_empty();
        match &mut self.daemon.connection {
            Some(connection) => connection.take(asks),
            None => assert!(!some, "{asks:?} is asked of nobody"),
        }
        some
    }

    /// True if one may have to make room for another of those that a read brings, or that wait for it in a doubt.
    fn is_too_much(&self, read: &[TopicRead]) -> bool {
        let new = read.iter().filter(|topic| !self.listed.contains_key(&topic.name)).count();
        let is_in_doubt = self.driven.broker.doubts().is_some_and(|doubts| doubts.is_open);
        is_in_doubt || self.listed.len() + new > self.driven.broker.limits().topics
    }

    /// Notes which topics had to make room for others. Of many that a read brought any may have gone, and be back.
    fn note_evicted(&mut self, read: Option<Epoch>) {
        if let Some(epoch) = read {
            let top = self.daemon.seen.get(&epoch.life).copied().unwrap_or(0);
            TOPICS.iter().for_each(|topic| self.evict(&Topic::parse(topic).unwrap(), top));
        }
        let listed = self.driven.broker.list_topics(&Filter::parse(">").unwrap(), None, usize::MAX);
        let listed = listed.into_iter().map(|topic| (topic.name, topic.position.seq)).collect();
        let before = std::mem::replace(&mut self.listed, listed);
        if self.listed.len() < self.driven.broker.limits().topics {
            return;
        }
        let gone = before.iter().filter(|(topic, _)| !self.listed.contains_key(*topic));
        let new = self.listed.iter().filter(|(topic, _)| !before.contains_key(*topic));
        let evicted: Vec<(Topic, u64)> = gone.chain(new).map(|(topic, seq)| (topic.clone(), *seq)).collect();
        evicted.iter().for_each(|(topic, seq)| self.evict(topic, *seq));
    }

    fn evict(&mut self, topic: &Topic, seq: u64) {
        let known = self.evicted.entry(topic.clone()).or_default();
        *known = seq.max(*known);
    }

    /// The connection is gone, and with it what was on its way.
    pub(super) fn cut(&mut self, now_ms: u64, reason: &str) {
        if self.daemon.connection.take().is_some() {
            self.tell(now_ms, Told::Down(reason.to_owned()));
        }
    }

    /// When something is due, by the servers' clock.
    pub(super) fn next_timeout(&self) -> Option<u64> {
        let workers = self.driven.workers.iter().filter_map(Worker::next_timeout);
        let due_ms = workers.chain(self.driven.broker.next_timeout()).min()?;
        Some(due_ms.saturating_sub(self.ahead_ms))
    }

    pub(super) fn tick(&mut self, now_ms: u64) {
        let now = self.now(now_ms);
        if self.driven.broker.next_timeout().is_some_and(|at| at <= now.ms()) {
            self.driven.broker.tick(now);
        }
        self.driven.workers.iter_mut().for_each(|worker| worker.tick(now));
    }
}
