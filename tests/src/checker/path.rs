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
    Chain(usize),
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
        let chain = self.facts.chain_of(from);
        let life = self.facts.lives.get(&to.epoch).filter(|life| Some(life.chain) == chain);
        if from.epoch != to.epoch && life.is_none() {
            return Between::OtherLife;
        }
        match from.seq.cmp(&to.seq) {
            std::cmp::Ordering::Equal => return Between::Nothing,
            std::cmp::Ordering::Greater => return Between::Back,
            std::cmp::Ordering::Less => {}
        }
        let above = from.seq;
        let below = if with { to.seq.saturating_add(1) } else { to.seq };
        let Some(life) = life else {
            return Between::Ahead(self.pick(filter, Way::Branch(to.epoch), above, below));
        };
        let (way, end) = (Way::Chain(life.chain), life.end);
        let mut due = self.pick(filter, way, above, below.min(end.saturating_add(1)));
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
        let chain = facts.chain_of(placed.position).map(Way::Chain);
        let ways = [chain, Some(Way::Branch(placed.position.epoch))];
        ways.into_iter().flatten().any(|way| {
            let list = self.picked(&topic, way);
            let first = list.partition_point(|other| other.position.seq <= placed.position.seq);
            list[first..].iter().take(LOOKED_AT).any(|newer| newer.start <= at)
        })
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
                Way::Chain(chain) => facts.chains.get(&chain),
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
