//! What is true: all that was ever published, and what the rules say is kept of it. Slow and obvious.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_core::{Entry, Filters, Limits, SessionId, TopicRules};
use fanfare_protocol::{Epoch, Position, Publication, Topic};

/// A position whose lives are in order of time; a life that never was comes before all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) life: i32,
    pub(super) seq: u64,
}

/// A session, by the broker's life and its name there.
pub(super) type Who = (u64, SessionId);

/// Whoever reads without a session.
pub(super) const NOBODY: Who = (0, SessionId(0));

/// Something that was to be published; its place among the drafts is its tag.
#[derive(Debug)]
pub(super) struct Drafted {
    pub(super) topic: Topic,
    pub(super) publication: Publication,
    pub(super) origin: Option<Who>,
    /// Where it was published.
    pub(super) position: Option<Position>,
    /// Asked for more than once.
    pub(super) is_retried: bool,
    pub(super) is_refused: bool,
    /// Its session ended before it was published.
    pub(super) is_dead: bool,
}

impl Drafted {
    pub(super) fn new(topic: Topic, publication: Publication, origin: Option<Who>) -> Drafted {
        let (position, is_retried, is_refused, is_dead) = (None, false, false, false);
        Drafted { topic, publication, origin, position, is_retried, is_refused, is_dead }
    }

    /// It is asked for once more.
    pub(super) fn retry(&mut self) {
        (self.is_retried, self.is_refused, self.is_dead) = (true, false, false);
    }

    /// Its session is over.
    pub(super) fn ended(&mut self) {
        self.is_dead |= self.position.is_none() && !self.is_retried;
    }
}

/// A message as it was numbered.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) place: Place,
    pub(super) topic: Topic,
    pub(super) tag: usize,
    pub(super) origin: Option<Who>,
    pub(super) expires_ms: Option<u64>,
    pub(super) is_kept: bool,
    numbered_ms: u64,
    cost: usize,
}

#[derive(Debug)]
struct TopicState {
    last: u64,
    last_ms: u64,
    born_above: u64,
    published: u64,
}

#[derive(Debug)]
pub(super) struct RememberedKey {
    pub(super) tag: usize,
    pub(super) position: Position,
    pub(super) until_ms: u64,
}

pub(super) struct Model {
    pub(super) limits: Limits,
    pub(super) rules: TopicRules,
    lives: Vec<u64>,
    pub(super) records: Vec<Record>,
    pub(super) drafts: Vec<Drafted>,
    /// Where the records of the current life begin.
    begin: usize,
    topics: BTreeMap<Topic, TopicState>,
    pub(super) floor: u64,
    /// All floors of the current life.
    pub(super) floors: BTreeSet<u64>,
    pub(super) keys: BTreeMap<(Topic, Box<str>), RememberedKey>,
    /// Publishes by HTTP that wait for room, in order of arrival.
    pub(super) waiting: Vec<usize>,
    /// How many of them waited before this step.
    pub(super) waiting_before: usize,
    /// The newest tag of each session, retried ones aside.
    newest_tags: BTreeMap<Who, usize>,
}

impl Model {
    pub(super) fn new(limits: Limits, rules: TopicRules) -> Model {
        Model {
            limits,
            rules,
            lives: Vec::new(),
            records: Vec::new(),
            drafts: Vec::new(),
            begin: 0,
            topics: BTreeMap::new(),
            floor: 0,
            floors: BTreeSet::new(),
            keys: BTreeMap::new(),
            waiting: Vec::new(),
            waiting_before: 0,
            newest_tags: BTreeMap::new(),
        }
    }

    /// A broker with this life begins and remembers nothing.
    pub(super) fn begin_life(&mut self, life: u64) {
        self.lives.push(life);
        self.begin = self.records.len();
        self.drafts
            .iter_mut()
            .filter(|draft| draft.position.is_none())
            .for_each(|draft| draft.is_dead = true);
        self.records.iter_mut().for_each(|record| record.is_kept = false);
        self.topics.clear();
        (self.floor, self.floors) = (0, BTreeSet::from([0]));
        self.keys.clear();
        self.waiting.clear();
        self.newest_tags.clear();
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch { partition: 0, life: *self.lives.last().expect("a life has begun") }
    }

