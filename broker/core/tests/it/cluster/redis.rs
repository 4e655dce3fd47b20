//! A backplane in plain data: servers that number, keep, spread, replicate and fail, by the rules that the real
//! scripts follow.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fanfare_core::{Channel, HistoryRule, Numbered, Published, Record, SessionId, Told, TopicRead};
use fanfare_protocol::{Epoch, Message, Position, Publication, Topic};

/// Which messages every life of the numbering has, and where it branched off.
#[derive(Default)]
pub(super) struct Truth {
    lives: u64,
    /// The epoch that each one goes on from, and at which seq.
    parents: BTreeMap<Epoch, (Epoch, u64)>,
    messages: BTreeMap<Epoch, BTreeMap<u64, (Topic, usize)>>,
}

impl Truth {
    pub(super) fn message(&self, position: Position) -> Option<&(Topic, usize)> {
        self.messages.get(&position.epoch)?.get(&position.seq)
    }

    /// All messages above `from` and up to `to` of the timeline on which `to` lies.
    pub(super) fn between(&self, from: u64, to: Position) -> Vec<(Position, &Topic)> {
        let (mut found, mut epoch, mut end) = (Vec::new(), to.epoch, to.seq);
        loop {
            if let Some(messages) = self.messages.get(&epoch)
                && from < end
            {
                let here = messages.range(from + 1..=end);
                found.extend(here.map(|(seq, (topic, _))| (Position { epoch, seq: *seq }, topic)));
            }
            let Some((parent, branched)) = self.parents.get(&epoch) else { break };
            (epoch, end) = (*parent, end.min(*branched));
        }
        found
    }

    /// The life in which a position of a later one, below its beginning, was numbered.
    pub(super) fn origin(&self, mut position: Position) -> Position {
        while let Some((parent, branched)) = self.parents.get(&position.epoch)
            && position.seq <= *branched
        {
            position.epoch = *parent;
        }
        position
    }

    /// True if a position lies on the timeline of a life.
    pub(super) fn is_on(&self, position: Position, mut epoch: Epoch) -> bool {
        let mut end = u64::MAX;
        loop {
            if epoch == position.epoch {
                return position.seq <= end;
            }
            let Some((parent, branched)) = self.parents.get(&epoch) else { return false };
            (epoch, end) = (*parent, end.min(*branched));
        }
    }

    fn begin_life(&mut self, parent: Option<(Epoch, u64)>) -> Epoch {
        self.lives += 1;
        let epoch = Epoch { partition: 0, life: self.lives };
        if let Some(parent) = parent {
            self.parents.insert(epoch, parent);
        }
        epoch
    }
}

#[derive(Clone)]
struct Kept {
    numbered: Numbered,
    at_ms: u64,
}

#[derive(Clone, Default)]
struct TopicState {
    last: u64,
    kept: VecDeque<Kept>,
    age_ms: u64,
}

#[derive(Clone)]
struct State {
    record: Record,
    replication: u64,
    topics: BTreeMap<Topic, TopicState>,
}

/// One server; it has no state when it was never written to, or forgot.
#[derive(Default)]
pub(super) struct Server {
    replication: u64,
    state: Option<State>,
    /// What each subscription connection wants, and what waits in it.
    pub(super) connections: BTreeMap<u64, Connection>,
}

#[derive(Default)]
pub(super) struct Connection {
    channels: BTreeSet<Channel>,
    pub(super) queue: VecDeque<Told>,
}

impl Server {
    /// It becomes the primary, or starts: those who were connected are not any more.
    pub(super) fn promote(&mut self, replication: u64) {
        self.replication = replication;
        self.connections.clear();
    }

    pub(super) fn forget_all(&mut self) {
        self.state = None;
    }

    pub(super) fn replicate(&mut self, primary: &Server) {
        self.state = primary.state.clone();
    }

    pub(super) fn record(&mut self, truth: &mut Truth, seen: Option<Position>) -> Record {
        self.fence(truth, seen).record.clone()
    }

    fn fence(&mut self, truth: &mut Truth, seen: Option<Position>) -> &mut State {
        let replication = self.replication;
        let state = self.state.get_or_insert_with(|| {
            let epoch = truth.begin_life(None);
            let record = Record { epoch, began: 0, seq: 0, floor: 0, ended: Vec::new() };
            State { record, replication, topics: BTreeMap::new() }
        });
        let record = &mut state.record;
        let is_behind = seen.is_some_and(|seen| seen.epoch == record.epoch && seen.seq > record.seq);
        if state.replication != replication || is_behind {
            record.ended.push((record.epoch, record.seq));
            let gone = record.ended.len().saturating_sub(8);
            record.ended.drain(..gone);
            record.epoch = truth.begin_life(Some((record.epoch, record.seq)));
            (record.began, state.replication) = (record.seq, replication);
        }
        state
    }

