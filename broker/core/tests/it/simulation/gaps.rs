//! Whether a gap is true: what it tells missing is not kept, and one of the protocol's reasons stands behind it.

use std::collections::BTreeSet;

use fanfare_protocol::{Filter, Frame, Gap, Position, Topic};

use super::model::Model;
use crate::it::facts::{Fact, NOBODY};
use crate::it::followed::Followed;

impl Model {
    /// A gap of the past.
    pub(super) fn check_gap(&self, followed: &Followed, gap: &Gap) {
        let Gap { topic, from, to, .. } = gap;
        assert_eq!(to.epoch, self.epoch(), "a gap ends in the current epoch");
        assert!(to.seq <= self.seq(), "a gap ends at the top at most");
        let Some(topic) = topic else { return self.check_null_gap(followed, gap) };
        self.check_topic_gap(followed, topic, *from, *to);
        let mut told = followed.new_holes().filter(|(other, _)| *other == topic);
        let is_new = told.all(|(_, end)| end.seq <= from.seq);
        assert!(is_new, "the hole of {topic} up to {to} is told twice");
        let is_ahead = |end: &Position| followed.cursor.is_none_or(|cursor| !self.is_passed(*end, cursor));
        let ahead = followed.new_holes().filter(|(_, end)| is_ahead(end)).map(|(topic, _)| topic);
        let ahead: BTreeSet<&Topic> = ahead.chain(is_ahead(to).then_some(topic)).collect();
        assert!(ahead.len() <= self.limits.holes, "{} holes are told one by one", ahead.len());
    }

    /// The gaps of a page of history.
    pub(super) fn check_page(&self, topic: &Topic, after: Option<Position>, frames: &[Frame]) {
        let Some(after) = after else { return };
        let mut page = Followed::new(Filter::from(topic).into(), Some(after), 0, true);
        page.begins(&self.facts, NOBODY, after);
        for frame in frames {
            if let Frame::Gap(gap) = frame {
                self.check_gap(&page, gap);
            }
        }
    }

    /// A gap that is not replayed stands for live messages that were dropped.
    pub(super) fn check_dropped(&self, followed: &Followed, gap: &Gap) {
        let Gap { topic, from, to, .. } = gap;
        assert!(topic.is_none() && from.epoch == to.epoch, "{gap:?} stands for what was dropped");
        assert!(to.epoch == self.epoch() && to.seq <= self.seq(), "{gap:?} was published");
        assert!(from.seq < to.seq, "{gap:?} stands for something");
        assert!(
            followed.cursor.is_some_and(|cursor| !self.is_passed(*to, cursor)),
            "{gap:?} is above the cursor"
        );
        assert!(
            followed.got.last().is_none_or(|newest| newest.seq <= from.seq),
            "nothing of {gap:?} was got"
        );
    }

    /// True if a position of the current life lies at or below a cursor.
    fn is_passed(&self, position: Position, cursor: Position) -> bool {
        cursor.epoch == position.epoch && position.seq <= cursor.seq
    }

    fn check_topic_gap(&self, followed: &Followed, topic: &Topic, from: Position, to: Position) {
        assert!(
            from.epoch == to.epoch && from.seq < to.seq,
            "a topic's gap is within one life: {from} to {to}"
        );
        assert!(followed.filters.matches(topic.as_str()), "{topic} is foreign to {:?}", followed.filters);
        let missing = || self.facts.between(from.seq, to).filter(|fact| fact.topic == *topic);
        assert!(
            missing().next_back().is_some_and(|newest| newest.position == to),
            "a gap ends with a message"
        );
        for fact in missing() {
            assert!(!self.is_kept(fact), "{fact:?} is kept and told missing");
            assert!(!followed.got.contains(&fact.position), "{fact:?} was got and is told missing");
        }
    }

    fn check_null_gap(&self, followed: &Followed, gap: &Gap) {
        let (from, to, filters) = (gap.from, gap.to, &followed.filters);
        let justified = if from.epoch != to.epoch {
            self.floors.contains(&to.seq)
        } else {
            let is_future = from.seq > to.seq;
            let up_to_floor = self.floors.contains(&to.seq) && !self.know_since(filters, from.seq);
            let is_hole = |fact: &&Fact| !self.is_kept(fact) && filters.matches(fact.topic.as_str());
            let holes: BTreeSet<&Topic> =
                self.facts.between(from.seq, to).filter(is_hole).map(|fact| &fact.topic).collect();
            is_future || up_to_floor || holes.len() > self.limits.holes
        };
        assert!(justified, "nothing justifies {gap:?} for {filters:?}");
    }
}
