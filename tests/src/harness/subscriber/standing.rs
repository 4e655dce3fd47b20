//! Where a subscriber believes that one of its filters stands, by the protocol's rules for clients.

use fanfare_protocol::{Cursor, Filter, Position};

/// A filter and its cursor.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) filter: String,
    pub(super) cursor: Option<Cursor>,
    pub(super) step: Step,
    parsed: Filter,
}

/// How far it has come in the present session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Away,
    Asked { is_replayed: bool },
    Replayed,
    Live,
    Leaving,
}

impl Standing {
    pub(super) fn new(filter: &str) -> Standing {
        let parsed = Filter::parse(filter).expect("plans have filters");
        Standing { filter: filter.to_owned(), cursor: None, step: Step::Away, parsed }
    }

    /// It is answered.
    pub(super) fn begin(&mut self, cursor: &Cursor) {
        self.cursor = Some(cursor.clone());
        let is_replayed = self.step == Step::Asked { is_replayed: true };
        self.step = if is_replayed { Step::Replayed } else { Step::Live };
    }

    pub(super) fn message(&mut self, topic: &str, position: Position, replay: Option<&str>) {
        let is_mine = match replay {
            Some(filter) => filter == self.filter,
            None => self.is_live() && self.parsed.matches(topic),
        };
        if is_mine {
            self.put(position);
        }
    }

    /// A gap without a topic.
    pub(super) fn gap(&mut self, to: Position, replay: Option<&str>) {
        if replay.map_or_else(|| self.is_live(), |filter| filter == self.filter) {
            self.put(to);
        }
    }

    pub(super) fn live(&mut self, filter: &str, cursor: &Cursor) {
        if self.filter == filter {
            self.cursor = Some(cursor.clone());
            if self.step == Step::Replayed {
                self.step = Step::Live;
            }
        }
    }

    pub(super) fn ping(&mut self, cursor: &Cursor) {
        if self.is_live() {
            self.cursor = Some(cursor.clone());
        }
    }

    /// True if all up to `end` has come.
    pub(super) fn is_at(&self, end: Position) -> bool {
        let at = self.cursor.as_ref().and_then(|cursor| cursor.in_partition(end.epoch.partition));
        self.step == Step::Live && at.is_some_and(|at| at.epoch == end.epoch && at.seq >= end.seq)
    }

    fn is_live(&self) -> bool {
        matches!(self.step, Step::Live | Step::Leaving)
    }

    fn put(&mut self, position: Position) {
        match &mut self.cursor {
            Some(cursor) => cursor.replace(position),
            None => self.cursor = Some(position.into()),
        }
    }
}
