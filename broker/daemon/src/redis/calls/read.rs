//! Reading what is kept: a snapshot, though it takes many calls, none of which holds the server up for long.

use std::collections::BTreeMap;

use bytes::Bytes;
use fanfare_core::{Channel, Numbered, Record, TopicRead};
use fanfare_protocol::Topic;
use redis::Value;

use super::{Calls, LISTS_PER_CALL, TOPICS_PER_CALL, parse};
use crate::redis::envelope::{Envelope, decode};
use crate::redis::fault::Fault;
use crate::redis::scripts::Script;

/// The most bytes of one call's answer, but for the entry that goes beyond.
const BYTES_PER_CALL: usize = 256 * 1024;
/// How often a read begins again because the life ended under it.
const ATTEMPTS_MAX: usize = 3;

/// One call's answer.
struct Page {
    record: Record,
    /// Of the topics asked for, in order, as many as there was room for: last seq and entries, the newest first.
    topics: Vec<(u64, Vec<Numbered>)>,
    /// How many entries of the last topic are known, if there are more.
    known: Option<usize>,
    bytes: usize,
}

impl Calls {
    /// What is kept above a seq of the topics on these channels, and the record of the moment at which it was so.
    pub(in crate::redis) async fn read(
        &self,
        channels: &[Channel],
        above: u64,
    ) -> Result<(Record, Vec<TopicRead>), Fault> {
        for _ in 0..ATTEMPTS_MAX {
            if let Some(read) = self.try_to_read(channels, above).await? {
                return Ok(read);
            }
        }
        Err(Fault::Away("the numbering on Redis begins anew again and again".to_owned()))
    }

    /// None if the life ended meanwhile.
    async fn try_to_read(
        &self,
        channels: &[Channel],
        above: u64,
    ) -> Result<Option<(Record, Vec<TopicRead>)>, Fault> {
        let mut read =
            Reading { record: None, above, topics: BTreeMap::new(), bytes_left: self.bounds.read_bytes };
        let mut names: Vec<Topic> = Vec::new();
        let mut prefixes: Vec<&str> = Vec::new();
        for channel in channels {
            match channel {
                Channel::Topic(topic) => names.push(topic.clone()),
                Channel::Prefix(prefix) => prefixes.push(prefix),
            }
        }
        let mut from = Some(above).filter(|_| !prefixes.is_empty());
        while let Some(above) = from {
            let found = self.find(above, TOPICS_PER_CALL, &prefixes).await?;
            let Some(first) = read.note(found.record) else { return Ok(None) };
            // What was numbered after the first look is another's: it comes on the channels.
            let later = first.seq;
            names.extend(found.topics.into_iter().map(|(topic, _)| topic));
            from = found.next.filter(|next| *next < later);
        }
        names.sort_unstable();
        names.dedup();
        let mut left = &names[..];
        let mut skip = 0;
        while !left.is_empty() || read.record.is_none() {
            let asked = &left[..left.len().min(LISTS_PER_CALL)];
            let page = self.page(asked, above, skip, read.bytes_left.min(BYTES_PER_CALL)).await?;
            let (done, known) = (page.topics.len(), page.known);
            if !read.add(asked, page) {
                return Ok(None);
            }
            // Once the answer has its size the rest is only named, and so counts as missing.
            let goes_on = known.filter(|_| read.bytes_left > 0);
            skip = goes_on.unwrap_or(0);
            left = &left[if goes_on.is_some() { done - 1 } else { done }..];
        }
        Ok(Some(read.end()))
    }

    async fn page(&self, topics: &[Topic], above: u64, skip: usize, bytes: usize) -> Result<Page, Fault> {
        let lists: Vec<String> = topics.iter().map(|topic| self.keys.list(topic.as_str())).collect();
        let lists: Vec<&str> = lists.iter().map(String::as_str).collect();
        let command = self.script(Script::Read, &lists, |command| {
            command.arg(above).arg(bytes).arg(skip);
            topics.iter().for_each(|topic| _ = command.arg(topic.as_str()));
        });
        type Answer = (u64, u64, u64, u64, String, u64, Vec<(u64, Vec<Value>)>, Option<usize>);
        let answer = self.call(command, Script::Read).await?;
        // The last element is there only if there is more.
        let Value::Array(mut values) = answer else { return Err(Fault::odd("a read")) };
        values.resize(8, Value::Nil);
        let (life, began, seq, floor, ended, now_ms, topics, known): Answer =
            parse(Value::Array(values), "a read")?;
        let record = self.noted(life, began, seq, floor, &ended)?;
        let mut page = Page { record, topics: Vec::with_capacity(topics.len()), known, bytes: 0 };
        for (last, entries) in topics {
            let kept = entries.into_iter().filter_map(|entry| {
                let Value::BulkString(bytes) = entry else { return None };
                page.bytes += bytes.len();
                self.entry(bytes.into(), now_ms)
            });
            let kept = kept.collect();
            page.topics.push((last, kept));
        }
        Ok(page)
    }

