//! The partition's log: its topics, what is kept of them, and what was trimmed.

mod mirror;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use fanfare_protocol::{Filter, OnSlow, Topic};
use slotmap::SlotMap;

use crate::entry::Entry;
use crate::interest::Reach;
use crate::limits::HistoryRule;
use crate::spare::shrink;

slotmap::new_key_type! {
    /// Finds a topic's log; the id of a forgotten topic is never given again.
    pub struct TopicId;
}

/// The kept messages of all topics in order of seq, each topic's own, and the indexes between.
#[derive(Debug, Default)]
pub(crate) struct Log {
    topics: SlotMap<TopicId, TopicLog>,
    ids_by_name: BTreeMap<Topic, TopicId>,
    /// Every kept message.
    ids_by_seq: BTreeMap<u64, TopicId>,
    /// Topics that were ever trimmed, by the number of their newest trim.
    trims: BTreeMap<u64, TopicId>,
    trim_count: u64,
    /// Topics that keep nothing, by their last seq: the longest idle first.
    empty_by_last: BTreeSet<(u64, TopicId)>,
    /// When each topic is looked at again.
    due: BTreeSet<(u64, TopicId)>,
    bytes: usize,
    /// Topics up to this seq may have been forgotten.
    floor: u64,
    numbering_ttl_ms: u64,
}

/// One topic: what is kept of it and what is known of the rest.
#[derive(Debug)]
pub(crate) struct TopicLog {
    pub(crate) name: Topic,
    pub(crate) rule: HistoryRule,
    pub(crate) on_slow: OnSlow,
    /// The kept messages, seqs rising.
    pub(crate) entries: VecDeque<Arc<Entry>>,
    /// The seq of its newest message; 0: none yet.
    pub(crate) last: u64,
    /// The seq of its newest message that is not kept; 0: none.
    pub(crate) trimmed: u64,
    /// The log's floor when the topic was new: an earlier life of it may lie below.
    pub(crate) born_above: u64,
    /// Messages published in this life.
    pub(crate) published: u64,
    /// When the newest was numbered.
    pub(crate) last_ms: u64,
    /// Who gets it, as far as that is up to date.
    pub(crate) reach: Reach,
    trim: u64,
    due_ms: u64,
}

impl Log {
    pub(crate) fn new(numbering_ttl_ms: u64) -> Log {
        Log { numbering_ttl_ms, ..Log::default() }
    }

    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn kept(&self) -> usize {
        self.ids_by_seq.len()
    }

    pub(crate) fn topics(&self) -> usize {
        self.topics.len()
    }

    pub(crate) fn trim_count(&self) -> u64 {
        self.trim_count
    }

    pub(crate) fn find(&self, name: &str) -> Option<TopicId> {
        self.ids_by_name.get(name).copied()
    }

    pub(crate) fn topic(&self, id: TopicId) -> Option<&TopicLog> {
        self.topics.get(id)
    }

    pub(crate) fn topic_mut(&mut self, id: TopicId) -> Option<&mut TopicLog> {
        self.topics.get_mut(id)
    }

    /// Makes a topic that has no message yet; one must follow, or it is never looked at again.
    pub(crate) fn create(&mut self, name: &Topic, (rule, on_slow): (HistoryRule, OnSlow)) -> TopicId {
        let born_above = self.floor;
        let id = self.topics.insert(TopicLog {
            name: name.clone(),
            rule,
            on_slow,
            entries: VecDeque::new(),
            last: 0,
            trimmed: 0,
            born_above,
            published: 0,
            last_ms: 0,
            reach: Reach::default(),
            trim: 0,
            due_ms: 0,
        });
        let known = self.ids_by_name.insert(name.clone(), id);
        assert!(known.is_none(), "a topic is created once a life");
        id
    }

    /// Appends the topic's next message and trims to its count.
    pub(crate) fn append(&mut self, id: TopicId, entry: Arc<Entry>) {
        let topic = self.topics.get_mut(id).expect("the topic was found under the same lock");
        let (seq, now_ms, count) = (entry.seq(), entry.numbered_ms(), topic.rule.count);
        assert!(seq > topic.last, "seqs rise");
        let was_empty = topic.entries.is_empty();
        if was_empty {
            self.empty_by_last.remove(&(topic.last, id));
        }
        (topic.last, topic.last_ms) = (seq, now_ms);
        topic.published += 1;
        self.bytes += entry.cost();
        topic.entries.push_back(entry);
        self.ids_by_seq.insert(seq, id);
        while self.topics[id].entries.len() > count {
            self.trim_front(id);
        }
        if was_empty && count > 0 {
            self.schedule(id);
        }
    }

