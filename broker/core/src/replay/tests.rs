//! What replays tell, scene by scene.

use fanfare_protocol::{Epoch, OnSlow, Payload, Publication, Topic};

use super::*;
use crate::interest::WorkerSet;
use crate::limits::{HistoryRule, Limits, TopicRule, TopicRules};
use crate::partition::Draft;

const NOW: Now = Now { us: 0, unix_ms: 0 };
const ALL: Budget = Budget { messages: usize::MAX, events: usize::MAX, bytes: usize::MAX };
const ONE: Budget = Budget { messages: 1, events: usize::MAX, bytes: usize::MAX };

/// A partition of epoch `0.1` whose topics keep `count` messages, with a message to each of `topics` in turn.
fn partition(count: usize, limits: Limits, topics: &[&str]) -> Partition {
    let history = HistoryRule { count, age_ms: 1_000 };
    let rule = TopicRule { filter: filter(">"), history, on_slow: OnSlow::Disconnect };
    let epoch = Epoch { partition: 0, life: 1 };
    let mut partition = Partition::new(epoch, TopicRules::new(vec![rule]), Arc::new(limits));
    topics.iter().for_each(|topic| publish(&mut partition, topic, None));
    partition
}

fn publish(partition: &mut Partition, topic: &str, ttl_s: Option<u32>) {
    let topic = Topic::parse(topic).unwrap();
    let publication = Publication { ttl_s, ..Publication::new(Payload::Json("1".into())) };
    let draft = Draft { topic, publication, origin: Some(SessionId(7)), deaf: 0 };
    partition.publish(NOW, draft, None, &[], WorkerSet::default());
}

fn filter(text: &str) -> Filter {
    Filter::parse(text).unwrap()
}

/// What one pull brings: `a3` is a message, `a(0,2]` a gap of a topic, `*(0,2]` one of the filter, `live` the end.
fn pull(partition: &mut Partition, replay: &mut Replay, budget: Budget) -> String {
    let pulled = partition.pull(replay, budget, NOW);
    let mut told: Vec<String> = pulled.events.iter().map(shown).collect();
    if pulled.caught_up {
        told.push("live".to_owned());
    }
    told.join(" ")
}

fn shown(event: &ReplayEvent) -> String {
    match event {
        ReplayEvent::Message(entry) => format!("{}{}", entry.message.topic, entry.seq()),
        ReplayEvent::Gap(gap) => {
            let topic = gap.topic.as_ref().map_or("*", Topic::as_str);
            format!("{topic}({},{}]", gap.from.seq, gap.to.seq)
        }
    }
}

fn begin(partition: &mut Partition, of: &str, after: Option<&str>, last: usize) -> (Replay, bool) {
    let after = after.map(|after| after.parse().unwrap());
    let filters = of.split(' ').map(filter).collect();
    partition.begin_replay(&Filters::new(filters).unwrap(), after, last, None, NOW)
}

fn told(partition: &mut Partition, of: &str, after: Option<&str>, last: usize) -> (bool, String) {
    let (mut replay, whole) = begin(partition, of, after, last);
    (whole, pull(partition, &mut replay, ALL))
}

