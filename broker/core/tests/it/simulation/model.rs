//! What is true: all that was ever published, and what the rules say is kept of it. Slow and obvious.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_core::{Entry, Filters, Limits, TopicRules};
use fanfare_protocol::{Epoch, Position, Publication, Topic};

use crate::it::facts::{Fact, Facts, Who};

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

/// A message that the rules keep.
#[derive(Debug)]
struct Kept {
    topic: Topic,
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
    lives: Vec<u64>,
    pub(super) facts: Facts,
    pub(super) drafts: Vec<Drafted>,
    /// By seq, of the current life.
    kept: BTreeMap<u64, Kept>,
    topics: BTreeMap<Topic, TopicState>,
    pub(super) floor: u64,
    /// All floors of the current life.
    pub(super) floors: BTreeSet<u64>,
    pub(super) keys: BTreeMap<(Topic, Box<str>), RememberedKey>,
    /// Publishes by HTTP that wait for room, in order of arrival.
    pub(super) waiting: Vec<usize>,
    /// How many of them waited before this step.
    pub(super) waiting_before: usize,
}

impl Model {
    pub(super) fn new(limits: Limits, rules: TopicRules) -> Model {
        Model {
            limits,
            lives: Vec::new(),
            facts: Facts::new(rules),
            drafts: Vec::new(),
            kept: BTreeMap::new(),
            topics: BTreeMap::new(),
            floor: 0,
            floors: BTreeSet::new(),
            keys: BTreeMap::new(),
            waiting: Vec::new(),
            waiting_before: 0,
        }
    }

    /// A broker with this life begins and remembers nothing.
    pub(super) fn begin_life(&mut self, life: u64) {
        self.lives.push(life);
        self.facts.begin_life(self.epoch(), None);
        self.drafts
            .iter_mut()
            .filter(|draft| draft.position.is_none())
            .for_each(|draft| draft.is_dead = true);
        self.kept.clear();
        self.topics.clear();
        (self.floor, self.floors) = (0, BTreeSet::from([0]));
        self.keys.clear();
        self.waiting.clear();
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch { partition: 0, life: *self.lives.last().expect("a life has begun") }
    }

    pub(super) fn old_lives(&self) -> &[u64] {
        &self.lives[..self.lives.len() - 1]
    }

    pub(super) fn seq(&self) -> u64 {
        self.top().seq
    }

    pub(super) fn top(&self) -> Position {
        self.facts.top(self.epoch()).expect("the life has begun")
    }

    pub(super) fn is_kept(&self, fact: &Fact) -> bool {
        fact.position.epoch == self.epoch() && self.kept.contains_key(&fact.position.seq)
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
        if let (Some(session), false) = (origin, self.drafts[tag].is_retried) {
            self.facts.note_turn(session, tag);
        }
        self.drafts[tag].position = Some(position);
        self.remember_key(position, tag, now_ms);
        self.make_topic(&topic);
        let state = self.topics.get_mut(&topic).expect("it was made above");
        (state.last, state.last_ms) = (position.seq, now_ms);
        state.published += 1;
        let kept = Kept { topic: topic.clone(), numbered_ms: now_ms, cost: self.cost(tag) };
        self.kept.insert(position.seq, kept);
        let fact = Fact {
            position,
            topic: topic.clone(),
            publication: self.drafts[tag].publication.clone(),
            tag,
            origin,
            numbered_ms: now_ms,
        };
        self.facts.number(fact);
        self.trim(&topic);
    }

    pub(super) fn sweep(&mut self, now_ms: u64) {
        let rules = &self.facts.rules;
        self.kept.retain(|_, kept| kept.numbered_ms + rules.rule_for(kept.topic.as_str()).0.age_ms > now_ms);
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
        self.kept.extract_if(.., |_, kept| kept.topic == *topic).count()
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
        let mut above = self.facts.between(after.seq, self.top());
        above.all(|fact| self.is_kept(fact) || !filters.matches(fact.topic.as_str()))
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
        (self.kept.len(), self.kept.values().map(|kept| kept.cost).sum())
    }

    fn kept_of(&self, topic: &Topic) -> impl Iterator<Item = &Kept> {
        self.kept.values().filter(move |kept| kept.topic == *topic)
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

    fn trim(&mut self, topic: &Topic) {
        let count = self.facts.rules.rule_for(topic.as_str()).0.count;
        while self.kept_of(topic).count() > count {
            self.trim_oldest(|kept| kept.topic == *topic);
        }
        while self.kept().1 > self.limits.history_bytes {
            self.trim_oldest(|_| true);
        }
    }

    fn trim_oldest(&mut self, which: impl Fn(&Kept) -> bool) {
        let oldest = self.kept.iter().find(|(_, kept)| which(kept)).map(|(seq, _)| *seq);
        self.kept.remove(&oldest.expect("there is a message to trim"));
    }

    fn cost(&self, tag: usize) -> usize {
        let Drafted { topic, publication, .. } = &self.drafts[tag];
        let text = topic.as_str().len() + publication.media_type.as_deref().map_or(0, str::len);
        size_of::<Entry>() + 256 + 3 * (publication.payload.bytes().len() + text)
    }
}
