//! Good histories made up by a small model of a broker on two nodes, whose lives end in every way that lives can.

use fanfare_protocol::{Epoch, Filter, Position};
use fanfare_tests::checker::{Event, Line, Outcome};
use fanfare_tests::harness::Chance;

const TOPICS: [&str; 5] = ["a", "b.1", "b.2", "b.2.x", "c"];
const FILTERS: [&str; 6] = ["a", "b.*", ">", "b.>", "c", "*"];

#[derive(Clone)]
struct Kept {
    position: Position,
    topic: &'static str,
    data: String,
}

struct Follower {
    session: u64,
    filter: &'static str,
    cursor: Position,
    /// It is given only the newest of each topic, as if it were slow.
    is_latest: bool,
    /// What waits for one who is given the newest.
    waiting: Vec<Kept>,
}

pub(crate) struct Model {
    chance: Chance,
    lines: Vec<Line>,
    at: u64,
    epoch: Epoch,
    seq: u64,
    /// Ended lives that are remembered, with their ends.
    ended: Vec<(Epoch, u64)>,
    began: u64,
    newest: Vec<(Epoch, u64)>,
    log: Vec<Kept>,
    followers: Vec<Option<Follower>>,
    sessions: u64,
    reads: u64,
    count: u64,
}

/// A history of this many steps.
pub(crate) fn history(seed: u64, steps: usize) -> Vec<Line> {
    let epoch = Epoch { partition: 0, life: 1_000 };
    let mut model = Model {
        chance: Chance::of(seed),
        lines: Vec::new(),
        at: 0,
        epoch,
        seq: 0,
        ended: Vec::new(),
        began: 0,
        newest: vec![(epoch, 0)],
        log: Vec::new(),
        followers: (0..6).map(|_| None).collect(),
        sessions: 0,
        reads: 0,
        count: 0,
    };
    model.say(Event::Run { name: "generated".to_owned(), seed, keeps_all: true });
    for node in ["n1", "n2"] {
        model.say(Event::Node { node: node.to_owned(), up: true, epoch: Some(epoch) });
    }
    for _ in 0..steps {
        model.step();
    }
    model.end();
    model.lines
}

impl Model {
    fn say(&mut self, event: Event) {
        self.at += 1;
        self.lines.push(Line { at: self.at, event });
    }

    fn top(&self) -> Position {
        Position { epoch: self.epoch, seq: self.seq }
    }

    fn step(&mut self) {
        match self.chance.below(100) {
            0..60 => self.publish(),
            60..82 => {
                let who = self.chance.below(self.followers.len());
                match &self.followers[who] {
                    None => self.join(who, None),
                    Some(_) if self.chance.once_in(2) => self.ping(who),
                    Some(_) => self.leave(who),
                }
            }
            82 => self.new_life(),
            83 => self.sever(),
            _ => self.publish(),
        }
    }

    fn publish(&mut self) {
        self.count += 1;
        let (data, topic) = (format!("d{}", self.count), *self.chance.one_of(&TOPICS));
        let kind = self.chance.below(10);
        if kind > 0 {
            self.number(topic, &data, kind != 1);
        }
        if kind < 2 {
            let outcome = if kind == 0 { Outcome::Refused } else { Outcome::Unknown };
            self.attempt(topic, &data, outcome, None);
        }
    }

    fn attempt(&mut self, topic: &str, data: &str, outcome: Outcome, position: Option<Position>) {
        let event = Event::Publish {
            client: "p1".to_owned(),
            node: (*self.chance.one_of(&["n1", "n2"])).to_owned(),
            topic: topic.to_owned(),
            data: data.to_owned(),
            key: Some(data.to_owned()),
            start: self.at,
            end: self.at + 1,
            outcome,
            position,
            repeated: false,
            why: None,
        };
        self.say(event);
    }

    /// Numbers a message, answers its publisher, and delivers it.
    fn number(&mut self, topic: &'static str, data: &str, is_answered: bool) {
        self.seq += 1;
        let kept = Kept { position: self.top(), topic, data: data.to_owned() };
        self.newest.last_mut().unwrap().1 = self.seq;
        if is_answered {
            self.attempt(topic, data, Outcome::Ok, Some(kept.position));
        } else {
            self.attempt(topic, data, Outcome::Unknown, None);
        }
        self.log.push(kept.clone());
        for who in 0..self.followers.len() {
            self.deliver(who, &kept);
        }
    }

