//! What was: which messages there are, where each stands, and how the lives of numbering hang together.
//!
//! A message is there if an answer, a delivery or a read says so. Lives that a resume goes through without notice are
//! one **chain** of rising seqs, each life up to its end; what a life numbered beyond its end, and a life that nobody
//! remembers, is a **branch**. Which it is, is known by reading from each life's start and from the highest seq seen in
//! it: a null gap is the end of that life.

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
    /// The messages of each partition that a resume can meet, in order of seq.
    pub(super) chains: BTreeMap<u16, Vec<Placed>>,
    /// The other messages of each life, in order of seq.
    pub(super) branches: BTreeMap<Epoch, Vec<Placed>>,
    /// The end of each life that is remembered; of the one that goes on, no bound.
    pub(super) ends: BTreeMap<Epoch, u64>,
    /// The life of each partition that goes on.
    pub(super) current: BTreeMap<u16, Epoch>,
    /// When each life was first seen.
    lives: BTreeMap<Epoch, u64>,
    /// With a single node: what it had answered to publishers by when, the highest seq of each life.
    answered: HashMap<Epoch, Vec<Answered>>,
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
        facts.gather_lives(lines);
        facts.gather_ends(lines);
        facts.gather_answers(lines);
        for (position, placed) in Places::gather(lines, &mut facts.topics, report) {
            let list = if facts.is_on_chain(position) {
                facts.chains.entry(position.epoch.partition).or_default()
            } else {
                facts.branches.entry(position.epoch).or_default()
            };
            list.push(placed);
        }
        for (partition, chain) in &mut facts.chains {
            chain.sort_by_key(|placed| placed.position.seq);
            for pair in chain.windows(2).filter(|pair| pair[0].position.seq == pair[1].position.seq) {
                report.add(Claim::TwoMessagesAtOnePosition, &[pair[0].line, pair[1].line], || {
                    let [a, b] = [pair[0].position, pair[1].position];
                    format!("partition {partition} goes on from one life to the next, and {a} and {b} are one place")
                });
            }
        }
        facts
    }

    /// True if a resume from there needs no notice.
    pub(super) fn is_on_chain(&self, position: Position) -> bool {
        self.ends.get(&position.epoch).is_some_and(|end| position.seq <= *end)
    }

    /// True if this life was seen before that time.
    pub(super) fn is_seen_before(&self, epoch: Epoch, at: u64) -> bool {
        self.lives.get(&epoch).is_some_and(|seen| *seen < at)
    }

    /// The highest seq of a life that was answered before that time, and the line.
    pub(super) fn answered_before(&self, epoch: Epoch, at: u64) -> Option<(u64, usize)> {
        let answers = self.answered.get(&epoch)?;
        let count = answers.partition_point(|answered| answered.end < at);
        let answered = answers.get(count.checked_sub(1)?)?;
        Some((answered.seq_max, answered.line))
    }

    fn gather_lives(&mut self, lines: &[Numbered]) {
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
            let seen = self.lives.entry(*epoch).or_insert(at);
            *seen = at.min(*seen);
        }
    }

    /// The ends of lives, by the reads.
    fn gather_ends(&mut self, lines: &[Numbered]) {
        let mut afters: BTreeMap<u64, Position> = BTreeMap::new();
        let mut breaks: BTreeMap<u64, Position> = BTreeMap::new();
        let mut read_to: BTreeMap<u64, Position> = BTreeMap::new();
        for line in lines {
            match &line.event {
                Event::Read { read, after, .. } => drop(afters.insert(*read, *after)),
                Event::Hole { read, topic: None, from, to } if from.epoch != to.epoch => {
                    breaks.entry(*read).or_insert(*to);
                }
                Event::ReadEnd { read, cursor } => drop(read_to.insert(*read, *cursor)),
                _ => {}
            }
        }
        for cursor in read_to.values() {
            self.current.insert(cursor.epoch.partition, cursor.epoch);
        }
        let complete = || afters.iter().filter(|(read, _)| read_to.contains_key(read));
        for (read, after) in complete().filter(|(_, after)| after.seq == 0) {
            if !breaks.contains_key(read) {
                self.ends.insert(after.epoch, u64::MAX);
            }
        }
        for (read, after) in complete() {
            if let (Some(to), Some(end)) = (breaks.get(read), self.ends.get_mut(&after.epoch)) {
                *end = to.seq.min(*end);
            }
        }
        self.ends.extend(self.current.values().map(|epoch| (*epoch, u64::MAX)));
    }

    fn gather_answers(&mut self, lines: &[Numbered]) {
        let mut nodes = Names::default();
        for line in lines {
            let Event::Publish { node, outcome: Outcome::Ok, position: Some(position), end, .. } =
                &line.event
            else {
                continue;
            };
            nodes.number(node);
            let answered = Answered { end: *end, seq_max: position.seq, line: line.number };
            self.answered.entry(position.epoch).or_default().push(answered);
        }
        if nodes.count() > 1 {
            self.answered.clear();
        }
        for epoch in self.lives.keys() {
            let Some(answers) = self.answered.get_mut(epoch) else { continue };
            answers.sort_by_key(|answered| answered.end);
            let mut highest = (0, 0);
            for answered in answers {
                highest = highest.max((answered.seq_max, answered.line));
                (answered.seq_max, answered.line) = highest;
            }
        }
    }
}
