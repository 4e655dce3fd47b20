//! What was answered to publishers, against the order of time and against what is kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fanfare_protocol::{Epoch, Filter, Position};

use super::facts::Facts;
use super::path::{Between, Paths};
use super::{Claim, Event, Numbered, Outcome, Report};

/// One read of a topic.
struct Read<'a> {
    line: usize,
    topic: &'a str,
    after: Position,
    kept: BTreeSet<Position>,
    newest: u64,
    holes: Vec<(Option<&'a str>, Position, Position)>,
}

pub(super) fn check(lines: &[Numbered], facts: &Facts, report: &mut Report) {
    check_order(lines, report);
    check_reads(lines, facts, report);
}

/// A publish that began after another was answered has a higher seq of the same life.
fn check_order(lines: &[Numbered], report: &mut Report) {
    let mut answered: Vec<(u64, u64, Position, usize)> = Vec::new();
    for line in lines {
        if let Event::Publish {
            start,
            end,
            outcome: Outcome::Ok,
            position: Some(position),
            repeated: false,
            ..
        } = &line.event
        {
            answered.push((*start, *end, *position, line.number));
        }
    }
    let mut by_end = answered.clone();
    by_end.sort_by_key(|(_, end, ..)| *end);
    answered.sort_by_key(|(start, ..)| *start);
    let mut highest: HashMap<Epoch, (u64, usize)> = HashMap::new();
    let mut ended = by_end.into_iter().peekable();
    for (start, _, position, line) in answered {
        while let Some((_, _, other, line)) = ended.next_if(|(_, end, ..)| *end < start) {
            let highest = highest.entry(other.epoch).or_default();
            *highest = (*highest).max((other.seq, line));
        }
        if let Some((seq, before)) = highest.get(&position.epoch).filter(|(seq, _)| *seq >= position.seq) {
            report.add(Claim::SeqWentBack, &[*before, line], || {
                format!("{position} was given to a publish that began after seq {seq} was answered")
            });
        }
    }
}

fn check_reads(lines: &[Numbered], facts: &Facts, report: &mut Report) {
    let mut paths = Paths::of(facts);
    let mut open: BTreeMap<u64, Read<'_>> = BTreeMap::new();
    for line in lines {
        match &line.event {
            Event::Read { read, topic, after, .. } => {
                let (kept, holes) = (BTreeSet::new(), Vec::new());
                open.insert(*read, Read { line: line.number, topic, after: *after, kept, newest: 0, holes });
            }
            Event::Kept { read, topic, position, .. } => {
                let Some(read) = open.get_mut(read) else { continue };
                read.keep(topic, *position, line.number, report);
            }
            Event::Hole { read, topic, from, to } => {
                let Some(read) = open.get_mut(read) else { continue };
                read.holes.push((topic.as_deref(), *from, *to));
            }
            Event::ReadEnd { read, cursor } => {
                let Some(read) = open.remove(read) else { continue };
                read.end(*cursor, line.number, facts, &mut paths, report);
            }
            _ => {}
        }
    }
}

impl Read<'_> {
    fn keep(&mut self, topic: &str, position: Position, line: usize, report: &mut Report) {
        if topic != self.topic {
            report.add(Claim::WrongTopic, &[self.line, line], || {
                format!("a read of {:?} brought {topic:?}", self.topic)
            });
        }
        if !self.kept.insert(position) {
            report.add(Claim::Duplicate, &[self.line, line], || format!("a read brought {position} again"));
        } else if position.seq <= self.newest {
            report.add(Claim::Reordered, &[self.line, line], || {
                format!("a read brought {position} behind seq {}", self.newest)
            });
        }
        self.newest = self.newest.max(position.seq);
    }

    fn end(&self, cursor: Position, line: usize, facts: &Facts, paths: &mut Paths<'_>, report: &mut Report) {
        let Ok(filter) = Filter::parse(self.topic) else { return };
        let Between::Ahead(due) = paths.between(&filter, self.after, cursor, true) else { return };
        let is_told = |seq: u64| {
            let within = |from: &Position, to: &Position| from.seq < seq && seq <= to.seq;
            self.holes
                .iter()
                .any(|(_, from, to)| within(from, to) && !(facts.keeps_all && from.epoch == to.epoch))
        };
        for placed in due {
            if self.kept.contains(&placed.position) || is_told(placed.position.seq) {
                continue;
            }
            let (claim, what) = if placed.is_answered {
                (Claim::LostWrite, "was answered to its publisher")
            } else {
                (Claim::Ghost, "was delivered")
            };
            report.add(claim, &[placed.line, self.line, line], || {
                format!("{} of {:?} {what} and is not kept", placed.position, self.topic)
            });
        }
    }
}
