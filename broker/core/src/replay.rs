//! The way from a cursor to now, of one filter or of several as one: what is kept, in order, and where the holes are.
//!
//! Holes are told before any later frame, since a message moves the cursor past them. A topic has one
//! iff its newest trimmed message lies above the cursor: kept messages are the newest of their topic without a break.

mod entering;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use fanfare_protocol::{Epoch, Filter, Gap, Position, Topic};

use crate::backplane::Pass;
use crate::clock::Now;
use crate::entry::{Entry, SessionId};
use crate::filters::Filters;
use crate::lives::Verdict;
use crate::log::{TopicId, TopicLog};
use crate::partition::Partition;
use crate::waiting::Ticket;

/// The most log entries looked at under one hold of the partition's lock.
const SCAN_MAX: usize = 1_024;

/// Where filters that catch up together stand.
#[derive(Debug)]
pub(crate) struct Replay {
    filters: Filters,
    /// Their cursor: all that matches at or below was told.
    after: u64,
    /// Kept messages at or below were looked at.
    scanned: u64,
    /// Holes told topic by topic, by their end.
    told: BTreeMap<Topic, u64>,
    /// Trims up to this number were looked at; none: no look was taken yet.
    trims_seen: Option<u64>,
    /// What goes before the next message.
    queue: VecDeque<ReplayEvent>,
    /// Messages of this session are left out.
    deaf_to: Option<SessionId>,
    /// The life of the numbering in which the seqs were judged.
    epoch: Epoch,
    /// How often that had changed by then.
    changes: u64,
    /// What it has waited for to go on in the present one.
    pass: Pass,
    /// It waits for that.
    ticket: Option<Ticket>,
}

/// One thing that a replay says.
#[derive(Debug, Clone)]
pub enum ReplayEvent {
    /// A kept message.
    Message(Arc<Entry>),
    /// A hole.
    Gap(Gap),
}

/// What one pull brought.
#[derive(Debug, Default)]
pub(crate) struct Pulled {
    pub(crate) events: Vec<ReplayEvent>,
    /// Nothing above is kept: what follows is live.
    pub(crate) caught_up: bool,
    /// Nothing above is kept, but the worker must get what came before first.
    pub(crate) is_held_back: bool,
    /// Nothing comes before this is answered.
    pub(crate) waits: Option<Ticket>,
}

/// How much one pull may bring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) messages: usize,
    /// Messages and gaps together.
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

impl Replay {
    /// What catches up.
    pub(crate) fn filters(&self) -> &Filters {
        &self.filters
    }

    /// What was pulled is all up to here.
    pub(crate) fn scanned(&self) -> u64 {
        self.scanned
    }

    fn new(filters: Filters, after: u64, deaf_to: Option<SessionId>, partition: &Partition) -> Replay {
        let (told, queue) = (BTreeMap::new(), VecDeque::new());
        let (epoch, changes) = (partition.epoch, partition.lives.changes);
        let (scanned, trims_seen, pass, ticket) = (after, None, Pass::default(), None);
        Replay { filters, after, scanned, told, trims_seen, queue, deaf_to, epoch, changes, pass, ticket }
    }

    /// Moves the cursor to `to` by one gap for all that matches; what it does not cover is looked for anew.
    fn jump(&mut self, from: Position, to: Position) {
        self.queue.retain(|event| !matches!(event, ReplayEvent::Gap(Gap { topic: Some(_), .. })));
        self.queue.push_back(ReplayEvent::Gap(Gap { topic: None, from, to, count: None }));
        (self.after, self.scanned) = (to.seq, to.seq);
        self.told.clear();
        self.trims_seen = None;
    }
}

impl Partition {
    /// Begins the replay of `filters` from `after` (none: from now), with the newest `last` of each topic before it,
    /// which only a gap up to this epoch precedes. The flag says whether anything is missing.
    pub(crate) fn begin_replay(
        &mut self,
        filters: &Filters,
        after: Option<Position>,
        last: usize,
        deaf_to: Option<SessionId>,
        now: Now,
    ) -> (Replay, bool) {
        let top = self.top();
        let start = after.unwrap_or(top);
        let mut replay = Replay::new(filters.clone(), start.seq, deaf_to, self);
        let verdict = self.judge(start);
        let mut whole = matches!(verdict, Verdict::Good(_));
        if let Verdict::Jump(to) = verdict {
            replay.jump(start, self.position(to));
        }
        if last > 0 {
            let newest = self.newest(filters, last, replay.after, deaf_to, now);
            replay.queue.extend(newest.into_iter().map(ReplayEvent::Message));
        }
        let before = replay.queue.len();
        self.look_for_holes(&mut replay);
        whole &= replay.queue.len() == before;
        (replay, whole)
    }

    /// What follows in a replay, as much as the budget allows.
    pub(crate) fn pull(&mut self, replay: &mut Replay, budget: Budget, now: Now) -> Pulled {
        self.look_for_holes(replay);
        let mut pulled = Pulled::default();
        let (mut messages, mut bytes, mut scans) = (0, 0, SCAN_MAX);
        while messages < budget.messages && bytes < budget.bytes && pulled.events.len() < budget.events {
            let event = match replay.queue.pop_front() {
                Some(event) => event,
                None => match self.next_kept(replay, now, &mut scans) {
                    Next::Message(entry) => ReplayEvent::Message(entry),
                    Next::Later => break,
                    Next::End => {
                        pulled.caught_up = true;
                        break;
                    }
                },
            };
            if let ReplayEvent::Message(entry) = &event {
                messages += 1;
                bytes += entry.cost();
            }
            pulled.events.push(event);
        }
        pulled
    }