    fn deliver(&mut self, who: usize, kept: &Kept) {
        let is_late = self.chance.once_in(2);
        let Some(follower) = &mut self.followers[who] else { return };
        if !matches(follower.filter, kept.topic) {
            return;
        }
        if follower.is_latest {
            follower.waiting.retain(|waiting| waiting.topic != kept.topic);
            follower.waiting.push(kept.clone());
            if is_late {
                return;
            }
            return self.flush(who);
        }
        follower.cursor = kept.position;
        let session = follower.session;
        self.message(session, kept, None);
    }

    fn flush(&mut self, who: usize) {
        let Some(follower) = &mut self.followers[who] else { return };
        let (session, waiting) = (follower.session, std::mem::take(&mut follower.waiting));
        follower.cursor = waiting.last().map_or(follower.cursor, |last| last.position);
        waiting.iter().for_each(|kept| self.message(session, kept, None));
    }

    fn message(&mut self, session: u64, kept: &Kept, replay: Option<&str>) {
        self.say(Event::Message {
            session,
            topic: kept.topic.to_owned(),
            position: kept.position,
            data: kept.data.clone(),
            replay: replay.map(str::to_owned),
        });
    }

    /// Follows a filter, from a cursor or from now, sometimes with the last ones of each topic.
    fn join(&mut self, who: usize, from: Option<(&'static str, Position)>) {
        self.sessions += 1;
        let (session, node) = (self.sessions, if who.is_multiple_of(2) { "n1" } else { "n2" });
        let filter = from.map_or_else(|| *self.chance.one_of(&FILTERS), |(filter, _)| filter);
        let last = (from.is_none() && self.chance.once_in(3)).then_some(2);
        let is_latest = who == 5;
        self.say(Event::Open { session, client: format!("s{who}"), node: node.to_owned() });
        let (filter_text, after) = (filter.to_owned(), from.map(|(_, at)| at.to_string()));
        self.say(Event::Subscribe { session, filter: filter_text.clone(), after, last, latest: is_latest });
        let start = from.map_or(self.top(), |(_, at)| at);
        let end = self.end_of(start.epoch);
        let is_good = end.is_some_and(|end| start.seq <= end);
        let resumed = from.map(|_| is_good);
        self.say(Event::Ok { session, filter: filter_text.clone(), cursor: start.into(), resumed });
        let mut at = start;
        if !is_good {
            at = Position { epoch: self.epoch, seq: end.unwrap_or(self.began) };
            self.say(Event::Gap {
                session,
                topic: None,
                from: start,
                to: at,
                replay: Some(filter_text.clone()),
            });
        }
        let due: Vec<Kept> = self.log.iter().filter(|kept| matches(filter, kept.topic)).cloned().collect();
        let is_due = |index: usize, kept: &Kept| {
            let later = due[index..].iter().filter(|other| other.topic == kept.topic).count() as u64;
            kept.position.seq > at.seq || last.is_some_and(|last| later <= last)
        };
        let due: Vec<&Kept> = due
            .iter()
            .enumerate()
            .filter(|(index, kept)| is_due(*index, kept))
            .map(|(_, kept)| kept)
            .collect();
        due.iter().for_each(|kept| self.message(session, kept, Some(filter)));
        if from.is_some() || last.is_some() {
            self.say(Event::Live { session, filter: filter_text, cursor: self.top().into() });
        }
        let cursor = self.top();
        self.followers[who] = Some(Follower { session, filter, cursor, is_latest, waiting: Vec::new() });
    }

    fn ping(&mut self, who: usize) {
        self.flush(who);
        let top = self.top();
        let Some(follower) = &mut self.followers[who] else { return };
        follower.cursor = top;
        let session = follower.session;
        self.say(Event::Ping { session, cursor: top.into() });
    }

    /// Unsubscribes, or is cut off and comes back.
    fn leave(&mut self, who: usize) {
        let Some(follower) = self.followers[who].take() else { return };
        let (session, filter) = (follower.session, follower.filter);
        if self.chance.once_in(3) {
            self.say(Event::Unsubscribe { session, filter: filter.to_owned() });
            self.say(Event::Unsubscribed { session, filter: filter.to_owned() });
            return self.say(Event::Close { session, code: Some(1000) });
        }
        self.say(Event::Close { session, code: None });
        for _ in 0..self.chance.below(8) {
            self.publish();
        }
        if self.chance.once_in(4) {
            self.new_life();
        }
        self.join(who, Some((filter, follower.cursor)));
    }

    /// Ends the life: with nothing lost, with the newest lost, or with everything lost.
    fn new_life(&mut self) {
        let (old, kind) = (self.epoch, self.chance.below(3));
        let behind = self.chance.below(4) as u64;
        let end = if kind == 1 { self.seq.saturating_sub(behind).max(self.began) } else { self.seq };
        self.epoch = Epoch { life: old.life + 1, ..old };
        self.newest.push((self.epoch, end));
        if kind == 2 {
            self.ended.clear();
            self.log.clear();
        } else {
            self.ended.push((old, end));
        }
        self.log.retain(|kept| kept.position.seq <= end);
        (self.seq, self.began) = (end, end);
        for who in 0..self.followers.len() {
            self.flush(who);
            let to = self.top();
            let Some(follower) = &mut self.followers[who] else { continue };
            let from = follower.cursor;
            if kind == 2 || from.seq > end {
                let session = follower.session;
                follower.cursor = to;
                self.say(Event::Gap { session, topic: None, from, to, replay: None });
            }
        }
        self.read_lives();
    }

    /// A fault that the node sees in time, and whose end too.
    fn sever(&mut self) {
        let fault = |begins| Event::Fault {
            name: "cut off".to_owned(),
            node: Some("n2".to_owned()),
            begins,
            severs: true,
        };
        let ready = |ready| Event::Ready { node: "n2".to_owned(), ready };
        self.say(fault(true));
        self.at += 4_000_000;
        self.say(ready(true));
        self.at += 4_000_000;
        self.say(ready(false));
        self.say(fault(false));
        self.at += 4_000_000;
        self.say(ready(false));
        self.at += 20_000_000;
        self.say(ready(true));
    }

    fn end(&mut self) {
        for who in 0..self.followers.len() {
            self.ping(who);
        }
        self.read_all();
        self.say(Event::Quiet {});
    }

    fn read_all(&mut self) {
        for topic in TOPICS {
            self.read(topic, Position { epoch: self.epoch, seq: 0 });
        }
        self.read_lives();
    }

    fn read_lives(&mut self) {
        let current = self.epoch;
        for (epoch, newest) in self.newest.clone().into_iter().filter(|(epoch, _)| *epoch != current) {
            for seq in [0, newest] {
                self.read(TOPICS[0], Position { epoch, seq });
            }
        }
    }

    fn read(&mut self, topic: &str, after: Position) {
        self.reads += 1;
        let read = self.reads;
        let node = "n1".to_owned();
        self.say(Event::Read { read, node, topic: topic.to_owned(), after });
        let mut from = after.seq;
        let end = self.end_of(after.epoch);
        if end.is_none_or(|end| after.seq > end) {
            from = end.unwrap_or(self.began);
            let to = Position { epoch: self.epoch, seq: from };
            self.say(Event::Hole { read, topic: None, from: after, to });
        }
        let kept: Vec<Kept> =
            self.log.iter().filter(|kept| kept.topic == topic && kept.position.seq > from).cloned().collect();
        for Kept { position, topic, data } in kept {
            self.say(Event::Kept { read, topic: topic.to_owned(), position, data });
        }
        self.say(Event::ReadEnd { read, cursor: self.top() });
    }

    /// The end of a life that is remembered; of the one that goes on, no bound.
    fn end_of(&self, epoch: Epoch) -> Option<u64> {
        if epoch == self.epoch {
            return Some(u64::MAX);
        }
        self.ended.iter().find(|(other, _)| *other == epoch).map(|(_, end)| *end)
    }
}

fn matches(filter: &str, topic: &str) -> bool {
    Filter::parse(filter).unwrap().matches(topic)
}
