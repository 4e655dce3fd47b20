use fanfare_protocol::{Epoch, Message, Payload};

use super::*;
use crate::backplane::{Admitted, Pass, Told};
use crate::broker::Broker;
use crate::clock::Now;
use crate::limits::{Limits, TopicRules};
use crate::replay::ReplayEvent;

const NOW: Now = Now { us: 0, unix_ms: 0 };

fn position(life: u64, seq: u64) -> Position {
    Position { epoch: Epoch { partition: 0, life }, seq }
}

fn topic() -> Topic {
    Topic::parse("a").unwrap()
}

fn numbered(life: u64, seq: u64, prev: u64) -> Numbered {
    let message = Message {
        topic: topic(),
        position: position(life, seq),
        payload: Payload::Json("1".into()),
        media_type: None,
        time: None,
        user: None,
        headers: None,
    };
    Numbered { message, prev, age_ms: 0, ttl_s: None, origin: None }
}

/// Answers all that is asked, by what the backplane is to have.
fn answer(broker: &Broker, record: &Record, kept: &[Numbered]) {
    loop {
        let asks = broker.take_asks();
        if asks.is_empty() {
            return;
        }
        for ask in asks {
            let told = match ask {
                Ask::Follow(channels) => Told::Confirmed(channels),
                Ask::Probe { probe } => Told::Probed { probe, record: record.clone() },
                Ask::Read { read, above, .. } => {
                    let last = kept.last().map_or(0, |newest| newest.message.position.seq);
                    let above = kept.iter().filter(|numbered| numbered.message.position.seq > above).cloned();
                    let topics = vec![TopicRead { name: topic(), last, kept: above.collect() }];
                    Told::Read { read, result: Ok((record.clone(), topics)) }
                }
                ask @ (Ask::Publish(_) | Ask::Leave(_) | Ask::Clear { .. } | Ask::Reconnect(_)) => {
                    panic!("nobody has asked for {ask:?}")
                }
            };
            broker.told(NOW, told);
        }
    }
}

/// A node that follows the topic, of which the first life has numbered 5.
fn following() -> Broker {
    let wakes: Vec<crate::broker::Wake> = vec![Box::new(|| ())];
    let broker = Broker::joined(1, TopicRules::default(), Limits::default(), wakes, Box::new(|| ()));
    let record = Record { epoch: position(1, 0).epoch, began: 0, seq: 4, floor: 0, ended: Vec::new() };
    broker.told(NOW, Told::Up(record.clone()));
    let filters = [fanfare_protocol::Filter::from(&topic())];
    let completion = || -> Admitted { Box::new(|_, _| ()) };
    broker.prepare(NOW, &filters, None, Pass::default(), completion).unwrap();
    answer(&broker, &record, &[]);
    broker.told(NOW, Told::Message(numbered(1, 5, 0)));
    broker
}

#[test]
fn a_clear_that_was_held_back_takes_away_nothing_of_the_next_life() {
    let end = position(1, 6);
    let record =
        Record { epoch: position(2, 0).epoch, began: 6, seq: 7, floor: 0, ended: vec![(end.epoch, 6)] };
    for (to, left) in [
        (position(1, 5), vec![7]),
        (position(1, 7), vec![5, 7]),
        (position(1, 9), vec![5, 7]),
        (position(2, 7), vec![]),
    ] {
        let broker = following();
        broker.told(NOW, Told::Message(numbered(2, 7, 5)));
        broker.told(NOW, Told::Cleared { topic: topic(), to });
        answer(&broker, &record, &[numbered(1, 5, 0), numbered(2, 7, 5)]);
        assert!(!broker.doubts().unwrap().is_open, "{to}");
        let history = broker.history(&topic(), None, 10, NOW).unwrap();
        let seqs: Vec<u64> = history
            .events
            .iter()
            .filter_map(|event| match event {
                ReplayEvent::Message(entry) => Some(entry.seq()),
                ReplayEvent::Gap(_) => None,
            })
            .collect();
        assert_eq!(seqs, left, "cleared to {to}");
    }
}

#[test]
fn a_clear_of_a_life_that_nobody_knows_of_is_a_doubt() {
    let broker = following();
    broker.told(NOW, Told::Cleared { topic: topic(), to: position(2, 5) });
    assert!(broker.doubts().unwrap().is_open);
}
