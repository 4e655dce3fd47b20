//! What nobody inside sees: every message that any server ever numbered, and which life goes on from which.

use std::collections::BTreeMap;

use fanfare_core::{Numbered, SessionId};
use fanfare_protocol::{Epoch, Payload, Position, Publication, Topic};

use super::redis::KEY_MS;

/// A session, by the node's name and its own there.
pub(super) type Who = (u64, SessionId);

/// One message as it was numbered.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) position: Position,
    pub(super) topic: Topic,
    pub(super) tag: usize,
    pub(super) origin: Option<Who>,
    pub(super) expires_ms: Option<u64>,
    numbered_ms: u64,
}

/// Something that was to be published; its place among the drafts is its tag.
#[derive(Debug)]
pub(super) struct Drafted {
    pub(super) topic: Topic,
    pub(super) publication: Publication,
    /// Where it was numbered, in each life once at most if it has a key, else once.
    pub(super) positions: Vec<Position>,
    pub(super) is_refused: bool,
    /// How often it was asked for.
    pub(super) attempts: usize,
}

impl Drafted {
    pub(super) fn new(topic: Topic, publication: Publication) -> Drafted {
        Drafted { topic, publication, positions: Vec::new(), is_refused: false, attempts: 1 }
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
pub(super) struct Truth {
    facts: BTreeMap<Position, Fact>,
    lines: BTreeMap<Epoch, Line>,
    pub(super) drafts: Vec<Drafted>,
    replids: u64,
    /// The newest tag of each session.
    newest: BTreeMap<Who, usize>,
}

impl Truth {
    pub(super) fn next_replid(&mut self) -> u64 {
        self.replids += 1;
        self.replids
    }

    /// A life begins, where another ended or from nothing.
    pub(super) fn begin_life(&mut self, end: Option<Position>) -> Epoch {
        let epoch = Epoch { partition: 0, life: 1 + self.lines.len() as u64 };
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
        epoch
    }

    pub(super) fn number(&mut self, numbered: &Numbered, now_ms: u64) {
        let Numbered { message, origin, ttl_s, .. } = numbered;
        let (position, tag) = (message.position, tag_of(&message.payload));
        let draft = &mut self.drafts[tag];
        let keyed = draft.publication.idempotency_key.is_some();
        assert!(!draft.is_refused, "what was refused for good is published all the same: {draft:?}");
        let facts = &self.facts;
        let may_repeat = |earlier: &Position| {
            earlier.epoch != position.epoch || facts[earlier].numbered_ms + KEY_MS <= now_ms
        };
        assert!(
            draft.positions.iter().all(|earlier| keyed && may_repeat(earlier)),
            "{tag} becomes a second message, {position}: {draft:?}"
        );
        draft.positions.push(position);
        if let Some(session) = origin {
            let before = self.newest.insert(*session, tag);
            assert!(before < Some(tag), "publishes of one session keep their order: {before:?} before {tag}");
        }
        self.lines.get_mut(&position.epoch).expect("its life has begun").positions.push(position);
        let expires_ms = ttl_s.map(|ttl_s| now_ms + u64::from(ttl_s) * 1_000);
        let topic = message.topic.clone();
        let known = self.facts.insert(
            position,
            Fact { position, topic, tag, origin: *origin, expires_ms, numbered_ms: now_ms },
        );
        assert!(known.is_none(), "two messages at {position}: {known:?} and {numbered:?}");
    }

    pub(super) fn fact(&self, position: Position) -> Option<&Fact> {
        self.facts.get(&position)
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
    pub(super) fn between(&self, from: u64, to: Position) -> impl Iterator<Item = &Fact> {
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