    /// Trims the oldest messages of all topics until at most `bytes_max` are kept.
    pub(crate) fn trim_to_bytes(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            let Some((_, id)) = self.ids_by_seq.first_key_value() else { return };
            self.trim_front(*id);
        }
    }

    /// Trims all that is kept of a topic; its numbering goes on.
    pub(crate) fn clear(&mut self, id: TopicId) -> usize {
        let kept = self.topics[id].entries.len();
        for _ in 0..kept {
            self.trim_front(id);
        }
        kept
    }

    /// Trims what is too old and forgets topics that are idle for too long; looks at most at `topics_max` of them.
    /// The names of the forgotten are added to `forgotten`. True if nothing more is due.
    pub(crate) fn expire(&mut self, now_ms: u64, topics_max: usize, forgotten: &mut Vec<Topic>) -> bool {
        for _ in 0..topics_max {
            let Some(&(due_ms, id)) = self.due.first() else { return true };
            if due_ms > now_ms {
                return true;
            }
            self.due.pop_first();
            let age_ms = self.topics[id].rule.age_ms;
            while let Some(oldest) = self.topics[id].entries.front()
                && oldest.numbered_ms() + age_ms <= now_ms
            {
                self.trim_front(id);
            }
            let topic = &self.topics[id];
            if topic.entries.is_empty() && topic.last_ms + self.numbering_ttl_ms <= now_ms {
                forgotten.push(self.forget(id));
            } else {
                self.schedule(id);
            }
        }
        false
    }

    /// Forgets the longest idle topic that keeps nothing; `None` if there is none.
    pub(crate) fn forget_longest_idle(&mut self) -> Option<Topic> {
        let (_, id) = self.empty_by_last.first()?;
        Some(self.forget(*id))
    }

    /// The topics that a filter matches and that have had a message.
    pub(crate) fn matching<'a>(
        &'a self,
        filter: &'a Filter,
    ) -> impl Iterator<Item = (TopicId, &'a TopicLog)> {
        let prefix = filter.literal_prefix();
        let exact = filter.is_topic();
        self.ids_by_name
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(
                move |(name, _)| {
                    if exact { name.as_str() == prefix } else { name.as_str().starts_with(prefix) }
                },
            )
            .filter(move |(name, _)| exact || filter.matches(name.as_str()))
            .map(|(_, id)| (*id, &self.topics[*id]))
    }

    /// The names after `after`, in order, of the topics that `filter` matches.
    pub(crate) fn list<'a>(
        &'a self,
        filter: &'a Filter,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a TopicLog> {
        let prefix = filter.literal_prefix();
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.ids_by_name
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(move |(name, _)| name.as_str().starts_with(prefix))
            .filter(move |(name, _)| filter.matches(name.as_str()))
            .map(|(_, id)| &self.topics[*id])
    }

    /// The topics trimmed after trim number `seen`, each once.
    pub(crate) fn trimmed_since(&self, seen: u64) -> impl Iterator<Item = (TopicId, &TopicLog)> {
        self.trims.range((Bound::Excluded(seen), Bound::Unbounded)).map(|(_, id)| (*id, &self.topics[*id]))
    }

    /// All kept messages above `seq`, rising.
    pub(crate) fn above(&self, seq: u64) -> impl Iterator<Item = (u64, &TopicLog)> {
        self.ids_by_seq
            .range((Bound::Excluded(seq), Bound::Unbounded))
            .map(|(seq, id)| (*seq, &self.topics[*id]))
    }

    fn trim_front(&mut self, id: TopicId) {
        let topic = &mut self.topics[id];
        let oldest = topic.entries.pop_front().expect("there is a message to trim");
        topic.trimmed = oldest.seq();
        self.bytes -= oldest.cost();
        self.ids_by_seq.remove(&oldest.seq());
        shrink(&mut topic.entries);
        let is_empty = topic.entries.is_empty();
        if is_empty {
            topic.entries = VecDeque::new();
            self.empty_by_last.insert((topic.last, id));
        }
        self.note_trim(id);
        if is_empty {
            self.schedule(id);
        }
    }

    /// Numbers a trim of the topic, so that replays look at it again.
    fn note_trim(&mut self, id: TopicId) {
        let topic = &mut self.topics[id];
        self.trims.remove(&topic.trim);
        self.trim_count += 1;
        topic.trim = self.trim_count;
        self.trims.insert(topic.trim, id);
    }

    fn forget(&mut self, id: TopicId) -> Topic {
        let topic = self.topics.remove(id).expect("a topic is forgotten once");
        assert!(topic.entries.is_empty(), "only a topic that keeps nothing is forgotten");
        self.ids_by_name.remove(&topic.name);
        self.trims.remove(&topic.trim);
        self.empty_by_last.remove(&(topic.last, id));
        self.due.remove(&(topic.due_ms, id));
        self.floor = self.floor.max(topic.last);
        topic.name
    }

    fn schedule(&mut self, id: TopicId) {
        let topic = &mut self.topics[id];
        self.due.remove(&(topic.due_ms, id));
        topic.due_ms = match topic.entries.front() {
            Some(oldest) => oldest.numbered_ms() + topic.rule.age_ms,
            None => topic.last_ms + self.numbering_ttl_ms,
        };
        self.due.insert((topic.due_ms, id));
    }
}

impl TopicLog {
    /// Its kept messages above `seq`.
    pub(crate) fn above(&self, seq: u64) -> impl Iterator<Item = &Arc<Entry>> {
        let first = self.entries.partition_point(|entry| entry.seq() <= seq);
        self.entries.range(first..)
    }

    /// Its kept messages at or below `seq`, the newest first, up to the first hole: an earlier life of the topic may lie
    /// before it.
    pub(crate) fn newest_first(&self, seq: u64) -> impl Iterator<Item = &Arc<Entry>> {
        let end = self.entries.partition_point(|entry| entry.seq() <= seq);
        let mut prev = None;
        let is_next =
            move |entry: &&Arc<Entry>| prev.replace(entry.prev).is_none_or(|prev| prev == entry.seq());
        self.entries.range(..end).rev().take_while(is_next)
    }

    /// Its kept message of this seq.
    pub(crate) fn at(&self, seq: u64) -> Option<&Arc<Entry>> {
        let index = self.entries.binary_search_by_key(&seq, |entry| entry.seq()).ok()?;
        self.entries.get(index)
    }
}

#[cfg(test)]
mod tests;
