//! Doubts: whatever may be missing is read, the life of the numbering is judged, and holes are told, before anything
//! else is delivered.

use std::collections::{BTreeSet, VecDeque};

use fanfare_protocol::{Gap, Position, Topic};

use super::channels::Link;
use super::joined::{Mirror, RETRY_MS, Standing};
use super::{Ask, Channel, Numbered, Record, TopicRead};
use crate::entry::cost;
use crate::lives::Lives;
use crate::stats::DoubtCause;

/// How long to wait before what could not be read, or settled nothing, is read again.
const READ_AGAIN_MS: u64 = 200;

/// What is to be settled, and what came meanwhile.
pub(crate) struct Doubt {
    pub(crate) cause: DoubtCause,
    pub(crate) since_ms: u64,
    /// Channels whose confirmation must come before the read.
    unconfirmed: BTreeSet<Channel>,
    read: Option<u64>,
    /// What the connection began with.
    record: Option<Record>,
    /// When to read.
    due_ms: u64,
    held_back: VecDeque<HeldBack>,
    held_bytes: usize,
}

enum HeldBack {
    Message(Numbered),
    Cleared(Topic, Position),
}

impl Doubt {
    /// When something is to be done.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        (self.read.is_none() && self.unconfirmed.is_empty()).then_some(self.due_ms)
    }
}

