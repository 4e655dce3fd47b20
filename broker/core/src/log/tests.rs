//! What the log keeps, trims and forgets.

use super::*;

const TTL_MS: u64 = 1_000;

/// A log whose topics keep `count` messages for 100 ms, with one message a millisecond to each of `topics`.
fn log(count: usize, topics: &[&str]) -> Log {
    let mut log = Log::new(TTL_MS);
    for (seq, topic) in (1..).zip(topics) {
        let name = Topic::parse(topic).unwrap();
        let rule = (HistoryRule { count, age_ms: 100 }, OnSlow::Disconnect);
        let id = log.find(topic).unwrap_or_else(|| log.create(&name, rule));
        log.append(id, Arc::new(Entry::sample(topic, seq, seq)));
    }
    log
}

fn kept(log: &Log) -> Vec<u64> {
    let kept: Vec<u64> = log.above(0).map(|(seq, _)| seq).collect();
    assert_eq!(kept.len(), log.kept());
    let each = log.topics.values().flat_map(|topic| &topic.entries);
    assert_eq!(log.bytes(), each.map(|entry| entry.cost()).sum::<usize>(), "what is kept is counted");
    kept
}

fn names<'a>(topics: impl Iterator<Item = &'a TopicLog>) -> Vec<&'a str> {
    topics.map(|topic| topic.name.as_str()).collect()
}

#[test]
fn a_topic_keeps_its_newest() {
    for (count, expected) in [(0, vec![]), (1, vec![2, 4]), (2, vec![2, 3, 4]), (9, vec![1, 2, 3, 4])] {
        assert_eq!(kept(&log(count, &["a", "b", "a", "a"])), expected, "{count}");
    }
}

#[test]
fn the_newest_of_a_topic_go_back_to_the_first_hole() {
    let mut log = log(9, &[]);
    let id =
        log.create(&Topic::parse("a").unwrap(), (HistoryRule { count: 9, age_ms: 100 }, OnSlow::Disconnect));
    // It was forgotten elsewhere after 9, and born again.
    for (seq, prev) in [(5, 0), (9, 5), (32, 0), (40, 32)] {
        let mut entry = Entry::sample("a", seq, seq);
        entry.prev = prev;
        log.append(id, Arc::new(entry));
    }
    for (upto, expected) in [(50, vec![40, 32]), (32, vec![32]), (31, vec![9, 5]), (4, vec![])] {
        let newest = log.topics[id].newest_first(upto).map(|entry| entry.seq());
        assert_eq!(newest.collect::<Vec<_>>(), expected, "{upto}");
    }
}

#[test]
fn bytes_are_freed_from_the_oldest_of_all_topics() {
    let mut log = log(9, &["a", "b", "a", "b"]);
    let cost = log.bytes() / 4;
    log.trim_to_bytes(3 * cost);
    assert_eq!(kept(&log), [2, 3, 4]);
    log.trim_to_bytes(cost);
    assert_eq!(kept(&log), [4]);
    log.trim_to_bytes(0);
    assert_eq!(kept(&log), [0; 0]);
    let id = log.find("a").unwrap();
    assert_eq!((log.topic(id).unwrap().trimmed, log.topic(id).unwrap().last), (3, 3));
}

#[test]
fn what_is_too_old_is_trimmed_and_what_is_idle_is_forgotten() {
    let mut log = log(9, &["a", "b", "a"]);
    for (now_ms, expected, forgotten, floor) in [
        (100, vec![1, 2, 3], vec![], 0),
        (101, vec![2, 3], vec![], 0),
        (103, vec![], vec![], 0),
        (1_001, vec![], vec![], 0),
        (1_002, vec![], vec!["b"], 2),
        (1_003, vec![], vec!["a"], 3),
    ] {
        let mut names = Vec::new();
        assert!(log.expire(now_ms, 10, &mut names));
        let names: Vec<&str> = names.iter().map(Topic::as_str).collect();
        assert_eq!((kept(&log), names, log.floor()), (expected, forgotten, floor), "at {now_ms}");
    }
    assert!(log.due.is_empty() && log.trims.is_empty() && log.empty_by_last.is_empty());
    assert_eq!(log.topics(), 0);
}

#[test]
fn a_cleared_topic_is_forgotten_as_soon_as_it_is_idle() {
    let mut log = log(9, &["a"]);
    log.topics.values_mut().for_each(|topic| topic.rule.age_ms = 1_000_000);
    let id = log.find("a").unwrap();
    assert_eq!((log.clear(id), log.clear(id)), (1, 0));
    let mut forgotten = Vec::new();
    assert!(log.expire(TTL_MS + 1, 10, &mut forgotten));
    assert_eq!(forgotten.len(), 1);
}

#[test]
fn a_pass_looks_at_so_many_topics_and_no_more() {
    let mut log = log(9, &["a", "b", "c"]);
    let mut forgotten = Vec::new();
    assert!(!log.expire(5_000, 2, &mut forgotten));
    assert_eq!(log.topics(), 1);
    assert!(log.expire(5_000, 2, &mut forgotten));
    assert_eq!(forgotten.len(), 3);
}

#[test]
fn the_longest_idle_of_those_that_keep_nothing_is_forgotten_first() {
    let mut log = log(1, &["a", "b", "c", "b"]);
    assert_eq!(log.forget_longest_idle(), None);
    for name in ["b", "c"] {
        log.clear(log.find(name).unwrap());
    }
    assert_eq!(log.forget_longest_idle().unwrap().as_str(), "c");
    assert_eq!(log.forget_longest_idle().unwrap().as_str(), "b");
    assert_eq!((log.forget_longest_idle(), log.floor()), (None, 4));
    let rule = (HistoryRule::default(), OnSlow::Disconnect);
    let id = log.create(&Topic::parse("b").unwrap(), rule);
    assert_eq!(log.topic(id).unwrap().born_above, 4);
}

#[test]
fn trims_are_seen_once_by_each_topics_newest() {
    let mut log = log(1, &["a", "b", "a", "b", "a"]);
    assert_eq!(names(log.trimmed_since(0).map(|(_, topic)| topic)), ["b", "a"]);
    let seen = log.trim_count();
    assert_eq!(names(log.trimmed_since(seen).map(|(_, topic)| topic)), [""; 0]);
    log.clear(log.find("b").unwrap());
    assert_eq!(names(log.trimmed_since(seen).map(|(_, topic)| topic)), ["b"]);
}

#[test]
fn topics_are_found_by_filter_and_listed_by_name() {
    let log = log(9, &["a", "a.b", "a.c", "ab", "b.c", "a.b.c"]);
    for (filter, expected) in [
        ("a", vec!["a"]),
        ("a.>", vec!["a.b", "a.b.c", "a.c"]),
        ("a.*", vec!["a.b", "a.c"]),
        ("*.c", vec!["a.c", "b.c"]),
        ("z", vec![]),
    ] {
        let filter = Filter::parse(filter).unwrap();
        assert_eq!(names(log.matching(&filter).map(|(_, topic)| topic)), expected, "{filter}");
        assert_eq!(names(log.list(&filter, None)), expected, "{filter}");
    }
    let all = Filter::parse(">").unwrap();
    assert_eq!(names(log.list(&all, Some("a.b.c"))), ["a.c", "ab", "b.c"]);
    assert_eq!(names(log.list(&Filter::parse("b.>").unwrap(), Some("a"))), ["b.c"]);
}
