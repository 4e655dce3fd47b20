//! Where each message stands, by everything that says so; and what must not be said.

use std::collections::{BTreeMap, HashMap};

use fanfare_protocol::Position;

use super::facts::Placed;
use super::names::Names;
use super::{Claim, Event, Numbered, Outcome, Report};

/// The messages by their position.
pub(super) struct Places<'a> {
    topics: &'a mut Names,
    report: &'a mut Report,
    published: HashMap<&'a str, Published<'a>>,
    placed: BTreeMap<Position, (&'a str, Placed)>,
    by_data: HashMap<&'a str, Vec<(Position, usize)>>,
}

/// What was tried with one message.
struct Published<'a> {
    topic: &'a str,
    line: usize,
    attempts: usize,
    start: u64,
    is_refused: bool,
}

/// One who says that a message stands somewhere.
struct Said<'a> {
    line: usize,
    at: u64,
    topic: &'a str,
    position: Position,
    data: &'a str,
    is_answer: bool,
}

impl<'a> Places<'a> {
    /// All that answers, reads and deliveries say, in this order; what contradicts the earlier is reported and not
    /// believed.
    pub(super) fn gather(
        lines: &'a [Numbered],
        topics: &'a mut Names,
        report: &'a mut Report,
    ) -> Vec<(Position, Placed)> {
        let mut places = Places {
            topics,
            report,
            published: HashMap::new(),
            placed: BTreeMap::new(),
            by_data: HashMap::new(),
        };
        lines.iter().for_each(|line| places.publish(line));
        for say in [answer, kept, delivery] {
            lines.iter().filter_map(say).for_each(|said| places.say(&said));
        }
        places.placed.into_iter().map(|(position, (_, placed))| (position, placed)).collect()
    }

    fn publish(&mut self, line: &'a Numbered) {
        let Event::Publish { topic, data, start, outcome, .. } = &line.event else { return };
        self.topics.number(topic);
        let is_refused = *outcome == Outcome::Refused;
        let published = self.published.entry(data).or_insert_with(|| Published {
            topic,
            line: line.number,
            attempts: 0,
            start: *start,
            is_refused,
        });
        published.attempts += 1;
        published.start = published.start.min(*start);
        published.is_refused &= is_refused;
    }

    fn say(&mut self, said: &Said<'a>) {
        let Said { line, position, data, .. } = *said;
        let Some(start) = self.is_credible(said) else { return };
        if let Some((other, placed)) = self.placed.get_mut(&position) {
            if *other == data {
                placed.is_answered |= said.is_answer;
                return;
            }
            return self.report.add(Claim::TwoMessagesAtOnePosition, &[placed.line, line], || {
                format!("{position} is {other:?} and {data:?}")
            });
        }
        let attempts = self.published[data].attempts;
        let others = self.by_data.entry(data).or_default();
        let twice = |other: &&(Position, usize)| other.0.epoch == position.epoch || attempts < 2;
        if let Some((other, other_line)) = others.iter().find(twice) {
            return self.report.add(Claim::OneMessageAtTwoPositions, &[*other_line, line], || {
                format!("{data:?} is at {other} and at {position}")
            });
        }
        others.push((position, line));
        let topic = self.topics.number(said.topic);
        let placed = Placed { position, topic, line, is_answered: said.is_answer, start };
        self.placed.insert(position, (data, placed));
    }

    /// When its publish began, if there was one that may have this outcome.
    fn is_credible(&mut self, said: &Said<'a>) -> Option<u64> {
        let Said { line, at, topic, position, data, is_answer } = *said;
        let Some(published) = self.published.get(data) else {
            self.report
                .add(Claim::Phantom, &[line], || format!("{data:?} at {position} was never published"));
            return None;
        };
        if published.topic != topic {
            self.report.add(Claim::WrongTopic, &[published.line, line], || {
                format!("{data:?} was published to {:?} and came to {topic:?}", published.topic)
            });
            return None;
        }
        if !is_answer && (published.is_refused || at < published.start) {
            self.report.add(Claim::Phantom, &[published.line, line], || {
                let why = if published.is_refused { "was refused" } else { "came before it was published" };
                format!("{data:?} at {position} {why}")
            });
            return None;
        }
        Some(published.start)
    }
}

fn answer(line: &Numbered) -> Option<Said<'_>> {
    let Event::Publish { topic, data, end, outcome: Outcome::Ok, position: Some(position), .. } = &line.event
    else {
        return None;
    };
    Some(Said { line: line.number, at: *end, topic, position: *position, data, is_answer: true })
}

fn kept(line: &Numbered) -> Option<Said<'_>> {
    let Event::Kept { topic, position, data, .. } = &line.event else { return None };
    Some(Said { line: line.number, at: line.at, topic, position: *position, data, is_answer: false })
}

fn delivery(line: &Numbered) -> Option<Said<'_>> {
    let Event::Message { topic, position, data, .. } = &line.event else { return None };
    Some(Said { line: line.number, at: line.at, topic, position: *position, data, is_answer: false })
}
