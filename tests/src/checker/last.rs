//! The newest messages of each topic that a subscriber asked for before all else.

use std::collections::BTreeMap;

use fanfare_protocol::{Filter, Position};

use super::facts::{Facts, Placed};
use super::path::Paths;

/// More than a broker brings in all may be left out.
const BROUGHT_MAX: usize = 10_000;

/// What came of them so far.
#[derive(Debug)]
pub(super) struct Last {
    count: u64,
    /// Where the rest begins.
    pub(super) start: Position,
    newest: u64,
    received: BTreeMap<u32, Vec<u64>>,
}

impl Last {
    /// Nothing received of the newest `count` up to `start`.
    pub(super) fn begin(count: u64, start: Position) -> Last {
        Last { count, start, newest: 0, received: BTreeMap::new() }
    }

    /// True if a message there is one of the last, and not of what follows.
    pub(super) fn is_below_start(&self, position: Position, facts: &Facts) -> bool {
        let chain = facts.chain_of(position);
        let is_one_row =
            position.epoch == self.start.epoch || (chain.is_some() && chain == facts.chain_of(self.start));
        is_one_row && position.seq <= self.start.seq
    }

    /// Notes a message; false if it does not lie behind the one before.
    pub(super) fn receive(&mut self, topic: u32, position: Position) -> bool {
        let rises = position.seq > self.newest;
        self.newest = self.newest.max(position.seq);
        self.received.entry(topic).or_default().push(position.seq);
        rises
    }

    /// True if nothing has come yet.
    pub(super) fn is_empty(&self) -> bool {
        self.received.is_empty()
    }

    /// What should have come and did not.
    pub(super) fn missing(&self, filter: &Filter, facts: &Facts, paths: &mut Paths<'_>) -> Vec<Placed> {
        let due = paths.up_to(filter, self.start);
        let mut by_topic: BTreeMap<u32, Vec<Placed>> = BTreeMap::new();
        for placed in &due {
            by_topic.entry(placed.topic).or_default().push(*placed);
        }
        let is_bounded = due.len() > BROUGHT_MAX;
        let mut missing = Vec::new();
        for (topic, due) in by_topic {
            let received = self.received.get(&topic).map_or(&[][..], Vec::as_slice);
            let wanted = usize::try_from(self.count).unwrap_or(usize::MAX).min(due.len());
            // What is trimmed may be missing, but only from the front.
            let oldest = received.first().copied().unwrap_or(u64::MAX);
            let is_due = |index: usize, placed: &Placed| {
                placed.position.seq > oldest
                    || (facts.keeps_all && !is_bounded && due.len() - index <= wanted)
            };
            let unseen = due.iter().enumerate().filter(|(index, placed)| is_due(*index, placed));
            missing.extend(
                unseen.map(|(_, placed)| *placed).filter(|placed| !received.contains(&placed.position.seq)),
            );
        }
        missing
    }
}