    /// The newest `each` messages kept of each topic that matches, at or below `upto`; in order of seq, and the
    /// newest of all where there are more than the limit.
    pub(crate) fn newest(
        &self,
        filters: &Filters,
        each: usize,
        upto: u64,
        deaf_to: Option<SessionId>,
        now: Now,
    ) -> Vec<Arc<Entry>> {
        let limit = self.limits.last_messages;
        let mut found: BTreeMap<u64, &Arc<Entry>> = BTreeMap::new();
        for (_, topic) in self.matching(filters) {
            let wanted = topic.newest_first(upto).filter(|entry| entry.is_wanted(now.ms(), deaf_to));
            for entry in wanted.take(each) {
                if found.len() >= limit {
                    let lowest = found.first_key_value().map_or(0, |(seq, _)| *seq);
                    if entry.seq() < lowest {
                        break;
                    }
                    found.pop_first();
                }
                found.insert(entry.seq(), entry);
            }
        }
        found.into_values().cloned().collect()
    }

    /// True if anything is left above what was pulled; no message is taken.
    pub(crate) fn has_more(&self, replay: &Replay, now: Now) -> bool {
        let mut ahead = Replay::new(replay.filters.clone(), replay.scanned, replay.deaf_to, self);
        !replay.queue.is_empty()
            || !matches!(self.next_kept(&mut ahead, now, &mut SCAN_MAX.clone()), Next::End)
    }

    /// Queues a gap for each hole that opened since the last look. What lies at or below `scanned` was kept when it
    /// was looked at, or its hole was told.
    fn look_for_holes(&mut self, replay: &mut Replay) {
        self.enter_life(replay);
        if replay.scanned < self.log.floor() && !self.know_since(&replay.filters, replay.scanned) {
            let (from, to) = (self.position(replay.after), self.position(self.log.floor()));
            replay.jump(from, to);
        }
        let Replay { filters, scanned, told, trims_seen, .. } = &mut *replay;
        told.retain(|_, end| end > scanned);
        let (mut holes, mut topics) = (Vec::new(), told.len());
        let mut look = |(id, topic): (TopicId, &TopicLog)| {
            let known = told.get(&topic.name).copied();
            if topic.trimmed > known.unwrap_or(0).max(*scanned) && filters.matches(topic.name.as_str()) {
                topics += usize::from(known.is_none());
                holes.push(id);
            }
            topics <= self.limits.holes
        };
        let few = match *trims_seen {
            Some(seen) => self.log.trimmed_since(seen).all(&mut look),
            None => self.matching(filters).all(&mut look),
        };
        *trims_seen = Some(self.log.trim_count());
        if !few {
            replay.jump(self.position(replay.after), self.top());
            return;
        }
        for id in holes {
            self.tell_hole(replay, id);
        }
    }

    fn tell_hole(&self, replay: &mut Replay, id: TopicId) {
        let topic = self.log.topic(id).expect("it was found under the same lock");
        let known = replay.told.get(&topic.name).copied().unwrap_or(0).max(replay.scanned);
        let (from, to) = (self.position(known), self.position(topic.trimmed));
        replay.queue.push_back(ReplayEvent::Gap(Gap {
            topic: Some(topic.name.clone()),
            from,
            to,
            count: None,
        }));
        replay.told.insert(topic.name.clone(), topic.trimmed);
    }

    /// True if the filters are topics of which everything since `after` is known.
    fn know_since(&self, filters: &Filters, after: u64) -> bool {
        filters.are_topics()
            && filters.iter().all(|topic| self.own(topic).is_some_and(|topic| topic.born_above <= after))
    }

    /// The topics that the filters match, each once.
    fn matching<'a>(&'a self, filters: &'a Filters) -> impl Iterator<Item = (TopicId, &'a TopicLog)> {
        filters.iter().enumerate().flat_map(|(index, filter)| {
            let earlier = &filters[..index];
            let is_new =
                move |topic: &TopicLog| !earlier.iter().any(|other| other.matches(topic.name.as_str()));
            self.log.matching(filter).filter(move |(_, topic)| is_new(topic))
        })
    }

    /// The log of a filter that is a topic.
    fn own(&self, topic: &Filter) -> Option<&TopicLog> {
        self.log.find(topic.as_str()).and_then(|id| self.log.topic(id))
    }

    fn next_kept(&self, replay: &mut Replay, now: Now, scans: &mut usize) -> Next {
        let exact = replay.filters.are_topics();
        loop {
            let found = if exact {
                let own = replay.filters.iter().filter_map(|topic| self.own(topic));
                let next = |topic: &TopicLog| topic.above(replay.scanned).next().map(|entry| entry.seq());
                own.filter_map(|topic| Some((next(topic)?, topic))).min_by_key(|(seq, _)| *seq)
            } else {
                self.log.above(replay.scanned).next()
            };
            let Some((seq, topic)) = found else { return Next::End };
            if *scans == 0 {
                return Next::Later;
            }
            *scans -= 1;
            replay.scanned = seq;
            if !replay.filters.matches(topic.name.as_str()) {
                continue;
            }
            let entry = topic.at(seq).expect("the log and the topic keep the same messages");
            // What came back after its hole was told stays missing.
            let is_told = !replay.told.is_empty() && replay.told.get(&topic.name) >= Some(&seq);
            if is_told || !entry.is_wanted(now.ms(), replay.deaf_to) {
                continue;
            }
            replay.after = seq;
            return Next::Message(entry.clone());
        }
    }
}

enum Next {
    Message(Arc<Entry>),
    /// There may be more, but enough was looked at for now.
    Later,
    End,
}

#[cfg(test)]
mod tests;