#[test]
fn a_replay_tells_holes_before_messages_and_ends_live() {
    let topics = ["a", "b", "a", "a", "a.x", "b"];
    for (count, of, after, last, expected) in [
        (9, ">", Some("0.1:0"), 0, (true, "a1 b2 a3 a4 a.x5 b6 live")),
        (9, "a", Some("0.1:1"), 0, (true, "a3 a4 live")),
        (9, "a", Some("0.1:6"), 0, (true, "live")),
        (1, ">", Some("0.1:0"), 0, (false, "a(0,3] b(0,2] a4 a.x5 b6 live")),
        (1, ">", Some("0.1:2"), 0, (false, "a(2,3] a4 a.x5 b6 live")),
        (1, ">", Some("0.1:3"), 0, (true, "a4 a.x5 b6 live")),
        (0, "*", Some("0.1:1"), 0, (false, "a(1,4] b(1,6] live")),
        (9, "none", Some("0.1:0"), 0, (true, "live")),
        (9, ">", None, 1, (true, "a4 a.x5 b6 live")),
        (9, "a", None, 2, (true, "a3 a4 live")),
        (9, "a", Some("0.1:3"), 1, (true, "a3 a4 live")),
        (9, "b a.x none", Some("0.1:1"), 0, (true, "b2 a.x5 b6 live")),
        (9, "b a.* *", Some("0.1:2"), 1, (true, "a1 b2 a3 a4 a.x5 b6 live")),
        (1, "a b", Some("0.1:1"), 0, (false, "a(1,3] b(1,2] a4 b6 live")),
        (1, "b *", Some("0.1:1"), 0, (false, "a(1,3] b(1,2] a4 b6 live")),
        (1, "a", Some("0.1:1"), 9, (false, "a(1,3] a4 live")),
        (9, "a", Some("0.1:9"), 0, (false, "*(9,6] live")),
        (9, "a", Some("0.2:5"), 0, (false, "*(5,0] a1 a3 a4 live")),
        (1, "a", Some("0.2:5"), 0, (false, "*(5,0] a(0,3] a4 live")),
    ] {
        let mut partition = partition(count, Limits::default(), &topics);
        let (whole, said) = told(&mut partition, of, after, last);
        assert_eq!((whole, said.as_str()), expected, "{of} after {after:?}, last {last}, {count} kept");
    }
}

#[test]
fn below_the_floor_only_a_known_topic_goes_on() {
    let limits = Limits { topics: 2, ..Limits::default() };
    let mut partition = partition(9, limits, &["old", "a"]);
    partition.clear("old");
    publish(&mut partition, "b", None);
    for (of, after, expected) in [
        ("a", "0.1:0", (true, "a2 live")),
        ("b", "0.1:0", (false, "*(0,1] b3 live")),
        ("old", "0.1:0", (false, "*(0,1] live")),
        (">", "0.1:0", (false, "*(0,1] a2 b3 live")),
        (">", "0.1:1", (true, "a2 b3 live")),
    ] {
        let (whole, said) = told(&mut partition, of, Some(after), 0);
        assert_eq!((whole, said.as_str()), expected, "{of} after {after}");
    }
}

#[test]
fn more_holes_than_the_limit_are_one_gap() {
    let topics = ["a", "a", "b", "b", "c"];
    for (holes, expected) in [(0, "*(0,5] live"), (1, "*(0,5] live"), (2, "a(0,1] b(0,3] a2 b4 c5 live")] {
        let mut partition = partition(1, Limits { holes, ..Limits::default() }, &topics);
        assert_eq!(told(&mut partition, ">", Some("0.1:0"), 0), (false, expected.to_owned()), "{holes}");
    }
    let mut partition = partition(1, Limits { holes: 0, ..Limits::default() }, &topics);
    let (_, said) = told(&mut partition, ">", Some("0.9:9"), 0);
    assert_eq!(said, "*(9,0] *(0,5] live", "what the old life lacks is told too");
}

#[test]
fn what_is_trimmed_between_two_pulls_is_told_once() {
    let mut partition = partition(3, Limits::default(), &["a", "b", "a", "a"]);
    let (mut replay, whole) = begin(&mut partition, ">", Some("0.1:0"), 0);
    assert!(whole);
    assert_eq!(pull(&mut partition, &mut replay, ONE), "a1");
    publish(&mut partition, "a", None);
    publish(&mut partition, "a", None);
    assert_eq!(pull(&mut partition, &mut replay, ONE), "a(1,3] b2");
    partition.clear("a");
    assert_eq!(pull(&mut partition, &mut replay, ALL), "a(3,6] live");
}

#[test]
fn a_hole_that_waits_to_be_told_survives_a_rising_floor() {
    let mut partition = partition(9, Limits::default(), &["old", "a", "a"]);
    partition.clear("old");
    partition.clear("a");
    let (mut replay, _) = begin(&mut partition, ">", Some("0.1:0"), 0);
    assert_eq!(partition.log.forget_longest_idle().unwrap().as_str(), "old");
    assert_eq!(pull(&mut partition, &mut replay, ALL), "*(0,1] a(1,3] live");
}

