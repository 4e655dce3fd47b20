//! What was: which messages there are, where each stands, and how the lives of numbering hang together.
//!
//! A message is there if an answer, a delivery or a read says so. Lives that a resume goes through without notice are
//! one **chain** of rising seqs, each life up to its end; what a life numbered beyond its end, and a life of which nobody
//! ever read anything, is a **branch**. Which it is, is known by reading from each life's start, which shows that the
//! life is remembered, and from the highest seq seen in it, where a null gap is its end.

use std::collections::{BTreeMap, HashMap};

use fanfare_protocol::{Epoch, Position};

use super::names::Names;
use super::places::Places;
use super::{Claim, Event, Numbered, Outcome, Report};

/// All that is known of one run.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) topics: Names,
    pub(super) keeps_all: bool,
    /// The messages of each chain, in order of seq.
    pub(super) chains: BTreeMap<usize, Vec<Placed>>,
    /// The other messages of each life, in order of seq.
    pub(super) branches: BTreeMap<Epoch, Vec<Placed>>,
    /// The lives of chains.
    pub(super) lives: BTreeMap<Epoch, Life>,
    /// The life of each partition that goes on.
    pub(super) current: BTreeMap<u16, Epoch>,
    /// When each life was first seen.
    seen: BTreeMap<Epoch, u64>,
    /// What each node had answered to publishers by when, the highest seq of each life.
    answered: HashMap<(u32, Epoch), Vec<Answered>>,
    nodes: Names,
}

/// A life's place in its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) chain: usize,
    /// The highest seq from which a resume needs no notice; no bound if none is known.
    pub(super) end: u64,
}

/// A message in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) position: Position,
    pub(super) topic: u32,
    /// The line that says so.
    pub(super) line: usize,
    /// True if a publisher was answered with it.
    pub(super) is_answered: bool,
    /// When its first publish began.
    pub(super) start: u64,
}

#[derive(Debug, Clone, Copy)]
struct Answered {
    end: u64,
    seq_max: u64,
    line: usize,
}

impl Facts {
    /// Puts together what the lines say, and reports where they contradict each other.
    pub(super) fn gather(lines: &[Numbered], report: &mut Report) -> Facts {
        let mut facts = Facts::default();
        facts.gather_seen(lines);
        facts.gather_lives(lines);
        facts.gather_answers(lines);
        for (position, placed) in Places::gather(lines, &mut facts.topics, report) {
            let list = match facts.chain_of(position) {
                Some(chain) => facts.chains.entry(chain).or_default(),
                None => facts.branches.entry(position.epoch).or_default(),
            };
            list.push(placed);
        }
        for chain in facts.chains.values_mut() {
            chain.sort_by_key(|placed| placed.position.seq);
            for pair in chain.windows(2).filter(|pair| pair[0].position.seq == pair[1].position.seq) {
                report.add(Claim::TwoMessagesAtOnePosition, &[pair[0].line, pair[1].line], || {
                    let [a, b] = [pair[0].position, pair[1].position];
                    format!("one life goes on from the other, and {a} and {b} are one place")
                });
            }
        }
        facts
    }

    /// The chain on which a position lies, if it lies on one.
    pub(super) fn chain_of(&self, position: Position) -> Option<usize> {
        self.lives.get(&position.epoch).filter(|life| position.seq <= life.end).map(|life| life.chain)
    }

    /// True if this life was seen before that time.
    pub(super) fn is_seen_before(&self, epoch: Epoch, at: u64) -> bool {
        self.seen.get(&epoch).is_some_and(|seen| *seen < at)
    }

    /// The highest seq of a life that a node had answered before that time, and the line.
    pub(super) fn answered_before(&self, node: &str, epoch: Epoch, at: u64) -> Option<(u64, usize)> {
        let answers = self.answered.get(&(self.nodes.known(node)?, epoch))?;
        let count = answers.partition_point(|answered| answered.end < at);
        let answered = answers.get(count.checked_sub(1)?)?;
        Some((answered.seq_max, answered.line))
    }

    fn gather_seen(&mut self, lines: &[Numbered]) {
        for line in lines {
            match &line.event {
                Event::Run { keeps_all, .. } => self.keeps_all = *keeps_all,
                Event::Node { epoch, .. } => self.see(epoch.as_ref(), line.at),
                Event::Publish { position, end, .. } => {
                    self.see(position.as_ref().map(|position| &position.epoch), *end);
                }
                Event::Message { position, .. } | Event::Kept { position, .. } => {
                    self.see([&position.epoch], line.at);
                }
                Event::Gap { to, .. } | Event::Hole { to, .. } => self.see([&to.epoch], line.at),
                Event::Ping { cursor, .. } | Event::Live { cursor, .. } => {
                    self.see(cursor.positions().iter().map(|position| &position.epoch), line.at);
                }
                _ => {}
            }
        }
    }

    fn see<'a>(&mut self, epochs: impl IntoIterator<Item = &'a Epoch>, at: u64) {
        for epoch in epochs {
            let seen = self.seen.entry(*epoch).or_insert(at);
            *seen = at.min(*seen);
        }
    }

    /// How lives hang together, by the reads in their order.
    fn gather_lives(&mut self, lines: &[Numbered]) {
        let mut open: BTreeMap<u64, (Position, Option<Position>)> = BTreeMap::new();
        let mut is_remembered: BTreeMap<Epoch, bool> = BTreeMap::new();
        for line in lines {
            match &line.event {
                Event::Read { read, after, .. } => drop(open.insert(*read, (*after, None))),
                Event::Hole { read, topic: None, from, to } if from.epoch != to.epoch => {
                    if let Some((_, broken)) = open.get_mut(read) {
                        broken.get_or_insert(*to);
                    }
                }
                Event::ReadEnd { read, cursor } => {
                    let Some((after, broken)) = open.remove(read) else { continue };
                    self.current.insert(cursor.epoch.partition, cursor.epoch);
                    if after.seq == 0 {
                        is_remembered.insert(after.epoch, broken.is_none());
                    }
                    if broken.is_none() {
                        self.join_lives(after.epoch, cursor.epoch);
                    }
                    if let (Some(to), Some(true)) = (broken, is_remembered.get(&after.epoch))
                        && let Some(life) = self.lives.get_mut(&after.epoch)
                    {
                        life.end = to.seq.min(life.end);
                    }
                }
                _ => {}
            }
        }
    }

    /// Two lives are of one chain.
    fn join_lives(&mut self, one: Epoch, other: Epoch) {
        let new = Life { chain: self.lives.len(), end: u64::MAX };
        let kept = self.lives.entry(one).or_insert(new).chain;
        let new = Life { chain: kept, end: u64::MAX };
        let merged = self.lives.entry(other).or_insert(new).chain;
        for life in self.lives.values_mut().filter(|life| life.chain == merged) {
            life.chain = kept;
        }
    }

    fn gather_answers(&mut self, lines: &[Numbered]) {
        for line in lines {
            let Event::Publish { node, outcome: Outcome::Ok, position: Some(position), end, .. } =
                &line.event
            else {
                continue;
            };
            let node = self.nodes.number(node);
            let answered = Answered { end: *end, seq_max: position.seq, line: line.number };
            self.answered.entry((node, position.epoch)).or_default().push(answered);
        }
        #[expect(clippy::iter_over_hash_type, reason = "each is put in order by itself")]
        for answers in self.answered.values_mut() {
            answers.sort_by_key(|answered| answered.end);
            let mut highest = (0, 0);
            for answered in answers {
                highest = highest.max((answered.seq_max, answered.line));
                (answered.seq_max, answered.line) = highest;
            }
        }
    }
}