    pub(super) fn old_lives(&self) -> &[u64] {
        &self.lives[..self.lives.len() - 1]
    }

    pub(super) fn seq(&self) -> u64 {
        (self.records.len() - self.begin) as u64
    }

    pub(super) fn top(&self) -> Position {
        Position { epoch: self.epoch(), seq: self.seq() }
    }

    pub(super) fn place(&self, position: Position) -> Place {
        let life = self.lives.iter().position(|life| *life == position.epoch.life);
        Place { life: life.map_or(-1, |life| life as i32), seq: position.seq }
    }

    pub(super) fn record_at(&self, position: Position) -> Option<&Record> {
        let place = self.place(position);
        let index = self.records.binary_search_by_key(&place, |record| record.place).ok()?;
        Some(&self.records[index])
    }

    /// The records in `(from, to]`.
    pub(super) fn between(&self, from: Place, to: Place) -> &[Record] {
        let first = self.records.partition_point(|record| record.place <= from);
        let end = self.records.partition_point(|record| record.place <= to);
        &self.records[first..end.max(first)]
    }

    /// The records of the current life.
    pub(super) fn current(&self) -> &[Record] {
        &self.records[self.begin..]
    }

    /// The draft of this tag was numbered at `position`.
    pub(super) fn publish(&mut self, position: Position, tag: usize, now_ms: u64) {
        let next = Position { seq: self.seq() + 1, ..self.top() };
        assert_eq!(position, next, "each message gets the next number");
        let draft = &self.drafts[tag];
        assert!(!draft.is_refused, "{tag} was refused and is published all the same");
        assert!(!draft.is_dead, "{tag} is published although its session ended before");
        let (topic, origin) = (draft.topic.clone(), draft.origin);
        self.check_turn(tag);
        self.waiting.retain(|waiting| *waiting != tag);
        let ttl_s = draft.publication.ttl_s;
        if let (Some(session), false) = (origin, draft.is_retried) {
            let before = self.newest_tags.insert(session, tag);
            assert!(before < Some(tag), "publishes of one session keep their order: {before:?} before {tag}");
        }
        self.drafts[tag].position = Some(position);
        self.remember_key(position, tag, now_ms);
        self.make_topic(&topic);
        let state = self.topics.get_mut(&topic).expect("it was made above");
        (state.last, state.last_ms) = (position.seq, now_ms);
        state.published += 1;
        let cost = self.cost(tag);
        self.records.push(Record {
            place: self.place(position),
            topic: topic.clone(),
            tag,
            origin,
            expires_ms: ttl_s.map(|ttl_s| now_ms + u64::from(ttl_s) * 1_000),
            is_kept: true,
            numbered_ms: now_ms,
            cost,
        });
        let count = self.rules.rule_for(topic.as_str()).0.count;
        while self.kept_of(&topic).count() > count {
            self.trim_oldest(|record| record.topic == topic);
        }
        while self.kept().1 > self.limits.history_bytes {
            self.trim_oldest(|_| true);
        }
    }

    pub(super) fn sweep(&mut self, now_ms: u64) {
        let (begin, rules) = (self.begin, &self.rules);
        for record in &mut self.records[begin..] {
            let age_ms = rules.rule_for(record.topic.as_str()).0.age_ms;
            record.is_kept &= record.numbered_ms + age_ms > now_ms;
        }
        let idle: Vec<Topic> = self
            .topics
            .iter()
            .filter(|(_, state)| state.last_ms + self.limits.numbering_ttl_ms <= now_ms)
            .map(|(topic, _)| topic.clone())
            .collect();
        for topic in idle {
            if self.kept_of(&topic).count() == 0 {
                self.forget(&topic);
            }
        }
    }

    pub(super) fn clear(&mut self, topic: &Topic) -> usize {
        let begin = self.begin;
        let kept = self.records[begin..].iter_mut().filter(|record| record.is_kept && record.topic == *topic);
        kept.map(|record| record.is_kept = false).count()
    }

    /// True if a publish to `topic` needs a further topic and there can be none.
    pub(super) fn is_full_for(&self, topic: &Topic) -> bool {
        let is_full = self.topics.len() >= self.limits.topics && !self.topics.contains_key(topic);
        is_full && self.topics.keys().all(|topic| self.kept_of(topic).count() > 0)
    }