#[test]
fn gaps_come_a_few_at_a_time_and_none_is_lost() {
    let mut partition = partition(0, Limits::default(), &["a", "b", "c", "d"]);
    let few = Budget { events: 2, ..ALL };
    let (mut replay, _) = begin(&mut partition, ">", Some("0.1:0"), 0);
    assert_eq!(pull(&mut partition, &mut replay, few), "a(0,1] b(0,2]");
    publish(&mut partition, "b", None);
    assert_eq!(pull(&mut partition, &mut replay, few), "c(0,3] d(0,4]");
    assert_eq!(pull(&mut partition, &mut replay, few), "b(2,5] live");
    let (mut replay, _) = begin(&mut partition, ">", Some("0.1:0"), 0);
    assert_eq!(pull(&mut partition, &mut replay, few), "a(0,1] b(0,5]");
    partition.log.forget_longest_idle().unwrap();
    assert_eq!(pull(&mut partition, &mut replay, ALL), "*(0,1] b(1,5] c(1,3] d(1,4] live");
}

#[test]
fn a_topic_that_is_born_again_during_a_replay_is_not_taken_for_known() {
    let mut partition = partition(9, Limits::default(), &["a", "a", "b"]);
    let (mut replay, _) = begin(&mut partition, "a", Some("0.1:0"), 0);
    assert_eq!(pull(&mut partition, &mut replay, ONE), "a1");
    partition.clear("a");
    partition.log.forget_longest_idle().unwrap();
    publish(&mut partition, "a", None);
    assert_eq!(pull(&mut partition, &mut replay, ALL), "*(1,2] a4 live");
}

#[test]
fn a_pull_looks_at_so_many_messages_and_goes_on_from_there() {
    let topics = vec!["b"; SCAN_MAX + 1];
    let mut partition = partition(SCAN_MAX + 1, Limits::default(), &topics);
    publish(&mut partition, "a.x", None);
    let (mut replay, _) = begin(&mut partition, "a.*", Some("0.1:0"), 0);
    assert_eq!(pull(&mut partition, &mut replay, ALL), "");
    assert_eq!(replay.scanned(), SCAN_MAX as u64);
    assert!(partition.has_more(&replay, NOW));
    assert_eq!(pull(&mut partition, &mut replay, ALL), format!("a.x{} live", SCAN_MAX + 2));
    assert!(!partition.has_more(&replay, NOW));
}

#[test]
fn what_is_not_wanted_any_more_is_no_hole() {
    let mut partition = partition(9, Limits::default(), &["a"]);
    publish(&mut partition, "a", Some(1));
    for (deaf_to, ms, expected) in [
        (None, 999, "a1 a2"),
        (None, 1_000, "a1"),
        (Some(SessionId(7)), 0, ""),
        (Some(SessionId(8)), 0, "a1 a2"),
    ] {
        let now = Now { us: ms * 1_000, unix_ms: 0 };
        for (after, last) in [(Some("0.1:0".parse().unwrap()), 0), (None, 9)] {
            let (mut replay, whole) = partition.begin_replay(&filter("a").into(), after, last, deaf_to, now);
            let pulled = partition.pull(&mut replay, ALL, now);
            let said: Vec<String> = pulled.events.iter().map(shown).collect();
            assert_eq!((whole, pulled.caught_up, said.join(" ").as_str()), (true, true, expected));
        }
    }
}

#[test]
fn last_is_bounded_over_all_topics() {
    let limits = Limits { last_messages: 3, ..Limits::default() };
    let mut partition = partition(9, limits, &["a", "b", "a", "c", "a"]);
    for (last, expected) in [(1, "b2 c4 a5 live"), (2, "a3 c4 a5 live"), (9, "a3 c4 a5 live")] {
        assert_eq!(told(&mut partition, ">", None, last), (true, expected.to_owned()));
    }
}
