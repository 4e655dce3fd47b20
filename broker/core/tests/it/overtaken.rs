//! A read whose answer was overtaken by what came, and had to make room for other topics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fanfare_core::{
    Admitted, Ask, Broker, Limits, Now, Numbered, Preparing, Record, ReplayEvent, Told, TopicRead, TopicRules,
};
use fanfare_protocol::{Epoch, Filter, Message, Payload, Position, Topic};

const NOW: Now = Now { us: 0, unix_ms: 0 };
const EPOCH: Epoch = Epoch { partition: 0, life: 1 };

fn record(seq: u64) -> Record {
    Record { epoch: EPOCH, began: 0, seq, floor: 0, ended: Vec::new() }
}

fn numbered(topic: &str, seq: u64, prev: u64) -> Numbered {
    let message = Message {
        topic: Topic::parse(topic).unwrap(),
        position: Position { epoch: EPOCH, seq },
        payload: Payload::Json("1".into()),
        media_type: None,
        time: None,
        user: None,
        headers: None,
    };
    Numbered { message, prev, age_ms: 0, ttl_s: None, origin: None }
}

fn topic_read(kept: Vec<Numbered>) -> TopicRead {
    let newest = &kept.last().expect("something is kept").message;
    TopicRead { name: newest.topic.clone(), last: newest.position.seq, kept }
}

/// A joined node that has room for one topic.
struct Node {
    broker: Broker,
    is_ready: Arc<AtomicBool>,
}

impl Node {
    fn start() -> Node {
        let limits = Limits { topics: 1, ..Limits::default() };
        let broker = Broker::joined(1, TopicRules::default(), limits, vec![Box::new(|| ())], Box::new(|| ()));
        broker.told(NOW, Told::Up(record(74)));
        Node { broker, is_ready: Arc::default() }
    }

    fn told(&self, told: Told) {
        self.broker.told(NOW, told);
    }

    /// A history of the topic waits; the read that it waits for.
    fn want(&self, topic: &str) -> u64 {
        let is_ready = self.is_ready.clone();
        let completion =
            || -> Admitted { Box::new(move |_, result| is_ready.store(result.is_ok(), Ordering::Relaxed)) };
        let filters = [Filter::parse(topic).unwrap()];
        let preparing = self.broker.prepare(NOW, &filters, None, Default::default(), completion).unwrap();
        assert!(matches!(preparing, Preparing::Waits(_)), "{preparing:?}");
        for ask in self.broker.take_asks() {
            if let Ask::Follow(channels) = ask {
                self.told(Told::Confirmed(channels));
            }
        }
        for ask in self.broker.take_asks() {
            if let Ask::Probe { probe } = ask {
                self.told(Told::Probed { probe, record: record(74) });
            }
        }
        self.read().expect("what is kept is to be read")
    }

    /// The read that it asks for.
    fn read(&self) -> Option<u64> {
        self.broker.take_asks().into_iter().find_map(|ask| {
            let Ask::Read { read, .. } = ask else { return None };
            Some(read)
        })
    }

    fn answer(&self, read: u64, seq: u64, kept: Vec<Numbered>) {
        self.told(Told::Read { read, result: Ok((record(seq), vec![topic_read(kept)])) });
    }

    /// The seqs of the newest of a topic.
    fn newest(&self, topic: &str) -> Vec<u64> {
        assert!(self.is_ready.load(Ordering::Relaxed), "the history is to be served");
        let history = self.broker.history(&Topic::parse(topic).unwrap(), None, 10, NOW).unwrap();
        let seqs = history.events.iter().map(|event| match event {
            ReplayEvent::Message(entry) => entry.seq(),
            ReplayEvent::Gap(gap) => panic!("{gap:?} is not of the newest"),
        });
        seqs.collect()
    }
}

/// 83 of `b.c` came and went while a read was under way.
fn overtaken() -> (Node, u64) {
    let node = Node::start();
    let other = node.want("x");
    node.told(Told::Read { read: other, result: Ok((record(74), Vec::new())) });
    let read = node.want("b.c");
    node.is_ready.store(false, Ordering::Relaxed);
    node.told(Told::Message(numbered("b.c", 83, 74)));
    node.told(Told::Message(numbered("x", 84, 0)));
    node.answer(read, 80, vec![numbered("b.c", 74, 0)]);
    let again = node.read().expect("it is asked again");
    assert!(!node.is_ready.load(Ordering::Relaxed), "the history waits for that");
    (node, again)
}

#[test]
fn a_read_older_than_what_had_to_go_is_asked_again() {
    let (node, again) = overtaken();
    node.answer(again, 84, vec![numbered("b.c", 74, 0), numbered("b.c", 83, 74)]);
    assert_eq!(node.newest("b.c"), [74, 83]);
}

#[test]
fn an_old_message_is_not_answered_as_the_newest() {
    let (node, again) = overtaken();
    node.answer(again, 80, vec![numbered("b.c", 74, 0)]);
    assert_eq!((node.newest("b.c"), node.read()), (vec![], None), "it is asked again once");
}
