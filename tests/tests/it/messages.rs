//! The history of several filters as one: page by page, and as a long poll.

use fanfare_tests::{Ask, Broker, read_answer};
use serde_json::{Value, json};

const SUBSCRIPTIONS: &str = "fanfare_subscriptions";

#[tokio::test]
async fn pages_bring_what_any_filter_matches_once_and_in_order() {
    let broker = Broker::start().await;
    let topics = ["a", "b.x", "c", "b.y", "a", "b.x", "d", "a"];
    for (seq, topic) in (1..).zip(topics) {
        broker.publish(topic, json!(seq)).await;
    }
    let followed: Vec<Value> = (1u64..)
        .zip(topics)
        .filter(|(_, topic)| *topic != "c" && *topic != "d")
        .map(|(seq, topic)| json!(["message", topic, format!("@{seq}"), seq]))
        .collect();
    for query in
        ["topic=a&topic=b.*", "topic=b.x&topic=a&topic=b.y&topic=none", "topic=b.%3E&topic=*.x&topic=a"]
    {
        let newest = broker.get_json(&format!("/v1/messages?{query}&limit=4")).await;
        assert_eq!(newest, json!({"frames": &followed[2..], "cursor": "@8", "more": false}), "{query}");
        let (mut cursor, mut read) = (format!("{}:0", broker.epoch), Vec::new());
        loop {
            let page = broker.get_json(&format!("/v1/messages?{query}&limit=2&after={cursor}")).await;
            read.extend(page["frames"].as_array().unwrap().clone());
            cursor = page["cursor"].as_str().unwrap().replace('@', &format!("{}:", broker.epoch));
            if page["more"] == false {
                break;
            }
        }
        assert_eq!(read, followed, "{query}");
    }
}

#[tokio::test]
async fn what_was_trimmed_of_any_topic_is_told() {
    let broker = Broker::with("[[topics]]\nfilter = \"a\"\nhistory = { count = 1 }").await;
    broker.publish_numbers("a", 1..4).await;
    broker.publish("b", json!(4)).await;
    let read = broker.get_json(&format!("/v1/messages?topic=*&topic=b&after={}:0", broker.epoch)).await;
    let frames = json!([["gap", "a", "@0", "@2"], ["message", "a", "@3", 3], ["message", "b", "@4", 4]]);
    assert_eq!(read, json!({"frames": frames, "cursor": "@4", "more": false}));
}

#[tokio::test]
async fn a_long_poll_ends_with_the_first_message_of_any_filter() {
    let broker = Broker::start().await;
    for (topic, count) in [("a", 3.0), ("b.x", 3.0), ("b.c", 3.0)] {
        let mut wire = broker.wire().await;
        let after = broker.get_json("/v1/messages?topic=a").await["cursor"].clone();
        let after = after.as_str().unwrap().replace('@', &format!("{}:", broker.epoch));
        let target = format!("/v1/messages?topic=a&topic=b.*&topic=*.c&wait=60&after={after}");
        wire.write(&Ask::new("GET", &target).bytes("localhost")).await.unwrap();
        broker.until_metric(SUBSCRIPTIONS, |subscriptions| subscriptions == count).await;
        broker.publish("other", json!(0)).await;
        let position = broker.publish(topic, json!(1)).await["position"].clone();
        let answer = read_answer(&mut wire).await.unwrap().json();
        assert_eq!(answer["frames"].as_array().unwrap().len(), 1, "{answer}");
        assert_eq!(answer["frames"][0][1], topic);
        assert_eq!(
            answer["cursor"].as_str().unwrap().split_once(':').unwrap().1,
            &position.as_str().unwrap()[1..]
        );
        broker.until_metric(SUBSCRIPTIONS, |subscriptions| subscriptions == 0.0).await;
    }
    let empty =
        broker.get_json(&format!("/v1/messages?topic=z&topic=y.*&wait=1&after={}:6", broker.epoch)).await;
    assert_eq!(empty, json!({"frames": [], "cursor": "@6", "more": false}));
    assert_eq!(broker.metric(SUBSCRIPTIONS).await, 0.0);
}

#[tokio::test]
async fn what_can_not_be_asked_is_refused() {
    let broker = Broker::with("[limits]\nfilters = 2").await;
    let many: Vec<String> = (0..65).map(|n| format!("topic=t.{n}")).collect();
    for (query, status, code, told) in [
        ("".to_owned(), 400, "bad_request", &["topic"][..]),
        ("topic=a..b".to_owned(), 400, "bad_filter", &["a..b"]),
        ("topic=a&after=x".to_owned(), 400, "bad_cursor", &["after"]),
        ("topic=a&last=1".to_owned(), 400, "bad_request", &["last", "`topic`"]),
        (many.join("&"), 429, "limit", &["64"]),
        ("topic=a&topic=b&topic=c&wait=1".to_owned(), 429, "limit", &["3 topics"]),
    ] {
        broker.get(&format!("/v1/messages?{query}")).await.assert_problem(status, code, told);
    }
    assert_eq!(broker.get_json("/v1/messages?topic=a&topic=b&topic=c").await["frames"], json!([]));
    broker.get("/v1/topics/a/messages?topic=b").await.assert_problem(400, "bad_request", &["topic"]);
    broker.post("/v1/messages?topic=a", "text/plain", "").await.assert_problem(
        405,
        "method_not_allowed",
        &[],
    );
}
