//! The session against a small broker in many orders of events: whatever is cut, dropped, held and forgotten, each
//! filter gets everything once and in order, or is told what it misses.

use std::collections::BTreeMap;

use fanfare_client::session::{Output, Session};
use fanfare_client::{Cursor, Encoding, Event, Filter, SubscribeOptions};

use super::broker::{Connection, Log};

const TOPICS: [&str; 6] = ["t.a", "t.b", "t.c", "u.a", "u.b", "u.c"];
const FILTERS: [&str; 6] = ["t.a", "t.b", "t.*", "u.*", "*.a", ">"];

/// What one filter was given.
#[derive(Debug, Default)]
struct Follower {
    got: Vec<u64>,
    /// The topic, or none for all, after what and up to what.
    gaps: Vec<(Option<String>, u64, u64)>,
    start: Option<u64>,
    cursor: Option<Cursor>,
    is_held: bool,
}

struct World {
    random: u64,
    log: Log,
    keep: BTreeMap<&'static str, usize>,
    session: Session,
    connection: Option<Connection>,
    followers: BTreeMap<Filter, Follower>,
}

fn seq(cursor: Option<&Cursor>) -> u64 {
    cursor.map_or(0, |cursor| cursor.in_partition(0).unwrap().seq)
}

impl Follower {
    fn take(&mut self, filter: &Filter, event: &Event) {
        let cursor = seq(self.cursor.as_ref());
        match event {
            Event::Message(message) => {
                let seq = message.position.seq;
                assert!(
                    self.got.last().is_none_or(|last| *last < seq),
                    "{filter} gets {seq} after {:?}",
                    self.got
                );
                assert!(filter.matches(message.topic.as_str()), "{filter} gets {}", message.topic);
                self.got.push(seq);
            }
            Event::Gap(gap) => {
                self.gaps.push((
                    gap.topic.as_ref().map(|topic| topic.as_str().to_owned()),
                    cursor,
                    gap.to.seq,
                ));
            }
            Event::Live(_) => {}
            Event::Unsubscribed { .. } | Event::Closed { .. } => panic!("{event:?} of {filter}"),
        }
        event.advance(&mut self.cursor);
    }

    fn check(&self, filter: &Filter, log: &Log) {
        let Some(start) = self.start else { return };
        let cursor = seq(self.cursor.as_ref());
        for (seq, topic) in log.all.iter().filter(|(seq, _)| (start + 1..=cursor).contains(seq)) {
            let told = || {
                let mut gaps = self.gaps.iter();
                gaps.any(|(of, from, to)| {
                    of.as_ref().is_none_or(|of| of == topic) && (from + 1..=*to).contains(seq)
                })
            };
            assert!(
                !filter.matches(topic) || self.got.contains(seq) || told(),
                "{filter} misses {seq} of {topic} silently: {self:?}"
            );
        }
    }
}

