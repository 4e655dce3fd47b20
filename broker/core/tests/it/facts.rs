//! What nobody inside sees: every message that was ever numbered, and which life goes on from which.

use std::collections::BTreeMap;

use fanfare_core::{SessionId, TopicRules};
use fanfare_protocol::{Epoch, Message, Payload, Position, Publication, Topic};

/// A session, by the name or the life of its broker and its own name there.
pub(super) type Who = (u64, SessionId);

/// Whoever reads without a session.
pub(super) const NOBODY: Who = (0, SessionId(0));

/// One message as it was numbered.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub(super) position: Position,
    pub(super) topic: Topic,
    pub(super) publication: Publication,
    pub(super) tag: usize,
    pub(super) origin: Option<Who>,
    pub(super) numbered_ms: u64,
}

impl Fact {
    pub(super) fn is_expired(&self, now_ms: u64) -> bool {
        let ttl_s = self.publication.ttl_s;
        ttl_s.is_some_and(|ttl_s| self.numbered_ms + u64::from(ttl_s) * 1_000 <= now_ms)
    }
}

/// One life: what it inherited and what it numbered itself.
#[derive(Debug)]
struct Line {
    parent: Option<Epoch>,
    began: u64,
    positions: Vec<Position>,
}

#[derive(Default)]
pub(super) struct Facts {
    pub(super) rules: TopicRules,
    facts: BTreeMap<Position, Fact>,
    lines: BTreeMap<Epoch, Line>,
    /// The newest tag of each session.
    newest: BTreeMap<Who, usize>,
}

impl Facts {
    pub(super) fn new(rules: TopicRules) -> Facts {
        Facts { rules, ..Facts::default() }
    }

    /// A life begins, where another ended or from nothing.
    pub(super) fn begin_life(&mut self, epoch: Epoch, end: Option<Position>) {
        let inherited = end.map(|end| {
            let line = &self.lines[&end.epoch].positions;
            line[..line.partition_point(|position| position.seq <= end.seq)].to_vec()
        });
        let line = Line {
            parent: end.map(|end| end.epoch),
            began: end.map_or(0, |end| end.seq),
            positions: inherited.unwrap_or_default(),
        };
        self.lines.insert(epoch, line);
    }

    pub(super) fn number(&mut self, fact: Fact) {
        let position = fact.position;
        self.lines.get_mut(&position.epoch).expect("its life has begun").positions.push(position);
        let known = self.facts.insert(position, fact);
        assert!(known.is_none(), "two messages at {position}: {known:?} and {:?}", self.facts[&position]);
    }

    /// The next publish of a session is numbered, its first attempt.
    pub(super) fn note_turn(&mut self, session: Who, tag: usize) {
        let before = self.newest.insert(session, tag);
        assert!(before < Some(tag), "publishes of one session keep their order: {before:?} before {tag}");
    }

    pub(super) fn fact(&self, position: Position) -> Option<&Fact> {
        self.facts.get(&position)
    }

    /// A position names one message, and this is it, as it was published.
    pub(super) fn check(&self, message: &Message) {
        let fact = self.fact(message.position);
        let fact = fact.unwrap_or_else(|| panic!("{message:?} is delivered and was never numbered"));
        let Publication { payload, media_type, .. } = &fact.publication;
        let published = (&fact.topic, payload, media_type);
        assert_eq!(
            (&message.topic, &message.payload, &message.media_type),
            published,
            "it is another message"
        );
    }

    /// The newest position that a life ever had.
    pub(super) fn top(&self, epoch: Epoch) -> Option<Position> {
        let line = self.lines.get(&epoch)?;
        Some(Position { epoch, seq: line.positions.last().map_or(0, |last| last.seq).max(line.began) })
    }

    pub(super) fn numbered(&self) -> usize {
        self.facts.len()
    }

    pub(super) fn lives(&self) -> impl Iterator<Item = Epoch> {
        self.lines.keys().copied()
    }

    /// True if some server was at this position at some time.
    pub(super) fn was(&self, position: Position) -> bool {
        self.top(position.epoch).is_some_and(|top| position.seq <= top.seq)
    }

    /// True if what `epoch` numbers continues what was before `position`, and that itself.
    pub(super) fn leads_to(&self, position: Position, epoch: Epoch) -> bool {
        let Some(place) = self.origin(position) else { return false };
        let (mut life, mut end) = (epoch, u64::MAX);
        loop {
            if place.epoch == life {
                return place.seq <= end;
            }
            let Some(Line { parent: Some(parent), began, .. }) = self.lines.get(&life) else { return false };
            (life, end) = (*parent, end.min(*began));
        }
    }

    /// What the life of `to` has in `(from, to]`, inherited or its own.
    pub(super) fn between(&self, from: u64, to: Position) -> impl DoubleEndedIterator<Item = &Fact> {
        let line = self.lines.get(&to.epoch).map_or(&[][..], |line| &line.positions);
        let first = line.partition_point(|position| position.seq <= from);
        let end = line.partition_point(|position| position.seq <= to.seq);
        line[first..end.max(first)].iter().map(|position| &self.facts[position])
    }

    /// A position in the life that numbered what is there.
    fn origin(&self, mut position: Position) -> Option<Position> {
        loop {
            let line = self.lines.get(&position.epoch)?;
            match line.parent {
                Some(parent) if position.seq <= line.began => position.epoch = parent,
                _ => return Some(position),
            }
        }
    }
}

/// The tag that a payload begins with.
pub(super) fn tag_of(payload: &Payload) -> usize {
    let text = std::str::from_utf8(payload.bytes()).unwrap();
    text.split(' ').next().and_then(|tag| tag.parse().ok()).expect("a payload begins with its tag")
}
