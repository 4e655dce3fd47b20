//! One filter as a client holds it, over all its sessions and nodes: each move of its cursor is checked.

use std::collections::BTreeSet;

use fanfare_protocol::{Filter, Frame, Gap, Message, Position, Topic};

use super::node::tag_of;
use super::redis::Truth;

#[derive(Debug)]
pub(super) struct Followed {
    pub(super) filter: Filter,
    pub(super) cursor: Option<Position>,
    pub(super) state: State,
    got: BTreeSet<Position>,
    gaps: Vec<(Topic, Position, Position)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Away,
    Replaying,
    Live,
}

impl Followed {
    pub(super) fn new(filter: Filter, cursor: Option<Position>) -> Followed {
        Followed { filter, cursor, state: State::Away, got: BTreeSet::new(), gaps: Vec::new() }
    }

    /// A message or a gap from the past.
    pub(super) fn replayed(&mut self, truth: &Truth, frame: Frame) {
        if let Frame::Message(message) = &frame {
            self.message(truth, message);
        } else if let Frame::Gap(gap) = &frame {
            self.gap(truth, gap);
        } else {
            panic!("{frame:?} is not of the past");
        }
    }

    pub(super) fn message(&mut self, truth: &Truth, message: &Message) {
        let Message { topic, position, .. } = message;
        let known = truth.message(*position).expect("what is delivered was published");
        let tag = tag_of(&message.payload);
        assert_eq!(*known, (topic.clone(), tag), "one message has the position {position}");
        assert!(self.filter.matches(topic.as_str()), "{topic} is foreign to {}", self.filter);
        assert!(self.got.insert(*position), "{}: {position} comes twice", self.filter);
        self.advance(truth, *position);
    }

    pub(super) fn gap(&mut self, truth: &Truth, gap: &Gap) {
        if let Some(topic) = &gap.topic {
            assert!(self.filter.matches(topic.as_str()), "{topic} is foreign to {}", self.filter);
            assert!(gap.from.seq < gap.to.seq, "{gap:?} stands for something");
            self.gaps.push((topic.clone(), gap.from, gap.to));
            return;
        }
        if let Some(cursor) = self.cursor
            && cursor.epoch == gap.from.epoch
            && cursor.seq < gap.from.seq
        {
            self.advance(truth, gap.from);
        }
        if gap.from.epoch != gap.to.epoch || gap.to.seq < gap.from.seq {
            // Another timeline: what it has in common with the one before may come again.
            self.got.clear();
        }
        self.cursor = Some(gap.to);
    }

    /// All that matches up to `to` was got, or is told missing.
    pub(super) fn advance(&mut self, truth: &Truth, to: Position) {
        let Some(from) = self.cursor.replace(to) else { return };
        let from = truth.origin(from);
        assert!(
            truth.is_on(from, to.epoch) && from.seq <= to.seq,
            "{}: from {from} to {to} without a word",
            self.filter
        );
        for (position, topic) in truth.between(from.seq, to) {
            let is_told = || {
                self.gaps.iter().any(|(other, from, to)| {
                    other == topic && from.seq < position.seq && position.seq <= to.seq
                })
            };
            if self.filter.matches(topic.as_str()) && !self.got.contains(&position) && !is_told() {
                panic!("{} lacks {topic} {position} silently on its way from {from} to {to}", self.filter);
            }
        }
    }
}
