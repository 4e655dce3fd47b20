//! What lies between two positions for a filter.

use std::collections::HashMap;

use fanfare_protocol::{Epoch, Filter, Position};

use super::facts::{Facts, Placed};
use super::names::Names;

/// The ways that filters go; what a filter matches is picked out once.
pub(super) struct Paths<'a> {
    facts: &'a Facts,
    filters: Names,
    picked: HashMap<(Way, u32), Vec<Placed>>,
}

/// A row of messages with rising seqs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    Chain(u16),
    Branch(Epoch),
}

/// How one position lies to another.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Between {
    /// It is the same place.
    Nothing,
    /// It lies before.
    Back,
    /// No way goes there.
    OtherLife,
    /// It lies ahead, behind these messages.
    Ahead(Vec<Placed>),
}

impl<'a> Paths<'a> {
    pub(super) fn of(facts: &'a Facts) -> Paths<'a> {
        Paths { facts, filters: Names::default(), picked: HashMap::new() }
    }

    /// What the filter matches above `from` and below `to`, or up to and with it.
    pub(super) fn between(&mut self, filter: &Filter, from: Position, to: Position, with: bool) -> Between {
        let is_on_chain = self.facts.is_on_chain(from);
        let end = if is_on_chain { self.facts.ends.get(&to.epoch).copied() } else { None };
        if from.epoch != to.epoch && (!is_on_chain || end.is_none()) {
            return Between::OtherLife;
        }
        match from.seq.cmp(&to.seq) {
            std::cmp::Ordering::Equal => return Between::Nothing,
            std::cmp::Ordering::Greater => return Between::Back,
            std::cmp::Ordering::Less => {}
        }
        let above = from.seq;
        let below = if with { to.seq.saturating_add(1) } else { to.seq };
        let Some(end) = end else {
            return Between::Ahead(self.pick(filter, Way::Branch(to.epoch), above, below));
        };
        let chain = Way::Chain(to.epoch.partition);
        let mut due = self.pick(filter, chain, above, below.min(end.saturating_add(1)));
        if to.seq > end {
            due.extend(self.pick(filter, Way::Branch(to.epoch), above.max(end), below));
        }
        Between::Ahead(due)
    }

    /// All that the filter matches up to and with `to` on its way.
    pub(super) fn up_to(&mut self, filter: &Filter, to: Position) -> Vec<Placed> {
        match self.between(filter, Position { seq: 0, ..to }, to, true) {
            Between::Ahead(due) => due,
            Between::Nothing | Between::Back | Between::OtherLife => Vec::new(),
        }
    }

    /// True if the topic has a newer message whose publish had begun by then.
    pub(super) fn has_newer(&mut self, placed: &Placed, at: u64) -> bool {
        const LOOKED_AT: usize = 16;
        let facts = self.facts;
        let topic = Filter::parse(facts.topics.text(placed.topic)).expect("topics were checked");
        let way = if facts.is_on_chain(placed.position) {
            Way::Chain(placed.position.epoch.partition)
        } else {
            Way::Branch(placed.position.epoch)
        };
        let list = self.picked(&topic, way);
        let first = list.partition_point(|other| other.position.seq <= placed.position.seq);
        list[first..].iter().take(LOOKED_AT).any(|newer| newer.start <= at)
    }

    fn pick(&mut self, filter: &Filter, way: Way, above: u64, below: u64) -> Vec<Placed> {
        let list = self.picked(filter, way);
        let first = list.partition_point(|placed| placed.position.seq <= above);
        let count = list[first..].partition_point(|placed| placed.position.seq < below);
        list[first..first + count].to_vec()
    }

    fn picked(&mut self, filter: &Filter, way: Way) -> &[Placed] {
        let facts = self.facts;
        let number = self.filters.number(filter.as_str());
        self.picked.entry((way, number)).or_insert_with(|| {
            let row = match way {
                Way::Chain(partition) => facts.chains.get(&partition),
                Way::Branch(epoch) => facts.branches.get(&epoch),
            };
            let mut matches: HashMap<u32, bool> = HashMap::new();
            let mut is_match = |topic: u32| {
                *matches.entry(topic).or_insert_with(|| filter.matches(facts.topics.text(topic)))
            };
            row.into_iter().flatten().filter(|placed| is_match(placed.topic)).copied().collect()
        })
    }
}