    #[expect(clippy::too_many_arguments, reason = "as many as the script has")]
    pub(super) fn publish(
        &mut self,
        truth: &mut Truth,
        seen: Option<Position>,
        topic: &Topic,
        publication: &Publication,
        origin: Option<(u64, SessionId)>,
        rule: HistoryRule,
        tag: usize,
        now_ms: u64,
    ) -> Published {
        let state = self.fence(truth, seen);
        state.record.seq += 1;
        let position = Position { epoch: state.record.epoch, seq: state.record.seq };
        truth.messages.entry(position.epoch).or_default().insert(position.seq, (topic.clone(), tag));
        let own = state.topics.entry(topic.clone()).or_default();
        let message = Message {
            topic: topic.clone(),
            position,
            payload: publication.payload.clone(),
            media_type: publication.media_type.clone(),
            time: Some(now_ms),
            user: None,
            headers: None,
        };
        let numbered = Numbered { message, prev: own.last, age_ms: 0, ttl_s: None, origin };
        (own.last, own.age_ms) = (position.seq, rule.age_ms);
        own.kept.push_back(Kept { numbered: numbered.clone(), at_ms: now_ms });
        while own.kept.len() > rule.count {
            own.kept.pop_front();
        }
        let heard = self.spread(topic, || Told::Message(numbered.clone()));
        Published { position, heard, receivers: None, repeated: false }
    }

    pub(super) fn clear(&mut self, truth: &mut Truth, seen: Option<Position>, topic: &Topic) -> usize {
        let Some(own) = self.fence(truth, seen).topics.get_mut(topic) else { return 0 };
        let (count, to) = (own.kept.len(), own.last);
        own.kept.clear();
        self.spread(topic, || Told::Cleared { topic: topic.clone(), to });
        count
    }

    /// Forgets a topic that keeps nothing.
    pub(super) fn forget(&mut self, topic: &Topic) {
        let Some(state) = &mut self.state else { return };
        if state.topics.get(topic).is_some_and(|own| own.kept.is_empty()) {
            let last = state.topics.remove(topic).map_or(0, |own| own.last);
            state.record.floor = state.record.floor.max(last);
        }
    }

    pub(super) fn read(
        &mut self,
        truth: &mut Truth,
        seen: Option<Position>,
        channels: &[Channel],
        above: u64,
        now_ms: u64,
    ) -> (Record, Vec<TopicRead>) {
        let state = self.fence(truth, seen);
        let mut found = Vec::new();
        for (name, own) in &state.topics {
            if own.last <= above || !channels.iter().any(|channel| channel.covers(name.as_str())) {
                continue;
            }
            let young = own.kept.iter().filter(|kept| kept.at_ms + own.age_ms > now_ms);
            let above = young.filter(|kept| kept.numbered.message.position.seq > above);
            let aged = |kept: &Kept| Numbered { age_ms: now_ms - kept.at_ms, ..kept.numbered.clone() };
            found.push(TopicRead { name: name.clone(), last: own.last, kept: above.map(aged).collect() });
        }
        (state.record.clone(), found)
    }

    pub(super) fn probe(&mut self, truth: &mut Truth, seen: Option<Position>, connection: u64, probe: u64) {
        let record = self.fence(truth, seen).record.clone();
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.queue.push_back(Told::Probed { probe, record });
        }
    }

    pub(super) fn follow(&mut self, connection: u64, channels: Vec<Channel>) {
        let Some(connection) = self.connections.get_mut(&connection) else { return };
        connection.channels.extend(channels.iter().cloned());
        connection.queue.push_back(Told::Confirmed(channels));
    }

    pub(super) fn leave(&mut self, connection: u64, channels: &[Channel]) {
        let Some(connection) = self.connections.get_mut(&connection) else { return };
        connection.channels.retain(|channel| !channels.contains(channel));
    }

    /// As often to a connection as it has channels that cover the topic; true if there is one.
    fn spread(&mut self, topic: &Topic, told: impl Fn() -> Told) -> bool {
        let mut heard = false;
        for connection in self.connections.values_mut() {
            let covering = connection.channels.iter().filter(|channel| channel.covers(topic.as_str()));
            for _ in 0..covering.count() {
                connection.queue.push_back(told());
                heard = true;
            }
        }
        heard
    }
}
