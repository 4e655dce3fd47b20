//! The format as it is written, and single rules on histories of a few lines.

use fanfare_tests::checker::{self, Claim, Report};

/// What a history of these events, one a microsecond, breaks.
fn checked(events: &[&str]) -> Report {
    let lines = events.iter().enumerate().map(|(at, event)| format!("{{\"at\":{at},\"event\":{event}}}\n"));
    checker::check(lines.collect::<String>().as_bytes()).unwrap()
}

fn claims(events: &[&str]) -> Vec<Claim> {
    checked(events).counts.into_keys().collect()
}

const RUN: &str = r#"{"run":{"name":"x","seed":1,"keeps_all":true}}"#;
const OPEN: &str = r#"{"open":{"session":1,"client":"s1","node":"n1"}}"#;

/// A publish that is answered at that time.
fn publish(topic: &str, data: &str, seq: u64, end: u64) -> String {
    format!(
        r#"{{"publish":{{"client":"p","node":"n1","topic":"{topic}","data":"{data}","start":0,"end":{end},"outcome":"ok","position":"0.a:{seq}"}}}}"#
    )
}

fn message(topic: &str, data: &str, seq: u64) -> String {
    format!(r#"{{"message":{{"session":1,"topic":"{topic}","position":"0.a:{seq}","data":"{data}"}}}}"#)
}

fn joined(filter: &str, cursor: &str) -> [String; 2] {
    [
        format!(r#"{{"subscribe":{{"session":1,"filter":"{filter}"}}}}"#),
        format!(r#"{{"ok":{{"session":1,"filter":"{filter}","cursor":"{cursor}"}}}}"#),
    ]
}

/// A session that follows `a.*` from the start, with what comes to it.
fn told(filters: &[&str], rest: &[String]) -> Vec<String> {
    let mut events = vec![RUN.to_owned(), OPEN.to_owned()];
    events.extend(filters.iter().flat_map(|filter| joined(filter, "0.a:0")));
    events.extend([publish("a.b", "d1", 1, 99), publish("a.c", "d2", 2, 99), publish("b", "d3", 3, 99)]);
    events.extend(rest.iter().cloned());
    events
}

fn found(filters: &[&str], rest: &[String]) -> Vec<Claim> {
    let events = told(filters, rest);
    claims(&events.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_history_is_written_as_it_is_read() {
    let events = told(&["a.*"], &[message("a.b", "d1", 1)]);
    for (at, event) in events.iter().enumerate() {
        let text = format!("{{\"at\":{at},\"event\":{event}}}");
        let lines = checker::read(text.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&lines[0]).unwrap(), text);
    }
    for bad in ["{}", "{\"at\":1,\"event\":{\"quiet\":{\"x\":1}}}", "{\"at\":1,\"event\":{\"nonsense\":{}}}"]
    {
        let error = checker::read(format!("{{\"at\":0,\"event\":{{\"quiet\":{{}}}}}}\n{bad}").as_bytes());
        assert!(error.unwrap_err().to_string().contains("line 2 "), "{bad}");
    }
}

#[test]
fn what_a_filter_does_not_match_is_not_missed() {
    let ping = r#"{"ping":{"session":1,"cursor":"0.a:3"}}"#.to_owned();
    assert_eq!(found(&["a.*"], &[message("a.b", "d1", 1), message("a.c", "d2", 2), ping.clone()]), []);
    assert_eq!(found(&["a.*"], &[message("a.c", "d2", 2), ping.clone()]), [Claim::SilentGap]);
    assert_eq!(found(&["a.*"], &[message("a.b", "d1", 1), ping]), [Claim::SilentGap]);
}

#[test]
fn one_live_message_serves_all_filters_that_overlap() {
    let all = [message("a.b", "d1", 1), message("a.c", "d2", 2), message("b", "d3", 3)];
    assert_eq!(found(&["a.*", ">", "b"], &all), []);
    assert_eq!(found(&["a.*", ">"], &[all[0].clone(), all[0].clone()]), [Claim::Duplicate]);
    assert_eq!(found(&["a.*"], &all), [Claim::WrongTopic]);
}

#[test]
fn a_gap_tells_only_of_its_own_topic() {
    let gap = |topic: &str| format!(r#"{{"gap":{{"session":1,{topic}"from":"0.a:0","to":"0.a:2"}}}}"#);
    let end = message("b", "d3", 3);
    assert_eq!(found(&[">"], &[gap(r#""topic":"a.b","#), end.clone()]), [Claim::SilentGap]);
    let both = [gap(r#""topic":"a.b","#), gap(r#""topic":"a.c","#), end.clone()];
    assert_eq!(found(&[">"], &both), []);
    assert_eq!(found(&[">"], &[gap(""), end]), []);
    assert_eq!(found(&["a.b"], &[gap(r#""topic":"a.c","#)]), [Claim::WrongTopic]);
}

#[test]
fn a_violation_says_where_it_shows() {
    let events = told(&[">"], &[message("a.b", "d1", 1), message("b", "d3", 3)]);
    let report = checked(&events.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(
        report.violations[0].to_string(),
        "line 6, 8, 9: silent gap: s1 (session 1 at n1)'s \">\" came to 0.a:3 without \"a.c\" at 0.a:2"
    );
    assert_eq!(report.to_string().lines().last(), Some("9 lines: silent gap: 1"));
}

#[test]
fn a_start_below_what_the_same_node_has_answered_before_is_stale() {
    let stale = |node: &str, cursor: &str| {
        let open = OPEN.replace("n1", node);
        let mut events = vec![RUN.to_owned(), publish("a", "d1", 1, 0), open];
        events.extend(joined("b", cursor));
        claims(&events.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(stale("n1", "0.a:0"), [Claim::StaleJoin]);
    assert_eq!(stale("n1", "0.a:1"), []);
    assert_eq!(stale("n2", "0.a:0"), []);
}

#[test]
fn a_history_of_another_life_is_a_gap_that_must_be_told() {
    let after = r#"{"subscribe":{"session":1,"filter":"a","after":"0.z:5"}}"#;
    let ok = |resumed: bool| {
        format!(r#"{{"ok":{{"session":1,"filter":"a","cursor":"0.z:5","resumed":{resumed}}}}}"#)
    };
    let gap = r#"{"gap":{"session":1,"from":"0.z:5","to":"0.a:0","replay":"a"}}"#;
    let live = r#"{"live":{"session":1,"filter":"a","cursor":"0.a:0"}}"#;
    let node = r#"{"node":{"node":"n1","up":true,"epoch":"0.a"}}"#;
    assert_eq!(claims(&[RUN, node, OPEN, after, &ok(false), gap, live]), []);
    assert_eq!(claims(&[RUN, node, OPEN, after, &ok(true), gap, live]), [Claim::FalseRecovered]);
    assert_eq!(claims(&[RUN, node, OPEN, after, &ok(true), live]), [Claim::SilentEpochChange]);
}