    /// A kept message; what can't be read counts as not kept, and so as missing.
    fn entry(&self, bytes: Bytes, now_ms: u64) -> Option<Numbered> {
        match decode(bytes, self.partition, Some(now_ms)) {
            Ok(Envelope::Message(numbered)) => Some(*numbered),
            Ok(Envelope::Cleared { .. } | Envelope::Probed { .. }) => None,
            Err(error) => {
                tracing::warn!(%error, "a message that is kept on Redis can't be read");
                None
            }
        }
    }
}

/// A read under way.
struct Reading {
    /// As it was at the first call, but for its floor.
    record: Option<Record>,
    above: u64,
    topics: BTreeMap<Topic, TopicRead>,
    bytes_left: usize,
}

impl Reading {
    /// The first call's record, if that of a call is of the same life.
    fn note(&mut self, record: Record) -> Option<&Record> {
        let first = self.record.get_or_insert_with(|| record.clone());
        // A topic that is forgotten between two calls is in none of their answers.
        first.floor = first.floor.max(record.floor.min(first.seq));
        (first.epoch == record.epoch).then_some(first)
    }

    /// Adds a page; false if its life is another than that of the pages before.
    fn add(&mut self, asked: &[Topic], page: Page) -> bool {
        if self.note(page.record).is_none() {
            return false;
        }
        self.bytes_left = self.bytes_left.saturating_sub(page.bytes);
        for (name, (last, newest_first)) in asked.iter().zip(page.topics) {
            if last <= self.above {
                continue;
            }
            let topic = self.topics.entry(name.clone()).or_insert_with(|| TopicRead {
                name: name.clone(),
                last,
                kept: Vec::new(),
            });
            topic.kept.extend(newest_first);
        }
        true
    }

    /// What was there at the moment of the record: what was numbered later comes on the channels.
    fn end(self) -> (Record, Vec<TopicRead>) {
        let record = self.record.expect("at least one call was answered");
        let topics = self.topics.into_values().filter_map(|mut topic| {
            topic.kept.retain(|numbered| is_of(&record, numbered));
            topic.kept.sort_unstable_by_key(seq);
            topic.kept.dedup_by_key(|numbered| seq(numbered));
            let later = topic.kept.partition_point(|numbered| seq(numbered) <= record.seq);
            if topic.last > record.seq {
                // The last one then is what stands before the first later one; unknown if that is not kept.
                topic.last = topic.kept.get(later).map_or(record.seq, |one| one.prev.min(record.seq));
            }
            topic.kept.truncate(later);
            keep_unbroken(&mut topic);
            (topic.last > self.above).then_some(topic)
        });
        let topics = topics.collect();
        (record, topics)
    }
}

/// Leaves what follows each other up to the topic's last message: below an entry that can't be read all counts as missing.
fn keep_unbroken(topic: &mut TopicRead) {
    let TopicRead { last, kept, .. } = topic;
    if kept.last().is_some_and(|newest| seq(newest) != *last) {
        return kept.clear();
    }
    let broken = kept.windows(2).rposition(|pair| pair[1].prev != seq(&pair[0]));
    kept.drain(..broken.map_or(0, |at| at + 1));
}

fn seq(numbered: &Numbered) -> u64 {
    numbered.message.position.seq
}

/// False for what a life left behind that the record knows nothing of.
fn is_of(record: &Record, numbered: &Numbered) -> bool {
    let epoch = numbered.message.position.epoch;
    epoch == record.epoch || record.ended.iter().any(|(ended, end)| *ended == epoch && seq(numbered) <= *end)
}

#[cfg(test)]
mod tests {
    use fanfare_protocol::Epoch;

    use super::*;

    #[test]
    fn a_topic_that_is_forgotten_between_two_calls_lies_at_or_below_the_floor_that_is_told() {
        for (floors, told) in [([3, 3], 3), ([3, 7], 7), ([3, 12], 10)] {
            let mut read = Reading { record: None, above: 0, topics: BTreeMap::new(), bytes_left: 100 };
            for (floor, seq) in floors.into_iter().zip([10, 14]) {
                let epoch = Epoch { partition: 0, life: 1 };
                let record = Record { epoch, began: 0, seq, floor, ended: Vec::new() };
                assert!(read.add(&[], Page { record, topics: Vec::new(), known: None, bytes: 0 }));
            }
            let (record, topics) = read.end();
            assert_eq!((record.floor, record.seq, topics.len()), (told, 10, 0));
        }
    }
}