    /// True if nothing of `filters` above `after` is missing.
    pub(super) fn is_whole(&self, filters: &Filters, after: Position) -> bool {
        if after.epoch != self.epoch() || after.seq > self.seq() {
            return false;
        }
        if after.seq < self.floor && !self.know_since(filters, after.seq) {
            return false;
        }
        let above = self.between(self.place(after), self.place(self.top()));
        above.iter().all(|record| record.is_kept || !filters.matches(record.topic.as_str()))
    }

    /// True if the filters are topics that were not forgotten since `seq`.
    pub(super) fn know_since(&self, filters: &Filters, seq: u64) -> bool {
        filters.iter().all(|filter| {
            let topic = filter.is_topic().then(|| self.topics.get(filter.as_str())).flatten();
            topic.is_some_and(|topic| topic.born_above <= seq)
        })
    }

    /// Topics by name, with their last seq, how much was published and how much is kept.
    pub(super) fn topics(&self) -> Vec<(Topic, u64, u64, usize)> {
        let shown = |(topic, state): (&Topic, &TopicState)| {
            (topic.clone(), state.last, state.published, self.kept_of(topic).count())
        };
        self.topics.iter().map(shown).collect()
    }

    /// How many messages are kept, and what they cost.
    pub(super) fn kept(&self) -> (usize, usize) {
        let kept = self.current().iter().filter(|record| record.is_kept);
        kept.fold((0, 0), |(count, bytes), record| (count + 1, bytes + record.cost))
    }

    pub(super) fn kept_of(&self, topic: &Topic) -> impl DoubleEndedIterator<Item = &Record> {
        self.current().iter().filter(move |record| record.is_kept && record.topic == *topic)
    }

    /// None overtakes another to the same topic: neither one that waits with it nor, as long as nothing else changes,
    /// one that waits already.
    fn check_turn(&self, tag: usize) {
        let draft = &self.drafts[tag];
        if draft.is_retried || draft.origin.is_some() {
            return;
        }
        let place = self.waiting.iter().position(|waiting| *waiting == tag);
        let earlier = match place {
            Some(place) => &self.waiting[..place],
            None => &self.waiting[self.waiting_before.min(self.waiting.len())..],
        };
        for other in earlier.iter().map(|other| &self.drafts[*other]) {
            assert!(other.is_retried || other.topic != draft.topic, "{tag} overtakes {other:?}, which waits");
        }
    }

    fn remember_key(&mut self, position: Position, tag: usize, now_ms: u64) {
        let draft = &self.drafts[tag];
        let Some(key) = draft.publication.idempotency_key.clone() else { return };
        let until_ms = now_ms + self.limits.idempotency_ms;
        let known = self.keys.insert((draft.topic.clone(), key), RememberedKey { tag, position, until_ms });
        assert!(known.is_none_or(|known| known.until_ms <= now_ms), "{tag} was published twice");
    }

    fn make_topic(&mut self, topic: &Topic) {
        if self.topics.contains_key(topic) {
            return;
        }
        if self.topics.len() >= self.limits.topics {
            let empty = self.topics.iter().filter(|(topic, _)| self.kept_of(topic).count() == 0);
            let idle = empty.min_by_key(|(_, state)| state.last).map(|(topic, _)| topic.clone());
            self.forget(&idle.expect("a topic over the limit takes the place of an empty one"));
        }
        let state = TopicState { last: 0, last_ms: 0, born_above: self.floor, published: 0 };
        self.topics.insert(topic.clone(), state);
    }

    fn forget(&mut self, topic: &Topic) {
        let state = self.topics.remove(topic).expect("a known topic is forgotten");
        self.floor = self.floor.max(state.last);
        self.floors.insert(self.floor);
    }

    fn trim_oldest(&mut self, which: impl Fn(&Record) -> bool) {
        let begin = self.begin;
        let oldest = self.records[begin..].iter_mut().find(|record| record.is_kept && which(record));
        oldest.expect("there is a message to trim").is_kept = false;
    }

    fn cost(&self, tag: usize) -> usize {
        let Drafted { topic, publication, .. } = &self.drafts[tag];
        let text = topic.as_str().len() + publication.media_type.as_deref().map_or(0, str::len);
        size_of::<Entry>() + 256 + 3 * (publication.payload.bytes().len() + text)
    }
}