impl Mirror<'_> {
    /// The backplane is reached: all that is wanted is asked for again.
    pub(crate) fn up(&mut self, record: Record) {
        if self.joined.away().is_none() {
            self.down("a new connection came".to_owned());
        }
        let since_ms = match &self.joined.standing {
            Standing::Away { since_ms, .. } if self.joined.has_epoch => *since_ms,
            Standing::Away { .. } | Standing::Doubt(_) | Standing::Sure => self.now.ms(),
        };
        let channels = &self.joined.channels;
        let wanted: Vec<Channel> = channels
            .all()
            .filter(|(channel, slot)| !slot.is_leaving && channels.cover(channel) == *channel)
            .map(|(channel, _)| channel)
            .collect();
        let mut unconfirmed = BTreeSet::new();
        for channel in &wanted {
            let slot = self.joined.channels.slot_mut(channel).expect("a wanted channel has a slot");
            slot.link = Link::Asked;
        }
        for channel in self.joined.channels.known() {
            unconfirmed.insert(self.joined.channels.cover(&channel));
        }
        if !wanted.is_empty() {
            self.joined.ask(Ask::Follow(wanted));
        }
        self.joined.counts.opened[DoubtCause::Connection as usize] += 1;
        self.joined.standing = Standing::Doubt(Doubt {
            cause: DoubtCause::Connection,
            since_ms,
            unconfirmed,
            read: None,
            record: Some(record),
            due_ms: 0,
            held_back: VecDeque::new(),
            held_bytes: 0,
        });
        self.try_to_resolve();
    }

    /// From here on nothing is applied until it is known what is missing.
    pub(crate) fn doubt(&mut self, cause: DoubtCause) {
        match &mut self.joined.standing {
            Standing::Away { .. } | Standing::Doubt(_) => return,
            Standing::Sure => {}
        }
        self.joined.reads.clear();
        self.joined.channels.slots_mut().for_each(|slot| slot.reading = None);
        self.joined.awaits.wait_until_sure();
        self.joined.counts.opened[cause as usize] += 1;
        self.joined.standing = Standing::Doubt(Doubt {
            cause,
            since_ms: self.now.ms(),
            unconfirmed: BTreeSet::new(),
            read: None,
            record: None,
            due_ms: self.joined.read_ms.map_or(0, |at| at + READ_AGAIN_MS),
            held_back: VecDeque::new(),
            held_bytes: 0,
        });
        self.try_to_resolve();
    }

    /// Keeps a message until it is known what comes before it; what does not fit is read instead.
    pub(crate) fn hold_back_message(&mut self, numbered: Numbered) {
        let bytes = cost(&numbered.message);
        self.hold_back(HeldBack::Message(numbered), bytes);
    }

    /// As [`Mirror::hold_back_message`], of a clear.
    pub(crate) fn hold_back_clear(&mut self, topic: Topic, to: Position) {
        let bytes = size_of::<HeldBack>() + topic.as_str().len();
        self.hold_back(HeldBack::Cleared(topic, to), bytes);
    }

    fn hold_back(&mut self, held: HeldBack, bytes: usize) {
        let bytes_max = self.partition.limits.doubt_bytes;
        let Standing::Doubt(doubt) = &mut self.joined.standing else { return };
        if doubt.held_bytes + bytes > bytes_max {
            // All that is held lies before what a read from now on brings.
            doubt.held_back.clear();
            (doubt.held_bytes, doubt.read) = (0, None);
            doubt.due_ms = self.now.ms() + READ_AGAIN_MS;
        }
        doubt.held_bytes += bytes;
        doubt.held_back.push_back(held);
    }

    /// A channel's messages come; a doubt that waits for that may be settled.
    pub(crate) fn link_is_up(&mut self, channel: &Channel) {
        if let Standing::Doubt(doubt) = &mut self.joined.standing {
            doubt.unconfirmed.remove(channel);
        }
        self.try_to_resolve();
    }

    /// Reads what may be missing, once all that is followed comes again.
    pub(crate) fn try_to_resolve(&mut self) {
        let now_ms = self.now.ms();
        let Standing::Doubt(doubt) = &mut self.joined.standing else { return };
        if doubt.read.is_some() || !doubt.unconfirmed.is_empty() || doubt.due_ms > now_ms {
            return;
        }
        let record = doubt.record.take();
        let channels = self.joined.channels.known();
        if channels.is_empty()
            && let Some(record) = record
        {
            return self.resolve(record, Vec::new());
        }
        let read = self.joined.next_number();
        let Standing::Doubt(doubt) = &mut self.joined.standing else { return };
        doubt.read = Some(read);
        self.joined.read_ms = Some(now_ms);
        self.joined.ask(Ask::Read { read, channels, above: self.partition.seq });
    }

    /// The answer to a doubt's read, if it is the one that is awaited.
    pub(crate) fn doubt_read(&mut self, read: u64, result: Result<(Record, Vec<TopicRead>), String>) {
        let Standing::Doubt(doubt) = &mut self.joined.standing else { return };
        if doubt.read != Some(read) {
            return;
        }
        doubt.read = None;
        match result {
            Ok((record, topics)) => self.resolve(record, topics),
            Err(_) => doubt.due_ms = self.now.ms() + RETRY_MS,
        }
    }

    fn resolve(&mut self, record: Record, topics: Vec<TopicRead>) {
        if self.enter_life(&record) {
            // What was read lies above what is lost: it does not tell what came in its place.
            let Standing::Doubt(doubt) = &mut self.joined.standing else { return };
            doubt.due_ms = self.now.ms();
            return self.try_to_resolve();
        }
        self.apply_missed(&record, topics);
        self.partition.seq = self.partition.seq.max(record.seq);
        let settled = std::mem::replace(&mut self.joined.standing, Standing::Sure);
        let Standing::Doubt(doubt) = settled else { unreachable!("only a doubt is resolved") };
        for held in doubt.held_back {
            match held {
                HeldBack::Message(numbered) => self.message(numbered),
                HeldBack::Cleared(topic, to) => self.cleared(topic, to),
            }
            if let Standing::Doubt(again) = &mut self.joined.standing {
                again.since_ms = doubt.since_ms;
            }
        }
        if matches!(self.joined.standing, Standing::Sure) {
            self.joined.counts.lasted.add(self.now.ms().saturating_sub(doubt.since_ms) * 1_000);
            self.sure();
        }
    }

    /// What waited for certainty goes on.
    fn sure(&mut self) {
        if self.joined.channels.slots_mut().any(|slot| matches!(slot.link, Link::Confirmed(_))) {
            let probe = self.joined.want_probe();
            for slot in self.joined.channels.slots_mut() {
                if let Link::Confirmed(after) = &mut slot.link {
                    *after = probe;
                }
            }
        }
        for channel in self.joined.channels.leaving.clone() {
            self.try_to_leave(&channel);
        }
        self.admit_sure();
    }

    /// Takes over the record's life; true if something that was told here is not part of it.
    fn enter_life(&mut self, record: &Record) -> bool {
        let partition = &mut *self.partition;
        let known_end = record.ended.iter().find(|(epoch, _)| *epoch == partition.epoch).map(|(_, end)| *end);
        let old = partition.top();
        let is_same = record.epoch == partition.epoch;
        let changes = partition.lives.changes + u64::from(!is_same);
        partition.lives = Lives { began: record.began, ended: record.ended.clone(), changes };
        if is_same {
            return false;
        }
        partition.epoch = record.epoch;
        self.joined.acked = self.joined.acked.filter(|acked| acked.epoch == record.epoch);
        if !std::mem::replace(&mut self.joined.has_epoch, true) {
            partition.seq = record.seq;
            partition.log.raise_floor(record.floor.min(record.seq));
            return false;
        }
        let end = known_end.unwrap_or(record.began);
        self.joined.counts.lives_ended += 1;
        let cleared = std::mem::take(&mut self.joined.cleared);
        if known_end.is_some() && old.seq <= end {
            // What was cleared here last may be kept on a server that was not told in time.
            for slot in self.joined.channels.slots_mut() {
                slot.complete_above = slot.complete_above.map(|above| above.max(cleared.min(end)));
            }
            return false;
        }
        match known_end {
            Some(_) => partition.log.drop_above(end),
            None => {
                partition.log.drop_all();
                partition.log.raise_floor(record.floor.min(end));
            }
        }
        partition.seq = end;
        for slot in self.joined.channels.slots_mut() {
            // What was trimmed here to make room for what is lost may be kept on the backplane.
            slot.complete_above = slot.complete_above.map(|_| end);
        }
        let gap = Gap { topic: None, from: old, to: partition.position(end), count: None };
        self.send_life_gap(gap);
        true
    }

    /// Applies what was read above the own seq, and tells what is missing of it.
    fn apply_missed(&mut self, record: &Record, topics: Vec<TopicRead>) {
        let (from, to) = (self.partition.seq, record.seq.max(self.partition.seq));
        let (mut missed, mut holes): (Vec<Numbered>, Vec<(Topic, u64)>) = (Vec::new(), Vec::new());
        let mut listed = BTreeSet::new();
        for TopicRead { name, last, kept } in topics {
            if kept.iter().all(|numbered| numbered.prev > 0) {
                listed.insert(name.clone());
            }
            if self.joined.channels.topic_known_above(name.as_str()).is_none() {
                continue;
            }
            let mut kept: Vec<Numbered> =
                kept.into_iter().filter(|numbered| numbered.message.position.seq > from).collect();
            kept.sort_by_key(|numbered| numbered.message.position.seq);
            let hole = kept.first().map_or(last, |oldest| oldest.prev);
            if hole > from {
                holes.push((name, hole.min(to)));
            }
            missed.extend(kept);
        }
        missed.sort_by_key(|numbered| numbered.message.position.seq);
        let told_to = if holes.len() > self.partition.limits.holes {
            to
        } else if record.floor > from {
            record.floor.min(to)
        } else {
            from
        };
        if told_to > from {
            if record.floor > from {
                self.partition.log.raise_births(record.floor.min(to), |name| listed.contains(name));
            }
            let (from, to) = (self.partition.position(from), self.partition.position(told_to));
            self.send_null_gap(Gap { topic: None, from, to, count: None });
            // Who falls behind in what follows was told this.
            self.partition.seq = told_to;
        }
        for (name, hole) in holes {
            self.note_hole(&name, from, hole, told_to);
        }
        for numbered in missed {
            let is_told = numbered.message.position.seq <= told_to;
            self.append(numbered, !is_told);
        }
    }

    fn note_hole(&mut self, name: &Topic, from: u64, hole: u64, told_to: u64) {
        let id = self.topic(name, hole);
        self.partition.log.skip(id, hole);
        if hole > told_to {
            let workers = self.partition.reach(name.as_str(), Some(id)).workers;
            let position = |seq| Position { epoch: self.partition.epoch, seq };
            let (from, to) = (position(from.max(told_to)), position(hole));
            self.send_gap(Gap { topic: Some(name.clone()), from, to, count: None }, workers);
        }
    }
}

#[cfg(test)]
mod tests;
