//! What a log is told that mirrors another one: topics that begin in the middle, holes, and history that comes later.

use std::ops::Bound;
use std::sync::Arc;

use fanfare_protocol::{OnSlow, Topic};

use super::{Log, TopicId};
use crate::backplane::Channel;
use crate::entry::Entry;
use crate::limits::HistoryRule;

impl Log {
    /// Topics up to this seq may have been forgotten elsewhere.
    pub(crate) fn raise_floor(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
    }

    /// An earlier life of the topic may lie at or below `born_above`.
    pub(crate) fn set_birth(&mut self, id: TopicId, born_above: u64) {
        self.topics[id].born_above = born_above;
    }

    /// The seq at or below which an earlier life of the topic may lie.
    pub(crate) fn birth(&self, id: TopicId) -> u64 {
        self.topics[id].born_above
    }

    /// Topics up to `floor` were perhaps forgotten elsewhere, without a trace: all but those that are known to go on.
    pub(crate) fn raise_births(&mut self, floor: u64, goes_on: impl Fn(&Topic) -> bool) {
        self.raise_floor(floor);
        for topic in self.topics.values_mut().filter(|topic| !goes_on(&topic.name)) {
            topic.born_above = topic.born_above.max(floor);
        }
    }

    /// Makes a topic that keeps nothing, and of which nothing up to `trimmed` is kept; an earlier life of it may lie
    /// at or below `born_above`.
    pub(crate) fn create_trimmed(
        &mut self,
        name: &Topic,
        rule: (HistoryRule, OnSlow),
        trimmed: u64,
        born_above: u64,
        now_ms: u64,
    ) -> TopicId {
        let id = self.create(name, rule);
        let topic = &mut self.topics[id];
        (topic.last, topic.trimmed, topic.born_above) = (trimmed, trimmed, born_above);
        topic.last_ms = now_ms;
        self.empty_by_last.insert((trimmed, id));
        if trimmed > 0 {
            self.note_trim(id);
        }
        self.schedule(id);
        id
    }

    /// Nothing of the topic up to `to` is kept any more, be it known here or not.
    pub(crate) fn skip(&mut self, id: TopicId, to: u64) {
        while self.topics[id].entries.front().is_some_and(|entry| entry.seq() <= to) {
            self.trim_front(id);
        }
        let topic = &mut self.topics[id];
        if topic.trimmed >= to {
            return;
        }
        topic.trimmed = to;
        if topic.last < to {
            assert!(topic.entries.is_empty(), "what is kept is at or below the last");
            self.empty_by_last.remove(&(topic.last, id));
            topic.last = to;
            self.empty_by_last.insert((to, id));
        }
        self.note_trim(id);
    }

    /// Trims what is kept of a topic up to `to`.
    pub(crate) fn clear_to(&mut self, id: TopicId, to: u64) {
        while self.topics[id].entries.front().is_some_and(|entry| entry.seq() <= to) {
            self.trim_front(id);
        }
    }

    /// Adds earlier messages, seqs rising, that fit to the oldest kept without a break; up to `trimmed` nothing is kept.
    pub(crate) fn prepend(&mut self, id: TopicId, entries: Vec<Arc<Entry>>, trimmed: u64) {
        let topic = &mut self.topics[id];
        if let (Some(newest), Some(oldest)) = (entries.last(), topic.entries.front()) {
            assert!(newest.seq() < oldest.seq(), "earlier messages come before those kept");
        }
        topic.trimmed = trimmed;
        if !entries.is_empty() && topic.entries.is_empty() {
            self.empty_by_last.remove(&(topic.last, id));
        }
        for entry in entries.into_iter().rev() {
            self.bytes += entry.cost();
            self.ids_by_seq.insert(entry.seq(), id);
            self.topics[id].entries.push_front(entry);
        }
        while self.topics[id].entries.len() > self.topics[id].rule.count {
            self.trim_front(id);
        }
        self.schedule(id);
    }

    /// Drops the topics of a channel of which `is_unknown` says so.
    pub(crate) fn drop_where(&mut self, channel: &Channel, is_unknown: impl Fn(&str) -> bool) {
        let found: Vec<TopicId> = match channel {
            Channel::Topic(topic) => self.find(topic.as_str()).into_iter().collect(),
            Channel::Prefix(prefix) => {
                let topics = self.ids_by_name.range::<str, _>((Bound::Included(&**prefix), Bound::Unbounded));
                let topics = topics.take_while(|(name, _)| name.as_str().starts_with(&**prefix));
                topics.filter(|(name, _)| channel.covers(name.as_str())).map(|(_, id)| *id).collect()
            }
        };
        for id in found {
            if is_unknown(self.topics[id].name.as_str()) {
                self.drop_topic(id);
            }
        }
    }

    /// The next kept message above `seq`.
    pub(crate) fn next_above(&self, seq: u64) -> Option<(u64, TopicId)> {
        let mut above = self.ids_by_seq.range((Bound::Excluded(seq), Bound::Unbounded));
        above.next().map(|(seq, id)| (*seq, *id))
    }

    /// Knows nothing of a topic any more.
    pub(crate) fn drop_topic(&mut self, id: TopicId) {
        let topic = self.topics.remove(id).expect("a topic is dropped once");
        for entry in &topic.entries {
            self.bytes -= entry.cost();
            self.ids_by_seq.remove(&entry.seq());
        }
        self.ids_by_name.remove(&topic.name);
        self.trims.remove(&topic.trim);
        self.empty_by_last.remove(&(topic.last, id));
        self.due.remove(&(topic.due_ms, id));
    }

    /// Drops all above `seq`: it was numbered in a life that ended there.
    pub(crate) fn drop_above(&mut self, seq: u64) {
        for id in self.topics.keys().collect::<Vec<_>>() {
            let topic = &mut self.topics[id];
            if topic.entries.is_empty() {
                self.empty_by_last.remove(&(topic.last, id));
            }
            while let Some(newest) = topic.entries.pop_back_if(|entry| entry.seq() > seq) {
                self.bytes -= newest.cost();
                self.ids_by_seq.remove(&newest.seq());
            }
            topic.trimmed = topic.trimmed.min(seq);
            topic.born_above = topic.born_above.min(seq);
            topic.last = topic.entries.back().map_or(topic.last.min(seq), |newest| newest.seq());
            if topic.entries.is_empty() {
                // What was the last below may be any: up to there all counts as not kept.
                topic.trimmed = topic.last;
                self.empty_by_last.insert((topic.last, id));
            }
            self.schedule(id);
        }
        self.floor = self.floor.min(seq);
    }

    /// Drops all topics: nothing is known of any.
    pub(crate) fn drop_all(&mut self) {
        self.topics.keys().collect::<Vec<_>>().into_iter().for_each(|id| self.drop_topic(id));
        self.floor = 0;
    }

    /// Forgets a topic to make place for another: the longest idle empty one, else that of the oldest message.
    pub(crate) fn evict(&mut self) -> Option<Topic> {
        self.forget_longest_idle().or_else(|| {
            let (_, id) = self.ids_by_seq.first_key_value()?;
            let id = *id;
            self.clear(id);
            Some(self.forget(id))
        })
    }
}
