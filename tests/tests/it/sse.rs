//! Server-sent events: what a stream says, event by event.

use fanfare_protocol::Encoding;
use fanfare_tests::{Ask, Block, Broker, Events};
use serde_json::{Value, json};

#[tokio::test]
async fn a_stream_is_live_first_and_then_tells_what_happens() {
    let broker = Broker::start().await;
    broker.publish("orders.eu", json!("before")).await;
    let mut events = broker.stream("topic=orders.*&topic=news", None).await;
    for (name, value) in
        [("content-type", "text/event-stream"), ("cache-control", "no-store"), ("x-accel-buffering", "no")]
    {
        assert_eq!(events.head.header(name), Some(value), "{:?}", events.head);
    }
    let Some(Block::Retry(retry_ms)) = events.next_block().await else { panic!("retry comes first") };
    assert!((1_000..=6_000).contains(&retry_ms), "{retry_ms}");
    events.expect(json!(["live", null, "@1"])).await;
    assert_eq!(broker.publish("orders.eu", json!({"order": 42})).await["receivers"], 1);
    broker.publish("orders.us.7", json!("another's")).await;
    broker.publish("news", json!("short")).await;
    events.expect(json!(["message", "orders.eu", "@2", {"order": 42}])).await;
    events.expect(json!(["message", "news", "@4", "short"])).await;
    assert_eq!(events.last_event_id, Some(format!("{}:4", broker.epoch)));
}

#[tokio::test]
async fn the_time_to_come_back_differs_from_stream_to_stream() {
    let broker = Broker::start().await;
    let mut told = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let mut events = broker.stream("topic=a", None).await;
        events.expect(json!(["live", null, "@0"])).await;
        told.insert(events.retry_ms);
    }
    // Of 5,001 times; that so many are the same by chance does not happen.
    assert!(told.len() >= 4, "{told:?}");
}

#[tokio::test]
async fn a_message_that_several_filters_match_comes_once() {
    let broker = Broker::start().await;
    broker.publish_numbers("a.b", 0..3).await;
    let query = "topic=%3E&topic=a.b&topic=a.*&topic=a.b&last=2";
    let mut events = broker.stream(query, None).await;
    for seq in 2..=3 {
        events.expect(json!(["message", "a.b", format!("@{seq}"), seq - 1])).await;
    }
    events.expect(json!(["live", null, "@3"])).await;
    broker.publish("a.b", json!("live")).await;
    broker.publish("c", json!("other")).await;
    events.expect(json!(["message", "a.b", "@4", "live"])).await;
    events.expect(json!(["message", "c", "@5", "other"])).await;
}

#[tokio::test]
async fn each_kind_of_data_is_what_a_json_subscriber_gets() {
    let broker = Broker::start().await;
    let mut events = broker.stream("topic=a", None).await;
    let mut client = broker.follow("a").await;
    events.expect(json!(["live", null, "@0"])).await;
    for (content_type, body) in [
        ("text/plain", &b"two\nlines\r\nand \"more\""[..]),
        ("text/markdown", b""),
        ("application/octet-stream", &[0, 10, 13, 255]),
        ("image/png", b"\x89PNG\r\n\x1a\n"),
        ("application/json", "\"gr\u{fc}\u{df}e\u{2028}\"".as_bytes()),
    ] {
        assert_eq!(broker.post("/v1/topics/a", content_type, body).await.status, 200);
        let expected = client.next().await;
        events.expect(expected).await;
    }
}

#[tokio::test]
async fn line_breaks_between_tokens_leave_the_value_as_it_is() {
    let broker = Broker::start().await;
    let mut events = broker.stream("topic=a", None).await;
    events.expect(json!(["live", null, "@0"])).await;
    let bodies = ["{\n  \"a\": [1,\r\n2],\r\"b\": \"\\n\\r\"\n}", "[\n\n\n]", "\n\n7\n"];
    for body in bodies {
        assert_eq!(broker.post("/v1/topics/a", "application/json", body).await.status, 200);
    }
    let mut again = broker.stream("topic=a", Some(&format!("{}:0", broker.epoch))).await;
    for (seq, body) in (1..).zip(bodies) {
        let data: Value = serde_json::from_str(body).unwrap();
        let message = json!(["message", "a", format!("@{seq}"), data]);
        events.expect(message.clone()).await;
        again.expect(message).await;
    }
}