impl World {
    fn new(seed: u64) -> World {
        let mut world = World {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            log: Log::default(),
            keep: BTreeMap::new(),
            session: Session::new(Encoding::Json),
            connection: None,
            followers: BTreeMap::new(),
        };
        for topic in TOPICS {
            let keep = [0, 1, 3, 50][world.below(4)];
            world.keep.insert(topic, keep);
        }
        world.drain();
        world
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 33) as usize % bound
    }

    fn filter(&mut self) -> Filter {
        Filter::parse(FILTERS[self.below(FILTERS.len())]).unwrap()
    }

    /// Does what the session says.
    fn drain(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Connect => {
                    self.connection = Some(Connection::default());
                    self.session.opened(0);
                }
                Output::Send(frame) => self.connection.as_mut().unwrap().take(&frame),
                Output::Event { filter, event } => {
                    let follower = self.followers.get_mut(&filter).expect("events are for what is followed");
                    assert!(!follower.is_held, "{filter} is held");
                    follower.take(&filter, &event);
                    follower.start = follower.start.or(Some(seq(follower.cursor.as_ref())));
                }
                Output::Moved { filter, cursor } => {
                    let follower = self.followers.get_mut(&filter).expect("cursors are of what is followed");
                    follower.start = follower.start.or(Some(seq(Some(&cursor))));
                    follower.cursor = Some(cursor);
                }
                Output::Published { .. } | Output::Close(_) => panic!("nothing is published or closed here"),
            }
        }
        for (filter, follower) in &self.followers {
            assert_eq!(self.session.cursor(filter), follower.cursor.as_ref(), "{filter}");
        }
    }

    fn step(&mut self) {
        let topic = TOPICS[self.below(TOPICS.len())];
        let (filter, few) = (self.filter(), 1 + self.below(4));
        let connection = self.connection.as_mut().unwrap();
        match self.random % 100 {
            0..30 => {
                let seq = self.log.publish(topic, self.keep[topic]);
                connection.published(seq, topic);
            }
            30..40 => connection.answer(&self.log),
            40..58 => drop((0..few).find(|_| !connection.send(0, &mut self.session))),
            58..74 => connection.replay(&self.log, &filter),
            74..80 => self.subscribe(filter, [None, None, Some(1), Some(2)][few - 1]),
            80..82 => connection.ping(&self.log),
            82..85 => {
                if self.followers.remove(&filter).is_some() {
                    self.session.unsubscribe(&filter);
                }
            }
            85..89 => self.cut(),
            89..92 => connection.drop_oldest(few),
            92..95 => self.hold(&filter),
            95..98 => self.release(&filter),
            _ => self.log.forget(topic),
        }
        self.drain();
    }

    fn subscribe(&mut self, filter: Filter, last: Option<u32>) {
        if !self.followers.contains_key(&filter) {
            self.followers.insert(filter.clone(), Follower::default());
            assert!(self.session.subscribe(filter, SubscribeOptions { last, ..SubscribeOptions::default() }));
        }
    }

    fn hold(&mut self, filter: &Filter) {
        // Only what has begun can be too much.
        if let Some(follower) = self.followers.get_mut(filter).filter(|follower| follower.start.is_some()) {
            follower.is_held = true;
            self.session.hold(filter);
        }
    }

    fn release(&mut self, filter: &Filter) {
        if let Some(follower) = self.followers.get_mut(filter).filter(|follower| follower.is_held) {
            follower.is_held = false;
            self.session.release(filter);
        }
    }

    fn cut(&mut self) {
        self.check();
        self.session.closed(0, 1006, "cut", 0.0);
        self.session.tick(0, 0.0);
    }

    fn check(&self) {
        self.followers.iter().for_each(|(filter, follower)| follower.check(filter, &self.log));
    }

    /// Lets everything come that is still to come: then each filter has reached what it matches.
    fn settle(&mut self) {
        for name in FILTERS {
            self.release(&Filter::parse(name).unwrap());
        }
        self.cut();
        self.drain();
        for _ in 0..2_000 {
            let connection = self.connection.as_mut().unwrap();
            connection.answer(&self.log);
            for name in FILTERS {
                connection.replay(&self.log, &Filter::parse(name).unwrap());
            }
            let is_quiet = connection.is_quiet();
            connection.send(0, &mut self.session);
            self.drain();
            if is_quiet {
                break;
            }
        }
        assert!(self.connection.as_ref().unwrap().is_quiet(), "it comes to rest");
        self.check();
        for (filter, follower) in &self.followers {
            let (start, cursor) = (follower.start.expect("it has begun"), seq(follower.cursor.as_ref()));
            let matching = self.log.all.iter().filter(|(seq, topic)| *seq > start && filter.matches(topic));
            let newest = matching.map(|(seq, _)| *seq).max().unwrap_or(0);
            assert!(cursor >= newest, "{filter} stands at {cursor} below {newest}");
        }
    }
}

#[test]
fn whatever_happens_each_filter_gets_everything_once_in_order_or_is_told() {
    for seed in 0..2_000 {
        let told = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..40 + world.below(300) {
                world.step();
            }
            world.settle();
        });
        assert!(told.is_ok(), "seed {seed}");
    }
}
