//! Redis as its scripts make it: a record, lists and a directory, channels that forget, and a replication id that
//! changes with each promotion and restart. No network: who is connected is the daemon's business.

use std::collections::BTreeMap;

use fanfare_core::{Channel, HistoryRule, Numbered, Published, Record, Refusal, SessionId, TopicRead};
use fanfare_protocol::{Epoch, Message, Position, Publication, Topic};

use super::settings::Sabotage;
use super::truth::Truth;

/// How many ended lives a record remembers.
pub(super) const ENDED_MAX: usize = 8;

/// One Redis server.
#[derive(Debug)]
pub(super) struct Server {
    /// The replication id of its present life as a primary.
    pub(super) replid: u64,
    pub(super) data: Data,
    /// It takes no calls.
    pub(super) is_replica: bool,
    sabotage: Option<Sabotage>,
}

/// All that replicas copy.
#[derive(Debug, Clone, Default)]
pub(super) struct Data {
    record: Option<Kept>,
    topics: BTreeMap<Topic, Directory>,
    keys: BTreeMap<(Topic, Box<str>), Remembered>,
}

#[derive(Debug, Clone)]
struct Kept {
    record: Record,
    replid: u64,
}

/// A topic's place in the directory, and its list.
#[derive(Debug, Clone, Default)]
struct Directory {
    last: u64,
    last_ms: u64,
    age_ms: u64,
    list: Vec<Listed>,
}

#[derive(Debug, Clone)]
struct Listed {
    numbered: Numbered,
    at_ms: u64,
}

#[derive(Debug, Clone)]
struct Remembered {
    publication: Publication,
    position: Position,
    until_ms: u64,
}

/// The newest seq that a node has seen of each life.
pub(super) type Seen = BTreeMap<u64, u64>;

/// What a node hands to the script that publishes.
pub(super) struct Call<'a> {
    pub(super) seen: &'a Seen,
    pub(super) topic: Topic,
    pub(super) publication: Publication,
    pub(super) origin: Option<(u64, SessionId)>,
    pub(super) rule: HistoryRule,
    pub(super) now_ms: u64,
}

/// How long an idempotency key is remembered.
pub(super) const KEY_MS: u64 = 120_000;

impl Server {
    pub(super) fn new(replid: u64, sabotage: Option<Sabotage>) -> Server {
        Server { replid, data: Data::default(), is_replica: true, sabotage }
    }

    /// It becomes a primary, or starts again with what it has.
    pub(super) fn promote(&mut self, truth: &mut Truth) {
        (self.replid, self.is_replica) = (truth.next_replid(), false);
    }

    /// The first part of every script: ends an epoch that can't be trusted any more, and returns the record.
    pub(super) fn fence(&mut self, seen: &Seen, truth: &mut Truth) -> &mut Record {
        let replid = self.replid;
        let kept = self.data.record.get_or_insert_with(|| {
            let record = Record { epoch: truth.begin_life(None), began: 0, seq: 0, floor: 0, ended: vec![] };
            Kept { record, replid }
        });
        let Kept { record, replid: known } = kept;
        let is_behind = seen.get(&record.epoch.life).is_some_and(|seen| *seen > record.seq);
        let is_fenced = self.sabotage != Some(Sabotage::NoFence);
        if !is_fenced {
            *known = replid;
        } else if *known != replid || is_behind {
            record.ended.push((record.epoch, record.seq));
            if record.ended.len() > ENDED_MAX {
                record.ended.remove(0);
            }
            let end = Position { epoch: record.epoch, seq: record.seq };
            (record.epoch, record.began) = (truth.begin_life(Some(end)), record.seq);
            *known = replid;
            if self.sabotage == Some(Sabotage::NoEndedLives) {
                record.ended.clear();
            }
        }
        record
    }

    /// Numbers, keeps and returns a message to be spread, unless its key is known.
    pub(super) fn publish(
        &mut self,
        call: Call<'_>,
        truth: &mut Truth,
    ) -> (Result<Published, Refusal>, Option<Numbered>) {
        let Call { seen, topic, publication, origin, rule, now_ms } = call;
        self.fence(seen, truth);
        let key = publication.idempotency_key.clone().map(|key| (topic.clone(), key));
        if let Some(known) = key.as_ref().and_then(|key| self.data.keys.get(key))
            && known.until_ms > now_ms
            && self.sabotage != Some(Sabotage::NoKeys)
        {
            let (position, heard) = (known.position, false);
            let result = (known.publication == publication).then_some(Published {
                position,
                heard,
                receivers: None,
                repeated: true,
            });
            return (result.ok_or(Refusal::IdempotencyMismatch), None);
        }
        let record = &mut self.data.record.as_mut().expect("the fence made it").record;
        record.seq += 1;
        let position = Position { epoch: record.epoch, seq: record.seq };
        let directory = self.data.topics.entry(topic.clone()).or_default();
        let numbered = numbered(&topic, position, &publication, directory.last, origin, now_ms);
        truth.number(&numbered, now_ms);
        (directory.last, directory.last_ms, directory.age_ms) = (position.seq, now_ms, rule.age_ms);
        directory.list.push(Listed { numbered: numbered.clone(), at_ms: now_ms });
        let over = directory.list.len().saturating_sub(rule.count);
        directory.list.drain(..over);
        if let Some(key) = key {
            let until_ms = now_ms + KEY_MS;
            self.data.keys.insert(key, Remembered { publication, position, until_ms });
        }
        let published = Published { position, heard: true, receivers: None, repeated: false };
        (Ok(published), Some(numbered))
    }