#[tokio::test]
async fn a_heartbeat_carries_the_cursor_of_what_matches_nothing_too() {
    let broker = Broker::with("heartbeat = \"200ms\"").await;
    let mut events = broker.stream("topic=quiet", None).await;
    events.expect(json!(["live", null, "@0"])).await;
    broker.publish_numbers("busy", 0..3).await;
    while events.last_event_id != Some(format!("{}:3", broker.epoch)) {
        let Some(Block::Heartbeat(_)) = events.next_block().await else { panic!("a heartbeat is due") };
    }
    for _ in 0..4 {
        assert_eq!(events.next_block().await, Some(Block::Heartbeat("@3".to_owned())));
    }
    broker.publish("quiet", json!(1)).await;
    events.expect(json!(["message", "quiet", "@4", 1])).await;
}

#[tokio::test]
async fn a_stream_is_a_session_that_operators_see_and_end() {
    let broker = Broker::start().await;
    let mut events = broker.stream("topic=b&topic=a.%3E", None).await;
    events.expect(json!(["live", null, "@0"])).await;
    let listed = broker.get_json("/v1/sessions").await;
    let session = &listed["sessions"][0];
    assert_eq!((&session["protocol"], &session["subscriptions"]), (&json!("sse"), &json!(["a.>", "b"])));
    broker.publish("b", json!(1)).await;
    events.expect(json!(["message", "b", "@1", 1])).await;
    let target = format!("/v1/sessions/{}", session["session"].as_str().unwrap());
    for (name, value) in [
        ("fanfare_sessions{edge=\"sse\"}", 1.0),
        ("fanfare_sessions{edge=\"websocket\"}", 0.0),
        ("fanfare_subscriptions", 2.0),
        ("fanfare_deliveries_total{edge=\"sse\",encoding=\"json\"}", 1.0),
    ] {
        broker.until_metric(name, |figure| figure == value).await;
    }
    assert_eq!(broker.ask(&Ask::new("DELETE", &target)).await.status, 200);
    assert_eq!(events.next().await.0, json!(["goodbye", 4003, "disconnected by an operator"]));
    events.expect_end().await;
    broker.until_metric("fanfare_sessions", |count| count == 0.0).await;
}

#[tokio::test]
async fn a_client_that_goes_away_is_forgotten() {
    let broker = Broker::start().await;
    let mut events = broker.stream("topic=a&topic=b", None).await;
    events.expect(json!(["live", null, "@0"])).await;
    drop(events);
    broker.until_metric("fanfare_sessions", |count| count == 0.0).await;
    broker.until_metric("fanfare_subscriptions", |count| count == 0.0).await;
    assert_eq!(broker.publish("a", json!(1)).await["heard"], false);
}

#[tokio::test]
async fn a_stream_over_http_2_says_the_same() {
    let mut broker = Broker::with("heartbeat = \"200ms\"").await;
    broker.publish_numbers("a", 0..100).await;
    let target = format!("/v1/sse?topic=a&topic=b&after={}:40", broker.epoch);
    let mut events = Events::open_http2(&broker, &target).await;
    for seq in 41..=100 {
        events.expect(json!(["message", "a", format!("@{seq}"), seq - 1])).await;
    }
    events.expect(json!(["live", null, "@100"])).await;
    broker.publish("b", json!(1)).await;
    events.expect(json!(["message", "b", "@101", 1])).await;
    assert_eq!(events.next_block().await, Some(Block::Heartbeat("@101".to_owned())));
    drop(events);
    broker.until_metric("fanfare_sessions", |count| count == 0.0).await;
    broker.assert_well().await;
}

#[tokio::test]
async fn what_is_published_over_a_websocket_comes_as_an_event() {
    let broker = Broker::start().await;
    let mut events = broker.stream("topic=a", None).await;
    events.expect(json!(["live", null, "@0"])).await;
    let mut client = broker.connect(Encoding::MessagePack).await;
    client.send(json!(["publish", 1, "a", {"n": 1}, {"headers": {"trace": "x"}}])).await;
    client.expect(json!(["ok", 1, {"position": "@1", "heard": true, "receivers": 1}])).await;
    events.expect(json!(["message", "a", "@1", {"n": 1}, {"headers": {"trace": "x"}}])).await;
}
