//! The mirror: what the backplane numbered is applied to the node's own log and sent to its workers, in order.

use std::sync::Arc;

use fanfare_protocol::{Gap, Position, Topic};

use super::channels::Link;
use super::joined::{Mirror, Standing};
use super::{Ask, Channel, Numbered, Record, TopicRead};
use crate::entry::Entry;
use crate::interest::WorkerSet;
use crate::log::TopicId;
use crate::stats::DoubtCause;

impl Mirror<'_> {
    /// A message of a followed channel.
    pub(crate) fn message(&mut self, numbered: Numbered) {
        if !matches!(self.joined.standing, Standing::Sure) {
            return self.hold_back_message(numbered);
        }
        let position = numbered.message.position;
        if position.epoch != self.partition.epoch {
            if self.partition.lives.end(position.epoch).is_some() {
                return;
            }
            self.doubt(DoubtCause::Life);
            return self.hold_back_message(numbered);
        }
        if position.seq <= self.partition.seq {
            return;
        }
        let known_above = self.joined.channels.topic_known_above(numbered.message.topic.as_str());
        if known_above.is_some() {
            if numbered.prev > self.partition.seq {
                self.doubt(DoubtCause::Hole);
                return self.hold_back_message(numbered);
            }
            self.tell_break(&numbered, known_above.unwrap_or(0));
            self.append(numbered, true);
        }
        self.partition.seq = position.seq;
    }

    /// A topic was trimmed on the backplane.
    pub(crate) fn cleared(&mut self, topic: Topic, to: Position) {
        if !matches!(self.joined.standing, Standing::Sure) {
            return self.hold_back_clear(topic, to);
        }
        if to.epoch != self.partition.epoch {
            match self.partition.lives.end(to.epoch) {
                // It was lost with what it cleared, and others were given the same seqs.
                Some(end) if to.seq > end => return,
                Some(_) => {}
                None => {
                    self.doubt(DoubtCause::Life);
                    return self.hold_back_clear(topic, to);
                }
            }
        }
        if let Some(id) = self.partition.log.find(topic.as_str()) {
            self.partition.log.clear_to(id, to.seq);
        }
        self.joined.cleared = self.joined.cleared.max(to.seq);
        for (read, channel) in &self.joined.reads {
            if channel.covers(topic.as_str())
                && let Some(reading) =
                    self.joined.channels.slot_mut(channel).and_then(|slot| slot.reading.as_mut())
                && reading.read == *read
            {
                reading.is_outdated = true;
            }
        }
    }

    /// Appends a message; those who want it get it, if they are to be sent it.
    pub(crate) fn append(&mut self, numbered: Numbered, is_sent: bool) {
        let prev = numbered.prev;
        let id = self.topic(&numbered.message.topic, prev);
        if self.partition.log.topic(id).is_some_and(|topic| topic.last < prev) {
            self.partition.log.skip(id, prev);
        }
        let workers = self.partition.reach(numbered.message.topic.as_str(), Some(id)).workers;
        let entry = self.entry(id, numbered);
        if is_sent {
            self.send(&entry, workers);
        }
        self.partition.log.append(id, entry.clone());
        self.partition.log.trim_to_bytes(self.partition.limits.history_bytes);
        self.partition.seq = self.partition.seq.max(entry.seq());
    }

    /// A message fell out of its topic without a trace: nobody can place it any more, but all are told.
    fn tell_break(&mut self, numbered: &Numbered, known_above: u64) {
        let name = numbered.message.topic.as_str();
        let id = self.partition.log.find(name);
        let last = id.and_then(|id| self.partition.log.topic(id)).map_or(0, |topic| topic.last);
        let from = last.max(known_above).max(self.partition.log.floor());
        if numbered.prev > from {
            let workers = self.partition.reach(name, id).workers;
            let (from, to) = (self.partition.position(from), self.partition.position(numbered.prev));
            let topic = Some(numbered.message.topic.clone());
            self.send_gap(Gap { topic, from, to, count: None }, workers);
        }
    }

    /// The topic of this name, made if it is new here: nothing of it up to `trimmed` is kept.
    pub(crate) fn topic(&mut self, name: &Topic, trimmed: u64) -> TopicId {
        if let Some(id) = self.partition.log.find(name.as_str()) {
            return id;
        }
        if self.partition.log.topics() >= self.partition.limits.topics {
            // Who follows the forgotten topic gets what comes; only its past is lost, up to the floor that this raises.
            self.partition.log.evict();
        }
        // A first message may follow those of an earlier life, which are known here only above this.
        let born_above = if trimmed > 0 {
            0
        } else {
            let known_above = self.joined.channels.topic_known_above(name.as_str());
            known_above.unwrap_or(self.partition.seq).max(self.partition.log.floor())
        };
        let rule = self.partition.rule_for(name.as_str());
        self.partition.log.create_trimmed(name, rule, trimmed, born_above, self.now.ms())
    }

    fn entry(&self, id: TopicId, numbered: Numbered) -> Arc<Entry> {
        let Numbered { message, prev, age_ms, ttl_s, origin } = numbered;
        let on_slow = self.partition.log.topic(id).expect("the topic was found under the same lock").on_slow;
        let origin = origin.filter(|(node, _)| *node == self.joined.node).map(|(_, session)| session);
        let numbered_us = self.now.us.saturating_sub(age_ms * 1_000);
        let expires_ms = ttl_s.map(|ttl_s| (self.now.ms() + u64::from(ttl_s) * 1_000).saturating_sub(age_ms));
        Arc::new(Entry::new(message, prev, numbered_us, expires_ms, origin, on_slow))
    }

    /// The answer to a read.
    pub(crate) fn read(&mut self, read: u64, result: Result<(Record, Vec<TopicRead>), String>) {
        let Some(channel) = self.joined.reads.remove(&read) else { return self.doubt_read(read, result) };
        let slot = self.joined.channels.slot_mut(&channel);
        let Some(reading) = slot.and_then(|slot| slot.reading.take()) else { return };
        let (record, topics) = match result {
            Ok(found) => found,
            Err(reason) => return self.refuse_read(read, &reason),
        };
        if record.epoch != self.partition.epoch {
            return self.doubt(DoubtCause::Life);
        }
        if reading.is_outdated || !reading.is_second && self.is_overtaken(&record, &topics) {
            self.ask_read(&channel, reading.lower.unwrap_or(reading.above));
            let again = self.joined.channels.slot_mut(&channel).and_then(|slot| slot.reading.as_mut());
            again.expect("it was asked for above").is_second = true;
        } else if let Some(known_above) = self.joined.channels.known_above(&channel) {
            for topic in topics {
                if channel.covers(topic.name.as_str()) {
                    self.merge(topic, reading.above, known_above, &record);
                }
            }
            if record.floor > reading.above {
                self.partition.log.raise_floor(record.floor.min(self.partition.seq));
            }
            self.partition.log.trim_to_bytes(self.partition.limits.history_bytes);
            let slot = self.joined.channels.slot_mut(&channel).expect("it was there above");
            slot.complete_above = Some(known_above.min(reading.above));
            if let Some(lower) = reading.lower {
                self.ask_read(&channel, lower);
            }
        }
        self.admit_read(read);
    }

    /// True if one of the topics is not in the log, and what came of it after the read may have been forgotten here.
    fn is_overtaken(&self, record: &Record, topics: &[TopicRead]) -> bool {
        let log = &self.partition.log;
        log.floor() > record.seq && topics.iter().any(|topic| log.find(topic.name.as_str()).is_none())
    }

    /// Puts what was read above `above` before what is known above `known_above`.
    fn merge(&mut self, topic: TopicRead, above: u64, known_above: u64, record: &Record) {
        let TopicRead { name, last, mut kept } = topic;
        kept.sort_by_key(|numbered| numbered.message.position.seq);
        // Kept messages follow each other without a break, so the oldest says where the hole before all of them ends.
        let mut trimmed = kept.first().map_or(last, |oldest| oldest.prev);
        let id = match self.partition.log.find(name.as_str()) {
            Some(id) => {
                let topic = self.partition.log.topic_mut(id).expect("it was found under the same lock");
                if trimmed == 0 && topic.trimmed == 0 && !kept.is_empty() && topic.last >= last {
                    // The first of its life: an earlier one lies at or below the floor.
                    topic.born_above = topic.born_above.min(record.floor);
                }
                id
            }
            None => {
                // Nothing of it came since then, or since it was forgotten here: what lies above will come by itself.
                let until = known_above.max(self.partition.log.floor());
                trimmed = trimmed.min(until);
                let seqs = kept.iter().map(|numbered| numbered.message.position.seq);
                let newest = seqs.filter(|seq| *seq <= until).max();
                if newest.is_none() && trimmed <= above {
                    return;
                }
                if self.partition.log.floor() > record.seq {
                    // Something of it may have come after the read, and been forgotten here: these are not the newest.
                    return;
                }
                let id = self.topic(&name, newest.unwrap_or(trimmed).max(trimmed));
                if trimmed == 0 {
                    self.partition.log.set_birth(id, record.floor);
                }
                id
            }
        };
        let own = self.partition.log.topic(id).expect("it was found under the same lock");
        let own_trimmed = own.trimmed;
        if trimmed >= own_trimmed || record.seq < own_trimmed {
            // It tells nothing more, or was read before what was trimmed here: that does not come back.
            return;
        }
        if trimmed == 0 {
            // Its birth is learnt by the read alone: an earlier life of it lies at or below the floor.
            self.partition.log.set_birth(id, record.floor.max(self.partition.log.birth(id)));
        }
        let earlier: Vec<Arc<Entry>> = kept
            .into_iter()
            .filter(|numbered| numbered.message.position.seq <= own_trimmed)
            .map(|numbered| self.entry(id, numbered))
            .collect();
        self.partition.log.prepend(id, earlier, trimmed);
    }

    /// These channels' messages come from here on.
    pub(crate) fn confirmed(&mut self, channels: Vec<Channel>) {
        for channel in channels {
            let Some(slot) = self.joined.channels.slot_mut(&channel) else { continue };
            if slot.link != Link::Asked {
                continue;
            }
            if self.joined.channels.known_above(&channel).is_some() {
                // Its messages came by another link, or a doubt will tell what is missing: nothing is to be awaited.
                let slot = self.joined.channels.slot_mut(&channel).expect("it was there above");
                slot.link = Link::Joined;
                self.link_is_up(&channel);
                self.joined_channel(&channel);
            } else {
                let probe = self.joined.want_probe();
                let slot = self.joined.channels.slot_mut(&channel).expect("it was there above");
                slot.link = Link::Confirmed(probe);
                self.link_is_up(&channel);
            }
        }
    }

    /// A probe is back: what was confirmed before it was asked for is complete above the own seq.
    pub(crate) fn join_confirmed(&mut self, probe: u64) {
        let is_done = |link: Link| matches!(link, Link::Confirmed(after) if after <= probe);
        let channels = self.joined.channels.all();
        let done: Vec<Channel> =
            channels.filter(|(_, slot)| is_done(slot.link)).map(|(channel, _)| channel).collect();
        for channel in done {
            let Some(slot) = self.joined.channels.slot_mut(&channel) else { continue };
            slot.link = Link::Joined;
            slot.complete_above = Some(self.partition.seq.min(slot.complete_above.unwrap_or(u64::MAX)));
            self.joined_channel(&channel);
        }
    }

    /// Follows a channel by itself if nothing wider is followed.
    pub(crate) fn follow(&mut self, channel: &Channel) {
        if self.joined.channels.cover(channel) != *channel {
            return;
        }
        let slot = self.joined.channels.slot_mut(channel).expect("a held channel has a slot");
        if slot.link == Link::None && self.joined.away().is_none() {
            self.joined.channels.slot_mut(channel).expect("it was there above").link = Link::Asked;
            self.joined.ask(Ask::Follow(vec![channel.clone()]));
        }
    }

    /// Sends a message to workers, each in its order.
    fn send(&mut self, entry: &Arc<Entry>, workers: WorkerSet) {
        let cost = entry.cost();
        for worker in workers.iter() {
            if self.joined.behind.contains_key(&worker) {
                continue;
            }
            if !self.inboxes[worker].has_room(cost) {
                self.fall_behind(worker);
            } else if self.inboxes[worker].push(entry.clone(), cost) {
                self.joined.wake.insert(worker);
            }
        }
    }
}