    /// All that is kept above a seq beneath some channels.
    pub(super) fn read(&self, channels: &[Channel], above: u64, now_ms: u64) -> Vec<TopicRead> {
        let topics = self.data.topics.iter().filter(|(topic, directory)| {
            directory.last > above && channels.iter().any(|channel| channel.covers(topic.as_str()))
        });
        topics
            .map(|(topic, directory)| {
                let young = |listed: &&Listed| listed.at_ms + directory.age_ms > now_ms;
                let kept = directory.list.iter().filter(young);
                let kept = kept.filter(|listed| listed.numbered.message.position.seq > above);
                let aged =
                    kept.map(|listed| Numbered { age_ms: now_ms - listed.at_ms, ..listed.numbered.clone() });
                TopicRead { name: topic.clone(), last: directory.last, kept: aged.collect() }
            })
            .collect()
    }

    /// Trims all of a topic: how many went, and up to which seq.
    pub(super) fn clear(&mut self, topic: &Topic) -> (usize, u64) {
        let Some(directory) = self.data.topics.get_mut(topic) else { return (0, 0) };
        (directory.list.drain(..).count(), directory.last)
    }

    /// Forgets the topics that keep nothing and were idle for so long, which raises the floor.
    pub(super) fn sweep(&mut self, now_ms: u64, idle_ms: u64) {
        let Data { record: Some(kept), topics, .. } = &mut self.data else { return };
        let floor = &mut kept.record.floor;
        topics.retain(|_, directory| {
            directory.list.retain(|listed| listed.at_ms + directory.age_ms > now_ms);
            let is_kept = !directory.list.is_empty() || directory.last_ms + idle_ms > now_ms;
            *floor = if is_kept { *floor } else { directory.last.max(*floor) };
            is_kept
        });
    }

    /// The seqs of what is kept of a topic.
    pub(super) fn kept(&self, topic: &str, now_ms: u64) -> Vec<u64> {
        let Some(directory) = self.data.topics.get(topic) else { return Vec::new() };
        let young = directory.list.iter().filter(|listed| listed.at_ms + directory.age_ms > now_ms);
        young.map(|listed| listed.numbered.message.position.seq).collect()
    }

    /// The life that it goes on with.
    pub(super) fn epoch(&self) -> Option<Epoch> {
        let kept = self.data.record.as_ref().filter(|kept| kept.replid == self.replid);
        kept.map(|kept| kept.record.epoch)
    }
}

fn numbered(
    topic: &Topic,
    position: Position,
    publication: &Publication,
    prev: u64,
    origin: Option<(u64, SessionId)>,
    now_ms: u64,
) -> Numbered {
    let message = Message {
        topic: topic.clone(),
        position,
        payload: publication.payload.clone(),
        media_type: publication.media_type.clone(),
        time: Some(now_ms),
        user: None,
        headers: publication.headers.clone(),
    };
    Numbered { message, prev, age_ms: 0, ttl_s: publication.ttl_s, origin }
}

#[cfg(test)]
mod tests {
    use fanfare_protocol::Payload;

    use super::*;
    use crate::it::joined::truth::Drafted;

    /// Publishes the draft of this tag.
    fn publish(server: &mut Server, truth: &mut Truth, tag: usize, seen: &Seen) -> Published {
        let Drafted { topic, publication, .. } = &truth.drafts[tag];
        let (topic, publication, rule) = (topic.clone(), publication.clone(), HistoryRule::default());
        let call = Call { seen, topic, publication, origin: None, rule, now_ms: 1 };
        server.publish(call, truth).0.unwrap()
    }

    fn truth(drafts: usize) -> Truth {
        let mut truth = Truth::default();
        for tag in 0..drafts {
            let payload = Payload::Binary(format!("{tag} ").into());
            let idempotency_key = Some(tag.to_string().into());
            let publication = Publication { idempotency_key, ..Publication::new(payload) };
            truth.drafts.push(Drafted::new(Topic::parse("a").unwrap(), publication));
        }
        truth
    }

    #[test]
    fn a_promoted_server_begins_a_life_that_continues_the_numbers() {
        let mut truth = truth(3);
        let mut server = Server::new(truth.next_replid(), None);
        let first = publish(&mut server, &mut truth, 0, &Seen::new()).position;
        let mut replica = Server::new(truth.next_replid(), None);
        replica.data = server.data.clone();
        let lost = publish(&mut server, &mut truth, 1, &Seen::new()).position;
        replica.promote(&mut truth);
        let second = publish(&mut replica, &mut truth, 2, &Seen::new()).position;
        assert_eq!((first.seq, lost.seq, second.seq), (1, 2, 2));
        assert!(truth.facts.leads_to(first, second.epoch) && !truth.facts.leads_to(lost, second.epoch));
    }

    #[test]
    fn a_life_ends_when_a_caller_has_seen_more_of_it() {
        let mut truth = truth(2);
        let mut server = Server::new(truth.next_replid(), None);
        let first = publish(&mut server, &mut truth, 0, &Seen::new()).position;
        let seen = Seen::from([(first.epoch.life, 9)]);
        let second = publish(&mut server, &mut truth, 1, &seen).position;
        assert!(second.epoch != first.epoch && second.seq == 2);
    }

    #[test]
    fn a_known_key_is_answered_with_its_first_position() {
        let mut truth = truth(1);
        let mut server = Server::new(truth.next_replid(), None);
        let first = publish(&mut server, &mut truth, 0, &Seen::new());
        let again = publish(&mut server, &mut truth, 0, &Seen::new());
        assert!(again.repeated && again.position == first.position);
    }
}
